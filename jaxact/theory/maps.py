"""How one layer maps the variance and the correlation of pre-activations, and how it scales gradients.

The mean field of Poole et al. 2016 (arXiv:1606.05340) and Schoenholz et al. 2017 (arXiv:1611.01232): at large width
pre-activations are Gaussian over the initialisation. σ_w² is fan_in · Var(w), σ_b² is Var(b).
"""

from typing import NamedTuple, SupportsFloat

import numpy as np

from jaxact.theory.checks import check_correlation, check_variance
from jaxact.theory.quadrature import Phi, expectation, pair_expectation


class Moments(NamedTuple):
    """Expectations over x = √q Z.

    Attributes:
        mean: E[φ].
        square: E[φ²].
        slope_square: E[φ'²].
        square_growth: dE[φ²]/dq = E[x φ φ']/q; NaN at q = 0.
    """

    mean: float
    square: float
    slope_square: float
    square_growth: float


class PairMoments(NamedTuple):
    """Expectations over two pre-activations of variance q and correlation c.

    Attributes:
        product: E[φ(x1) φ(x2)].
        slope_product: E[φ'(x1) φ'(x2)].
    """

    product: float
    slope_product: float


def moments(phi: Phi, q: SupportsFloat) -> Moments:
    """Compute the one-input Gaussian moments of an activation.

    Args:
        phi: the activation.
        q: variance of the pre-activation. At 0 the moments are those of the constant φ(0), with φ'(0) as `phi.df`
            gives it.

    Raises:
        ValueError: q is negative or not finite.
    """
    q = check_variance("q", q)

    def integrands(x: np.ndarray) -> np.ndarray:
        value, slope = phi.f(x), phi.df(x)
        growth = value * slope * x / q if q > 0 else np.full_like(x, 0.0)
        return np.stack([value, value * value, slope * slope, growth])

    mean, square, slope_square, growth = map(float, np.atleast_1d(expectation(integrands, q, phi.kinks)))
    return Moments(mean, square, slope_square, growth if q > 0 else float("nan"))


def pair_moments(phi: Phi, q: SupportsFloat, c: SupportsFloat) -> PairMoments:
    """Compute the two-input Gaussian moments of an activation.

    Args:
        phi: the activation.
        q: variance of both pre-activations.
        c: their correlation, in [-1, 1].

    Raises:
        ValueError: q or c is out of range.
    """
    both = pair_expectation(lambda x: np.stack([phi.f(x), phi.df(x)]), q, c, phi.kinks)
    return PairMoments(*map(float, np.atleast_1d(both)))


def variance_map(
    phi: Phi, q: SupportsFloat, weight_variance: SupportsFloat, bias_variance: SupportsFloat = 0.0
) -> float:
    """Compute q' = σ_w² E[φ(√q Z)²] + σ_b², the variance one layer on.

    Args:
        phi: the activation.
        q: variance of the pre-activations it sees.
        weight_variance: σ_w² of the next layer's weights.
        bias_variance: σ_b² of the next layer's biases.

    Raises:
        ValueError: a variance is negative or not finite.
    """
    weight_variance = check_variance("weight_variance", weight_variance)
    return weight_variance * moments(phi, q).square + check_variance("bias_variance", bias_variance)


def correlation_map(
    phi: Phi,
    q: SupportsFloat,
    c: SupportsFloat,
    weight_variance: SupportsFloat,
    bias_variance: SupportsFloat = 0.0,
) -> float:
    """Compute c' = (σ_w² E[φ(x1) φ(x2)] + σ_b²) / q', the correlation one layer on of two inputs of equal variance.

    Args:
        phi: the activation.
        q: variance of both pre-activations.
        c: their correlation.
        weight_variance: σ_w² of the next layer's weights.
        bias_variance: σ_b² of the next layer's biases.

    Returns:
        c'; 1 where q' = 0, since both pre-activations are then the same constant.

    Raises:
        ValueError: a variance is negative or not finite, or c is not in [-1, 1].
    """
    q, c = check_variance("q", q), check_correlation("c", c)
    variance = variance_map(phi, q, weight_variance, bias_variance)
    if variance == 0:
        return 1.0
    covariance = float(weight_variance) * pair_moments(phi, q, c).product + float(bias_variance)
    return min(1.0, max(-1.0, covariance / variance))


def susceptibility(phi: Phi, q: SupportsFloat, weight_variance: SupportsFloat, c: SupportsFloat = 1.0) -> float:
    """Compute χ = σ_w² E[φ'(x1) φ'(x2)]; at c = 1 it is σ_w² E[φ'(√q Z)²], the growth of squared gradients per layer.

    Where q is a fixed point of the variance map, χ(c) is also the slope of the correlation map at c.

    Args:
        phi: the activation.
        q: variance of the pre-activations.
        weight_variance: σ_w².
        c: correlation of the two inputs.

    Raises:
        ValueError: a variance is negative or not finite, or c is not in [-1, 1].
    """
    weight_variance, c = check_variance("weight_variance", weight_variance), check_correlation("c", c)
    if c == 1:
        return weight_variance * moments(phi, q).slope_square
    return weight_variance * pair_moments(phi, q, c).slope_product


def variance_slope(phi: Phi, q: SupportsFloat, weight_variance: SupportsFloat) -> float:
    """Compute dq'/dq = σ_w² E[x φ φ']/q at q > 0 (equal to χ + σ_w² E[φ φ''] where φ'' exists).

    Args:
        phi: the activation; it must be continuous.
        q: variance of the pre-activations, > 0.
        weight_variance: σ_w².

    Raises:
        ValueError: q is not positive, or σ_w² is negative or not finite.
    """
    q = check_variance("q", q, positive=True)
    return check_variance("weight_variance", weight_variance) * moments(phi, q).square_growth
