"""How well one quantity goes with another."""

from itertools import permutations
from math import factorial
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy import stats

from jaxact.statistics.checks import require_finite
from jaxact.statistics.intervals import bca
from jaxact.statistics.permutation import TIE, monte_carlo_p


class RankCorrelation(NamedTuple):
    """Spearman's rho, its bootstrap interval, and the two-sided permutation p-value of independence."""

    rho: float
    low: float
    high: float
    p_value: float
    exact: bool


def spearman(
    x: Float[np.ndarray, " n"],
    y: Float[np.ndarray, " n"],
    rng: np.random.Generator,
    level: float = 0.95,
    resamples: int = 9_999,
) -> RankCorrelation:
    """Spearman's rank correlation with a BCa bootstrap interval over the pairs and a permutation p-value.

    Ties get mean ranks. The p-value is exact over all n! pairings up to n = 9, random beyond. A resample in which one
    variable is constant has no ranking and counts as 0.

    Args:
        x: First variable.
        y: Second variable, in the same order.
        rng: Source of resamples and random pairings.
        level: Confidence level of the interval.
        resamples: Number of bootstrap resamples and of random pairings.

    Returns:
        The correlation; at |rho| = 1 the interval has width 0, because every resample agrees.

    Raises:
        ValueError: Fewer than 3 pairs, a value that is not finite, a constant variable, or a level outside (0, 1).
    """
    require_finite(x, 3)
    require_finite(y, 3)
    for name, values in (("x", x), ("y", y)):
        if np.ptp(values) == 0:
            raise ValueError(f"all {values.size} values of {name} are {values[0]}: a constant has no ranking")
    rho, low, high = bca((x, y), _rank_correlation, rng, level, resamples, paired=True)
    rank_x, rank_y = _centred_ranks(x), _centred_ranks(y)
    scale = np.sqrt((rank_x @ rank_x) * (rank_y @ rank_y))
    threshold = abs(rank_x @ rank_y) - TIE * scale
    exact = factorial(x.size) <= factorial(9)
    if exact:
        pairings = np.array(list(permutations(rank_y)))
        return RankCorrelation(rho, low, high, float(np.mean(np.abs(pairings @ rank_x) >= threshold)), exact)

    def draw(n: int) -> Bool[np.ndarray, " n"]:
        return np.abs(rng.permuted(np.broadcast_to(rank_y, (n, y.size)), axis=1) @ rank_x) >= threshold

    return RankCorrelation(rho, low, high, monte_carlo_p(draw, resamples), exact)


def r_squared(observed: Float[np.ndarray, " n"], predicted: Float[np.ndarray, " n"]) -> float:
    """Share of the variance that predictions explain: 1 − Σ(observed − predicted)² / Σ(observed − mean)².

    The predictions are taken as they are; a fit belongs to the caller. Negative if they are worse than the mean.

    Args:
        observed: Measured values.
        predicted: Predictions in the same order and unit.

    Returns:
        R², at most 1.

    Raises:
        ValueError: Fewer than 2 values, a value that is not finite, or constant observations.
    """
    require_finite(observed, 2)
    require_finite(predicted, 2)
    if np.ptp(observed) == 0:
        raise ValueError(f"all {observed.size} observations are {observed[0]}: there is no variance to explain")
    return float(1 - np.sum((observed - predicted) ** 2) / np.sum((observed - observed.mean()) ** 2))


def _centred_ranks(values: Float[np.ndarray, "*batch n"], axis: int = -1) -> Float[np.ndarray, "*batch n"]:
    ranks = stats.rankdata(values, axis=axis)
    return ranks - ranks.mean(axis=axis, keepdims=True)


def _rank_correlation(
    x: Float[np.ndarray, "*batch n"], y: Float[np.ndarray, "*batch n"], axis: int = -1
) -> Float[np.ndarray, "*batch"] | np.floating:
    rank_x, rank_y = _centred_ranks(x, axis), _centred_ranks(y, axis)
    scale = np.sqrt(np.sum(rank_x**2, axis=axis) * np.sum(rank_y**2, axis=axis))
    return np.sum(rank_x * rank_y, axis=axis) / np.where(scale > 0, scale, 1.0)
