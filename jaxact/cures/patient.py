"""A network under repair: its trace, what of it can be changed, and the compiled measurements that a change needs."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxact import probes
from jaxact.cures.affine import Handle, find_handles
from jaxact.diagnosis import adapters, axes, units
from jaxact.diagnosis.batches import alone, examples_of
from jaxact.diagnosis.compiled import shared
from jaxact.diagnosis.edges import Edges, find_edges, find_kernels
from jaxact.diagnosis.flow import flow, transport
from jaxact.diagnosis.graph import run_all
from jaxact.diagnosis.measure import Subject


class UnitState(NamedTuple):
    """The units of one layer.

    Attributes:
        mean: of each unit's pre-activation over all cases.
        dead: whether it passes next to no gradient in any case.
        two_sided: whether its activation is flat on both sides.
    """

    mean: Float[np.ndarray, " units"]
    dead: Bool[np.ndarray, " units"]
    two_sided: bool


class Signal(NamedTuple):
    """What the kernels' sizes decide.

    Attributes:
        spread: by layer, root mean square over the units of the standard deviation of h.
        step: by layer, the gradient's norm over that by the layers it feeds; its square is the APJN.
    """

    spread: tuple[float, ...]
    step: tuple[float, ...]


class Patient(NamedTuple):
    """A network under repair.

    Attributes:
        subject: the traced network.
        edges: which layer feeds which.
        handles: what can be changed of each layer.
        images: the batch.
        units: the state of every layer's units, from the leaves.
        signal: the signal, from the leaves.
    """

    subject: Subject
    edges: Edges
    handles: tuple[Handle, ...]
    images: Any
    units: Callable[[list[Array]], tuple[UnitState, ...]]
    signal: Callable[[list[Array]], Signal]


def admit(apply_fn: Any, form: adapters.Form, hints: Mapping[str, str], images: Any, chunk: int) -> Patient:
    """Trace a network that has passed the checks of `diagnose`."""
    subject = adapters.traced(apply_fn, form, dict(hints)).subject
    edges, kernels = find_edges(subject.graph, subject.layers), find_kernels(subject.graph, subject.layers)
    handles = find_handles(subject.graph, subject.layers, kernels, edges, adapters.paths_of(form.structure))
    slopes, health = shared(partial(units.slopes, subject)), shared(partial(units.unit_health, subject, chunk=chunk))
    means, flows = shared(partial(_means, subject, chunk=chunk)), shared(partial(flow, subject, kernels=kernels))

    def unit_states(leaves: list[Array]) -> tuple[UnitState, ...]:
        known = slopes(leaves, images)
        parts = jax.device_get((means(leaves, images), health(leaves, images, known), known))
        return tuple(
            UnitState(mean, np.asarray(own.state.dead, bool), bool(slope.saturates))
            for mean, own, slope in zip(*parts, strict=True)
        )

    def signal(leaves: list[Array]) -> Signal:
        measured = jax.device_get(flows(leaves, images))
        moved = transport(np.asarray(measured.norms), edges)
        return Signal(tuple(measured.spread.tolist()), tuple(moved.step))

    return Patient(subject, edges, handles, images, unit_states, signal)


def _means(subject: Subject, leaves: list[Array], images: Any, chunk: int) -> list[Array]:
    """Mean of every unit's pre-activation over examples and positions."""

    def of_example(x: Any) -> list[Array]:
        values = run_all(subject.graph, leaves, alone(x), {})
        return [axes.by_unit(probes.wide(values[layer.slot]), layer.axes).mean(0) for layer in subject.layers]

    def of_chunk(rows: Any) -> list[Array]:
        return jax.tree.map(lambda part: part.sum(0), jax.vmap(of_example)(rows))

    sums = probes.sum_over_chunks(of_chunk, images, chunk)
    return jax.tree.map(lambda part: part / jnp.asarray(examples_of(images), part.dtype), sums)
