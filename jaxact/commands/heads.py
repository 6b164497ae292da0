"""Which activation belongs on an output: are the outputs probabilities, can the range hold the targets, what F1 says.

    python -m experiments.heads                                   all three parts, 9 seeds: 2 minutes on two cores
    python -m experiments.heads --parts classification --heads softmax elu-logits
    python -m experiments.heads --parts regression --outputs identity relu leaky_relu --seeds 25 --out DIR

classification: digits with a softmax, independent sigmoids, linear outputs fitted to one-hot targets, and cross-entropy
on logits that went through an activation, ACTIVATION-logits. regression: a sine shifted above 0, across it and below
it, with outputs through any activation. f1: balanced and imbalanced digits, and attributes of digits (multi-label).
Expected: about 98 % for every head but relu-logits, which loses classes to dead outputs (65 %); only softmax sums to 1;
a ReLU output on negative targets ends at the constant 0 with gradient exactly 0 from every seed; micro-F1 equals the
accuracy bit for bit unless there are several labels per example. Needs matplotlib: pip install 'jaxact[figures]'.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from jaxact import activations as catalogue
from jaxact import architectures
from jaxact.classics.heads.tasks import ATTRIBUTES, SHIFTS
from jaxact.config import Config, closest, parse_seeds
from jaxact.execution import runtime
from jaxact.execution.checks import Parser, check_installed, check_memory, check_out, training_numbers

MODULE = "experiments.heads"
PARTS = ("classification", "regression", "f1")
LOSSES = ("softmax", "sigmoid", "linear")
LOGITS = "-logits"
HEADS = [*LOSSES, "relu-logits", "tanh-logits", "sigmoid-logits"]
OUTPUTS = ["identity", "relu", "softplus"]


class Plan(NamedTuple):
    """What will run.

    Attributes:
        parts: names out of `PARTS`.
        heads: name of a classification head → its configuration, for the digits.
        outputs: activation of a regression output → its configuration.
        f1: task of the F1 part → its configuration.
        seeds: of every network.
        imbalance: examples of the rarest class over those of the most frequent one.
        noise: standard deviation of what is added to the standardised pixels of the F1 part.
        out: folder to write to.
    """

    parts: tuple[str, ...]
    heads: dict[str, Config]
    outputs: dict[str, Config]
    f1: dict[str, Config]
    seeds: tuple[int, ...]
    imbalance: float
    noise: float
    out: Path

    @property
    def epochs(self) -> dict[str, int]:
        """Epochs of one seed, by part."""
        per_part = (self.heads, 1), (self.outputs, len(SHIFTS)), (self.f1, 1)
        sums = (times * sum(config.epochs for config in configs.values()) for configs, times in per_part)
        return dict(zip(PARTS, sums, strict=True))


def parser() -> Parser:
    """The options."""
    p = Parser.of(MODULE, __doc__)
    p.add_argument("--parts", nargs="+", default=list(PARTS), metavar="PART", help=f"{', '.join(PARTS)} (all)")
    p.add_argument("--heads", nargs="+", default=HEADS, metavar="HEAD", help=f"({' '.join(HEADS)})")
    p.add_argument("--outputs", nargs="+", default=OUTPUTS, metavar="NAME", help=f"({' '.join(OUTPUTS)})")
    p.add_argument("--hidden", default="relu", metavar="NAME", help="activation of the hidden layers (relu)")
    p.add_argument("--widths", nargs="+", type=int, default=[64, 64], metavar="N", help="hidden units (64 64)")
    p.add_argument("--seeds", default="9", help="a count (9) or a list such as 0,3,17-25")
    p.add_argument("--epochs", type=int, default=20, help="passes over the digits (20)")
    p.add_argument("--regression-epochs", type=int, default=50, metavar="N", help="passes over 1024 points (50)")
    p.add_argument("--optimizer", default="adam", help="an optax optimiser (adam)")
    p.add_argument("--lr", type=float, default=0.003, help="learning rate (0.003)")
    p.add_argument("--momentum", type=float, default=0.0, help="heavy-ball momentum, for sgd (0)")
    p.add_argument("--imbalance", type=float, default=0.1, metavar="R", help="rarest class over most frequent (0.1)")
    p.add_argument("--noise", type=float, default=1.5, metavar="SD", help="noise on f1's standardised digits (1.5)")
    p.add_argument("--out", default="runs/heads", help="folder to write to (runs/heads)")
    return p


def activation_of(head: str) -> str:
    """The catalogue name of the activation that a head puts on its logits.

    Raises:
        ValueError: neither one of `LOSSES` nor an elementwise activation with `-logits`.
    """
    if head in LOSSES:
        return "identity"
    if not head.endswith(LOGITS):
        raise closest(head, (*LOSSES, *(name + LOGITS for name in catalogue.names("elementwise"))), "head")
    return head.removesuffix(LOGITS)


def plan_from(options: argparse.Namespace) -> Plan:
    """Check the options and lay out the networks.

    Raises:
        ValueError: one line that shows the value, the limit and the remedy.
    """
    for option in ("parts", "heads", "outputs"):
        _check_once(f"--{option}", getattr(options, option))
    for part in options.parts:
        if part not in PARTS:
            raise closest(part, PARTS, "part")
    if not 0 < options.imbalance <= 1:
        raise ValueError(f"--imbalance must be above 0 and at most 1, got {options.imbalance:g}")

    if not 0 <= options.noise <= 100:
        raise ValueError(f"--noise must be from 0 to 100, got {options.noise:g}")

    def config(activation: str, outputs: int, epochs: int, dataset: str) -> Config:
        hidden = [options.hidden] * len(options.widths)
        return Config(
            dataset=dataset,
            activations=(*hidden, activation),
            widths=(*options.widths, outputs),
            epochs=epochs,
            optimizer=options.optimizer,
            learning_rate=options.lr,
            momentum=options.momentum,
        )

    heads = {name: config(activation_of(name), 10, options.epochs, "digits") for name in options.heads}
    outputs = {name: config(name, 1, options.regression_epochs, "sine") for name in options.outputs}
    losses = [(name if name in LOSSES else "softmax", config) for name, config in heads.items()]
    for option, made in (("--heads", losses), ("--outputs", list(outputs.values()))):
        if len(set(made)) < len(made):
            given = " ".join(getattr(options, option.removeprefix("--")))
            raise ValueError(f"{option} {given} names one thing twice, in other words: name each once")
    classes = {"balanced": 10, "imbalanced": 10, "attributes": len(ATTRIBUTES)}
    f1 = {task: config("identity", n, options.epochs, "digits") for task, n in classes.items()}
    parts = tuple(part for part in PARTS if part in options.parts)
    sizes = architectures.products("mlp", "digits", (*options.widths, 10), f1["balanced"].batch_size)
    check_memory(training_numbers(sizes), "--widths", " ".join(map(str, options.widths)))
    seeds, out = parse_seeds(options.seeds), check_out(options.out)
    return Plan(parts, heads, outputs, f1, seeds, options.imbalance, options.noise, out)


def _check_once(option: str, names: Sequence[str]) -> None:
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"{option} names {twice!r} twice: name each once")


def main(argv: list[str] | None = None) -> int:
    """Train, measure and write.

    Returns:
        Exit status: 0 done, 2 bad input (nothing written).
    """
    p = parser()
    options = p.parse_args(argv)
    with p.checked():
        check_installed(("matplotlib",), "the figures", "figures")
        plan = plan_from(options)
    runtime.configure(cpu_devices=1)
    from jaxact.classics.heads import figures as heads_figures
    from jaxact.classics.heads import measure
    from jaxact.classics.heads import report as heads_report
    from jaxact.execution.progress import progress

    with progress(len(plan.seeds) * sum(plan.epochs[part] for part in plan.parts), "heads") as bar:
        results = measure.measure(plan, bar)
    plan.out.mkdir(parents=True, exist_ok=True)
    for name, text in heads_report.tables(results).items():
        (plan.out / name).write_text(text, encoding="utf-8")
    figures = heads_figures.draw(plan.out, results)
    report = heads_report.report(plan, results, figures, runtime.command(MODULE))
    (plan.out / "report.md").write_text(report, encoding="utf-8")
    print(f"\n{heads_report.summary(results)}\n\nreport.md, tables and figures are in {plan.out}")
    return 0


if __name__ == "__main__":
    runtime.run(main)
