"""The records that a report is made of: read, merged, sorted by protocol, with what is damaged or missing."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxact import records
from jaxact.architectures import combinations as lenets
from jaxact.config import Config, select
from jaxact.data.specs import spec
from jaxact.records import Record
from jaxact.records import folders as record_folders
from jaxact.report.table import counted
from jaxact.study.interventions import FAILING, INTERVENTIONS, STUDY
from jaxact.study.outcome import protocol_text
from jaxact.study.plan import Plan

MOST_MISSING = 100_000


class Material(NamedTuple):
    """What the folders hold.

    Attributes:
        folders: as given.
        found: by configuration; a configuration in several folders is one record with all its seeds.
        damaged: one line per file that cannot be read.
        conflicts: one line per configuration of which two files hold different numbers for the same seeds.
    """

    folders: tuple[Path, ...]
    found: dict[Config, Record]
    damaged: tuple[str, ...]
    conflicts: tuple[str, ...]


class Grid(NamedTuple):
    """The largest set of configurations that share everything but the activations.

    Attributes:
        records: by name, sorted as the levels are.
        factors: the layers (from 0) that vary on their own, each with those that always have the same activation.
        levels: per factor its activations, the study's first.
        missing: names of the combinations of the levels without a record.
        changed: results of an intervention at the same protocol, with activations the grid itself does not have.
        others: records of other protocols.
    """

    records: dict[str, Record]
    factors: tuple[tuple[int, ...], ...]
    levels: tuple[tuple[str, ...], ...]
    missing: tuple[str, ...]
    changed: tuple[Record, ...]
    others: tuple[Record, ...]

    @property
    def config(self) -> Config:
        """Any one of its configurations."""
        return next(iter(self.records.values())).config

    @property
    def labels(self) -> tuple[str, ...]:
        """`layer 1`, `layers 2 and 3`, … per factor."""
        names = (" and ".join(str(i + 1) for i in factor) for factor in self.factors)
        return tuple(f"layer{'s' * (len(factor) > 1)} {name}" for factor, name in zip(self.factors, names, strict=True))

    def activations(self, layer: int) -> tuple[str, ...]:
        """Those that a layer has in some configuration, the study's first; negative layers count from the output."""
        return _ordered({record.config.activations[layer] for record in self.records.values()})

    def name(self, choice: Sequence[str]) -> str:
        """The configuration with these levels of the factors."""
        return _name(self.config, self.factors, choice)

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds that every configuration has."""
        return tuple(sorted(set.intersection(*(set(r.seeds.tolist()) for r in self.records.values()))))

    @property
    def seed_counts(self) -> tuple[int, int]:
        """Least and most seeds of a configuration."""
        counts = [len(record.seeds) for record in self.records.values()]
        return min(counts), max(counts)

    @property
    def plan(self) -> Plan:
        """The grid as `jaxact.study.outcome` takes it."""
        configs = [record.config for record in self.records.values()]
        seeds = sorted({seed for record in self.records.values() for seed in record.seeds.tolist()})
        return Plan(configs, tuple(seeds), spec(self.config.dataset), Path(), None, {})


def load(folders: Sequence[Path], warn: Callable[[str], None]) -> Material:
    """Read every record below the folders.

    Args:
        folders: of records.
        warn: is told of every file that cannot be read.

    Raises:
        ValueError: a folder that is not there or holds no record, or no file that can be read.
    """
    found: dict[Config, Record] = {}
    damaged: list[str] = []
    conflicts: list[str] = []
    for folder in folders:
        if not folder.is_dir():
            raise ValueError(f"{folder} is not a folder: name one with records of experiments.grid")
        if not any(folder.rglob("*.npz")):
            raise ValueError(
                f"{folder} holds no record (*.npz): run python -m experiments.grid --out {folder} first, or name "
                f"another"
            )
    for record in record_folders.each(folders, damaged):
        if conflict := _conflict(found.get(record.config), record):
            conflicts.append(f"{record.config.name}-{record.config.digest}: {conflict}")
        found[record.config] = records.merge(found.get(record.config), record)
    if not found:
        raise record_folders.none_left(folders, damaged)
    for line in damaged:
        warn(f"left out: {line}")
    return Material(tuple(folders), found, tuple(damaged), tuple(conflicts))


def _conflict(old: Record | None, new: Record) -> str | None:
    if old is None:
        return None
    shared = sorted(set(old.seeds.tolist()) & set(new.seeds.tolist()))
    same = np.all(old.subset(shared).arrays["test_correct"] == new.subset(shared).arrays["test_correct"], (1, 2))
    return f"two files differ in {int((~same).sum())} of {len(shared)} seeds, the later one counts" * bool(
        (~same).any()
    )


def main_grid(material: Material) -> Grid:
    """The protocol with most runs, its levels and what is missing of it."""
    groups: dict[tuple[Config, bool], list[Record]] = {}
    for record in material.found.values():
        groups.setdefault(_protocol(record.config), []).append(record)
    key = max(groups, key=lambda k: (sum(len(r.seeds) for r in groups[k]), repr(k)))
    results = {c for _, _, c in interventions_of(record.config for record in groups[key])}
    own = {name for r in groups[key] if r.config not in results for name in r.config.activations} | set(STUDY)
    inside = [r for r in groups[key] if set(r.config.activations) <= own]
    changed = tuple(r for r in groups[key] if not set(r.config.activations) <= own)
    factors = _factors([record.config for record in inside])
    levels = tuple(_ordered({record.config.activations[first] for record in inside}) for first, *_ in factors)
    place = [{name: i for i, name in enumerate(level)} for level in levels]
    inside.sort(key=lambda r: [place[i][r.config.activations[first]] for i, (first, *_) in enumerate(factors)])
    found = {record.config.name: record for record in inside}
    others = [record for k, group in groups.items() if k != key for record in group]
    grid = Grid(found, factors, levels, (), changed, tuple(sorted(others, key=_order)))
    return grid._replace(missing=_missing(grid))


def _factors(configs: Sequence[Config]) -> tuple[tuple[int, ...], ...]:
    """One factor per layer; in the study's LeNets, two."""
    names = {config.activations for config in configs}
    if configs[0].architecture == "lenet" and names <= set(lenets(sorted({n for own in names for n in own}))):
        return (1, 2), (3,)
    return tuple((i,) for i in range(len(configs[0].activations)))


def _name(config: Config, factors: Sequence[Sequence[int]], choice: Sequence[str]) -> str:
    names = list(config.activations)
    for factor, level in zip(factors, choice, strict=True):
        for i in factor:
            names[i] = level
    return "-".join(names)


def _protocol(config: Config) -> tuple[Config, bool]:
    return replace(config, activations=("relu",) * len(config.activations)), config.paired


def _order(record: Record) -> tuple[str, str, str]:
    return record.config.dataset, record.config.digest, record.config.name


def _ordered(names: set[str]) -> tuple[str, ...]:
    study = [name for name in STUDY if name in names]
    return (*study, *sorted(names - set(study)))


def _missing(grid: Grid) -> tuple[str, ...]:
    if np.prod([float(len(level)) for level in grid.levels]) > MOST_MISSING:
        return ()
    names = map(grid.name, itertools.product(*grid.levels))
    return tuple(name for name in names if name not in grid.records)


def interventions_of(configs: Iterable[Config]) -> list[tuple[Config, str, Config]]:
    """(unchanged, intervention, changed) for every ending in (sigmoid, relu) of three layers."""
    pairs = []
    failing = set(select(FAILING, STUDY, 3))
    for config in configs:
        if config.activations in failing:
            changes = ((name, one.change(config)) for name, one in INTERVENTIONS.items())
            pairs += [(config, name, new) for name, new in changes if new != config]
    return pairs


def difference(config: Config, other: Config) -> str:
    """The fields in which a protocol differs from another, in words."""
    names = [field.name for field in fields(Config) if field.name != "activations"]
    told = [f"{n} {_shown(getattr(config, n))}" for n in names if getattr(config, n) != getattr(other, n)]
    return ", ".join(told) or "the same protocol"


def _shown(value: object) -> str:
    return "-".join(map(str, value)) or "none" if isinstance(value, tuple) else str(value)


def complaints(material: Material, grid: Grid) -> list[str]:
    """What a reader has to know is missing, cut, damaged or mixed; empty for a complete set of one protocol."""
    told = []
    total = len(grid.records) + len(grid.missing)
    if grid.missing:
        shown = ", ".join(grid.missing[:4]) + (" …" if len(grid.missing) > 4 else ".")
        verb = "has" if len(grid.missing) == 1 else "have"
        told.append(f"{len(grid.missing)} of the {total} combinations of these activations {verb} no record: {shown}")
    low, high = grid.seed_counts
    if low < high:
        counts = Counter(len(r.seeds) for r in grid.records.values())
        listed = ", ".join(f"{n} with {seeds}" for seeds, n in sorted(counts.items()))
        told.append(f"Not every combination has the same seeds: {listed}; all share {len(grid.seeds) or 'none'}.")
    c, plan = grid.config, grid.plan
    if c.limit_train:
        told.append(f"Cut: trained on {c.limit_train:,} of {plan.spec.train_size:,} examples.")
    if diverged := sum(int(r.diverged.sum()) for r in grid.records.values()):
        told.append(f"{counted(diverged, 'run')} diverged, counted as failed and without an accuracy.")
    known = {new for _, _, new in interventions_of(r.config for r in grid.records.values())}
    if mixed := [r for r in grid.others if r.config not in known]:
        protocols = len({_protocol(r.config) for r in mixed})
        told.append(
            f"Mixed: {counted(len(mixed), 'record')} of {counted(protocols, 'other protocol')} besides; the figures "
            "are of the protocol with most runs, the others are in their own table."
        )
    told += [f"Left out, cannot be read: {line}." for line in material.damaged]
    told += [f"Records disagree: {line}." for line in material.conflicts]
    return told


def title_of(dataset: str) -> str:
    """A data set as it is written in a sentence."""
    return {"mnist": "MNIST", "fashion_mnist": "Fashion-MNIST", "cifar10": "CIFAR-10"}.get(dataset, dataset)


def protocol_line(grid: Grid) -> str:
    """The protocol in one line."""
    return protocol_text(grid.plan, list(grid.records.values()))
