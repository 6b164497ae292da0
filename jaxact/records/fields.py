"""What a record holds: every array with its axes and the values it can have, and every entry of its metadata."""

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxact import architectures
from jaxact.config import MAX_SEED, Config

HISTORY = {
    **dict.fromkeys(("train_loss", "train_accuracy"), ("epochs",)),
    "test_loss": ("times",),
    **dict.fromkeys(("test_correct", "test_predicted"), ("times", "classes")),
}
PROBES = {
    **dict.fromkeys(("negative", "saturated", "sparsity", "broken", "nearly_dead", "never_positive"), ("layers",)),
    **dict.fromkeys(("mean_square", "correlation", "gradient_layers", "gradient_kernels"), ("layers",)),
    **dict.fromkeys(("dimension", "negative_weights", "certified_dead"), ("layers",)),
    **dict.fromkeys(("output_negative", "coherence"), ("classes",)),
    **{"dead": ("units",), "apjn": ("layers", "layers"), "singular_values": ("values",)},
}
"""The fields of `jaxact.probes.Probe` and their axes after the seeds and the times."""
AXES = HISTORY | {f"probe_{name}": ("times", *axes) for name, axes in PROBES.items()}
"""Every array of a record and its axes after the seeds; times are initialisation and the end of every epoch."""
ARRAYS = tuple(AXES)

LOSSES = ("train_loss", "test_loss")
SHARES = ("train_accuracy", "probe_negative", "probe_saturated", "probe_sparsity", "probe_broken")
SHARES += ("probe_output_negative", "probe_coherence")
"""Means of truth values: from 0 to 1 and never NaN, whatever the network does."""
UNIT_COUNTS = ("probe_nearly_dead", "probe_never_positive", "probe_certified_dead")
COUNTS = ("test_correct", "test_predicted", "probe_negative_weights", *UNIT_COUNTS)
FLAGS = ("probe_dead",)
AMOUNTS = tuple(name for name in ARRAYS if name not in {*LOSSES, *SHARES, *COUNTS, *FLAGS})
"""Not negative; infinite or NaN only where a network diverges or its numbers leave float32."""
ROUNDING = 1e-3
FAR_OUT = 1e12
"""A mean square from which products of squares may leave float32, so that a ratio of two can be NaN."""
DESCRIBED = ("processor", "cores", "backend", "device", "devices", "python", "platform", "strategy", "call_size")
DESCRIBED += ("xla_flags", "git_commit", "started_utc")
"""What every run says of its machine, as one word, number or null each."""
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


def kind_problem(name: str, dtype: np.dtype) -> str | None:
    """What is wrong with the element type of an array, the seeds included; None if nothing."""
    kinds = "b" if name in FLAGS else "iu" if name in (*COUNTS, "seeds") else "f"
    if dtype.kind in kinds and (dtype.kind != "f" or dtype.itemsize >= 4):
        return None
    wanted = {"b": "truth values", "iu": "whole numbers", "f": "real numbers"}[kinds]
    return f"{name} holds {dtype!s} where {wanted} were expected"


def shape_problem(name: str, shape: tuple[int, ...], config: Config, seeds: int) -> str | None:
    """What is wrong with the shape of an array of so many seeds; None if nothing."""
    sizes = {"epochs": config.epochs, "times": config.epochs + 1, "layers": len(config.widths)}
    sizes |= {"units": sum(config.widths), "classes": config.widths[-1]}
    # min(features, classes) singular values: a record does not hold the number of features.
    sizes["values"] = min(max(shape[-1] if shape else 0, 1), config.widths[-1])
    expected = (seeds, *(sizes[axis] for axis in AXES[name]))
    return None if shape == expected else f"{name} has shape {shape} where {expected} was expected"


def seeds_problem(seeds: np.ndarray) -> str | None:
    """What is wrong with the seeds; None if nothing."""
    if seeds.ndim != 1 or not len(seeds):
        return "no seeds"
    if seeds.min() < 0 or seeds.max() > MAX_SEED:
        return f"a seed outside 0 to {MAX_SEED}"
    steps = np.diff(seeds.astype(np.int64))
    if (steps == 0).any():
        return "a seed twice"
    return "seeds that do not ascend" if (steps < 0).any() else None


def values_problem(arrays: Mapping[str, np.ndarray], config: Config, tested: int | None) -> str | None:
    """What is wrong with the values of arrays of the right shapes and types; None if nothing.

    Args:
        arrays: by name.
        config: the configuration.
        tested: test examples, if the metadata has them.
    """
    for name in LOSSES + AMOUNTS:
        if not (~(arrays[name] < 0)).all():
            return f"{name} below 0"
    for name in SHARES:
        if not ((arrays[name] >= 0) & (arrays[name] <= 1 + ROUNDING)).all():
            return f"{name} outside 0 to 1"
    if (arrays["probe_correlation"] > 1 + ROUNDING).any():
        return "probe_correlation above 1"
    for name in COUNTS:
        if (arrays[name] < 0).any():
            return f"{name} below 0"
    return _counts_problem(arrays, config, tested) or _finite_problem(arrays)


def _counts_problem(arrays: Mapping[str, np.ndarray], config: Config, tested: int | None) -> str | None:
    totals = arrays["test_predicted"].sum(-1, dtype=np.int64)
    tested = int(totals.flat[0]) if tested is None else tested
    if not tested or (totals != tested).any():
        return f"test_predicted does not add up to the {tested} test examples"
    if (arrays["test_correct"] > arrays["test_predicted"]).any():
        return "test_correct above test_predicted"
    for name in UNIT_COUNTS:
        if (arrays[name] > np.array(config.widths)).any():
            return f"{name} above the number of units"
    try:
        products = architectures.products(config.architecture, config.dataset, config.widths, 1)
    except ValueError:  # another data set than the named ones: nobody knows the size of the first kernel
        return None
    entries = np.array([inputs * units for _, inputs, units in products])
    return "probe_negative_weights above the weights" if (arrays["probe_negative_weights"] > entries).any() else None


def _finite_problem(arrays: Mapping[str, np.ndarray]) -> str | None:
    """NaN where the seed is neither diverged nor anywhere infinite or far out."""

    def any_of(mask: np.ndarray) -> np.ndarray:
        return np.asarray(mask.reshape(len(mask), -1).any(1))

    wild = any_of(arrays["probe_mean_square"] > FAR_OUT) | any_of(arrays["probe_broken"] > 0)
    for name in LOSSES:
        wild |= any_of(~np.isfinite(arrays[name]))
    for name in AMOUNTS:
        wild |= any_of(np.isinf(arrays[name]))
    for name in AMOUNTS:
        if (any_of(np.isnan(arrays[name])) & ~wild).any():
            return f"{name} is not a number in a seed that has not diverged"
    lost = np.isnan(arrays["train_loss"])
    if (lost[:, :-1] & ~lost[:, 1:]).any():
        return "train_loss is not a number, and a number again an epoch later"
    return None


def meta_problem(meta: Any, seeds: np.ndarray) -> str | None:
    """What is wrong with the metadata, without schema, configuration and digest; None if nothing."""
    data, runs = meta.get("data"), meta.get("runs")
    if not isinstance(data, dict) or not isinstance(data.get("source"), str) or not data["source"].strip():
        return "its metadata do not name the source of the data"
    for name in ("train", "test"):
        if name in data and not _whole(data[name], 1):
            return f"its metadata have {data[name]!r:.40} {name} examples"
    if not isinstance(runs, list) or not all(isinstance(run, dict) for run in runs):
        return "its metadata have no list of runs"
    for run in runs:
        if problem := _run_problem(run):
            return f"a run in its metadata {problem}"
    said = {seed for run in runs for seed in run["seeds"]}
    return None if said >= set(seeds.tolist()) else "a seed that no run in its metadata has made"


def _run_problem(run: dict[str, Any]) -> str | None:
    seeds, seconds, packages = run.get("seeds"), run.get("seconds"), run.get("packages")
    if not isinstance(seeds, list) or not seeds or not all(_whole(seed, 0) for seed in seeds):
        return "has no seeds"
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < math.inf:
        return "has no seconds"
    if not isinstance(packages, dict) or not all(isinstance(v, str | None) for v in packages.values()):
        return "has no versions of packages"
    for name in DESCRIBED:
        if name not in run or not isinstance(run[name], str | int | float | None):
            return f"has no {name}"
    if not isinstance(run["started_utc"], str) or not isinstance(run.get("command", ""), str):
        return "has no start or command"
    return None


def _whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= MAX_SEED


def is_plain_name(text: Any) -> bool:
    """Whether a data set's name can be part of a path."""
    return isinstance(text, str) and bool(_NAME.fullmatch(text)) and ".." not in text
