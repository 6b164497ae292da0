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

import math
from collections.abc import Sequence
from typing import NamedTuple

from jaxact.diagnosis.edges import Edges

DEAD_SHARE, CERTAINLY_DEAD, FEW_EXAMPLES = 0.5, 0.9, 32
SATURATED_SHARE = 0.5
LARGEST_STEP, LOST = 30.0, 1 / 200
FIRST = frozenset({"constant inputs", "equal weights"})
OF_ITS_OWN = frozenset(
    {"unscaled inputs", "equal labels", "incomplete", "double softmax", "labels off by one"}
    | {"wrong derivative", "large step"}
)
"""Causes that come before all else, and findings that none of the others explains."""

REMEDIES = {
    "broken": "lower the learning rate or clip the gradient, start again from the last finite parameters, and look for "
    "0/0, log(0) and overflow",
    "unsafe derivative": "look behind this layer for a derivative that does not exist where the value does: sqrt, log, "
    "a power, a norm or a division at 0. Make its argument safe before the function, with a second where or an epsilon "
    "inside",
    "constant inputs": "check the data pipeline: examples that are all alike carry nothing to learn from",
    "dead": "raise the biases towards 0, initialise anew by He's rule, lower the learning rate, put a normalisation "
    "before the activation, or use one with a slope on both sides (leaky_relu, elu)",
    "dead outputs": "take a linear output (softmax belongs into the loss), put a normalisation before the activation, "
    "centre what the output layer receives (tanh for a sigmoid), or start from positive output biases",
    "saturated": "shrink the kernel (LeCun's or Glorot's initialisation), standardise the inputs, put a normalisation "
    "before the activation, or use one that does not saturate (relu)",
    "exploding": "shrink the initial kernels (He's or LeCun's rule by fan-in), normalise, scale residual branches by "
    "1/sqrt(blocks), clip the gradient",
    "growth": "look at what multiplies or divides there, since no kernel is large (a scale, a gate, a temperature, the "
    "division by a small norm), or clip the gradient",
    "vanishing": "enlarge the initial kernels (He's rule for relu, LeCun's for tanh), use an activation with slope 1, "
    "residual connections or normalisation",
    "no gradient": "look at what follows (a flat part of an activation, stop_gradient, round or argmax, a product with "
    "0), or leave frozen parameters out of the variables",
    "equal weights": "draw the initial weights at random (He's or LeCun's rule): equal units stay equal",
    "unscaled inputs": "scale the inputs to mean 0 and standard deviation 1, or to [0, 1], by constants of the "
    "training set",
    "equal labels": "shuffle the data before cutting batches, and check how labels are read",
    "large loss": "scale the inputs, shrink the kernel of the output layer, check that labels and logits count the "
    "same classes",
    "double softmax": "return logits, without the softmax; or take the logarithm of the probabilities as the loss",
    "labels off by one": "count classes from 0 in training and in what is compared with it",
    "wrong labels": "check that inputs and labels are read and shuffled in the same order, and that class numbers mean "
    "the same as in training",
    "constant outputs": "see what stops the signal: dead units, kernels that are far too small, weights that decayed",
    "wrong derivative": "leave the derivative to JAX: take the custom rule away, or state it as a function of the "
    "input h, not of the output (sigmoid: s(1 - s) at s = sigmoid(h))",
    "large step": "lower the learning rate until a step changes kernels by about 0.01 of their size, warm it up over "
    "the first steps, or clip the gradient",
    "incomplete": "diagnose each other output by a function that returns it, and layers in loops by a function that "
    "applies one of them; remove parameters without use",
}
"""The usual remedies by kind of finding; "growth" is for gradients that grow though no kernel is large, "unsafe
derivative" for those that are broken though the variables are not."""


class LayerReport(NamedTuple):
    """The numbers of one layer; NaN where one is not defined.

    Attributes:
        name: where its first parameter is in the variables.
        activation: what follows it: a name from the program or the caller's hint, "linear", or "?" (not elementwise).
        units: columns of its kernel, channels of its convolution or entries of its normalisation's scale.
        negative: share of negative pre-activations.
        saturated: share of cases with |φ'| below 5 % of its supremum; NaN without a bounded elementwise slope.
        sparsity: share of outputs of the activation that are exactly 0.
        broken: share of pre-activations that are NaN or infinite.
        dead: share of units with |φ'| below 0.1 % of its supremum in every case.
        nearly_dead: share of units with more than that in some cases, but in at most 1 % of them.
        gain: norm of the output's gradient by this pre-activation over that by the last one; by the last ones
            together, where several layers feed the output.
        gain_error: standard error of that estimate.
        attenuation: norm of the gradient over that by the layers that this one feeds, together; NaN before the output.
        gradient: √E‖∂loss/∂h‖² over the examples; NaN without labels.
        kernel_gradient: ‖∂loss/∂W‖_F of the mean loss; NaN without labels.
        saturates: whether the activation is flat on both sides (sigmoid, tanh), so that `saturated` is a fault.
        kernel_deviation: standard deviation of the kernel's entries; NaN without a kernel, as the next three.
        kernel_he: what He's rule gives it, √(2/fan-in).
        kernel_scale: root mean square of the entries over the smaller of LeCun's √(1/fan-in) and Glorot's
            √(2/(fan-in + fan-out)).
        passed: standard deviation of h over the cases over the root mean square of what the kernel multiplies.
        spread: root mean square over the units of the standard deviation of h over the cases.
        broken_gradient: share of gradients that are NaN or infinite though the pre-activation is finite.
        centre: root mean square over the units of the mean of h over the cases.
        update: ‖ΔW‖/‖W‖ of the kernel in one step; NaN without an optimiser.
    """

    name: str
    activation: str
    units: int
    negative: float
    saturated: float
    sparsity: float
    broken: float
    dead: float
    nearly_dead: float
    gain: float
    gain_error: float
    attenuation: float
    gradient: float
    kernel_gradient: float
    saturates: bool
    kernel_deviation: float = math.nan
    kernel_he: float = math.nan
    kernel_scale: float = math.nan
    passed: float = math.nan
    spread: float = math.nan
    broken_gradient: float = 0.0
    centre: float = math.nan
    update: float = math.nan


class Verdict(NamedTuple):
    """One finding.

    Attributes:
        kind: a key of `REMEDIES` ("growth" and "unsafe derivative" apart): "broken", "dead", "vanishing", …
        layer: the layer it is about; "" where it is about none.
        number: what was measured.
        limit: what it exceeds or falls below.
        text: the finding in words.
        remedy: the usual ones.
        because: the layer whose finding explains this one; "" for a cause.
    """

    kind: str
    layer: str
    number: float
    limit: float
    text: str
    remedy: str
    because: str = ""


def judge(
    layers: Sequence[LayerReport],
    edges: Edges,
    *,
    outputs: int,
    examples: int,
    broken: tuple[str, int],
    signals: Sequence[Verdict] = (),
    checks: Sequence[Verdict] = (),
) -> list[Verdict]:
    """The findings, causes first.

    Args:
        layers: in the order in which they are computed.
        edges: which of them feeds which; what lies on another path has a cause of its own.
        outputs: entries of the network's output; the last layer is the output layer if it has as many units.
        examples: size of the batch.
        broken: the first leaf of the variables with entries that are NaN or infinite, and how many it has.
        signals: what `diagnosis.signals` finds, the growth of gradients first.
        checks: what `diagnosis.checks` finds in inputs, labels, loss, weights and reach.
    """
    if broken[1] or any(layer.broken > 0 or layer.broken_gradient > 0 for layer in layers):
        return [_broken(layers, *broken)]  # no other number means anything
    stopped = _stopped(layers, outputs, examples)
    found = [*stopped, *signals]
    if stopped and signals and _before(signals[0], stopped[0], layers):
        found = [*signals, *stopped]  # a kernel this large saturates or kills what comes after it
    first = [check for check in checks if check.kind in FIRST or _explains(check, found)]
    found = [*first, *found, *(check for check in checks if check not in first)]
    if not found:
        return []
    cause = found[0]
    order = {layer.name: index for index, layer in enumerate(layers)}
    near = edges.connected(order[cause.layer]) if cause.layer in order else frozenset(order.values())
    elsewhere = {name for name, index in order.items() if index not in near}
    own = [verdict for verdict in found if _independent(verdict, cause) or verdict.layer in elsewhere]
    because = cause.layer or ("the labels" if "labels" in cause.kind else "the inputs")
    return [*own, *(v._replace(because=because) for v in found if v not in own)]


def _before(growing: Verdict, stopped: Verdict, layers: Sequence[LayerReport]) -> bool:
    """Whether a gradient grows at a layer before the first one that is dead or saturated."""
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


def finding(kind: str, layer: str, number: float | int, limit: float | int, text: str, remedy: str = "") -> Verdict:
    """A finding with the remedy of its kind, or of another one."""
    return Verdict(kind, layer, float(number), float(limit), text, REMEDIES[remedy or kind])


def listed(names: Sequence[str]) -> str:
    """Names in a row, the first eight of them."""
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(names[:8]) + more


def _broken(layers: Sequence[LayerReport], leaf: str, entries: int) -> Verdict:
    first = next((layer for layer in layers if layer.broken > 0), None)
    if entries:
        text = f"{entries} entries of {leaf} are NaN or infinite"
        return finding("broken", first.name if first else leaf, entries, 0, text)
    if first is None:
        return _broken_gradient(layers)
    text = f"{first.broken:.1%} of the pre-activations of {first.name} are NaN or infinite though the variables are not"
    return finding("broken", first.name, first.broken, 0, text)


def _broken_gradient(layers: Sequence[LayerReport]) -> Verdict:
    """The last layer that NaN reaches on its way back is the one where it arises."""
    last = [layer for layer in layers if layer.broken_gradient > 0][-1]
    share = last.broken_gradient
    text = f"{share:.1%} of the gradients of {last.name} ({last.activation}) are NaN or infinite though it is finite"
    return finding("broken", last.name, share, 0, text, "unsafe derivative")


def _stopped(layers: Sequence[LayerReport], outputs: int, examples: int) -> list[Verdict]:
    enough = examples >= FEW_EXAMPLES
    found, limit = [], DEAD_SHARE if enough else CERTAINLY_DEAD
    for index, layer in enumerate(layers):
        last = index == len(layers) - 1 and layer.units == outputs
        most = 0.0 if last and enough else limit
        if layer.saturates and layer.saturated > SATURATED_SHARE:
            text = f"{layer.saturated:.0%} of the outputs of {layer.name} ({layer.activation}) are on the flat parts"
            found.append(finding("saturated", layer.name, layer.saturated, SATURATED_SHARE, text))
        elif layer.dead > most and not layer.saturates:
            units = f"{layer.dead:.0%} of the units of {layer.name} ({layer.activation})"
            text = f"{units} pass next to no gradient for any example"
            dead = finding("dead", layer.name, layer.dead, most, text)
            found.append(_dead_outputs(layer, most) if last else dead)
    return found


def _dead_outputs(last: LayerReport, limit: float) -> Verdict:
    lost = f"{round(last.dead * last.units)} of the {last.units} outputs"
    text = f"{lost} ({last.name}, {last.activation}) pass next to no gradient for any example and cannot learn"
    return finding("dead outputs", last.name, last.dead, limit, text)
