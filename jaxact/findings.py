"""`true`, `false` or `undecided`: comparisons of accuracies that heed their intervals, for `jaxact.claims`."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxact.statistics import Estimate, bootstrap_mean
from jaxact.statistics.intervals import bca

RUNS_FOR_AN_INTERVAL = 3


class Finding(NamedTuple):
    """`true`, `false` or `undecided`, and the numbers that say so."""

    verdict: str
    numbers: str


def below(values: Float[np.ndarray, " runs"], limit: float) -> bool | None:
    """Whether the mean is below `limit`, None where its 95 % interval holds it; fewer than 3 runs have no interval."""
    mean, low, high = interval(values)
    return None if low < limit <= high else mean < limit


def reaches(values: Float[np.ndarray, " runs"], limit: float) -> bool | None:
    """The opposite of `below`."""
    return None if (low := below(values, limit)) is None else not low


def interval(values: Float[np.ndarray, " runs"]) -> Estimate:
    """The mean with its 95 % interval; fewer than 3 runs are taken at their word."""
    if len(values) < RUNS_FOR_AN_INTERVAL:
        return Estimate(*[float(values.mean())] * 3)
    return bootstrap_mean(values.astype(float), np.random.default_rng(0))


def spread(values: Float[np.ndarray, " runs"]) -> Estimate:
    """The standard deviation (ddof 1) with its BCa bootstrap interval; fewer than 3 runs are taken at their word."""
    if len(values) < RUNS_FOR_AN_INTERVAL:
        return Estimate(*[float(values.std(ddof=1))] * 3)
    return bca(
        (values.astype(float),), lambda x, axis: np.std(x, axis=axis, ddof=1), np.random.default_rng(0), 0.95, 9999
    )


def all_of(answers: Sequence[bool | None]) -> str:
    """`false` if any is false, `true` if all are true, else `undecided`."""
    if any(answer is False for answer in answers):
        return "false"
    return "true" if answers and all(answers) else "undecided"


def apart(upper: Sequence[Estimate], lower: Sequence[Estimate]) -> str:
    """Whether all of `upper` lie above all of `lower`, as far as their intervals tell."""
    if min(one.low for one in upper) > max(one.high for one in lower):
        return "true"
    return "false" if any(a.high < b.low for a in upper for b in lower) else "undecided"


def shown(found: Estimate) -> str:
    """`97.4 [97.2, 97.5]`, without brackets where there is no interval."""
    return f"{found.value:.1f}" + (f" [{found.low:.1f}, {found.high:.1f}]" if found.high > found.low else "")
