"""Every function of the catalogue against formulas written here in mpmath, and through JAX's transformations."""

import chex
import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
import scipy.special

from jaxact import activations as catalogue
from jaxact.activations.pointwise import gaussian_mean

ELEMENTWISE = catalogue.names("elementwise")
SCALE, ALPHA = mp.mpf("1.0507009873554804934193349852946"), mp.mpf("1.6732632423543772848170429916717")
NARROW = ("bfloat16", "float16", "float32")


def sigma(x):
    return 1 / (1 + mp.exp(-x))


def softplus(x):
    return mp.log1p(mp.exp(x))


def exponential(x, alpha):
    return x if x > 0 else alpha * mp.expm1(x)


def leaky(slope):
    return lambda x: x if x >= 0 else slope * x


def clip(x, low, high):
    return min(max(x, mp.mpf(low)), mp.mpf(high))


FORMULAS = {
    "celu": lambda x: exponential(x, 1),
    "centred_sigmoid": lambda x: sigma(x) - mp.mpf(1) / 2,
    "elu": lambda x: exponential(x, 1),
    "erf": mp.erf,
    "gaussian": lambda x: mp.exp(-x * x),
    "gelu": lambda x: x * mp.ncdf(x),
    "gelu_tanh": lambda x: x * (1 + mp.tanh(mp.sqrt(2 / mp.pi) * (x + mp.mpf("0.044715") * x**3))) / 2,
    "hard_sigmoid": lambda x: clip(x + 3, 0, 6) / 6,
    "hard_silu": lambda x: x * clip(x + 3, 0, 6) / 6,
    "hard_tanh": lambda x: clip(x, -1, 1),
    "hardshrink": lambda x: x if abs(x) > 0.5 else mp.mpf(0),
    "identity": lambda x: x,
    "leaky_relu": leaky(mp.mpf("0.01")),
    "lecun_tanh": lambda x: mp.mpf("1.7159") * mp.tanh(2 * x / 3),
    "lisht": lambda x: x * mp.tanh(x),
    "log_sigmoid": lambda x: mp.log(sigma(x)),
    "mish": lambda x: x * mp.tanh(softplus(x)),
    "prelu": leaky(mp.mpf("0.25")),
    "relu": lambda x: max(x, mp.mpf(0)),
    "relu6": lambda x: clip(x, 0, 6),
    "rrelu": leaky(mp.mpf(11) / 48),
    "selu": lambda x: SCALE * exponential(x, ALPHA),
    "sigmoid": sigma,
    "silu": lambda x: x * sigma(x),
    "sine": mp.sin,
    "softplus": softplus,
    "softshrink": lambda x: mp.sign(x) * max(abs(x) - mp.mpf(1) / 2, mp.mpf(0)),
    "softsign": lambda x: x / (1 + abs(x)),
    "squareplus": lambda x: (x + mp.sqrt(x * x + 4)) / 2,
    "swish": lambda x: x * sigma(x),
    "tanh": mp.tanh,
    "tanhshrink": lambda x: x - mp.tanh(x),
    "threshold": lambda x: x if x > 1 else mp.mpf(0),
}

# Closed forms of φ', written by hand.
SLOPES = {
    "sigmoid": lambda x: scipy.special.expit(x) * scipy.special.expit(-x),
    "tanh": lambda x: 1 / np.cosh(x) ** 2,
    "relu": lambda x: 1.0 * (x > 0),
    "relu6": lambda x: 1.0 * ((x > 0) & (x < 6)),
    "leaky_relu": lambda x: np.where(x > 0, 1.0, 0.01),
    "elu": lambda x: np.exp(np.minimum(x, 0)),
    "softplus": scipy.special.expit,
    "log_sigmoid": lambda x: scipy.special.expit(-x),
    "softsign": lambda x: 1 / (1 + np.abs(x)) ** 2,
    "silu": lambda x: scipy.special.expit(x) * (1 + x * scipy.special.expit(-x)),
    "gelu": lambda x: scipy.special.ndtr(x) + x * np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi),
    "erf": lambda x: 2 / np.sqrt(np.pi) * np.exp(-(x**2)),
    "gaussian": lambda x: -2 * x * np.exp(-(x**2)),
    "sine": np.cos,
    "lisht": lambda x: np.tanh(x) + x / np.cosh(x) ** 2,
    "tanhshrink": lambda x: np.tanh(x) ** 2,
    "squareplus": lambda x: (1 + x / np.sqrt(x**2 + 4)) / 2,
    "hardshrink": lambda x: 1.0 * (np.abs(x) > 0.5),
    "hard_silu": lambda x: np.where(np.abs(x) < 3, (2 * x + 3) / 6, 1.0 * (x > 0)),
}

# 0 is a kink of many: φ'(0) is tested apart. One array for all float64 evaluations saves compilations.
POINTS = np.array(
    [-1e4, -300, -30, -7.3, -3.3, -2.5, -1.2, -0.7, -0.3, -1e-3, 0]
    + [1e-3, 0.2, 0.6, 1.1, 1.7, 2.9, 5.5, 6.5, 12, 30, 300, 1e4]
)
SMOOTH = POINTS != 0


def test_every_entry_has_a_formula():
    assert set(FORMULAS) == set(ELEMENTWISE)
    assert len(catalogue.names()) >= 35


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_float64_against_mpmath(name):
    # Independent: 30-digit arithmetic, and its numerical differentiation; ±1e4 included.
    entry = catalogue.get(name)
    phi, dphi = catalogue.as_numpy(entry)
    with mp.workdps(30):
        value = [float(FORMULAS[name](mp.mpf(x))) for x in POINTS]
        slope = [float(mp.diff(FORMULAS[name], mp.mpf(x))) if x else entry.derivative_at_zero for x in POINTS]
    np.testing.assert_array_less(np.abs(phi(POINTS) - value), 1e-14 * np.maximum(1, np.abs(POINTS)))
    np.testing.assert_array_less(np.abs(dphi(POINTS) - slope), 4e-14)
    if name in SLOPES:
        near = SMOOTH & (np.abs(POINTS) < 100)
        np.testing.assert_allclose(dphi(POINTS)[near], SLOPES[name](POINTS[near]), atol=1e-14, rtol=1e-12)
    with jax.enable_x64(True):
        assert jax.eval_shape(entry, jax.ShapeDtypeStruct((2,), jnp.float64)).dtype == jnp.float64


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_derivative_against_finite_differences(name):
    entry = catalogue.get(name)
    points = np.linspace(-6.03, 6.57, POINTS.size)
    report = catalogue.check_derivative(*catalogue.as_numpy(entry), points, kinks=entry.kinks)
    assert report.passed, report


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_narrow_dtypes_and_extremes(name):
    # Value, gradient and tangent at ±1e4 and around in each narrow precision, against float64 (tested above).
    entry = catalogue.get(name)
    phi, dphi = catalogue.as_numpy(entry)
    points = np.resize([-1e4, -300, -20, -1.5, 0, 0.25, 20, 300, 1e4], POINTS.shape)
    inputs = [jnp.array(points, dtype) for dtype in NARROW]
    bare = jax.eval_shape(lambda xs: [entry.fn(x, **{p.name: p.value for p in entry.parameters}) for x in xs], inputs)

    def all_of(x):
        return jax.jvp(entry, (x,), (jnp.ones_like(x),)) + (catalogue.derivative(entry)(x),)

    for x, own, results in zip(inputs, bare, jax.jit(lambda xs: [all_of(point) for point in xs])(inputs), strict=True):
        assert [r.dtype for r in (*results, own)] == [x.dtype] * 4
        exact, eps = np.asarray(x, np.float64), float(jnp.finfo(x.dtype).eps)
        value, tangent, slope = (np.asarray(r, np.float64) for r in results)
        bound = 8 * eps * np.maximum(1, np.abs(exact))
        np.testing.assert_array_less(np.abs(value - phi(exact)), bound)
        # A gradient is O(1): terms that cancel leave a few eps of it. Only a sine amplifies the error of its phase.
        slope_bound = bound if name == "sine" else np.full_like(bound, 8 * eps)
        np.testing.assert_array_less(np.abs(slope - dphi(exact)), slope_bound)
        np.testing.assert_array_less(np.abs(tangent - dphi(exact)), slope_bound)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_transformations_agree(name):
    entry = catalogue.get(name)
    x = jnp.resize(jnp.array([-2.2, -0.4, 0.0, 0.3, 1.4, 6.3]), (1, POINTS.size))

    def single(x):  # one number: mapped over rows and columns below
        return entry(x), jax.grad(entry)(x), jax.jvp(entry, (x,), (jnp.ones_like(x),))[1]

    value, reverse, forward = jax.jit(jax.vmap(jax.vmap(single)))(x)
    chex.assert_trees_all_close(entry(x), value, rtol=1e-6, atol=1e-6)
    chex.assert_trees_all_close(
        catalogue.as_numpy(entry)[1](x[0])[None].astype(np.float32), reverse, forward, rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_gaussian_moments_against_mpmath(name):
    entry, formula = catalogue.get(name), FORMULAS[name]
    assert entry.kinks is not None
    with mp.workdps(18):
        edges = sorted({mp.mpf(k) for k in (*range(-12, 13, 3), *entry.kinks)})
        mean = mp.quad(lambda z: formula(z) * mp.npdf(z), edges)
        square = mp.quad(lambda z: formula(z) ** 2 * mp.npdf(z), edges)
    assert entry.mean == pytest.approx(float(mean), abs=1e-12)
    assert entry.variance == pytest.approx(float(square - mean**2), abs=1e-12)
    assert entry.gain == pytest.approx(float(1 / mp.sqrt(square)), rel=1e-12)


@pytest.mark.parametrize(
    ("name", "mean", "square", "slope_square"),
    [  # REFERENCE table: E[φ], E[φ²], E[φ'²] for q = 1
        ("sigmoid", 0.5, 0.29337904, 0.04483624),
        ("tanh", 0, 0.39429449, 0.46440290),
        ("relu", 0.39894228, 0.5, 0.5),
        ("leaky_relu", 0.39495286, 0.50005, 0.50005),
        ("prelu", 0.29920671, 0.53125, 0.53125),
        ("elu", 0.16052057, 0.64494542, 0.66810200),
        ("selu", 0, 1, 1.07157499),
        ("silu", 0.20662096, 0.35577552, 0.37948235),
        ("gelu", 0.28209479, 0.42522148, 0.45585087),
        ("softplus", 0.80605918, 0.92124591, 0.29337904),
        ("mish", 0.24040389, 0.45234219, 0.47908376),
        ("softsign", 0, 0.18301402, 0.22767134),
        ("erf", 0, 0.464559054, 4 / (np.pi * np.sqrt(5))),
    ],
)
def test_reference_moments(name, mean, square, slope_square):
    entry = catalogue.get(name)
    dphi = catalogue.as_numpy(entry)[1]
    got = entry.mean, entry.variance + entry.mean**2, gaussian_mean(lambda z: dphi(z) ** 2, entry.kinks or ())
    np.testing.assert_allclose(got, (mean, square, slope_square), atol=5.1e-9)


@pytest.mark.parametrize(
    ("name", "at", "minimum", "steepest", "slope"),
    [
        ("silu", -1.278465, -0.27846454, 2.399357, 1.09983932),
        ("gelu", -0.751792, -0.16997121, np.sqrt(2), None),
        ("gelu_tanh", -0.752461, None, 1.418504, None),
        ("mish", -1.192431, -0.30884341, 1.490571, None),
    ],
)
def test_reference_extrema(name, at, minimum, steepest, slope):
    # Independent: roots of the formula's derivatives in mpmath; the six-digit places are REFERENCE's.
    entry, formula = catalogue.get(name), FORMULAS[name]
    with mp.workdps(25):
        lowest = mp.findroot(lambda x: mp.diff(formula, x), at)
        highest = mp.findroot(lambda x: mp.diff(formula, x, 2), steepest)
        extrema = float(formula(lowest)), float(mp.diff(formula, highest))
    assert (float(lowest), float(highest)) == pytest.approx((at, steepest), abs=6e-7)
    assert (entry.range[0], entry.lipschitz) == pytest.approx(extrema, rel=1e-15)
    assert extrema[0] == pytest.approx(minimum or extrema[0], abs=6e-9)
    assert extrema[1] == pytest.approx(slope or extrema[1], abs=6e-9)


def test_reference_constants():
    # E[φ'²] = 4/(π√(1+4q)); the two forms of GELU; SELU's constants; LiSHT's steepest point solves x tanh x = 1.
    x = np.linspace(-6, 6, 24001)
    gap = np.abs(catalogue.as_numpy(catalogue.get("gelu"))[0](x) - catalogue.as_numpy(catalogue.get("gelu_tanh"))[0](x))
    assert gap.max() == pytest.approx(4.7324e-4, abs=5e-9)
    assert catalogue.get("selu").range[0] == -float(SCALE * ALPHA)
    steepest = catalogue.get("lisht").lipschitz
    assert steepest * np.tanh(steepest) == pytest.approx(1, abs=1e-15)
    assert catalogue.get("rrelu")(-48.0) == -11


@pytest.mark.parametrize(
    ("logits", "shares"),
    [
        ((3, 0.7, 0.5), (0.846, 0.085, 0.069)),
        ((1.2, 1, 1.5), (0.316, 0.258, 0.426)),
        ((1.5, *[1.2] * 9), (0.13, *[0.097] * 9)),
    ],
)
def test_softmax_examples(logits, shares):
    x = jnp.array(logits)
    # The last example's shares are published to 2 digits for the winner, 3 for the others: .1304 and .0966.
    np.testing.assert_allclose(catalogue.get("softmax")(x), shares, atol=5.1e-4)
    np.testing.assert_allclose(catalogue.get("log_softmax")(x), x - np.log(np.sum(np.exp(logits))), atol=1e-6)


def test_vector_functions_against_numpy():
    x = np.random.default_rng(0).normal(size=(5, 12)).astype(np.float32)
    a, b = x[:, :6], x[:, 6:]
    expected = {
        "glu": a * scipy.special.expit(b),
        "bilinear": a * b,
        "reglu": a * np.maximum(b, 0),
        "geglu": a * b * scipy.special.ndtr(b),
        "swiglu": a * b * scipy.special.expit(b),
        "maxout": np.maximum(x[:, ::2], x[:, 1::2]),
        "maxout:pieces=3": np.maximum(np.maximum(x[:, ::3], x[:, 1::3]), x[:, 2::3]),
        "softmax": scipy.special.softmax(x, axis=1),
        "log_softmax": scipy.special.log_softmax(x, axis=1),
    }
    assert {spec.partition(":")[0] for spec in expected} == set(catalogue.names("vector"))
    for spec, values in expected.items():
        entry = catalogue.get(spec)
        for run in (entry, jax.jit(entry), jax.vmap(entry)):
            np.testing.assert_allclose(run(jnp.array(x)), values, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("dtype", (*NARROW, "float64"))
@pytest.mark.parametrize("name", catalogue.names("vector"))
def test_vector_extremes_and_dtypes(name, dtype):
    entry = catalogue.get(name)
    limit = 200.0 if dtype == "float16" and "below 65504" in entry.notes and name != "glu" else 1e4
    with jax.enable_x64(dtype == "float64"):
        x = jnp.array([limit, -limit, limit, -limit, -limit, limit], dtype)

        @jax.jit
        def all_of(x):
            value, pull = jax.vjp(entry, x)
            return value, pull(jnp.ones_like(value)), jax.jvp(entry, (x,), (jnp.ones_like(x),))[1]

        results = all_of(x)
        assert results[0].dtype == x.dtype and results[0].shape == (6 // entry.inputs_per_output,)
        chex.assert_tree_all_finite(results)
