"""Fixed points of the variance and correlation maps, their depth scales, and the edge of chaos.

Sources: Poole et al. 2016 (arXiv:1606.05340), Schoenholz et al. 2017 (arXiv:1611.01232), Hayou et al. 2019
(arXiv:1902.06853).
"""

import math
from collections.abc import Callable
from typing import NamedTuple, SupportsFloat

import numpy as np

from jaxact.theory.checks import check_variance
from jaxact.theory.initialisers import Init
from jaxact.theory.maps import correlation_map, moments, susceptibility, variance_map, variance_slope
from jaxact.theory.quadrature import Phi

_Q_GRID = np.geomspace(1e-12, 1e12, 73)
_ROUND_OFF = 1e-12  # of a map, relative to its value


class FixedPoint(NamedTuple):
    """A fixed point of a one-dimensional map.

    Attributes:
        value: where the map returns its input.
        slope: derivative of the map there.
        stable: whether the iteration is drawn to it.
        depth_scale: ξ = −1/ln slope, the layers in which a deviation shrinks by e; see `depth_scale`.
    """

    value: float
    slope: float
    stable: bool
    depth_scale: float


def depth_scale(slope: SupportsFloat) -> float:
    """Compute ξ = −1/ln(slope), in layers.

    Args:
        slope: factor by which a deviation (or a squared gradient) changes per layer, ≥ 0.

    Returns:
        The layers in which it shrinks by e; inf at slope 1; negative where it grows (−ξ layers per factor e); 0 at 0.

    Raises:
        ValueError: slope is negative or not finite.
    """
    slope = check_variance("slope", slope)
    if slope == 0:
        return 0.0
    return math.inf if slope == 1 else -1 / math.log(slope)


def variance_fixed_points(
    phi: Phi, weight_variance: SupportsFloat, bias_variance: SupportsFloat = 0.0
) -> tuple[FixedPoint, ...]:
    """Find the fixed points q* = σ_w² E[φ(√q* Z)²] + σ_b², smallest first.

    Crossings are sought on a logarithmic grid (three per decade) from 1e-12 to 1e12; 0 is included where it is one,
    with the one-sided slope. The empty tuple means that the variance diverges.

    Args:
        phi: the activation.
        weight_variance: σ_w².
        bias_variance: σ_b².

    Returns:
        The fixed points, with slope dq'/dq.

    Raises:
        ValueError: a variance is negative or not finite, or every q is a fixed point (ReLU at σ_w² = 2, σ_b² = 0).
    """
    w, b = check_variance("weight_variance", weight_variance), check_variance("bias_variance", bias_variance)

    def excess(log_q: float) -> float:
        return variance_map(phi, math.exp(log_q), w, b) / math.exp(log_q) - 1

    grid = np.log(_Q_GRID)
    values = np.array([excess(x) for x in grid])
    if np.all(np.abs(values) < _ROUND_OFF):
        raise ValueError(f"every q is a fixed point at weight_variance = {w}, bias_variance = {b}: choose q yourself")
    roots = [0.0] if variance_map(phi, 0.0, w, b) == 0 else []
    for i in np.flatnonzero(np.diff(values >= 0)):
        roots.append(math.exp(_root(excess, grid[i], grid[i + 1])))
    return tuple(_variance_point(phi, q, w) for q in roots)


def correlation_fixed_point(
    phi: Phi, q: SupportsFloat, weight_variance: SupportsFloat, bias_variance: SupportsFloat = 0.0
) -> FixedPoint:
    """Find the correlation c* in [0, 1] to which inputs of correlation in [0, 1) are drawn.

    The map is a power series with non-negative coefficients, so it is convex on [0, 1]: c* = 1 where χ_1 ≤ 1, else
    the one crossing below 1.

    Args:
        phi: the activation.
        q: variance of the pre-activations, a fixed point of the variance map.
        weight_variance: σ_w².
        bias_variance: σ_b².

    Returns:
        c*, with the slope χ(c*) of the map; always stable.

    Raises:
        ValueError: a variance is negative or not finite, or q is no fixed point (relative deviation above 1e-6).
    """
    q = check_variance("q", q, positive=True)
    mapped = variance_map(phi, q, weight_variance, bias_variance)
    if abs(mapped - q) > 1e-6 * q:
        raise ValueError(f"q = {q} maps to {mapped}, so it is no fixed point: take one from variance_fixed_points")

    def excess(c: float) -> float:
        return correlation_map(phi, q, c, weight_variance, bias_variance) - c

    chi = susceptibility(phi, q, weight_variance)
    gap = 0.5
    # Just above criticality c* is close to 1: approach 1 until the map has fallen below the diagonal.
    while chi > 1 + _ROUND_OFF and gap > 1e-9 and excess(1 - gap) >= 0:
        gap /= 2
    if chi <= 1 + _ROUND_OFF or gap <= 1e-9:
        return FixedPoint(1.0, chi, True, depth_scale(min(chi, 1.0)))
    value = _root(excess, 0.0, 1 - gap) if excess(0.0) > _ROUND_OFF else 0.0
    slope = susceptibility(phi, q, weight_variance, value)
    return FixedPoint(value, slope, True, depth_scale(max(slope, 0.0)))


def edge_of_chaos(phi: Phi, q: SupportsFloat) -> Init:
    """Compute the critical initialisation whose fixed point is q and whose χ_1 is 1.

    σ_w² = 1/E[φ'(√q Z)²], σ_b² = q − σ_w² E[φ(√q Z)²].

    Args:
        phi: the activation.
        q: the wanted variance q*, > 0.

    Returns:
        σ_w² and σ_b².

    Raises:
        ValueError: q is not positive, φ' is 0 everywhere, or σ_b² would be negative (sigmoid, softplus: no edge there).
    """
    q = check_variance("q", q, positive=True)
    weight_variance = critical_weight_variance(phi, q)
    square = weight_variance * moments(phi, q).square
    bias_variance = q - square
    if bias_variance < -_ROUND_OFF * max(q, square):
        raise ValueError(
            f"no edge of chaos at q = {q}: sigma_b^2 would be {bias_variance:.6g} < 0; try another q or centre phi"
        )
    return Init(weight_variance, bias_variance if bias_variance > _ROUND_OFF * q else 0.0)


def critical_weight_variance(phi: Phi, q: SupportsFloat) -> float:
    """Compute the σ_w² = 1/E[φ'(√q Z)²] at which χ_1 = 1.

    Raises:
        ValueError: q is negative or not finite, or φ' is 0 everywhere.
    """
    slope_square = moments(phi, q).slope_square
    if slope_square == 0:
        raise ValueError(
            f"E[phi'^2] = 0 at q = {float(q)}: no weight variance gives chi = 1; use an activation that varies"
        )
    return 1 / slope_square


def _variance_point(phi: Phi, q: float, weight_variance: float) -> FixedPoint:
    slope = variance_slope(phi, q if q > 0 else 1e-16, weight_variance)  # at 0 the limit from above
    return FixedPoint(q, slope, abs(slope) < 1, depth_scale(abs(slope)))


def _root(f: Callable[[float], float], low: float, high: float) -> float:
    from scipy.optimize import root_scalar  # slow to import, and needed for fixed points only

    return float(root_scalar(f, bracket=(low, high), method="brentq", xtol=1e-14, rtol=1e-14).root)
