"""How many digits every function of the catalogue keeps in float32 and bfloat16, tiny and huge arguments included.

Independent: the formulas of `test_functions` and their derivatives, in mpmath with 60 digits.
"""

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
from test_functions import FORMULAS

from jaxact import activations as catalogue

NAMES = catalogue.names("elementwise")
RECORDED = {"centred_sigmoid", "selu", "sigmoid", "tanh"}
"""Committed records hold these as JAX has them, to the last bit: slopes far out keep an absolute precision only."""
DTYPES = ("bfloat16", "float32")
LEAST = 1000 * float(jnp.finfo("float32").tiny)  # below it XLA's CPU flushes intermediates to 0

# No kink among them; all are numbers of bfloat16, and so of float32 too: only the evaluation errs.
SIZES = np.concatenate([1.3 * 10.0 ** np.arange(-12, 4), [0.7, 2.4, 3.7, 5.3, 9.1, 17.9, 25, 81, 300, 1e4]])
POINTS = np.asarray(jnp.array(np.concatenate([-SIZES, SIZES]), "bfloat16"), np.float64)


@pytest.fixture(scope="module")
def results():
    """{name: {dtype: (values, slopes)}}, compiled at once."""

    def both(entry, x):
        value, pull = jax.vjp(entry, x)
        return value, pull(jnp.ones_like(x))[0]

    inputs = {dtype: jnp.array(POINTS, dtype) for dtype in DTYPES}
    entries = {name: catalogue.get(name) for name in NAMES}
    return jax.jit(lambda xs: {n: {d: both(e, x) for d, x in xs.items()} for n, e in entries.items()})(inputs)


def exactly(name):
    """φ, φ' and φ'' at the points."""
    formula, columns = FORMULAS[name], []
    with mp.workdps(60):
        for x in map(mp.mpf, POINTS):
            slope = mp.diff(formula, x, h=abs(x) * mp.mpf(10) ** -30)
            curvature = mp.diff(formula, x, 2, h=abs(x) * mp.mpf(10) ** -18)
            columns.append([float(formula(x)), float(slope), float(curvature)])
    return np.array(columns).T


@pytest.mark.parametrize("name", NAMES)
def test_digits_of_value_and_slope(results, name):
    """Within 8 units of rounding of the result, or of what as much rounding of the argument makes of it."""
    value, slope, curvature = exactly(name)
    for dtype, (got_value, got_slope) in results[name].items():
        assert got_value.dtype == got_slope.dtype == dtype
        unit = 8 * float(jnp.finfo(dtype).eps)
        bound = unit * (np.abs(value) + np.abs(POINTS * slope)) + LEAST
        np.testing.assert_array_less(np.abs(np.asarray(got_value, np.float64) - value), bound)
        bound = unit * (np.abs(slope) + np.abs(POINTS * curvature)) + LEAST
        if name in RECORDED:  # 1 − t², where t is off by one unit of its last place
            bound = np.maximum(bound, 2 * float(jnp.finfo("float32").eps))
        np.testing.assert_array_less(np.abs(np.asarray(got_slope, np.float64) - slope), bound)


GATES = {"bilinear": "identity", "geglu": "gelu", "glu": "sigmoid", "reglu": "relu", "swiglu": "silu"}


@pytest.mark.parametrize("name", GATES)
def test_digits_of_gated_products(name):
    """[a, b] → a φ(b), whose slopes are φ(b) and a φ'(b), for a = ±1.25: products exact but for one rounding."""
    value, slope, curvature = exactly(GATES[name])
    a = np.resize([1.25, -1.25], POINTS.shape)
    entry = catalogue.get(name)
    for dtype in DTYPES:
        x = jnp.array(np.concatenate([a, POINTS]), dtype)
        out, pull = jax.vjp(entry, x)
        (gradient,) = pull(jnp.ones_like(out))
        unit = 10 * float(jnp.finfo(dtype).eps)
        bounds = unit * (np.abs(value) + np.abs(POINTS * slope)), unit * (np.abs(slope) + np.abs(POINTS * curvature))
        if name == "glu":  # the sigmoid of JAX
            bounds = bounds[0], np.maximum(bounds[1], float(jnp.finfo("float32").eps))
        exact = a * value, value, a * slope
        got = out, *np.split(np.asarray(gradient, np.float64), 2)
        for found, wanted, bound in zip(got, exact, (bounds[0], *bounds), strict=True):
            np.testing.assert_array_less(np.abs(np.asarray(found, np.float64) - wanted), 1.25 * bound + LEAST)


@pytest.mark.parametrize("dtype", DTYPES)
def test_digits_of_softmax_and_maxout(dtype):
    """Pairs [x, −x/3]: p = 1/(1 + e^−d) for d = 4x/3 in mpmath; exponents round, so d·eps relatively."""
    x = jnp.array(np.stack([POINTS, np.asarray(jnp.array(-POINTS / 3, "bfloat16"), np.float64)], 1), dtype)
    one, other = np.asarray(x, np.float64).T
    with mp.workdps(60):
        p = np.array([float(1 / (1 + mp.exp(mp.mpf(b) - mp.mpf(a)))) for a, b in zip(one, other, strict=True)])
        log_p = np.array([float(-mp.log1p(mp.exp(mp.mpf(b) - mp.mpf(a)))) for a, b in zip(one, other, strict=True)])
    eps, far = float(jnp.finfo(dtype).eps), np.abs(one - other)
    softmax = np.asarray(catalogue.get("softmax")(x)[:, 0], np.float64)
    np.testing.assert_array_less(np.abs(softmax - p), 8 * eps * p * (1 + far) + LEAST)
    log_softmax = np.asarray(catalogue.get("log_softmax")(x)[:, 0], np.float64)
    np.testing.assert_array_less(np.abs(log_softmax - log_p), 8 * eps * np.maximum(np.abs(log_p), 1) + LEAST)
    np.testing.assert_array_equal(catalogue.get("maxout")(x)[:, 0], x.max(1))


@pytest.mark.parametrize("x", [1e-3, 1e-4, 1e-6, -1e-3, -1e-6])
@pytest.mark.parametrize("dtype", [*DTYPES, "float16"])
def test_tanhshrink_near_zero(x, dtype):
    """φ'(x) = tanh²(x) ≥ 0, in float64 by NumPy."""
    at = jnp.array(x, dtype)
    slope = float(jax.grad(catalogue.get("tanhshrink"))(at))
    expected = np.tanh(float(at)) ** 2
    least = float(jnp.finfo(dtype).smallest_subnormal) / 2
    assert slope >= 0 and abs(slope - expected) <= 2 * float(jnp.finfo(dtype).eps) * expected + least
