"""What mean-field theory says of a stack: the bridge from catalogue entries and initialisers to `jaxact.meanfield`."""

import math
from collections.abc import Callable
from typing import NamedTuple, SupportsFloat

import numpy as np

from jaxact import activations as catalogue
from jaxact import meanfield as mf
from jaxact.config import closest

INITS = (*mf.INITIALISERS, "critical")
"""Initialisers of a stack: the named ones, and the edge of chaos of its activation."""

_CRITICAL_Q = 2.0 ** np.arange(11)
_FIXED = 1e-6


class Theory(NamedTuple):
    """Predictions for one activation and initialiser.

    Attributes:
        stack: the prediction per layer, for a single input (c = 1).
        chi: χ at the deepest layer.
        gradient_scale: ξ = −1/ln χ, layers in which a squared gradient changes by e; inf at χ = 1, < 0 where it grows.
        correlation_scale: ξ_c = −1/ln (slope of the correlation map at c*), the depth to which two inputs can be told
            apart; NaN where the variance has reached no fixed point at the deepest layer.
    """

    stack: mf.StackPrediction
    chi: float
    gradient_scale: float
    correlation_scale: float


def mean_field_phi(entry: catalogue.Activation) -> mf.Phi:
    """The entry as the mean-field functions want it; one compilation per power of two of the number of points."""

    def padded(fn: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
        def call(x: np.ndarray) -> np.ndarray:
            points = np.asarray(x, np.float64)
            size = max(1024, 1 << (points.size - 1).bit_length())
            return fn(np.resize(points.ravel(), size))[: points.size].reshape(points.shape)

        return call

    f, df = catalogue.as_numpy(entry)
    return mf.Phi(padded(f), padded(df), entry.kinks or ())


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


def predict(phi: mf.Phi, inits: tuple[mf.Init, ...], features: int, units: int, q0: SupportsFloat) -> Theory:
    """Predict variances, χ and depth scales of a stack.

    Args:
        phi: the activation of every layer.
        inits: one `Init` per layer.
        features: inputs of the first layer.
        units: width of every layer.
        q0: mean of ‖x‖²/d of the inputs.
    """
    depth = len(inits)
    stack = mf.predict_stack([phi] * depth, (features, *(units,) * depth), inits, q0, 1.0)
    chi, q, last = float(stack.chi[-1]), float(stack.q[-1]), inits[-1]
    following = mf.variance_map(phi, q, *last)
    fixed = q > 0 and abs(following - q) <= _FIXED * q
    correlation = mf.correlation_fixed_point(phi, q, *last).depth_scale if fixed else math.nan
    return Theory(stack, chi, mf.depth_scale(chi), correlation)
