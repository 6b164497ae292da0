"""The tasks of `experiments.heads`: digits, balanced, imbalanced and by attributes, and one-dimensional regressions."""

from typing import NamedTuple

import numpy as np

from jaxact import data

ATTRIBUTES = {"even": (0, 2, 4, 6, 8), "prime": (2, 3, 5, 7), "above 4": (5, 6, 7, 8, 9), "has a loop": (0, 6, 8, 9)}
"""Attribute → the digits that have it: several may hold of one digit, or, of the 1, none."""

SHIFTS = {"non-negative": 1.1, "mixed-sign": 0.0, "all-negative": -1.5}
"""Regression task → what is added to a sine of amplitude 1 with noise of at most 0.1."""

SAMPLES = 1024
CLASSES = 10


class Task(NamedTuple):
    """Inputs and targets to train and to test on; `labels` are the test classes, where there are classes."""

    inputs: np.ndarray
    targets: np.ndarray
    test_inputs: np.ndarray
    test_targets: np.ndarray
    labels: np.ndarray


def one_hot(labels: np.ndarray) -> np.ndarray:
    """Float rows with a 1 at the label."""
    return np.eye(CLASSES, dtype=np.float32)[labels]


def digits() -> Task:
    """scikit-learn's digits, all ten classes about equally often, one-hot targets."""
    d = data.load("digits")
    return Task(d.train_images, one_hot(d.train_labels), d.test_images, one_hot(d.test_labels), d.test_labels)


def noisy(task: Task, sd: float, seed: int = 0) -> Task:
    """The same task with Gaussian noise added to every input, so that there are errors to score."""
    rng = np.random.default_rng(seed)
    inputs, test = (x + sd * rng.standard_normal(x.shape, np.float32) for x in (task.inputs, task.test_inputs))
    return task._replace(inputs=inputs, test_inputs=test)


def imbalanced(task: Task, ratio: float) -> Task:
    """Keep the first round(n_k · ratio^(k/9)) of the n_k examples of digit k, at least one, in both parts."""
    rows, test = (_thin(targets.argmax(1), ratio) for targets in (task.targets, task.test_targets))
    return Task(*(part[rows] for part in task[:2]), *(part[test] for part in task[2:]))


def _thin(labels: np.ndarray, ratio: float) -> np.ndarray:
    keep = []
    for k in range(CLASSES):
        members = np.flatnonzero(labels == k)
        keep.append(members[: max(1, round(len(members) * ratio ** (k / (CLASSES - 1))))])
    return np.sort(np.concatenate(keep))


def attributes(task: Task) -> Task:
    """The same digits with the multi-hot targets of `ATTRIBUTES`."""
    table = np.array([[k in members for members in ATTRIBUTES.values()] for k in range(CLASSES)], np.float32)
    multi_hot = (table[targets.argmax(1)] for targets in (task.targets, task.test_targets))
    return Task(task.inputs, next(multi_hot), task.test_inputs, next(multi_hot), task.labels)


def regression(shift: float, seed: int = 0) -> Task:
    """A shifted sine, y = sin(πx) + shift + u: x uniform on [−2, 2], u on [−0.1, 0.1], the same for every shift."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-2, 2, (2, SAMPLES, 1)).astype(np.float32)
    noise = rng.uniform(-0.1, 0.1, x.shape)
    y = (np.sin(np.pi * x) + noise + shift).astype(np.float32)
    order = np.argsort(x[1, :, 0])
    return Task(x[0], y[0], x[1][order], y[1][order], np.zeros(0, np.int32))
