"""Named protocols of `experiments.grid`: option values by name; what is absent has the study's value."""

from typing import Any

STUDY: dict[str, Any] = {
    "dataset": "mnist",
    "activations": ["relu", "tanh", "sigmoid", "selu"],
    "layers": None,
    "widths": None,
    "configs": None,
    "seeds": "9",
    "epochs": 10,
    "batch_size": 32,
    "lr": 0.01,
    "momentum": None,
    "optimizer": "sgd",
    "batch_norm": "none",
    "init": "torch_default",
    "limit_train": None,
}
"""The study's protocol on MNIST; `momentum` None is 0.5 for sgd, 0 for every other optimiser."""

PRESETS: dict[str, dict[str, Any]] = {
    "paper": {},
    "quick": {"seeds": "3", "epochs": 2, "limit_train": 12_000},
    "smoke": {"dataset": "digits", "seeds": "3", "epochs": 2},
}

SUMMARIES = {
    "paper": "the whole MNIST study: 64 combinations, 9 seeds, 10 epochs",
    "quick": "all 64 combinations on real MNIST, cut to 3 seeds and 2 epochs of 12,000 examples: minutes on two cores",
    "smoke": "all 64 combinations on scikit-learn's digits, 3 seeds, 2 epochs: under a minute",
}

CUTS = ("configs", "seeds", "epochs", "limit_train")
"""Options that may shorten a preset; any other option that contradicts it is refused."""

HIDDEN_WIDTHS = {1: (), 2: (500,), 3: (500, 256), 4: (1000, 500, 256)}
"""Hidden widths of the study's networks by number of layers, used when only `--layers` is given."""
