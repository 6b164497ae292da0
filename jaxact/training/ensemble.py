"""Many networks at once: jobs of a configuration and a seed each, trained in calls of one compiled program."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from jaxact import activations as catalogue
from jaxact import numerics
from jaxact.config import MAX_SEED, Config, halves_of
from jaxact.data import Dataset
from jaxact.probes import Probe, make_probe
from jaxact.training.epoch import Evaluation, TrainState, evaluation_sums, make_model, make_program, which_of
from jaxact.training.parallel import MEMBERS, SHARED, fitting_size, make_mesh, over_members, resolve_strategy

Job = tuple[Config, int]


class History(NamedTuple):
    """What a run leaves of each member, as NumPy arrays; index 0 of the test axes is the state at initialisation.

    Attributes:
        train_loss, train_accuracy: [members, epochs], means over the epoch's batches, each before its own update.
        test_loss: [members, epochs + 1], nats; not finite once a member has diverged.
        test_correct, test_predicted: [members, epochs + 1, classes], test examples per class.
        probes: of every member at initialisation and after every epoch, [members, epochs + 1, ...]; None if not asked.
    """

    train_loss: np.ndarray
    train_accuracy: np.ndarray
    test_loss: np.ndarray
    test_correct: np.ndarray
    test_predicted: np.ndarray
    probes: Probe | None = None

    def arrays(self, member: int) -> dict[str, np.ndarray]:
        """One member's columns by name, those of the probes as `probe_<name>`: what `jaxact.records` keeps."""
        columns = {name: column[member] for name, column in zip(self._fields[:-1], self[:-1], strict=True)}
        seen = self.probes._asdict() if self.probes else {}
        return columns | {f"probe_{name}": column[member] for name, column in seen.items()}


def plan_calls(jobs: Sequence[Job], size: int, strategy: str) -> list[list[Job]]:
    """Cut jobs into calls of at most `size` members.

    Members of a `map` call may have different activations; those of a `vmap` call share them, since a switch over a
    batched index would compute every branch.
    """
    calls: list[list[Job]] = []
    for job in jobs:
        last = calls[-1] if calls else []
        fits = 0 < len(last) < size and (strategy == "map" or last[0][0].activations == job[0].activations)
        if fits:
            last.append(job)
        else:
            calls.append([job])
    return calls


class Ensemble:
    """One architecture, compiled once, that trains any number of (configuration, seed) jobs on one data set."""

    @numerics.pinned()
    def __init__(
        self,
        config: Config,
        choices: Sequence[str],
        data: Dataset,
        *,
        size: int | None = None,
        strategy: str = "auto",
        devices: int | None = None,
        probe: bool = False,
    ) -> None:
        """Place the data on the devices and compile.

        Args:
            config: the architecture and protocol; of its own activations only counts whether they come in halves.
            choices: every catalogue name that a job may use.
            data: standardised arrays.
            size: members per call, see `fitting_size`; one per device if None.
            strategy: `vmap`, `map` or `auto`.
            devices: how many devices of the default backend to use; all if None.
            probe: look into every network at initialisation and after every epoch (`jaxact.probes`).

        Raises:
            ValueError: a batch that does not fit the data, too many devices, an unknown strategy.
        """
        config.steps_per_epoch(len(data.train_images))
        if data.train_images.ndim != 2:
            raise ValueError(f"images of shape {data.train_images.shape} are not flat: load them with flat=True")
        classes = 1 + max(int(data.train_labels.max()), int(data.test_labels.max()))
        if classes > config.widths[-1]:
            raise ValueError(
                f"the last width is {config.widths[-1]}, the labels need {classes}: widen the output layer"
            )
        if size is not None and size < 1:
            raise ValueError(f"size must be at least 1 member per call, got {size}")
        self.config, self.choices = config, tuple(catalogue.get(name).spec for name in choices)
        self.mesh, self.strategy = make_mesh(devices), resolve_strategy(strategy)
        limit = config.limit_train
        self.train = self._put((data.train_images[:limit], data.train_labels[:limit]), SHARED)
        self.test = self._put((data.test_images, data.test_labels), SHARED)
        self.example = self._put(data.train_images[0], SHARED)
        self._program = make_program(config, self.choices)
        self.size = fitting_size(size or 1, self._member_bytes, self.mesh)
        started = time.perf_counter()
        self._start, self._epoch, self._evaluate = self._compile(probe)
        self.compile_seconds = time.perf_counter() - started

    def _member_bytes(self) -> int:
        which = np.array(self._first(), np.int32)
        state = jax.eval_shape(self._program.initialise, 0, which, self.example)
        return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state))

    def _first(self) -> list[Any]:
        """The first choice in every layer."""
        return [[0, 0] if self.config.paired else 0] * len(self.config.widths)

    def _put(self, tree: Any, spec: PartitionSpec) -> Any:
        return jax.device_put(tree, NamedSharding(self.mesh, spec))

    def _compile(self, probe: bool) -> tuple[Any, Any, Any]:
        program = self._program
        alone = self.strategy == "vmap"
        look = make_probe(make_model(self.config, self.choices), evaluation_sums) if probe else None

        def evaluate(state: Any, which: Any, test: Any, train: Any) -> tuple[Evaluation, Any]:
            if look is None:
                return program.evaluate(state, which, *test), None
            variables = {"params": state.params, "batch_stats": state.batch_stats}
            seen, sums = look(variables, which, test, *train)  # one pass over the test set for both
            return sums._replace(loss=sums.loss / len(test[1])), seen

        start = over_members(program.initialise, self.mesh, self.strategy, (False, alone, True))
        epoch = over_members(
            program.epoch, self.mesh, self.strategy, (False, False, alone, True, True, True), donate=(0,)
        )
        scores = over_members(evaluate, self.mesh, self.strategy, (False, alone, True, True))
        seeds, which = self._members([(self.config, 0)], [self._first()])
        sharding = NamedSharding(self.mesh, MEMBERS)
        state = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
            jax.eval_shape(start, seeds, which, self.example),
        )
        lowered = (
            epoch.lower(state, seeds, which, self._number(0), *self.train),
            start.lower(seeds, which, self.example),
            scores.lower(state, which, self.test, self.train),
        )
        with ThreadPoolExecutor(len(lowered)) as pool:  # XLA compiles outside the interpreter's lock
            compiled = list(pool.map(lambda program: program.compile(), lowered))
        return compiled[1], compiled[0], compiled[2]

    def _number(self, number: int) -> Any:
        return self._put(np.int32(number), SHARED)

    def _members(self, jobs: Sequence[Job], which: list[list[Any]]) -> tuple[Any, Any]:
        padded = [*jobs, *[jobs[-1]] * (self.size - len(jobs))]
        seeds = self._put(np.array([seed for _, seed in padded], np.int32), MEMBERS)
        if self.strategy == "vmap":
            return seeds, self._put(np.array(which[0], np.int32), SHARED)
        rows = [*which, *[which[-1]] * (self.size - len(jobs))]
        return seeds, self._put(np.array(rows, np.int32), MEMBERS)

    @numerics.pinned()
    def run(
        self,
        jobs: Sequence[Job],
        on_epoch: Callable[[int, History], None] | None = None,
        on_state: Callable[[int, TrainState], None] | None = None,
    ) -> History:
        """Train one call of at most `size` jobs (see `plan_calls`) for `config.epochs` epochs.

        Args:
            jobs: configurations of this ensemble's architecture, with their seeds.
            on_epoch: called after every epoch with its number (from 1) and the history so far.
            on_state: called at initialisation and after every epoch with its number (from 0) and the members' states,
                jobs first, padding last; valid until it returns, for the next epoch takes over their memory.

        Returns:
            The history of the jobs, in their order, padding dropped.
        """
        self._check(jobs)
        seeds, which = self._members(jobs, [which_of(config, self.choices) for config, _ in jobs])
        state = self._start(seeds, which, self.example)
        infos: list[Any] = []
        if on_state is not None:
            on_state(0, state)
        looks = [jax.device_get(self._evaluate(state, which, self.test, self.train))]
        for number in range(self.config.epochs):
            state, info = self._epoch(state, seeds, which, self._number(number), *self.train)
            looks.append(jax.device_get(self._evaluate(state, which, self.test, self.train)))
            infos.append(jax.device_get(info))
            if on_state is not None:
                on_state(number + 1, state)
            if on_epoch is not None:
                on_epoch(number + 1, self._history(infos, looks, len(jobs)))
        return self._history(infos, looks, len(jobs))

    def _check(self, jobs: Sequence[Job]) -> None:
        if not 1 <= len(jobs) <= self.size:
            raise ValueError(f"{len(jobs)} jobs in a call of 1 to {self.size}: cut them with plan_calls")
        for config, _ in jobs:
            for field, ours in asdict(self.config).items():
                theirs = getattr(config, field)
                if field != "activations" and theirs != ours:
                    raise ValueError(
                        f"a job has {field} {theirs!r}, this ensemble {ours!r}: make another ensemble for it"
                    )
            if config.paired != self.config.paired:
                raise ValueError(f"{config.name} and {self.config.name} differ in halves: make another ensemble for it")
            used = {half for layer in config.activations for half in halves_of(layer)}
            for name in used - set(self.choices):
                raise ValueError(
                    f"a job uses {name}, the ensemble has {', '.join(self.choices)}: add it to the choices"
                )
        if self.strategy == "vmap" and len({config.activations for config, _ in jobs}) > 1:
            raise ValueError("the jobs of a vmap call share their activations: cut them with plan_calls")

    @staticmethod
    def _history(infos: list[Any], looks: list[Any], members: int) -> History:
        def stacked(parts: Sequence[Any]) -> Any:
            return jax.tree.map(lambda *column: np.stack(column, axis=1)[:members], *parts)

        evaluations, seen = zip(*looks, strict=True)
        return History(*(*stacked(infos), *stacked(evaluations)), probes=stacked(seen))


def run_jobs(ensemble: Ensemble, jobs: Sequence[Job], **options: Any) -> Iterator[tuple[Job, History]]:
    """Train all `jobs`, call by call, and yield each with its own history (leading axis of length 1)."""
    for call in plan_calls(jobs, ensemble.size, ensemble.strategy):
        history = ensemble.run(call, **options)
        for i, job in enumerate(call):
            yield job, jax.tree.map(lambda column, i=i: column[i : i + 1], history)


def train_seeds(
    config: Config, data: Dataset, seeds: Sequence[int], *, strategy: str = "auto", probe: bool = False
) -> History:
    """Train one configuration from several seeds.

    Args:
        config: the configuration.
        data: standardised arrays.
        seeds: distinct whole numbers; each one's result depends on that seed alone.
        strategy: `vmap`, `map` or `auto`.
        probe: look into every network, see `Ensemble`.

    Returns:
        Histories with the seeds as leading axis, in the order given.

    Raises:
        ValueError: no seed, or a configuration that does not fit the data.
    """
    if not len(seeds):
        raise ValueError("seeds is empty: give at least one seed, e.g. range(9)")
    if len(set(seeds)) < len(seeds) or not all(0 <= seed <= MAX_SEED for seed in seeds):
        raise ValueError(f"seeds must be distinct and from 0 to {MAX_SEED}, got {list(seeds)[:9]}")
    size = len(seeds) if resolve_strategy(strategy) == "vmap" else None
    choices = tuple(dict.fromkeys(half for name in config.activations for half in halves_of(name)))
    ensemble = Ensemble(config, choices, data, size=size, strategy=strategy, probe=probe)
    parts = [history for _, history in run_jobs(ensemble, [(config, seed) for seed in seeds])]
    return jax.tree.map(lambda *column: np.concatenate(column), *parts)
