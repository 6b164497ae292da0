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
* `LARGEST_GAIN` 1000 and `SMALLEST_GAIN` 1/1000, of the gradient's norm by a pre-activation over that by the last one:
  three orders of magnitude, where one learning rate no longer serves both ends. In those networks it was 0.3 to 1.2 at
  the first of eight layers, with LeCun's tanh 0.2 to 0.4; residual blocks without normalisation gain √2 each. Five
  layers of sigmoid reach 1/1000 (a quarter each, or less): the textbook's vanishing gradient, and reported.
* `LARGEST_STEP` 30, the same from one layer to the layer before: initialisations by fan-in give at most √2, a pooling
  of 3 × 3 gives 3.

A gradient of exactly 0 has a cause of its own, dead units or a parameter that is 0, and is not called vanishing.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

DEAD_SHARE, CERTAINLY_DEAD, FEW_EXAMPLES = 0.5, 0.9, 32
SATURATED_SHARE = 0.5
LARGEST_GAIN, SMALLEST_GAIN, LARGEST_STEP = 1e3, 1e-3, 30.0

REMEDIES = {
    "broken": "lower the learning rate or clip the gradient, start again from the last finite parameters, and look for "
    "0/0, log(0) and overflow",
    "constant inputs": "check the data pipeline: examples that are all alike carry nothing to learn from",
    "dead": "raise the biases towards 0, initialise anew by He's rule, lower the learning rate, put a normalisation "
    "before the activation, or use one with a slope on both sides (leaky_relu, elu)",
    "dead outputs": "take a linear output (softmax belongs into the loss), put a normalisation before the activation, "
    "centre what the output layer receives (tanh for a sigmoid), or start from positive output biases",
    "saturated": "shrink the kernel (LeCun's or Glorot's initialisation), standardise the inputs, put a normalisation "
    "before the activation, or use one that does not saturate (relu)",
    "exploding": "shrink the initial kernels (He's or LeCun's rule by fan-in), normalise, scale residual branches by "
    "1/sqrt(blocks), clip the gradient",
    "vanishing": "enlarge the initial kernels (He's rule for relu, LeCun's for tanh), use an activation with slope 1, "
    "residual connections or normalisation",
}

UNSAFE_DERIVATIVE = (
    "look behind this layer for a derivative that does not exist where the value does: sqrt, log, a power, a norm or a "
    "division at 0. Make its argument safe before the function, with a second where or an epsilon inside"
)


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
        gain: norm of the output's gradient by this pre-activation over that by the last one.
        gain_error: standard error of that estimate.
        attenuation: gain over that of the next layer, the factor on the way back from there; NaN for the last.
        gradient: √E‖∂loss/∂h‖² over the examples; NaN without labels.
        kernel_gradient: ‖∂loss/∂W‖_F of the mean loss; NaN without labels.
        saturates: whether the activation is flat on both sides (sigmoid, tanh), so that `saturated` is a fault.
        broken_gradient: share of gradients that are NaN or infinite though the pre-activation is finite.
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
    broken_gradient: float = 0.0


class Verdict(NamedTuple):
    """One finding.

    Attributes:
        kind: "broken", "constant inputs", "dead", "dead outputs", "saturated", "exploding" or "vanishing".
        layer: the layer it is about; "" for the inputs.
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
    layers: Sequence[LayerReport], *, outputs: int, examples: int, constant: bool, broken: tuple[str, int]
) -> list[Verdict]:
    """The findings, causes first.

    Args:
        layers: in the order in which they are computed.
        outputs: entries of the network's output; the last layer is the output layer if it has as many units.
        examples: size of the batch.
        constant: whether all examples are the same.
        broken: the first leaf of the variables with entries that are NaN or infinite, and how many it has.
    """
    if broken[1] or any(layer.broken > 0 or layer.broken_gradient > 0 for layer in layers):
        return [_broken(layers, *broken)]  # no other number means anything
    order = {layer.name: index for index, layer in enumerate(layers)}
    stopped = _stopped(layers, DEAD_SHARE if examples >= FEW_EXAMPLES else CERTAINLY_DEAD)
    if layers[-1].units == outputs and examples >= FEW_EXAMPLES and layers[-1].name not in {v.layer for v in stopped}:
        stopped += _dead_outputs(layers[-1])
    growing = _gradients(layers, {verdict.layer for verdict in stopped if verdict.kind == "saturated"})
    found = [*stopped, *growing]
    if (
        stopped
        and growing
        and growing[0].limit == LARGEST_STEP
        and order[growing[0].layer] + 1 < order[stopped[0].layer]
    ):
        found = [*growing, *stopped]  # a kernel this large saturates or kills what comes after it
    if constant:
        found = [_verdict("constant inputs", "", 1, 2, f"all {examples} examples are the same"), *found]
    return [
        verdict if _independent(verdict, found[0]) else verdict._replace(because=found[0].layer or "the inputs")
        for verdict in sorted(found, key=lambda verdict: not _independent(verdict, found[0]))
    ]


def _independent(verdict: Verdict, cause: Verdict) -> bool:
    """Whether a finding is a cause of its own: a layer that is dead after a dead one may only have lost its input."""
    return verdict is cause or verdict.kind == cause.kind == "saturated"


def _verdict(kind: str, layer: str, number: float | int, limit: float | int, text: str) -> Verdict:
    return Verdict(kind, layer, float(number), float(limit), text, REMEDIES[kind])


def _broken(layers: Sequence[LayerReport], leaf: str, entries: int) -> Verdict:
    first = next((layer for layer in layers if layer.broken > 0), None)
    if entries:
        text = f"{entries} entries of {leaf} are NaN or infinite"
        return _verdict("broken", first.name if first else leaf, entries, 0, text)
    if first is None:
        return _broken_gradient(layers)
    text = f"{first.broken:.1%} of the pre-activations of {first.name} are NaN or infinite though the variables are not"
    return _verdict("broken", first.name, first.broken, 0, text)


def _broken_gradient(layers: Sequence[LayerReport]) -> Verdict:
    """The last layer that NaN reaches on its way back is the one where it arises."""
    last = [layer for layer in layers if layer.broken_gradient > 0][-1]
    share = last.broken_gradient
    text = f"{share:.1%} of the gradients of {last.name} ({last.activation}) are NaN or infinite though it is finite"
    return _verdict("broken", last.name, share, 0, text)._replace(remedy=UNSAFE_DERIVATIVE)


def _stopped(layers: Sequence[LayerReport], limit: float) -> list[Verdict]:
    found = []
    for layer in layers:
        if layer.saturates and layer.saturated > SATURATED_SHARE:
            text = f"{layer.saturated:.0%} of the outputs of {layer.name} ({layer.activation}) are on the flat parts"
            found.append(_verdict("saturated", layer.name, layer.saturated, SATURATED_SHARE, text))
        elif layer.dead > limit and not layer.saturates:
            units = f"{layer.dead:.0%} of the units of {layer.name} ({layer.activation})"
            text = f"{units} pass next to no gradient for any example"
            found.append(_verdict("dead", layer.name, layer.dead, limit, text))
    return found


def _dead_outputs(last: LayerReport) -> list[Verdict]:
    if not last.dead > 0 or last.saturates:
        return []
    lost = f"{round(last.dead * last.units)} of the {last.units} outputs"
    text = f"{lost} ({last.name}, {last.activation}) pass next to no gradient for any example and cannot learn"
    return [_verdict("dead outputs", last.name, last.dead, 0, text)]


def _gradients(layers: Sequence[LayerReport], saturated: set[str]) -> list[Verdict]:
    found = []
    largest = max(layers, key=lambda layer: _or_zero(layer.gain))
    # The kernel that saturates a layer also enlarges the step into it: one finding, not two.
    pairs = [pair for pair in zip(layers[:-1], layers[1:], strict=True) if pair[1].name not in saturated]
    before, after = max(pairs, key=lambda pair: _or_zero(pair[0].attenuation), default=(layers[0], layers[0]))
    if LARGEST_STEP < before.attenuation < math.inf:
        text = f"the gradient grows {before.attenuation:.3g} times on its way back from {after.name} to {before.name}"
        found.append(_verdict("exploding", before.name, before.attenuation, LARGEST_STEP, text))
    elif largest.gain > LARGEST_GAIN:
        text = f"the gradient is {largest.gain:.3g} times as large at {largest.name} as at the last layer"
        found.append(_verdict("exploding", largest.name, largest.gain, LARGEST_GAIN, text))
    first = layers[0]
    if 0 < first.gain < SMALLEST_GAIN:
        text = f"the gradient at {first.name} is {first.gain:.2g} of that at the last layer"
        found.append(_verdict("vanishing", first.name, first.gain, SMALLEST_GAIN, text))
    return found


def _or_zero(number: float) -> float:
    return 0.0 if math.isnan(number) else number
