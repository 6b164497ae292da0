"""Our accuracies beside the published ones, each row with the test or the statement that its data allow.

A diverged seed is NaN: it is counted and shown, and left out of mean, sd, range and test. Its accuracy says nothing
(argmax of NaN logits is class 0, so it would score the share of that class).
"""

from collections.abc import Mapping, Sequence
from math import comb
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from jaxact.statistics import Summary, holm, passes_for_normal, permutation_test, prediction_interval, summarize
from jaxact.statistics.intervals import LEAST_RUNS
from jaxact.study.published import PublishedTable, applied_activations, pool_architectures

_HEADER = "configuration|our seeds|mean|sd|min|max|their runs|their mean|their sd|difference|p|p Holm|verdict"


class ComparisonRow(NamedTuple):
    """One configuration, ours against the published runs.

    Attributes:
        configuration: Activations of the layers, joined by ``-``.
        ours: Our seeds, in percent.
        theirs: The independent published runs (repeats of a run and reruns of a seed count once), in percent.
        published_runs: How many runs were published, repeats included.
        difference: Mean of ours less mean of theirs, in percentage points.
        p_value: Two-sided exact permutation p; NaN where a side has fewer than two runs.
        p_holm: The same, adjusted over all tested rows.
        verdict: What the row shows, in words.
    """

    configuration: str
    ours: Summary
    theirs: Summary
    published_runs: int
    difference: float
    p_value: float
    p_holm: float
    verdict: str


def compare(
    ours: Mapping[str, ArrayLike],
    table: PublishedTable,
    rng: np.random.Generator | None = None,
    alpha: float = 0.05,
) -> tuple[ComparisonRow, ...]:
    """Set our accuracies beside a published table.

    Rows with two or more independent runs on both sides get an exact permutation test, Holm-adjusted over those rows.
    A single run has no spread to test with: it is placed in the other side's range and normal prediction interval.
    There is none of fewer than `LEAST_RUNS` runs, nor of runs unlike a normal sample, as where some fail. Holm's
    correction holds although the configurations share their seeds.

    Args:
        ours: ``{configuration: test accuracy per seed in percent}``, NaN for a diverged seed.
        table: Published table of the same protocol.
        rng: Source of random splits where there are too many to enumerate (more than a million).
        alpha: Family-wise error rate of the verdicts.

    Returns:
        One row per configuration that was published, in our order.

    Raises:
        ValueError: Accuracies that are not percentages.
    """
    theirs = pool_architectures(table)
    counts = _published_counts(table)
    pairs = []
    for name, values in ours.items():
        key = applied_activations(table, name)
        mine = _percent(name, values)
        if key in theirs:
            pairs.append((name, mine, theirs[key], counts[key]))
    p_values = np.array([_p_value(mine, published, rng) for _, mine, published, _ in pairs])
    adjusted = holm(p_values)
    tests = int(np.sum(~np.isnan(p_values)))
    rows = []
    for (name, mine, published, count), p, p_holm in zip(pairs, p_values.tolist(), adjusted.tolist(), strict=True):
        our, their = summarize(mine), summarize(published)
        row = ComparisonRow(name, our, their, count, our.mean - their.mean, p, p_holm, verdict="")
        normal = passes_for_normal(mine[~np.isnan(mine)] if our.n > their.n else published)
        rows.append(row._replace(verdict=_verdict(row, tests, alpha, normal)))
    return tuple(rows)


def render(rows: Sequence[ComparisonRow]) -> str:
    """The rows as a Markdown table that is aligned as plain text too; accuracies in percent."""
    header: list[str] = [*_HEADER.split("|")]
    lines = [header]
    for row in rows:
        ours, theirs = row.ours, row.theirs
        seeds = f"{ours.n} + {ours.n_nan} NaN" if ours.n_nan else f"{ours.n}"
        numbers = [_number(x) for x in (ours.mean, ours.sd, ours.minimum, ours.maximum)]
        published = [f"{theirs.n} of {row.published_runs}", _number(theirs.mean), _number(theirs.sd)]
        tests = [_number(row.difference, "+.2f"), _number(row.p_value, ".2g"), _number(row.p_holm, ".2g")]
        lines.append([row.configuration, seeds, *numbers, *published, *tests, row.verdict])
    if not rows:
        return "None of these configurations was published.\n"
    widths = [max(2, *(len(line[i]) for line in lines)) for i in range(len(header))]  # room for a rule in Markdown
    left = {0, len(header) - 1}
    rule = ["-" * width if i in left else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
    padded = (
        [
            cell.ljust(width) if i in left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        for line in [lines[0], rule, *lines[1:]]
    )
    return "".join(f"| {' | '.join(line)} |\n" for line in padded)


def _percent(name: str, values: ArrayLike) -> Float[np.ndarray, " seeds"]:
    accuracy = np.atleast_1d(np.asarray(values, dtype=float))
    finite = accuracy[~np.isnan(accuracy)]
    if finite.size and (finite.min() < 0 or finite.max() > 100 or 0 < finite.max() <= 1):
        raise ValueError(f"{name}: accuracies {finite.min():g} … {finite.max():g} are not percent: give 0 … 100")
    return accuracy


def _published_counts(table: PublishedTable) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name, row in zip(table.configurations, table.accuracy, strict=True):
        key = applied_activations(table, name)
        counts[key] = counts.get(key, 0) + int(np.sum(~np.isnan(row)))
    return counts


def _p_value(
    ours: Float[np.ndarray, " seeds"], theirs: Float[np.ndarray, " runs"], rng: np.random.Generator | None
) -> float:
    finite = ours[~np.isnan(ours)]
    if min(finite.size, theirs.size) < 2:
        return np.nan
    return permutation_test(finite, theirs, rng).p_value


def _verdict(row: ComparisonRow, tests: int, alpha: float, normal: bool) -> str:
    ours, theirs = row.ours, row.theirs
    if ours.n == 0:
        return f"all our {ours.n_nan} seeds diverged"
    if ours.n == theirs.n == 1:
        return "one run each: no test"
    if theirs.n == 1:
        return f"one published run: {_place(theirs.mean, ours, 'our', 'seeds', alpha, normal)}"
    if ours.n == 1:
        return f"one seed of ours: {_place(ours.mean, theirs, 'the published', 'runs', alpha, normal)}"
    if row.p_holm < alpha:
        return f"differs: ours {abs(row.difference):.2f} {'higher' if row.difference > 0 else 'lower'}"
    # Full separation is one split of all, or two where the groups are of equal size and may change places.
    least = (1 + (ours.n == theirs.n)) / comb(ours.n + theirs.n, ours.n)
    if least * tests >= alpha:
        return f"undecided: {ours.n} against {theirs.n} runs cannot pass {tests} tests at {alpha:g}"
    return "no difference found"


def _place(value: float, others: Summary, whose: str, what: str, alpha: float, normal: bool) -> str:
    side = "within" if others.minimum <= value <= others.maximum else "above" if value > others.maximum else "below"
    placed = f"{side} {whose} {others.n} {what}"
    if others.n < LEAST_RUNS:
        return f"{placed}, too few for a prediction interval"
    if not normal:
        return f"{placed}, which are unlike a normal sample: no prediction interval"
    low, high = prediction_interval(others, 1 - alpha)
    inside = "inside" if low <= value <= high else "outside"
    return f"{placed}, {inside} their {1 - alpha:.0%} prediction interval {low:.2f} to {high:.2f}"


def _number(value: float, spec: str = ".2f") -> str:
    return "–" if np.isnan(value) else format(value, spec)
