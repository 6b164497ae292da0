"""What a run of `experiments.heads` trains, and the check of its options."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from jaxact import activations as catalogue
from jaxact import architectures
from jaxact.classics.heads.tasks import ATTRIBUTES, SHIFTS
from jaxact.config import Config, closest, parse_seeds
from jaxact.execution.checks import check_memory, check_out, training_numbers

PARTS = ("classification", "regression", "f1")
LOSSES = ("softmax", "sigmoid", "linear")
LOGITS = "-logits"


class HeadsPlan(NamedTuple):
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


def plan_from(options: argparse.Namespace) -> HeadsPlan:
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
    return HeadsPlan(parts, heads, outputs, f1, seeds, options.imbalance, options.noise, out)


def _check_once(option: str, names: Sequence[str]) -> None:
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"{option} names {twice!r} twice: name each once")
