"""F1 scores from counts per class, such as those a record holds; single-label and multi-label alike. NumPy only.

For each class, `correct` counts the true positives, `predicted` the examples it was predicted for and `support` the
examples it is true of. Leading axes (seeds, epochs) are batch axes.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Integer


class F1(NamedTuple):
    """F1 per class and its three averages, fractions of 1.

    Attributes:
        per_class: 2·correct / (predicted + support); NaN for a class neither present nor predicted.
        micro: the same with counts summed over classes; in single-label tasks it equals the accuracy.
        macro: mean over the classes that are present or predicted: every class counts the same.
        weighted: mean weighted by support: every example counts the same.
    """

    per_class: Float[np.ndarray, "*batch classes"]
    micro: Float[np.ndarray, "*batch"]
    macro: Float[np.ndarray, "*batch"]
    weighted: Float[np.ndarray, "*batch"]


class Counts(NamedTuple):
    """Counts per class, the arguments of `f1`."""

    correct: Integer[np.ndarray, "*batch classes"]
    predicted: Integer[np.ndarray, "*batch classes"]
    support: Integer[np.ndarray, "*batch classes"]


def count(predicted: Bool[np.ndarray, "*batch n classes"], truth: Bool[np.ndarray, "n classes"]) -> Counts:
    """Counts from one row of yes/no answers per example: one-hot rows, or multi-label rows with any number of yes."""
    support = np.broadcast_to(truth.sum(-2), (*predicted.shape[:-2], truth.shape[-1]))
    return Counts((predicted & truth).sum(-2), predicted.sum(-2), support)


def f1(
    correct: Integer[np.ndarray, "*batch classes"],
    predicted: Integer[np.ndarray, "*batch classes"],
    support: Integer[np.ndarray, "*#batch classes"],
) -> F1:
    """F1 = 2·TP / (2·TP + FP + FN), per class, micro-, macro- and support-weighted average.

    With one label per example Σ predicted = Σ support = n, so micro-F1 = 2·Σ correct / (2n), the accuracy. With several
    labels per example it is another number than the share of rows or of answers that are right.

    Args:
        correct: true positives per class.
        predicted: predictions of each class.
        support: examples of each class.

    Returns:
        The scores; micro and weighted are NaN where nothing is present or predicted.

    Raises:
        ValueError: counts below 0, or more correct than predicted or present.

    Source: van Rijsbergen 1979; averages as in scikit-learn's `f1_score` with `zero_division=nan`.
    """
    if (correct < 0).any() or (correct > np.minimum(predicted, support)).any():
        worst = int((correct - np.minimum(predicted, support)).max())
        raise ValueError(
            f"correct exceeds predicted or support by {worst}, or is below 0 (smallest {int(correct.min())}): "
            "give true positives, predictions and examples per class, in this order"
        )
    support = np.broadcast_to(support, correct.shape)
    with np.errstate(invalid="ignore"):
        per_class = 2 * correct / (predicted + support)
        micro = 2 * correct.sum(-1) / (predicted.sum(-1) + support.sum(-1))
        known = ~np.isnan(per_class)
        filled = np.where(known, per_class, 0.0)
        macro = filled.sum(-1) / known.sum(-1)
        weighted = (filled * support).sum(-1) / support.sum(-1)
    return F1(per_class, np.asarray(micro), np.asarray(macro), np.asarray(weighted))
