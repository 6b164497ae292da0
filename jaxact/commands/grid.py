"""Train every combination of activations, all seeds of a configuration in parallel, and compare with the study.

    python -m experiments.grid                      the whole MNIST study: 64 combinations x 9 seeds x 10 epochs
    python -m experiments.grid --preset quick       what `make grid` runs
    python -m experiments.grid --configs '*-sigmoid-relu' --seeds 0,3,17-25 --out DIR

It may be stopped at any time; the same command goes on where it stopped. Times and expected numbers: BUILD.md.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from jaxact.execution import runtime
from jaxact.execution.checks import Parser
from jaxact.study import presets
from jaxact.study.plan import Plan, make_plans

if TYPE_CHECKING:
    from jaxact.study.run import Prepared

MODULE = "experiments.grid"


def parser() -> Parser:
    """The options; those of the protocol default to None, `presets.STUDY` has their values."""
    names = "; ".join(f"{name}: {text}" for name, text in presets.SUMMARIES.items())
    p = Parser.of(MODULE, __doc__)
    p.add_argument("--preset", help=f"a named protocol ({names})")
    protocol = p.add_argument_group("protocol (default: the study's)")
    protocol.add_argument("--dataset", help="mnist, fashion_mnist, cifar10 or digits")
    protocol.add_argument(
        "--activations",
        nargs="+",
        metavar="NAME",
        help="(relu tanh sigmoid selu) any of the catalogue, all for every "
        "elementwise one, your own as package.module:function",
    )
    protocol.add_argument(
        "--halves", action="store_true", default=None, help="two activations per layer, one for each half of its units"
    )
    protocol.add_argument("--layers", type=int, help="number of layers, the output layer included (3)")
    protocol.add_argument("--widths", nargs="+", type=int, metavar="N", help="units per layer (500 256 10)")
    protocol.add_argument(
        "--architecture", help="mlp, or lenet: relu-f1-f1-f2-identity for f1 and f2 of --activations (mlp)"
    )
    protocol.add_argument("--configs", nargs="+", metavar="A-B-C", help="only these; * stands for any layers, quote it")
    protocol.add_argument("--seeds", help="a count (9) or a list such as 0,3,17-25")
    protocol.add_argument("--epochs", type=int, help="passes over the training set (10)")
    protocol.add_argument("--batch-size", type=int, help="examples per step (32)")
    protocol.add_argument("--lr", nargs="+", type=float, help="learning rate, one or several (0.01)")
    protocol.add_argument("--momentum", type=float, help="heavy-ball momentum (0.5 for sgd, 0 otherwise)")
    protocol.add_argument(
        "--optimizer", nargs="+", help="optax's, or torch_rmsprop, torch_adagrad, torch_adadelta (sgd)"
    )
    protocol.add_argument(
        "--batch-norm", nargs="+", metavar="LAYERS", help="none, all, last or layer numbers such as 1,3 (none)"
    )
    protocol.add_argument(
        "--init", nargs="+", help="torch_default, lecun_normal, he_normal, glorot_uniform or orthogonal"
    )
    protocol.add_argument("--limit-train", type=int, metavar="N", help="train on the first N examples only")
    run = p.add_argument_group("running")
    run.add_argument("--data-dir", help="a folder with the data set's files; otherwise jaxact finds or fetches them")
    run.add_argument("--out", help="folder of the records (runs/<preset or data set>)")
    run.add_argument("--strategy", default="auto", choices=("auto", "vmap", "map"), help="inside a device (auto)")
    run.add_argument("--devices", type=int, help="devices to use (all; on a CPU one per core)")
    run.add_argument("--tensorboard", metavar="DIR", help="also write scalars and histograms there, for TensorBoard")
    run.add_argument("--dry-run", action="store_true", help="print the plan and its estimated time, run nothing")
    return p


def plan_from(p: Parser, argv: list[str] | None) -> tuple[list[Plan], argparse.Namespace]:
    """Parse and check; a user's mistake ends here, in one line with exit status 2."""
    options = p.parse_args(argv)
    if options.preset is not None and options.preset not in presets.PRESETS:
        p.error(f"unknown preset {options.preset!r}: use one of {', '.join(presets.PRESETS)}")
    if options.devices is not None and not 1 <= options.devices <= 1024:
        p.error(f"--devices must be from 1 to 1024, got {options.devices}")
    runtime.configure(options.devices)  # naming an activation may import JAX
    with p.checked():
        return make_plans(options.preset, presets.PRESETS[options.preset or "paper"], options), options


def main(argv: list[str] | None = None) -> int:
    """Run the grid.

    Returns:
        Exit status: 0 done, 2 bad input (nothing written), 130 or 143 stopped (what was finished is recorded).
    """
    p = parser()
    plans, options = plan_from(p, argv)
    from jaxact.execution import tensorboard
    from jaxact.study import outcome, outcome_files, run

    with p.checked():
        board = tensorboard.check(options.tensorboard) if options.tensorboard is not None else None

    try:
        todo = [outcome.pending(plan) for plan in plans]
    except ValueError as error:
        p.refuse(error)
    if options.dry_run:
        print(outcome.describe(plans))
        return 0
    try:
        for plan, jobs in zip(plans, todo, strict=True):
            print(outcome.opening(plan, jobs, alone=len(plans) == 1), flush=True)
            if jobs:
                run.train(plan, _prepared(p, plan, options, board), jobs)
    except KeyboardInterrupt as stop:
        return runtime.stopped(stop, f"what was finished is in {plans[0].out}: the same command goes on from there")
    if board is not None:
        tensorboard.backfill(board, outcome_files.stored(plans[0].out)[0])
    print(outcome_files.finish(plans, runtime.command(MODULE)))
    return 0


def _prepared(p: Parser, plan: Plan, options: argparse.Namespace, board: Path | None) -> "Prepared":
    """The compiled ensemble; data or devices that are not there end here, with status 2 and nothing written."""
    from jaxact.study import run

    how = run.How(options.strategy, options.devices, options.preset, runtime.command(MODULE), board)
    try:
        return run.prepare(plan, how)
    except ValueError as error:
        p.refuse(error)
