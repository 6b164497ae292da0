"""New parameters for a network that cannot learn: no unit and no output off on all examples, and a gradient that lasts.

Biases of dead units are moved so that the unit's pre-activation has mean 0 over the batch. Where the gradient vanishes
or explodes, or activations saturate, kernels are scaled in the order of the layers: the first until its pre-activations
spread by 1, every other until the gradient has the same norm on both sides of it (APJN 1). The scales are found from
the data, as those of LSUV (Mishkin & Matas 2016, All you need is a good init), whose target is the variance.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxact.cures.patient import Patient, Signal, UnitState, admit
from jaxact.cures.table import table
from jaxact.diagnosis import Diagnosis, adapters, batches, diagnose, instances
from jaxact.diagnosis.edges import INPUT
from jaxact.diagnosis.verdicts import REMEDIES

SIGNAL = frozenset({"exploding", "vanishing", "saturated"})
"""Findings that ask for other scales."""
HOPELESS = frozenset({"broken", "constant inputs"})
"""Findings that no scale or bias mends."""
ROUNDS, SWEEPS = 3, 3
NEAR = 0.01
"""A scale this near to 1, or a mean this near to 0, is left as it is; the APJN is the square of the scale."""
CENTRED = 1.0
"""Units of layers that are flat on both sides are centred if their mean is farther from 0."""


class Repair(NamedTuple):
    """A repaired network; `print` it for the table.

    Attributes:
        variables: the new variables; those handed over, the same objects, where nothing was changed.
        before: the diagnosis before.
        after: the diagnosis of the new variables on the same batch.
        changed: what was changed, in words, one entry per layer and kind.
        notes: what could not be repaired, and why.
    """

    variables: Any
    before: Diagnosis
    after: Diagnosis
    changed: tuple[str, ...]
    notes: tuple[str, ...]

    def __str__(self) -> str:
        return table(self.before, self.after, self.changed, self.notes)


def repair(
    apply_fn: Any,
    variables: Any = None,
    batch: Any = None,
    *,
    activations: Mapping[str, str] | None = None,
    scale: bool | None = None,
    chunk: int = 128,
) -> Repair:
    """Mend the parameters of a network that is dead, saturated, or loses its gradient, before it is trained.

    Args:
        apply_fn: as for `jaxact.diagnose`: a function, a linen module, or a model that brings its own variables.
        variables: as for `jaxact.diagnose`. They stay as they are.
        batch: [examples, ...], prepared as in training; 64 to 1,000 of them.
        activations: names of the catalogue by layer, as for `jaxact.diagnose`.
        scale: whether kernels are scaled; None scales where the diagnosis finds that the gradient explodes or
            vanishes, or that activations saturate.
        chunk: examples in memory at a time.

    Returns:
        The new variables (for an NNX module its state, to be given to `nnx.update`; for a train state its parameters),
        both diagnoses, what was changed, and what could not be.

    Raises:
        ValueError: parameters with NaN or infinite entries, and whatever `jaxact.diagnose` refuses.
    """
    before = diagnose(apply_fn, variables, batch, activations=activations, chunk=chunk)
    images, _ = batches.checked_batch(batch, None)
    function, opened = instances.opened(apply_fn, variables, images)
    form, leaves = adapters.form_of(opened, images)
    leaf, entries = adapters.broken_leaf(leaves, adapters.paths_of(form.structure))
    if entries:
        raise ValueError(f"{entries} entries of {leaf} are NaN or infinite: repair finite parameters, before training")
    asked = any(verdict.kind in SIGNAL for verdict in before.verdicts) if scale is None else scale
    dead = any(layer.dead > 0 for layer in before.layers)
    if before.main in HOPELESS or not (asked or dead):
        return Repair(opened, before, before, (), _left(before))
    patient = admit(function, form, activations or {}, images, chunk)
    mended, notes = list(leaves), dict[str, str]()
    for _ in range(ROUNDS):
        start = list(mended)
        if asked:
            mended = _scaled(patient, mended, notes)
        mended = _revived(patient, mended, notes, every=asked)
        if all(new is old for new, old in zip(mended, start, strict=True)):
            break
    flat = form.structure.flatten_up_to(opened)
    whole = [old if new is leaf else new for old, leaf, new in zip(flat, leaves, mended, strict=True)]
    result = form.structure.unflatten(whole)
    after = diagnose(function, result, batch, activations=activations, chunk=chunk)
    changed = _changed(patient, leaves, mended)
    return Repair(result, before, after, changed, (*_unmended(after, notes, asked=asked), *_left(after)))


def _scaled(patient: Patient, leaves: list[Array], notes: dict[str, str]) -> list[Array]:
    """Kernels scaled in the order of the layers, until both sides of each have as much gradient."""
    for _ in range(SWEEPS):
        start = list(leaves)
        for index, handle in enumerate(patient.handles):
            name = f"{patient.subject.layers[index].name} keeps its scale"
            ratio = _ratio(patient, index)
            if handle.kernel is None:
                notes[name] = handle.without_kernel
            elif ratio is None:
                notes[name] = "several paths meet there"
            else:
                own = ratio(patient.signal(leaves))
                if own > 0 and math.isfinite(own) and abs(own - 1) > NEAR:
                    leaves = _with(leaves, handle.kernel, leaves[handle.kernel] / own)
        if all(new is old for new, old in zip(leaves, start, strict=True)):
            break
    return leaves


def _ratio(patient: Patient, index: int) -> Callable[[Signal], float] | None:
    """What a layer's kernel is to be divided by; None where it does not decide that alone."""
    before = [node for node, after in patient.edges.successors.items() if index in after]
    if before == [INPUT]:
        return lambda signal: signal.spread[index]
    if len(before) == 1 and patient.edges.successors[before[0]] == frozenset({index}):
        return lambda signal: signal.step[before[0]]
    return None


def _revived(patient: Patient, leaves: list[Array], notes: dict[str, str], *, every: bool) -> list[Array]:
    """Biases moved in the order of the layers, so that dead units have a pre-activation of mean 0.

    `every`: so have units far off the centre in layers that are flat on both sides.
    """
    states = patient.units(leaves)
    for index, handle in enumerate(patient.handles):
        layer = patient.subject.layers[index]
        for _ in range(SWEEPS):  # behind a pooling with a border a bias moves its unit by less
            chosen = _chosen(states[index], every=every)
            if not chosen.any():
                break
            if layer.activation == "?" and layer.name not in patient.subject.hints:
                notes[layer.name] = "its activation mixes units, and a bias decides nothing alone"
                break
            if handle.bias is None:
                notes[layer.name] = handle.without_bias
                break
            leaf = leaves[handle.bias]
            shift = np.where(chosen, -states[index].mean, 0).reshape(leaf.shape)
            leaves = _with(leaves, handle.bias, leaf + jnp.asarray(shift, leaf.dtype))
            states = patient.units(leaves)
    return leaves


def _chosen(state: UnitState, *, every: bool) -> np.ndarray:
    far = np.abs(state.mean) > CENTRED if every and state.two_sided else np.zeros_like(state.dead)
    return far | (state.dead & (np.abs(state.mean) > NEAR))


def _with(leaves: list[Array], index: int, leaf: Array) -> list[Array]:
    return [leaf if place == index else old for place, old in enumerate(leaves)]


def _changed(patient: Patient, old: list[Array], new: list[Array]) -> tuple[str, ...]:
    lines = []
    for layer, handle in zip(patient.subject.layers, patient.handles, strict=True):
        kernel, bias = handle.kernel, handle.bias
        if kernel is not None and new[kernel] is not old[kernel]:
            size = float(jnp.linalg.norm(new[kernel].ravel()) / jnp.linalg.norm(old[kernel].ravel()))
            lines.append(f"{layer.name}: kernel times {size:.4g}")
        if bias is not None and new[bias] is not old[bias]:
            moved = int(jnp.sum(new[bias] != old[bias]))
            lines.append(f"{layer.name}: {moved} {'bias' if moved == 1 else 'biases'} moved")
    return tuple(lines)


def _unmended(after: Diagnosis, notes: Mapping[str, str], *, asked: bool) -> list[str]:
    """Units that are still dead, and kernels that could not be scaled, with the reason."""
    lines = []
    for layer in after.layers:
        if layer.dead > 0:
            reason = notes.get(layer.name, "no mean of its pre-activations wakes it")
            lines.append(f"{layer.name} keeps {round(layer.dead * layer.units)} dead units: {reason}")
        scaling = f"{layer.name} keeps its scale"
        if asked and scaling in notes:
            lines.append(f"{scaling}: {notes[scaling]}")
    return lines


def _left(after: Diagnosis) -> tuple[str, ...]:
    return tuple(f"left, {v.kind}: {v.text}; {v.remedy or REMEDIES[v.kind]}" for v in after.verdicts if not v.because)
