"""What a finding is, with the usual remedies, and the numbers per layer that findings are made of."""

import math
from collections.abc import Sequence
from typing import NamedTuple

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
    "growth": "look at what multiplies or divides there, since no kernel is large (a scale, a gate, a temperature, the "
    "division by a small norm), or clip the gradient",
    "vanishing": "enlarge the initial kernels (He's rule for relu, LeCun's for tanh), use an activation with slope 1, "
    "residual connections or normalisation",
    "no gradient": "look at what follows (a flat part of an activation, stop_gradient, round or argmax, a product with "
    "0), or leave frozen parameters out of the variables",
    "equal weights": "draw the initial weights at random (He's or LeCun's rule): equal units stay equal",
    "unscaled inputs": "scale the inputs to mean 0 and standard deviation 1, or to [0, 1], by constants of the training set",
    "equal labels": "shuffle the data before cutting batches, and check how labels are read",
    "large loss": "scale the inputs, shrink the kernel of the output layer, check that labels and logits count the same "
    "classes",
    "incomplete": "diagnose each other output by a function that returns it, and layers in loops by a function that "
    "applies one of them; remove parameters without use",
}
"""The usual remedies by kind of finding; "growth" is for a gradient that grows though no kernel is large."""


class LayerReport(NamedTuple):
    """The numbers of one layer; NaN where one is not defined.

    Attributes:
        name: where its first parameter is in the variables.
        activation: what follows it: a name from the program or the caller's hint, "linear", or "?" (not elementwise).
        units: entries of its last axis.
        negative: share of negative pre-activations.
        saturated: share of cases with |φ'| below 5 % of its supremum; NaN without a bounded elementwise slope.
        sparsity: share of outputs of the activation that are exactly 0.
        broken: share of pre-activations that are NaN or infinite.
        dead: share of units with φ' = 0 in every case.
        nearly_dead: share of units active in at most 1 % of the cases.
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


class Verdict(NamedTuple):
    """One finding.

    Attributes:
        kind: "broken", "constant inputs", "unscaled inputs", "equal labels", "equal weights", "dead", "dead outputs",
            "saturated", "exploding", "vanishing", "no gradient", "large loss" or "incomplete".
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


def verdict(kind: str, layer: str, number: float, limit: float, text: str, remedy: str = "") -> Verdict:
    """A finding with the remedy of its kind, or of another one."""
    return Verdict(kind, layer, float(number), float(limit), text, REMEDIES[remedy or kind])


def listed(names: Sequence[str]) -> str:
    """Names in a row, the first eight of them."""
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(names[:8]) + more
