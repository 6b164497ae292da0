"""What is found in the inputs, the labels, the loss and the weights, and in what the gradient reaches.

The limits:

* `UNSCALED` 10, and `TINY` 1/100, of the root mean square of the inputs that are not 0. Standardised inputs have 1,
  images in [0, 1] about ½, bytes about 100. A first layer makes up for it if its pre-activations spread by less than
  `SPREAD` 3, or by more than `NARROW` 1/10: with a batch norm of its own, or a division by 255 in the network.
* `OFFSET` 5, the mean of the inputs over their standard deviation, both as root mean squares over the features: images
  in [0, 1] have 2. A first layer feels it where the mean of its pre-activations is over `DRIVEN` 3 times their spread.
* `FAR_ABOVE` 3 nats above ln K, the loss of a guess among K classes. He's rule in the output layer gives about 0.5 to
  1 at the start. Within `NEAR` 0.02 nats of it nothing is known of the classes yet, which at the start is right.
* `EQUAL` 1e-4: gradients of units with equal weights differ by rounding alone.
"""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxact.diagnosis.edges import INPUT, OUTPUT, Edges, reachable
from jaxact.diagnosis.measure import Subject
from jaxact.diagnosis.reach import Group, Reached
from jaxact.diagnosis.verdicts import FEW_EXAMPLES, LayerReport, Verdict, finding, listed

UNSCALED, TINY, SPREAD, NARROW = 10.0, 0.01, 3.0, 0.1
OFFSET, DRIVEN = 5.0, 3.0
FAR_ABOVE, NEAR = 3.0, 0.02
EQUAL = 1e-4


def input_checks(images: Any, layers: Sequence[LayerReport], edges: Edges) -> list[Verdict]:
    """Inputs that are all the same, or far too large or small for the layers that take them."""
    arrays = [np.asarray(leaf) for leaf in jax.tree.leaves(images)]
    examples = len(arrays[0])
    if all(np.all(rows == rows[:1]) for rows in arrays) and (examples > 1 or not any(map(np.any, arrays))):
        return [finding("constant inputs", "", 1, 2, f"all {examples} examples are the same")]
    values = [np.asarray(rows[rows != 0], np.float64) for rows in arrays if jnp.issubdtype(rows.dtype, jnp.floating)]
    if not sum(map(len, values)):
        return []
    size = float(np.sqrt(np.mean(np.concatenate(values) ** 2)))
    fed = [layers[index] for index in edges.successors[INPUT] if index != OUTPUT]
    spreads = [layer.spread for layer in fed]
    text = f"the root mean square of the inputs is {size:.3g}"
    if size > UNSCALED and max(spreads, default=math.inf) > SPREAD:
        return [finding("unscaled inputs", "", size, UNSCALED, f"{text}, as of bytes or raw measurements")]
    middle, around = _centre(arrays)
    away = examples >= FEW_EXAMPLES and 0 < OFFSET * around < middle
    if away and any(layer.centre > DRIVEN * layer.spread for layer in fed):
        text = f"the inputs lie {middle / around:.3g} of their standard deviations away from 0"
        return [finding("unscaled inputs", "", middle / around, OFFSET, f"{text}: their mean drives every unit")]
    if size < TINY and min(spreads, default=0.0) < NARROW:
        return [finding("unscaled inputs", "", size, TINY, f"{text}, as if they were divided twice")]
    return []


def label_checks(labels: Array, loss: float, classes: int, few: int) -> tuple[list[Verdict], list[str]]:
    """Labels that are all alike, and what the loss says beside that of a guess; findings and notes.

    Args:
        labels: class numbers.
        loss: mean cross-entropy in nats.
        classes: their number K.
        few: examples below which equal labels may be chance.
    """
    found, notes, guess = list[Verdict](), list[str](), math.log(classes)
    kinds = np.unique(np.asarray(labels))
    if len(kinds) == 1 and classes > 1:
        text = f"all {len(labels)} labels are {kinds[0]}"
        if len(labels) >= few:
            found.append(finding("equal labels", "", 1, 2, f"{text}: nothing tells the other classes apart"))
        elif len(labels) > 1:
            notes.append(f"{text}, by chance or because the data are sorted")
    words = f"the loss {loss:.4g} is {{}} ln {classes} = {guess:.4g}, that of a guess"
    if loss > guess + FAR_ABOVE:
        found.append(finding("large loss", "", loss, guess + FAR_ABOVE, words.format("far above")))
    elif abs(loss - guess) < NEAR and classes > 1:
        notes.append(f"{words.format('about')}: right at initialisation; after training, nothing is learnt")
    return found, notes


def weight_checks(
    subject: Subject, layers: Sequence[LayerReport], alike: Sequence[float], reached: Reached
) -> tuple[list[Verdict], list[str]]:
    """Kernels whose units all have equal weights, and learn the same or nothing at all; findings and notes."""
    equal, zero, apart = list[str](), list[str](), list[str]()
    for layer, report, share in zip(subject.layers, layers, alike, strict=True):
        if math.isnan(share) or share < 1 or report.units < 2:
            continue
        if report.kernel_scale == 0:
            zero += [report.name] * (layer.kernel not in reached.later)
        elif layer.kernel in reached.later:
            (equal if _units_alike(reached.gradients[layer.kernel]) else apart).append(report.name)
    found, notes = list[Verdict](), list[str]()
    if zero:
        text = f"all weights of {listed(zero)} are 0 and no gradient ever reaches them"
        found.append(finding("equal weights", zero[0], len(zero), 0, text))
    if equal:
        text = f"all units of {listed(equal)} have equal weights and equal gradients: they stay copies of one another"
        found.append(finding("equal weights", equal[0], len(equal), 0, text))
    if apart:
        notes.append(f"all units of {listed(apart)} have equal weights; their gradients still differ")
    return found, notes


def not_dead_by_design(
    subject: Subject, layers: Sequence[LayerReport], steepest: Sequence[float], reached: Reached | None
) -> tuple[LayerReport, ...]:
    """The reports, without dead units where the slope is 0 for every h only until a factor behind has moved.

    Such a factor is a parameter that starts at 0, as the scalar of a ReZero branch: the gradient comes with its step.
    """
    if reached is None:
        return tuple(layers)
    waiting = reached.later - reached.at_first
    return tuple(
        report._replace(dead=0.0) if slope == 0 and layer.kernel in waiting else report
        for layer, report, slope in zip(subject.layers, layers, steepest, strict=True)
    )


def waiting_notes(subject: Subject, layers: Sequence[LayerReport], reached: Reached) -> list[str]:
    """Layers whose gradient returns with the first steps, since what holds it back starts at 0 by design."""
    waiting, holding = list[int](), list[str]()
    for index, (layer, report) in enumerate(zip(subject.layers, layers, strict=True)):
        if layer.kernel in reached.later and layer.kernel not in reached.at_first:
            waiting.append(index)
        elif report.kernel_scale == 0 and layer.kernel in reached.at_first:
            holding.append(report.name)
    if not waiting:
        return []
    names = listed([layers[index].name for index in waiting])
    if len(waiting) > 3 and waiting == list(range(waiting[0], waiting[-1] + 1)):
        names = (
            f"layers {waiting[0] + 1} to {waiting[-1] + 1} ({layers[waiting[0]].name} to {layers[waiting[-1]].name})"
        )
    behind = listed(holding) or "a parameter behind"
    get = "get their" if len(waiting) > 1 else "gets its"
    return [f"{names} {get} gradient only after {behind} has moved, which starts at 0: harmless, as in a zero head"]


def reach_checks(
    groups: Sequence[Group], reached: Reached | None, subject: Subject, layers: Sequence[LayerReport], edges: Edges
) -> list[Verdict]:
    """Parameter groups that no gradient reaches, for no reason found elsewhere, and those that were not seen."""
    found = list[Verdict]()
    if reached is not None:
        found += _unreached(groups, reached, subject, layers, edges)
    unseen = [group for group in groups if group.unseen]
    if unseen:
        names = listed([f"{group.name} ({group.unseen})" for group in unseen])
        seen = len(groups) - len(unseen)
        text = f"{seen} of {len(groups)} parameter groups seen; not seen: {names}"
        found.append(finding("incomplete", "", seen, len(groups), text))
    return found


def _centre(arrays: Sequence[np.ndarray]) -> tuple[float, float]:
    """Root mean squares over the features of their means and of their standard deviations."""
    floating = [np.asarray(rows, np.float64) for rows in arrays if jnp.issubdtype(rows.dtype, jnp.floating)]
    means = np.concatenate([rows.mean(0).ravel() for rows in floating])
    spreads = np.concatenate([rows.std(0).ravel() for rows in floating])
    return float(np.sqrt(np.mean(means**2))), float(np.sqrt(np.mean(spreads**2)))


def _unreached(
    groups: Sequence[Group], reached: Reached, subject: Subject, layers: Sequence[LayerReport], edges: Edges
) -> list[Verdict]:
    off = frozenset(index for index, layer in enumerate(layers) if layer.dead == 1)
    # A dead layer takes the gradient from all before it, and its input from all after it.
    explained = edges.upstream(off).union(*(reachable(edges.successors, layer) for layer in off))
    stuck, last = list[str](), -1
    for group in groups:
        if group.unseen == "no output depends on it" or not reached.later.isdisjoint(group.leaves):
            continue
        own = {index for index, layer in enumerate(subject.layers) if layer.kernel in group.leaves}
        if own <= explained and (own or off):
            continue
        stuck.append(group.name)
        last = max(last, *own) if own else last
    if stuck:
        text = f"no gradient reaches {listed(stuck)}: that of every output by these parameters is exactly 0"
        return [finding("no gradient", layers[last].name if last >= 0 else "", len(stuck), 0, text)]
    if not reached.inputs and not off:
        return [finding("no gradient", "", 0, 0, "the outputs don't change with the inputs: d output/d input is 0")]
    return []


def _units_alike(gradient: Array | None) -> bool:
    """Whether all units, entries of the last axis, have the same gradient, which is not 0."""
    if gradient is None or gradient.ndim < 2:
        return False
    matrix = np.asarray(jax.device_get(gradient), np.float64).reshape(-1, gradient.shape[-1])
    largest = np.abs(matrix).max()
    return bool(largest > 0 and np.abs(matrix - matrix[:, :1]).max() <= EQUAL * largest)
