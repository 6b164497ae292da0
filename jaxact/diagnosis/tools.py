"""A network and the compiled measurements of it, kept for the next diagnosis of the same network."""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple

from jaxact.diagnosis import adapters, derivatives, measure, reach, steps, units
from jaxact.diagnosis.compiled import shared
from jaxact.diagnosis.edges import Edges, Kernel, find_edges, find_kernels
from jaxact.diagnosis.flow import flow
from jaxact.diagnosis.layers import Layer
from jaxact.diagnosis.moments import feature_sums


class Tools(NamedTuple):
    """A network and the compiled measurements of it."""

    network: adapters.Traced
    edges: Edges
    kernels: tuple[Kernel | None, ...]
    groups: tuple[reach.Group, ...]
    slopes: Callable[..., Any]
    health: Callable[..., Any]
    flow: Callable[..., Any]
    spectra: Callable[..., Any]
    gradients: Callable[..., Any]
    projected: Callable[..., Any]
    derivatives: Callable[..., Any]
    own_derivatives: tuple[Layer, ...]
    slopes_of_loss: Callable[..., Any]
    parameters: tuple[int, ...]
    sums: Callable[..., Any]


def tools_for(apply_fn: Any, form: adapters.Form, hints: tuple[tuple[str, str], ...], chunk: int) -> Tools:
    """The tools of a network: those of an earlier call for the same one, if it can be told apart by its hash."""
    try:
        return tools_of(apply_fn, form, hints, chunk)
    except TypeError:  # a function or structure that is not hashable
        return tools_of.__wrapped__(apply_fn, form, hints, chunk)


@lru_cache(maxsize=16)
def tools_of(apply_fn: Any, form: adapters.Form, hints: tuple[tuple[str, str], ...], chunk: int) -> Tools:
    """Kept, so that the second diagnosis of a network, after some training, traces and compiles nothing."""
    network = adapters.traced(apply_fn, form, dict(hints))
    graph, layers = network.subject.graph, network.subject.layers
    kernels = find_kernels(graph, layers)
    every = reach.every_output(partial(adapters.called, adapters.plain_function(apply_fn)), form.structure)
    used = reach.used_leaves(every, form.leaves, form.batch(form.inputs[0].shape[0]))
    groups = reach.find_groups(graph, adapters.paths_of(form.structure), form.leaves, used)

    def compiled(measurement: Callable[..., Any], **settings: Any) -> Callable[..., Any]:
        return shared(partial(measurement, network.subject, **settings))

    own_derivatives = derivatives.with_own_derivative(network.subject)
    parameters = tuple(sorted(leaf for group in groups for leaf in group.leaves))
    return Tools(
        network._replace(outputs=shared(network.outputs)),
        find_edges(graph, layers),
        kernels,
        groups,
        compiled(units.slopes),
        compiled(units.unit_health, chunk=chunk),
        compiled(flow, kernels=kernels),
        compiled(measure.input_output),
        compiled(measure.loss_gradients, chunk=chunk),
        shared(partial(reach.projected_gradient, every)),
        compiled(derivatives.compare, layers=own_derivatives),
        own_derivatives,
        shared(partial(steps.loss_and_slopes, network.outputs, parameters)),
        parameters,
        compiled(feature_sums, chunk=chunk),
    )
