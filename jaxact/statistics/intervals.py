"""Descriptions of a sample and confidence intervals."""

import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

from jaxact.statistics.checks import require_finite, require_level


class Summary(NamedTuple):
    """Mean, sample standard deviation (ddof 1) and range of the finite values; how many there are, and how many NaN."""

    mean: float
    sd: float
    minimum: float
    maximum: float
    n: int
    n_nan: int


class Estimate(NamedTuple):
    """A number and its confidence interval."""

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


def sd_interval(values: Float[np.ndarray, " n"], level: float = 0.95) -> Estimate:
    """Standard deviation (ddof 1) with its chi-square interval.

    (n − 1)·sd²/χ² quantiles: right for normal values, as the seeds of a healthy configuration are, too short for
    mixtures of failed and healthy seeds.

    Args:
        values: One value per seed.
        level: Confidence level.

    Returns:
        The standard deviation and its interval, in the unit of the values.

    Raises:
        ValueError: Fewer than 2 values, a value that is not finite, or a level outside (0, 1).
    """
    require_finite(values, 2)
    require_level(level)
    sd, freedom = float(values.std(ddof=1)), values.size - 1
    tail = (1 - level) / 2
    low, high = (sd * float(np.sqrt(freedom / stats.chi2.ppf(q, freedom))) for q in (1 - tail, tail))
    return Estimate(sd, low, high)


def prediction_interval(sample: Summary, level: float = 0.95) -> tuple[float, float]:
    """Range in which one more value of the same normal distribution lies: mean ± t·sd·√(1 + 1/n).

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
    values: Float[np.ndarray, " n"], rng: np.random.Generator, level: float = 0.95, resamples: int = 9_999
) -> Estimate:
    """Mean with its BCa bootstrap interval (Efron 1987); equal values give an interval of width 0.

    Args:
        values: Observations; for paired conditions, their differences.
        rng: Source of the resamples.
        level: Confidence level.
        resamples: Number of resamples.

    Returns:
        The mean and its interval, which is too short for a handful of values.

    Raises:
        ValueError: Fewer than 2 values, a value that is not finite, or a level outside (0, 1).
    """
    require_finite(values, 2)
    return bca((values,), np.mean, rng, level, resamples)


def bootstrap_mean_difference(
    a: Float[np.ndarray, " a"],
    b: Float[np.ndarray, " b"],
    rng: np.random.Generator,
    level: float = 0.95,
    resamples: int = 9_999,
) -> Estimate:
    """mean(a) − mean(b) of independent groups with its BCa bootstrap interval.

    Args:
        a: First group.
        b: Second group.
        rng: Source of the resamples.
        level: Confidence level.
        resamples: Number of resamples.

    Returns:
        The difference and its interval.

    Raises:
        ValueError: A group of fewer than 2 values, a value that is not finite, or a level outside (0, 1).
    """
    require_finite(a, 2)
    require_finite(b, 2)
    return bca((a, b), lambda x, y, axis: np.mean(x, axis=axis) - np.mean(y, axis=axis), rng, level, resamples)


def bca(
    samples: tuple[Float[np.ndarray, " _"], ...],
    statistic: Callable[..., np.ndarray | np.floating],
    rng: np.random.Generator,
    level: float,
    resamples: int,
    paired: bool = False,
) -> Estimate:
    """BCa interval of a statistic, defined for degenerate samples too.

    Samples that are all constant give the value itself; where the correction is undefined (every resample on one side
    of the value), the plain percentiles are taken.

    Args:
        samples: Finite observations, one array per group or, paired, per variable.
        statistic: Function of the samples and ``axis``.
        rng: Source of the resamples.
        level: Confidence level.
        resamples: Number of resamples.
        paired: Resample the samples together.

    Returns:
        The statistic and its interval.

    Raises:
        ValueError: A level outside (0, 1).
    """
    require_level(level)
    value = float(statistic(*samples, axis=-1))
    if all(np.ptp(sample) == 0 for sample in samples):
        return Estimate(value, value, value)
    with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        result = stats.bootstrap(
            samples,
            statistic,
            n_resamples=resamples,
            confidence_level=level,
            method="BCa",
            paired=paired,
            vectorized=True,
            rng=rng,
        )
    low, high = result.confidence_interval
    if np.isnan(low) or np.isnan(high):
        low, high = np.quantile(result.bootstrap_distribution, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(value, float(low), float(high))
