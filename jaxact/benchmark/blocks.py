"""What `experiments.benchmark_blocks` times, and its report."""

import time
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxact.benchmark.task import ACTIVATIONS, WIDTHS
from jaxact.config import Config
from jaxact.data import Dataset
from jaxact.report.markdown import document, environment_list
from jaxact.report.table import aligned
from jaxact.training import lowrank
from jaxact.training.ensemble import Ensemble

NEVER = 10**9


class BlocksRow(NamedTuple):
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


def measure(features: int, batch: int, steps: int, rounds: int) -> BlocksRow:
    """Time an epoch of `steps` steps of one network per device, both ways in turn."""
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
    return BlocksRow(features, batch, taken["blocks"][1:], taken["steps"][1:], chosen)


def report(rows: list[BlocksRow], head: str, environment: dict[str, Any]) -> str:
    """The table and what it was measured on, as Markdown."""
    cells = [["fan-in", "batch", "in blocks", "one by one", "ratio", "training chooses"]]
    for row in rows:
        cells.append(
            [f"{row.features}", f"{row.batch}", *(_spread(times) for times in (row.blocks, row.steps))]
            + [f"{row.ratio:.2f}", "blocks" if row.chosen else "steps"]
        )
    return document(
        "# Steps in blocks at small batches",
        head,
        "Milliseconds per model-step, median (smallest to largest) of the rounds, initialisation and evaluation of "
        "100 images included; the ratio is the median of the rounds' own: above 1 blocks are faster. What the "
        "blocks compute is in `jaxact/training/lowrank.py`.",
        aligned(cells),
        f"## Environment\n\n{environment_list(environment)}",
    )


def _spread(times: list[float]) -> str:
    return f"{np.median(times):.3f} ({min(times):.3f} to {max(times):.3f})"
