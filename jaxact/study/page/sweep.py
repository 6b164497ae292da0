"""A sweep among the records: the grid at other values of one option, every value beside the others."""

from collections.abc import Sequence

import numpy as np

from jaxact.records import Record
from jaxact.study.page.outcome import Row, judged, limit_of
from jaxact.study.page.records import Grid, swept_field
from jaxact.study.page.runs import colours_of
from jaxact.study.page.shapes import COLOURS, Dots, Figure, Line, Panel, Section, Table


def sections(grid: Grid) -> list[tuple[str, Section]]:
    """One per option that is swept: (field, section)."""
    found: dict[str, list[Record]] = {}
    for record in grid.swept:
        found.setdefault(swept_field(record.config, grid.config), []).append(record)
    return [(field, _section(field, grid, records)) for field, records in found.items()]


def _section(field: str, grid: Grid, swept: Sequence[Record]) -> Section:
    rows = {(r.config.name, _value(field, r)): judged(r, limit_of(r)) for r in (*grid.records.values(), *swept)}
    values = sorted({value for _, value in rows})
    title = f"The sweep of the {field.replace('_', ' ')}"
    here = _text(_value(field, next(iter(grid.records.values()))))
    text = f"Every value of these records; the other sections are of {here}."
    figures = [_figure(grid, rows)] if field == "learning_rate" else []
    return Section(f"sweep-{field.replace('_', '-')}", title, [text], figures, [_table(field, grid, rows, values)])


def _value(field: str, record: Record) -> float | str | tuple[int, ...]:
    return getattr(record.config, field)


def _text(value: object) -> str:
    return (" ".join(map(str, value)) or "none") if isinstance(value, tuple) else str(value)


def _table(field: str, grid: Grid, rows: dict, values: Sequence) -> Table:
    cells = [[name, *(_cell(rows.get((name, value))) for value in values)] for name in grid.records]
    note = "Mean test accuracy in percent after the last epoch over the seeds, and how many of them fail; – is no run."
    head = ("configuration", *map(_text, values))
    name = f"sweep-{field.replace('_', '-')}"
    return Table(name, f"Accuracy by {field.replace('_', ' ')}", head, cells, note)


def _cell(row: Row | None) -> str:
    if row is None:
        return "–"
    mean = "diverged" if np.isnan(row.summary.mean) else f"{row.summary.mean:.1f}"
    return f"{mean} ({int(row.failed.sum())} of {len(row.failed)} fail)"


def _figure(grid: Grid, rows: dict) -> Figure:
    """Mean accuracy of every configuration by learning rate, and every seed, the first in colour."""
    names, values = list(grid.records), sorted({row.record.config.learning_rate for row in rows.values()})
    color = colours_of(names[: len(COLOURS)])
    marks: list[Line | Dots] = []
    for name in names:
        own = [(value, rows[name, value]) for value in values if (name, value) in rows]
        shade = color.get(name, "muted")
        marks.append(Line([v for v, _ in own], [row.summary.mean for _, row in own], name, shade))
        at = np.concatenate([np.full(len(row.accuracy), value) for value, row in own])
        seeds = np.concatenate([row.accuracy for _, row in own])
        known = np.isfinite(seeds)
        marks.append(Dots(at[known], seeds[known], f"{name}, seeds", shade, 0.5, 5))
    return Figure(
        "sweep-learning-rate", "Accuracy by learning rate",
        "Mean over the seeds that did not diverge, and every seed.",
        f"Test accuracy of {len(names)} combinations at {len(values)} learning rates.",
        [Panel("", "learning rate", "test accuracy, %", marks, y_range=(0, 101), log_x=max(values) > 20 * min(values))],
        1, [(name, shade, "line") for name, shade in color.items()],
    )  # fmt: skip
