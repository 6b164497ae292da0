"""Milliseconds per model-step at small batches, with the first kernel's steps in blocks and one by one, in one run.

    python -m experiments.benchmark_blocks --out results/benchmark-blocks      3 minutes on two cores
    python -m experiments.benchmark_blocks --features 3072 --batches 4 --rounds 3

Noise of the given number of features through relu-sigmoid-relu, 500-256-10 units, one network per core; the two ways
take turns. What the blocks are: `jaxact.training.lowrank`. It writes report.md.
"""

import argparse
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxact.benchmark.task import ACTIVATIONS, WIDTHS
from jaxact.config import Config
from jaxact.execution import runtime
from jaxact.execution.checks import Parser, check_out
from jaxact.report.table import aligned

MODULE = "experiments.benchmark_blocks"
NEVER = 10**9
MOST_FEATURES, MOST_BATCH = 100_000, 1024


class Row(NamedTuple):
    """One size: milliseconds per model-step of every round, by way; whether training would choose blocks."""

    features: int
    batch: int
    blocks: list[float]
    steps: list[float]
    chosen: bool

    @property
    def ratio(self) -> float:
        """How many times faster blocks are, the median of the rounds."""
        return float(np.median(np.divide(self.steps, self.blocks)))


def parser() -> Parser:
    """The options."""
    p = Parser.of(MODULE, __doc__)
    p.add_argument("--features", nargs="+", type=int, default=[784, 3072], metavar="N", help="fan-ins (784 3072)")
    p.add_argument("--batches", nargs="+", type=int, default=[1, 4, 8, 16, 32], metavar="N", help="(1 4 8 16 32)")
    p.add_argument("--steps", type=int, default=480, help="optimiser steps of a network in a round (480)")
    p.add_argument("--rounds", type=int, default=5, help="rounds that are recorded, after one that is not (5)")
    p.add_argument("--out", default="runs/benchmark-blocks", help="folder of the report (runs/benchmark-blocks)")
    return p


def check(options: argparse.Namespace) -> Path:
    """Check the options; the folder.

    Raises:
        ValueError: a number out of its range, a folder that cannot be written.
    """
    limits = {"features": MOST_FEATURES, "batches": MOST_BATCH, "steps": 100_000, "rounds": 100}
    for name, most in limits.items():
        for value in np.atleast_1d(getattr(options, name)).tolist():
            if not 1 <= value <= most:
                raise ValueError(f"--{name} must be from 1 to {most:,}, got {value}")
    return check_out(options.out)


def main(argv: list[str] | None = None) -> int:
    """Measure and write.

    Returns:
        Exit status: 0 done, 2 bad input (nothing written).
    """
    p = parser()
    options = p.parse_args(argv)
    with p.checked():
        out = check(options)
    runtime.configure()
    started = datetime.now(UTC).isoformat(timespec="seconds")
    sizes = [(features, batch) for features in options.features for batch in options.batches]
    rows = [measure(*size, options.steps, options.rounds) for size in sizes]
    text = report(rows, f"`{runtime.command(MODULE)}`, {started}", runtime.environment())
    from jaxact.records import write_text

    write_text(out / "report.md", text)
    print(text)
    return 0


def measure(features: int, batch: int, steps: int, rounds: int) -> Row:
    """Time an epoch of `steps` steps of one network per device, both ways in turn."""
    import jax

    from jaxact.data import Dataset
    from jaxact.training import lowrank
    from jaxact.training.ensemble import Ensemble

    rng, n = np.random.default_rng(0), steps * batch
    images = rng.standard_normal((n + 100, features), np.float32)
    labels = rng.integers(0, WIDTHS[-1], n + 100).astype(np.int32)
    data = Dataset(images[:n], labels[:n], images[n:], labels[n:], "noise")
    config = Config(activations=("relu", "sigmoid", "relu"), widths=WIDTHS, batch_size=batch, epochs=1)
    usual, machines = lowrank.PAYS, {}
    chosen = lowrank.HeavyBall(config.learning_rate, config.momentum).steps(batch, features, steps) > 0
    try:
        for way, pays in (("blocks", 0), ("steps", NEVER)):
            lowrank.PAYS = pays
            machines[way] = Ensemble(config, ACTIVATIONS, data)
    finally:
        lowrank.PAYS = usual
    taken: dict[str, list[float]] = {way: [] for way in machines}
    for _ in range(rounds + 1):
        for way, machine in machines.items():
            jobs = [(config, seed) for seed in range(machine.size)]
            started = time.perf_counter()
            jax.block_until_ready(machine.run(jobs).train_loss)
            taken[way].append(1e3 * (time.perf_counter() - started) / (steps * len(jobs)))
    return Row(features, batch, taken["blocks"][1:], taken["steps"][1:], chosen)


def report(rows: list[Row], head: str, environment: dict[str, Any]) -> str:
    """The table and what it was measured on, as Markdown."""
    cells = [["fan-in", "batch", "in blocks", "one by one", "ratio", "training chooses"]]
    for row in rows:
        cells.append(
            [f"{row.features}", f"{row.batch}", *(_spread(times) for times in (row.blocks, row.steps))]
            + [f"{row.ratio:.2f}", "blocks" if row.chosen else "steps"]
        )
    lines = "\n".join(f"- {name}: {value}" for name, value in environment.items())
    return "\n\n".join(
        [
            "# Steps in blocks at small batches",
            head,
            "Milliseconds per model-step, median (smallest to largest) of the rounds, initialisation and evaluation of "
            "100 images included; the ratio is the median of the rounds' own: above 1 blocks are faster. What the "
            "blocks compute is in `jaxact/lowrank.py`.",
            aligned(cells),
            f"## Environment\n\n{lines}\n",
        ]
    )


def _spread(times: list[float]) -> str:
    return f"{np.median(times):.3f} ({min(times):.3f} to {max(times):.3f})"


if __name__ == "__main__":
    runtime.run(main)
