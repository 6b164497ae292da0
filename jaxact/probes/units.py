"""Which units of one layer are dead, nearly dead or saturated on a data set, counted chunk by chunk.

A unit is an entry of the last axis: a neuron of a dense layer, a channel of a feature map. Every leading axis
(examples, positions) is a case in which it may respond.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxact.probes.network import Nonlinearity

SATURATION_SHARE = 0.05
"""A unit counts as saturated where |φ'| is below this share of its supremum: tanh beyond |h| = 2.1783, the logistic
sigmoid beyond 4.3565, ReLU wherever it is off."""
NEARLY_DEAD_SHARE = 0.01
"""A unit that responds in at most this share of the cases, but in some, is nearly dead."""


class UnitCounts(NamedTuple):
    """In how many cases each unit of a layer is in which state; counts of several chunks add up.

    Attributes:
        cases: examples × positions.
        negative: pre-activation below 0.
        positive: pre-activation above 0.
        flat: φ' exactly 0, in the precision of the computation.
        saturated: |φ'| below a share of its supremum.
        zeros: output exactly 0.
        broken: pre-activation NaN or infinite; it counts as nothing else than its sign.
    """

    cases: Int[Array, "*batch"]
    negative: Int[Array, "*batch units"]
    positive: Int[Array, "*batch units"]
    flat: Int[Array, "*batch units"]
    saturated: Int[Array, "*batch units"]
    zeros: Int[Array, "*batch units"]
    broken: Int[Array, "*batch units"]


class LayerHealth(NamedTuple):
    """The state of one layer on a data set.

    Attributes:
        negative: share of negative pre-activations, over units and cases.
        saturated: share of saturated ones.
        sparsity: share of outputs that are exactly 0.
        broken: share of pre-activations that are NaN or infinite.
        active: per unit, share of the cases with φ' ≠ 0, in which it can learn.
        dead: φ' is exactly 0 in every case; for the ReLU family this is `never_positive`.
        nearly_dead: active in some cases, but in at most a stated share of them.
        never_positive: the pre-activation is never above 0, whatever the activation.
    """

    negative: Float[Array, "*batch"]
    saturated: Float[Array, "*batch"]
    sparsity: Float[Array, "*batch"]
    broken: Float[Array, "*batch"]
    active: Float[Array, "*batch units"]
    dead: Bool[Array, "*batch units"]
    nearly_dead: Bool[Array, "*batch units"]
    never_positive: Bool[Array, "*batch units"]


def count_units(h: Float[Array, "*cases units"], phi: Nonlinearity, share: float = SATURATION_SHARE) -> UnitCounts:
    """Count the states of every unit of a layer.

    Args:
        h: pre-activations.
        phi: the layer's activation.
        share: saturated is |φ'| < share · sup |φ'|, with 0 < share < 1.

    Raises:
        ValueError: a share that is not between 0 and 1.
    """
    if not 0 < share < 1:
        raise ValueError(f"the saturation share must be above 0 and below 1, got {share}: the default is 0.05")
    rows = h.reshape(-1, h.shape[-1])
    return count_states(rows, *phi.value_and_slope(rows), share * phi.steepest)


def count_states(
    h: Float[Array, "cases units"],
    value: Float[Array, "cases units"],
    slope: Float[Array, "cases units"],
    threshold: Float[Array, "*units"] | float,
) -> UnitCounts:
    """`count_units` where φ(h) and φ'(h) are known already; saturated is |φ'| < threshold, of all units or of each."""
    slope, finite = jnp.abs(slope), jnp.isfinite(h)
    threshold = jnp.broadcast_to(threshold, h.shape[-1:])[None, :]

    def count(state: Bool[Array, "cases units"]) -> Int[Array, " units"]:
        return state.sum(0)

    return UnitCounts(
        cases=jnp.asarray(len(h)),
        negative=count(h < 0),
        positive=count(h > 0),
        flat=count(finite & (slope == 0)),  # ReLU's slope at NaN is 0
        saturated=count(finite & (slope < threshold)),
        zeros=count(finite & (value == 0)),
        broken=count(~finite),
    )


def layer_health(counts: UnitCounts, nearly: float = NEARLY_DEAD_SHARE) -> LayerHealth:
    """The shares and flags that the counts of a whole set amount to.

    Args:
        counts: summed over the chunks of the set.
        nearly: largest share of active cases of a nearly dead unit.

    Raises:
        ValueError: a share that is not between 0 and 1.
    """
    if not 0 <= nearly < 1:
        raise ValueError(f"the nearly-dead share must be at least 0 and below 1, got {nearly}: the default is 0.01")
    cases = counts.cases

    def share(count: Int[Array, " units"]) -> Float[Array, ""]:
        return (count / cases).mean()

    active = cases - counts.flat - counts.broken
    dead = counts.flat == cases
    few = active <= nearly * cases * (1 + 1e-6)  # a share such as 0.01 is not exact in binary
    return LayerHealth(
        negative=share(counts.negative),
        saturated=share(counts.saturated),
        sparsity=share(counts.zeros),
        broken=share(counts.broken),
        active=active / cases,
        dead=dead,
        nearly_dead=~dead & few & (counts.broken < cases),
        never_positive=counts.positive + counts.broken == 0,
    )
