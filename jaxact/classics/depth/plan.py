"""What a run of `experiments.depth` computes, and the check of its options."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from jaxact import activations as catalogue
from jaxact.config import INITIALIZERS, closest, parse_seeds
from jaxact.data.specs import spec
from jaxact.execution.checks import check_memory, check_out

PARTS = ("chain", "gradients", "training", "dying")
INITS = (*INITIALIZERS, "critical")
"""Initialisers of a stack: the named ones, and the edge of chaos of its activation."""
MOST_DEPTH, MOST_WIDTH = 500, 4096


class DepthPlan(NamedTuple):
    """What a run computes; `depths` ascend."""

    parts: tuple[str, ...]
    activations: tuple[str, ...]
    theory: tuple[str, ...]
    inits: tuple[str, ...]
    depths: tuple[int, ...]
    width: int
    wide: int
    networks: int
    chains: int
    seeds: tuple[int, ...]
    epochs: int
    batch_size: int
    learning_rates: tuple[float, ...]
    out: Path


def plan_from(options: argparse.Namespace) -> DepthPlan:
    """Check the options.

    Raises:
        ValueError: one line that shows the value, the limit and the remedy.
    """
    names, theory = _elementwise(options.activations), _elementwise(options.theory)
    for part in options.parts:
        if part not in PARTS:
            raise closest(part, PARTS, "part")
    for init in options.inits:
        if init not in INITS:
            raise closest(init, INITS, "initialiser")
    for option in ("activations", "theory", "parts", "inits", "depths", "lrs"):
        values = getattr(options, option)
        if len(set(values)) < len(values):
            raise ValueError(f"--{option} {' '.join(map(str, values))} names one twice: name each once")
    limits = {"wide": MOST_WIDTH, "width": MOST_WIDTH, "networks": 10_000, "chains": 1_000_000, "epochs": 10_000}
    limits["batch_size"] = spec("digits").train_size
    for option, most in limits.items():
        _check_range(option, getattr(options, option), most)
    for depth in options.depths:
        _check_range("depths", depth, MOST_DEPTH)
    for part, option in (("gradients", "wide"), ("training", "width")):
        width, deepest = getattr(options, option), max(options.depths)
        if part in options.parts:
            check_memory(deepest * width**2, f"--{option} {width} --depths", deepest)
    for rate in options.lrs:
        if not 0 < rate < float("inf"):
            raise ValueError(f"--lrs {rate} must be a finite number above 0")
    return DepthPlan(
        tuple(part for part in PARTS if part in options.parts), names, theory, tuple(options.inits),
        tuple(sorted(options.depths)), options.width, options.wide, options.networks, options.chains,
        parse_seeds(options.seeds), options.epochs, options.batch_size, tuple(options.lrs),
        check_out(options.out),
    )  # fmt: skip


def _elementwise(names: Sequence[str]) -> tuple[str, ...]:
    """The activations as the catalogue spells them; `all` alone stands for every elementwise one."""
    entries = [catalogue.get(name) for name in (catalogue.names("elementwise") if list(names) == ["all"] else names)]
    for entry in entries:
        if entry.kind != "elementwise":
            raise ValueError(f"activation {entry.spec!r} acts along an axis: a layer needs an elementwise one")
    return tuple(dict.fromkeys(entry.spec for entry in entries))


def _check_range(option: str, value: int, most: int) -> None:
    if not 1 <= value <= most:
        raise ValueError(f"--{option.replace('_', '-')} must be from 1 to {most}, got {value}")
