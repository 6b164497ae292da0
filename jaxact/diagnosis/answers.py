"""What is found in the outputs beside the labels: answers that no training of the layers explains.

The limits:

* `SUM` 1e-3, or the rounding of a half-precision output: outputs that are not negative and sum to 1 this closely, for
  every example, are probabilities. Logits do so for a single example at most.
* `SHIFTED` 0.9 of the answers are the neighbour of their label, and less than `RIGHT` ½ the label itself.
* `SURE` 0.9, the mean of the largest probability, where the share of right answers is at most `CHANCE` 3 standard
  errors above 1/K, and each class is answered about as often as it is a label: the counts differ by `UNEVEN` ¼ at
  most (total variation). Before training a network is sure where its signal grew, and then prefers some classes: 36
  residual and plain networks had 0.37 to 0.88. More than 3 times the usual output kernel is exempt.
* `ALIKE` 1e-3, the standard deviation of the outputs over the examples: the loss can't differ from that of the class
  frequencies by more. A head that starts at N(0, 0.01²) gives about 1e-2, and one that starts at 0 is exempt.
"""

import math
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxact.diagnosis.batches import counted_from_one
from jaxact.diagnosis.edges import Edges
from jaxact.diagnosis.signals import LARGE
from jaxact.diagnosis.verdicts import FEW_EXAMPLES, LayerReport, Verdict, finding, listed

SUM = 1e-3
SHIFTED, RIGHT = 0.9, 0.5
SURE, CHANCE, UNEVEN = 0.9, 3.0, 0.25
ALIKE = 1e-3


def answer_checks(
    outputs: Float[np.ndarray, "examples classes"],
    labels: Int[np.ndarray, " examples"],
    loss: float,
    layers: Sequence[LayerReport],
    edges: Edges,
) -> list[Verdict]:
    """A softmax too many, labels off by one, labels that have nothing to do with the answers, and equal answers.

    Args:
        outputs: of some of the examples, taken for logits.
        labels: their class numbers, from 0.
        loss: mean cross-entropy of the whole batch.
        layers: in the order in which they are computed.
        edges: which of them feeds which.
    """
    rounding = float(jnp.finfo(outputs.dtype).eps)
    outputs, classes = np.asarray(outputs, np.float64), outputs.shape[1]
    last = [layers[index] for index in edges.sinks()]
    if classes < 2 or len(outputs) < 2:
        return []
    if outputs.min() >= 0 and np.abs(outputs.sum(1) - 1).max() < max(SUM, rounding):
        return [_softmax_twice(loss, classes, last)]
    found = _labels(outputs, labels, last) if len(labels) >= FEW_EXAMPLES and classes > 2 else []
    spread = float(outputs.std(0).max())
    if spread < ALIKE and any(layer.kernel_scale > 0 for layer in last):
        text = f"all examples get the same outputs (standard deviation {spread:.2g}): the loss {loss:.4g} is that of a "
        text += f"guess; ln {classes} = {math.log(classes):.4g}"
        found.append(finding("constant outputs", listed([layer.name for layer in last]), spread, ALIKE, text))
    return found


def off_by_one(labels: Int[np.ndarray, " examples"], classes: int) -> list[Verdict]:
    """The finding of labels that run from 1 to the number of classes."""
    low, high = int(labels.min()), int(labels.max())
    if not counted_from_one(low, high, classes):
        return []
    text = f"labels run from 1 to {high}, the network has classes 0 to {classes - 1}: class {high} is never learnt "
    text += "(its one-hot row is 0) or the loss is NaN. All numbers here are for labels - 1"
    return [finding("labels off by one", "", high, classes - 1, text)]


def softmax_floor(classes: int) -> float:
    """Least cross-entropy of a softmax of probabilities, ln(e + K − 1) − 1."""
    return math.log(math.e + classes - 1) - 1


def _softmax_twice(loss: float, classes: int, last: Sequence[LayerReport]) -> Verdict:
    floor = softmax_floor(classes)
    text = "the outputs are probabilities already, and the cross-entropy takes a softmax of them: the loss, now "
    text += f"{loss:.4g}, can't fall below ln(e + {classes - 1}) - 1 = {floor:.4g}"
    return finding("double softmax", listed([layer.name for layer in last]), loss, floor, text)


def _labels(outputs: np.ndarray, labels: np.ndarray, last: Sequence[LayerReport]) -> list[Verdict]:
    answers, classes = outputs.argmax(1), outputs.shape[1]
    right = float(np.mean(answers == labels))
    if right < RIGHT and len(np.unique(labels)) > 2:
        for shift, words in ((1, "the label - 1"), (-1, "the label + 1")):
            share = float(np.mean(answers == labels - shift))
            if share >= SHIFTED:
                text = f"{share:.0%} of the answers are {words}, {right:.0%} the label itself"
                return [finding("labels off by one", "", share, SHIFTED, text)]
    sure = float(_softmax(outputs).max(1).mean())
    chance = 1 / classes + CHANCE * math.sqrt((1 - 1 / classes) / classes / len(labels))
    counts = np.bincount(answers, minlength=classes) - np.bincount(labels, minlength=classes)
    uneven = np.abs(counts).sum() / (2 * len(labels))
    large = any(layer.kernel_scale > LARGE for layer in last)
    if sure > SURE and right < chance and uneven < UNEVEN and not large:
        text = f"the network is {sure:.0%} sure of its answers on average, and {right:.0%} of them are right, "
        text += "as by guessing"
        return [finding("wrong labels", "", right, chance, text)]
    return []


def _softmax(outputs: np.ndarray) -> np.ndarray:
    powers = np.exp(outputs - outputs.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)
