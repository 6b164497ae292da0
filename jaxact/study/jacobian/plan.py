"""What `experiments.jacobian` measures: its configurations, seeds and sizes, from the options."""

import argparse
from pathlib import Path
from typing import NamedTuple

from jaxact import architectures
from jaxact.config import Config, parse_batch_norm, parse_seeds, select, split_name
from jaxact.data.specs import Spec, check_data_dir, check_limit, spec
from jaxact.execution.checks import check_memory, check_out, training_numbers
from jaxact.study.presets import HIDDEN_WIDTHS, STUDY

MOST_EPOCHS = 10_000


class JacobianPlan(NamedTuple):
    """What will run.

    Attributes:
        configs: the configurations; they share everything but the activations.
        seeds: of every configuration.
        epochs: passes over the training set, 0 for the state at initialisation alone.
        examples: training examples at which Jacobians are taken.
        spec: the facts of the data set.
        data_dir: where to look for the data, or None.
        out: folder to write to.
    """

    configs: list[Config]
    seeds: tuple[int, ...]
    epochs: int
    examples: int
    spec: Spec
    data_dir: Path | None
    out: Path

    @property
    def choices(self) -> tuple[str, ...]:
        """Every activation that some configuration uses, in order of first use."""
        return tuple(dict.fromkeys(name for config in self.configs for name in config.activations))


def plan_from(options: argparse.Namespace) -> JacobianPlan:
    """Check the options.

    Raises:
        ValueError: one line that shows the value, the limit and the remedy.
    """
    facts = spec(options.dataset)
    widths = _widths(options, facts)
    if not 0 <= options.epochs <= MOST_EPOCHS:
        raise ValueError(f"--epochs must be from 0 (initialisation alone) to {MOST_EPOCHS}, got {options.epochs}")
    limit = check_limit(options.limit_train, facts.train_size, "--limit-train")
    if not 1 <= options.examples <= limit:
        raise ValueError(f"--examples must be from 1 to the {limit} training examples, got {options.examples}")
    configs = [
        Config(
            activations=activations,
            dataset=facts.name,
            widths=widths,
            batch_norm=parse_batch_norm(options.batch_norm, len(widths)),
            init=options.init,
            learning_rate=options.lr,
            epochs=max(1, options.epochs),
            limit_train=None if limit == facts.train_size else limit,
        )
        for activations in select(options.config, STUDY["activations"], len(widths))
    ]
    configs[0].steps_per_epoch(facts.train_size)
    sizes = architectures.products("mlp", facts.name, widths, configs[0].batch_size)
    check_memory(training_numbers(sizes), "--widths", " ".join(map(str, widths)))
    data_dir = check_data_dir(options.data_dir) if options.data_dir is not None else None
    out = check_out(options.out)
    return JacobianPlan(configs, parse_seeds(options.seeds), options.epochs, options.examples, facts, data_dir, out)


def _widths(options: argparse.Namespace, facts: Spec) -> tuple[int, ...]:
    if options.widths is None:
        layers = next((len(split_name(name)) for name in options.config if "*" not in name), 3)
        if layers not in HIDDEN_WIDTHS:
            raise ValueError(f"{layers} layers have no default widths: give --widths, {layers} numbers")
        return (*HIDDEN_WIDTHS[layers], facts.classes)
    if options.widths[-1] != facts.classes:
        raise ValueError(
            f"--widths ends in {options.widths[-1]}, {facts.name} has {facts.classes} classes: end them in it"
        )
    return tuple(options.widths)
