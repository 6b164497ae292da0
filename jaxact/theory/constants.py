"""Constants that make γ(φ(αx + β) + δ) meet a target, for pre-activations x ~ N(0, 1).

The maps Q, Q', C, C' and C'' of such a layer are those of `theory.transformed`.

Deep kernel shaping (Martens et al. 2021, arXiv:2110.01765) asks for Q = Q' = 1, C(0) = 0 and a slope C'(1). Tailored
activation transformations (Zhang et al. 2022, arXiv:2203.08120) ask for Q = Q' = C' = 1 and a curvature C''(1), or, for
leaky ReLU, for the correlation that orthogonal inputs have behind all layers. The third one here only centres φ.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import SupportsFloat

import numpy as np
from scipy.optimize import brentq, root

from jaxact.activations import Activation, measured, rectified
from jaxact.activations.tailored import LEAKY
from jaxact.theory.checks import check_probability, check_variance
from jaxact.theory.quadrature import NumpyFunction, expectation
from jaxact.theory.transformed import (
    Constants,
    Curves,
    LocalMaps,
    check_continuous,
    fitted,
    leaky,
    leaky_correlation_map,
    local_maps,
)

SCALES, SHIFTS, SLOPES = (1.0, 0.1), (0.0, 1.0, -1.0), (0.0, 0.5)
"""Where the search for α, for β and δ, and for a leaky slope starts: first values first."""
FURTHER = tuple(itertools.product((0.3, 2.0), (0.5, -0.5, 2.0, -2.0)))
"""Starts for α and β where those fail."""
TOLERANCE = 1e-6
LARGEST_WITH_RELU_ON = math.pi / (math.pi - 1)
"""C'(1) of a centred ReLU without shift; with β > 0 it is smaller, with β < 0 larger."""
STEEPEST = 2.0
"""TAT takes no solution whose largest slope is this or more: its Q map is unstable (a rule of the authors' package)."""


def find(form: str, entry: Activation, options: Mapping[str, float]) -> tuple[Activation, Constants]:
    """Find the constants of a transformed activation such as `dks(sigmoid):layers=8`.

    Args:
        form: `dks`, `tat` or `alive`.
        entry: the activation inside.
        options: all options of the name (`activations.tailored.options`).

    Returns:
        The activation inside, with its slope on the left where that is found too, and the constants around it.

    Raises:
        ValueError: no constants meet the target.
    """
    curve, kinks = measured.curves(entry), entry.kinks or ()
    if form == "alive":
        return entry, centre(lambda x: curve(x)[0], kinks, options["variance"], options["share"])
    layers, scale = int(options["layers"]), 1 / math.sqrt(options["variance"])
    if entry.name in LEAKY:
        if form == "dks":
            left, constants = dks_leaky(options["slope"] ** (1 / layers))
        else:
            left, constants = tat_leaky(layers, options["correlation"])
        entry = rectified.ENTRIES[entry.name](negative_slope=left)
    elif form == "tat":
        constants = tat(curve, kinks, options["curvature"] / layers, entry.lipschitz or 1.0)
    elif entry.name == "relu":
        constants = dks_relu(curve, options["slope"] ** (1 / layers))
    else:
        constants = dks(curve, kinks, options["slope"] ** (1 / layers))
    return entry, constants._replace(input_scale=constants.input_scale * scale)


def dks(curves: Curves, kinks: Sequence[float], slope: float) -> Constants:
    """Find the constants of deep kernel shaping: Q(1) = Q'(1) = 1, C(0) = 0, C'(1) = slope.

    Args:
        curves: φ, φ' and φ''.
        kinks: where one of the three jumps.
        slope: C'(1) of this layer, above 1.

    Raises:
        ValueError: φ jumps, the slope is 1 or less, or no constants were found.
    """
    _check_above(slope)
    check_continuous(curves, kinks, 0)
    target = f"Q'(1) = 1 and C'(1) = {slope:.6g}"
    found = _search(
        lambda p: fitted(curves, kinks, p[0], p[1]),
        lambda maps: [maps.q_slope - 1, maps.c_slope - slope],
        [*itertools.product(SCALES, SHIFTS), *FURTHER],
        target,
    )
    return _normal_form(curves, kinks, fitted(curves, kinks, *found)[0])


def dks_relu(curves: Curves, slope: float) -> Constants:
    """The same for ReLU, which has one constant less to choose: Q(1) = 1, C(0) = 0, C'(1) = slope, and Q'(1) is free.

    Args:
        curves: φ, φ' and φ'' of a function with φ(ax) = aφ(x) for a > 0.
        slope: C'(1) of this layer, above 1.

    Raises:
        ValueError: the slope is 1 or less, or no constants were found.
    """
    _check_above(slope)
    shift = 1.0 if slope < LARGEST_WITH_RELU_ON else -1.0
    found = _search(
        lambda p: fitted(curves, (0.0,), p[0], shift),
        lambda maps: [maps.c_slope - slope],
        [(scale,) for scale in SCALES],
        f"C'(1) = {slope:.6g}",
    )
    return fitted(curves, (0.0,), found[0], shift)[0]


def dks_leaky(slope: float) -> tuple[float, Constants]:
    """The same for leaky ReLU, whose slope on the left is found too.

    Args:
        slope: C'(1) of this layer, above 1.

    Returns:
        The slope on the left, and the constants (α = 1).

    Raises:
        ValueError: the slope is 1 or less, or no constants were found.
    """
    _check_above(slope)
    left, shift = _search(
        lambda p: fitted(leaky(p[0]), (0.0,), 1.0, p[1]),
        lambda maps: [maps.q_slope - 1, maps.c_slope - slope],
        [*itertools.product(SLOPES, SHIFTS)],
        f"Q'(1) = 1 and C'(1) = {slope:.6g}",
    )
    return left, fitted(leaky(left), (0.0,), 1.0, shift)[0]


def tat(curves: Curves, kinks: Sequence[float], curvature: float, lipschitz: float = 1.0) -> Constants:
    """Find the constants of a tailored activation transformation: Q(1) = Q'(1) = C'(1) = 1, C''(1) = curvature.

    Args:
        curves: φ, φ' and φ''.
        kinks: where one of the three jumps.
        curvature: C''(1) of this layer, above 0.
        lipschitz: largest slope of φ, by which a solution is refused as too steep.

    Raises:
        ValueError: φ or φ' jumps, the curvature is 0 or less, or no constants were found.
    """
    check_variance("curvature", curvature, positive=True)
    check_continuous(curves, kinks, 0)
    check_continuous(curves, kinks, 1)
    found = _search(
        lambda p: fitted(curves, kinks, *p),
        lambda maps: [maps.q_slope - 1, maps.c_slope - 1, maps.c_curvature - curvature],
        [*itertools.product(SCALES, SHIFTS, SHIFTS)],
        f"Q'(1) = C'(1) = 1 and C''(1) = {curvature:.6g}",
        steepest=STEEPEST / lipschitz,
    )
    return _normal_form(curves, kinks, fitted(curves, kinks, *found)[0])


def tat_leaky(layers: int, correlation: float) -> tuple[float, Constants]:
    """Find the slope of the tailored leaky ReLU: two orthogonal inputs have the given correlation behind all layers.

    Args:
        layers: number of layers.
        correlation: target η in (0, 1).

    Returns:
        The slope on the left, and the constants (α = 1, β = δ = 0, γ = √(2/(1 + slope²))).

    Raises:
        ValueError: ReLU itself, the largest, has less.
    """
    eta = check_probability("correlation", correlation)

    def reached(slope: float) -> float:
        c = 0.0
        for _ in range(layers):
            c = leaky_correlation_map(slope, c)
        return c

    if not 0 < eta <= reached(0.0):
        raise ValueError(
            f"{layers} layers of leaky ReLU reach correlations above 0 and up to {reached(0.0):.4g}, not {eta:g}: "
            "choose a smaller correlation, or more layers"
        )
    slope = float(brentq(lambda a: reached(a) - eta, 0.0, 1.0, xtol=1e-12))  # pyright: ignore[reportArgumentType]
    return slope, Constants(1.0, 0.0, 0.0, math.sqrt(2 / (1 + slope**2)))


def centre(f: NumpyFunction, kinks: Sequence[float], q: SupportsFloat, share: float) -> Constants:
    """Take a share of the mean off φ and scale it to a second moment of 1, for pre-activations of variance q.

    Args:
        f: φ.
        kinks: where φ or φ' jumps.
        q: variance of the pre-activations.
        share: 0 leaves the mean, 1 takes all of it: then C(0) = 0.

    Raises:
        ValueError: the share is outside [0, 1], or φ is constant.
    """
    share = check_probability("share", share)
    mean = float(expectation(f, q, kinks))
    variance = float(expectation(lambda x: (f(x) - mean) ** 2, q, kinks))
    square = variance + ((1 - share) * mean) ** 2
    if not variance > 0:
        raise ValueError("a constant carries no signal, whatever its scale: name another activation")
    return Constants(1.0, 0.0, -share * mean, 1 / math.sqrt(square))


def _check_above(slope: float) -> None:
    if not slope > 1 or math.isinf(slope):
        raise ValueError(f"slope = {slope:.6g} is none of a centred layer that is not linear: it must be above 1")


def _normal_form(curves: Curves, kinks: Sequence[float], found: Constants) -> Constants:
    """Of constants with the same maps those with α > 0 and, if φ is point-symmetric, the smaller output shift.

    x and −x have one distribution. A point-symmetric φ has φ(−x) = 2φ(0) − φ(x).
    """
    found = found._replace(input_scale=abs(found.input_scale))
    twice = 2 * float(curves(np.zeros(1))[0, 0])
    mirror = found._replace(input_shift=-found.input_shift, output_shift=-twice - found.output_shift)
    if abs(mirror.output_shift) > abs(found.output_shift) - TOLERANCE:
        return found
    same = np.allclose(local_maps(curves, kinks, mirror), local_maps(curves, kinks, found), rtol=0, atol=TOLERANCE)
    return mirror if same else found


def _search(
    layer: Callable[[list[float]], tuple[Constants, LocalMaps]],
    errors: Callable[[LocalMaps], list[float]],
    starts: Sequence[tuple[float, ...]],
    target: str,
    steepest: float = math.inf,
) -> list[float]:
    """The first root of the errors that is found, by Powell's hybrid method from one start after the other."""
    for start in starts:
        try:
            solution = root(lambda p: errors(layer(p.tolist())[1]), np.array(start), method="hybr")
            if not solution.success or np.abs(solution.fun).max() > TOLERANCE:
                continue
            found = layer(solution.x.tolist())[0]
        except ValueError:  # the search left the region where the moments can be computed
            continue
        if abs(found.input_scale) * found.output_scale < steepest:
            return solution.x.tolist()
    raise ValueError(f"no input scale and shift of it give {target}: choose another target, or another activation")
