"""Gaussian expectations against closed forms, mpmath's tanh-sinh rule and Hermite series."""

import math

import mpmath
import numpy as np
import pytest
from oracles.numpy_activations import PHIS, leaky

from jaxact.theory import Phi, expectation, moments, pair_expectation, pair_moments

VARIANCES = (1e-16, 1e-6, 0.1, 1.0, 30.0, 1e6)
CORRELATIONS = (-1.0, -1 + 1e-12, -0.999, -0.5, -1e-9, 0.0, 1e-9, 0.5, 0.9, 0.999, 1 - 1e-9, 1 - 1e-15, 1.0)

MPMATH = {
    "sigmoid": (lambda x: 1 / (1 + mpmath.exp(-x)), ()),
    "tanh": (mpmath.tanh, ()),
    "mish": (lambda x: x * mpmath.tanh(mpmath.log1p(mpmath.exp(x))), ()),
    "softsign": (lambda x: x / (1 + abs(x)), (0,)),
    "elu": (lambda x: x if x > 0 else mpmath.expm1(x), (0,)),
    "hard_sigmoid": (lambda x: min(max(x / 6 + mpmath.mpf("0.5"), 0), 1), (-3, 3)),
}


def mp_square(name, q):
    f, kinks = MPMATH[name]
    scale = mpmath.sqrt(q)
    marks = sorted({*(k / scale for k in kinks), *(x / scale for x in (-9, -3, 0, 3, 9)), -10, -5, -2, 0, 2, 5, 10})
    marks = [x for x in marks if -10 <= x <= 10]
    return mpmath.quad(lambda z: f(scale * z) ** 2 * mpmath.npdf(z), marks)


@pytest.mark.parametrize("name", MPMATH)
@pytest.mark.parametrize("q", [0.01, 1.0, 400.0])
def test_square_matches_mpmath(name, q):
    assert moments(PHIS[name], q).square == pytest.approx(float(mp_square(name, q)), rel=1e-10)


@pytest.mark.parametrize("q", VARIANCES)
@pytest.mark.parametrize("slope", [0.0, 0.01, 0.25])
def test_leaky_moments_match_closed_form(q, slope):
    result = moments(leaky(slope), q)
    assert result.mean == pytest.approx((1 - slope) * math.sqrt(q / (2 * math.pi)), rel=1e-10)
    assert result.square == pytest.approx((1 + slope**2) * q / 2, rel=1e-10)
    assert result.slope_square == pytest.approx((1 + slope**2) / 2, rel=1e-10)
    assert result.square_growth == pytest.approx((1 + slope**2) / 2, rel=1e-10)


@pytest.mark.parametrize("q", VARIANCES)
@pytest.mark.parametrize("c", CORRELATIONS)
def test_relu_pair_matches_closed_form(q, c):
    result = pair_moments(PHIS["relu"], q, c)
    arc = math.sqrt((1 - c) * (1 + c)) + c * (math.pi - math.acos(c))
    # E|φφ| is the result itself, which vanishes as c → −1: there the closed form itself cancels.
    assert result.product == pytest.approx(q * arc / (2 * math.pi), rel=1e-10, abs=1e-15 * q)
    assert result.slope_product == pytest.approx(0.25 + math.asin(c) / (2 * math.pi), abs=1e-10)


@pytest.mark.parametrize("c,expected", [(0.0, 0.318309886), (0.5, 0.608997781), (0.9, 0.909538399)])
def test_relu_correlation_reference(c, expected):
    assert 2 * pair_moments(PHIS["relu"], 1.0, c).product == pytest.approx(expected, abs=6e-10)


@pytest.mark.parametrize("q", VARIANCES)
@pytest.mark.parametrize("c", CORRELATIONS)
def test_erf_pair_matches_closed_form(q, c):
    result = pair_moments(PHIS["erf"], q, c)
    assert result.product == pytest.approx(
        2 / math.pi * math.asin(2 * q * c / (1 + 2 * q)), rel=1e-10, abs=1e-10 * min(q, 1)
    )
    determinant = (1 + 2 * q) ** 2 - (2 * q * c) ** 2
    assert result.slope_product == pytest.approx(4 / math.pi / math.sqrt(determinant), rel=1e-9)


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "silu", "mish", "gelu", "softplus"])
@pytest.mark.parametrize("c", [-0.7, -0.2, 0.3, 0.7])
def test_smooth_pair_matches_hermite_series(name, c):
    """Mehler: E[φ(x1) φ(x2)] = Σ a_k² c^k with the normalised Hermite coefficients a_k of φ(√q z)."""
    q, terms = 0.6, 90
    z, weights = np.polynomial.hermite_e.hermegauss(200)
    basis = [np.ones_like(z), z]
    for k in range(1, terms):
        basis.append((z * basis[k] - math.sqrt(k) * basis[k - 1]) / math.sqrt(k + 1))
    for g, result in zip((PHIS[name].f, PHIS[name].df), pair_moments(PHIS[name], q, c), strict=True):
        coefficients = np.array(basis) @ (weights / math.sqrt(2 * math.pi) * g(math.sqrt(q) * z))
        assert result == pytest.approx(coefficients**2 @ c ** np.arange(terms + 1), rel=1e-10)


@pytest.mark.parametrize("threshold", [-0.4, 0.0, 1.7])
@pytest.mark.parametrize("c", [-0.95, 0.2, 0.9999])
def test_jump_matches_bivariate_normal_tail(threshold, c):
    """P(x1 > k, x2 > k) by Plackett's one-dimensional integral in mpmath."""
    added = mpmath.quad(lambda t: mpmath.exp(-(threshold**2) / (1 + mpmath.sin(t))), [0, mpmath.asin(c)])
    expected = mpmath.ncdf(-threshold) ** 2 + added / (2 * mpmath.pi)
    got = pair_expectation(lambda x: (x > threshold) * 1.0, 1.0, c, (threshold,))
    assert float(got) == pytest.approx(float(expected), abs=1e-10)


@pytest.mark.parametrize("name", sorted(PHIS))
@pytest.mark.parametrize("q", [1e-3, 1.0, 50.0])
def test_pair_limits_are_single_input_moments(name, q):
    phi, single = PHIS[name], moments(PHIS[name], q)
    assert pair_moments(phi, q, 1.0).product == pytest.approx(single.square, rel=1e-12)
    assert pair_moments(phi, q, 0.0).product == pytest.approx(single.mean**2, rel=1e-10, abs=1e-10 * single.square)


@pytest.mark.parametrize("name", sorted(set(PHIS) - {"identity"}))
def test_price_theorem_links_value_and_slope(name):
    """dE[φφ]/dc = q E[φ'φ'], by central differences."""
    phi, q, step = PHIS[name], 1.3, 1e-5
    for c in (-0.6, 0.0, 0.8):
        difference = pair_moments(phi, q, c + step).product - pair_moments(phi, q, c - step).product
        assert difference / (2 * step) == pytest.approx(q * pair_moments(phi, q, c).slope_product, rel=1e-7)


def test_steep_activation_is_refined():
    steep = lambda x: np.tanh(40 * x)  # noqa: E731
    expected = mpmath.quad(lambda z: mpmath.tanh(40 * z) ** 2 * mpmath.npdf(z), [0, 0.01, 0.03, 0.1, 0.3, 1, 3, 10])
    assert float(expectation(lambda x: steep(x) ** 2, 1.0)) == pytest.approx(2 * float(expected), rel=1e-10)
    # As the slope grows the pair tends to E[sign sign] = (2/π) asin c.
    assert float(pair_expectation(lambda x: np.tanh(1e3 * x), 1.0, 0.5)) == pytest.approx(1 / 3, abs=1e-3)


def test_zero_variance_is_the_value_at_zero():
    assert moments(PHIS["sigmoid"], 0.0)[:3] == (0.5, 0.25, 0.0625)
    assert pair_moments(PHIS["sigmoid"], 0.0, 0.3) == (0.25, 0.0625)


def test_linear_pair_is_the_covariance():
    for c in CORRELATIONS:
        assert pair_moments(PHIS["identity"], 2.0, c).product == pytest.approx(2 * c, abs=1e-13)


def test_undeclared_kink_is_an_error():
    undeclared = Phi(lambda x: np.maximum(x - 0.7, 0), lambda x: (x > 0.7) * 1.0)
    with pytest.raises(ValueError, match="declare every point"):
        moments(undeclared, 1.0)
    with pytest.raises(ValueError, match="declare every point"):
        pair_moments(undeclared, 1.0, 0.3)


@pytest.mark.parametrize("q", [-1e-9, math.nan, math.inf])
def test_bad_variance_is_refused(q):
    with pytest.raises(ValueError, match="q = .* must be finite and >= 0"):
        moments(PHIS["tanh"], q)


@pytest.mark.parametrize("c", [1 + 1e-9, -1.1, math.nan])
def test_bad_correlation_is_refused(c):
    with pytest.raises(ValueError, match=r"c = .* must lie in \[-1, 1\]"):
        pair_moments(PHIS["tanh"], 1.0, c)


def test_non_finite_activation_and_kink_are_refused():
    with pytest.raises(ValueError, match="not finite"):
        expectation(lambda x: np.full_like(x, np.nan), 1.0)
    with pytest.raises(ValueError, match="kink = nan"):
        expectation(np.tanh, 1.0, (math.nan,))
