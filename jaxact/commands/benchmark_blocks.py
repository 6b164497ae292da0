"""Milliseconds per model-step at small batches, with the first kernel's steps in blocks and one by one, in one run.

    python -m experiments.benchmark_blocks --out results/benchmark-blocks      3 minutes on two cores
    python -m experiments.benchmark_blocks --features 3072 --batches 4 --rounds 3

Noise of the given number of features through relu-sigmoid-relu, 500-256-10 units, one network per core; the two ways
take turns. What the blocks are: `jaxact.training.lowrank`. It writes report.md.
"""

import argparse
from datetime import UTC, datetime
from pathlib import Path

from jaxact.execution import runtime
from jaxact.execution.checks import Parser, check_out
from jaxact.records import write_text

MODULE = "experiments.benchmark_blocks"
MOST_FEATURES, MOST_BATCH = 100_000, 1024


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
        given = getattr(options, name)
        for value in given if isinstance(given, list) else [given]:
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
    from jaxact.benchmark import blocks

    started = datetime.now(UTC).isoformat(timespec="seconds")
    sizes = [(features, batch) for features in options.features for batch in options.batches]
    rows = [blocks.measure(*size, options.steps, options.rounds) for size in sizes]
    text = blocks.report(rows, f"`{runtime.command(MODULE)}`, {started}", runtime.environment())
    write_text(out / "report.md", text)
    print(text)
    return 0
