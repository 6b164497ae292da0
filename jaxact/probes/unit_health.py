"""The health of a whole network on a data set, in chunks."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxact import metrics
from jaxact.probes.chunks import sum_over_chunks
from jaxact.probes.network import Network, Nonlinearity, check_layers, layer_shapes
from jaxact.probes.units import NEARLY_DEAD_SHARE, SATURATION_SHARE, LayerHealth, UnitCounts, count_units, layer_health


class NetworkHealth(NamedTuple):
    """The state of one network on a data set.

    Attributes:
        layers: by layer name (JAX sorts the names: look layers up, do not count them).
        dead_classes: output units that are dead.
        predicted: examples per predicted class.
        never_predicted: classes that are never predicted. Not the same as the dead ones: a dead logit is 0 and wins
            where all others are below 0 or, as the lower class, where they are 0 as well.
    """

    layers: dict[str, LayerHealth]
    dead_classes: Bool[Array, "*batch units"]
    predicted: Int[Array, "*batch classes"]
    never_predicted: Bool[Array, "*batch classes"]


def network_health(
    network: Network,
    phis: Mapping[str, Nonlinearity],
    images: Float[Array, "examples ..."],
    *,
    chunk: int = 1000,
    share: float = SATURATION_SHARE,
    nearly: float = NEARLY_DEAD_SHARE,
) -> NetworkHealth:
    """Count dead, nearly dead and saturated units, zeros, dead classes and classes never predicted.

    Pure: jit it, and vmap or map it over seeds and epochs. For an `MLP`, `mlp_network` and `mlp_nonlinearities` make
    the first two arguments.

    Args:
        network: (examples, {}) → (logits, pre-activations), on a batch; `propagation.batched` makes one of a network of
            one example and keeps the order of its layers.
        phis: the activation of every layer by name. Layers not named are left out, but for the last.
        images: the set.
        chunk: examples at a time; with 1,000, 60,000 examples need no more memory than 1,000.
        share: saturated is |φ'| < share · sup |φ'|.
        nearly: largest share of active cases of a nearly dead unit.

    Raises:
        ValueError: no examples, a layer that the network does not have, or none for the last, or a share out of range.
    """
    names = list(layer_shapes(network, images))
    check_layers(phis, names)
    if names[-1] not in phis:
        raise ValueError(f"no activation is given for the output layer {names[-1]!r}: use nonlinearity('identity')")

    def of_chunk(rows: Array) -> tuple[dict[str, UnitCounts], Array]:
        logits, hidden = network(rows, {})
        winners = jax.vmap(metrics.prediction)(logits)
        predicted = (winners[:, None] == jnp.arange(logits.shape[-1])[None, :]).sum(0)
        return {name: count_units(hidden[name], phi, share) for name, phi in phis.items()}, predicted

    counts, predicted = sum_over_chunks(of_chunk, images, chunk)
    layers = {name: layer_health(count, nearly) for name, count in counts.items()}
    return NetworkHealth(layers, layers[names[-1]].dead, predicted, predicted == 0)


def layer_outputs(network: Network, phis: Mapping[str, Nonlinearity]) -> Callable[[Array], dict[str, Array]]:
    """A function from a batch of examples to the outputs φ(h) of every layer in `phis`, for `intrinsic_dimensions`."""

    def outputs(rows: Array) -> dict[str, Array]:
        _, hidden = network(rows, {})
        check_layers(phis, hidden)
        return {name: phi.fn(hidden[name]) for name, phi in phis.items()}

    return outputs
