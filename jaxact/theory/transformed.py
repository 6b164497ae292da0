"""Local maps of a layer γ(φ(αx + β) + δ) for pre-activations x ~ N(0, 1).

With u = φ(αZ + β) and its derivatives v, w by the argument:

    Q(1) = γ² E[(u + δ)²]            Q'(1) = γ² α E[(u + δ) v Z]
    C(0) = γ² E[u + δ]²              C'(1) = γ² α² E[v²]             C''(1) = γ² α⁴ E[w²]
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from jaxact.theory.checks import check_variance
from jaxact.theory.quadrature import expectation

FARTHEST = 1e5
"""α below which moments are computed."""

_SIDE = 1e-9


class Constants(NamedTuple):
    """The constants of γ(φ(αx + β) + δ).

    Attributes:
        input_scale: α.
        input_shift: β.
        output_shift: δ.
        output_scale: γ.
    """

    input_scale: float
    input_shift: float
    output_shift: float
    output_scale: float


class LocalMaps(NamedTuple):
    """Local maps of one layer at q = 1: the quantities of the module's docstring."""

    q: float
    q_slope: float
    c_zero: float
    c_slope: float
    c_curvature: float


Curves = Callable[[np.ndarray], np.ndarray]
"""Points [n] to φ, φ' and φ'', [3, n]."""


class _Moments(NamedTuple):
    """Means over Z ~ N(0, 1) of r = φ(αZ + β) − φ(β) and the derivatives v, w of φ there: E[r] … E[w²], and φ(β)."""

    first: float
    square: float
    growth: float
    tilt: float
    slope: float
    curvature: float
    offset: float


def local_maps(curves: Curves, kinks: Sequence[float], constants: Constants) -> LocalMaps:
    """Compute the local maps of γ(φ(αx + β) + δ) for x ~ N(0, 1).

    Args:
        curves: φ, φ' and φ''; where φ' jumps, C''(1) is infinite and the value here leaves the jump out.
        kinks: where one of the three jumps.
        constants: α, β, δ and γ.

    Raises:
        ValueError: α is 0, or a moment does not converge.
    """
    return _maps(_moments(curves, kinks, constants.input_scale, constants.input_shift), constants)


def leaky(slope: float) -> Curves:
    """φ, φ' and φ'' of leaky ReLU, without the kink."""
    return lambda x: np.stack([np.where(x > 0, x, slope * x), np.where(x > 0, 1.0, slope), np.zeros_like(x)])


def leaky_correlation_map(slope: float, c: float) -> float:
    """C(c) of leaky ReLU, in closed form (Cho & Saul 2009 for slope 0)."""
    arc = (math.sqrt(1 - c * c) + c * (math.pi - math.acos(c))) / math.pi
    return ((1 - slope) ** 2 * arc + 2 * slope * c) / (1 + slope**2)


def check_continuous(curves: Curves, kinks: Sequence[float], order: int) -> None:
    """Refuse a function whose value (order 0) or slope (order 1) jumps.

    Raises:
        ValueError: it does.
    """
    for kink in kinks:
        left, right = curves(np.array([kink - _SIDE, kink + _SIDE]))[order]
        if abs(right - left) > 1e-6 * (1 + abs(left)):
            what = ("its value", "slope") if order == 0 else ("its slope", "curvature")
            raise ValueError(
                f"{what[0]} jumps at {kink:g}, so that the {what[1]} of its correlation map at 1 is infinite: "
                f"choose {'alive' if order == 0 else 'dks'}, or another activation"
            )


def _moments(curves: Curves, kinks: Sequence[float], alpha: float, beta: float) -> _Moments:
    if not 0 < abs(alpha) < FARTHEST:
        raise ValueError(f"input_scale = {alpha:g} is out of range: it must differ from 0, and be below {FARTHEST:g}")
    # A centre at φ's own 0 keeps the panels short where a large α squeezes the curve.
    marks = [(kink - beta) / alpha for kink in (0.0, *kinks)]
    offset = float(curves(np.array([beta]))[0, 0])  # without it, differences of a small α drown in rounding

    def integrands(z: np.ndarray) -> np.ndarray:
        value, v, w = curves(alpha * z + beta)
        r = value - offset
        return np.stack([r, r * r, r * v * z, v * z, v * v, w * w])

    first, square, growth, tilt, slope, curvature = map(float, np.atleast_1d(expectation(integrands, 1.0, marks)))
    return _Moments(first, square, growth, tilt, slope, curvature, offset)


def _maps(m: _Moments, constants: Constants) -> LocalMaps:
    alpha, _, shift, gamma = constants
    delta, scale = m.offset + shift, gamma**2
    return LocalMaps(
        q=scale * (m.square + 2 * delta * m.first + delta**2),
        q_slope=scale * alpha * (m.growth + delta * m.tilt),
        c_zero=scale * (m.first + delta) ** 2,
        c_slope=scale * alpha**2 * m.slope,
        c_curvature=scale * alpha**4 * m.curvature,
    )


def fitted(
    curves: Curves, kinks: Sequence[float], alpha: float, beta: float, shift: float | None = None
) -> tuple[Constants, LocalMaps]:
    """α, β and δ (for C(0) = 0, if None is given) with the γ for Q(1) = 1, and their maps."""
    m = _moments(curves, kinks, alpha, beta)
    found = Constants(alpha, beta, -m.offset - m.first if shift is None else shift, 1.0)
    square = check_variance("E[(φ + δ)²]", _maps(m, found).q, positive=True)
    found = found._replace(output_scale=1 / math.sqrt(square))
    return found, _maps(m, found)
