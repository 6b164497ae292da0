"""What a figure of the report is: panels of marks, drawn by Plotly on the page and by matplotlib as PNG and SVG.

A colour is a role that each drawing gives a colour of its theme: `c0` to `c5`, six of Okabe and Ito's, which
colour-blind readers tell apart, `muted` for what stays in the background and `ink` for what is read first.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

Values = Sequence[float] | np.ndarray
COLOURS = ("c0", "c1", "c2", "c3", "c4", "c5")
SYMBOLS = ("circle", "diamond", "square", "cross", "triangle-up", "x")


class Line(NamedTuple):
    """A line; NaN breaks it, so that one mark holds many seeds. Without a label it is a guide for the eye, not data."""

    x: Values
    y: Values
    label: str = ""
    color: str = "muted"
    width: float = 2.0
    opacity: float = 1.0
    dash: str = "solid"


class Dots(NamedTuple):
    """Points, with an interval each where `low` and `high` are given: along x over categories, along y elsewhere.

    Points of a `jitter` are moved at random by up to so much, along y over categories, along x elsewhere.
    """

    x: Values
    y: Values
    label: str = ""
    color: str = "c0"
    opacity: float = 0.8
    size: float = 6.0
    symbol: str = "circle"
    notes: Sequence[str] = ()
    low: Values = ()
    high: Values = ()
    jitter: float = 0.0


class Heat(NamedTuple):
    """A table of numbers shown as colours and as text; rows from the top."""

    z: Sequence[Sequence[float]] | np.ndarray
    columns: Sequence[str]
    rows: Sequence[str]
    text: Sequence[Sequence[str]]
    low: float
    high: float
    label: str = ""
    scale: str = "bad"


Mark = Line | Dots | Heat


class Panel(NamedTuple):
    """One pair of axes.

    Attributes:
        title: above it.
        x, y: what the axes measure, with unit.
        marks: from back to front.
        x_range, y_range: limits, or None for those of the data.
        log_x, log_y: logarithmic axes.
        whole_x: ticks at whole numbers only.
        categories: names at y = 0, 1, …, from the top; empty for a numeric axis.
    """

    title: str
    x: str
    y: str
    marks: Sequence[Mark]
    x_range: tuple[float, float] | None = None
    y_range: tuple[float, float] | None = None
    log_x: bool = False
    log_y: bool = False
    whole_x: bool = False
    categories: Sequence[str] = ()


class Figure(NamedTuple):
    """Panels with one caption.

    Attributes:
        name: of its files.
        title: what it is, in a few words.
        caption: what to see in it.
        alt: what it shows, for those who do not see it.
        panels: in reading order.
        columns: panels side by side where there is room.
        legend: (label, colour, symbol or `line`) of what the panels share.
    """

    name: str
    title: str
    caption: str
    alt: str
    panels: Sequence[Panel]
    columns: int = 2
    legend: Sequence[tuple[str, str, str]] = ()


class Table(NamedTuple):
    """A table: name of its files, title, header, rows of text, and what has to be known to read it."""

    name: str
    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


class Section(NamedTuple):
    """One part of the page; `missing` says why there is nothing to show."""

    name: str
    title: str
    text: Sequence[str] = ()
    figures: Sequence[Figure] = ()
    tables: Sequence[Table] = ()
    missing: str = ""


def jitter(dots: Dots) -> np.ndarray:
    """The same moves of every drawing, up to ±`dots.jitter`, spread evenly (golden ratio) rather than at random."""
    return dots.jitter * (2 * (0.5 + 0.618033988749895 * np.arange(len(dots.x))) % 2 - 1)


def data_of(figure: Figure) -> list[list[str]]:
    """Everything a figure draws, one row per point, header first: the file behind its link."""
    rows = [["panel", "series", "x", "y", "value", "low", "high", "note", "x is", "y is"]]
    for panel in figure.panels:
        for mark in panel.marks:
            if isinstance(mark, Line) and not mark.label:
                continue
            rows += [[panel.title, mark.label, *cells, panel.x, panel.y] for cells in _cells(panel, mark)]
    return rows


def _cells(panel: Panel, mark: Mark) -> Iterator[list[str]]:
    if isinstance(mark, Heat):
        for i, row in enumerate(mark.rows):
            for j, column in enumerate(mark.columns):
                yield [column, row, number(mark.z[i][j]), "", "", mark.text[i][j]]
        return
    for i, (x, y) in enumerate(zip(mark.x, mark.y, strict=True)):
        if np.isnan(x):
            continue
        shown = panel.categories[round(y)] if panel.categories else number(y)
        extras = ["", "", ""]
        if isinstance(mark, Dots):
            extras = [number(mark.low[i]), number(mark.high[i])] if len(mark.low) else ["", ""]
            extras.append(mark.notes[i] if mark.notes else "")
        yield [number(x), shown, "", *extras]


def number(value: Any) -> str:
    """Six significant digits; nothing for NaN."""
    return "" if np.isnan(value) else f"{value:.6g}"
