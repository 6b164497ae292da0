"""What is measured of the gradients of a foreign network: their gain, their norms for a loss, ∂output/∂input.

Functions of a `Subject`, the traced network; gradients are those of `jaxact.propagation`. The units are in
`diagnosis.units`.
"""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxact import propagation
from jaxact.diagnosis.graph import Graph, kinds_within, run_all, size
from jaxact.diagnosis.layers import Layer
from jaxact.propagation import Network, Nonlinearity

GAIN_EXAMPLES, PROBES = 16, 8
JACOBIAN_EXAMPLES, LARGEST_JACOBIAN = 8, 2**24
OWN_GRADIENTS = frozenset({"custom_vjp_call", "custom_vjp_call_jaxpr"})
"""Operations that have no derivative in forward mode."""
OUTPUT = "output of the network"


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


class Gains(NamedTuple):
    """Gradient by every pre-activation, relative to that by the last one.

    Attributes:
        gain: √(J^l/J^L) with J^l = E ‖∂output/∂h^l‖²_F, the mean over examples.
        error: its standard error from the random probes.
    """

    gain: Float[Array, " layers"]
    error: Float[Array, " layers"]


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


def gains(subject: Subject, leaves: list[Array], images: Float[Array, "examples ..."]) -> Gains:
    """How the gradient of the output grows or shrinks on its way back, by Hutchinson's estimator."""
    network, names = network_of(subject, leaves), [layer.name for layer in subject.layers]

    def output_only(x: Array, shifts: Mapping[str, Array]) -> tuple[Array, dict[str, Array]]:
        # All other layers are constants here, so that only the last row of the estimator's matrix costs anything.
        inner = {name: shift for name, shift in shifts.items() if name != OUTPUT}
        output, hidden = network(x, inner)
        return output, {name: jnp.zeros_like(h) for name, h in hidden.items()} | {OUTPUT: output}

    images = images[:GAIN_EXAMPLES]
    keys = jax.random.split(jax.random.key(0, impl="unsafe_rbg"), len(images))  # its signs compile in half the time
    rows = jax.vmap(lambda x, key: propagation.hutchinson_apjn(output_only, x, key, PROBES))(images, keys)
    mean = propagation.average(rows)
    squares, errors = mean.value[-1, : len(names)], mean.standard_error[-1, : len(names)]
    gain = jnp.sqrt(squares / squares[-1])
    return Gains(gain, gain * errors / (2 * jnp.where(squares > 0, squares, 1)))


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
