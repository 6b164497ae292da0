"""What does depth do to gradients and training, and can it be known beforehand?

    python -m experiments.depth                                  4 parts, about 3 minutes on two cores
    python -m experiments.depth --parts gradients --activations all
    python -m experiments.depth --parts training --activations tanh --inits critical --depths 10 50 100

theory: χ and depth scales of every elementwise activation and initialiser; chain: the textbook product of r factors w
φ'(h) beside (sup |φ'|)^r; gradients: partial Jacobian norms of wide stacks at initialisation beside mean-field
theory; training: accuracy after a fixed budget beside the depth scale ξ, gradients, saturation and sparsity by layer
before and after; dying: dead ReLU networks beside the closed form.
Expected: gradients through 50 layers lie within 0.15 decades of theory (gelu with he_normal does not); of the stacks
no deeper than 6 |ξ|, ξ = −1/ln χ, 145 of 155 train, of the deeper ones 8 of 61.
"""

import argparse
import csv
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jaxact import activations as catalogue
from jaxact.config import INITIALIZERS, closest, parse_seeds
from jaxact.data.specs import spec
from jaxact.execution import runtime
from jaxact.execution.checks import Parser, check_installed, check_memory, check_out

MODULE = "experiments.depth"
PARTS = ("chain", "gradients", "training", "dying")
INITS = (*INITIALIZERS, "critical")
ACTIVATIONS = ("sigmoid", "tanh", "relu", "elu", "selu", "gelu")
MOST_DEPTH, MOST_WIDTH = 500, 4096


class Plan(NamedTuple):
    """What a run computes; `depths` ascend."""

    parts: tuple[str, ...]
    activations: tuple[str, ...]
    theory: tuple[str, ...]
    inits: tuple[str, ...]
    depths: tuple[int, ...]
    width: int
    wide: int
    networks: int
    chains: int
    seeds: tuple[int, ...]
    epochs: int
    batch_size: int
    learning_rates: tuple[float, ...]
    out: Path


def parser() -> Parser:
    """The options."""
    p = Parser.of(MODULE, __doc__)
    p.add_argument("--parts", nargs="+", default=list(PARTS), metavar="PART", help=f"of {' '.join(PARTS)} (all)")
    p.add_argument(
        "--activations", nargs="+", default=list(ACTIVATIONS), metavar="NAME", help=f"or all ({' '.join(ACTIVATIONS)})"
    )
    p.add_argument(
        "--theory", nargs="+", default=["all"], metavar="NAME", help="more activations in the table of theory (all)"
    )
    p.add_argument("--inits", nargs="+", default=list(INITS), metavar="NAME", help=f"of {' '.join(INITS)} (all)")
    p.add_argument(
        "--depths",
        nargs="+",
        type=int,
        default=[1, 2, 5, 10, 20, 50],
        metavar="L",
        help="hidden layers (1 2 5 10 20 50)",
    )
    p.add_argument("--out", default="runs/depth", help="folder of the tables and figures (runs/depth)")
    start = p.add_argument_group("at initialisation")
    start.add_argument("--wide", type=int, default=128, help="width of the stacks of part gradients (128)")
    start.add_argument("--networks", type=int, default=16, help="networks of part gradients (16)")
    start.add_argument("--chains", type=int, default=4000, help="chains, and networks of part dying (4000)")
    training = p.add_argument_group("training, on scikit-learn's digits")
    training.add_argument("--width", type=int, default=64, help="width of the trained stacks (64)")
    training.add_argument("--seeds", default="2", help="a count or a list such as 0,3,17-25 (2)")
    training.add_argument("--epochs", type=int, default=5, help="the budget: passes over the training set (5)")
    training.add_argument("--batch-size", type=int, default=32, help="examples per step (32)")
    training.add_argument(
        "--lrs",
        nargs="+",
        type=float,
        default=[0.1, 0.01],
        metavar="LR",
        help="the one that trains best counts (.1 .01)",
    )
    return p


def make_plan(options: argparse.Namespace) -> Plan:
    """Check the options.

    Raises:
        ValueError: one line that shows the value, the limit and the remedy.
    """
    names, theory = _elementwise(options.activations), _elementwise(options.theory)
    for part in options.parts:
        if part not in PARTS:
            raise closest(part, PARTS, "part")
    for init in options.inits:
        if init not in INITS:
            raise closest(init, INITS, "initialiser")
    for option in ("activations", "theory", "parts", "inits", "depths", "lrs"):
        values = getattr(options, option)
        if len(set(values)) < len(values):
            raise ValueError(f"--{option} {' '.join(map(str, values))} names one twice: name each once")
    limits = {"wide": MOST_WIDTH, "width": MOST_WIDTH, "networks": 10_000, "chains": 1_000_000, "epochs": 10_000}
    limits["batch_size"] = spec("digits").train_size
    for option, most in limits.items():
        _check_range(option, getattr(options, option), most)
    for depth in options.depths:
        _check_range("depths", depth, MOST_DEPTH)
    for part, option in (("gradients", "wide"), ("training", "width")):
        width, deepest = getattr(options, option), max(options.depths)
        if part in options.parts:
            check_memory(deepest * width**2, f"--{option} {width} --depths", deepest)
    for rate in options.lrs:
        if not 0 < rate < float("inf"):
            raise ValueError(f"--lrs {rate} must be a finite number above 0")
    return Plan(
        tuple(part for part in PARTS if part in options.parts), names, theory, tuple(options.inits),
        tuple(sorted(options.depths)), options.width, options.wide, options.networks, options.chains,
        parse_seeds(options.seeds), options.epochs, options.batch_size, tuple(options.lrs),
        check_out(options.out),
    )  # fmt: skip


def _elementwise(names: Sequence[str]) -> tuple[str, ...]:
    """The activations as the catalogue spells them; `all` alone stands for every elementwise one."""
    entries = [catalogue.get(name) for name in (catalogue.names("elementwise") if list(names) == ["all"] else names)]
    for entry in entries:
        if entry.kind != "elementwise":
            raise ValueError(f"activation {entry.spec!r} acts along an axis: a layer needs an elementwise one")
    return tuple(dict.fromkeys(entry.spec for entry in entries))


def _check_range(option: str, value: int, most: int) -> None:
    if not 1 <= value <= most:
        raise ValueError(f"--{option.replace('_', '-')} must be from 1 to {most}, got {value}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the parts.

    Returns:
        Exit status: 0 done, 2 bad input (nothing written), 130 stopped (the parts that were finished are written).
    """
    p = parser()
    options = p.parse_args(argv)
    with p.checked():
        check_installed(("matplotlib",), "the figures", "figures")
        plan = make_plan(options)
    runtime.configure()
    # JAX's QR runs on SciPy's OpenBLAS, loaded below; its threads make small matrices 30 times slower (measured).
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        run(plan)
    except KeyboardInterrupt as stop:
        return runtime.stopped(stop, f"the tables of the finished parts are in {plan.out}")
    return 0


def run(plan: Plan) -> None:
    """Compute the parts, each writing its table as soon as it is done, then the figures and the report."""
    from jaxact.classics.depth import figures as depth_figures
    from jaxact.classics.depth import lab as depth_lab
    from jaxact.classics.depth import measure
    from jaxact.classics.depth import report as depth_report

    plan.out.mkdir(parents=True, exist_ok=True)
    lab = depth_lab.Lab(plan)
    tables: dict[str, list[dict[str, Any]]] = {"theory": lab.theory}
    write_table(plan.out / "theory.csv", tables["theory"])
    for part in plan.parts:
        for name, rows in getattr(measure, part)(lab).items():
            tables[name] = rows
            write_table(plan.out / f"{name}.csv", rows)
    figures = depth_figures.draw(tables, plan.out)
    report = depth_report.write(plan, lab.source, tables, figures, runtime.command(MODULE))
    print(f"\n{report}\n\ntables, figures and report.md are in {plan.out}")


def write_table(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write rows as CSV: numbers with six significant digits, an absent value empty."""

    def show(value: Any) -> str:
        return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)

    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(rows[0])
        writer.writerows([show(value) for value in row.values()] for row in rows)


if __name__ == "__main__":
    runtime.run(main)
