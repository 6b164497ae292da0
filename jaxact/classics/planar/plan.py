"""What a run of `experiments.planar` trains, and the check of its options."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from jaxact.classics.planar.points import DATASETS
from jaxact.classics.planar.variants import activation
from jaxact.config import closest, parse_seeds
from jaxact.execution.checks import check_installed, check_out

HIDDEN = ("1", "2", "3", "4", "5", "20", "50", "100", "4x4", "10x10")
OTHER_HIDDEN = ("4",)
"""Hidden layers to try on the flower, and on the other data sets."""
INITS = ("course", "lecun")
"""Weight scales: 0.01, the course's; or 1/√fan_in."""
DTYPES = ("float32", "float64")
MOST_UNITS, MOST_LAYERS, MOST_STEPS = 1000, 10, 1_000_000


class PlanarPlan(NamedTuple):
    """What will run.

    Attributes:
        datasets: names of sets of points.
        activations: of the hidden units.
        hidden: hidden layers to try, by data set.
        inits: `course`, `lecun` or both; empty for `course` with one hidden layer and both with more.
        rates: learning rates of the sweep, ascending.
        seeds: of every network.
        steps: gradient steps of the sweep.
        thread_steps: gradient steps of the reported settings; 0 leaves them out.
        dtype: of the sweep.
        figures: whether to draw.
        out: folder to write to.
    """

    datasets: tuple[str, ...]
    activations: tuple[str, ...]
    hidden: dict[str, tuple[tuple[int, ...], ...]]
    inits: tuple[str, ...]
    rates: tuple[float, ...]
    seeds: tuple[int, ...]
    steps: int
    thread_steps: int
    dtype: str
    figures: bool
    out: Path


def plan_from(options: argparse.Namespace) -> PlanarPlan:
    """Check the options.

    Raises:
        ValueError: one line that shows the value, the limit and the remedy.
    """
    datasets = _distinct(options.datasets, "data set")
    for name in datasets:
        if name not in DATASETS:
            raise closest(name, DATASETS, "planar data set")
    rates = tuple(sorted(_distinct(options.rates, "learning rate")))
    if not 0 < rates[0] <= rates[-1] <= 1e6:
        raise ValueError(f"--rates must be above 0 and at most 1e6, got {' '.join(f'{r:g}' for r in rates)}")
    if not 1 <= options.steps <= MOST_STEPS or not 0 <= options.thread_steps <= MOST_STEPS:
        raise ValueError(
            f"--steps must be from 1 to {MOST_STEPS} and --thread-steps from 0, got {options.steps}, "
            f"{options.thread_steps}"
        )
    asked = parse_hidden(options.hidden) if options.hidden else None
    hidden = {name: asked or parse_hidden(HIDDEN if name == "flower" else OTHER_HIDDEN) for name in datasets}
    seeds, out = parse_seeds(options.seeds), check_out(options.out)
    if not options.no_figures:
        check_installed(("matplotlib",), "the figures, without --no-figures,", "figures")
    activations = _distinct([activation(name).spec for name in options.activations], "activation")
    return PlanarPlan(
        datasets, activations, hidden, tuple(dict.fromkeys(options.inits)), rates, seeds, options.steps,
        options.thread_steps, options.dtype, not options.no_figures, out,
    )  # fmt: skip


def parse_hidden(texts: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    """`4` → (4,), `20x20` → (20, 20).

    Raises:
        ValueError: not such a text, too many layers or units, or the same layers twice.
    """
    for text in texts:
        layers = text.split("x")
        if not re.fullmatch(r"\d+(x\d+)*", text) or not all(1 <= int(units) <= MOST_UNITS for units in layers):
            raise ValueError(
                f"--hidden {text!r}: write 1 to {MOST_UNITS} units per layer as 4, or 20x20 for two layers"
            )
        if len(layers) > MOST_LAYERS:
            raise ValueError(f"--hidden {text!r} has {len(layers)} layers: use at most {MOST_LAYERS}")
    return _distinct([tuple(map(int, text.split("x"))) for text in texts], "hidden layers")


def _distinct(values: Sequence, what: str) -> tuple:
    for value in values:
        if list(values).count(value) > 1:
            raise ValueError(f"{what} {value!r} is named twice: name each once")
    return tuple(values)
