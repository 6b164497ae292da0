"""Named protocols of `experiments.grid`: option values by name; what is absent has the study's value."""

from typing import Any

STUDY: dict[str, Any] = {
    "dataset": "mnist",
    "activations": ["relu", "tanh", "sigmoid", "selu"],
    "halves": False,
    "layers": None,
    "widths": None,
    "architecture": "mlp",
    "configs": None,
    "seeds": "9",
    "epochs": 10,
    "batch_size": 32,
    "lr": [0.01],
    "momentum": None,
    "optimizer": ["sgd"],
    "batch_norm": ["none"],
    "init": ["torch_default"],
    "limit_train": None,
}
"""The study's protocol on MNIST; `momentum` None is 0.5 for sgd, 0 for every other optimiser."""

FAILING = ["*-sigmoid-relu"]
TORCH = ["sgd", "torch_rmsprop", "torch_adagrad", "torch_adadelta"]
EVERY_INIT = ["torch_default", "lecun_normal", "he_normal", "glorot_uniform", "orthogonal"]
SWEEP = [round(0.05 + 0.1 * step, 2) for step in range(10)]
CLASSIC = ["relu-relu-relu", "relu-sigmoid-relu", "relu-sigmoid-tanh"]
CIFAR10 = {"dataset": "cifar10", "batch_size": 4}

_NAMED: dict[str, tuple[str, dict[str, Any]]] = {
    "paper": ("the whole MNIST study: 64 combinations, 9 seeds, 10 epochs", {}),
    "quick": (
        "all 64 combinations on real MNIST, cut to 3 seeds and 2 epochs of 12,000 examples: minutes on two cores",
        {"seeds": "3", "epochs": 2, "limit_train": 12_000},
    ),
    "smoke": (
        "all 64 combinations on scikit-learn's digits, 3 seeds, 2 epochs: under a minute",
        {"dataset": "digits", "seeds": "3", "epochs": 2},
    ),
    "paper-batchnorm": ("the study's batch norm, before every activation", {"batch_norm": ["all"]}),
    "paper-batchnorm-last": ("batch norm on the last layer alone, as its text says", {"batch_norm": ["last"]}),
    "paper-batchnorm-one": (
        "the failing combinations with batch norm on one layer: the first, the second, the last",
        {"configs": FAILING, "batch_norm": ["1", "2", "last"]},
    ),
    "cifar10": ("the study's CIFAR-10, batch 4 as it was run", CIFAR10),
    "cifar10-batch32": ("CIFAR-10 with batch 32, as the text says", {"dataset": "cifar10"}),
    "cifar10-batchnorm": ("CIFAR-10 with batch norm, batch 4", CIFAR10 | {"batch_norm": ["all"]}),
    "cifar10-batch32-batchnorm": (
        "CIFAR-10 with batch norm, batch 32, as the text says",
        {"dataset": "cifar10", "batch_norm": ["all"]},
    ),
    "cifar10-2layer": ("CIFAR-10, 3072-500-10, 16 pairs, 5 epochs", CIFAR10 | {"layers": 2, "epochs": 5}),
    "cifar10-4layer": (
        "CIFAR-10, 3072-1000-500-256-10, relu and sigmoid, 5 epochs",
        CIFAR10 | {"layers": 4, "epochs": 5, "activations": ["relu", "sigmoid"]},
    ),
    "cifar10-cnn": (
        "the study's LeNet on CIFAR-10: 16 combinations, batch 4",
        CIFAR10 | {"architecture": "lenet"},
    ),
    "optimizers": ("SGD, RMSprop, Adagrad and Adadelta with PyTorch's definitions, lr .01", {"optimizer": TORCH}),
    "lr-sweep": (
        "relu and sigmoid throughout, learning rates .05 to .95",
        {"configs": ["relu-relu-relu", "sigmoid-sigmoid-sigmoid"], "lr": SWEEP},
    ),
    "convergence": ("three combinations for 50 epochs", {"configs": CLASSIC, "epochs": 50}),
    "two-activations": ("each layer in two halves with an activation each: 1,000 combinations", {"halves": True}),
    "fashion": ("Fashion-MNIST at the study's protocol", {"dataset": "fashion_mnist"}),
    "initialisers": ("the 64 combinations with five initialisers", {"init": EVERY_INIT}),
}
PRESETS = {name: values for name, (_, values) in _NAMED.items()}
SUMMARIES = {name: text for name, (text, _) in _NAMED.items()}

SWEPT = ("optimizer", "lr", "init", "batch_norm")
"""Options that take several values; every combination of them is trained."""

CUTS = ("configs", "seeds", "epochs", "limit_train")
"""Options that may shorten a preset; any other option that contradicts it is refused."""

HIDDEN_WIDTHS = {1: (), 2: (500,), 3: (500, 256), 4: (1000, 500, 256)}
"""Hidden widths of the study's networks by number of layers, used when only `--layers` is given."""
