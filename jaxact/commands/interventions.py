"""Change one thing about the failing combinations, keep the seeds, and measure what that does to them.

    python -m experiments.interventions                      every intervention on the four endings in sigmoid-relu
    python -m experiments.interventions --only centred linear --configs relu-sigmoid-relu --seeds 9-31
    python -m experiments.interventions --epochs 3 --seeds 8 --out DIR

The unchanged runs are read from --baseline where they are there, and trained otherwise. It may be stopped at any time;
the same command goes on where it stopped.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from jaxact.commands.parser import Parser, check_folder, check_installed, check_out
from jaxact.config import Config, closest, parse_seeds, select
from jaxact.data.specs import check_data_dir, check_limit, spec
from jaxact.execution import runtime
from jaxact.study.plan import Plan

MODULE = "experiments.interventions"
FAILING = ("*-sigmoid-relu",)
STUDY = ("relu", "tanh", "sigmoid", "selu")


class Intervention(NamedTuple):
    """One change.

    Attributes:
        text: what is changed.
        change: unchanged configuration → changed one.
    """

    text: str
    change: Callable[[Config], Config]


def _swap(old: str, new: str) -> Callable[[Config], Config]:
    return lambda config: replace(
        config, activations=tuple(new if name == old else name for name in config.activations)
    )


def _output(name: str) -> Callable[[Config], Config]:
    return lambda config: replace(config, activations=(*config.activations[:-1], name))


def _field(**values: object) -> Callable[[Config], Config]:
    return lambda config: replace(config, **values)  # pyright: ignore[reportArgumentType]


def _last_hidden(factor: float) -> Callable[[Config], Config]:
    def change(config: Config) -> Config:
        *before, last, classes = config.widths
        return replace(config, widths=(*before, max(1, round(last * factor)), classes))

    return change


HALF_TANH = "experiments.interventions:half_tanh"
INTERVENTIONS = {
    "centred": Intervention("every sigmoid centred: σ(h) − ½", _swap("sigmoid", "centred_sigmoid")),
    "centred_lecun": Intervention(
        "every sigmoid centred, weights N(0, 1/fan-in), biases 0: nothing left that all inputs have in common",
        lambda c: replace(_swap("sigmoid", "centred_sigmoid")(c), init="lecun_normal"),
    ),
    "half_tanh": Intervention("every sigmoid → tanh(h/2)/2, which equals σ(h) − ½", _swap("sigmoid", HALF_TANH)),
    "leaky": Intervention("leaky output, slope 0.01 below 0", _output("leaky_relu")),
    "linear": Intervention("linear output", _output("identity")),
    "output_bias": Intervention("1 added to the initial output biases", _field(output_bias=1.0)),
    "batchnorm_last": Intervention(
        "batch norm before the output ReLU", lambda c: replace(c, batch_norm=(len(c.widths),))
    ),
    "he_normal": Intervention("weights N(0, 2/fan-in), biases 0", _field(init="he_normal")),
    "lecun_normal": Intervention("weights N(0, 1/fan-in), biases 0", _field(init="lecun_normal")),
    "orthogonal": Intervention("orthogonal weights, biases 0", _field(init="orthogonal")),
    "lr_tenth": Intervention("learning rate / 10", lambda c: replace(c, learning_rate=c.learning_rate / 10)),
    "lr_tenfold": Intervention("learning rate x 10", lambda c: replace(c, learning_rate=c.learning_rate * 10)),
    "narrow": Intervention("last hidden layer 4 times narrower", _last_hidden(1 / 4)),
    "wide": Intervention("last hidden layer 4 times wider", _last_hidden(4)),
}


def half_tanh(x):
    """tanh(x/2)/2 = σ(x) − ½."""
    import jax.numpy as jnp

    return jnp.tanh(x / 2) / 2


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


class Study(NamedTuple):
    """What is to be compared.

    Attributes:
        base: the unchanged configurations.
        changed: by intervention, the changed ones in the same order; an intervention that changes nothing of a
            configuration is left out there (None).
        seeds: of all of them.
        out: folder of the records.
        baseline: where unchanged runs may already be.
        data_dir: where to look for the data, or None.
    """

    base: list[Config]
    changed: dict[str, list[Config | None]]
    seeds: tuple[int, ...]
    out: Path
    baseline: Path | None
    data_dir: Path | None


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


def groups(study: Study) -> list[list[Config]]:
    """All configurations, those of one architecture and protocol together: a group is compiled once."""
    found: dict[Config, list[Config]] = {}
    for config in [*study.base, *(c for changed in study.changed.values() for c in changed if c)]:
        group = found.setdefault(replace(config, activations=("relu",) * len(config.activations)), [])
        if config not in group:
            group.append(config)
    return list(found.values())


def main(argv: list[str] | None = None) -> int:
    """Train what is missing and report.

    Returns:
        Exit status: 0 done, 2 bad input (nothing written), 130 stopped (what was finished is recorded).
    """
    p = parser()
    options = p.parse_args(argv)
    if options.devices is not None and not 1 <= options.devices <= 1024:
        p.error(f"--devices must be from 1 to 1024, got {options.devices}")
    runtime.set_devices(options.devices)
    with p.checked():
        check_installed(("matplotlib",), "the figures", "figures")
        study = make_study(options)
    from jaxact.commands import grid
    from jaxact.study import interventions_report, outcome

    options.strategy, options.preset = "auto", None
    facts = spec(options.dataset)
    runtime.configure(options.devices)
    try:
        for group in [] if options.report_only else groups(study):
            plan = Plan(group, study.seeds, facts, study.out, study.data_dir, {})
            todo = [job for job in outcome.pending(plan) if not interventions_report.known(study, *job)]
            if todo:
                print(outcome.opening(plan, todo), flush=True)
                grid.train(plan, grid.prepare(p, plan, options), todo)
        print(interventions_report.finish(study, runtime.command(MODULE)))
    except ValueError as error:
        p.refuse(error)
    return 0


if __name__ == "__main__":
    runtime.run(main)
