"""From options to a checked plan: which configurations, which seeds, where to. Loads neither JAX nor the data."""

import argparse
import itertools
from pathlib import Path
from typing import Any, NamedTuple

from experiments.cli import check_out
from experiments.presets import CUTS, HIDDEN_WIDTHS, STUDY, SWEPT
from jaxact.activations import names as catalogue_names
from jaxact.config import Config, combinations, halves_of, parse_batch_norm, parse_seeds, select
from jaxact.data.specs import Spec, check_data_dir, check_limit, spec

STUDY_MOMENTUM = 0.5


class Plan(NamedTuple):
    """What a grid will run.

    Attributes:
        configs: the configurations, in running order; they share everything but the activations.
        seeds: the seeds of each configuration.
        spec: the facts of the data set.
        out: the folder of the records.
        data_dir: where to look for the data, or None.
        cut: what was shortened against the named preset (empty if nothing).
    """

    configs: list[Config]
    seeds: tuple[int, ...]
    spec: Spec
    out: Path
    data_dir: Path | None
    cut: dict[str, Any]

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps of one member in one epoch."""
        return self.configs[0].steps_per_epoch(self.spec.train_size)

    @property
    def choices(self) -> tuple[str, ...]:
        """Every activation that some configuration uses, in order of first use."""
        return tuple(
            dict.fromkeys(half for config in self.configs for name in config.activations for half in halves_of(name))
        )


def make_plans(preset: str | None, preset_values: dict[str, Any], options: argparse.Namespace) -> list[Plan]:
    """Check the options and lay out the grid: one plan per combination of the values of `SWEPT`, all with one folder.

    Args:
        preset: name of the preset, for messages, or None.
        preset_values: its option values.
        options: given options by name of `STUDY`, None for those not given; `out` and `data_dir` besides.

    Raises:
        ValueError: one line that shows the value, the limit and the remedy.
    """
    given = {name: getattr(options, name) for name in STUDY if getattr(options, name) is not None}
    base = STUDY | preset_values
    said = base | _implied(base | {"optimizer": base["optimizer"][0]})
    if preset is not None:
        for name, value in given.items():
            if name not in CUTS and value not in (base[name], said[name]):
                raise ValueError(
                    f"--{name.replace('_', '-')} {_show(value)} contradicts preset {preset!r} ({_show(said[name])}): "
                    f"drop one of them (a preset is cut by {', '.join('--' + c.replace('_', '-') for c in CUTS)} only)"
                )
    values = base | given
    for name in SWEPT:
        if len(set(values[name])) < len(values[name]):
            raise ValueError(f"--{name.replace('_', '-')} {_show(values[name])} names a value twice: name each once")
    facts = spec(values["dataset"])
    widths = _widths(values["layers"], values["widths"], facts)
    names = _configurations(values, len(widths))
    parts = [
        _configs(values | dict(zip(SWEPT, part, strict=True)), names, widths, facts)
        for part in itertools.product(*(values[name] for name in SWEPT))
    ]
    data_dir = check_data_dir(options.data_dir) if options.data_dir is not None else None
    if options.out == "":
        raise ValueError("--out is empty: name a folder, or leave it out")
    out = check_out(Path(options.out or Path("runs") / (preset or facts.name)))
    check_out(out / facts.name)
    cut = {name: value for name, value in given.items() if preset is not None and value not in (base[name], said[name])}
    return [Plan(configs, parse_seeds(values["seeds"]), facts, out, data_dir, cut) for configs in parts]


def _configs(
    values: dict[str, Any], names: list[tuple[str, ...]], widths: tuple[int, ...], facts: Spec
) -> list[Config]:
    limit = check_limit(values["limit_train"], facts.train_size, "--limit-train")
    configs = [
        Config(
            activations=activations,
            dataset=facts.name,
            widths=widths,
            batch_norm=parse_batch_norm(values["batch_norm"], len(widths)),
            init=values["init"],
            optimizer=values["optimizer"],
            learning_rate=values["lr"],
            momentum=_implied(values)["momentum"],
            batch_size=values["batch_size"],
            epochs=values["epochs"],
            limit_train=None if limit == facts.train_size else limit,
        )
        for activations in names
    ]
    configs[0].steps_per_epoch(facts.train_size)
    return configs


def _implied(values: dict[str, Any]) -> dict[str, Any]:
    """What the absent options come to: widths, their number, momentum."""
    widths, momentum = _widths(values["layers"], values["widths"], spec(values["dataset"])), values["momentum"]
    if momentum is None:
        momentum = STUDY_MOMENTUM if values["optimizer"] == "sgd" else 0.0
    return {"widths": list(widths), "layers": len(widths), "momentum": momentum}


def _show(value: Any) -> str:
    return " ".join(str(v) for v in value) if isinstance(value, list | tuple) else str(value)


def _widths(layers: int | None, widths: list[int] | None, facts: Spec) -> tuple[int, ...]:
    if layers is not None and layers < 1:
        raise ValueError(f"--layers must be at least 1, got {layers}")
    if widths is None:
        if (layers or 3) not in HIDDEN_WIDTHS:
            raise ValueError(f"--layers {layers} has no default widths: give --widths, {layers} numbers")
        return (*HIDDEN_WIDTHS[layers or 3], facts.classes)
    if layers is not None and len(widths) != layers:
        raise ValueError(
            f"--widths has {len(widths)} numbers {_show(widths)}, --layers is {layers}: give {layers} widths"
        )
    if widths[-1] != facts.classes:
        raise ValueError(
            f"--widths ends in {widths[-1]}, {facts.name} has {facts.classes} classes: end them in {facts.classes}"
        )
    return tuple(widths)


def _configurations(values: dict[str, Any], layers: int) -> list[tuple[str, ...]]:
    named = [
        every
        for name in values["activations"]
        for every in (catalogue_names("elementwise") if name == "all" else [name])
    ]
    activations = [Config(activations=(name,), widths=(1,)).name for name in named]
    if len(set(activations)) < len(activations):
        raise ValueError(f"--activations {_show(activations)} names an activation twice: name each once")
    if values["halves"]:
        activations = ["+".join(pair) for pair in itertools.combinations_with_replacement(activations, 2)]
    if values["configs"] is None:
        return combinations(activations, layers)
    return select(values["configs"], activations, layers)
