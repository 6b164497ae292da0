"""From options to a checked plan: which configurations, which seeds, where to. Loads neither JAX nor the data."""

import argparse
import itertools
from pathlib import Path
from typing import Any, NamedTuple

from jaxact import architectures, records
from jaxact.activations import names as catalogue_names
from jaxact.config import Config, combinations, halves_of, parse_batch_norm, parse_seeds, select
from jaxact.data.specs import Spec, check_data_dir, check_limit, spec
from jaxact.execution.checks import check_file_name, check_memory, check_out, training_numbers
from jaxact.study.presets import CUTS, HIDDEN_WIDTHS, STUDY, SWEPT

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
        changed: what differs from it otherwise, such as more epochs (empty if nothing).
        preset_names: the combinations that the named preset trains (empty without one).
        preset_seeds: its seeds.
    """

    configs: list[Config]
    seeds: tuple[int, ...]
    spec: Spec
    out: Path
    data_dir: Path | None
    cut: dict[str, Any]
    changed: dict[str, Any] = {}
    preset_names: frozenset[tuple[str, ...]] = frozenset()
    preset_seeds: frozenset[int] = frozenset()

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
    widths = _widths(values, facts)
    if len({tuple(sorted(parse_batch_norm(text, len(widths)))) for text in values["batch_norm"]}) < len(
        values["batch_norm"]
    ):
        raise ValueError(f"--batch-norm {_show(values['batch_norm'])} names the same layers twice: name each set once")
    names = _configurations(values, len(widths))
    parts = [
        _configs(values | dict(zip(SWEPT, part, strict=True)), names, widths, facts)
        for part in itertools.product(*(values[name] for name in SWEPT))
    ]
    data_dir = check_data_dir(options.data_dir) if options.data_dir is not None else None
    out = check_out(Path("runs") / (preset or facts.name) if options.out is None else options.out)
    check_out(out / facts.name)
    longest = max(parts[0], key=lambda config: len(config.name))
    check_file_name(records.path_of(out, longest).name, f"the record of {longest.name}")
    differing = [name for name in given if preset is not None and given[name] not in (base[name], said[name])]
    cut = {name: given[name] for name in differing if _shortens(name, given[name], base, facts)}
    changed = {name: given[name] for name in differing if name not in cut}
    whole = _whole(base, facts) if preset is not None else (frozenset(), frozenset())
    seeds = parse_seeds(values["seeds"])
    return [Plan(configs, seeds, facts, out, data_dir, cut, changed, *whole) for configs in parts]


def _whole(base: dict[str, Any], facts: Spec) -> tuple[frozenset[tuple[str, ...]], frozenset[int]]:
    """What a preset trains: combinations and seeds."""
    return frozenset(_configurations(base, len(_widths(base, facts)))), frozenset(parse_seeds(base["seeds"]))


def _shortens(name: str, value: Any, base: dict[str, Any], facts: Spec) -> bool:
    """Whether a value of one of `CUTS` leaves a part of what the preset trains."""
    if name in ("configs", "seeds"):
        return any(
            ours < theirs for ours, theirs in zip(_whole(base | {name: value}, facts), _whole(base, facts), strict=True)
        )
    return value < (facts.train_size if base[name] is None else base[name])


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
            architecture=values["architecture"],
        )
        for activations in names
    ]
    configs[0].steps_per_epoch(facts.train_size)
    sizes = architectures.products(values["architecture"], facts.name, widths, values["batch_size"])
    check_memory(training_numbers(sizes), "--widths", _show(widths))
    return configs


def _implied(values: dict[str, Any]) -> dict[str, Any]:
    """What the absent options come to: widths, their number, momentum."""
    widths, momentum = _widths(values, spec(values["dataset"])), values["momentum"]
    if momentum is None:
        momentum = STUDY_MOMENTUM if values["optimizer"] == "sgd" else 0.0
    return {"widths": list(widths), "layers": len(widths), "momentum": momentum}


def _show(value: Any) -> str:
    return " ".join(str(v) for v in value) if isinstance(value, list | tuple) else str(value)


def _widths(values: dict[str, Any], facts: Spec) -> tuple[int, ...]:
    layers, widths = values["layers"], values["widths"]
    if layers is not None and layers < 1:
        raise ValueError(f"--layers must be at least 1, got {layers}")
    if values["architecture"] != "mlp":
        architectures.check(values["architecture"], facts.name, layers or len(widths or architectures.LENET_WIDTHS) + 1)
        widths = [*architectures.LENET_WIDTHS, facts.classes] if widths is None else widths
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
        if values["architecture"] != "mlp":
            raise ValueError("--halves lays out dense stacks only: name the halves of a lenet in full with --configs")
        activations = ["+".join(pair) for pair in itertools.combinations_with_replacement(activations, 2)]
    every = architectures.combinations if values["architecture"] == "lenet" else combinations
    if values["configs"] is None:
        return every(activations, layers)
    found = select(values["configs"], activations, layers, every)
    plain = next((names for names in found if len(halves_of(names[0])) == 1), None)
    if values["halves"] and plain:
        raise ValueError(
            f"configuration {'-'.join(plain)!r} has one activation per layer, --halves and its presets two: write "
            f"{'-'.join(f'{name}+{name}' for name in plain)}"
        )
    return found
