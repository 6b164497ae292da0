"""Watches the members of a call of an ensemble while they train, and writes what it sees for TensorBoard."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxact import training
from jaxact.execution.tensorboard import EVENTS, run_folder, scalars, write
from jaxact.records import Record
from jaxact.report.tensorboard import writer_of
from jaxact.training.ensemble import Ensemble, History, Job

EXAMPLES, BINS = 200, 64


class Watch:
    """Writes the members of one call of an ensemble while they train; a context that closes the files."""

    def __init__(self, folder: Path, machine: Ensemble, call: Sequence[Job]) -> None:
        self.call = call
        self._folder, self._open, self._writers = folder, ExitStack(), []
        self._which = [np.array(training.which_of(config, machine.choices)) for config, _ in call]
        self._forward = _forward(machine)

    def __enter__(self) -> "Watch":
        for config, seed in self.call:
            path = run_folder(self._folder, config, seed)
            for old in path.glob(EVENTS):
                old.unlink()
            self._writers.append(self._open.enter_context(writer_of(path)))
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def epoch(self, number: int, history: History) -> None:
        """The scalars of epoch `number`, and with the first those of initialisation."""
        first = 0 if number == 1 else number
        for i, ((config, seed), writer) in enumerate(zip(self.call, self._writers, strict=True)):
            arrays = {name: value[None] for name, value in history.arrays(i).items()}
            found = scalars(Record(config, np.array([seed]), arrays, {}))
            write(writer, (point for point in found if point[1] >= first))

    def state(self, number: int, state: Any) -> None:
        """The histograms of the pre-activations after epoch `number`, 0 being initialisation."""
        for i, (which, writer) in enumerate(zip(self._which, self._writers, strict=True)):
            variables = {"params": state.params, "batch_stats": state.batch_stats}
            member = jax.tree.map(lambda leaf, i=i: np.asarray(leaf[i]), variables)
            for layer, h in self._forward(member, which).items():
                values = np.asarray(h, float).ravel()
                if np.isfinite(values).all():
                    writer.add_histogram(f"pre_activations/{layer}", values, number, bins=BINS)  # pyright: ignore[reportArgumentType]


def _forward(machine: Ensemble) -> Any:
    """(variables of one member, which) → {layer: pre-activations} of the first test examples."""
    model = training.make_model(machine.config, machine.choices)
    images = jnp.asarray(np.asarray(machine.test[0][:EXAMPLES]))
    return jax.jit(lambda variables, which: model.apply(variables, images, which)[1])
