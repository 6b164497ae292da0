"""Intervals and tests against closed forms, brute force in exact arithmetic, and REFERENCE values of the project."""

import math
import statistics as standard_library
from fractions import Fraction
from itertools import combinations, permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from jaxact import statistics

HUNDREDTHS = st.lists(st.integers(0, 40), min_size=1, max_size=6)  # small range: many ties


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def hundredths(values) -> np.ndarray:
    return np.array(values, dtype=float) / 100


def test_summary_equals_the_standard_library_and_counts_nan():
    values = [97.95, 88.61, 78.93, 78.32, 78.69]
    summary = statistics.summarize(np.array([*values, np.nan, np.nan]))
    assert summary.mean == pytest.approx(standard_library.mean(values), rel=1e-14)
    assert summary.sd == pytest.approx(standard_library.stdev(values), rel=1e-14)
    assert summary[2:] == (78.32, 97.95, 5, 2)


def test_summary_of_one_and_of_no_value_is_defined():
    one = statistics.summarize(np.array([50.0]))
    assert (one.mean, one.n) == (50.0, 1) and math.isnan(one.sd)
    none = statistics.summarize(np.array([np.nan]))
    assert math.isnan(none.mean) and (none.n, none.n_nan) == (0, 1)


@pytest.mark.parametrize(("n", "upper"), [(9, 0.336), (5, 0.522)])
def test_clopper_pearson_of_no_failure_is_the_closed_form(n, upper):
    estimate = statistics.clopper_pearson(0, n)
    assert estimate.low == 0 and estimate.high == pytest.approx(1 - 0.025 ** (1 / n), rel=1e-9)
    assert round(estimate.high, 3) == upper


def test_clopper_pearson_ends_have_binomial_tails_of_half_the_error():
    value, low, high = statistics.clopper_pearson(3, 10, level=0.9)
    assert value == 0.3

    def tail(p, counts):
        return sum(math.comb(10, k) * p**k * (1 - p) ** (10 - k) for k in counts)

    assert tail(low, range(3, 11)) == pytest.approx(0.05, rel=1e-6)
    assert tail(high, range(0, 4)) == pytest.approx(0.05, rel=1e-6)


def test_healthy_bounds_at_two_percent_error():
    bounds = statistics.healthy_sd_bounds(98.0)
    assert bounds.lower == pytest.approx(100 * math.sqrt(0.02 / (10_000 * 10)))
    assert (round(bounds.lower, 3), round(bounds.typical, 2)) == (0.045, 0.10)


def test_sd_interval_of_five_values_has_the_chi_square_tails():
    """With four degrees of freedom the tail of chi-square is exp(−x/2)·(1 + x/2)."""
    values = np.array([1.0, 2.0, 4.0, 3.0, 2.5])
    sd, low, high = statistics.sd_interval(values)
    assert sd == pytest.approx(standard_library.stdev(values.tolist()))
    for end, tail in ((low, 0.025), (high, 0.975)):
        half = 2 * (sd / end) ** 2
        assert math.exp(-half) * (1 + half) == pytest.approx(tail)


def test_prediction_interval_of_two_values_is_the_cauchy_closed_form():
    """Student's t with one degree of freedom is Cauchy: its quantile is tan(π(p − ½))."""
    low, high = statistics.prediction_interval(statistics.summarize(np.array([1.0, 3.0])), level=0.9)
    half = math.tan(math.pi * 0.45) * math.sqrt(2) * math.sqrt(1.5)
    assert (low, high) == pytest.approx((2 - half, 2 + half))


def exact_p(a: list[int], b: list[int]) -> float:
    """Two-sample permutation p by definition, in rational arithmetic."""
    pooled = a + b

    def difference(chosen):
        first = sum(pooled[i] for i in chosen)
        return abs(Fraction(first, len(a)) - Fraction(sum(pooled) - first, len(b)))

    observed = difference(range(len(a)))
    splits = list(combinations(range(len(pooled)), len(a)))
    return sum(difference(split) >= observed for split in splits) / len(splits)


@given(HUNDREDTHS, HUNDREDTHS)
@settings(max_examples=60, deadline=None)
def test_permutation_p_equals_rational_brute_force(a, b):
    result = statistics.permutation_test(hundredths(a), hundredths(b))
    assert result.exact and result.arrangements == math.comb(len(a) + len(b), len(a))
    assert result.p_value == pytest.approx(exact_p(a, b), abs=1e-12)
    assert result.difference == pytest.approx(float(np.mean(a) - np.mean(b)) / 100, abs=1e-12)


def test_smallest_p_of_nine_against_nine():
    result = statistics.permutation_test(np.arange(9.0), np.arange(9.0) + 100)
    assert result.p_value == pytest.approx(2 / math.comb(18, 9)) and f"{result.p_value:.1e}" == "4.1e-05"


def test_permutation_p_of_identical_values_is_one():
    assert statistics.permutation_test(np.full(9, 9.8), np.full(5, 9.8)).p_value == 1


def test_ties_survive_the_rounding_of_float32():
    """Hundredths that are equal in exact sums but not in sums of float32 values."""
    for seed in range(20):
        a, b = generator(seed).integers(9700, 9800, size=(2, 4)).tolist()
        single = [np.array(group, dtype=np.float32) / np.float32(100) for group in (a, b)]
        assert statistics.permutation_test(*single).p_value == pytest.approx(exact_p(a, b), abs=1e-12)


def test_exact_p_equals_scipy_for_groups_of_equal_size():
    a, b = generator(1).normal(size=(2, 6))
    theirs = stats.permutation_test((a, b + 1), lambda x, y: x.mean() - y.mean(), n_resamples=np.inf)
    assert statistics.permutation_test(a, b + 1).p_value == pytest.approx(theirs.pvalue)


def test_random_splits_agree_with_all_splits_and_never_give_zero():
    a, b = generator(2).normal(size=(2, 8))
    exact = statistics.permutation_test(a, b + 1)
    sampled = statistics.permutation_test(a, b + 1, generator(), max_arrangements=100, resamples=20_000)
    assert not sampled.exact
    assert sampled.p_value == pytest.approx(exact.p_value, abs=4 * math.sqrt(exact.p_value / 20_000))
    far = statistics.permutation_test(np.zeros(30) + a[0], np.ones(30) * 99, generator(), resamples=999)
    assert far.p_value == 1 / 1000


@given(st.lists(st.integers(-20, 20), min_size=1, max_size=8))
@settings(max_examples=60, deadline=None)
def test_paired_p_equals_brute_force_over_signs(differences):
    signs = product([-1, 1], repeat=len(differences))
    sums = [abs(sum(s * d for s, d in zip(sign, differences, strict=True))) for sign in signs]
    expected = sum(total >= abs(sum(differences)) for total in sums) / len(sums)
    assert statistics.paired_permutation_test(hundredths(differences)).p_value == pytest.approx(expected)


def test_random_signs_agree_with_all_signs():
    differences = generator(3).normal(0.5, 1, size=12)
    exact = statistics.paired_permutation_test(differences)
    sampled = statistics.paired_permutation_test(differences, generator(), max_arrangements=100, resamples=20_000)
    assert exact.exact and not sampled.exact
    assert sampled.p_value == pytest.approx(exact.p_value, abs=4 * math.sqrt(exact.p_value / 20_000))


def test_mean_of_what_passes_for_normal_has_the_t_interval():
    """Student's t with four degrees of freedom: 2.776 at 97.5 %, from the tables."""
    values = np.array([1.0, 2.0, 4.0, 3.0, 2.5])
    estimate = statistics.bootstrap_mean(values, generator())
    half = 2.7764 * standard_library.stdev(values.tolist()) / math.sqrt(5)
    assert estimate == pytest.approx((2.5, 2.5 - half, 2.5 + half), rel=1e-4)


def gaffke_by_hand(values: list[float], bound: float, q: float, rng: np.random.Generator) -> float:
    """Quantile of means weighted by the gaps between sorted uniforms, the last gap going to the bound."""
    cuts = np.sort(rng.uniform(size=(40_000, len(values))), axis=1)
    gaps = np.diff(cuts, axis=1, prepend=0.0, append=1.0)
    return float(np.quantile(gaps @ np.array([*values, bound]), q))


def test_mean_of_bounded_runs_equals_gaffke_written_out():
    values = [9.8, 9.8, 9.8, 9.8, 9.8, 9.8, 9.8, 56.7, 21.0]
    estimate = statistics.bootstrap_mean(np.array(values), generator(5), resamples=40_000, bounds=(0, 100))
    low, high = (gaffke_by_hand(values, end, q, generator(6)) for end, q in ((0, 0.025), (100, 0.975)))
    assert estimate.value == pytest.approx(np.mean(values))
    assert (estimate.low, estimate.high) == pytest.approx((low, high), abs=0.02 * (high - low))
    assert np.isnan(statistics.bootstrap_mean(np.array(values), generator()).high)  # unlike normal, bounds unknown


def test_what_passes_for_normal():
    assert statistics.passes_for_normal(np.array([97.1, 97.3, 97.2, 97.6]))
    for unlike in (np.full(9, 9.8), np.array([9.8] * 8 + [56.7]), np.array([1.0, 2.0, 3.0])):
        assert not statistics.passes_for_normal(unlike)
    assert statistics.passes_for_normal(generator(1).normal(size=20_000))


def test_bootstrap_difference_approaches_normal_theory():
    a, b = generator(7).normal(size=(2, 400))
    estimate = statistics.bootstrap_mean_difference(a, b + 1, generator(8))
    half = 1.96 * math.sqrt((a.var() + b.var()) / 400)
    assert estimate.low == pytest.approx(estimate.value - half, abs=0.1 * half)
    assert estimate.high == pytest.approx(estimate.value + half, abs=0.1 * half)


def test_difference_without_an_interval_of_both_means_has_none():
    healthy, dead = 97 + np.linspace(-0.2, 0.2, 9), np.full(9, 9.8)
    none = statistics.bootstrap_mean_difference(healthy, dead, generator())
    assert none.value == pytest.approx(87.2) and np.isnan([none.low, none.high]).all()
    found = statistics.bootstrap_mean_difference(healthy, dead, generator(), bounds=(0, 100))
    assert 40 < found.low < 87.2 < found.high <= 100


def test_holm_equals_closed_testing_with_bonferroni():
    """Adjusted p = the largest |S|·min p over all sets S of hypotheses that contain the one in question."""
    p = np.array([0.01, 0.04, 0.03, 0.005, 0.7])
    sets = [s for size in range(1, 6) for s in combinations(range(5), size)]
    expected = [max(min(1, len(s) * min(p[list(s)])) for s in sets if i in s) for i in range(5)]
    np.testing.assert_allclose(statistics.holm(p), expected)


def test_holm_leaves_missing_tests_out():
    adjusted = statistics.holm(np.array([0.01, np.nan, 0.02]))
    np.testing.assert_allclose(adjusted, [0.02, np.nan, 0.02])
    assert statistics.holm(np.array([])).size == 0


def test_spearman_equals_scipy_and_brute_force_over_pairings():
    x, y = np.array([1.0, 2, 2, 4, 5, 6]), np.array([9.8, 9.8, 37, 20, 60, 98])
    result = statistics.spearman(x, y, generator(), resamples=999)
    assert result.rho == pytest.approx(stats.spearmanr(x, y).statistic)
    every = [stats.pearsonr(stats.rankdata(x), order).statistic for order in permutations(stats.rankdata(y))]
    assert result.exact and result.p_value == pytest.approx(np.mean(np.abs(every) >= result.rho - 1e-12))
    assert np.isnan([result.low, result.high]).all()  # six pairs are too few


def test_spearman_interval_covers_the_truth_about_as_often_as_it_says():
    truth = 6 / math.pi * math.asin(0.6 / 2)  # rho of the bivariate normal with correlation 0.6
    inside = 0
    for seed in range(60):
        x, noise = generator(seed).normal(size=(2, 30))
        result = statistics.spearman(x, 0.6 * x + 0.8 * noise, generator(seed), resamples=499)
        inside += result.low <= truth <= result.high
        assert not result.exact
    assert inside >= 50  # binomial(60, .95) is below 50 with probability 1e-4


def test_r_squared_of_a_least_squares_line_is_the_squared_correlation():
    x, y = generator(9).normal(size=(2, 20))
    line = np.polyval(np.polyfit(x, y, 1), x)
    assert statistics.r_squared(y, line) == pytest.approx(np.corrcoef(x, y)[0, 1] ** 2)
    assert statistics.r_squared(y, y) == 1 and statistics.r_squared(y, y + 10) < 0


SOME, LOST = np.array([1.0, 2.0, 3.0]), np.array([1.0, np.nan, 2.0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: statistics.clopper_pearson(3, 2), "3 successes of 2 trials"),
        (lambda: statistics.clopper_pearson(0, 0), "trials >= 1"),
        (lambda: statistics.clopper_pearson(1, 2, level=95.0), "confidence level 95"),
        (lambda: statistics.healthy_sd_bounds(101.0), "accuracy 101"),
        (lambda: statistics.sd_interval(SOME[:1]), "1 values given, at least 2"),
        (lambda: statistics.sd_interval(np.full(4, 9.8), bounds=(0, 100)), "without rng"),
        (lambda: statistics.sd_interval(SOME, bounds=(2, 100)), "outside bounds"),
        (lambda: statistics.bootstrap_mean(SOME, generator(), bounds=(0, 2)), "values 1 … 3 are outside bounds"),
        (lambda: statistics.clustered_interval(lambda kept: 0.5, np.arange(3), level=0.0), "confidence level 0"),
        (lambda: statistics.prediction_interval(statistics.summarize(SOME[:1])), "1 values given"),
        (lambda: statistics.permutation_test(SOME, LOST), "1 of 3 values are NaN"),
        (lambda: statistics.permutation_test(SOME[:0], SOME), "0 values given"),
        (lambda: statistics.permutation_test(np.arange(40.0), np.arange(40.0)), "pass rng"),
        (lambda: statistics.paired_permutation_test(LOST), "NaN"),
        (lambda: statistics.paired_permutation_test(np.arange(40.0)), "pass rng"),
        (lambda: statistics.bootstrap_mean(SOME[:1], generator()), "at least 2"),
        (lambda: statistics.bootstrap_mean(SOME, generator(), level=1.0), "confidence level 1"),
        (lambda: statistics.bootstrap_mean_difference(SOME, LOST, generator()), "NaN"),
        (lambda: statistics.holm(np.array([0.1, 1.5])), "p-value 1.5"),
        (lambda: statistics.spearman(SOME, np.ones(3), generator()), "values of y are 1.0"),
        (lambda: statistics.spearman(SOME[:2], SOME[:2], generator()), "at least 3"),
        (lambda: statistics.r_squared(np.ones(3), SOME), "no variance to explain"),
    ],
)
def test_bad_input_is_refused_in_one_line(call, message):
    with pytest.raises(ValueError, match=message) as error:
        call()
    assert "\n" not in str(error.value)
