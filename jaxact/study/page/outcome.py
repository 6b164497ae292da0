"""Which combinations fail, how often, and what is seen in the ones that do: the numbers behind the report's answer."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import binom

from jaxact.records import Record
from jaxact.statistics import Summary, r_squared, summarize
from jaxact.study import claims, evidence
from jaxact.study.evidence import Case
from jaxact.study.outcome import ranked_row
from jaxact.study.page.records import Grid
from jaxact.study.page.shapes import Table
from jaxact.theory import prediction

GUESSES = 0.999
"""A run that is right no more often than this share of networks that guess has failed."""


class Row(NamedTuple):
    """One configuration; arrays are [seeds].

    Attributes:
        case: what its record shows, with what theory says where there is one.
        accuracy: percent after the last epoch, NaN where a seed diverged.
        failed: some class is never predicted, or the accuracy is below the limit, or the seed diverged.
        fails: whether most of the runs fail, or the mean is below the limit.
        off: classes never predicted whose output is dead, or nearly dead where it is a ReLU, after the last epoch.
    """

    case: Case
    accuracy: np.ndarray
    failed: np.ndarray
    fails: bool
    off: np.ndarray

    @property
    def record(self) -> Record:
        """Its runs."""
        return self.case.record

    @property
    def name(self) -> str:
        """The activations joined by hyphens."""
        return self.record.config.name

    @property
    def summary(self) -> Summary:
        """Of the accuracies."""
        return summarize(self.accuracy)


class Outcome(NamedTuple):
    """All rows of a grid and the limit that they are judged by.

    Attributes:
        rows: by name.
        limit: percent; a run below it has failed, and so has one that loses a class.
        class_counts: test examples per class.
        exact_counts: whether they are known, not taken to be equal.
    """

    rows: dict[str, Row]
    limit: float
    class_counts: np.ndarray
    exact_counts: bool

    @property
    def failing(self) -> list[Row]:
        """The configurations that fail, worst first."""
        return sorted((row for row in self.rows.values() if row.fails), key=order)

    @property
    def best(self) -> float:
        """Largest mean accuracy of a configuration, NaN where all diverged."""
        means = [row.summary.mean for row in self.rows.values()]
        return float(np.nanmax(means)) if np.isfinite(means).any() else float("nan")


def order(row: Row) -> tuple[float, str]:
    """Worst mean first, all diverged before everything."""
    mean = row.summary.mean
    return (-1.0 if np.isnan(mean) else mean), row.name


def outcome(grid: Grid) -> Outcome:
    """Judge every configuration of a grid.

    A run fails if its network never predicts some class, if its accuracy is below `limit_of` its data set, or if it
    diverged: all after the last epoch. A configuration fails if more than half of its runs do, or if their mean
    accuracy is below that limit.
    """
    found = list(grid.records.values())
    limit = limit_of(found[0])
    counts, exact = class_counts(found)
    return Outcome({name: judged(record, limit) for name, record in grid.records.items()}, limit, counts, exact)


def limit_of(record: Record) -> float:
    """Accuracy in percent below which a run has failed that predicts every class.

    On MNIST `claims.FAILED`, which was set for it. How well a network does that trains is known of no other data set,
    so that the limit there is what a network that guesses stays below with the probability `GUESSES`.
    """
    if record.config.dataset == "mnist":
        return claims.FAILED
    images = int(record.arrays["test_predicted"][0, 0].sum())
    return 100 * float(binom.ppf(GUESSES, images, 1 / record.config.widths[-1])) / images


def judged(record: Record, limit: float) -> Row:
    """One configuration by the rule of `outcome`."""
    case = evidence.case(record) if has_theory(record) else evidence.measured(record)
    off = case.lost_inactive if record.config.activations[-1] == "relu" else case.lost_dead
    return Row(case, _accuracy(record), failed_runs(record, limit), mostly_fails(record, limit), off)


def _accuracy(record: Record) -> np.ndarray:
    return np.where(record.diverged, np.nan, record.test_accuracy()[:, -1])


def failed_runs(record: Record, limit: float | None = None) -> np.ndarray:
    """[seeds] whether a run fails by the rule of `outcome`; `limit` is that of its data set if None."""
    limit = limit_of(record) if limit is None else limit
    return ~(_accuracy(record) >= limit) | (record.never_predicted()[:, -1] > 0)


def mostly_fails(record: Record, limit: float | None = None) -> bool:
    """Whether a configuration fails by the rule of `outcome`."""
    limit = limit_of(record) if limit is None else limit
    return bool(failed_runs(record, limit).mean() > 0.5 or not summarize(_accuracy(record)).mean >= limit)


def has_theory(record: Record) -> bool:
    """Whether mean-field theory knows the configuration and its data."""
    c = record.config
    dense = c.architecture == "mlp" and not c.batch_norm and not c.paired
    return dense and c.dataset in prediction.STATISTICS and evidence.in_catalogue(c)


def class_counts(found: Sequence[Record]) -> tuple[np.ndarray, bool]:
    """Test examples per class, and whether they are exact.

    The most right answers that any network ever gave in a class are at most its examples; where they add up to the test
    set, some network got every example of each class right, and they are exactly that. Otherwise all count alike.
    """
    classes = found[0].config.widths[-1]
    total = int(found[0].arrays["test_predicted"][0, 0].sum())
    most = np.max([record.arrays["test_correct"].reshape(-1, classes).max(0) for record in found], axis=0)
    exact = int(most.sum()) == total
    return (most if exact else np.full(classes, total // classes)), exact


def laddered(found: Outcome, rows: Sequence[Row]) -> tuple[np.ndarray, np.ndarray, float] | None:
    """Accuracy of every run of `rows` beside a·(1 − Σ frequencies of the classes it never predicts), and R².

    a is the mean accuracy of the runs that predict every class, of all runs of the best configuration if none does.

    Returns:
        Measured, expected, R²; None where nothing varies.
    """
    measured = np.concatenate([row.accuracy for row in rows])
    lost = np.concatenate([row.record.lost()[:, -1] for row in rows])
    known = np.isfinite(measured)
    measured, lost = measured[known], lost[known]
    whole = measured[~lost.any(1)]
    healthy = whole.mean() if len(whole) else found.best
    expected = healthy * (1 - lost @ (found.class_counts / found.class_counts.sum()))
    if len(measured) < 3 or not np.ptp(measured) or not np.ptp(expected):
        return None
    return measured, expected, r_squared(measured, expected)


HEADER = (
    *(
        "configuration",
        "seeds",
        "mean",
        "sd",
        "min",
        "max",
        "runs failed",
        "classes lost",
        "at chance",
        "dead at start",
    ),
    *("dead predicted", "dead at end", "diverged"),
)
NOTE = (
    "Accuracies in percent of the test set after the last epoch; sd over seeds (ddof 1), diverged seeds left out. Runs "
    "failed: some class is never predicted, or below {limit:.4g} %, or diverged. Classes lost: never predicted, mean "
    "over seeds. At chance: seeds whose network gives every test example the same class. Dead: output units with slope "
    "0 on the whole test set, mean over seeds; predicted by mean-field theory before training."
)


def table(found: Outcome) -> Table:
    """All configurations, worst first."""
    rows = [cells(row) for row in sorted(found.rows.values(), key=order)]
    return Table("configurations", "All configurations", HEADER, rows, NOTE.format(limit=found.limit))


def cells(row: Row) -> list[str]:
    """One row of `table`."""
    name, seeds, mean, sd, low, high, at_chance, lost, diverged = ranked_row(row.record)
    dead, predicted = row.case.dead, row.case.predicted_dead
    shown = "–" if np.isnan(predicted) else f"{predicted:.2f}" if predicted >= 0.005 else "0.00"
    start, end = (f"{dead[:, i].mean():.2f}" for i in (0, -1))
    failed = str(int(row.failed.sum()))
    return [name, seeds, mean, sd, low, high, failed, lost, at_chance, start, shown, end, diverged]
