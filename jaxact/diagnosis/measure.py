"""What is measured of the gradients of a foreign network: their norms for a loss, and ∂output/∂input.

Functions of a `Subject`, the traced network; gradients are those of `jaxact.propagation`. The units are in
`diagnosis.units`.
"""

from collections.abc import Mapping
from typing import NamedTuple

import jax
from jaxtyping import Array, Float, Int

from jaxact import propagation
from jaxact.diagnosis.graph import Graph, kinds_within, run_all, size
from jaxact.diagnosis.layers import Layer
from jaxact.propagation import Network, Nonlinearity

GAIN_EXAMPLES, PROBES = 16, 8
JACOBIAN_EXAMPLES, LARGEST_JACOBIAN = 8, 2**24
OWN_GRADIENTS = frozenset({"custom_vjp_call", "custom_vjp_call_jaxpr"})
"""Operations that have no derivative in forward mode."""


class Subject(NamedTuple):
    """A network under diagnosis.

    Attributes:
        graph: its trace for one example.
        layers: what was found in it.
        hints: activations that the caller named, by layer.
    """

    graph: Graph
    layers: tuple[Layer, ...]
    hints: dict[str, Nonlinearity]


def network_of(subject: Subject, leaves: list[Array]) -> Network:
    """The network of one example, as `jaxact.propagation` takes it; pre-activations keep a leading batch axis of 1."""
    slots = {layer.name: layer.slot for layer in subject.layers}

    def network(x: Array, perturbations: Mapping[str, Array]) -> tuple[Array, dict[str, Array]]:
        shifts = {slots[name]: shift for name, shift in perturbations.items()}
        values = run_all(subject.graph, leaves, x[None], shifts)
        return values[subject.graph.output][0], {name: values[slot] for name, slot in slots.items()}

    return network


def with_leaves(leaves: list[Array], indices: list[int], some: list[Array]) -> list[Array]:
    """The leaves, with `some` in the places `indices`."""
    every = list(leaves)
    for index, leaf in zip(indices, some, strict=True):
        every[index] = leaf
    return every


def input_output(
    subject: Subject, leaves: list[Array], images: Float[Array, "examples ..."]
) -> propagation.Spectrum | None:
    """Spectra of ∂output/∂input at some examples; None where the matrix would be too large."""
    graph, network = subject.graph, network_of(subject, leaves)
    if size(graph.shapes[graph.x]) * size(graph.shapes[graph.output]) > LARGEST_JACOBIAN:
        return None

    backward = not OWN_GRADIENTS.isdisjoint(kinds_within(graph))

    def of_example(x: Array) -> propagation.Spectrum:
        matrix = propagation.jacobian(lambda x: network(x, {})[0], x, chunk=64, backward=backward)
        return propagation.spectrum(matrix.reshape(-1, x.size))

    return jax.lax.map(of_example, images[:JACOBIAN_EXAMPLES])


def loss_gradients(
    subject: Subject,
    leaves: list[Array],
    images: Float[Array, "examples ..."],
    labels: Int[Array, " labels"],
    chunk: int,
) -> tuple[propagation.Gradients, list[Float[Array, ""]]]:
    """Gradients of the mean cross-entropy by pre-activations, and the norm of that by each layer's kernel."""
    kernels = sorted({layer.kernel for layer in subject.layers})

    def batched(some: list[Array]) -> Network:
        return propagation.batched(network_of(subject, with_leaves(leaves, kernels, some)))

    some = [leaves[index] for index in kernels]
    found = propagation.loss_gradients(batched, some, images, labels, chunk=chunk)
    norm = dict(zip(kernels, propagation.norms(found.params), strict=True))
    return found, [norm[layer.kernel] for layer in subject.layers]
