"""The grid as tables of layer before by layer, one per output: cells for the page, and the same as figures."""

import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from jaxact.study import claims
from jaxact.study.page.outcome import Outcome, Row
from jaxact.study.page.records import Grid
from jaxact.study.page.shapes import Figure, Heat, Panel

MOST_CELLS, LEAST_SHARE = 2000, 0.25


class Block(NamedTuple):
    """One table: what its combinations share, its rows, its columns, and the name in every cell."""

    title: str
    rows: Sequence[str]
    columns: Sequence[str]
    names: Sequence[Sequence[str]]


class Cell(NamedTuple):
    """One combination on the page.

    Attributes:
        name: the configuration; empty where it has no record.
        text: the number shown.
        heat: 0 (good) to 100 (bad).
        strip: an SVG path of one tick per seed at its accuracy, 0 to 100.
        label: all of it in words.
    """

    name: str
    text: str
    heat: float
    strip: str
    label: str


class View(NamedTuple):
    """One way to colour the cells: key, what the buttons say, caption, ends of the scale, cells per block."""

    key: str
    title: str
    caption: str
    low: str
    high: str
    blocks: Sequence[tuple[Block, Sequence[Sequence[Cell]]]]


def blocks(grid: Grid) -> list[Block]:
    """The tables of a grid: layer L−2 by layer L−1, one per output and choice of the layers before."""
    if len(grid.levels) < 3:
        rows, columns = grid.levels if len(grid.levels) == 2 else (("",), *grid.levels)
        pick = len(grid.levels)
        return [Block("", rows, columns, [[grid.name((row, c)[-pick:]) for c in columns] for row in rows])]
    *leading, rows, columns, last = grid.levels
    found = []
    for before, output in itertools.product(itertools.product(*leading), last):
        names = [[grid.name((*before, row, column, output)) for column in columns] for row in rows]
        title = f"{output} output" + (f", {'-'.join(before)} first" if before else "")
        found.append(Block(title, rows, columns, names))
    return found


def axes(grid: Grid) -> tuple[str, str]:
    """What rows and columns are."""
    if len(grid.labels) < 3:
        rows, columns = grid.labels if len(grid.labels) == 2 else ("", *grid.labels)
        return rows, columns
    return grid.labels[-3], grid.labels[-2]


def why_not(grid: Grid) -> str:
    """Why the grid has no such tables; empty if it has."""
    cells = np.prod([float(len(level)) for level in grid.levels])
    if cells > MOST_CELLS or len(grid.records) < LEAST_SHARE * cells:
        return (
            f"No heat map: the {len(grid.records)} records are a small part of the {cells:.0f} combinations of their "
            "activations. The table of all combinations has every one."
        )
    return ""


def views(grid: Grid, found: Outcome) -> list[View]:
    """Mean, spread, and what theory expected, as far as they are known."""
    if why_not(grid):
        return []
    chance = 100.0 / grid.config.widths[-1]
    best = 100 * found.limit / claims.FAILED  # 100 % on MNIST, the best mean elsewhere
    rows = found.rows.values()
    sds = [row.summary.sd for row in rows if np.isfinite(row.summary.sd)]
    dead = [row.case.predicted_dead for row in rows if np.isfinite(row.case.predicted_dead)]
    made = [
        _view(grid, found, "mean", "Mean accuracy",
              "Mean test accuracy in percent over the seeds, after the last epoch.",
              f"{best:.1f} %", f"{chance:.0f} %", lambda r: r.summary.mean, ".1f",
              lambda v: (best - v) / (best - chance))
    ]  # fmt: skip
    if sds and max(sds) > 0:
        widest = max(sds)
        made.append(
            _view(grid, found, "spread", "Spread of seeds", "Standard deviation over the seeds, in points of accuracy.",
                  "0", f"{widest:.1f}", lambda r: r.summary.sd, ".1f", lambda v: v / widest)
        )  # fmt: skip
    if dead and max(dead) >= 0.05:
        most = max(dead)
        caption = "Output units that mean-field theory expects to be dead before the first step, of those there are."
        made.append(
            _view(grid, found, "theory", "Predicted dead outputs", caption, "0", f"{most:.1f}",
                  lambda r: r.case.predicted_dead, ".1f", lambda v: v / most)
        )  # fmt: skip
    return made


def _view(grid: Grid, found: Outcome, key: str, title: str, caption: str, low: str, high: str,
          value: Callable[[Row], float], form: str, heat: Callable[[float], float]) -> View:  # fmt: skip
    def cell(name: str) -> Cell:
        row = found.rows.get(name)
        if row is None:
            return Cell("", "–", 0.0, "", f"{name}: no record")
        number = value(row)
        text = format(number, form) if np.isfinite(number) else ("div." if np.isnan(row.summary.mean) else "–")
        share = 100 * min(max(heat(number), 0.0), 1.0) if np.isfinite(number) else (100.0 if text == "div." else 0.0)
        return Cell(name, text, round(share, 1), strip(row), told(row))

    tables = [(block, [[cell(name) for name in names] for names in block.names]) for block in blocks(grid)]
    return View(key, title, caption, low, high, tables)


def strip(row: Row) -> str:
    """One tick per seed."""
    return "".join(f"M{value:.1f} 0v10" for value in row.accuracy if np.isfinite(value))


def told(row: Row) -> str:
    """A configuration in words."""
    s, failed = row.summary, int(row.failed.sum())
    mean = "every seed diverged" if np.isnan(s.mean) else f"mean {s.mean:.2f} %"
    spread = "" if np.isnan(s.sd) else f", sd {s.sd:.2f}, from {s.minimum:.2f} to {s.maximum:.2f}"
    diverged = f", {s.n_nan} diverged" if s.n_nan and s.n else ""
    return f"{row.name}: {mean}{spread}; {failed} of {len(row.failed)} seeds fail{diverged}"


def figures(grid: Grid, found: Outcome) -> list[Figure]:
    """The views as figures, for the files."""
    made = []
    captions = {
        "mean": "Read it for the dark cells: {fails}.",
        "spread": "Where it is dark, the seed decides how well a combination trains.",
        "theory": "Known before any training; compare with the mean accuracy.",
    }
    rows, columns = axes(grid)
    fails = ", ".join(row.name for row in found.failing[:4]) or "there are none"
    for view in views(grid, found):
        panels = []
        for block, cells in view.blocks:
            heat = Heat(
                [[c.heat if c.name else np.nan for c in row] for row in cells], block.columns, block.rows,
                [[c.text for c in row] for row in cells], 0.0, 100.0, scale="spread" if view.key == "spread" else "bad",
            )  # fmt: skip
            panels.append(Panel(block.title, columns, rows, [heat]))
        note = captions[view.key].format(fails=fails)
        alt = f"{view.title} of {len(found.rows)} combinations as {len(panels)} tables of colours; {fails} stand out."
        made.append(Figure(f"heat-{view.key}", view.title, f"{view.caption} {note}", alt, panels, min(4, len(panels))))
    return made
