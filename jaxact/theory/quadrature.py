"""Gaussian expectations of activations, exact to 1e-10 also across kinks.

Gauss-Legendre on panels that end at every kink, are a few standard deviations wide at most and shrink geometrically
towards zero and the kinks. Each result is computed with two orders and refined until they agree; what does not
converge (an undeclared kink) is an error, not a wrong number.
"""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple, SupportsFloat

import numpy as np
from jaxtyping import Float

from jaxact.theory.checks import check_correlation, check_finite, check_variance

NumpyFunction = Callable[[np.ndarray], np.ndarray]
Value = np.ndarray | np.float64  # NumPy turns a result without axes into a scalar

TOLERANCE = 1e-11  # largest accepted difference of the two orders, relative to E|g|; the higher order is far better
_ORDERS = (12, 16)
_REACH = 10.0  # standard deviations; the neglected tail is below 2e-23
_GAUSSIAN_BREAKS = np.linspace(-_REACH, _REACH, 7)
_FIRST_PANEL = 1.5  # width of the panels next to a kink, in pre-activations: near the poles of tanh at ±iπ/2


class Phi(NamedTuple):
    """An activation as the mean-field functions want it.

    Attributes:
        f: φ, elementwise on float64 arrays.
        df: φ', elementwise on float64 arrays.
        kinks: points where φ or φ' jumps; the quadrature is split there (and always at 0).
    """

    f: NumpyFunction
    df: NumpyFunction
    kinks: Sequence[float] = ()


def expectation(g: NumpyFunction, q: SupportsFloat, kinks: Sequence[float] = ()) -> Value:
    """Compute E[g(√q Z)] for Z ~ N(0, 1).

    Args:
        g: maps points [n] to values [..., n]; leading axes hold several integrands. At most polynomial growth.
        q: variance of the pre-activation. At q = 0 the result is g(0).
        kinks: where g or its derivative jumps; 0 is always taken as one.

    Returns:
        The expectation [...], with an error below 1e-10 · E|g(√q Z)|.

    Raises:
        ValueError: q is no variance, g is not finite, or the quadrature does not converge.
    """
    scale = np.sqrt(check_variance("q", q))
    centres = _centres(kinks)
    if scale == 0:
        return finite_values(g, np.zeros(1))[..., 0]

    def estimate(level: int, order: int) -> tuple[Value, Value]:
        offsets = _offsets(_REACH * scale, level)
        marks = (centres[:, None] + offsets).ravel() / scale
        breaks = np.unique(np.clip(np.concatenate([_GAUSSIAN_BREAKS, marks]), -_REACH, _REACH))
        z, weights = panel_rule(breaks, order, level)
        weights = weights * _density(z)
        values = finite_values(g, scale * z)
        return values @ weights, np.abs(values) @ weights

    return converge(estimate, levels=5, what="E[g(√q Z)]")


def pair_expectation(g: NumpyFunction, q: SupportsFloat, c: SupportsFloat, kinks: Sequence[float] = ()) -> Value:
    """Compute E[g(x1) g(x2)] for two Gaussians of variance q and correlation c.

    The plane is integrated in the coordinates x1 = √q(αa + βb), x2 = ±√q(αa − βb), α ≥ β: kinks are then straight
    lines that are split exactly, and no boundary layer appears as |c| → 1.

    Args:
        g: maps points [...] to values [..., *points]; leading axes hold several integrands.
        q: variance of both pre-activations.
        c: their correlation.
        kinks: where g or its derivative jumps; 0 is always taken as one.

    Returns:
        The expectation [...], with an error below 1e-10 · E|g(x1) g(x2)|.

    Raises:
        ValueError: q or c is out of range, g is not finite, or the quadrature does not converge.
    """
    scale, c = np.sqrt(check_variance("q", q)), check_correlation("c", c)
    sign = 1.0 if c >= 0 else -1.0
    if scale == 0 or abs(c) == 1:
        mirrored = (*kinks, *(sign * kink for kink in kinks))
        return expectation(lambda x: g(x) * g(sign * x), q, mirrored)
    # x2 = sign · y, where x1 and y have the non-negative correlation |c|.
    alpha, beta = scale * np.sqrt((1 + abs(c)) / 2), scale * np.sqrt((1 - abs(c)) / 2)
    centres = _centres(kinks)

    def estimate(level: int, order: int) -> tuple[Value, Value]:
        a, b, weights = _plane_rule(alpha, beta, centres, sign * centres, order, level)
        x1, y = alpha * a + beta * b, alpha * a - beta * b
        values = finite_values(g, x1) * finite_values(g, sign * y)
        flat = values.reshape(*values.shape[:-2], -1)
        return flat @ weights.ravel(), np.abs(flat) @ weights.ravel()

    return converge(estimate, levels=3, what="E[g(x1) g(x2)]")


def converge(estimate: Callable[[int, int], tuple[Value, Value]], *, levels: int, what: str) -> Value:
    """Refine an estimate until two orders of the rule agree, and return the higher order's.

    Args:
        estimate: (level, order) -> (integral, integral of the absolute value).
        levels: how many refinements to try.
        what: name of the integral for the error.

    Raises:
        ValueError: the orders still differ at the last level.
    """
    difference = np.inf
    for level in range(levels):
        low, _ = estimate(level, _ORDERS[0])
        high, size = estimate(level, _ORDERS[1])
        difference = np.max(np.abs(high - low) / np.maximum(size, np.finfo(float).tiny))
        if difference <= TOLERANCE:
            return high
    raise ValueError(
        f"{what} converged to {difference:.1e} only, not to {TOLERANCE:.0e}: "
        "declare every point where the activation or its derivative jumps in Phi.kinks"
    )


def panel_rule(
    breaks: Float[np.ndarray, "... edges"], order: int, level: int = 0
) -> tuple[Float[np.ndarray, "... nodes"], Float[np.ndarray, "... nodes"]]:
    """Build the composite Gauss-Legendre rule on the panels between sorted breaks, each cut into 2^level pieces."""
    nodes, weights = _subdivided_legendre(order, level)
    middle, half = (breaks[..., 1:] + breaks[..., :-1]) / 2, np.diff(breaks, axis=-1) / 2
    points = middle[..., None] + half[..., None] * nodes
    shape = (*breaks.shape[:-1], -1)
    return points.reshape(shape), (half[..., None] * weights).reshape(shape)


def _plane_rule(
    alpha: float, beta: float, centres1: np.ndarray, centres2: np.ndarray, order: int, level: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nodes a [b, a], b [b, 1] and weights [b, a] of the plane, split along αa + βb ∈ centres1, αa − βb ∈ centres2."""
    offsets = _offsets(_REACH * alpha, level)
    crossings = (centres1[:, None] - centres2).ravel() / 2  # where kink lines meet, the inner integral has a kink in b
    with np.errstate(over="ignore"):  # β → 0 sends the marks out of reach
        marks = np.unique((crossings[:, None] + offsets).ravel()) / beta
    b_breaks = np.unique(np.clip(np.concatenate([_GAUSSIAN_BREAKS, marks]), -_REACH, _REACH))
    b, b_weights = panel_rule(b_breaks, order, level)
    b_weights = b_weights * _density(b)
    lines1 = (centres1[:, None] + offsets).ravel() - beta * b[:, None]
    lines2 = (centres2[:, None] + offsets).ravel() + beta * b[:, None]
    gaussian = np.broadcast_to(_GAUSSIAN_BREAKS, (b.size, _GAUSSIAN_BREAKS.size))
    a_breaks = np.concatenate([gaussian, lines1 / alpha, lines2 / alpha], axis=1)
    a, a_weights = panel_rule(np.sort(np.clip(a_breaks, -_REACH, _REACH), axis=1), order, level)
    return a, b[:, None], a_weights * _density(a) * b_weights[:, None]


def _centres(kinks: Sequence[float]) -> np.ndarray:
    return np.unique([0.0, *(check_finite("kink", kink) for kink in kinks)])


def _offsets(reach: float, level: int) -> np.ndarray:
    """Distances of the panel ends from a centre: 0 and ±1.5·3^j up to `reach`, with finer ones at higher levels."""
    largest = max(0, int(np.ceil(np.log(reach / _FIRST_PANEL) / np.log(3))))
    steps = _FIRST_PANEL * 3.0 ** np.arange(-3 * level, largest + 1)
    return np.concatenate([-steps[::-1], [0.0], steps])


def _density(z: np.ndarray) -> np.ndarray:
    return np.exp(-z * z / 2) / np.sqrt(2 * np.pi)


@functools.cache
def _subdivided_legendre(order: int, level: int) -> tuple[np.ndarray, np.ndarray]:
    nodes, weights = np.polynomial.legendre.leggauss(order)
    pieces = 2**level
    middles = (2 * np.arange(pieces) + 1) / pieces - 1
    return (middles[:, None] + nodes / pieces).ravel(), np.tile(weights / pieces, pieces)


def finite_values(g: NumpyFunction, x: np.ndarray) -> np.ndarray:
    """Evaluate g in float64.

    Raises:
        ValueError: a value is not finite.
    """
    values = np.asarray(g(x), dtype=np.float64)
    if not np.all(np.isfinite(values)):
        raise ValueError(f"the activation is not finite on [{x.min():.3g}, {x.max():.3g}]: a mean field needs it to be")
    return values
