"""`true`, `false` or `undecided`: comparisons of accuracies that heed their intervals, for `jaxact.study.claims`."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxact.statistics import Estimate, bootstrap_mean, sd_interval

PERCENT = (0.0, 100.0)
"""Bounds of an accuracy."""


class Finding(NamedTuple):
    """`true`, `false` or `undecided`, and the numbers that say so."""

    verdict: str
    numbers: str


def below(values: Float[np.ndarray, " runs"], limit: float) -> bool | None:
    """Whether the mean is below `limit`, None where its 95 % interval holds it or there is none."""
    _, low, high = interval(values)
    if low >= limit:
        return False
    return True if high < limit else None


def reaches(values: Float[np.ndarray, " runs"], limit: float) -> bool | None:
    """The opposite of `below`."""
    return None if (low := below(values, limit)) is None else not low


def interval(values: Float[np.ndarray, " runs"]) -> Estimate:
    """The mean with its 95 % interval; a single run is taken at its word, 2 or 3 are too few for an interval (NaN)."""
    if len(values) == 1:
        return Estimate(*[float(values[0])] * 3)
    return bootstrap_mean(values.astype(float), np.random.default_rng(0), bounds=PERCENT)


def spread(values: Float[np.ndarray, " runs"]) -> Estimate:
    """The standard deviation (ddof 1) with its 95 % interval; 2 or 3 runs are too few for one (NaN)."""
    return sd_interval(values.astype(float), rng=np.random.default_rng(0), bounds=PERCENT)


def all_of(answers: Sequence[bool | None]) -> str:
    """`false` if any is false, `true` if all are true, else `undecided`."""
    if any(answer is False for answer in answers):
        return "false"
    return "true" if answers and all(answers) else "undecided"


def apart(upper: Sequence[Estimate], lower: Sequence[Estimate]) -> str:
    """Whether all of `upper` lie above all of `lower`, as far as their intervals tell."""
    if np.min([one.low for one in upper]) > np.max([one.high for one in lower]):  # never where one is NaN
        return "true"
    return "false" if any(a.high < b.low for a in upper for b in lower) else "undecided"


def shown(found: Estimate) -> str:
    """`97.4 [97.2, 97.5]`, without brackets where there is no interval."""
    return f"{found.value:.1f}" + (f" [{found.low:.1f}, {found.high:.1f}]" if found.high > found.low else "")
