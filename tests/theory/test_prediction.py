"""Predictions against NumPy activations, closed forms, a second quadrature, Monte-Carlo, and real finite networks."""

import math

import numpy as np
import pytest
from oracles.numpy_activations import PHIS
from scipy.integrate import quad
from scipy.stats import norm

from jaxact import activations, data, theory
from jaxact.activations import pointwise
from jaxact.config import Config
from jaxact.theory import prediction

INF = math.inf
HALF = ((-INF, 0.0),)
SIDES = ((-INF, -1.0), (1.0, INF))
BAND = ((-0.5, 0.5),)


def config(*names, widths=None, **more):
    return Config(activations=names, widths=widths or (40, 30, 10)[-len(names) :], **more)


def predict(*names, features=20, q0=1.0, c0=0.3, inputs=100, **more):
    return prediction.predict(config(*names, **more), features, theory.InputStatistics(q0, c0), inputs)


# φ, φ' and where φ' is 0


@pytest.mark.parametrize("name", ["relu", "sigmoid", "tanh", "selu"])
@pytest.mark.parametrize("shape", [(), (0,), (7,), (3, 5), (4097,), (2, 4096)])
def test_phi_equals_numpy_on_every_shape(name, shape):
    x = np.random.default_rng(0).normal(0, 3, shape)
    phi = prediction.phi(name)
    np.testing.assert_allclose(phi.f(x), PHIS[name].f(x), rtol=1e-13, atol=1e-15)
    # 1 − tanh² is off by twice the rounding of tanh near 1, up to four units in its last place.
    np.testing.assert_allclose(phi.df(x), PHIS[name].df(x), rtol=1e-13, atol=4 * np.finfo(float).eps * 2)
    assert phi.f(x).shape == phi.df(x).shape == shape and phi.f(x).dtype == np.float64


def test_all_shapes_share_one_compilation():
    seen = []
    evaluate = pointwise.blockwise(lambda x: seen.append(x.shape) or x)
    for shape in [(1,), (96, 240), (128, 320), (5000,)]:
        evaluate(np.zeros(shape))
    assert len(seen) > 10 and set(seen) == {(pointwise.BLOCK,)}


@pytest.mark.parametrize("name", activations.names("elementwise"))
def test_flat_intervals_are_where_differences_vanish(name):
    """Central differences of φ are exactly 0 inside, and nowhere else up to |x| = 4."""
    entry = activations.get(name)
    x = np.linspace(-3.993, 3.997, 400)
    away = np.all([abs(x - kink) > 2e-3 for kink in (entry.kinks or ())], axis=0) & (abs(x) > 2e-3)
    x, f = x[away], activations.as_numpy(entry)[0]
    flat = f(x + 1e-3) == f(x - 1e-3)
    inside = np.any([(left < x) & (x < right) for left, right in prediction.flat_intervals(entry)], axis=0)
    np.testing.assert_array_equal(flat, np.broadcast_to(inside, x.shape))


@pytest.mark.parametrize(
    ("spec", "intervals"),
    [
        ("relu", HALF),
        ("relu6", ((-INF, 0.0), (6.0, INF))),
        ("threshold:threshold=-2.0", ((-INF, -2.0),)),
        ("hard_silu", ((-INF, -3.0),)),
        ("softshrink:lambd=0.25", ((-0.25, 0.25),)),
        ("elu:alpha=0", HALF),
        ("elu", ()),
        ("sigmoid", ()),
    ],
)
def test_flat_intervals_by_name(spec, intervals):
    assert prediction.flat_intervals(activations.get(spec)) == intervals


def test_a_piece_whose_slope_is_zero_at_one_point_is_not_flat(tmp_path, monkeypatch):
    source = "import jax.numpy as jnp\ndef bowl(x):\n    return jnp.where(abs(x) < 1, x * x, 1.0)\n"
    (tmp_path / "bowl_for_prediction.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    flat = prediction.flat_intervals(activations.get("bowl_for_prediction:bowl"))
    np.testing.assert_allclose(flat, [(-INF, -1), (1, INF)], atol=1e-8)


def test_a_users_own_function_is_predicted_like_the_same_one_of_the_catalogue(tmp_path, monkeypatch):
    (tmp_path / "mine_for_prediction.py").write_text(
        "import jax\ndef ramp(x):\n    return jax.nn.hard_tanh(x)\n", encoding="utf-8"
    )
    monkeypatch.syspath_prepend(tmp_path)
    own, known = (predict("sigmoid", name) for name in ("mine_for_prediction:ramp", "hard_tanh"))
    np.testing.assert_allclose(own.dead, known.dead, rtol=1e-6, atol=1e-300)
    np.testing.assert_allclose(own.stack.chi, known.stack.chi, rtol=1e-6)


# probability of a dead unit


@pytest.mark.parametrize("n", [1, 2, 9, 1000])
def test_at_correlation_one_half_a_relu_unit_is_dead_once_in_n_plus_one(n):
    assert prediction.dead_probability(HALF, 2.7, 0.5, n) == pytest.approx(1 / (n + 1), rel=1e-9)


@pytest.mark.parametrize("edge", [-0.7, 0.0, 0.7])
@pytest.mark.parametrize("c", [0.1, 0.3, 0.9, 0.999, 1 - 1e-6])
@pytest.mark.parametrize("n", [2, 60_000])
def test_the_integral_over_pieces_equals_the_one_over_a_half_line(edge, c, n):
    """Two quadratures: around the peak of a log-concave integrand, and on panels around the edges."""
    piece = np.array([[-INF, edge]])
    expected = theory.dead_probability(c, n, -edge, 0.64)
    assert prediction._integral(piece, 0.8, c, n) == pytest.approx(expected, rel=1e-8, abs=1e-12)
    assert prediction.dead_probability(((-INF, edge),), 0.64, c, n) == pytest.approx(expected, rel=1e-12)
    assert prediction.dead_probability(((-edge, INF),), 0.64, c, n) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("intervals", [SIDES, BAND, ((-INF, 0.0), (1.5, INF))])
@pytest.mark.parametrize("n", [1, 2, 5])
def test_pieces_agree_with_monte_carlo(intervals, n):
    rng = np.random.default_rng(1)
    q, c, draws = 2.0, 0.6, 400_000
    h = np.sqrt(q) * (np.sqrt(c) * rng.normal(size=(draws, 1)) + np.sqrt(1 - c) * rng.normal(size=(draws, n)))
    dead = np.any([(left <= h) & (h <= right) for left, right in intervals], axis=0).all(axis=1).mean()
    expected = prediction.dead_probability(intervals, q, c, n)
    assert abs(dead - expected) < 4 * np.sqrt(expected * (1 - expected) / draws)


@pytest.mark.parametrize("c", [0.9, 0.99, 0.9999])
def test_pieces_agree_with_adaptive_quadrature(c):
    def integrand(z):
        mean, own = np.sqrt(c) * z, np.sqrt(1 - c)
        inside = sum(norm.cdf((right - mean) / own) - norm.cdf((left - mean) / own) for left, right in SIDES)
        return min(inside, 1) ** 60_000 * norm.pdf(z)

    edge = 1 / np.sqrt(c)
    points = [sign * (edge + k * np.sqrt((1 - c) / c)) for sign in (-1, 1) for k in (0, 2, 4, 5, 8)]
    expected = quad(integrand, -10, 10, points=points, epsabs=1e-13, epsrel=1e-11, limit=500)[0]
    assert prediction.dead_probability(SIDES, 1.0, c, 60_000) == pytest.approx(expected, rel=1e-8)


def test_limits_of_the_probability():
    both = 2 * norm.cdf(-1)
    assert prediction.dead_probability(SIDES, 1.0, 1.0, 10**6) == pytest.approx(both)  # one input in effect
    assert prediction.dead_probability(SIDES, 1.0, 0.0, 3) == pytest.approx(both**3)  # independent inputs
    assert prediction.dead_probability((), 1.0, 0.9, 5) == 0
    assert prediction.dead_probability(((-INF, INF),), 1.0, 0.5, 5) == 1
    assert prediction.dead_probability(HALF, 0.0, 1.0, 5) == 1  # the constant 0 has slope 0 under relu
    assert prediction.dead_probability(SIDES, 0.0, 1.0, 5) == 0
    assert prediction.dead_probability(HALF, 1.0, -1e-5, 10) == prediction.dead_probability(HALF, 1.0, 0.0, 10)


# whole stacks


@pytest.mark.parametrize("names", [("relu", "sigmoid", "relu"), ("selu", "tanh", "sigmoid")])
def test_the_stack_is_that_of_the_theory_with_numpy_activations(names):
    found = predict(*names, features=784, inputs=60_000)
    inits = theory.stack_inits("torch_default", (784, 40, 30, 10))
    expected = theory.predict_stack([PHIS[name] for name in names], (784, 40, 30, 10), inits, 1.0, 0.3)
    for ours, theirs in zip(found.stack, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-14)


def test_numbers_derived_from_a_prediction():
    found = predict("sigmoid", "relu", widths=(30, 10))
    np.testing.assert_allclose(found.expected_dead, found.dead * [30, 10])
    assert found.dead_outputs.sum() == pytest.approx(1)
    assert found.dead_outputs @ np.arange(11) == pytest.approx(found.expected_dead[-1])
    assert found.dead_outputs[0] == pytest.approx((1 - found.dead[-1]) ** 10)
    q = found.stack.q[0]
    square = theory.moments(PHIS["sigmoid"], q).square
    assert found.mean_share[0] == pytest.approx(0.25 / square)  # E[σ] = ½ whatever q


def test_active_units_are_those_of_samples():
    h = np.random.default_rng(0).normal(0, np.sqrt(1 / 3), 400_000)
    for name, phi in [("relu", PHIS["relu"].f), ("sigmoid", PHIS["sigmoid"].f), ("softshrink", shrink)]:
        found = predict(name, "relu", widths=(30, 10), features=10**6)
        expected = 30 * np.mean(phi(h) ** 2) ** 2 / np.mean(phi(h) ** 4)
        assert found.active[0] == pytest.approx(expected, rel=0.02)
    assert predict("threshold:threshold=1000", "relu").active[0] == 0


def shrink(x):
    return np.sign(x) * np.maximum(np.abs(x) - 0.5, 0)


def test_on_one_group_of_independent_inputs_the_two_ways_agree():
    """One integrates over two inputs exactly, the other on a grid of the common part: 0.5 % apart at most."""
    group = theory.InputGroups(1.0, 0.3, (1.0,), (1.0,), ((0.3,),), 1.0)
    for names in [("relu", "sigmoid", "relu"), ("sigmoid", "hard_tanh"), ("hardshrink", "softshrink"), ("relu6",) * 2]:
        exact = predict(*names)
        ours = prediction.predict(config(*names), 20, group, 100)
        np.testing.assert_allclose(ours.dead, exact.dead, rtol=5e-3, atol=1e-7)
        np.testing.assert_array_equal(ours.stack.chi, exact.stack.chi)


def test_random_and_learnable_activations_count_as_at_test_and_at_the_start():
    slope = {"rrelu": 11 / 48, "prelu": 0.25}
    for name, a in slope.items():
        ours, leaky = predict(name, "relu"), predict(f"leaky_relu:negative_slope={a!r}", "relu")
        np.testing.assert_allclose(ours.dead, leaky.dead, rtol=1e-9)
        np.testing.assert_allclose(ours.stack.chi, leaky.stack.chi, rtol=1e-12)


@pytest.mark.parametrize(
    ("names", "scale"), [(("sigmoid", "relu"), 1), (("relu", "sigmoid", "relu"), 1), (("hard_tanh",), 1000)]
)
def test_dead_units_of_real_networks_on_equally_correlated_inputs(names, scale):
    """NumPy networks of width 300 with PyTorch's default initialisation; 4 standard errors over the networks."""
    phis = {"sigmoid": PHIS["sigmoid"].f, "relu": PHIS["relu"].f, "hard_tanh": lambda x: np.clip(x, -1, 1)}
    rng = np.random.default_rng(3)
    features, inputs, outputs, networks = 300, 150, 600, 12
    x = scale * (np.sqrt(0.4) * rng.normal(size=features) + np.sqrt(0.6) * rng.normal(size=(inputs, features)))
    dead = []
    for _ in range(networks):
        out = x
        widths = (*[300] * (len(names) - 1), outputs)
        for name, width in zip(names, widths, strict=True):
            bound = out.shape[1] ** -0.5
            h = out @ rng.uniform(-bound, bound, (out.shape[1], width)) + rng.uniform(-bound, bound, width)
            out = phis[name](h)
        flat = h <= 0 if names[-1] == "relu" else abs(h) >= 1
        dead.append(flat.all(axis=0).mean())
    widths = (*[300] * (len(names) - 1), outputs)
    expected = prediction.predict(config(*names, widths=widths), features, theory.input_statistics(x), inputs)
    assert abs(np.mean(dead) - expected.dead[-1]) < 4 * np.std(dead, ddof=1) / np.sqrt(networks)
    assert 0.15 < expected.dead[-1] < 0.9


# constants and errors


def constants_agree(name, images):
    known, measured = prediction.STATISTICS[name], theory.input_groups(images)
    np.testing.assert_allclose(known[:2], measured[:2], atol=5e-8)
    np.testing.assert_allclose(known[:2], theory.input_statistics(images), atol=5e-8)
    for ours, theirs in zip(known[2:5], measured[2:5], strict=True):
        np.testing.assert_allclose(ours, theirs, atol=5.1e-5)
    assert known.exponent == pytest.approx(measured.exponent, abs=6e-4)


def test_the_constants_of_digits_are_those_of_the_data():
    constants_agree("digits", data.load("digits").train_images)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_the_constants_of_the_large_data_sets_are_those_of_the_data(name):
    try:
        images = data.load(name, offline=True).train_images
    except ValueError:
        pytest.skip(f"{name} is not on this machine")
    constants_agree(name, images)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_norm": (1,)}, r"batch norm on layers \[1\]"),
        ({"inputs": 0}, "inputs = 0"),
        ({"features": 0}, "features = 0"),
        ({"q0": 0.0}, "q0 = 0"),
        ({"q0": math.nan}, "q0 = nan"),
        ({"c0": 1.5}, "c0 = 1.5"),
        ({"c0": -0.5}, r"c0 = -0.5 is below -1/\(inputs - 1\) for 100 inputs"),
    ],
)
def test_bad_input_is_one_clear_line(change, message):
    with pytest.raises(ValueError, match=message) as error:
        predict("relu", "relu", **change)
    assert "\n" not in str(error.value)


def test_a_function_along_an_axis_is_refused():
    with pytest.raises(ValueError, match="softmax acts along an axis"):
        prediction.phi("softmax")
