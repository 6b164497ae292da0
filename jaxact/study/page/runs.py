"""Figures of the runs themselves: learning curves, every seed of every configuration, the ladder of lost classes."""

from collections.abc import Sequence

import numpy as np

from jaxact.study.evidence import ladder
from jaxact.study.page.outcome import Outcome, Row, laddered, order
from jaxact.study.page.records import Grid
from jaxact.study.page.shapes import COLOURS, SYMBOLS, Dots, Figure, Line, Panel
from jaxact.study.pooled import line_r_squared

MOST_CONFIGURATIONS = 80
"""Shown as one strip each; of more, the worst."""
MOST_CURVES = 600


def by_output(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows by the activation of their output layer."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.record.config.activations[-1], []).append(row)
    return found


def _before(row: Row) -> str:
    names = row.record.config.activations
    return names[max(0, len(names) - 2)]


def colours_of(names: Sequence[str]) -> dict[str, str]:
    """A colour per name, the background's for more than there are colours."""
    return {name: COLOURS[i] if i < len(COLOURS) else "muted" for i, name in enumerate(dict.fromkeys(names))}


def curves(grid: Grid, found: Outcome) -> Figure | None:
    """Test accuracy over the epochs, every seed faint, the mean strong, one panel per output."""
    rows = sorted(found.rows.values(), key=order)[:MOST_CURVES]
    color = colours_of(grid.activations(-2 if len(grid.config.activations) > 1 else -1))
    panels = []
    groups = by_output(rows)
    for output in (name for name in grid.activations(-1) if name in groups):
        seeds, means = [], []
        for row in groups[output]:
            lines = row.record.test_accuracy()
            times = np.arange(lines.shape[1], dtype=float)
            broken = np.concatenate([lines, np.full((len(lines), 1), np.nan)], 1).ravel()
            along = np.tile(np.append(times, np.nan), len(lines))
            c = color[_before(row)]
            seeds.append(Line(along, broken, f"{row.name}, seeds", c, 1.0, 0.22))
            means.append(Line(times, _mean(lines), row.name, c, 2.4, 0.95))
        panels.append(
            Panel(f"{output} output", "epoch", "test accuracy, %", [*seeds, *means], None, (0, 101), whole_x=True)
        )
    if not panels:
        return None
    before = "the layer before the output" if len(grid.config.activations) > 1 else "the only layer"
    seen = ""
    if found.failing:
        means = _mean(np.stack([_mean(row.record.test_accuracy()) for row in found.failing]))
        reached = f"reach {means[1]:.1f} % after the first epoch and {means[-1]:.1f} % after the last, on average"
        seen = f" The failing ones {reached if np.isfinite(means[[1, -1]]).all() else 'diverge'}."
    return Figure(
        "curves", "Learning curves", f"Every seed faint, the mean of a combination strong; colour: {before}.{seen}",
        f"Test accuracy by epoch of {len(rows)} combinations in {len(panels)} panels, one per output activation.",
        panels, 2, [(f"{name} before the output", c, "line") for name, c in color.items() if c != "muted"],
    )  # fmt: skip


def _mean(lines: np.ndarray) -> np.ndarray:
    known = np.isfinite(lines)
    return np.where(known.any(0), np.where(known, lines, 0).sum(0) / np.maximum(known.sum(0), 1), np.nan)


def seeds(grid: Grid, found: Outcome) -> Figure:
    """Final accuracy of every seed of every configuration, worst first; a diverged seed is a cross at 0."""
    rows = sorted(found.rows.values(), key=order)
    shown = rows[:MOST_CONFIGURATIONS]
    outputs = grid.activations(-1)
    color = colours_of(outputs)
    symbol = {name: SYMBOLS[i % len(SYMBOLS)] for i, name in enumerate(outputs)}
    half = -(-len(shown) // 2) if len(shown) > 12 else len(shown)
    panels = []
    for part in filter(None, (shown[:half], shown[half:])):
        marks: list[Line | Dots] = []
        for i, row in enumerate(part):
            output = row.record.config.activations[-1]
            known = np.isfinite(row.accuracy)
            notes = [f"seed {seed}" for seed in row.record.seeds[known]]
            x, y = row.accuracy[known], np.full(known.sum(), float(i))
            marks.append(Dots(x, y, row.name, color[output], 0.55, 6, symbol[output], notes, jitter=0.28))
            if lost := [f"seed {seed} diverged" for seed in row.record.seeds[~known]]:
                marks.append(Dots([0.0] * len(lost), [float(i)] * len(lost), row.name, "ink", 1, 9, "x", lost))
        x_ends = np.array([row.summary.mean for row in part])
        marks.append(
            Dots(x_ends, np.arange(len(part), dtype=float), "mean", "ink", 1, 4, "diamond", [r.name for r in part])
        )
        names = [row.name for row in part]
        panels.append(Panel("", "test accuracy, %", "", marks, x_range=(-2, 101), categories=names))
    left_out = f" The {len(rows) - len(shown)} best are left out." if len(rows) > len(shown) else ""
    return Figure(
        "seeds", "Every seed",
        "One mark per seed, a small diamond at the mean, worst combination first; a cross at 0 is a seed that "
        "diverged. "
        f"A mean with a spread hides what a mixture of lost classes shows: steps.{_widest(rows)}{left_out}",
        f"Strips of the final accuracies of {len(shown)} combinations, sorted by their mean.",
        panels, 2, [(f"{name} output", c, symbol[name]) for name, c in color.items() if c != "muted"],
    )  # fmt: skip


def _widest(rows: Sequence[Row]) -> str:
    known = [row for row in rows if row.summary.n > 1]
    if not known:
        return ""
    widest = max(known, key=lambda row: row.summary.maximum - row.summary.minimum)
    return f" Widest: {widest.name}, from {widest.summary.minimum:.1f} to {widest.summary.maximum:.1f} %."


def steps(found: Outcome) -> Figure | None:
    """Classes never predicted against accuracy, with the ladder that lost classes alone would leave."""
    rows = [row for row in found.rows.values() if row.fails or row.record.config.activations[-1] == "relu"]
    if not rows or not any(row.case.never.any() for row in rows):
        return None
    names = [row.name for row in sorted((r for r in rows if r.fails), key=order)][:4]
    color = colours_of(names)
    panels = [_ladder_panel(found, rows, color)]
    fit, legend = laddered(found, rows), [(n, color[n], SYMBOLS[i]) for i, n in enumerate(names)]
    never, accuracy = (
        np.concatenate([getattr(row, f) if f == "accuracy" else row.case.never for row in rows])
        for f in ("never", "accuracy")
    )
    told = ""
    known = np.isfinite(accuracy)
    if np.ptp(never[known]) and np.ptp(accuracy[known]):
        told = " A straight line fitted to the count of lost classes has "
        told += f"R² = {line_r_squared(never[known].astype(float), accuracy[known]):.3f}."
    if fit:
        measured, expected, r2 = fit
        told += (
            f" Right: from which classes are lost, nothing fitted, R² = {r2:.3f}; a is the mean accuracy of the runs "
        )
        told += "that predict every class (of the best combination, if none does)."
        ends = (0.0, 100.0)
        panels.append(Panel("", "a · (1 − share of the lost classes), %", "measured accuracy, %", [
            Line(ends, ends, "equal", "muted", 1.5),
            Dots(expected, measured, "run", "c0", 0.5, 6),
        ], x_range=(0, 101), y_range=(0, 101)))  # fmt: skip
    counts = "" if found.exact_counts else " Classes are taken to be equally frequent."
    return Figure(
        "ladder", "Lost classes and accuracy",
        "One mark per run of the failing combinations and of those with a ReLU output. Grey: what remains of the best "
        f"run's accuracy if so many classes are never predicted, from the largest to the smallest of "
        f"them.{told}{counts}",
        f"Accuracy against the number of classes never predicted, {len(never)} runs beside a falling ladder.{told}",
        panels, 2, [*legend, ("other runs", "muted", "circle")],
    )  # fmt: skip


def _ladder_panel(found: Outcome, rows: Sequence[Row], color: dict[str, str]) -> Panel:
    classes = len(found.class_counts)
    rungs = [r for r in ladder([row.case for row in rows], found.class_counts.tolist()) if r.dead < classes]
    marks: list[Line | Dots] = []
    for rung in rungs:
        box = ([rung.dead - 0.42, rung.dead + 0.42, np.nan] * 2, [rung.low] * 2 + [np.nan] + [rung.high] * 2 + [np.nan])
        marks.append(Line(*box, "ladder", "muted", 2.0))
    for row in sorted(rows, key=lambda row: row.name in color):
        i = list(color).index(row.name) if row.name in color else 0
        known = np.isfinite(row.accuracy)
        notes = [f"seed {seed}" for seed in row.record.seeds[known]]
        shade = color.get(row.name, "muted")
        marks.append(
            Dots(row.case.never[known].astype(float), row.accuracy[known], row.name, shade, 0.7, 6,
                 SYMBOLS[i] if row.name in color else "circle", notes, jitter=0.26)
        )  # fmt: skip
    return Panel(
        "", "classes never predicted", "test accuracy, %", marks, x_range=(-0.6, classes - 0.4), y_range=(0, 101)
    )
