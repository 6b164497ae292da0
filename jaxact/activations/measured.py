"""What can be measured of an elementwise activation: the facts nobody stated, and whether a derivative is right.

JAX is loaded on the first call, not on import.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from jaxact.activations.entry import Activation
from jaxact.activations.pointwise import NumpyFunction, blockwise, derivative, in_float64


def find_kinks(curves: Callable[[np.ndarray], np.ndarray], grid: np.ndarray) -> tuple[float, ...]:
    """Points on a grid's span where a curve jumps, by bisection of every interval that changes visibly.

    Args:
        curves: Maps points [n] to values [k, n] of k curves: for an activation φ, φ' and φ''.
        grid: Increasing points; two jumps within one interval count as one.

    Returns:
        The jumps in increasing order, to about 1e-9.
    """
    left, right = grid[:-1], grid[1:]
    low, high = curves(left), curves(right)
    for _ in range(40):
        middle = (left + right) / 2
        value = curves(middle)
        in_left = np.abs(value - low).max(axis=0) >= np.abs(high - value).max(axis=0)
        left, right = np.where(in_left, left, middle), np.where(in_left, middle, right)
        low, high = np.where(in_left, low, value), np.where(in_left, value, high)
    size = 1 + np.maximum(np.abs(low), np.abs(high))
    points = right[(np.abs(high - low) > 1e-4 * size).any(axis=0)]
    distinct: list[float] = []
    for point in np.round(points, 9) + 0.0:  # + 0.0 turns -0.0 into 0.0
        if not distinct or point - distinct[-1] > 1e-8:
            distinct.append(float(point))
    return tuple(distinct)


def _limit(values: np.ndarray, beside_kinks: np.ndarray, sign: float) -> float:
    """The supremum (sign 1) or infimum (-1), infinite where the curve still grows from |x| = 5e3 to 1e4 (the ends)."""
    ends, inner = sign * values[[0, -1]], sign * values[[1, -2]]
    growing = (ends > 1) & (ends > 1.5 * inner)
    return sign * np.inf if growing.any() else float(sign * np.max(sign * np.append(values, beside_kinks)))


@cache
def curves(activation: Activation) -> NumpyFunction:
    """φ, φ' and φ'' as one float64 NumPy function.

    Args:
        activation: An elementwise entry; a stochastic one is taken in test mode.

    Returns:
        A function from points [n] to [3, n], compiled once.
    """
    import jax.numpy as jnp

    slope = derivative(activation)
    return blockwise(in_float64(lambda x: jnp.stack([activation(x), slope(x), derivative(slope)(x)])))


def measure(activation: Activation) -> dict[str, Any]:
    """Measures range, φ'(0), sup |φ'|, kinks, death and saturation of an elementwise activation in float64.

    Limits: features narrower than 1/64 or beyond |x| = 20 can be missed; extrema are good to about 1e-5, and a
    function that grows like a logarithm counts as bounded by its value at 1e4.

    Args:
        activation: An elementwise entry whose facts may be None.

    Returns:
        Field name of `Activation` → measured value.

    Raises:
        ValueError: If φ or φ' is not finite at |x| ≤ 1e4.
    """
    tails = np.array([20.5, 50, 137.3, 1e3, 1.01e3, 2.3e3, 5e3, 1e4])
    core = np.arange(-20 * 64, 20 * 64 + 1) / 64
    x = np.concatenate([-tails[::-1], core, tails])
    curve = curves(activation)
    value, slope, _ = curve(x)
    bad = ~(np.isfinite(value) & np.isfinite(slope))
    if bad.any():
        raise ValueError(
            f"activation {activation.name} or its derivative is not finite at x = {x[bad][0]:g}: "
            "it must be finite for |x| <= 1e4; guard it with jnp.where on its argument"
        )
    kinks = find_kinks(curve, core)
    value_beside, slope_beside, _ = curve(np.array([kink + side for kink in kinks for side in (-1e-7, 1e-7)]))
    flat = (slope == 0) & (np.abs(x) <= 5)
    # A single zero is an extremum; a unit can die only where zeros fill an interval.
    can_die = bool((flat[:-3] & flat[1:-2] & flat[2:-1] & flat[3:]).any())
    far = np.abs(slope) < 1e-3
    sides = (bool(far[:5].all()), bool(far[-5:].all()))
    names = {(True, True): "both", (True, False): "left", (False, True): "right", (False, False): "no"}
    return {
        "range": (_limit(value, value_beside, -1.0), _limit(value, value_beside, 1.0)),
        "derivative_at_zero": float(slope[x == 0][0]),
        "lipschitz": _limit(np.abs(slope), np.abs(slope_beside), 1.0),
        "kinks": kinks,
        "can_die": can_die,
        "saturates": names[sides],
    }


class DerivativeCheck(NamedTuple):
    """The outcome of `check_derivative` at the worst point."""

    passed: bool
    error: float
    point: float
    stated: float
    measured: float


def check_derivative(
    fn: Callable[[Any], Any],
    dfn: Callable[[Any], Any],
    points: np.ndarray | None = None,
    kinks: tuple[float, ...] = (),
    tolerance: float = 1e-7,
) -> DerivativeCheck:
    """Compares a stated derivative with fourth-order central differences of the function, in float64.

    Made for hand-written back-propagation: σ'(z) is a(1 − a) with a = σ(z); writing σ(a)(1 − σ(a)) trains, badly, and
    nothing but a check like this one shows why.

    Args:
        fn: Elementwise function (NumPy, JAX or an `Activation`).
        dfn: Its supposed derivative.
        points: Where to compare, [n]; by default 101 points from about -5 to 5.
        kinks: Points whose neighbourhood is left out, because differences mean nothing across a kink.
        tolerance: Largest error accepted, relative to 1 + |measured derivative|.

    Returns:
        Whether it passed, and the worst relative error with its point and both derivatives there.

    Raises:
        ValueError: If no point is left, or a value is not finite.
    """
    import jax

    x = np.linspace(-5.03, 5.07, 101) if points is None else np.asarray(points, np.float64).ravel()
    step = 1e-3 * np.maximum(1.0, np.abs(x))
    keep = np.all([np.abs(x - kink) > 3 * step for kink in kinks], axis=0) if kinks else np.full(x.shape, True)
    if not keep.any():
        raise ValueError("no point is left to compare derivatives at: give points away from the kinks")
    with jax.enable_x64(True):
        ahead, behind, far_ahead, far_behind = (np.asarray(fn(x + k * step), np.float64) for k in (1, -1, 2, -2))
        stated = np.asarray(dfn(x), np.float64)
    measured = (8 * (ahead - behind) - (far_ahead - far_behind)) / (12 * step)
    error = np.where(keep, np.abs(stated - measured) / (1 + np.abs(measured)), 0.0)
    if not np.isfinite(error).all():
        bad = x[~np.isfinite(error)][0]
        raise ValueError(f"function or derivative is not finite at x = {bad:g}: choose points where both are")
    worst = int(np.argmax(error))
    figures = (float(values[worst]) for values in (error, x, stated, measured))
    return DerivativeCheck(bool(error[worst] <= tolerance), *figures)
