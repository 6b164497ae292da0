"""Change one thing about the failing combinations, keep the seeds, and measure what that does to them.

    python -m experiments.interventions                      every intervention on the four endings in sigmoid-relu
    python -m experiments.interventions --only centred linear --configs relu-sigmoid-relu --seeds 9-31
    python -m experiments.interventions --epochs 3 --seeds 8 --out DIR

The unchanged runs are read from --baseline where they are there, and trained otherwise. It may be stopped at any time;
the same command goes on where it stopped.
"""

import argparse

from jaxact.config import Config, closest, parse_seeds, select
from jaxact.data.specs import check_data_dir, check_limit, spec
from jaxact.execution import runtime
from jaxact.execution.checks import Parser, check_folder, check_installed, check_out
from jaxact.study.interventions import FAILING, INTERVENTIONS, STUDY, Study, groups
from jaxact.study.plan import Plan

MODULE = "experiments.interventions"


def parser() -> Parser:
    """The options."""
    names = "; ".join(f"{name}: {one.text}" for name, one in INTERVENTIONS.items())
    p = Parser.of(MODULE, __doc__)
    p.add_argument("--only", nargs="+", metavar="NAME", help=f"only these interventions ({names.replace('%', '%%')})")
    p.add_argument(
        "--configs", nargs="+", default=list(FAILING), metavar="A-B-C", help="what to change (*-sigmoid-relu)"
    )
    p.add_argument("--dataset", default="mnist", help="mnist, fashion_mnist or digits (mnist)")
    p.add_argument("--seeds", default="9", help="a count (9) or a list such as 9-31")
    p.add_argument("--epochs", type=int, default=10, help="passes over the training set (10)")
    p.add_argument("--limit-train", type=int, metavar="N", help="train on the first N examples only")
    p.add_argument("--baseline", help="a folder of records with the unchanged runs, of experiments.grid say")
    p.add_argument("--data-dir", help="a folder with the data set's files")
    p.add_argument("--out", default="runs/interventions", help="folder of the records and the report")
    p.add_argument("--devices", type=int, help="devices to use (all; on a CPU one per core)")
    p.add_argument("--report-only", action="store_true", help="train nothing, report what is there")
    return p


def make_study(options: argparse.Namespace) -> Study:
    """Check the options.

    Raises:
        ValueError: one line that shows the value, the limit and the remedy.
    """
    facts = spec(options.dataset)
    limit = check_limit(options.limit_train, facts.train_size, "--limit-train")
    base = [
        Config(
            activations=names,
            dataset=facts.name,
            epochs=options.epochs,
            widths=(500, 256, facts.classes),
            limit_train=None if limit == facts.train_size else limit,
        )
        for names in select(options.configs, STUDY, 3)
    ]
    only = options.only or list(INTERVENTIONS)
    for name in only:
        if name not in INTERVENTIONS:
            raise closest(name, INTERVENTIONS, "intervention")
    changed = {}
    for name in dict.fromkeys(only):
        pairs = [(config, INTERVENTIONS[name].change(config)) for config in base]
        changed[name] = [None if new == old else new for old, new in pairs]
    baseline = check_folder(options.baseline, "--baseline") if options.baseline is not None else None
    if baseline and not baseline.is_dir():
        raise ValueError(f"--baseline {baseline} is not a folder: name one with records, or leave it out")
    data_dir = check_data_dir(options.data_dir) if options.data_dir is not None else None
    out = check_out(options.out)
    return Study(base, changed, parse_seeds(options.seeds), out, baseline, data_dir)


def main(argv: list[str] | None = None) -> int:
    """Train what is missing and report.

    Returns:
        Exit status: 0 done, 2 bad input (nothing written), 130 stopped (what was finished is recorded).
    """
    p = parser()
    options = p.parse_args(argv)
    if options.devices is not None and not 1 <= options.devices <= 1024:
        p.error(f"--devices must be from 1 to 1024, got {options.devices}")
    runtime.configure(options.devices)  # naming an activation may import JAX
    with p.checked():
        check_installed(("matplotlib",), "the figures", "figures")
        study = make_study(options)
    from jaxact.study import interventions_report, outcome, run

    facts = spec(options.dataset)
    how = run.How(devices=options.devices, command=runtime.command(MODULE))
    try:
        for group in [] if options.report_only else groups(study):
            plan = Plan(group, study.seeds, facts, study.out, study.data_dir, {})
            todo = [job for job in outcome.pending(plan) if not interventions_report.known(study, *job)]
            if todo:
                print(outcome.opening(plan, todo), flush=True)
                run.train(plan, run.prepare(plan, how), todo)
        print(interventions_report.finish(study, runtime.command(MODULE)))
    except ValueError as error:
        p.refuse(error)
    return 0
