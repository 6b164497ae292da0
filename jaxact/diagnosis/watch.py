"""A network watched while it trains: a callback for any loop that names units, outputs and layers when they die."""

import operator
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.core import Tracer
from jaxtyping import Array

from jaxact.diagnosis import adapters, batches, instances, snapshots
from jaxact.diagnosis.deaths import BrokenWarning, Death, DeathWarning, broken_text, new_deaths
from jaxact.diagnosis.graph import check_deterministic
from jaxact.diagnosis.snapshots import Snapshot, SnapshotArrays
from jaxact.diagnosis.tools import Tools, tools_for
from jaxact.report.tensorboard import check_tensorboard, writer_of

__all__ = ["BrokenWarning", "Death", "DeathWarning", "Watcher", "watch"]


def watch(
    apply_fn: Any,
    batch: Any,
    every: int,
    *,
    labels: Any = None,
    activations: Mapping[str, str] | None = None,
    tensorboard: str | Path | None = None,
    on_death: Callable[[Death], Any] | None = None,
    chunk: int = 128,
) -> "Watcher":
    """A callback for a training loop: call it after every step with (step, variables).

    At every `every` steps it looks at the network on a fixed batch, with what `jaxact.diagnose` measures, compiled
    once; at all other steps it does nothing. It warns when units die: each unit once, all of a layer together, with
    the step. It also warns, once, when something is NaN or infinite, and names the layer; training goes on.

    Args:
        apply_fn: as for `jaxact.diagnose`, in evaluation mode. For a model that brings its own variables (NNX,
            Equinox, a train state): the model, and at every call the model of that step in the place of variables.
        batch: [examples, ...], prepared as in training; 64 to 1,000 of them. With fewer than 32 a unit that is off by
            chance counts as dead.
        every: steps between two looks; step 0 is one.
        labels: class numbers of the batch from 0, for the cross-entropy and its gradients.
        activations: names of the catalogue by layer, as for `jaxact.diagnose`.
        tensorboard: a folder for scalars of every look; needs `jaxact[tensorboard]`.
        on_death: is called with each `Death` instead of the warning; what it raises ends the caller's loop.
        chunk: examples in memory at a time.

    Returns:
        The callback, which keeps what it saw.

    Raises:
        ValueError: `every` below 1, a batch or labels that do not fit, no tensorboardX, a folder that cannot be
            written; at the first look, what `jaxact.diagnose` refuses; a call inside jit, grad or vmap.
    """
    if not isinstance(every, int | np.integer) or isinstance(every, bool) or every < 1:
        raise ValueError(f"every is {every!r}: give the steps between two looks, a whole number of at least 1")
    if not instances.brings_variables(apply_fn):
        adapters.plain_function(apply_fn)
    images, classes = batches.checked_batch(batch, labels)
    writer = None if tensorboard is None else _writer(tensorboard)
    hints = tuple(sorted((activations or {}).items()))
    return Watcher(_Eye(apply_fn, images, classes, hints, chunk), int(every), writer, on_death)


class Watcher:
    """The callback of `jaxact.watch`; as a context it closes TensorBoard's file.

    Attributes:
        looks: what was seen, one `Snapshot` per look.
        deaths: every unit, output and layer that died, in the order in which they were found.
    """

    def __init__(self, eye: "_Eye", every: int, writer: Any, on_death: Callable[[Death], Any] | None) -> None:
        self.looks: list[Snapshot] = []
        self.deaths: list[Death] = []
        self._eye, self._every, self._writer, self._on_death = eye, every, writer, on_death
        self._told: list[set[int]] = []
        self._broken = False

    def __call__(self, step: Any, variables: Any, info: Mapping[str, Any] | None = None) -> Snapshot | None:
        """Look at the network if `step` is a multiple of `every`.

        Args:
            step: the number of steps made; a Python number costs nothing, an array is waited for.
            variables: a pytree of arrays, a `TrainState`, or the model itself where it brings its own.
            info: numbers of the caller's to be kept beside, such as loss and learning rate.

        Returns:
            What was seen; None at the steps between.
        """
        number = _number(step)
        if number % self._every:
            return None
        look = self._eye.look(number, variables, _numbers(info or {}))
        before = self.looks[-1].step if self.looks else None
        self.looks.append(look)
        if self._writer is not None:
            for tag, value in snapshots.scalars(look).items():
                self._writer.add_scalar(tag, value, number)
            self._writer.flush()
        broken = broken_text(look, before, *self._eye.broken_leaf(variables, look))
        if broken and not self._broken:
            self._broken = True
            warnings.warn(broken, BrokenWarning, stacklevel=2)
        if not broken:
            self._tell(look, before)
        return look

    def _tell(self, look: Snapshot, before: int | None) -> None:
        self._told = self._told or [set[int]() for _ in look.layers]
        found = new_deaths(look, before, self._told, self._eye.last, self._eye.able)
        self.deaths += found
        if found and self._on_death is None:
            warnings.warn("; ".join(map(str, found)), DeathWarning, stacklevel=3)
        for death in found:
            if self._on_death is not None:
                self._on_death(death)

    @property
    def arrays(self) -> SnapshotArrays:
        """The numbers of all looks, [looks, layers]."""
        return snapshots.arrays(self.looks)

    def rows(self) -> list[dict[str, Any]]:
        """Tidy rows: one per look and layer."""
        return snapshots.rows(self.looks)

    def to_csv(self) -> str:
        """The rows as text, with a header; "" before the first look."""
        return snapshots.csv(self.looks)

    def close(self) -> None:
        """Close TensorBoard's file."""
        if self._writer is not None:
            self._writer.close()

    def __enter__(self) -> "Watcher":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Eye:
    """A network and its batch; traces and compiles at the first look, and again only if the variables' form changes."""

    def __init__(
        self, apply_fn: Any, images: Any, labels: Array | None, hints: tuple[tuple[str, str], ...], chunk: int
    ) -> None:
        self._apply_fn, self._images, self._labels, self._hints, self._chunk = apply_fn, images, labels, hints, chunk
        self._form: adapters.Form | None = None
        self._tools: Tools | None = None
        self._known: Any = None
        self.last: tuple[int, ...] = ()
        self.able: tuple[bool, ...] = ()

    def look(self, step: int, variables: Any, info: Mapping[str, float]) -> Snapshot:
        function, leaves, form = self._opened(variables)
        if self._tools is None or form != self._form:
            self._form, self._tools, self._known = form, self._admitted(function, form, leaves), None
            edges = self._tools.edges
            self.last = tuple(layer for layer in edges.sinks() if layer in edges.essential)
        if self._known is None or not all(self.able):  # a factor behind an activation may start at 0
            self._known = self._tools.slopes(leaves, self._images)
            self.able = tuple(float(slopes.steepest) > 0 for slopes in jax.device_get(self._known))
        return snapshots.snapshot(self._tools, self._known, leaves, self._images, self._labels, step, info)

    def broken_leaf(self, variables: Any, look: Snapshot) -> tuple[str, int]:
        """The first parameter with entries that are not finite, looked for only where a layer is broken."""
        if not any(layer.broken or layer.broken_gradient for layer in look.layers):
            return "", 0
        _, leaves, form = self._opened(variables)
        return adapters.broken_leaf(leaves, adapters.paths_of(form.structure))

    def _opened(self, variables: Any) -> tuple[Any, list[Array], adapters.Form]:
        if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(variables)):
            raise ValueError("watch was called inside jit, grad or vmap: call it between the steps, on the host")
        own = instances.brings_variables(self._apply_fn)
        pair = (variables, None) if own else (self._apply_fn, variables)
        instances.check_variables(*pair, self._images)
        function, opened = instances.opened(*pair, self._images)
        form, leaves = adapters.form_of(opened, self._images)
        return function, leaves, form

    def _admitted(self, function: Any, form: adapters.Form, leaves: list[Array]) -> Tools:
        """The network, after the checks of `diagnose`."""
        tools = tools_for(function, form, self._hints, self._chunk)
        graph = tools.network.subject.graph
        check_deterministic(graph)
        if self._labels is not None:
            shape = graph.shapes[graph.output]
            batches.check_classes(self._labels, shape)
            low, high = int(self._labels.min()), int(self._labels.max())
            if batches.counted_from_one(low, high, shape[1]):
                raise ValueError(f"labels run from 1 to {high}, the network has {shape[1]} classes: count them from 0")
        adapters.check_independent(tools.network, leaves, self._images)
        return tools


def _writer(folder: str | Path) -> Any:
    check_tensorboard("tensorboard=")
    try:
        return writer_of(Path(folder).expanduser())
    except OSError as error:
        raise ValueError(f"tensorboard={str(folder)!r} cannot be written ({error.strerror}): name another") from error


def _number(step: Any) -> int:
    if isinstance(step, Tracer):
        raise ValueError("watch was called inside jit, grad or vmap: call it between the steps, on the host")
    try:
        return operator.index(step)
    except TypeError:
        raise ValueError(f"step is {step!r}: give a whole number, the steps made so far") from None


def _numbers(info: Mapping[str, Any]) -> dict[str, float]:
    try:
        return {name: float(value) for name, value in info.items()}
    except (TypeError, ValueError):
        raise ValueError(f"info is {info!r}: give a mapping of names to numbers, or leave it out") from None
