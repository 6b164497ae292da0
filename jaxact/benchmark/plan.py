"""What a run of `experiments.benchmark` measures, and the check of its options."""

import argparse
import os
from pathlib import Path
from typing import NamedTuple

from jaxact.benchmark.rows import ROWS
from jaxact.benchmark.task import ACTIVATIONS, BATCH, SHAPES
from jaxact.config import closest, split_name
from jaxact.data.specs import check_data_dir
from jaxact.execution.checks import check_memory, check_out, training_numbers

DATASETS, PRECISIONS = ("mnist", "synthetic"), ("float32",)
EXAMPLES = 60_000
MOST_SEEDS = 4096


class BenchmarkPlan(NamedTuple):
    """What will run; the attributes are the options."""

    rows: tuple[str, ...]
    activations: tuple[str, ...]
    dataset: str
    data_dir: Path | None
    steps: int
    repeats: int
    sweep: tuple[int, ...]
    sweep_steps: int
    precision: str
    out: Path


def plan_from(options: argparse.Namespace) -> BenchmarkPlan:
    """Check the options.

    Raises:
        ValueError: one line that shows the value, the limit and the remedy.
    """
    for option, known, what in (("dataset", DATASETS, "data set"), ("precision", PRECISIONS, "precision")):
        if getattr(options, option) not in known:
            raise closest(getattr(options, option), known, what)
    for name in options.rows:
        if name not in ROWS:
            raise closest(name, ROWS, "row")
        if options.rows.count(name) > 1:
            raise ValueError(f"--rows names {name!r} twice: name each once")
    activations = split_name(options.config)
    if len(activations) != 3 or set(activations) - set(ACTIVATIONS):
        raise ValueError(f"--config must be three of {', '.join(ACTIVATIONS)} with hyphens, got {options.config!r}")
    most = EXAMPLES // BATCH
    limits = {"steps": most, "sweep_steps": most, "repeats": 1000, "max_seeds": MOST_SEEDS}
    for option, limit in limits.items():
        if not 1 <= getattr(options, option) <= limit:
            name = "--" + option.replace("_", "-")
            raise ValueError(f"{name} must be from 1 to {limit}, got {getattr(options, option)}")
    platform = os.environ.get("JAX_PLATFORMS", "cpu")
    if platform != "cpu":
        raise ValueError(f"JAX_PLATFORMS is {platform!r}, the rows are compared on the CPU: unset it")
    if options.seeds_sweep:
        shapes = ((BATCH, inputs, units) for inputs, units in SHAPES)
        check_memory(options.max_seeds * training_numbers(shapes), "--max-seeds", options.max_seeds)
    counts = [2**i for i in range(options.max_seeds.bit_length())]
    return BenchmarkPlan(
        rows=tuple(name for name in ROWS if name in options.rows),
        activations=activations,
        dataset=options.dataset,
        data_dir=None if options.data_dir is None else check_data_dir(options.data_dir),
        steps=options.steps,
        repeats=options.repeats,
        sweep=tuple(counts) if options.seeds_sweep else (),
        sweep_steps=options.sweep_steps,
        precision=options.precision,
        out=check_out(options.out),
    )
