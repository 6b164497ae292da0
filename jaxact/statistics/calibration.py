"""Calibration: does a confidence of 90 % mean right in 90 % of cases? NumPy only."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Integer


class Reliability(NamedTuple):
    """A reliability diagram: per bin of confidence how many examples, how sure, how often right.

    Attributes:
        edges: bounds of the bins, equal widths over [0, 1].
        examples: how many per bin.
        confidence: mean confidence per bin; NaN for an empty bin.
        accuracy: share of right predictions per bin; NaN for an empty bin.
    """

    edges: Float[np.ndarray, " edges"]
    examples: Integer[np.ndarray, " bins"]
    confidence: Float[np.ndarray, " bins"]
    accuracy: Float[np.ndarray, " bins"]


def reliability(confidence: Float[np.ndarray, " n"], correct: Bool[np.ndarray, " n"], bins: int = 15) -> Reliability:
    """Group predictions by confidence, in bins ((b − 1)/B, b/B]; 0 belongs to the first.

    Args:
        confidence: probability given to the predicted class.
        correct: whether that class was right.
        bins: number of bins B.

    Raises:
        ValueError: no examples, fewer than one bin, or a confidence outside [0, 1] or NaN.

    Source: Guo, Pleiss, Sun & Weinberger 2017, "On calibration of modern neural networks".
    """
    if bins < 1 or confidence.size == 0:
        raise ValueError(f"{bins} bins for {confidence.size} examples: give at least one of each")
    outside = ~((confidence >= 0) & (confidence <= 1))
    if outside.any():
        worst = float(confidence[outside][0])
        raise ValueError(f"confidence {worst:g} is outside [0, 1]: normalise or clip what is no probability")
    edges = np.linspace(0, 1, bins + 1)
    index = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    size = np.bincount(index, minlength=bins)
    with np.errstate(invalid="ignore"):
        sure = np.bincount(index, confidence, bins) / size
        right = np.bincount(index, correct, bins) / size
    return Reliability(edges, size, sure, right)


def expected_calibration_error(diagram: Reliability) -> float:
    """ECE = Σ_b n_b/n · |accuracy_b − confidence_b|, a fraction of 1: 0 is calibrated; biased upwards for few examples.

    Source: Naeini, Cooper & Hauskrecht 2015; Guo et al. 2017.
    """
    gap = np.abs(diagram.accuracy - diagram.confidence)
    return float(np.nansum(gap * diagram.examples) / diagram.examples.sum())


def brier(probabilities: Float[np.ndarray, "n classes"], labels: Integer[np.ndarray, " n"]) -> float:
    """Brier score, mean Σ_k (p_k − [k = y])²: 0 for sure and right, 2 for sure and wrong (Brier 1950)."""
    truth = np.eye(probabilities.shape[1])[labels]
    return float(np.square(probabilities - truth).sum(1).mean())
