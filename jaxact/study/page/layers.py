"""The spectra of single layers, which records do not hold: read from a folder of `experiments.jacobian`, and drawn."""

import csv
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxact.report.table import counted
from jaxact.study.page.records import Grid, title_of
from jaxact.study.page.runs import colours_of
from jaxact.study.page.shapes import COLOURS, Figure, Line, Panel

FILE = "spectra.csv"
REMEDY = "write it with python -m experiments.jacobian --config NAME … --out"
NEEDED = ("configuration", "dataset", "epoch", "layer", "activation", "units", "index", "seeds", "q05", "q50", "q95")


class Spectra(NamedTuple):
    """Singular values of the layers' Jacobians.

    Attributes:
        folder: where they come from.
        values: (configuration, layer from 1, epoch) → [values, 3], largest first: 5 %, 50 % and 95 % of seeds and
            examples.
        layers: configuration → (activation, units) per layer.
        dataset: trained on.
        seeds: least and most per value.
    """

    folder: Path
    values: dict[tuple[str, int, int], np.ndarray]
    layers: dict[str, tuple[tuple[str, int], ...]]
    dataset: str
    seeds: tuple[int, int]

    @property
    def epochs(self) -> tuple[int, ...]:
        """The start and, where something was trained, the end."""
        return tuple(sorted({epoch for _, _, epoch in self.values}))


def load(folder: Path) -> Spectra:
    """Read spectra.csv of a folder of `experiments.jacobian`.

    Raises:
        ValueError: no such file, or one with other columns or with cells that are no numbers.
    """
    path = folder / FILE
    if not path.is_file():
        raise ValueError(f"{folder} holds no {FILE}: {REMEDY} {folder}")
    values: dict[tuple[str, int, int], list[list[float]]] = {}
    layers: dict[str, dict[int, tuple[str, int]]] = {}
    datasets, seeds = set(), set()
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                name, layer = row["configuration"], int(row["layer"])
                numbers = [float(row[column] or "nan") for column in ("q05", "q50", "q95")]
                values.setdefault((name, layer, int(row["epoch"])), []).append(numbers)
                layers.setdefault(name, {})[layer] = row["activation"], int(row["units"])
                datasets.add(row["dataset"])
                seeds.add(int(row["seeds"]))
    except (KeyError, ValueError, TypeError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is not a table of {', '.join(NEEDED)} ({error!r}): {REMEDY} {folder}") from None
    if len(datasets) != 1:
        raise ValueError(f"{path} has rows of {len(datasets)} data sets, one is needed: {REMEDY} {folder}")
    return Spectra(
        folder,
        {key: np.array(rows) for key, rows in values.items()},
        {name: tuple(own[layer] for layer in sorted(own)) for name, own in layers.items()},
        datasets.pop(),
        (min(seeds), max(seeds)),
    )


def fitting(spectra: Spectra, grid: Grid) -> list[str]:
    """The configurations of the grid that the spectra are of: same activations, widths and data set.

    Raises:
        ValueError: there is none.
    """
    wanted = {
        name: tuple(zip(record.config.activations, record.config.widths, strict=True))
        for name, record in grid.records.items()
        if record.config.dataset == spectra.dataset
    }
    found = [name for name, own in spectra.layers.items() if wanted.get(name) == own]
    if not found:
        widths = "-".join(map(str, grid.config.widths))
        raise ValueError(
            f"{spectra.folder / FILE} is of {', '.join(list(spectra.layers)[:3])} on {spectra.dataset}, none of them "
            f"among the records ({grid.config.dataset}, widths {widths}): {REMEDY} {spectra.folder}"
        )
    return found


def figure(spectra: Spectra, grid: Grid) -> Figure:
    """One row of panels at the start, one at the end; one panel per layer, one colour per configuration."""
    names = fitting(spectra, grid)[: len(COLOURS)]
    color = colours_of(names)
    panels = []
    for layer in range(1, len(grid.config.widths) + 1):
        own = [values for (name, i, _), values in spectra.values.items() if i == layer and name in color]
        shown = np.concatenate([values[values > 0] for values in own])
        limits = (float(shown.min() / 1.3), float(shown.max() * 1.3)) if shown.size else None
        for epoch in spectra.epochs:
            marks = []
            for name in names:
                values = spectra.values.get((name, layer, epoch), np.zeros((0, 3)))
                values = np.where(values > 0, values, np.nan)
                number = np.arange(1, len(values) + 1)
                for column, (said, width, opacity) in enumerate(
                    ((" 5 %", 1.0, 0.4), ("", 2.4, 1.0), (" 95 %", 1.0, 0.4))
                ):
                    marks.append(Line(number, values[:, column], name + said, color[name], width, opacity))
            when = f"after epoch {epoch}" if epoch else "at the start"
            title = f"layer {layer} {when}"
            panels.append(
                Panel(title, "number of the singular value", "singular value", marks, None, limits, log_y=True)
            )
    rows = len(spectra.epochs)
    ordered = [panels[rows * layer + row] for row in range(rows) for layer in range(len(panels) // rows)]
    low, high = spectra.seeds
    many = counted(low, "seed") if low == high else f"{low} to {high} seeds"
    return Figure(
        "layer-spectra", "Jacobians of single layers",
        f"Singular values of ∂x(l)/∂x(l−1), largest first: median (strong), 5 % and 95 % of {many} and their examples; "
        "values that are 0 but for rounding are left out, so that a line ends at the rank: that of a ReLU layer is the "
        f"number of units that are on. Runs of their own on {title_of(spectra.dataset)}, by "
        f"`python -m experiments.jacobian`, from {spectra.folder}; one scale per layer.",
        f"Singular values of the Jacobian of every layer of {', '.join(names)}.",
        ordered, len(grid.config.widths), [(name, c, "line") for name, c in color.items()],
    )  # fmt: skip
