"""First and second moments of the pre-activations of a foreign network over a batch."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxact import probes
from jaxact.diagnosis.batches import alone
from jaxact.diagnosis.graph import run_all
from jaxact.diagnosis.measure import Subject


class FeatureSums(NamedTuple):
    """Sums over the examples of a batch; a feature is one entry of a pre-activation, a unit at a position.

    Attributes:
        first: of h.
        square: of h².
    """

    first: Float[Array, " features"]
    square: Float[Array, " features"]


def feature_sums(subject: Subject, leaves: list[Array], images: Any, chunk: int) -> tuple[FeatureSums, ...]:
    """Sum the pre-activations of every layer over the examples, `chunk` of them in memory at a time."""

    def of_example(x: Any) -> list[Array]:
        values = run_all(subject.graph, leaves, alone(x), {})
        return [probes.wide(values[layer.slot]).ravel() for layer in subject.layers]

    def of_chunk(rows: Any) -> tuple[FeatureSums, ...]:
        hidden = jax.vmap(of_example)(rows)
        return tuple(FeatureSums(h.sum(0), jnp.square(h).sum(0)) for h in hidden)

    return probes.sum_over_chunks(of_chunk, images, chunk)
