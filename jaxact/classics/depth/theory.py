"""What mean-field theory says of a stack: the bridge from catalogue entries and initialisers to `jaxact.theory`."""

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple, SupportsFloat

import numpy as np
from jaxtyping import Float

from jaxact import activations as catalogue
from jaxact import theory as mf
from jaxact.classics.depth.plan import INITS
from jaxact.config import closest
from jaxact.theory import prediction

_CRITICAL_Q = 2.0 ** np.arange(11)
_FIXED = 1e-6


class Theory(NamedTuple):
    """Predictions for one activation and initialiser, for a single input.

    Attributes:
        q: variance of the pre-activations h^l.
        log_apjn: ln J^{L,l}, J^{L,l} = E‖∂h^L/∂h^l‖_F²/n_L, at [L, l], index 0 for the first layer; −inf for L < l.
        chi: χ at the deepest layer.
        gradient_scale: ξ = −1/ln χ, layers in which a squared gradient changes by e; inf at χ = 1, < 0 where it grows.
        correlation_scale: ξ_c = −1/ln (slope of the correlation map at c*), the depth to which two inputs can be told
            apart; NaN where the variance has reached no fixed point at the deepest layer.
    """

    q: Float[np.ndarray, " layers"]
    log_apjn: Float[np.ndarray, "layers layers"]
    chi: float
    gradient_scale: float
    correlation_scale: float


def mean_field_phi(entry: catalogue.Activation) -> mf.Phi:
    """The entry as the mean-field functions want it."""
    return prediction.phi(entry.spec)


def critical_init(phi: mf.Phi) -> tuple[mf.Init, float]:
    """Find the edge of chaos at the smallest q* of 1, 2, 4, …, 1024 that has one.

    Returns:
        σ_w² and σ_b², and q*.

    Raises:
        ValueError: there is none, as for softplus.
    """
    for q in _CRITICAL_Q:
        try:
            return mf.edge_of_chaos(phi, q), float(q)
        except ValueError:
            continue
    raise ValueError(f"no edge of chaos for any q* from 1 to {_CRITICAL_Q[-1]:g}: choose another initialiser")


def layer_inits(init: str, phi: mf.Phi, features: int, units: int, depth: int) -> tuple[mf.Init, ...]:
    """σ_w² and σ_b² of every hidden layer.

    Args:
        init: one of `INITS`.
        phi: the activation, which `critical` needs.
        features: inputs of the first layer.
        units: width of every layer.
        depth: number of layers.

    Raises:
        ValueError: an unknown name, or an activation without an edge of chaos.
    """
    if init not in INITS:
        raise closest(init, INITS, "initialiser")
    if init == "critical":
        return (critical_init(phi)[0],) * depth
    return mf.stack_inits(init, (features, *(units,) * depth))


def predict(phi: mf.Phi, inits: Sequence[mf.Init], q0: SupportsFloat) -> Theory:
    """Predict variances, gradients and depth scales of a stack, as `theory.predict_stack` for one input.

    Args:
        phi: the activation of every layer.
        inits: one `Init` per layer.
        q0: mean of ‖x‖²/d of the inputs.

    Raises:
        ValueError: no layer, or a variance that is negative or not finite.
    """
    if not inits:
        raise ValueError("inits is empty: give one Init per layer")
    moments = functools.cache(functools.partial(mf.moments, phi))  # a stack at its fixed point asks for the same q
    variances, slopes, square = [], [], float(q0)
    for layer, (weight_variance, bias_variance) in enumerate(inits, start=1):
        q = weight_variance * square + bias_variance
        try:
            seen = moments(q)
        except ValueError as error:
            raise ValueError(f"layer {layer}, variance {q:.3g}: {error}") from error
        variances.append(q)
        slopes.append(seen.slope_square)
        square = seen.square
    weight_variance, bias_variance = inits[-1]
    chi, q, following = weight_variance * slopes[-1], variances[-1], weight_variance * square + bias_variance
    fixed = q > 0 and abs(following - q) <= _FIXED * q
    correlation = mf.correlation_fixed_point(phi, q, *inits[-1]).depth_scale if fixed else math.nan
    growth = np.array([init.weight_variance for init in inits[1:]]) * np.array(slopes[:-1])
    return Theory(np.array(variances), _log_apjn(growth), chi, mf.depth_scale(chi), correlation)


def _log_apjn(growth: Float[np.ndarray, " steps"]) -> Float[np.ndarray, "layers layers"]:
    """Sums of ln `growth` from layer l to layer L, where growth[l] = σ_w²(l + 1) E[φ_l'²] leads from l to l + 1."""
    with np.errstate(divide="ignore"):
        logs = np.log(growth)
    table = np.full((growth.size + 1,) * 2, -np.inf)
    for first in range(growth.size + 1):
        table[first:, first] = np.cumsum(np.concatenate([[0.0], logs[first:]]))
    return table
