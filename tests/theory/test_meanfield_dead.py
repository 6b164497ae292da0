"""Dead units against closed forms, mpmath and Gaussian samples; stacks against real finite networks of width 1024."""

import math

import mpmath
import numpy as np
import pytest
from oracles.numpy_activations import PHIS
from scipy.stats import t as student

from jaxact import theory as mf

WIDTH, NETWORKS, VECTORS, INPUTS = 1024, 32, 4, 8


@pytest.mark.parametrize("inputs", [1, 2, 10, 1000, 60000])
def test_half_correlation_gives_one_over_n_plus_one(inputs):
    assert mf.dead_probability(0.5, inputs) == pytest.approx(1 / (inputs + 1), rel=1e-10)


@pytest.mark.parametrize("c", [-1.0, -0.999, -0.3, 0.0, 1e-12, 0.3, 0.9, 1 - 1e-9, 1 - 1e-15, 1.0])
def test_two_inputs_match_the_orthant_probability(c):
    assert mf.dead_probability(c, 2) == pytest.approx(0.25 + math.asin(c) / (2 * math.pi), abs=1e-12)


@pytest.mark.parametrize(
    "c,inputs,mean",
    [(0.05, 60000, 0.8), (0.05, 5, -1.5), (0.7, 5, 0.8), (0.7, 60000, 0.0), (0.99, 60000, -1.5)]
    + [(1 - 1e-6, 60000, 0.8), (1 - 1e-6, 5, -1.5), (1 - 1e-12, 60000, 0.0)],
)
def test_general_case_matches_mpmath(c, inputs, mean):
    """The same integral over t instead of z, in 30 digits."""
    with mpmath.workdps(30):
        rate = mpmath.sqrt(mpmath.mpf(c) / (1 - mpmath.mpf(c)))
        offset = mean / mpmath.sqrt(1 - mpmath.mpf(c))
        # z = −(t + offset)/rate; beyond t = 12 the power is 1 and the Gaussian integral is a tail probability.
        low = max(-12, -40 * rate - offset)

        def integrand(t):
            return mpmath.ncdf(t) ** inputs * mpmath.npdf((t + offset) / rate) / rate

        marks = [low, -3, 0, *np.arange(1, 6, 0.125), 6, 8, 12]
        body = mpmath.quad(integrand, [x for x in marks if x >= low])
        expected = mpmath.log(body + mpmath.ncdf(-(12 + offset) / rate))
    assert mf.log_dead_probability(c, inputs, mean) == pytest.approx(float(expected), rel=1e-9, abs=1e-9)


def test_mean_is_measured_in_standard_deviations():
    assert mf.dead_probability(0.4, 30, 0.6, 4.0) == mf.dead_probability(0.4, 30, 0.3, 1.0)
    assert mf.dead_probability(1.0, 30, 0.6, 4.0) == pytest.approx(float(mpmath.ncdf(-0.3)), rel=1e-12)
    assert mf.log_dead_probability(0.0, 60000, 0.3) == pytest.approx(60000 * float(mpmath.log(mpmath.ncdf(-0.3))))


def test_negative_pair_with_mean_matches_conditional_integral():
    c, m = -0.6, 0.4
    inner = lambda x: mpmath.npdf(x) * mpmath.ncdf((-m - c * x) / mpmath.sqrt(1 - c * c))  # noqa: E731
    assert mf.dead_probability(c, 2, m) == pytest.approx(float(mpmath.quad(inner, [-12, -3, -m])), rel=1e-10)
    assert mf.dead_probability(-1.0, 2, m) == pytest.approx(0, abs=1e-15)


def test_probability_grows_with_correlation_and_falls_with_inputs():
    by_c = [mf.dead_probability(c, 1000) for c in np.linspace(0.01, 1, 60)]
    assert np.all(np.diff(by_c) > 0) and by_c[-1] == 0.5
    by_n = [mf.dead_probability(0.9, n) for n in (1, 2, 10, 100, 10_000, 60_000)]
    assert np.all(np.diff(by_n) < 0)


def test_samples_with_a_fixed_bias():
    rng, units, n, c, q, m = np.random.default_rng(3), 200_000, 6, 0.7, 2.5, 0.5
    common, own = rng.standard_normal((units, 1)), rng.standard_normal((units, n))
    dead = np.all(m + math.sqrt(q) * (math.sqrt(c) * common + math.sqrt(1 - c) * own) <= 0, axis=1)
    p = mf.dead_probability(c, n, m, q)
    assert abs(dead.mean() - p) < 4 * math.sqrt(p * (1 - p) / units)


@pytest.mark.parametrize("p", [0.0, 1e-12, 0.3, 1.0])
def test_distribution_is_binomial(p):
    got = mf.dead_distribution(p, 10)
    expected = [math.comb(10, k) * p**k * (1 - p) ** (10 - k) for k in range(11)]
    np.testing.assert_allclose(got, expected, rtol=1e-12)
    assert mf.expected_dead(p, 10) == pytest.approx(got @ np.arange(11), rel=1e-10)
    assert mf.all_dead_probability(p, 10) == pytest.approx(got[-1], rel=1e-12)


@pytest.mark.parametrize(
    "width,expected,half_digit", [(2, 0.924915, 5.1e-7), (4, 0.440575, 5.1e-7), (10, 0.00875481, 5.1e-9)]
)
def test_dying_relu_reference(width, expected, half_digit):
    assert mf.dying_relu_probability([width] * 9) == pytest.approx(expected, abs=half_digit)


def test_dying_relu_matches_sampled_networks():
    rng, widths, networks = np.random.default_rng(5), (3, 2, 4), 20_000
    x = rng.standard_normal((networks, 7))
    for width in widths:
        x = np.maximum(np.einsum("kuj,kj->ku", rng.standard_normal((networks, width, x.shape[1])), x), 0)
    dead, p = np.all(x == 0, axis=1).mean(), mf.dying_relu_probability(widths)
    assert abs(dead - p) < 4 * math.sqrt(p * (1 - p) / networks)


def test_sigmoid_bound():
    assert mf.sigmoid_attenuation_bound(10) == pytest.approx(9.536743e-7, rel=1e-7)
    assert mf.sigmoid_attenuation_bound(3, 4.0) == 1 == mf.sigmoid_attenuation_bound(0)


def draw_layer(rng, init, n_in, n_out):
    """Weights and biases with the variances of `init`, uniform as in PyTorch."""
    bound_w, bound_b = math.sqrt(3 * init.weight_variance / n_in), math.sqrt(3 * init.bias_variance)
    return rng.uniform(-bound_w, bound_w, (n_out, n_in)), rng.uniform(-bound_b, bound_b, (n_out, 1))


def sample_network(rng, phis, widths, inits, x):
    """One finite network: per layer q, c, mean and E[φ'²]-weighted backward norms; share of dead output units."""
    rows, layers = [], []
    for phi, init, n_in, n_out in zip(phis, inits, widths[:-1], widths[1:], strict=True):
        weights, bias = draw_layer(rng, init, n_in, n_out)
        h = weights @ x + bias
        pairs = (np.sum(h, axis=1) ** 2 - np.sum(h**2, axis=1)) / (INPUTS * (INPUTS - 1))
        x = phi.f(h)
        rows.append([np.mean(h**2), np.mean(pairs), np.mean(x), np.mean(x**2)])
        layers.append((weights, phi.df(h[:, :1])))
    dead = np.mean(np.all(h <= 0, axis=1))
    # vᵀJ with Gaussian v has E‖vᵀJ‖² = ‖J‖_F²: backwards through all layers, for x^L with respect to x^l.
    v, norms = rng.standard_normal((widths[-1], VECTORS)), []
    for weights, slope in reversed(layers):
        v = weights.T @ (slope * v)
        norms.append(np.mean(np.sum(v * v, axis=0)) / widths[-1])
    return np.array(rows), np.array(norms), dead


@pytest.mark.parametrize(
    "names,name", [(("relu", "sigmoid", "tanh", "relu"), "torch_default"), (("selu", "gelu", "relu"), "he_normal")]
)
def test_finite_networks_agree_with_the_stack(names, name):
    """Means over networks lie within Student's limit for one false alarm in 10,000 per group of quantities."""
    rng, phis, widths = np.random.default_rng(11), [PHIS[n] for n in names], (WIDTH,) * (len(names) + 1)
    inits, q0, c0 = mf.stack_inits(name, widths), 0.983, 0.6
    basis = np.linalg.qr(rng.standard_normal((WIDTH, INPUTS + 1)))[0]
    x = math.sqrt(WIDTH * q0) * (math.sqrt(c0) * basis[:, :1] + math.sqrt(1 - c0) * basis[:, 1:])
    assert mf.input_statistics(x.T) == pytest.approx((q0, c0), rel=1e-9)

    got = mf.predict_stack(phis, widths, inits, q0, c0)
    samples = [sample_network(rng, phis, widths, inits, x) for _ in range(NETWORKS)]
    rows, norms, dead = map(np.array, zip(*samples, strict=True))

    def check(samples, predicted):
        error = samples.std(axis=0, ddof=1) / math.sqrt(NETWORKS)
        limit = student.isf(1e-4 / 2 / np.size(predicted), NETWORKS - 1)
        np.testing.assert_array_less(np.abs(samples.mean(axis=0) - predicted), limit * error)

    check(rows, np.stack([got.q, got.q * got.c, got.mean, got.square], axis=1))
    check(norms, np.cumprod(got.chi[::-1]))
    check(dead, mf.dead_probability(got.c[-1], INPUTS))


BAD = [
    (lambda: mf.dead_probability(1.5, 3), "c = 1.5"),
    (lambda: mf.dead_probability(math.nan, 3), "c = nan"),
    (lambda: mf.dead_probability(-0.1, 3), "c = -0.1 < 0"),
    (lambda: mf.dead_probability(0.5, 0), "inputs = 0"),
    (lambda: mf.dead_probability(0.5, 3, math.inf), "mean = inf"),
    (lambda: mf.dead_probability(0.5, 3, 0.0, 0.0), "variance = 0.0"),
    (lambda: mf.dead_distribution(1.1, 3), "probability = 1.1"),
    (lambda: mf.expected_dead(0.3, 0), "units = 0"),
    (lambda: mf.all_dead_probability(math.nan, 3), "probability = nan"),
    (lambda: mf.dying_relu_probability([]), "at least 1"),
    (lambda: mf.dying_relu_probability([3, 0]), r"widths\[1\] = 0"),
    (lambda: mf.sigmoid_attenuation_bound(-1), "layers = -1"),
    (lambda: mf.sigmoid_attenuation_bound(3, -1), "weight_bound = -1"),
]


@pytest.mark.parametrize("call,message", BAD, ids=[message for _, message in BAD])
def test_bad_input_is_refused_in_one_line(call, message):
    with pytest.raises(ValueError, match=message) as error:
        call()
    assert "\n" not in str(error.value)
