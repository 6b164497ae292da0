"""The CSV files of `experiments.planar`: `runs.csv`, one row per network, and `summary.csv`, over the seeds."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from jaxact.classics.planar.measure import Measured
from jaxact.report.table import csv_text

CELL = ("part", "dataset", "activation", "hidden", "init", "steps", "dtype", "rate")


def spread(values: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation (ddof 1) over the seeds; NaN if any is, and for the deviation of a single one."""
    return float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else math.nan


def _cell(done: Measured, rate: int) -> list[Any]:
    c = done.cell
    return [c.part, c.dataset, c.activation, c.layers, c.init, c.steps, c.dtype, f"{c.rates[rate]:g}"]


def runs(found: Iterable[Measured]) -> list[list[Any]]:
    """One row per network: final cost in nats, accuracies and bouncing in percent."""
    rows: list[list[Any]] = [[*CELL, "seed", "cost", "accuracy", "fresh_accuracy", "bouncing"]]
    for done in found:
        for rate in range(len(done.cell.rates)):
            for i, seed in enumerate(done.seeds):
                scores = (done.accuracy[rate, i], done.fresh[rate, i], done.bouncing[rate, i])
                rows.append([*_cell(done, rate), seed, f"{done.cost[rate, i]:.6f}", *(f"{x:.2f}" for x in scores)])
    return rows


def summary(found: Iterable[Measured]) -> list[list[Any]]:
    """One row per cell and learning rate, over the seeds; diverged networks are counted, and make the mean NaN."""
    columns = ("seeds", "diverged", "accuracy", "sd", "min", "max", "fresh_accuracy", "cost", "bouncing", "swing")
    rows: list[list[Any]] = [[*CELL, *columns]]
    for done in found:
        for rate in range(len(done.cell.rates)):
            a = done.accuracy[rate]
            scores = (*spread(a), a.min(), a.max(), done.fresh[rate].mean())
            ends = [
                f"{done.cost[rate].mean():.6f}",
                f"{done.bouncing[rate].mean():.2f}",
                f"{done.swing[rate].mean():.6f}",
            ]
            counts = [len(a), int(np.isnan(a).sum())]
            rows.append([*_cell(done, rate), *counts, *(f"{x:.2f}" for x in scores), *ends])
    return rows


def tables(found: Sequence[Measured]) -> dict[str, str]:
    """File name → text of the tables."""
    return {"runs.csv": csv_text(runs(found)), "summary.csv": csv_text(summary(found))}
