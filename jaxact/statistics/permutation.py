"""Permutation tests of differences, exact where all arrangements can be enumerated, and Holm's correction."""

from collections.abc import Callable
from math import comb
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from jaxact.statistics.checks import require_finite, require_generator

TIE = 1e-6  # of the largest value: sums closer than this are equal but for rounding, which may be that of float32
_CHUNK = 10_000


class PermutationResult(NamedTuple):
    """Observed difference, two-sided p-value, how many arrangements it rests on, and whether those are all."""

    difference: float
    p_value: float
    arrangements: int
    exact: bool


def permutation_test(
    a: Float[np.ndarray, " a"],
    b: Float[np.ndarray, " b"],
    rng: np.random.Generator | None = None,
    max_arrangements: int = 1_000_000,
    resamples: int = 99_999,
) -> PermutationResult:
    """Two-sample permutation test of a difference in means.

    p = share of the splits of the pooled values into groups of these sizes whose |difference in means| is at least the
    observed one, ties up to rounding (a millionth of the largest value) included. All splits are enumerated while there
    are at most `max_arrangements`; beyond that `resamples` random ones give p = (1 + extreme) / (1 + resamples),
    Phipson & Smyth (2010).

    Args:
        a: First group.
        b: Second group.
        rng: Source of random splits; needed only where not all are enumerated.
        max_arrangements: Largest number of splits to enumerate.
        resamples: Number of random splits beyond that.

    Returns:
        mean(a) − mean(b) and its p-value.

    Raises:
        ValueError: An empty group, a value that is not finite, or random splits without a generator.
    """
    require_finite(a, 1)
    require_finite(b, 1)
    pooled = np.concatenate([a, b]).astype(float)
    # For fixed sizes the difference in means is a multiple of one group's centred sum: enumerate the smaller group's.
    centred = pooled - pooled.mean()
    threshold = abs(centred[: a.size].sum()) - TIE * np.abs(pooled).max()
    small, total = min(a.size, b.size), comb(pooled.size, min(a.size, b.size))
    difference = float(pooled[: a.size].mean() - pooled[a.size :].mean())
    if total <= max_arrangements:
        extreme = np.abs(_subset_sums(centred, small)) >= threshold
        return PermutationResult(difference, float(extreme.mean()), total, exact=True)
    generator = require_generator(rng, total, max_arrangements)

    def draw(n: int) -> Bool[np.ndarray, " n"]:
        shuffled = generator.permuted(np.broadcast_to(centred, (n, centred.size)), axis=1)
        return np.abs(shuffled[:, :small].sum(axis=1)) >= threshold

    return PermutationResult(difference, monte_carlo_p(draw, resamples), resamples, exact=False)


def paired_permutation_test(
    differences: Float[np.ndarray, " pairs"],
    rng: np.random.Generator | None = None,
    max_arrangements: int = 1_000_000,
    resamples: int = 99_999,
) -> PermutationResult:
    """Sign-flip test that paired differences are symmetric about zero (same seed, two conditions).

    Exact over all 2ⁿ sign patterns while there are at most `max_arrangements`, random beyond, as `permutation_test`.

    Args:
        differences: One difference per pair.
        rng: Source of random signs; needed only where not all are enumerated.
        max_arrangements: Largest number of sign patterns to enumerate.
        resamples: Number of random patterns beyond that.

    Returns:
        The mean difference and its p-value.

    Raises:
        ValueError: No pair, a value that is not finite, or random signs without a generator.
    """
    require_finite(differences, 1)
    pairs = differences.astype(float)
    threshold = abs(pairs.sum()) - TIE * np.abs(pairs).max()
    total = 2**pairs.size
    if total <= max_arrangements:
        sums = np.zeros(1)
        for difference in pairs:
            sums = np.concatenate([sums - difference, sums + difference])
        p_value = float(np.mean(np.abs(sums) >= threshold))
        return PermutationResult(float(pairs.mean()), p_value, total, exact=True)
    generator = require_generator(rng, total, max_arrangements)

    def draw(n: int) -> Bool[np.ndarray, " n"]:
        return np.abs(generator.choice([-1.0, 1.0], (n, pairs.size)) @ pairs) >= threshold

    return PermutationResult(float(pairs.mean()), monte_carlo_p(draw, resamples), resamples, exact=False)


def holm(p_values: Float[np.ndarray, " tests"]) -> Float[np.ndarray, " tests"]:
    """Holm's (1979) step-down adjustment: family-wise error over all tests, whatever their dependence.

    Args:
        p_values: One p-value per test; NaN where there was no test, which does not count as one.

    Returns:
        Adjusted p-values in the same order: the running maximum of (m − rank)·p over the sorted p, at most 1.

    Raises:
        ValueError: A p-value outside [0, 1].
    """
    wrong = p_values[(p_values < 0) | (p_values > 1)]
    if wrong.size:
        raise ValueError(f"p-value {wrong[0]} is outside [0, 1]")
    order = np.argsort(p_values)[: int(np.sum(~np.isnan(p_values)))]
    adjusted = np.full(p_values.shape, np.nan)
    factors = np.arange(order.size, 0, -1)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(factors * p_values[order]))
    return adjusted


def monte_carlo_p(draw: Callable[[int], Bool[np.ndarray, " n"]], resamples: int) -> float:
    """(1 + extreme) / (1 + resamples) for a function that draws n arrangements and says which are extreme."""
    sizes = [min(_CHUNK, resamples - done) for done in range(0, resamples, _CHUNK)]
    return (1 + sum(int(draw(size).sum()) for size in sizes)) / (1 + resamples)


def _subset_sums(values: Float[np.ndarray, " n"], size: int) -> Float[np.ndarray, " subsets"]:
    """Sums of all subsets of `size` values, one value joining after another."""
    sums = [np.zeros(1)] + [np.zeros(0)] * size
    for value in values:
        for k in range(size, 0, -1):
            sums[k] = np.concatenate([sums[k], sums[k - 1] + value])
    return sums[size]
