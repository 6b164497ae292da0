"""What is changed about the failing combinations, one thing at a time, and which configurations that gives."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from jaxact.config import Config

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


def groups(study: Study) -> list[list[Config]]:
    """All configurations, those of one architecture and protocol together: a group is compiled once."""
    found: dict[Config, list[Config]] = {}
    for config in [*study.base, *(c for changed in study.changed.values() for c in changed if c)]:
        group = found.setdefault(replace(config, activations=("relu",) * len(config.activations)), [])
        if config not in group:
            group.append(config)
    return list(found.values())
