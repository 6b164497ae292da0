"""Train every combination of activations, all seeds of a configuration in parallel, and compare with the study.

    python -m experiments.grid                      the whole MNIST study: 64 combinations x 9 seeds x 10 epochs
    python -m experiments.grid --preset quick       what `make grid` runs
    python -m experiments.grid --configs '*-sigmoid-relu' --seeds 0,3,17-25 --out DIR

It may be stopped at any time; the same command goes on where it stopped. Times and expected numbers: BUILD.md.
"""

import argparse
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from jaxact.config import Config
from jaxact.execution import runtime, stops
from jaxact.execution.checks import Parser
from jaxact.study import presets
from jaxact.study.plan import Plan, make_plans

if TYPE_CHECKING:
    from jaxact.execution.progress import Progress
    from jaxact.records import Record
    from jaxact.training.ensemble import Ensemble, History, Job

MODULE = "experiments.grid"
SAVE_SECONDS = 60.0
"""Finished seeds of an unfinished configuration are saved before they are older than this, however long a call is."""


def parser() -> Parser:
    """The options; those of the protocol default to None, `presets.STUDY` has their values."""
    names = "; ".join(f"{name}: {text}" for name, text in presets.SUMMARIES.items())
    p = Parser.of(MODULE, __doc__)
    p.add_argument("--preset", help=f"a named protocol ({names})")
    protocol = p.add_argument_group("protocol (default: the study's)")
    protocol.add_argument("--dataset", help="mnist, fashion_mnist, cifar10 or digits")
    protocol.add_argument(
        "--activations",
        nargs="+",
        metavar="NAME",
        help="(relu tanh sigmoid selu) any of the catalogue, all for every "
        "elementwise one, your own as package.module:function",
    )
    protocol.add_argument(
        "--halves", action="store_true", default=None, help="two activations per layer, one for each half of its units"
    )
    protocol.add_argument("--layers", type=int, help="number of layers, the output layer included (3)")
    protocol.add_argument("--widths", nargs="+", type=int, metavar="N", help="units per layer (500 256 10)")
    protocol.add_argument(
        "--architecture", help="mlp, or lenet: relu-f1-f1-f2-identity for f1 and f2 of --activations (mlp)"
    )
    protocol.add_argument("--configs", nargs="+", metavar="A-B-C", help="only these; * stands for any layers, quote it")
    protocol.add_argument("--seeds", help="a count (9) or a list such as 0,3,17-25")
    protocol.add_argument("--epochs", type=int, help="passes over the training set (10)")
    protocol.add_argument("--batch-size", type=int, help="examples per step (32)")
    protocol.add_argument("--lr", nargs="+", type=float, help="learning rate, one or several (0.01)")
    protocol.add_argument("--momentum", type=float, help="heavy-ball momentum (0.5 for sgd, 0 otherwise)")
    protocol.add_argument(
        "--optimizer", nargs="+", help="optax's, or torch_rmsprop, torch_adagrad, torch_adadelta (sgd)"
    )
    protocol.add_argument(
        "--batch-norm", nargs="+", metavar="LAYERS", help="none, all, last or layer numbers such as 1,3 (none)"
    )
    protocol.add_argument(
        "--init", nargs="+", help="torch_default, lecun_normal, he_normal, glorot_uniform or orthogonal"
    )
    protocol.add_argument("--limit-train", type=int, metavar="N", help="train on the first N examples only")
    run = p.add_argument_group("running")
    run.add_argument("--data-dir", help="a folder with the data set's files; otherwise jaxact finds or fetches them")
    run.add_argument("--out", help="folder of the records (runs/<preset or data set>)")
    run.add_argument("--strategy", default="auto", choices=("auto", "vmap", "map"), help="inside a device (auto)")
    run.add_argument("--devices", type=int, help="devices to use (all; on a CPU one per core)")
    run.add_argument("--tensorboard", metavar="DIR", help="also write scalars and histograms there, for TensorBoard")
    run.add_argument("--dry-run", action="store_true", help="print the plan and its estimated time, run nothing")
    return p


def plan_from(p: Parser, argv: list[str] | None) -> tuple[list[Plan], argparse.Namespace]:
    """Parse and check; a user's mistake ends here, in one line with exit status 2."""
    options = p.parse_args(argv)
    if options.preset is not None and options.preset not in presets.PRESETS:
        p.error(f"unknown preset {options.preset!r}: use one of {', '.join(presets.PRESETS)}")
    if options.devices is not None and not 1 <= options.devices <= 1024:
        p.error(f"--devices must be from 1 to 1024, got {options.devices}")
    runtime.set_devices(options.devices)
    with p.checked():
        return make_plans(options.preset, presets.PRESETS[options.preset or "paper"], options), options


def main(argv: list[str] | None = None) -> int:
    """Run the grid.

    Returns:
        Exit status: 0 done, 2 bad input (nothing written), 130 or 143 stopped (what was finished is recorded).
    """
    p = parser()
    plans, options = plan_from(p, argv)
    from jaxact.execution import tensorboard
    from jaxact.study import outcome, outcome_files

    with p.checked():
        board = tensorboard.check(options.tensorboard) if options.tensorboard is not None else None

    try:
        todo = [outcome.pending(plan) for plan in plans]
    except ValueError as error:
        p.refuse(error)
    if options.dry_run:
        print(outcome.describe(plans))
        return 0
    try:
        for plan, jobs in zip(plans, todo, strict=True):
            print(outcome.opening(plan, jobs, alone=len(plans) == 1), flush=True)
            if jobs:
                runtime.configure(options.devices)
                train(plan, prepare(p, plan, options)._replace(board=board), jobs)
    except KeyboardInterrupt as stop:
        return runtime.stopped(stop, f"what was finished is in {plans[0].out}: the same command goes on from there")
    if board is not None:
        tensorboard.backfill(board, outcome_files.stored(plans[0].out)[0])
    print(outcome_files.finish(plans, runtime.command(MODULE)))
    return 0


class Prepared(NamedTuple):
    """The compiled ensemble with the data on its devices, what the records say of both, and TensorBoard's folder."""

    machine: "Ensemble"
    data: dict[str, Any]
    run: dict[str, Any]
    board: Path | None = None


def prepare(p: Parser, plan: Plan, options: argparse.Namespace) -> Prepared:
    """Load the data and compile; data or devices that are not there end here, with status 2 and nothing written."""
    from jaxact import data
    from jaxact.study import outcome

    started = datetime.now(UTC).isoformat(timespec="seconds")
    try:
        arrays = data.load(plan.spec.name, plan.data_dir, limit_train=plan.configs[0].limit_train)
        outcome.check_same_data(plan, arrays.source)
        print(f"data: {arrays.source}", flush=True)
        from jaxact.execution import progress
        from jaxact.training import ensemble  # loads JAX, which missing data need not wait for

        check_same_settings(plan)
        print(progress.COMPILING, flush=True)
        strategy = ensemble.resolve_strategy(options.strategy)
        size = len(plan.seeds) if strategy == "vmap" else None
        machine = ensemble.Ensemble(
            plan.configs[0],
            plan.choices,
            arrays,
            size=size,
            strategy=strategy,
            devices=options.devices,
            probe=True,
        )
    except ValueError as error:
        p.refuse(error)
    run = {"started_utc": started, "command": runtime.command(MODULE), "strategy": strategy, "call_size": machine.size}
    run |= {"preset": options.preset, "cut": plan.cut, "changed": plan.changed}
    run |= {"compile_seconds": round(machine.compile_seconds, 2), **runtime.environment()}
    sizes = {"train": len(arrays.train_labels), "test": len(arrays.test_labels)}
    return Prepared(machine, {"source": arrays.source, **sizes}, run)


def check_same_settings(plan: Plan) -> None:
    """Refuse to add runs to a folder whose records were made under other settings of JAX or XLA.

    Raises:
        ValueError: a setting that changes numbers differs, see `jaxact.numerics`.
    """
    from jaxact import numerics, records

    ours = {"settings": numerics.settings()}
    for record in records.read_all(plan.out):
        if isinstance(record, records.Record):
            numerics.check_alike([*record.meta["runs"], ours], str(plan.out))


def train(plan: Plan, prepared: Prepared, todo: list[tuple[Config, int]]) -> None:
    """Train the jobs; a configuration's record is written when its last seed is done and, until then, every minute."""
    from jaxact.execution.progress import progress
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
        from jaxact.study import outcome

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


def _run(prepared: Prepared, call: "list[Job]", bar: "Progress") -> "History":
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


def save(plan: Plan, prepared: Prepared, config: Config, parts: list[Part]) -> "Record":
    """Add the seeds to the configuration's record; those saved before are replaced, and so is what is said of them."""
    import numpy as np

    from jaxact import records

    parts = sorted(parts, key=lambda part: part.seed)
    seeds = [part.seed for part in parts]
    arrays = {name: np.stack([part.arrays[name] for part in parts]) for name in records.ARRAYS}
    run = prepared.run | {"seeds": seeds, "seconds": round(sum(part.seconds for part in parts), 2)}
    new = records.Record(config, np.array(seeds), arrays, {"data": prepared.data, "runs": [run]})
    return records.add(plan.out, new)
