"""The task that `experiments.benchmark` gives its processes, and what they answer."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxact.config import Config
from jaxact.study.presets import HIDDEN_WIDTHS

ACTIVATIONS = ("relu", "tanh", "sigmoid", "selu")
WIDTHS = (*HIDDEN_WIDTHS[3], 10)
FEATURES, BATCH = 784, 32
SHAPES = tuple(zip((FEATURES, *WIDTHS[:-1]), WIDTHS, strict=True))
"""Inputs and outputs of every layer."""


class Spec(NamedTuple):
    """One worker's task.

    Attributes:
        row: key of `jaxact.benchmark.rows.ROWS` or `UNLISTED`.
        folder: where `images.npy` and `labels.npy` lie: steps · 32 examples, one pass over which is a repeat.
        steps: optimiser steps of one network in a repeat.
        seeds: networks of the jaxact rows.
        activations: of the three layers.
        rank: number of this process among those of its row.
    """

    row: str
    folder: str
    steps: int
    seeds: int
    activations: tuple[str, ...]
    rank: int = 0

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """Images [steps · 32, 784] float32 and labels [steps · 32] int32."""
        folder, n = Path(self.folder), self.steps * BATCH
        return np.load(folder / "images.npy")[:n], np.load(folder / "labels.npy")[:n]

    def config(self) -> Config:
        """The study's protocol, one epoch of `steps` steps."""
        return Config(activations=self.activations, widths=WIDTHS, batch_size=BATCH, epochs=1)


class Repeat(NamedTuple):
    """What one process measured in one repeat.

    Attributes:
        start, end: of the timed part, seconds of the machine's monotonic clock, which all processes share.
        cpu: seconds of processor time in between, of all threads.
        model_steps: done in between; 0 where only rates are told.
        rates: by name, model-steps per second that this process could do.
    """

    start: float
    end: float
    cpu: float
    model_steps: int
    rates: dict[str, float] = {}


def state_bytes() -> int:
    """What one network in training must keep, float32: its weights and biases, and the momentum of each."""
    return 2 * 4 * sum((inputs + 1) * outputs for inputs, outputs in SHAPES)


def timed(work: Callable[[], None], model_steps: int) -> Repeat:
    """Time one repeat."""
    start, cpu = time.monotonic(), time.process_time()
    work()
    return Repeat(start, time.monotonic(), time.process_time() - cpu, model_steps)


def products() -> list[tuple[int, int, int, bool, bool]]:
    """The matrix products of one model-step as (rows, inner, columns, left transposed, right transposed).

    Forward x W, weight gradient xᵀ δ, input gradient δ Wᵀ; the first layer has no input gradient.
    """
    shapes = []
    for layer, (a, b) in enumerate(SHAPES):
        shapes += [(BATCH, a, b, False, False), (a, BATCH, b, True, False)]
        shapes += [(BATCH, b, a, False, True)] if layer else []
    return shapes


def step_flops() -> int:
    """Floating point operations of the products of one model-step, 2 · rows · inner · columns each."""
    return sum(2 * math.prod(product[:3]) for product in products())


Runner = Callable[[], Repeat]
Made = tuple[Runner, dict[str, Any]]
