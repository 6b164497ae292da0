"""How well one quantity goes with another."""

from itertools import permutations
from math import factorial
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy import stats

from jaxact.statistics.checks import require_finite, require_level
from jaxact.statistics.permutation import TIE, monte_carlo_p

LEAST_PAIRS = 9
"""With fewer pairs the interval covers too seldom, 61 % of strong correlations at 5."""


class RankCorrelation(NamedTuple):
    """Spearman's rho, its interval (NaN where there is none), and the two-sided permutation p-value of independence."""

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
    """Spearman's rank correlation with its interval over independent pairs and a permutation p-value.

    Ties get mean ranks. The p-value is exact over all n! pairings up to n = 9, random beyond. The interval is Fisher's
    z with the variance (1 + rho²/2)/(n − 3). Both are wrong for pairs that share something, such as seeds.

    Args:
        x: First variable.
        y: Second variable, in the same order.
        rng: Source of random pairings.
        level: Confidence level of the interval.
        resamples: Number of random pairings.

    Returns:
        The correlation; the ends are NaN with fewer than `LEAST_PAIRS` pairs and at |rho| = 1.

    Raises:
        ValueError: Fewer than 3 pairs, a value that is not finite, a constant variable, or a level outside (0, 1).

    Source: Bonett and Wright, "Sample size requirements for estimating Pearson, Kendall and Spearman correlations",
    Psychometrika 2000 (the variance).
    """
    require_level(level)
    require_finite(x, 3)
    require_finite(y, 3)
    for name, values in (("x", x), ("y", y)):
        if np.ptp(values) == 0:
            raise ValueError(f"all {values.size} values of {name} are {values[0]}: a constant has no ranking")
    rank_x, rank_y = _centred_ranks(x), _centred_ranks(y)
    scale = np.sqrt((rank_x @ rank_x) * (rank_y @ rank_y))
    rho = float(rank_x @ rank_y / scale)
    low, high = _fisher(rho, x.size, level)
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


def _centred_ranks(values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    ranks = stats.rankdata(values)
    return ranks - ranks.mean()


def _fisher(rho: float, n: int, level: float) -> tuple[float, float]:
    if n < LEAST_PAIRS or abs(rho) >= 1 - 1e-12:
        return np.nan, np.nan
    half = stats.norm.ppf((1 + level) / 2) * np.sqrt((1 + rho**2 / 2) / (n - 3))
    return float(np.tanh(np.arctanh(rho) - half)), float(np.tanh(np.arctanh(rho) + half))
