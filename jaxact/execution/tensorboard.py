"""What `experiments.grid --tensorboard DIR` writes: scalars and histograms of every run, for TensorBoard.

A run is a configuration and a seed, its folder `<configuration>-<digest8>/seed<seed>`, as the records are named. The
scalars are those of the record, at initialisation and after every epoch; the histograms are of the pre-activations of
the first test examples. A run that starts again replaces what it wrote before, so no point is there twice.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jaxact import records
from jaxact.config import Config
from jaxact.execution.checks import check_out
from jaxact.records import Record
from jaxact.report.tensorboard import check_tensorboard, writer_of

if TYPE_CHECKING:
    from tensorboardX import SummaryWriter

EVENTS = "events.out.tfevents.*"
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
    check_tensorboard("--tensorboard")
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
                with writer_of(path) as writer:
                    write(writer, scalars(record.subset([seed])))


def write(writer: "SummaryWriter", points: Iterator[tuple[str, int, float]]) -> None:
    """Write the points, of `scalars`."""
    for tag, epoch, value in points:
        writer.add_scalar(tag, value, epoch)
