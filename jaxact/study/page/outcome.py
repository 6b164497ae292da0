"""Which combinations fail, how often, and what is seen in the ones that do: the numbers behind the report's answer."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxact.records import Record
from jaxact.statistics import Summary, r_squared, summarize
from jaxact.study import claims, evidence
from jaxact.study.evidence import Case
from jaxact.study.outcome import ranked_row
from jaxact.study.page.records import Grid
from jaxact.study.page.shapes import Table


class Row(NamedTuple):
    """One configuration; arrays are [seeds].

    Attributes:
        case: what its record shows, with what theory says where there is one.
        accuracy: percent after the last epoch, NaN where a seed diverged.
        failed: accuracy below the limit, or diverged.
        fails: whether the mean is below the limit, or every seed diverged.
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
        limit: percent; a run below it has failed.
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

    A run fails if its final test accuracy is below `claims.FAILED` percent on MNIST, for which that limit was set, and
    below that share of the best configuration's mean on any other data set; a diverged run fails. A configuration fails
    if the mean of its runs does.
    """
    accuracy = {name: np.where(r.diverged, np.nan, r.test_accuracy()[:, -1]) for name, r in grid.records.items()}
    means = [float(np.nanmean(a)) for a in accuracy.values() if np.isfinite(a).any()]
    limit = claims.FAILED
    if grid.config.dataset != "mnist" and means:
        limit *= max(means) / 100
    counts, exact = class_counts(list(grid.records.values()))
    rows = {name: _row(record, accuracy[name], limit) for name, record in grid.records.items()}
    return Outcome(rows, limit, counts, exact)


def _row(record: Record, accuracy: np.ndarray, limit: float) -> Row:
    case = evidence.case(record) if has_theory(record) else evidence.measured(record)
    off = case.lost_inactive if record.config.activations[-1] == "relu" else case.lost_dead
    return Row(case, accuracy, ~(accuracy >= limit), not summarize(accuracy).mean >= limit, off)


def has_theory(record: Record) -> bool:
    """Whether mean-field theory knows the configuration and its data."""
    from jaxact.theory import prediction

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
    lost = np.concatenate([row.record.arrays["test_predicted"][:, -1] == 0 for row in rows])
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
    "failed: below {limit:.4g} %, or diverged. Classes lost: never predicted, mean over seeds. At chance: seeds whose "
    "network gives every test example the same class. Dead: output units with slope 0 on the whole test set, mean over "
    "seeds; predicted by mean-field theory before training."
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
