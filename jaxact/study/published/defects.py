"""What is wrong with the published figures, computed from the figures themselves.

Runs that were copied, runs of one seed counted as several, an activation that the network never applies, and a text
that its own tables contradict. NumPy only.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxact.study.published.tables import PublishedTable, applied_activations


class RunPair(NamedTuple):
    """Two published runs: their labels, in how many rows they are equal, and in how many rows both exist."""

    first: str
    second: str
    equal: int
    shared: int


class CifarClaim(NamedTuple):
    """Rows of a table that contradict "(sigmoid, relu) endings score 10 %, everything else at least 50 %"."""

    endings: dict[str, float]
    endings_above_ten: dict[str, float]
    others: dict[str, float]
    others_at_ten: dict[str, float]
    others_below_fifty: dict[str, float]


class DeadClassRange(NamedTuple):
    """Accuracies, in percent, that are possible when ``dead`` classes are never predicted."""

    dead: int
    low: float
    high: float


def compare_runs(table: PublishedTable, other: PublishedTable | None = None) -> tuple[RunPair, ...]:
    """Count the rows in which two runs have the same accuracy, digit for digit.

    Args:
        table: Runs to compare.
        other: Table of the same configurations to compare them with; by default the table's own other runs.

    Returns:
        One entry per pair of runs, in the order of the columns.

    Raises:
        ValueError: The two tables have different configurations.
    """
    if other is not None and other.configurations != table.configurations:
        raise ValueError(f"tables {table.name} and {other.name} differ in their rows: compare tables of the same rows")
    right = table if other is None else other
    columns = combinations(range(len(table.runs)), 2) if other is None else np.ndindex(len(table.runs), len(right.runs))
    pairs = []
    for i, j in columns:
        a, b = table.accuracy[:, i], right.accuracy[:, j]
        shared = int(np.sum(~np.isnan(a) & ~np.isnan(b)))
        pairs.append(RunPair(table.runs[i], right.runs[j], int(np.sum(a == b)), shared))
    return tuple(pairs)


def duplicate_runs(table: PublishedTable) -> tuple[RunPair, ...]:
    """Pairs of runs that are equal in every row they share, given at least two such rows."""
    return tuple(pair for pair in compare_runs(table) if pair.equal == pair.shared >= 2)


def distinct_runs(table: PublishedTable) -> dict[str, Float[np.ndarray, " distinct"]]:
    """Accuracies per configuration without the runs that repeat an earlier run in every row.

    Equal values in a single row stay: dead networks of different seeds score the same.

    Args:
        table: Published runs.

    Returns:
        ``{configuration: accuracies in percent}``.
    """
    repeats = {pair.second for pair in duplicate_runs(table)}
    keep = [j for j, run in enumerate(table.runs) if run not in repeats]
    return {name: _finite(row[keep]) for name, row in zip(table.configurations, table.accuracy, strict=True)}


def run_families(table: PublishedTable, tolerance: float = 0.05) -> tuple[tuple[str, ...], ...]:
    """Group the runs that differ by less than seeds do.

    Two runs belong to one family if the median over rows of their absolute difference is at most `tolerance`; single
    linkage. Runs of different seeds lie 0.10 apart or more in every published table of several runs, while the ten runs
    of the batch-norm table fall into two groups that lie 0.02 apart inside and 0.11 between: two seeds, rerun with
    the rounding differences of a GPU.

    Args:
        table: Published runs.
        tolerance: Largest median difference within a family, in percentage points.

    Returns:
        Labels of the runs of each family, families in the order of their first run.
    """
    family = list(range(len(table.runs)))
    for i, j in combinations(range(len(table.runs)), 2):
        gap = _finite(np.abs(table.accuracy[:, i] - table.accuracy[:, j]))
        if gap.size >= 2 and np.median(gap) <= tolerance:
            merged, absorbed = sorted((family[i], family[j]))
            family = [merged if member == absorbed else member for member in family]
    return tuple(
        tuple(run for run, member in zip(table.runs, family, strict=True) if member == head)
        for head in dict.fromkeys(family)
    )


def independent_runs(table: PublishedTable, tolerance: float = 0.05) -> dict[str, Float[np.ndarray, " independent"]]:
    """One accuracy per family of runs: what may enter a test as independent observations.

    Args:
        table: Published runs.
        tolerance: Largest median difference within a family, in percentage points.

    Returns:
        ``{configuration: accuracies in percent}``, each the mean of a family's distinct runs.
    """
    repeats = {pair.second for pair in duplicate_runs(table)}
    families = [
        [table.runs.index(run) for run in family if run not in repeats] for family in run_families(table, tolerance)
    ]
    values: dict[str, Float[np.ndarray, " independent"]] = {}
    for name, row in zip(table.configurations, table.accuracy, strict=True):
        members = (_finite(row[family]) for family in families)
        values[name] = np.array([member.mean() for member in members if member.size])
    return values


def pool_architectures(table: PublishedTable) -> dict[str, Float[np.ndarray, " runs"]]:
    """Runs per network that was really trained: rows that differ only in an activation never applied are one.

    Args:
        table: Published runs.

    Returns:
        ``{applied activations: independent accuracies in percent}``: 16 entries of 40 for the LeNet, not 64 of 10;
        where every activation is applied, the same as `independent_runs`.
    """
    pooled: dict[str, list[float]] = {}
    for name, values in independent_runs(table).items():
        pooled.setdefault(applied_activations(table, name), []).extend(values)
    return {name: np.array(values) for name, values in pooled.items()}


def layer_effect_p_value(table: PublishedTable, layer: int, rng: np.random.Generator, resamples: int = 999) -> float:
    """Permutation p-value of "which activation this layer has makes no difference, the others being equal".

    Within every block of rows that agree in all other layers, the runs are exchanged freely between rows. The
    statistic is the sum over blocks of the between-row share of the block's sum of squares, so that a block of dead
    networks neither counts nor dominates.

    Args:
        table: Published runs; rows of one block need the same number of distinct runs.
        layer: Index of the layer, from 0.
        rng: Source of the permutations.
        resamples: Number of permutations.

    Returns:
        (1 + permutations at least as extreme) / (1 + resamples), Phipson & Smyth (2010).
    """
    blocks: dict[tuple[str, ...], list[np.ndarray]] = {}
    for name, values in distinct_runs(table).items():
        layers = name.split("-")
        blocks.setdefault((*layers[:layer], *layers[layer + 1 :]), []).append(values)
    stacked = np.stack([np.stack(rows) for rows in blocks.values()])
    total = np.sum((stacked - stacked.mean((1, 2), keepdims=True)) ** 2, axis=(1, 2))
    alive = stacked[total > 0]
    rows, runs = alive.shape[1:]

    def statistic(values: Float[np.ndarray, "blocks rows runs"]) -> float:
        between = runs * np.sum((values.mean(2) - values.mean((1, 2))[:, None]) ** 2, axis=1)
        return float(np.sum(between / total[total > 0]))

    observed = statistic(alive)
    flat = alive.reshape(len(alive), rows * runs)
    extreme = sum(
        statistic(rng.permuted(flat, axis=1).reshape(alive.shape)) >= observed * (1 - 1e-9) for _ in range(resamples)
    )
    return (1 + extreme) / (1 + resamples)


def cifar10_claim(table: PublishedTable) -> CifarClaim:
    """Check the text's claim on CIFAR-10: (sigmoid, relu) endings at 10 %, everything else at least 50 %.

    Args:
        table: The table the claim is about, ``cifar10_mlp``; first run of each row.

    Returns:
        The rows on each side of the claim and those that contradict it, ``{configuration: accuracy in percent}``.
    """
    accuracy = {name: float(row[0]) for name, row in zip(table.configurations, table.accuracy, strict=True)}
    endings = {name: value for name, value in accuracy.items() if name.split("-")[-2:] == ["sigmoid", "relu"]}
    others = {name: value for name, value in accuracy.items() if name not in endings}
    return CifarClaim(
        endings=endings,
        endings_above_ten={name: value for name, value in endings.items() if value > 10},
        others=others,
        others_at_ten={name: value for name, value in others.items() if value == 10},
        others_below_fifty={name: value for name, value in others.items() if value < 50},
    )


def dead_class_ranges(healthy: float, class_counts: Sequence[int]) -> tuple[DeadClassRange, ...]:
    """The ladder of accuracies that dead classes leave.

    A class that is never predicted costs its own test images: accuracy = healthy·(1 − sum of their frequencies). The
    images of the dead classes are taken to be lost and those of the others to be judged as in a healthy network.

    Args:
        healthy: Accuracy with every class alive, in percent.
        class_counts: Test images per class.

    Returns:
        For 0 … all classes dead, the least and the greatest accuracy over the choice of dead classes.
    """
    frequency = np.sort(np.asarray(class_counts, dtype=float)) / np.sum(class_counts)
    most = np.concatenate([[0.0], np.cumsum(frequency[::-1])])
    least = np.concatenate([[0.0], np.cumsum(frequency)])
    low, high = healthy * (1 - most), healthy * (1 - least)
    return tuple(DeadClassRange(dead, float(low[dead]), float(high[dead])) for dead in range(len(frequency) + 1))


def _finite(values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " finite"]:
    return values[~np.isnan(values)]
