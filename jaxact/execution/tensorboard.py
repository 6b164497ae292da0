"""What `experiments.grid --tensorboard DIR` writes: scalars and histograms of every run, for TensorBoard.

A run is a configuration and a seed, its folder `<configuration>-<digest8>/seed<seed>`, as the records are named. The
scalars are those of the record, at initialisation and after every epoch; the histograms are of the pre-activations of
the first test examples. A run that starts again replaces what it wrote before, so no point is there twice.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxact import records
from jaxact.config import Config
from jaxact.execution.checks import check_out
from jaxact.records import Record

if TYPE_CHECKING:
    from tensorboardX import SummaryWriter

    from jaxact.training.ensemble import Ensemble, History, Job

EVENTS = "events.out.tfevents.*"
EXAMPLES, BINS = 200, 64
PER_LAYER = {
    "nearly_dead_units": "nearly_dead",
    "saturated": "saturated",
    "zero_outputs": "sparsity",
    "gradient_of_layer": "gradient_layers",
    "gradient_of_kernel": "gradient_kernels",
    "mean_square": "mean_square",
    "correlation": "correlation",
}
"""Tag → field of `jaxact.probes.Probe`."""


def check(folder: str) -> Path:
    """Check that event files can be written there, leaving nothing behind.

    Raises:
        ValueError: tensorboardX is missing, or the folder cannot be made or written.
    """
    if find_spec("tensorboardX") is None:
        raise ValueError("--tensorboard needs tensorboardX: pip install 'jaxact[tensorboard]'")
    return check_out(folder, "--tensorboard")


def run_folder(folder: Path, config: Config, seed: int) -> Path:
    """`<folder>/<configuration>-<digest8>/seed<seed>`; what lies below `folder` is TensorBoard's name of the run."""
    return folder / records.path_of(folder, config).stem / f"seed{seed}"


def scalars(record: Record) -> Iterator[tuple[str, int, float]]:
    """(tag, epoch, value) of a record of one seed, epoch 0 being initialisation.

    Accuracies are in percent, losses in nats; `dead_units` and `saturated` are shares, `nearly_dead_units` a number.
    """
    probe = {name: record.arrays[f"probe_{name}"][0] for name in PER_LAYER.values()}
    by_time = {
        "accuracy/test": record.test_accuracy()[0],
        "loss/test": record.arrays["test_loss"][0],
        "classes_never_predicted/test": record.never_predicted()[0],
        "largest_singular_value/end_to_end": record.arrays["probe_singular_values"][0, :, 0],
    }
    for layer in range(1, len(record.config.activations) + 1):
        by_time[f"dead_units/layer{layer}"] = record.dead(layer)[0].mean(-1)
        by_time |= {f"{tag}/layer{layer}": probe[name][:, layer - 1] for tag, name in PER_LAYER.items()}
    for tag, values in by_time.items():
        yield from ((tag, epoch, float(value)) for epoch, value in enumerate(values))
    for tag, values in (
        ("accuracy/train", 100 * record.arrays["train_accuracy"][0]),
        ("loss/train", record.arrays["train_loss"][0]),
    ):
        yield from ((tag, epoch, float(value)) for epoch, value in enumerate(values, start=1))


def backfill(folder: Path, found: Sequence[Record]) -> None:
    """Write the scalars of those seeds of the records that have no event file yet: they were trained without."""
    for record in found:
        for seed in record.seeds.tolist():
            path = run_folder(folder, record.config, seed)
            if not list(path.glob(EVENTS)):
                with _writer(path) as writer:
                    _add(writer, scalars(record.subset([seed])))


class Watch:
    """Writes the members of one call of an ensemble while they train; a context that closes the files."""

    def __init__(self, folder: Path, machine: "Ensemble", call: "Sequence[Job]") -> None:
        from jaxact import training

        self.call = call
        self._folder, self._open, self._writers = folder, ExitStack(), []
        self._which = [np.array(training.which_of(config, machine.choices)) for config, _ in call]
        self._forward = _forward(machine)

    def __enter__(self) -> "Watch":
        for config, seed in self.call:
            path = run_folder(self._folder, config, seed)
            for old in path.glob(EVENTS):
                old.unlink()
            self._writers.append(self._open.enter_context(_writer(path)))
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def epoch(self, number: int, history: "History") -> None:
        """The scalars of epoch `number`, and with the first those of initialisation."""
        first = 0 if number == 1 else number
        for i, ((config, seed), writer) in enumerate(zip(self.call, self._writers, strict=True)):
            arrays = {name: value[None] for name, value in history.arrays(i).items()}
            found = scalars(Record(config, np.array([seed]), arrays, {}))
            _add(writer, (point for point in found if point[1] >= first))

    def state(self, number: int, state: Any) -> None:
        """The histograms of the pre-activations after epoch `number`, 0 being initialisation."""
        import jax

        for i, (which, writer) in enumerate(zip(self._which, self._writers, strict=True)):
            variables = {"params": state.params, "batch_stats": state.batch_stats}
            member = jax.tree.map(lambda leaf, i=i: np.asarray(leaf[i]), variables)
            for layer, h in self._forward(member, which).items():
                values = np.asarray(h, float).ravel()
                if np.isfinite(values).all():
                    writer.add_histogram(f"pre_activations/{layer}", values, number, bins=BINS)  # pyright: ignore[reportArgumentType]


def _forward(machine: "Ensemble") -> Any:
    """(variables of one member, which) → {layer: pre-activations} of the first test examples."""
    import jax
    import jax.numpy as jnp

    from jaxact import training

    model = training.make_model(machine.config, machine.choices)
    images = jnp.asarray(np.asarray(machine.test[0][:EXAMPLES]))
    return jax.jit(lambda variables, which: model.apply(variables, images, which)[1])


def _writer(path: Path) -> "SummaryWriter":
    import logging

    from tensorboardX import SummaryWriter

    logging.getLogger("tensorboardX").setLevel(logging.ERROR)  # a diverged seed's NaN is a result, not a warning
    return SummaryWriter(str(path))


def _add(writer: "SummaryWriter", points: Iterator[tuple[str, int, float]]) -> None:
    for tag, epoch, value in points:
        writer.add_scalar(tag, value, epoch)
