"""What can be said of output units from their weights and gradients alone."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


class Certificate(NamedTuple):
    """What holds for every input of a layer, per unit; a unit that is neither depends on the input.

    Attributes:
        dead: the pre-activation is never above 0.
        alive: the pre-activation is always above 0.
        lowest: infimum of the pre-activation over all inputs.
        highest: its supremum.
    """

    dead: Bool[Array, "*batch units"]
    alive: Bool[Array, "*batch units"]
    lowest: Float[Array, "*batch units"]
    highest: Float[Array, "*batch units"]


def interval_certificate(
    kernel: Float[Array, "inputs units"],
    bias: Float[Array, " units"],
    lower: float = 0.0,
    upper: float = 1.0,
) -> Certificate:
    """Which units are dead, or alive, for every input in an open interval: behind a sigmoid, (0, 1).

    A unit is dead iff Σ max(w, 0)·upper + Σ min(w, 0)·lower + b ≤ 0, behind a sigmoid Σ max(w, 0) + b ≤ 0, and alive
    iff Σ max(w, 0)·lower + Σ min(w, 0)·upper + b ≥ 0 and something is above 0. Both are exact for inputs that fill the
    interval independently and sufficient for any data; sums are as exact as the precision of the arguments, so give
    float64 where a bound may be within rounding of 0.

    Args:
        kernel: W of the layer, batch norm folded in (`mlp_affine`).
        bias: b.
        lower: infimum of the inputs, `Activation.range[0]` of the layer before; may be −inf.
        upper: their supremum; may be inf.

    Raises:
        ValueError: an empty interval.

    Source: interval arithmetic; Gowal et al. 2018, "On the effectiveness of interval bound propagation".
    """
    if not lower < upper:
        raise ValueError(f"the interval ({lower}, {upper}) is empty: give lower < upper")
    lowest, highest = interval_bounds(kernel, bias, lower, upper)
    return Certificate(highest <= 0, (lowest >= 0) & (highest > 0), lowest, highest)


def interval_bounds(
    kernel: Float[Array, "inputs units"],
    bias: Float[Array, " units"],
    lower: float | Float[Array, "*inputs"],
    upper: float | Float[Array, "*inputs"],
) -> tuple[Float[Array, " units"], Float[Array, " units"]]:
    """Infimum and supremum of the pre-activation of every unit.

    The arguments are those of `interval_certificate`; the limits may be given for each input.
    """
    up, down = jnp.maximum(kernel, 0), jnp.minimum(kernel, 0)
    return _weighted(up, lower) + _weighted(down, upper) + bias, _weighted(up, upper) + _weighted(down, lower) + bias


def _weighted(weights: Array, limit: float | Array) -> Array:
    """Σ w·limit, with 0·inf = 0."""
    each = jnp.broadcast_to(limit, weights.shape[:1])[:, None]
    return jnp.where(weights == 0, 0, weights * each).sum(0)


def gradient_coherence(gradient: Float[Array, "inputs units"]) -> Float[Array, " units"]:
    """The share of a unit's weight gradients that have its more frequent sign, between ½ and 1.

    Behind a sigmoid all inputs are positive, so for one example all weights of a unit move the same way and it is 1;
    averaged over a set it stays near 1 while the examples agree, which is how a unit is driven to death as a whole.

    Args:
        gradient: ∂loss/∂W of the layer (`loss_gradients(...).params`).

    Returns:
        Share among the gradients that are not exactly 0; 0 for a unit without any (a dead one).
    """
    positive, negative = (gradient > 0).sum(0), (gradient < 0).sum(0)
    return jnp.maximum(positive, negative) / jnp.maximum(positive + negative, 1)
