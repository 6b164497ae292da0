"""What a run of `experiments.gallery` draws, and the check of its options."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from jaxact import activations as catalogue
from jaxact.activations import Activation, rectified, sigmoidal, smooth, vector
from jaxact.execution.checks import check_out

FAMILIES = {
    "sigmoidal": ("Bounded, S-shaped, periodic and bell-shaped, and the identity", tuple(sigmoidal.ENTRIES)),
    "rectified": ("Piecewise linear rectifiers and exponential units", tuple(rectified.ENTRIES)),
    "smooth": ("Smooth rectifiers, self-gated units, shrinkage", tuple(smooth.ENTRIES)),
    "vector": ("Functions of a whole axis: outputs, maxout, gated units", tuple(vector.ENTRIES)),
    "own": ("Your own", ()),
}
"""Family → what it holds, and its names; what belongs to none is the user's own."""


class GalleryPlan(NamedTuple):
    """What will be drawn.

    Attributes:
        entries: the activations.
        sheets: whether to draw a sheet per family.
        singles: whether to draw a figure per activation.
        out: folder to write to.
    """

    entries: tuple[Activation, ...]
    sheets: bool
    singles: bool
    out: Path


def plan_from(options: argparse.Namespace) -> GalleryPlan:
    """Check the options.

    Raises:
        ValueError: one line that shows the value, the limit and the remedy.
    """
    out, entries = check_out(options.out), tuple(chosen(options.names))
    return GalleryPlan(entries, not options.names, bool(options.names) or options.singles, out)


def chosen(names: Sequence[str]) -> list[Activation]:
    """The entries asked for, or all of the catalogue, own ones included, family by family.

    Raises:
        ValueError: a name is unknown or given twice.
    """
    entries = [catalogue.get(name) for name in names]
    specs = [entry.spec for entry in entries]
    if twice := next((spec for spec in specs if specs.count(spec) > 1), None):
        raise ValueError(f"activation {twice!r} is named twice: name each once")
    order = [name for _, members in FAMILIES.values() for name in members]
    return entries or [catalogue.get(name) for name in (*order, *sorted(set(catalogue.names()) - set(order)))]
