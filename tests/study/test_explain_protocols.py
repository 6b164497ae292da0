"""Which protocol of the study a record belongs to, and what the audit gets of a folder of them."""

from dataclasses import replace

import numpy as np
import pytest
from oracles.record_examples import make

from jaxact import records
from jaxact.config import Config
from jaxact.study.protocols import by_protocol, protocol_name

MNIST = Config(activations=("relu", "sigmoid", "relu"))
CIFAR10 = replace(MNIST, dataset="cifar10")


@pytest.mark.parametrize(
    ("config", "name"),
    [
        (MNIST, "mnist"),
        (replace(MNIST, batch_norm=(1, 2, 3)), "mnist_batchnorm"),
        (replace(MNIST, batch_norm=(3,)), "mnist_batchnorm_last"),
        (replace(MNIST, optimizer="torch_adagrad", momentum=0.0), "mnist_adagrad"),
        (replace(CIFAR10, batch_size=4), "cifar10"),
        (CIFAR10, "cifar10_batch32"),
        (replace(CIFAR10, batch_norm=(1, 2, 3)), "cifar10_batch32_batchnorm"),
        (replace(CIFAR10, batch_size=4, batch_norm=(1, 2, 3)), "cifar10_batchnorm"),
        (replace(MNIST, dataset="fashion_mnist"), "fashion_mnist"),
    ],
)
def test_protocols_have_names(config, name):
    assert protocol_name(config) == name


@pytest.mark.parametrize(
    "change",
    [
        *({"epochs": 2}, {"limit_train": 1000}, {"widths": (500, 64, 10)}, {"learning_rate": 0.1}, {"batch_size": 4}),
        *({"batch_norm": (1,)}, {"init": "he_normal"}, {"optimizer": "adagrad", "momentum": 0.0}, {"output_bias": 1.0}),
        {"optimizer": "torch_rmsprop", "momentum": 0.5},
        {"activations": ("relu", "relu"), "widths": (500, 10)},
        *({"activations": ("relu+tanh",) * 3}, {"activations": ("relu", "centred_sigmoid", "relu")}),
    ],
)
def test_other_runs_are_not_the_study(change):
    assert protocol_name(replace(MNIST, **change)) is None


def test_folders_are_joined(tmp_path):
    last = replace(MNIST, batch_norm=(3,))
    records.write(tmp_path / "a", make([0, 1], MNIST))
    records.write(tmp_path / "b", make([1, 2], MNIST))
    records.write(tmp_path / "b", make([5], last))
    records.write(tmp_path / "b", make([0], replace(MNIST, epochs=3)))
    (tmp_path / "b" / "mnist" / "damaged.npz").write_bytes(b"not a record")
    found = by_protocol([tmp_path / "a", tmp_path / "b", tmp_path / "b", tmp_path / "absent"])
    assert {name: set(table) for name, table in found.items()} == {
        "mnist": {"relu-sigmoid-relu"},
        "mnist_batchnorm_last": {"relu-sigmoid-relu"},
    }
    assert (
        len(found["mnist"]["relu-sigmoid-relu"]) == 3 and len(found["mnist_batchnorm_last"]["relu-sigmoid-relu"]) == 1
    )
    counts = make([1], MNIST).arrays  # half of each class's examples are right, rounded down per class
    expected = 100 * counts["test_correct"][0, -1].sum() / counts["test_predicted"][0, -1].sum()
    np.testing.assert_allclose(found["mnist"]["relu-sigmoid-relu"][1], expected)
