"""What is wrong with a network, in words, from the numbers per layer.

The limits, and why a healthy network at a standard initialisation stays clear of them:

* `DEAD_SHARE` ½. However few the examples and however alike, a unit with symmetric weights and no bias is off on all of
  them with probability at most ½. Over 64 examples that share half of their variance, the worst layer of 32 units in 30
  He-initialised ReLU networks had 0.34 dead in networks of five layers, 0.44 in networks of eight.
* `FEW_EXAMPLES` 32. With fewer a unit off by chance is not told from a dead one, and the limit is `CERTAINLY_DEAD` 0.9.
* A single dead output is a finding where there are at least 32 examples: a class that is never predicted, or a target
  never reached. The outputs of a healthy network are rarely on the flat side of an activation at all.
* `SATURATED_SHARE` ½ of the cases with |φ'| below 5 % of its supremum. A standard normal pre-activation saturates tanh
  in 3 % of the cases, the logistic sigmoid in 1e-5, hard_tanh in 32 %.

Those of signal and gradient are in `diagnosis.signals`, those of inputs, labels and weights in `diagnosis.checks`.
"""

from collections.abc import Sequence

from jaxact.diagnosis.edges import Edges
from jaxact.diagnosis.findings import LayerReport, Verdict, verdict
from jaxact.diagnosis.signals import LARGEST_STEP, LOST, growing_gradients, lost_gradients, lost_signals

__all__ = ["DEAD_SHARE", "FEW_EXAMPLES", "LayerReport", "Verdict", "judge"]

DEAD_SHARE, CERTAINLY_DEAD, FEW_EXAMPLES = 0.5, 0.9, 32
SATURATED_SHARE = 0.5
FIRST = frozenset({"constant inputs", "equal weights"})
OF_ITS_OWN = frozenset({"unscaled inputs", "equal labels", "incomplete"})
"""Causes that come before all else, and findings that none of the others explains."""


def judge(
    layers: Sequence[LayerReport],
    edges: Edges,
    *,
    outputs: int,
    examples: int,
    broken: tuple[str, int],
    checks: Sequence[Verdict] = (),
) -> list[Verdict]:
    """The findings, causes first.

    Args:
        layers: in the order in which they are computed.
        edges: which of them feeds which.
        outputs: entries of the network's output; the last layer is the output layer if it has as many units.
        examples: size of the batch.
        broken: the first leaf of the variables with entries that are NaN or infinite, and how many it has.
        checks: what is found in inputs, labels, loss, weights and reach.
    """
    if broken[1] or any(layer.broken > 0 for layer in layers):
        return [_broken(layers, *broken)]  # no other number means anything
    stopped = _stopped(layers, outputs, examples)
    saturated = {verdict.layer for verdict in stopped if verdict.kind == "saturated"}
    growing = growing_gradients(layers, edges, saturated)
    lost = lost_signals(layers, edges)
    named = {verdict.layer for verdict in lost}
    growing = [verdict for verdict in growing if verdict.layer not in named or verdict.kind == "exploding"]
    found = [*stopped, *growing, *lost, *([] if lost or growing else lost_gradients(layers, edges))]
    if stopped and growing and _before(growing[0], stopped[0], layers):
        found = [*growing, *stopped, *lost]  # a kernel this large saturates or kills what comes after it
    first = [check for check in checks if check.kind in FIRST or _explains(check, found)]
    found = [*first, *found, *(check for check in checks if check not in first)]
    if not found:
        return []
    return [
        verdict if _independent(verdict, found[0]) else verdict._replace(because=found[0].layer or "the inputs")
        for verdict in sorted(found, key=lambda verdict: not _independent(verdict, found[0]))
    ]


def _before(growing: Verdict, stopped: Verdict, layers: Sequence[LayerReport]) -> bool:
    order = {layer.name: index for index, layer in enumerate(layers)}
    return growing.limit == LARGEST_STEP and order[growing.layer] + 1 < order[stopped.layer]


def _explains(check: Verdict, found: Sequence[Verdict]) -> bool:
    """Whether inputs that are far too large come first: they saturate layers and enlarge the loss."""
    return check.kind == "unscaled inputs" and not any(v.kind in ("dead", "dead outputs", "vanishing") for v in found)


def _independent(verdict: Verdict, cause: Verdict) -> bool:
    """Whether a finding is a cause of its own: a layer that is dead after a dead one may only have lost its input."""
    if verdict is cause or verdict.kind == cause.kind == "saturated":
        return True
    if verdict.kind == "no gradient":
        return cause.kind not in FIRST
    return verdict.limit == LOST or verdict.kind in OF_ITS_OWN


def _broken(layers: Sequence[LayerReport], leaf: str, entries: int) -> Verdict:
    first = next((layer for layer in layers if layer.broken > 0), None)
    if entries:
        text = f"{entries} entries of {leaf} are NaN or infinite"
        return verdict("broken", first.name if first else leaf, entries, 0, text)
    assert first is not None
    text = f"{first.broken:.1%} of the pre-activations of {first.name} are NaN or infinite though the variables are not"
    return verdict("broken", first.name, first.broken, 0, text)


def _stopped(layers: Sequence[LayerReport], outputs: int, examples: int) -> list[Verdict]:
    found, limit = [], DEAD_SHARE if examples >= FEW_EXAMPLES else CERTAINLY_DEAD
    for index, layer in enumerate(layers):
        last = index == len(layers) - 1 and layer.units == outputs
        if layer.saturates and layer.saturated > SATURATED_SHARE:
            text = f"{layer.saturated:.0%} of the outputs of {layer.name} ({layer.activation}) are on the flat parts"
            found.append(verdict("saturated", layer.name, layer.saturated, SATURATED_SHARE, text))
        elif last and not layer.saturates and layer.dead > (0 if examples >= FEW_EXAMPLES else limit):
            found.append(_dead_outputs(layer, 0 if examples >= FEW_EXAMPLES else limit))
        elif layer.dead > limit and not layer.saturates:
            text = (
                f"{layer.dead:.0%} of the units of {layer.name} ({layer.activation}) pass no gradient for any example"
            )
            found.append(verdict("dead", layer.name, layer.dead, limit, text))
    return found


def _dead_outputs(last: LayerReport, limit: float) -> Verdict:
    lost = f"{round(last.dead * last.units)} of the {last.units} outputs"
    text = f"{lost} ({last.name}, {last.activation}) pass no gradient for any example and cannot learn"
    return verdict("dead outputs", last.name, last.dead, limit, text)
