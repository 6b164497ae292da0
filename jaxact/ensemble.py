"""Many networks at once: the ensemble axis sharded over the devices, `vmap` or `lax.map` inside a shard."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxact import activations as catalogue
from jaxact import training
from jaxact.config import MAX_SEED, Config
from jaxact.data import Dataset

AXIS = "ensemble"
STRATEGIES = ("auto", "vmap", "map")
MEMORY_SHARE, COPIES = 0.8, 4
MEMBERS, SHARED = PartitionSpec(AXIS), PartitionSpec()
Job = tuple[Config, int]


class History(NamedTuple):
    """What a run leaves of each member, as NumPy arrays; index 0 of the test axes is the state at initialisation.

    Attributes:
        train_loss, train_accuracy: [members, epochs], means over the epoch's batches, each before its own update.
        test_loss: [members, epochs + 1], nats; not finite once a member has diverged.
        test_correct, test_predicted: [members, epochs + 1, classes], test examples per class.
    """

    train_loss: np.ndarray
    train_accuracy: np.ndarray
    test_loss: np.ndarray
    test_correct: np.ndarray
    test_predicted: np.ndarray


def make_mesh(devices: int | None = None) -> Mesh:
    """A mesh of the first `devices` devices of the default backend (all of them if None) along the ensemble axis.

    Raises:
        ValueError: fewer than one device, or more than there are.
    """
    present = jax.devices()
    if devices is not None and not 1 <= devices <= len(present):
        raise ValueError(f"{devices} devices asked for, {len(present)} present: use 1 to {len(present)}")
    return Mesh(np.array(present[:devices]), (AXIS,))


def resolve_strategy(strategy: str) -> str:
    """`auto` → `map` on a CPU (one network at a time per device: it stays in cache), `vmap` on accelerators.

    Raises:
        ValueError: an unknown strategy.
    """
    if strategy not in STRATEGIES:
        raise ValueError(f"unknown strategy {strategy!r}: use one of {', '.join(STRATEGIES)}")
    if strategy == "auto":
        return "map" if jax.default_backend() == "cpu" else "vmap"
    return strategy


def over_members(
    fn: Callable[..., Any], mesh: Mesh, strategy: str, shared: Sequence[bool], *, donate: tuple[int, ...] = ()
) -> Any:
    """Turn a function of one member into a jitted function of an ensemble, sharded over the mesh.

    Args:
        fn: arrays of one member in, arrays of one member out.
        mesh: from `make_mesh`.
        strategy: `vmap` or `map`.
        shared: per argument, whether all members share it (True) or it has a leading ensemble axis (False).
        donate: positions of arguments whose buffers the result may reuse.

    Returns:
        A jitted function of the same arguments; leading axes are multiples of the number of devices.
    """

    def one(shared_arguments: list[Any], own: tuple[Any, ...]) -> Any:
        common, rest = iter(shared_arguments), iter(own)
        return fn(*(next(common) if alone else next(rest) for alone in shared))

    def shard(*arguments: Any) -> Any:
        if strategy == "vmap":
            return jax.vmap(fn, in_axes=tuple(None if alone else 0 for alone in shared))(*arguments)
        common = [argument for argument, alone in zip(arguments, shared, strict=True) if alone]
        own = tuple(argument for argument, alone in zip(arguments, shared, strict=True) if not alone)
        return jax.lax.map(lambda member: one(common, member), own)

    specs = tuple(SHARED if alone else MEMBERS for alone in shared)
    mapped = jax.shard_map(shard, mesh=mesh, in_specs=specs, out_specs=MEMBERS, check_vma=False)
    return jax.jit(mapped, donate_argnums=donate)


def fitting_size(wanted: int, member_bytes: Callable[[], int], mesh: Mesh) -> int:
    """Members of one call: what is wanted, as far as the devices' memory holds it, a multiple of the device count.

    A member in training counts `COPIES` times its state (state, gradients, updates, temporaries), within `MEMORY_SHARE`
    of what the backend may still take. A backend that does not tell (the CPU's) is not limited.

    Args:
        wanted: members asked for.
        member_bytes: tells the bytes of one member's train state; asked only where there is a limit.
        mesh: from `make_mesh`.
    """
    stats = mesh.devices.flat[0].memory_stats() or {}
    per_device = -(-wanted // mesh.size)
    if "bytes_limit" in stats:
        free = stats["bytes_limit"] - stats.get("bytes_in_use", 0)
        per_device = max(1, min(per_device, int(MEMORY_SHARE * free / (COPIES * member_bytes()))))
    return per_device * mesh.size


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

    def __init__(
        self,
        config: Config,
        choices: Sequence[str],
        data: Dataset,
        *,
        size: int | None = None,
        strategy: str = "auto",
        devices: int | None = None,
    ) -> None:
        """Place the data on the devices and compile.

        Args:
            config: the architecture and protocol; its own activations are ignored.
            choices: every catalogue name that a job may use.
            data: standardised arrays.
            size: members per call, see `fitting_size`; one per device if None.
            strategy: `vmap`, `map` or `auto`.
            devices: how many devices of the default backend to use; all if None.

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
        self._program = training.make_program(config, self.choices)
        self.size = fitting_size(size or 1, self._member_bytes, self.mesh)
        started = time.perf_counter()
        self._start, self._epoch, self._evaluate = self._compile()
        self.compile_seconds = time.perf_counter() - started

    def _member_bytes(self) -> int:
        which = np.zeros(len(self.config.widths), np.int32)
        state = jax.eval_shape(self._program.initialise, 0, which, self.example)
        return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state))

    def _put(self, tree: Any, spec: PartitionSpec) -> Any:
        return jax.device_put(tree, NamedSharding(self.mesh, spec))

    def _compile(self) -> tuple[Any, Any, Any]:
        program = self._program
        alone = self.strategy == "vmap"
        start = over_members(program.initialise, self.mesh, self.strategy, (False, alone, True))
        epoch = over_members(
            program.epoch, self.mesh, self.strategy, (False, False, alone, True, True, True), donate=(0,)
        )
        evaluate = over_members(program.evaluate, self.mesh, self.strategy, (False, alone, True, True))
        seeds, which = self._members([(self.config, 0)], [[0] * len(self.config.widths)])
        start = start.lower(seeds, which, self.example).compile()
        state = start(seeds, which, self.example)
        epoch = epoch.lower(state, seeds, which, self._number(0), *self.train).compile()
        return start, epoch, evaluate.lower(state, which, *self.test).compile()

    def _number(self, number: int) -> Any:
        return self._put(np.int32(number), SHARED)

    def _members(self, jobs: Sequence[Job], which: list[list[int]]) -> tuple[Any, Any]:
        padded = [*jobs, *[jobs[-1]] * (self.size - len(jobs))]
        seeds = self._put(np.array([seed for _, seed in padded], np.int32), MEMBERS)
        if self.strategy == "vmap":
            return seeds, self._put(np.array(which[0], np.int32), SHARED)
        rows = [*which, *[which[-1]] * (self.size - len(jobs))]
        return seeds, self._put(np.array(rows, np.int32), MEMBERS)

    def run(self, jobs: Sequence[Job], on_epoch: Callable[[int, History], None] | None = None) -> History:
        """Train one call of at most `size` jobs (see `plan_calls`) for `config.epochs` epochs.

        Args:
            jobs: configurations of this ensemble's architecture, with their seeds.
            on_epoch: called after every epoch with its number (from 1) and the history so far.

        Returns:
            The history of the jobs, in their order, padding dropped.
        """
        self._check(jobs)
        seeds, which = self._members(jobs, [training.which_of(config, self.choices) for config, _ in jobs])
        state = self._start(seeds, which, self.example)
        infos: list[Any] = []
        evaluations = [jax.device_get(self._evaluate(state, which, *self.test))]
        for number in range(self.config.epochs):
            state, info = self._epoch(state, seeds, which, self._number(number), *self.train)
            evaluations.append(jax.device_get(self._evaluate(state, which, *self.test)))
            infos.append(jax.device_get(info))
            if on_epoch is not None:
                on_epoch(number + 1, self._history(infos, evaluations, len(jobs)))
        return self._history(infos, evaluations, len(jobs))

    def _check(self, jobs: Sequence[Job]) -> None:
        if not 1 <= len(jobs) <= self.size:
            raise ValueError(f"{len(jobs)} jobs in a call of 1 to {self.size}: cut them with plan_calls")
        for config, _ in jobs:
            for field, ours in self.config.as_dict().items():
                theirs = config.as_dict()[field]
                if field != "activations" and theirs != ours:
                    raise ValueError(
                        f"a job has {field} {theirs!r}, this ensemble {ours!r}: make another ensemble for it"
                    )
            for name in set(config.activations) - set(self.choices):
                raise ValueError(
                    f"a job uses {name}, the ensemble has {', '.join(self.choices)}: add it to the choices"
                )
        if self.strategy == "vmap" and len({config.activations for config, _ in jobs}) > 1:
            raise ValueError("the jobs of a vmap call share their activations: cut them with plan_calls")

    @staticmethod
    def _history(infos: list[Any], evaluations: list[Any], members: int) -> History:
        loss, accuracy = (np.stack(column, axis=1)[:members] for column in zip(*infos, strict=True))
        columns = (np.stack(column, axis=1)[:members] for column in zip(*evaluations, strict=True))
        return History(loss, accuracy, *columns)


def run_jobs(ensemble: Ensemble, jobs: Sequence[Job], **options: Any) -> Iterator[tuple[Job, History]]:
    """Train all `jobs`, call by call, and yield each with its own history (leading axis of length 1)."""
    for call in plan_calls(jobs, ensemble.size, ensemble.strategy):
        history = ensemble.run(call, **options)
        for i, job in enumerate(call):
            yield job, History(*(column[i : i + 1] for column in history))


def train_seeds(config: Config, data: Dataset, seeds: Sequence[int], *, strategy: str = "auto") -> History:
    """Train one configuration from several seeds.

    Args:
        config: the configuration.
        data: standardised arrays.
        seeds: distinct whole numbers; each one's result depends on that seed alone.
        strategy: `vmap`, `map` or `auto`.

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
    ensemble = Ensemble(config, tuple(dict.fromkeys(config.activations)), data, size=size, strategy=strategy)
    parts = [history for _, history in run_jobs(ensemble, [(config, seed) for seed in seeds])]
    return History(*(np.concatenate(column) for column in zip(*parts, strict=True)))
