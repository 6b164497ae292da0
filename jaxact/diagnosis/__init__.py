"""What is wrong with a network that jaxact did not write: per-layer health, gradients, and verdicts in words.

`diagnose` traces the network once and finds its layers in the trace, so any JAX network will do (Flax linen and NNX,
or plain functions), unchanged.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxact.diagnosis import adapters, batches, instances, measure
from jaxact.diagnosis.report import Diagnosis
from jaxact.diagnosis.verdicts import FEW_EXAMPLES, LayerReport, Verdict, judge

__all__ = ["Diagnosis", "LayerReport", "Verdict", "diagnose"]


def diagnose(
    apply_fn: Any,
    variables: Any = None,
    batch: Any = None,
    labels: Any = None,
    *,
    activations: Mapping[str, str] | None = None,
    chunk: int = 128,
) -> Diagnosis:
    """Find dead, saturated and broken layers and exploding or vanishing gradients in a network.

    Per layer: shares of negative, saturated and exactly zero outputs, of dead and nearly dead units
    (`health.LayerHealth`); the norm of the output's gradient by its pre-activations h^l relative to the last layer,
    √(E‖∂y/∂h^l‖²/E‖∂y/∂h^L‖²), on up to 16 examples with 8 random probes each (`propagation.hutchinson_apjn`); with
    labels the norms of the gradients of the cross-entropy by h^l and by the layer's kernel
    (`propagation.loss_gradients`). For the whole: the spectrum of ∂y/∂x on up to 8 examples.

    A layer is what `diagnosis.layers` finds: a matrix product or convolution with a parameter, with bias and batch norm
    in evaluation mode, or a normalisation with parameters; a unit is an entry of its last axis, and every example and
    position is a case. Its activation is read off the trace, so its slope φ' is exact: a unit is **dead** if φ' is 0 in
    every case, an output **saturated** if |φ'| < 5 % of its largest value for h in [−8, 8] (of the catalogue's supremum
    for a hint). The limits of the verdicts are those of `diagnosis.verdicts`.

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
        labels: class numbers [examples], for outputs that are logits.
        activations: names of the catalogue by layer, instead of what the trace says: {"Dense_0": "relu"}.
        chunk: examples in memory at a time.

    Returns:
        The diagnosis; `print` it. Parameters with NaN give the verdict "broken", a batch of equal examples (all zeros,
        say) "constant inputs".

    Raises:
        ValueError: an empty or non-finite batch, labels that do not fit, an unknown layer or activation in
            `activations`, a network without layers or one whose examples influence one another (batch norm in training
            mode, of a single example too); whatever apply_fn raises for the arguments, in one line; a call inside jit,
            grad or vmap.
    """
    batches.check_values(apply_fn, variables, batch, labels)
    instances.check_variables(apply_fn, variables, batch)
    images, classes = batches.checked_batch(batch, labels)
    apply_fn, variables = instances.opened(apply_fn, variables, images)
    form, leaves = adapters.form_of(variables, images)
    hints = tuple(sorted((activations or {}).items()))
    try:
        tools = _tools(apply_fn, form, hints, chunk)
    except TypeError:  # a function or structure that is not hashable
        tools = _tools.__wrapped__(apply_fn, form, hints, chunk)
    subject = tools.network.subject
    if classes is not None:
        batches.check_classes(classes, subject.graph.shapes[subject.graph.output])
    adapters.check_independent(tools.network, leaves, images)
    known = tools.slopes(leaves, images)
    health, gains = tools.health(leaves, images, known), tools.gains(leaves, images)
    spectra = tools.spectra(leaves, images)
    gradients = None if classes is None else tools.gradients(leaves, images, classes)
    layers = _reports(subject, jax.device_get((known, health, gains, gradients)))
    examples, constant = batches.examples_of(images), batches.all_alike(images)
    broken = adapters.broken_leaf(leaves, adapters.paths_of(form.structure))
    outputs = (1, *subject.graph.shapes[subject.graph.output])[-1]
    verdicts = judge(layers, outputs=outputs, examples=examples, constant=constant, broken=broken)
    return Diagnosis(
        layers=layers,
        verdicts=tuple(verdicts),
        notes=tuple(_notes(layers, verdicts, examples, measure.without_jacobian(subject, images))),
        examples=examples,
        singular_values=() if spectra is None else tuple(np.median(spectra.singular_values, axis=0).tolist()),
        condition=float("nan") if spectra is None else float(np.median(spectra.condition)),
        effective_rank=float("nan") if spectra is None else float(np.median(spectra.effective_rank)),
        loss=float("nan") if gradients is None else float(gradients[0].loss),
    )


class _Tools(NamedTuple):
    """A network and the compiled measurements of it."""

    network: adapters.Traced
    slopes: Callable[..., Any]
    health: Callable[..., Any]
    gains: Callable[..., Any]
    spectra: Callable[..., Any]
    gradients: Callable[..., Any]


@lru_cache(maxsize=16)
def _tools(apply_fn: Any, form: adapters.Form, hints: tuple[tuple[str, str], ...], chunk: int) -> _Tools:
    """Kept, so that the second diagnosis of a network, after some training, compiles nothing."""
    network = adapters.traced(apply_fn, form, dict(hints))

    def compiled(measurement: Callable[..., Any], **settings: Any) -> Callable[..., Any]:
        return jax.jit(partial(measurement, network.subject, **settings))

    return _Tools(
        network,
        compiled(measure.slopes),
        compiled(measure.unit_health, chunk=chunk),
        compiled(measure.gains),
        compiled(measure.input_output),
        compiled(measure.loss_gradients, chunk=chunk),
    )


def _reports(subject: measure.Subject, numbers: Any) -> tuple[LayerReport, ...]:
    known, health, gains, gradients = numbers
    nothing = float("nan")
    with np.errstate(divide="ignore", invalid="ignore"):
        steps = [*(gains.gain[:-1] / gains.gain[1:]).tolist(), nothing]
    reports = []
    for index, layer in enumerate(subject.layers):
        state, slopes = health[layer.name], known[layer.name]
        hint = subject.hints.get(layer.name)
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
                gain=float(gains.gain[index]),
                gain_error=float(gains.error[index]),
                attenuation=steps[index],
                gradient=nothing if gradients is None else float(gradients[0].layers[index]),
                kernel_gradient=nothing if gradients is None else float(gradients[1][index]),
                saturates=bool(slopes.saturates),
            )
        )
    return tuple(reports)


def _notes(layers: tuple[LayerReport, ...], verdicts: list[Verdict], examples: int, skipped: str) -> list[str]:
    notes = []
    if examples < FEW_EXAMPLES:
        notes.append(f"with {examples} examples a unit off by chance looks dead: give at least {FEW_EXAMPLES}")
    silent = [layer.name for layer in layers if layer.gain == 0]
    if silent and not any(verdict.kind in ("dead", "dead outputs", "saturated", "broken") for verdict in verdicts):
        notes.append(
            f"no gradient reaches {', '.join(silent)}: a parameter after it is 0, as in zero-initialised branches"
        )
    last = layers[-1]
    if last.dead > 0 and not any(verdict.layer == last.name for verdict in verdicts):
        notes.append(f"{round(last.dead * last.units)} of the {last.units} outputs pass no gradient for any example")
    if skipped:
        notes.append(skipped)
    return notes
