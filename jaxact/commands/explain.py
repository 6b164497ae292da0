"""Say why combinations fail: dead outputs or vanishing gradients, from the records of the grid and the interventions.

    python -m experiments.explain --records runs/paper --interventions runs/interventions
    python -m experiments.explain --train --seeds 8 --epochs 3 --limit-train 12000    train first what is missing

Writes the verdict for each ending in (sigmoid, relu) with its numbers, how dead classes relate to accuracy, predicted
against measured, the interventions, the registered predictions and the audit of the study's claims.
"""

import argparse

from jaxact.config import Config, parse_seeds
from jaxact.data.specs import check_limit, spec
from jaxact.execution import runtime
from jaxact.execution.checks import Parser, check_folder, check_installed, check_out

MODULE = "experiments.explain"
CONTROLS = ("relu-sigmoid-selu", "tanh-sigmoid-selu", "sigmoid-sigmoid-selu", "selu-sigmoid-selu", "relu-relu-relu")
"""Trained beside the failing ones with --train: the same hidden layers with another output, and the classic."""


def parser() -> Parser:
    """The options."""
    p = Parser.of(MODULE, __doc__)
    p.add_argument(
        "--records", nargs="+", default=["runs/paper"], metavar="DIR", help="of experiments.grid (runs/paper)"
    )
    p.add_argument("--interventions", default="runs/interventions", metavar="DIR", help="(runs/interventions)")
    p.add_argument("--dataset", default="mnist", help="mnist, fashion_mnist or digits (mnist)")
    p.add_argument("--out", default="runs/explain", help="folder of the report (runs/explain)")
    p.add_argument("--train", action="store_true", help="first train what is missing of the failing combinations, "
                   "their controls and the interventions")  # fmt: skip
    p.add_argument("--seeds", help="for --train: a count or a list (32)")
    p.add_argument("--epochs", type=int, help="for --train (10)")
    p.add_argument("--limit-train", type=int, metavar="N", help="for --train: the first N examples only")
    return p


def main(argv: list[str] | None = None) -> int:
    """Explain.

    Returns:
        Exit status: 0 done, 2 bad input (nothing written), 130 stopped (what was trained is recorded).
    """
    p = parser()
    options = p.parse_args(argv)
    with p.checked():
        check_installed(("matplotlib",), "the figures", "figures")
        facts = spec(options.dataset)
        out = check_out(options.out)
        folders = [check_folder(folder, "--records") for folder in options.records]
        changed = check_folder(options.interventions, "--interventions")
        if changed.exists() and not changed.is_dir():
            raise ValueError(f"--interventions {changed} is not a folder: name one of experiments.interventions")
        options.records, options.interventions = [str(folder) for folder in folders], str(changed)
        asked = [n for n in ("seeds", "epochs", "limit_train") if getattr(options, n) is not None]
        if asked and not options.train:
            raise ValueError(f"--{asked[0].replace('_', '-')} goes with --train: add it, or leave this out")
        parse_seeds(options.seeds or "32")
        check_limit(options.limit_train, facts.train_size, "--limit-train")
        Config(activations=("relu",) * 3, epochs=10 if options.epochs is None else options.epochs)
        if options.train:  # both are written before the report is
            check_out(folders[0], "--records")
            check_out(changed, "--interventions")
        elif absent := next((folder for folder in folders if not folder.is_dir()), None):
            raise ValueError(
                f"{absent} is not a folder of records: run python -m experiments.grid --out {absent} first"
            )
    if options.train and (status := train(options)):
        return status
    from jaxact.study import evidence, report

    runtime.configure(1)
    try:
        found = evidence.study_records(folders, options.dataset)
        text = report.write(found, options, out, runtime.command(MODULE))
    except ValueError as error:
        p.refuse(error)
    print(text)
    return 0


def train(options: argparse.Namespace) -> int:
    """Train the failing combinations, their controls and the interventions, as far as they are not there."""
    from jaxact.commands import grid, interventions

    size = ["--dataset", options.dataset, "--seeds", options.seeds or "32", "--epochs", str(options.epochs or 10)]
    size += ["--limit-train", str(options.limit_train)] if options.limit_train else []
    folder = options.records[0]
    return grid.main(["--configs", "*-sigmoid-relu", *CONTROLS, "--out", folder, *size]) or interventions.main(
        ["--baseline", folder, "--out", options.interventions, *size]
    )
