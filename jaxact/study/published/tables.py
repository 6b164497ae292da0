"""The published tables as arrays, each with the protocol that produced it.

The figures are those of Nikhil & Mekala, "Is ReLU After Sigmoid Bad?" (2018), repository ``nishnik/sherlocked``; the
README beside the CSV files holds their provenance. Accuracies are percent on the 10,000 test images after the last
epoch. This module needs NumPy and the standard library only.
"""

import csv
from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

# The text says that every experiment used 32; the study's CIFAR-10 loaders use 4, which is what `Protocol` records.
CIFAR10_BATCH_SIZE_IN_TEXT = 32


class Protocol(NamedTuple):
    """How the runs of a published table were made.

    Attributes:
        dataset: ``mnist`` or ``cifar10``.
        model: ``mlp`` or ``lenet``.
        widths: Units per layer, input and output included; for ``lenet`` (conv, conv, dense, dense, output).
        batch_norm: ``none`` or ``all`` (before the activation of every layer).
        optimizer: Name of the optimiser, with PyTorch's defaults where this protocol names no value.
        learning_rate: Step size.
        momentum: Momentum coefficient.
        batch_size: Examples per step, as run.
        epochs: Passes over the training images.
        activations_per_layer: 2 where each half of a layer has its own activation.
        initializer: Name of the initialiser of weights and biases.
    """

    dataset: str
    model: str
    widths: tuple[int, ...]
    batch_norm: str
    optimizer: str
    learning_rate: float
    momentum: float
    batch_size: int
    epochs: int
    activations_per_layer: int = 1
    initializer: str = "torch_default"


class PublishedRow(NamedTuple):
    """One published run: its activations, its label, and what was printed (NaN where no loss was)."""

    layers: tuple[str, ...]
    run: str
    test_accuracy: float
    test_loss: float


class PublishedTable(NamedTuple):
    """The published runs of one protocol.

    Attributes:
        name: Key in `TABLES`.
        protocol: How the runs were made.
        applied_layers: How many leading activations of a configuration the network really applies.
        configurations: Row names, the layers' activations joined by ``-``.
        runs: Column labels, the study's own numbering.
        accuracy: Test accuracy in percent; NaN where a run was not published.
        loss: Test loss in nats per example; NaN where it was not published.
    """

    name: str
    protocol: Protocol
    applied_layers: int
    configurations: tuple[str, ...]
    runs: tuple[str, ...]
    accuracy: Float[np.ndarray, "configurations runs"]
    loss: Float[np.ndarray, "configurations runs"]


class _Source(NamedTuple):
    """Where a table is: its file, its protocol, the optimiser's column to keep, the activations the network applies."""

    file: str
    protocol: Protocol
    optimizer: str | None = None
    applied_layers: int | None = None


_MNIST = Protocol("mnist", "mlp", (784, 500, 256, 10), "none", "sgd", 0.01, 0.5, 32, 10)
_CIFAR10 = Protocol("cifar10", "mlp", (3072, 500, 256, 10), "none", "sgd", 0.01, 0.5, 4, 10)
_LENET = _CIFAR10._replace(model="lenet", widths=(6, 16, 120, 84, 10))


def _optimizer(name: str, momentum: float = 0.0) -> _Source:
    return _Source("mnist_mlp_optimizers", _MNIST._replace(optimizer=name, momentum=momentum), optimizer=name)


_SOURCES = {
    "mnist_mlp": _Source("mnist_mlp", _MNIST),
    "mnist_mlp_batchnorm": _Source("mnist_mlp_batchnorm", _MNIST._replace(batch_norm="all")),
    "mnist_mlp_sgd": _optimizer("sgd", momentum=0.5),
    "mnist_mlp_rmsprop": _optimizer("rmsprop"),
    "mnist_mlp_adadelta": _optimizer("adadelta"),
    "mnist_mlp_adagrad": _optimizer("adagrad"),
    "mnist_two_activations": _Source("mnist_two_activations", _MNIST._replace(activations_per_layer=2)),
    "cifar10_mlp": _Source("cifar10_mlp", _CIFAR10),
    "cifar10_mlp_batchnorm": _Source("cifar10_mlp_batchnorm", _CIFAR10._replace(batch_norm="all")),
    "cifar10_mlp_2layer": _Source("cifar10_mlp_2layer", _CIFAR10._replace(widths=(3072, 500, 10), epochs=5)),
    "cifar10_mlp_4layer": _Source("cifar10_mlp_4layer", _CIFAR10._replace(widths=(3072, 1000, 500, 256, 10), epochs=5)),
    "cifar10_cnn": _Source("cifar10_cnn", _LENET, applied_layers=2),
    "cifar10_cnn_10runs": _Source("cifar10_cnn_10runs", _LENET, applied_layers=2),
}

TABLES: Mapping[str, Protocol] = MappingProxyType({name: source.protocol for name, source in _SOURCES.items()})
"""Name of every published table and its protocol."""


def load_rows(name: str) -> tuple[PublishedRow, ...]:
    """Published runs of a table, in the order of the file.

    Args:
        name: Key of `TABLES`.

    Returns:
        One row per published run. The run label is ``1`` where the file has a single run.

    Raises:
        ValueError: The name is not a published table.
    """
    if name not in _SOURCES:
        raise ValueError(f"unknown published table {name!r}: choose one of {', '.join(_SOURCES)}")
    source = _SOURCES[name]
    text = (files("jaxact.study.published") / "data" / f"{source.file}.csv").read_text(encoding="utf-8")
    return tuple(
        PublishedRow(
            layers=tuple(value for key, value in record.items() if key.startswith("layer")),
            run=record.get("run", "1"),
            test_accuracy=float(record["test_accuracy"]),
            test_loss=float(record.get("test_loss", "nan")),
        )
        for record in csv.DictReader(text.splitlines())
        if source.optimizer in (None, record.get("optimizer"))
    )


def load_table(name: str) -> PublishedTable:
    """A published table as arrays, configurations in the study's order.

    Args:
        name: Key of `TABLES`.

    Returns:
        The table; a run that was published for some configurations only is NaN for the others.

    Raises:
        ValueError: The name is not a published table.
    """
    rows = load_rows(name)
    configurations = tuple(dict.fromkeys("-".join(row.layers) for row in rows))
    runs = tuple(dict.fromkeys(row.run for row in rows))
    place = {(name, run): (i, j) for i, name in enumerate(configurations) for j, run in enumerate(runs)}
    accuracy = np.full((len(configurations), len(runs)), np.nan)
    loss = np.full_like(accuracy, np.nan)
    for row in rows:
        cell = place["-".join(row.layers), row.run]
        accuracy[cell], loss[cell] = row.test_accuracy, row.test_loss
    source = _SOURCES[name]
    applied = source.applied_layers or len(rows[0].layers)
    return PublishedTable(name, source.protocol, applied, configurations, runs, accuracy, loss)


def applied_activations(table: PublishedTable, configuration: str) -> str:
    """The activations of a configuration as the rows of a table name them, without those never applied.

    Of a LeNet, whose rows name f1, f2 and an unused one, `relu-f1-f1-f2-identity` is `f1-f2`; its other configurations
    were not published and keep their names.
    """
    layers = configuration.split("-")
    if table.protocol.model == "lenet" and len(layers) == len(table.protocol.widths):
        _, first, _, second, _ = layers
        return f"{first}-{second}" if layers == ["relu", first, first, second, "identity"] else configuration
    return "-".join(layers[: table.applied_layers])


def protocol_differences(ours: Protocol, theirs: Protocol) -> dict[str, tuple[object, object]]:
    """Fields in which two protocols differ, as ``{field: (ours, theirs)}``; empty if they agree."""
    pairs = zip(Protocol._fields, ours, theirs, strict=True)
    return {field: (a, b) for field, a, b in pairs if a != b}


def find_tables(protocol: Protocol) -> tuple[PublishedTable, ...]:
    """Published tables made by exactly this protocol, the one with most runs first; empty if there is none."""
    found = (load_table(name) for name, published in TABLES.items() if published == protocol)
    return tuple(sorted(found, key=lambda table: -len(table.runs)))
