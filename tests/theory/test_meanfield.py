"""Maps, fixed points, criticality and stack predictions: reference table, closed forms, plain iteration, data."""

import math
import subprocess
import sys

import numpy as np
import pytest
from oracles.numpy_activations import PHIS, leaky

from jaxact import theory as mf

# At q = 1: E[φ], E[φ²], E[φ'²], σ_w² for χ = 1, σ_b² on the edge of chaos; printed digits, so half a digit of slack.
TABLE = {
    "sigmoid": (0.5, 0.29337904, 0.04483624, 22.303386, None),
    "tanh": (0, 0.39429449, 0.46440290, 2.153303, 0.150965),
    "relu": (0.39894228, 0.5, 0.5, 2, 0),
    "leaky": (0.39495286, 0.50005, 0.50005, 1.999800, 0),
    "prelu": (0.29920671, 0.53125, 0.53125, 1.882353, 0),
    "elu": (0.16052057, 0.64494542, 0.66810200, 1.496777, 0.034660),
    "selu": (0, 1, 1.07157499, 0.933206, 0.066794),
    "silu": (0.20662096, 0.35577552, 0.37948235, 2.635169, 0.062472),
    "gelu": (0.28209479, 0.42522148, 0.45585087, 2.193700, 0.067192),
    "softplus": (0.80605918, 0.92124591, 0.29337904, 3.408560, None),
    "mish": (0.24040389, 0.45234219, 0.47908376, 2.087318, 0.055818),
    "softsign": (0, 0.18301402, 0.22767134, 4.392296, 0.196148),
}


@pytest.mark.parametrize("name", TABLE)
def test_reference_table(name):
    mean, square, slope_square, weight_variance, bias_variance = TABLE[name]
    result = mf.moments(PHIS[name], 1.0)
    np.testing.assert_allclose(result[:3], (mean, square, slope_square), rtol=0, atol=5.1e-9)
    assert mf.critical_weight_variance(PHIS[name], 1.0) == pytest.approx(weight_variance, abs=5.1e-7)
    if bias_variance is None:
        with pytest.raises(ValueError, match="no edge of chaos at q = 1.0"):
            mf.edge_of_chaos(PHIS[name], 1.0)
    else:
        assert mf.edge_of_chaos(PHIS[name], 1.0) == pytest.approx((weight_variance, bias_variance), abs=5.1e-7)


def test_erf_reference_values():
    assert mf.moments(PHIS["erf"], 1.0).square == pytest.approx(0.464559054, abs=5.1e-10)
    assert mf.moments(PHIS["erf"], 1.0).slope_square == pytest.approx(4 / (math.pi * math.sqrt(5)), rel=1e-10)


@pytest.mark.parametrize(
    "q,weight_variance,bias_variance",
    [(0.1, 1.17756910, 0.00083228), (0.5, 1.68797512, 0.03804120), (1, 2.15330265, 0.15096463)],
)
def test_tanh_edge_of_chaos_reference(q, weight_variance, bias_variance):
    init = mf.edge_of_chaos(PHIS["tanh"], q)
    assert init == pytest.approx((weight_variance, bias_variance), abs=5.1e-9)
    (point,) = mf.variance_fixed_points(PHIS["tanh"], *init)
    assert point.value == pytest.approx(q, rel=1e-9)
    assert mf.susceptibility(PHIS["tanh"], point.value, init.weight_variance) == pytest.approx(1, rel=1e-9)


@pytest.mark.parametrize("slope", [0.0, 0.01, 0.25, 1.0])
@pytest.mark.parametrize("q", [0.1, 7.0])
def test_leaky_critical_initialisation_is_he(slope, q):
    assert mf.edge_of_chaos(leaky(slope), q) == pytest.approx((2 / (1 + slope**2), 0), rel=1e-10)


@pytest.mark.parametrize(
    "name,weight_variance,bias_variance,q,chi",
    [("tanh", 1.5, 0.05, 0.41803720, 0.93863627), ("sigmoid", 1 / 3, 0.0, 0.08503376, 0.02000783)],
)
def test_fixed_point_reference(name, weight_variance, bias_variance, q, chi):
    (point,) = mf.variance_fixed_points(PHIS[name], weight_variance, bias_variance)
    assert point.value == pytest.approx(q, abs=5.1e-9)
    assert point.stable
    assert mf.susceptibility(PHIS[name], point.value, weight_variance) == pytest.approx(chi, abs=5.1e-9)


@pytest.mark.parametrize("name,init", [("tanh", (1.8, 0.1)), ("elu", (1.2, 0.3)), ("sigmoid", (4.0, 0.5))])
def test_fixed_points_and_depth_scales_match_plain_iteration(name, init):
    """The last deviations of the iterated maps must shrink by exp(−1/ξ) per layer."""
    phi, (point,) = PHIS[name], mf.variance_fixed_points(PHIS[name], *init)
    start = point.value * 1.01
    after = mf.variance_map(phi, mf.variance_map(phi, start, *init), *init)
    q = start
    for _ in range(120):
        q = mf.variance_map(phi, q, *init)
    assert point.value == pytest.approx(q, rel=1e-9)
    assert (after - q) / (start - q) == pytest.approx(math.exp(-2 / point.depth_scale), rel=0.02)

    pair = mf.correlation_fixed_point(phi, q, *init)
    c = pair.value - 1e-4
    mapped = mf.correlation_map(phi, q, c, *init)
    assert (mapped - pair.value) / (c - pair.value) == pytest.approx(math.exp(-1 / pair.depth_scale), rel=1e-3)
    assert mf.correlation_map(phi, q, pair.value, *init) == pytest.approx(pair.value, abs=1e-12)


def test_zero_is_an_unstable_fixed_point_of_chaotic_tanh():
    zero, other = mf.variance_fixed_points(PHIS["tanh"], 1.5)
    assert (zero.value, zero.stable) == (0.0, False)
    assert zero.slope == pytest.approx(1.5, rel=1e-8)  # σ_w² φ'(0)²
    assert zero.depth_scale < 0 < other.depth_scale
    assert other.stable
    c_star = mf.correlation_fixed_point(PHIS["tanh"], other.value, 1.5)
    assert c_star.value == 0.0  # odd activation without bias: chaos decorrelates fully


def test_relu_fixed_points():
    """q* = σ_b²/(1 − σ_w²/2) below σ_w² = 2, none above, every q at 2 without bias."""
    (point,) = mf.variance_fixed_points(PHIS["relu"], 1.2, 0.3)
    assert point[:2] == pytest.approx((0.3 / 0.4, 0.6), rel=1e-12)
    assert mf.variance_fixed_points(PHIS["relu"], 2.5, 0.3) == ()
    with pytest.raises(ValueError, match="every q is a fixed point"):
        mf.variance_fixed_points(PHIS["relu"], 2.0)
    assert mf.correlation_fixed_point(PHIS["relu"], 3.0, 2.0)[:3] == pytest.approx((1.0, 1.0, True))


def test_critical_relu_correlation_converges_as_inverse_square():
    """f(c) − c → 2√2/(3π) (1 − c)^{3/2}, which integrates to 1 − c^l → 9π²/(2l²)."""
    gap = 1e-6
    rise = mf.correlation_map(PHIS["relu"], 1.0, 1 - gap, 2.0) - (1 - gap)
    rate = rise / gap**1.5
    assert 4 / rate**2 == pytest.approx(9 * math.pi**2 / 2, rel=1e-3)


@pytest.mark.parametrize("name", ["tanh", "selu", "relu", "hard_sigmoid"])
def test_variance_slope_matches_central_difference(name):
    high, low = (mf.variance_map(PHIS[name], 0.7 + step, 1.3, 0.1) for step in (1e-5, -1e-5))
    assert mf.variance_slope(PHIS[name], 0.7, 1.3) == pytest.approx((high - low) / 2e-5, rel=1e-8)


@pytest.mark.parametrize("slope,expected", [(math.exp(-0.25), 4.0), (1.0, math.inf), (math.e, -1.0), (0.0, 0.0)])
def test_depth_scale(slope, expected):
    assert mf.depth_scale(slope) == pytest.approx(expected)


@pytest.mark.parametrize(
    "name,weight_variance,bias_variance",
    [
        ("torch_default", 1 / 3, 1 / 600),
        ("lecun_normal", 1, 0),
        ("he_normal", 2, 0),
        ("glorot_uniform", 2 * 200 / 250, 0),
        ("orthogonal", 1, 0),
    ],
)
def test_initialisers(name, weight_variance, bias_variance):
    assert mf.initialiser(name, 200, 50) == pytest.approx((weight_variance, bias_variance))
    assert mf.stack_inits(name, [200, 50]) == (mf.initialiser(name, 200, 50),)
    assert mf.initialiser("orthogonal", 50, 200).weight_variance == 0.25


def test_input_statistics_match_the_gram_matrix():
    x = np.random.default_rng(0).uniform(-0.4, 2.8, (60, 30)).astype(np.float32)
    gram = x.astype(float) @ x.astype(float).T / 30
    off_diagonal = gram[~np.eye(60, dtype=bool)]
    got = mf.input_statistics(x)
    assert got.q == pytest.approx(np.trace(gram) / 60, rel=1e-6)
    assert got.c == pytest.approx(off_diagonal.mean() / got.q, rel=1e-6)


def test_stack_matches_the_maps_layer_by_layer():
    widths = (784, 500, 256, 10)
    names = ("relu", "sigmoid", "selu")
    inits = mf.stack_inits("torch_default", widths)
    got = mf.predict_stack([PHIS[name] for name in names], widths, inits, 0.983, 0.285)
    q, c = mf.variance_map(PHIS["identity"], 0.983, *inits[0]), None
    c = mf.correlation_map(PHIS["identity"], 0.983, 0.285, *inits[0])
    for i, name in enumerate(names):
        assert (got.q[i], got.c[i]) == pytest.approx((q, c), rel=1e-12)
        assert got.chi[i] == pytest.approx(mf.susceptibility(PHIS[name], q, 1 / 3), rel=1e-12)
        assert got.chi_pair[i] == pytest.approx(mf.susceptibility(PHIS[name], q, 1 / 3, c), rel=1e-12)
        if i < 2:
            c = mf.correlation_map(PHIS[name], q, c, *inits[i + 1])
            q = mf.variance_map(PHIS[name], q, *inits[i + 1])
    np.testing.assert_allclose(got.jacobian, np.array(widths[1:]) * got.chi)
    np.testing.assert_allclose(got.chi_product[-1], np.prod(got.chi))
    # Relu's χ is σ_w²/2 exactly, the sigmoid's lies in the range the study found.
    assert got.chi[0] == pytest.approx(1 / 6, rel=1e-10)
    assert 0.0195 < got.chi[1] < 0.0203 and 0.47 < got.chi[2] < 0.58
    np.testing.assert_allclose(got.apjn, [[1, 0, 0], [got.chi[0], 1, 0], [got.chi[0] * got.chi[1], got.chi[1], 1]])


def test_stack_of_zero_inputs_is_defined():
    got = mf.predict_stack([PHIS["relu"]] * 2, (4, 3, 2), mf.stack_inits("he_normal", (4, 3, 2)), 0.0, 0.0)
    np.testing.assert_array_equal(got.q, 0)
    np.testing.assert_array_equal(got.c, 1)


BAD = [
    (lambda: mf.variance_map(PHIS["tanh"], 1.0, -1.0), "weight_variance = -1.0"),
    (lambda: mf.variance_map(PHIS["tanh"], 1.0, 1.0, math.nan), "bias_variance = nan"),
    (lambda: mf.correlation_map(PHIS["tanh"], 1.0, 1.2, 1.0), r"c = 1.2 .* \[-1, 1\]"),
    (lambda: mf.susceptibility(PHIS["tanh"], 1.0, 1.0, math.nan), "c = nan"),
    (lambda: mf.variance_slope(PHIS["tanh"], 0.0, 1.0), "must be finite and > 0"),
    (lambda: mf.edge_of_chaos(PHIS["tanh"], 0), "q = 0.0"),
    (lambda: mf.critical_weight_variance(mf.Phi(np.zeros_like, np.zeros_like), 1.0), "no weight variance"),
    (lambda: mf.correlation_fixed_point(PHIS["tanh"], 1.0, 1.5, 0.05), "no fixed point"),
    (lambda: mf.depth_scale(-0.1), "slope = -0.1"),
    (lambda: mf.initialiser("xavier", 3, 4), "'xavier' is unknown"),
    (lambda: mf.initialiser("he_normal", 0, 4), "fan_in = 0"),
    (lambda: mf.stack_inits("he_normal", [5]), "at least 2"),
    (lambda: mf.input_statistics(np.zeros((3, 2))), "sum of squares"),
    (lambda: mf.input_statistics(np.full((3, 2), np.nan)), "sum of squares"),
    (lambda: mf.input_statistics(np.ones((3, 2, 2))), "flatten each input"),
    (lambda: mf.predict_stack([PHIS["tanh"]], (3, 4, 5), mf.stack_inits("he_normal", (3, 4, 5)), 1, 0), "do not match"),
    (lambda: mf.predict_stack([PHIS["tanh"]], (3, 4), [mf.Init(1, 0)], -1, 0), "q0 = -1.0"),
    (lambda: mf.predict_stack([PHIS["tanh"]], (3, 4), [mf.Init(-1, 0)], 1, 0), "weight_variance = -1.0"),
    (lambda: mf.predict_stack([PHIS["tanh"]], (3, 4), [mf.Init(1, 0)], 1, 2), "c0 = 2.0"),
]


@pytest.mark.parametrize("call,message", BAD, ids=[message for _, message in BAD])
def test_bad_input_is_refused_in_one_line(call, message):
    with pytest.raises(ValueError, match=message) as error:
        call()
    assert "\n" not in str(error.value)


def test_import_stays_light():
    code = "import sys, jaxact.theory; print(sorted({'jax', 'flax', 'scipy.optimize', 'scipy.stats'} & {*sys.modules}))"
    got = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (got.returncode, got.stdout.strip()) == (0, "[]"), got.stderr
