"""Training what a plan asks for: the ensemble is compiled once, and every finished seed is kept whatever happens."""

import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jaxact import data, numerics, records
from jaxact.config import Config
from jaxact.execution import runtime, stops
from jaxact.execution.progress import COMPILING, Progress, progress
from jaxact.records import Record
from jaxact.study import outcome
from jaxact.study.plan import Plan

if TYPE_CHECKING:
    from jaxact.training.ensemble import Ensemble, History, Job

SAVE_SECONDS = 60.0
"""Finished seeds of an unfinished configuration are saved before they are older than this, however long a call is."""


class Prepared(NamedTuple):
    """The compiled ensemble with the data on its devices, what the records say of both, and TensorBoard's folder."""

    machine: "Ensemble"
    data: dict[str, Any]
    run: dict[str, Any]
    board: Path | None = None


class How(NamedTuple):
    """How a run is made, which changes no number.

    Attributes:
        strategy: `auto`, `vmap` or `map`, inside a device.
        devices: to use; all of them if None.
        preset: the named protocol, for the records.
        command: the command line, for the records.
        board: TensorBoard's folder.
    """

    strategy: str = "auto"
    devices: int | None = None
    preset: str | None = None
    command: str = ""
    board: Path | None = None


def prepare(plan: Plan, how: How) -> Prepared:
    """Load the data and compile.

    Raises:
        ValueError: data or devices are not there, or the folder's records were made otherwise; nothing is written.
    """
    started = datetime.now(UTC).isoformat(timespec="seconds")
    arrays = data.load(plan.spec.name, plan.data_dir, limit_train=plan.configs[0].limit_train)
    outcome.check_same_data(plan, arrays.source)
    print(f"data: {arrays.source}", flush=True)
    from jaxact.training import ensemble  # loads JAX, which missing data need not wait for

    check_same_settings(plan)
    print(COMPILING, flush=True)
    strategy = ensemble.resolve_strategy(how.strategy)
    machine = ensemble.Ensemble(
        plan.configs[0],
        plan.choices,
        arrays,
        size=len(plan.seeds) if strategy == "vmap" else None,
        strategy=strategy,
        devices=how.devices,
        probe=True,
    )
    run = {"started_utc": started, "command": how.command, "strategy": strategy, "call_size": machine.size}
    run |= {"preset": how.preset, "cut": plan.cut, "changed": plan.changed}
    run |= {"compile_seconds": round(machine.compile_seconds, 2), **runtime.environment()}
    sizes = {"train": len(arrays.train_labels), "test": len(arrays.test_labels)}
    return Prepared(machine, {"source": arrays.source, **sizes}, run, how.board)


def check_same_settings(plan: Plan) -> None:
    """Refuse to add runs to a folder whose records were made under other settings of JAX or XLA.

    Raises:
        ValueError: a setting that changes numbers differs, see `jaxact.numerics`.
    """
    ours = {"settings": numerics.settings()}
    for record in records.read_all(plan.out):
        if isinstance(record, records.Record):
            numerics.check_alike([*record.meta["runs"], ours], str(plan.out))


def train(plan: Plan, prepared: Prepared, todo: list[tuple[Config, int]]) -> None:
    """Train the jobs; a configuration's record is written when its last seed is done and, until then, every minute."""
    from jaxact.training import ensemble

    plan.out.mkdir(parents=True, exist_ok=True)
    with progress(len(todo) * plan.configs[0].epochs, plan.spec.name) as bar:
        finished = _Finished(plan, prepared, todo)
        try:
            for call in ensemble.plan_calls(todo, prepared.machine.size, prepared.machine.strategy):
                history = _run(prepared, call, bar)
                with stops.held_back():
                    lines = list(finished.take(call, history))
                for line in lines:
                    bar.say(line)
        finally:
            with stops.held_back():
                finished.save_rest()


class _Finished:
    """The seeds that are trained and not yet part of a whole record."""

    def __init__(self, plan: Plan, prepared: Prepared, todo: list[tuple[Config, int]]) -> None:
        self.plan, self.prepared = plan, prepared
        self.waiting, self.parts = Counter(config for config, _ in todo), defaultdict(list)
        self.saved: dict[Config, float] = {}
        self.clock = time.perf_counter()

    def take(self, call: "list[Job]", history: "History") -> Iterator[str]:
        """Keep the seeds of a call, write what is whole or waits too long; yields a line per whole configuration."""
        took, self.clock = time.perf_counter() - self.clock, time.perf_counter()
        for i, (config, seed) in enumerate(call):
            self.parts[config].append(Part(seed, history.arrays(i), took / len(call)))
        self.waiting.subtract(config for config, _ in call)
        for config in dict.fromkeys(config for config, _ in call):
            if not self.waiting[config]:
                record = save(self.plan, self.prepared, config, self.parts[config])
                del self.parts[config]
                yield outcome.one_line(record.subset(self.plan.seeds))
            elif self.clock + took > self.saved.setdefault(config, self.clock - took) + SAVE_SECONDS:
                save(self.plan, self.prepared, config, self.parts[config])
                self.saved[config] = self.clock

    def save_rest(self) -> None:
        """Write what is left, of a run that ends early; one that cannot be written does not keep the others."""
        failed: list[Exception] = []
        for config, parts in self.parts.items():
            try:
                save(self.plan, self.prepared, config, parts)
            except (OSError, ValueError) as error:
                failed.append(error)
        if failed:
            raise failed[0]


def _run(prepared: Prepared, call: "list[Job]", bar: Progress) -> "History":
    if prepared.board is None:
        return prepared.machine.run(call, lambda *_: bar.advance(len(call)))
    from jaxact.execution.tensorboard_watch import Watch

    def on_epoch(number: int, history: "History") -> None:
        watch.epoch(number, history)
        bar.advance(len(call))

    with Watch(prepared.board, prepared.machine, call) as watch:
        return prepared.machine.run(call, on_epoch, watch.state)


class Part(NamedTuple):
    """One finished seed of a configuration: its arrays and its share of the time."""

    seed: int
    arrays: dict[str, Any]
    seconds: float


def save(plan: Plan, prepared: Prepared, config: Config, parts: list[Part]) -> Record:
    """Add the seeds to the configuration's record; those saved before are replaced, and so is what is said of them."""
    parts = sorted(parts, key=lambda part: part.seed)
    seeds = [part.seed for part in parts]
    arrays = {name: np.stack([part.arrays[name] for part in parts]) for name in records.ARRAYS}
    run = prepared.run | {"seeds": seeds, "seconds": round(sum(part.seconds for part in parts), 2)}
    new = records.Record(config, np.array(seeds), arrays, {"data": prepared.data, "runs": [run]})
    return records.add(plan.out, new)
