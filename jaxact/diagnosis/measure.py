"""What is measured of the gradients of a foreign network: their norms for a loss, and ∂output/∂input.

Functions of a `Subject`, the traced network; gradients are those of `jaxact.probes`. The units are in
`diagnosis.units`.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int

from jaxact import probes
from jaxact.diagnosis.batches import alone, first
from jaxact.diagnosis.graph import Graph, kinds_within, run_all, size
from jaxact.diagnosis.layers import Layer
from jaxact.probes import Network, Nonlinearity

GAIN_EXAMPLES, SIGN_VECTORS = 16, 8
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
    """The network of one example, as `jaxact.probes` takes it; pre-activations keep a leading batch axis of 1."""
    slots = {layer.name: layer.slot for layer in subject.layers}

    def network(x: Any, perturbations: Mapping[str, Array]) -> tuple[Array, dict[str, Array]]:
        shifts = {slots[name]: shift for name, shift in perturbations.items()}
        values = run_all(subject.graph, leaves, alone(x), shifts)
        return values[subject.graph.output][0], {name: values[slot] for name, slot in slots.items()}

    return network


def with_leaves(leaves: list[Array], indices: list[int], some: list[Array]) -> list[Array]:
    """The leaves, with `some` in the places `indices`."""
    every = list(leaves)
    for index, leaf in zip(indices, some, strict=True):
        every[index] = leaf
    return every


def input_output(subject: Subject, leaves: list[Array], images: Any) -> probes.Spectrum | None:
    """Spectra of ∂output/∂input at some examples; None where `without_jacobian` says why there are none."""
    if without_jacobian(subject, images):
        return None
    network = network_of(subject, leaves)
    backward = not OWN_GRADIENTS.isdisjoint(kinds_within(subject.graph))

    def of_example(x: Any) -> probes.Spectrum:
        parts, structure = jax.tree.flatten(x)
        vector, restore = ravel_pytree([part for part in parts if _floating(part)])

        def output(vector: Array) -> Array:
            floating = iter(restore(vector))
            return network(structure.unflatten([next(floating) if _floating(part) else part for part in parts]), {})[0]

        matrix = probes.jacobian(output, vector, chunk=64, backward=backward)
        return probes.spectrum(matrix.reshape(-1, vector.size))

    return jax.lax.map(of_example, first(images, JACOBIAN_EXAMPLES))


def without_jacobian(subject: Subject, images: Any) -> str:
    """Why there is no matrix ∂output/∂input, in words; "" where there is one."""
    inputs = [leaf for leaf in jax.tree.leaves(images) if _floating(leaf)]
    if not inputs:
        dtypes = " and ".join(sorted({str(leaf.dtype) for leaf in jax.tree.leaves(images)}))
        return f"inputs of {dtypes} have no derivative: d output/d input was left out"
    columns = sum(size(leaf.shape[1:]) for leaf in inputs)
    if columns * size(subject.graph.shapes[subject.graph.output]) > LARGEST_JACOBIAN:
        return f"d output/d input has more than {LARGEST_JACOBIAN} entries and was left out"
    return ""


def _floating(leaf: Array) -> bool:
    return jnp.issubdtype(leaf.dtype, jnp.floating)


def loss_gradients(
    subject: Subject,
    leaves: list[Array],
    images: Any,
    labels: Int[Array, " labels"],
    chunk: int,
) -> tuple[probes.Gradients, list[Float[Array, ""]]]:
    """Gradients of the mean cross-entropy by pre-activations, and the norm of that by each layer's kernel."""
    kernels = sorted({layer.kernel for layer in subject.layers})

    def batched(some: list[Array]) -> Network:
        return probes.batched(network_of(subject, with_leaves(leaves, kernels, some)))

    some = [leaves[index] for index in kernels]
    found = probes.loss_gradients(batched, some, images, labels, chunk=chunk)
    norm = dict(zip(kernels, probes.norms(found.params), strict=True))
    return found, [norm[layer.kernel] for layer in subject.layers]
