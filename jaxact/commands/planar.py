"""Does a planar classifier need tanh? The course's flower with any activation, size, learning rate and seed.

    python -m experiments.planar                                     everything: about 4 minutes on two cores
    python -m experiments.planar --datasets moons --hidden 4 20x20 --activations gelu prelu sine --thread-steps 0
    python -m experiments.planar --activations sigmoid package.module:function --seeds 25 --out DIR

The protocol is that of the Coursera course Neural Networks and Deep Learning, week 3: full-batch gradient descent,
weights 0.01 randn from NumPy's seed 2, sigmoid output, binary cross-entropy, learning rate 1.2. Two parts: thread, the
settings whose accuracies learners reported, in float64; sweep, every activation and size over learning rates.
Activations: any elementwise one of the catalogue, one of your own, or sigmoid_wrong_derivative, a learners' bug.
Expected: tanh 90 %, sigmoid 89 %, relu 85 to 87 % with 50 to 100 units, bouncing from rate 0.2 on; 4 sigmoids with the
wrong derivative stay at chance, and a derivative check shows why. Needs matplotlib: pip install 'jaxact[figures]'.
"""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from jaxact.classics.planar import DATASETS, activation
from jaxact.config import closest, parse_seeds
from jaxact.execution import runtime
from jaxact.execution.checks import Parser, check_installed, check_out

MODULE = "experiments.planar"
ACTIVATIONS = ("tanh", "sigmoid", "relu", "sigmoid_wrong_derivative")
HIDDEN = ("1", "2", "3", "4", "5", "20", "50", "100", "4x4", "10x10")
OTHER_HIDDEN = ("4",)
RATES = (0.1, 0.3, 1.2, 4.8)
INITS = ("course", "lecun")
MOST_UNITS, MOST_LAYERS, MOST_STEPS = 1000, 10, 1_000_000


class Plan(NamedTuple):
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


def parser() -> Parser:
    """The options."""
    p = Parser.of(MODULE, __doc__)
    add = p.add_argument
    add("--datasets", nargs="+", default=DATASETS, metavar="NAME", help=f"{' '.join(DATASETS)} (all)")
    add("--activations", nargs="+", default=ACTIVATIONS, metavar="NAME", help=f"({' '.join(ACTIVATIONS)})")
    layers = f"units of the hidden layers, such as 4 or 20x20 (flower: {' '.join(HIDDEN)}; the others: 4)"
    add("--hidden", nargs="+", metavar="N", help=layers)
    inits = f"{', '.join(INITS)} (course; with several hidden layers lecun too)"
    add("--inits", nargs="+", default=(), choices=INITS, metavar="INIT", help=inits)
    add("--rates", nargs="+", type=float, default=RATES, metavar="R", help="learning rates (0.1 0.3 1.2 4.8)")
    add("--seeds", default="9", help="a count (9) or a list such as 0,3,17-25; the course's is 2")
    add("--steps", type=int, default=5000, help="gradient steps of the sweep (5000, as in the course)")
    add("--thread-steps", type=int, default=10000, metavar="N", help="of the reported settings; 0 skips them (10000)")
    add("--dtype", default="float32", choices=("float32", "float64"), help="of the sweep (float32)")
    add("--no-figures", action="store_true", help="tables only; needs no matplotlib")
    add("--out", default="runs/planar", help="folder to write to (runs/planar)")
    return p


def main(argv: list[str] | None = None) -> int:
    """Run both parts and write `runs.csv`, `summary.csv`, `report.md` and the figures.

    Returns:
        Exit status: 0 done, 2 bad input (nothing written), 130 stopped (nothing written).
    """
    p = parser()
    options = p.parse_args(argv)
    with p.checked():
        plan = plan_from(options)
    runtime.configure()
    from jaxact.classics.planar import figures as planar_figures
    from jaxact.classics.planar import measure, report

    try:
        found = measure.measure(plan)
    except KeyboardInterrupt as stop:
        return runtime.stopped(stop, "nothing was written")
    plan.out.mkdir(parents=True, exist_ok=True)
    figures = planar_figures.draw(plan, found) if plan.figures else []
    print(report.write(plan, found, figures, runtime.command(MODULE)))
    return 0


def plan_from(options: argparse.Namespace) -> Plan:
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
    if any(":" in name for name in options.activations):
        runtime.configure()  # importing a user's module may import JAX
    activations = _distinct([activation(name).spec for name in options.activations], "activation")
    return Plan(
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


if __name__ == "__main__":
    runtime.run(main)
