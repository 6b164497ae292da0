"""What is wrong with a network that jaxact did not write: per-layer health, gradients, and verdicts in words.

`diagnose` traces the network once and finds its layers in the trace, so any JAX network will do (Flax linen and NNX,
or plain functions), unchanged.
"""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jaxact.diagnosis import adapters, answers, batches, checks, derivatives, instances, measure, reach, steps
from jaxact.diagnosis.flow import Flow, transport
from jaxact.diagnosis.graph import check_deterministic
from jaxact.diagnosis.report import Diagnosis
from jaxact.diagnosis.signals import signal_findings, signal_notes
from jaxact.diagnosis.tools import Tools, tools_for
from jaxact.diagnosis.verdicts import FEW_EXAMPLES, LayerReport, Verdict, judge

__all__ = ["Diagnosis", "LayerReport", "Verdict", "diagnose"]


def diagnose(
    apply_fn: Any,
    variables: Any = None,
    batch: Any = None,
    labels: Any = None,
    *,
    activations: Mapping[str, str] | None = None,
    optimizer: Any = None,
    chunk: int = 128,
) -> Diagnosis:
    """Find dead, saturated and broken layers and exploding or vanishing gradients in a network.

    Per layer: shares of negative, saturated and exactly zero outputs, of dead and nearly dead units
    (`probes.LayerHealth`); the norm of the output's gradient by its pre-activations h^l relative to the last layer,
    √(E‖∂y/∂h^l‖²/E‖∂y/∂h^L‖²), and relative to the layers that this one feeds, on up to 16 examples with 8 random
    probes each (`diagnosis.flow`); how large the kernel is and how much it passes on; with labels the norms of the
    gradients of the cross-entropy by h^l and by the layer's kernel (`probes.loss_gradients`). For the whole: the
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
            In evaluation mode: `lambda variables, x: model.apply(variables, x, train=False)`. Or a model that brings
            its own variables, with `batch` and `labels` given by name: an NNX module (a copy in evaluation mode is
            looked at), a Flax `TrainState`, a bound linen module, or a callable pytree such as an Equinox module, of
            one example or of a batch.
        variables: a pytree of arrays, or a `TrainState` that holds them. Flax parameters may lack their collection
            ("params") where there is no other.
        batch: [examples, ...], prepared as in training; 64 to 1,000 of them. Several inputs are a dict or a tuple of
            such arrays and go to apply_fn as they are; a list holds examples. Integers (tokens, uint8 images) stay
            integers: there is no ∂y/∂x by them.
        labels: class numbers [examples] from 0, for outputs that are logits.
        activations: names of the catalogue by layer, instead of what the trace says: {"Dense_0": "relu"}.
        optimizer: an Optax optimiser, or the learning rate of gradient descent: the first step that training would take
            on this batch, with all of it in memory at once, is tried on a copy (`diagnosis.steps`). Needs labels.
        chunk: examples in memory at a time.

    Returns:
        The diagnosis; `print` it. Parameters with NaN give the verdict "broken", and so do gradients that are NaN where
        the network is finite; a batch of equal examples (all zeros, say) gives "constant inputs". Labels from 1 to the
        number of classes are "labels off by one", and all else is then said of labels - 1. Parameters of other outputs
        or inside loops, where no layer is measured, and those without use give "incomplete". "healthy" is about what
        was looked at, which the text lists.

    Raises:
        ValueError: an empty or non-finite batch, labels or an optimiser that do not fit, an unknown layer or activation
            in `activations`, a network without layers or one whose examples influence one another (batch norm in
            training mode, of a single example too), or one that draws random numbers (dropout in training mode);
            whatever apply_fn raises for the arguments, in one line; a call inside jit, grad or vmap.
    """
    batches.check_values(apply_fn, variables, batch, labels)
    steps.check_optimizer(optimizer, labels)
    instances.check_variables(apply_fn, variables, batch)
    images, classes = batches.checked_batch(batch, labels)
    apply_fn, variables = instances.opened(apply_fn, variables, images)
    form, leaves = adapters.form_of(variables, images)
    hints = tuple(sorted((activations or {}).items()))
    tools = tools_for(apply_fn, form, hints, chunk)
    subject = tools.network.subject
    check_deterministic(subject.graph)
    miscounted = list[Verdict]()
    if classes is not None:
        batches.check_classes(classes, subject.graph.shapes[subject.graph.output])
        miscounted = answers.off_by_one(np.asarray(classes), subject.graph.shapes[subject.graph.output][1])
    if classes is not None and miscounted:
        classes = classes - 1
    adapters.check_independent(tools.network, leaves, images)
    known = tools.slopes(leaves, images)
    health, flows = tools.health(leaves, images, known), tools.flow(leaves, images)
    spectra = tools.spectra(leaves, images)
    gradients = None if classes is None else tools.gradients(leaves, images, classes)
    flows, examples = jax.device_get(flows), batches.examples_of(images)
    reached, unreached = _reached(tools, leaves, images)
    reports = _reports(tools, jax.device_get((known, health, gradients)), flows)
    reports = checks.not_dead_by_design(subject, reports, [float(slopes.steepest) for slopes in known], reached)
    loss = float("nan") if gradients is None else float(gradients[0].loss)
    found, notes = _checks(tools, reports, flows, leaves, images, classes, loss, reached)
    notes = unreached + notes
    broken = adapters.broken_leaf(leaves, adapters.paths_of(form.structure))
    if optimizer is not None and not broken[1]:
        reports, large = _stepped(tools, reports, optimizer, form.structure, leaves, images, classes, known)
        found += large
    outputs = (1, *subject.graph.shapes[subject.graph.output])[-1]
    signals = signal_findings(reports, tools.edges)
    verdicts = judge(
        reports,
        tools.edges,
        outputs=outputs,
        examples=examples,
        broken=broken,
        signals=signals,
        checks=miscounted + found,
    )
    notes = [*_notes(reports, verdicts, examples, measure.without_jacobian(subject, images)), *notes]
    notes += signal_notes(reports, tools.edges, verdicts)
    return Diagnosis(
        layers=reports,
        verdicts=tuple(verdicts),
        notes=tuple(notes),
        examples=examples,
        singular_values=() if spectra is None else tuple(np.median(spectra.singular_values, axis=0).tolist()),
        condition=float("nan") if spectra is None else float(np.median(spectra.condition)),
        effective_rank=float("nan") if spectra is None else float(np.median(spectra.effective_rank)),
        loss=loss,
    )


ANSWERS = 128
"""Examples whose outputs are looked at one by one."""


def _checks(
    tools: Tools,
    reports: tuple[LayerReport, ...],
    flows: Flow,
    leaves: list[Any],
    images: Any,
    labels: Any,
    loss: float,
    reached: reach.Reached | None,
) -> tuple[list[Verdict], list[str]]:
    """What is found in inputs, labels, loss, weights and reach; findings and notes."""
    subject, notes = tools.network.subject, list[str]()
    found = checks.input_checks(images, reports, tools.edges)
    if labels is not None:
        classes = subject.graph.shapes[subject.graph.output][-1]
        about_answers = _answers(tools, reports, leaves, images, labels, loss)
        about_labels = checks.label_checks(labels, loss, classes, FEW_EXAMPLES)
        found, notes = found + about_answers + about_labels[0], notes + about_labels[1]
    if tools.own_derivatives:
        compared = tools.derivatives(leaves, images)
        found += derivatives.derivative_checks(tools.own_derivatives, compared)
    if reached is not None:
        about_weights = checks.weight_checks(subject, reports, flows.alike.tolist(), reached)
        found, notes = found + about_weights[0], notes + about_weights[1]
        notes += checks.waiting_notes(subject, reports, reached)
    about_reach = checks.reach_checks(tools.groups, reached, subject, reports, tools.edges)
    if any(verdict.kind == "no gradient" for verdict in about_reach):  # before it is said, all examples are asked
        reached, _ = _reached(tools, leaves, images, batches.examples_of(images))
        about_reach = checks.reach_checks(tools.groups, reached, subject, reports, tools.edges)
    return found + about_reach, notes


def _answers(
    tools: Tools, reports: tuple[LayerReport, ...], leaves: list[Any], images: Any, labels: Any, loss: float
) -> list[Verdict]:
    """What is found in the outputs of some examples beside their labels."""
    outputs = np.asarray(tools.network.outputs(leaves, batches.first(images, ANSWERS)))
    return answers.answer_checks(outputs, np.asarray(labels)[:ANSWERS], loss, reports, tools.edges)


def _stepped(
    tools: Tools,
    reports: tuple[LayerReport, ...],
    optimizer: Any,
    structure: Any,
    leaves: list[Any],
    images: Any,
    labels: Any,
    known: Any,
) -> tuple[tuple[LayerReport, ...], list[Verdict]]:
    """The reports with the size of one step of the optimiser, and what that step breaks."""
    before, slopes = tools.slopes_of_loss(leaves, images, labels)
    after = steps.stepped(optimizer, structure, tools.parameters, leaves, slopes)
    layers = tools.network.subject.layers
    reports = tuple(
        report._replace(update=after.ratios[layer.kernel]) for report, layer in zip(reports, layers, strict=True)
    )
    dead = [float(state.state.dead.mean()) for state in jax.device_get(tools.health(after.leaves, images, known))]
    losses = float(before), float(tools.slopes_of_loss(after.leaves, images, labels)[0])
    classes = tools.network.subject.graph.shapes[tools.network.subject.graph.output][-1]
    return reports, steps.step_checks(reports, dead, losses, classes, batches.examples_of(images))


def _reached(
    tools: Tools, leaves: list[Any], images: Any, examples: int = reach.REACH_EXAMPLES
) -> tuple[reach.Reached | None, list[str]]:
    """Where the gradient of all outputs arrives; None, and a note, where JAX cannot take it."""
    try:
        return reach.reach(tools.projected, leaves, batches.first(images, examples), frozenset(tools.parameters)), []
    except (ValueError, TypeError, NotImplementedError) as error:  # an output behind a while loop
        return None, [f"the gradient of all outputs was not looked at ({str(error).splitlines()[0]})"]


def _reports(tools: Tools, numbers: Any, flows: Flow) -> tuple[LayerReport, ...]:
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
                centre=float(flows.centre[index]),
                broken_gradient=float(health[index].broken_gradient),
            )
        )
    return tuple(reports)


def _notes(layers: tuple[LayerReport, ...], verdicts: list[Verdict], examples: int, skipped: str) -> list[str]:
    notes = []
    if examples < FEW_EXAMPLES:
        notes.append(f"with {examples} examples a unit off by chance looks dead: give at least {FEW_EXAMPLES}")
    last = layers[-1]
    if last.dead > 0 and not any(verdict.layer == last.name for verdict in verdicts):
        notes.append(
            f"{round(last.dead * last.units)} of the {last.units} outputs pass next to no gradient for any example"
        )
    if skipped:
        notes.append(skipped)
    return notes
