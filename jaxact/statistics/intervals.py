"""Descriptions of a sample and confidence intervals.

What each interval covers is simulated in `tests/test_statistics_coverage.py`, on normal values and on resampled runs.
Values that pass for normal get the normal theory. Others get an interval only if bounds of the values are known.
No method sees a failure that never happened in the sample: with n runs, one rarer than about 3 in n.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

from jaxact.statistics.checks import require_finite, require_level

LEAST_RUNS = 4
"""With fewer there is no interval: nothing tells whether so few values are like a normal sample."""
LIKE_NORMAL = 0.05
"""Smallest p of the Shapiro–Wilk test at which values pass for normal."""
_MOST_TESTED = 5_000  # beyond it the p-value of the test is not accurate

Bounds = tuple[float | int, float | int]
"""Smallest and largest value that can occur at all, such as 0 and 100 percent."""


class Summary(NamedTuple):
    """Mean, sample standard deviation (ddof 1) and range of the finite values; how many there are, and how many NaN."""

    mean: float
    sd: float
    minimum: float
    maximum: float
    n: int
    n_nan: int


class Estimate(NamedTuple):
    """A number and its confidence interval; the ends are NaN where no interval is known to cover."""

    value: float
    low: float
    high: float


class SdBounds(NamedTuple):
    """Seed-to-seed standard deviation of a healthy classifier, in percentage points: lower bound and usual value."""

    lower: float
    typical: float


def summarize(values: Float[np.ndarray, " seeds"]) -> Summary:
    """Describe the accuracies of one configuration.

    Args:
        values: One value per seed, NaN where the seed diverged.

    Returns:
        The summary; mean, sd and range are NaN without a finite value, sd also with a single one.
    """
    finite = values[~np.isnan(values)].astype(float)
    n, n_nan = finite.size, values.size - finite.size
    if n == 0:
        return Summary(np.nan, np.nan, np.nan, np.nan, 0, n_nan)
    sd = float(finite.std(ddof=1)) if n > 1 else np.nan
    return Summary(float(finite.mean()), sd, float(finite.min()), float(finite.max()), n, n_nan)


def clopper_pearson(successes: int, trials: int, level: float = 0.95) -> Estimate:
    """Exact binomial interval for a share, such as seeds that failed (Clopper & Pearson 1934).

    Args:
        successes: How often it happened.
        trials: Out of how many.
        level: Confidence level.

    Returns:
        The share and its two-sided interval, as fractions of 1.

    Raises:
        ValueError: No trials, or successes outside 0 … trials, or a level outside (0, 1).
    """
    require_level(level)
    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes of {trials} trials: need trials >= 1 and 0 <= successes <= trials")
    interval = stats.binomtest(successes, trials).proportion_ci(level, method="exact")
    return Estimate(successes / trials, float(interval.low), float(interval.high))


def healthy_sd_bounds(accuracy: float, n_test: int = 10_000, classes: int = 10) -> SdBounds:
    """How much the test accuracy of a classifier varies between seeds although nothing is wrong.

    With error e on n test examples of k classes, an ensemble-calibrated training has variance e/(2n) for two classes
    and about that for more, and at least e/(nk). Much more than this means unstable training.

    Args:
        accuracy: Mean test accuracy in percent.
        n_test: Number of test examples.
        classes: Number of classes.

    Returns:
        The two standard deviations, in percentage points.

    Raises:
        ValueError: An accuracy outside 0 … 100, no test examples, or fewer than 2 classes.

    Source: Jordan, "On the variance of neural network training with respect to test sets and distributions", ICLR 2024.
    """
    if not 0 <= accuracy <= 100 or n_test < 1 or classes < 2:
        given = f"accuracy {accuracy}, n_test {n_test}, classes {classes}"
        raise ValueError(f"{given}: need 0 <= accuracy <= 100, n_test >= 1, classes >= 2")
    variance = (1 - accuracy / 100) / n_test
    return SdBounds(100 * float(np.sqrt(variance / classes)), 100 * float(np.sqrt(variance / 2)))


def passes_for_normal(values: Float[np.ndarray, " n"]) -> bool:
    """Whether normal theory may speak of these values: `LEAST_RUNS` or more, not constant, not rejected as normal.

    Args:
        values: Finite observations.

    Returns:
        False where the Shapiro–Wilk test has p < `LIKE_NORMAL`, as on runs of which some fail.
    """
    if values.size < LEAST_RUNS or np.ptp(values) <= 1e-9 * np.abs(values).max():
        return False
    tested = values[:: -(-values.size // _MOST_TESTED)]
    return float(stats.shapiro(tested).pvalue) >= LIKE_NORMAL


def sd_interval(
    values: Float[np.ndarray, " n"],
    level: float = 0.95,
    rng: np.random.Generator | None = None,
    bounds: Bounds | None = None,
    resamples: int = 9_999,
) -> Estimate:
    """Standard deviation (ddof 1) with an interval that covers, or none.

    Values that pass for normal get (n − 1)·sd²/χ² quantiles. Others get, if bounds are known, the range of deviations
    under random weights of the values and of one more that may lie anywhere within the bounds, as in `bootstrap_mean`.

    Args:
        values: One value per seed.
        level: Confidence level.
        rng: Source of the weights; needed with `bounds`.
        bounds: Smallest and largest possible value.
        resamples: Number of random weights.

    Returns:
        The standard deviation and its interval, in the unit of the values. The ends are NaN with fewer than
        `LEAST_RUNS` values, and for values unlike a normal sample without bounds.

    Raises:
        ValueError: Fewer than 2 values, a value that is not finite or out of bounds, bounds without `rng`, or a level
            outside (0, 1).
    """
    require_finite(values, 2)
    require_level(level)
    _require_inside(values, bounds)
    sd, freedom = float(values.std(ddof=1)), values.size - 1
    tail = (1 - level) / 2
    if passes_for_normal(values):
        low, high = (sd * float(np.sqrt(freedom / stats.chi2.ppf(q, freedom))) for q in (1 - tail, tail))
        return Estimate(sd, low, high)
    if values.size < LEAST_RUNS or bounds is None:
        return Estimate(sd, np.nan, np.nan)
    if rng is None:
        raise ValueError(f"bounds {bounds} are given without rng: pass a generator for the random weights")
    weights, rest = _weights(values.size, rng, resamples)
    mean, square = weights @ values, weights @ values**2
    least = square - mean**2 / (1 - rest)  # the rest lies at the mean of the others
    most = np.maximum(*(square + rest * end**2 - (mean + rest * end) ** 2 for end in bounds))
    ends = np.quantile(least, tail), np.quantile(most, 1 - tail)
    return Estimate(sd, *(float(np.sqrt(max(end, 0.0))) for end in ends))


def prediction_interval(sample: Summary, level: float = 0.95) -> tuple[float, float]:
    """Range in which one more value of the same normal distribution lies: mean ± t·sd·√(1 + 1/n).

    A summary does not tell whether its values are like a normal sample: ask `passes_for_normal` of the values first.

    Args:
        sample: The values seen so far.
        level: Probability that the next one lies inside.

    Returns:
        Lower and upper end; both the mean where all values are equal.

    Raises:
        ValueError: Fewer than 2 values, or a level outside (0, 1).
    """
    require_level(level)
    if sample.n < 2:
        raise ValueError(f"{sample.n} values given, at least 2 needed: add seeds")
    half = float(stats.t.ppf((1 + level) / 2, sample.n - 1)) * sample.sd * float(np.sqrt(1 + 1 / sample.n))
    return sample.mean - half, sample.mean + half


def bootstrap_mean(
    values: Float[np.ndarray, " n"],
    rng: np.random.Generator,
    level: float = 0.95,
    resamples: int = 9_999,
    bounds: Bounds | None = None,
) -> Estimate:
    """Mean with an interval that covers, or none.

    Values that pass for normal get Student's t. Others get, if bounds are known, Gaffke's interval: the range of means
    under random weights, uniform over all weights of the values and of one more that lies at the bound. It covers
    whatever the distribution, mostly more often than the level says.

    Args:
        values: Observations; for paired conditions, their differences.
        rng: Source of the weights.
        level: Confidence level.
        resamples: Number of random weights.
        bounds: Smallest and largest possible value.

    Returns:
        The mean and its interval. The ends are NaN with fewer than `LEAST_RUNS` values, and for values unlike a normal
        sample without bounds.

    Raises:
        ValueError: Fewer than 2 values, a value that is not finite or out of bounds, or a level outside (0, 1).

    Source: Gaffke, "Three test statistics for a nonparametric one-sided hypothesis on the mean of a nonnegative
    variable", Mathematical Methods of Statistics 2005.
    """
    require_finite(values, 2)
    require_level(level)
    _require_inside(values, bounds)
    mean, tail = float(values.mean()), (1 - level) / 2
    if passes_for_normal(values):
        half = float(stats.t.ppf(1 - tail, values.size - 1)) * float(values.std(ddof=1)) / float(np.sqrt(values.size))
        return Estimate(mean, mean - half, mean + half)
    if values.size < LEAST_RUNS or bounds is None:
        return Estimate(mean, np.nan, np.nan)
    weights, rest = _weights(values.size, rng, resamples)
    drawn = weights @ values
    low, high = (np.quantile(drawn + rest * end, q) for end, q in zip(bounds, (tail, 1 - tail), strict=True))
    return Estimate(mean, float(low), float(high))


def bootstrap_mean_difference(
    a: Float[np.ndarray, " a"],
    b: Float[np.ndarray, " b"],
    rng: np.random.Generator,
    level: float = 0.95,
    resamples: int = 9_999,
    bounds: Bounds | None = None,
) -> Estimate:
    """mean(a) − mean(b) of independent groups with an interval that covers, or none.

    Groups that pass for normal get Welch's t. Otherwise the intervals of both means, each with half the error, are
    subtracted, which covers more often than the level says.

    Args:
        a: First group.
        b: Second group.
        rng: Source of the weights.
        level: Confidence level.
        resamples: Number of random weights.
        bounds: Smallest and largest possible value of both groups.

    Returns:
        The difference and its interval; the ends are NaN where one of the means has none.

    Raises:
        ValueError: A group of fewer than 2 values, a value that is not finite or out of bounds, or a level outside
            (0, 1).
    """
    require_finite(a, 2)
    require_finite(b, 2)
    require_level(level)
    if passes_for_normal(a) and passes_for_normal(b):
        found = stats.ttest_ind(a, b, equal_var=False).confidence_interval(level)
        return Estimate(float(a.mean() - b.mean()), float(found.low), float(found.high))
    of_a, of_b = (bootstrap_mean(x, rng, (1 + level) / 2, resamples, bounds) for x in (a, b))
    return Estimate(of_a.value - of_b.value, of_a.low - of_b.high, of_a.high - of_b.low)


def _require_inside(values: Float[np.ndarray, " n"], bounds: Bounds | None) -> None:
    if bounds is None:
        return
    rounding = 1e-6 * (bounds[1] - bounds[0])
    if values.min() < bounds[0] - rounding or values.max() > bounds[1] + rounding:
        raise ValueError(f"values {values.min():g} … {values.max():g} are outside bounds {bounds}: give wider ones")


def _weights(
    n: int, rng: np.random.Generator, resamples: int
) -> tuple[Float[np.ndarray, "resamples n"], Float[np.ndarray, " resamples"]]:
    """Uniform random weights of n values, and what is left of 1 for one more value."""
    drawn = rng.dirichlet(np.ones(n + 1), resamples)
    return drawn[:, :-1], drawn[:, -1]
