"""What is wrong with a network that jaxact did not write: per-layer health, gradients, and verdicts in words.

`diagnose` traces the network once and finds its layers in the trace, so any JAX network will do (Flax linen and NNX,
or plain functions), unchanged.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxact.diagnosis import adapters, checks, measure, reach, units
from jaxact.diagnosis.compiled import shared
from jaxact.diagnosis.edges import Edges, Kernel, find_edges, find_kernels
from jaxact.diagnosis.flow import Flow, flow, transport
from jaxact.diagnosis.graph import check_deterministic
from jaxact.diagnosis.report import Diagnosis
from jaxact.diagnosis.signals import signal_findings, signal_notes
from jaxact.diagnosis.verdicts import FEW_EXAMPLES, LayerReport, Verdict, judge

__all__ = ["Diagnosis", "LayerReport", "Verdict", "diagnose"]


def diagnose(
    apply_fn: Any,
    variables: Any,
    batch: Any,
    labels: Any = None,
    *,
    activations: Mapping[str, str] | None = None,
    chunk: int = 128,
) -> Diagnosis:
    """Find dead, saturated and broken layers and exploding or vanishing gradients in a network.

    Per layer: shares of negative, saturated and exactly zero outputs, of dead and nearly dead units
    (`health.LayerHealth`); the norm of the output's gradient by its pre-activations h^l relative to the last layer,
    √(E‖∂y/∂h^l‖²/E‖∂y/∂h^L‖²), and relative to the layers that this one feeds, on up to 16 examples with 8 random
    probes each (`diagnosis.flow`); how large the kernel is and how much it passes on; with labels the norms of the
    gradients of the cross-entropy by h^l and by the layer's kernel (`propagation.loss_gradients`). For the whole: the
    spectrum of ∂y/∂x on up to 8 examples.

    A layer is what `diagnosis.layers` finds: a matrix product or convolution with a parameter, with bias and batch norm
    in evaluation mode, or a normalisation with parameters; a unit is a column of its kernel or a channel of its
    convolution, wherever the layout puts it, and every example and position is a case. Its activation is read off the
    trace, so its slope φ' is exact. An output is **saturated** if |φ'| < 5 % of its largest value for h in [−32, 32]
    (of the catalogue's supremum for a hint). A unit is **dead** if |φ'| is below 0.1 % of that in every case: relu
    where it is off, gelu below −3.8, silu below −8.9, elu, selu and softplus below −6.9. Where φ' grows without limit,
    only a slope of 0 is dead. For all outputs together: which parameters get a gradient, at first or after small steps.
    The limits are those of `diagnosis.verdicts`, `diagnosis.signals` and `diagnosis.checks`.

    Args:
        apply_fn: (variables, batch) → outputs [examples, ...], or a tuple that starts with them; or a linen module.
            In evaluation mode: `lambda variables, x: model.apply(variables, x, train=False)`. For an NNX model:
            `graphdef, state = nnx.split(model)` and `lambda state, x: nnx.merge(graphdef, state)(x), state`.
        variables: a pytree of arrays.
        batch: [examples, ...], floating point, prepared as in training; 64 to 1,000 of them.
        labels: class numbers [examples], for outputs that are logits.
        activations: names of the catalogue by layer, instead of what the trace says: {"Dense_0": "relu"}.
        chunk: examples in memory at a time.

    Returns:
        The diagnosis; `print` it. Parameters with NaN give the verdict "broken", and so do gradients that are NaN where
        the network is finite; a batch of equal examples (all zeros, say) gives "constant inputs". Parameters of other
        outputs or inside loops, where no layer is measured, and those without use give "incomplete". "healthy" is about
        what was looked at, which the text lists.

    Raises:
        ValueError: an empty or non-finite batch, labels that do not fit, an unknown layer or activation in
            `activations`, a network without layers or one whose examples influence one another (batch norm in training
            mode, of a single example too), or one that draws random numbers (dropout in training mode).
    """
    images, classes = adapters.checked_batch(batch, labels)
    form, leaves = adapters.form_of(variables, images)
    hints = tuple(sorted((activations or {}).items()))
    try:
        tools = _tools(apply_fn, form, hints, chunk)
    except TypeError:  # a function or structure that is not hashable
        tools = _tools.__wrapped__(apply_fn, form, hints, chunk)
    subject = tools.network.subject
    check_deterministic(subject.graph)
    if classes is not None:
        adapters.check_classes(classes, subject.graph.shapes[subject.graph.output])
    adapters.check_independent(tools.network, leaves, images)
    known = tools.slopes(leaves, images)
    health, flows = tools.health(leaves, images, known), tools.flow(leaves, images)
    spectra = tools.spectra(leaves, images)
    gradients = None if classes is None else tools.gradients(leaves, images, classes)
    flows = jax.device_get(flows)
    reports = _reports(tools, jax.device_get((known, health, gradients)), flows)
    loss = float("nan") if gradients is None else float(gradients[0].loss)
    found, notes = _checks(tools, reports, flows, leaves, images, classes, loss)
    outputs = (1, *subject.graph.shapes[subject.graph.output])[-1]
    broken = adapters.broken_leaf(leaves, adapters.paths_of(form.structure))
    signals = signal_findings(reports, tools.edges)
    verdicts = judge(
        reports, tools.edges, outputs=outputs, examples=len(images), broken=broken, signals=signals, checks=found
    )
    notes = [*_notes(reports, verdicts, len(images), spectra is None), *notes]
    notes += signal_notes(reports, tools.edges, verdicts)
    return Diagnosis(
        layers=reports,
        verdicts=tuple(verdicts),
        notes=tuple(notes),
        examples=len(images),
        singular_values=() if spectra is None else tuple(np.median(spectra.singular_values, axis=0).tolist()),
        condition=float("nan") if spectra is None else float(np.median(spectra.condition)),
        effective_rank=float("nan") if spectra is None else float(np.median(spectra.effective_rank)),
        loss=loss,
    )


STOPPING = frozenset({"dead", "dead outputs", "saturated", "broken", "no gradient", "equal weights"})
"""Findings that explain why no gradient reaches a layer."""


class _Tools(NamedTuple):
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


@lru_cache(maxsize=16)
def _tools(apply_fn: Any, form: adapters.Form, hints: tuple[tuple[str, str], ...], chunk: int) -> _Tools:
    """Kept, so that the second diagnosis of a network, after some training, traces and compiles nothing."""
    network = adapters.traced(apply_fn, form, dict(hints))
    graph, layers = network.subject.graph, network.subject.layers
    kernels = find_kernels(graph, layers)
    every = reach.every_output(adapters.plain_function(apply_fn), form.structure)
    used = reach.used_leaves(every, form.leaves, form.batch)
    groups = reach.find_groups(graph, adapters.paths_of(form.structure), form.leaves, used)

    def compiled(measurement: Callable[..., Any], **settings: Any) -> Callable[..., Any]:
        return shared(partial(measurement, network.subject, **settings))

    return _Tools(
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
    )


def _checks(
    tools: _Tools,
    reports: tuple[LayerReport, ...],
    flows: Flow,
    leaves: list[Any],
    images: Any,
    labels: Any,
    loss: float,
) -> tuple[list[Verdict], list[str]]:
    """What is found in inputs, labels, loss, weights and reach; findings and notes."""
    subject = tools.network.subject
    reached, notes = _reached(tools, leaves, images)
    found = checks.input_checks(images, reports, tools.edges)
    if labels is not None:
        classes = subject.graph.shapes[subject.graph.output][-1]
        about_labels = checks.label_checks(labels, loss, classes, FEW_EXAMPLES)
        found, notes = found + about_labels[0], notes + about_labels[1]
    if reached is not None:
        about_weights = checks.weight_checks(subject, reports, flows.alike.tolist(), reached)
        found, notes = found + about_weights[0], notes + about_weights[1]
    return found + checks.reach_checks(tools.groups, reached, subject, reports, tools.edges), notes


def _reached(tools: _Tools, leaves: list[Any], images: Any) -> tuple[reach.Reached | None, list[str]]:
    """Where the gradient of all outputs arrives; None, and a note, where JAX cannot take it."""
    parameters = frozenset(leaf for group in tools.groups for leaf in group.leaves)
    try:
        return reach.reach(tools.projected, leaves, images, parameters), []
    except (ValueError, TypeError, NotImplementedError) as error:  # an output behind a while loop
        return None, [f"the gradient of all outputs was not looked at ({str(error).splitlines()[0]})"]


def _reports(tools: _Tools, numbers: Any, flows: Flow) -> tuple[LayerReport, ...]:
    known, health, gradients = numbers
    subject, nothing = tools.network.subject, float("nan")
    moved = transport(np.asarray(flows.norms), tools.edges)
    with np.errstate(divide="ignore", invalid="ignore"):
        passed = (flows.spread / flows.received).tolist()
    reports = []
    for index, layer in enumerate(subject.layers):
        state, slopes = health[index].state, known[index]
        hint, kernel = subject.hints.get(layer.name), tools.kernels[index]
        name = layer.activation if hint is None else getattr(hint.fn, "spec", layer.activation)
        counted = hint is not None or (layer.activation not in ("linear", "?") and not slopes.growing)
        reports.append(
            LayerReport(
                name=layer.name,
                activation=name,
                units=len(state.dead),
                negative=float(state.negative),
                saturated=float(state.saturated) if counted else nothing,
                sparsity=float(state.sparsity),
                broken=float(state.broken),
                dead=float(state.dead.mean()),
                nearly_dead=float(state.nearly_dead.mean()),
                gain=moved.gain[index],
                gain_error=moved.error[index],
                attenuation=moved.step[index],
                gradient=nothing if gradients is None else float(gradients[0].layers[index]),
                kernel_gradient=nothing if gradients is None else float(gradients[1][index]),
                saturates=bool(slopes.saturates),
                kernel_deviation=float(flows.deviation[index]),
                kernel_he=nothing if kernel is None else (2 / kernel.fan_in) ** 0.5,
                kernel_scale=nothing if kernel is None else float(flows.size[index]) / kernel.usual(),
                passed=passed[index],
                spread=float(flows.spread[index]),
                broken_gradient=float(health[index].broken_gradient),
            )
        )
    return tuple(reports)


def _notes(layers: tuple[LayerReport, ...], verdicts: list[Verdict], examples: int, skipped: bool) -> list[str]:
    notes = []
    if examples < FEW_EXAMPLES:
        notes.append(f"with {examples} examples a unit off by chance looks dead: give at least {FEW_EXAMPLES}")
    silent = [layer.name for layer in layers if layer.gain == 0]
    if silent and not any(verdict.kind in STOPPING for verdict in verdicts):
        notes.append(
            f"no gradient reaches {', '.join(silent)}: a parameter after it is 0, as in zero-initialised branches"
        )
    last = layers[-1]
    if last.dead > 0 and not any(verdict.layer == last.name for verdict in verdicts):
        notes.append(
            f"{round(last.dead * last.units)} of the {last.units} outputs pass next to no gradient for any example"
        )
    if skipped:
        notes.append(f"d output/d input has more than {measure.LARGEST_JACOBIAN} entries and was left out")
    return notes
