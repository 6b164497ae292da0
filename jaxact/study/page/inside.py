"""Figures of what the probes saw: dead and saturated units, gradients, Jacobians, and theory beside measurement."""

from collections.abc import Callable, Sequence

import numpy as np

from jaxact.study.evidence import FAILING, RULE, is_study, judge
from jaxact.study.page.outcome import Outcome, Row, order
from jaxact.study.page.records import Grid
from jaxact.study.page.runs import colours_of
from jaxact.study.page.shapes import SYMBOLS, Dots, Figure, Line, Panel, Table
from jaxact.study.pooled import dead_at_start

HIGHLIGHTED = 4
SMALLEST = 1e-12
"""Where an exact 0 is drawn on a logarithmic axis."""


def highlighted(found: Outcome) -> list[Row]:
    """The worst failing configurations and the best one: what every figure of this module picks out."""
    rows = sorted(found.rows.values(), key=order)
    chosen = found.failing[:HIGHLIGHTED] or rows[:1]
    best = next((row for row in reversed(rows) if np.isfinite(row.summary.mean)), None)
    control = control_of(chosen[0], found) if found.failing else None
    return list({row.name: row for row in (*chosen, control, best) if row is not None}.values())


def control_of(failing: Row, found: Outcome) -> Row | None:
    """The best configuration with the same hidden layers and another output."""
    hidden = failing.record.config.activations[:-1]
    others = [r for r in found.rows.values() if r.record.config.activations[:-1] == hidden and r.name != failing.name]
    return max(others, key=lambda row: np.nan_to_num(row.summary.mean, nan=-1.0), default=None)


def _lines(found: Outcome, value: Callable[[Row], np.ndarray]) -> list[Line]:
    """One line per configuration over its times, the highlighted ones last and in colour."""
    chosen = highlighted(found)
    color = colours_of([row.name for row in chosen])
    drawn = []
    rows = [row for row in found.rows.values() if row.name not in color] + chosen
    for row in rows:
        y = value(row)
        style = (color[row.name], 2.6, 1.0) if row.name in color else ("muted", 1.0, 0.35)
        drawn.append(Line(np.arange(len(y), dtype=float), y, row.name, *style))
    return drawn


def _legend(found: Outcome, others: str = "all others") -> list[tuple[str, str, str]]:
    color = colours_of([row.name for row in highlighted(found)])
    rest = [(others, "muted", "line")] if len(found.rows) > len(color) else []
    return [(name, c, "line") for name, c in color.items()] + rest


def _mean(values: np.ndarray) -> np.ndarray:
    known = np.isfinite(values)
    return np.where(known.any(0), np.where(known, values, 0).sum(0) / np.maximum(known.sum(0), 1), np.nan)


def _median_log(values: np.ndarray) -> np.ndarray:
    known = np.where(np.isfinite(values), np.maximum(values, SMALLEST), np.nan)
    return np.array([np.nanmedian(c) if np.isfinite(c).any() else np.nan for c in known.T])


def _one_scale(panels: Sequence[Panel]) -> list[Panel]:
    """Logarithmic panels that are read against each other, with the same limits."""
    values = np.array([v for panel in panels for mark in panel.marks if isinstance(mark, Line) for v in mark.y], float)
    values = values[np.isfinite(values) & (values > 0)]
    if not len(values):
        return list(panels)
    room = max(1.3, (values.max() / values.min()) ** 0.04)
    return [panel._replace(y_range=(float(values.min() / room), float(values.max() * room))) for panel in panels]


def health(grid: Grid, found: Outcome) -> Figure:
    """Dead units, saturated pre-activations and gradient norm, per layer over the epochs."""
    layers = len(grid.config.widths)
    kinds: list[tuple[str, str, Callable[[Row, int], np.ndarray], bool]] = [
        ("dead units, %", "dead", lambda r, i: _mean(100 * r.record.dead(i + 1).mean(-1)), False),
        ("saturated, %", "saturated", lambda r, i: _mean(100 * r.record.arrays["probe_saturated"][..., i]), False),
        ("gradient norm", "gradient", lambda r, i: _median_log(r.record.arrays["probe_gradient_layers"][..., i]), True),
    ]
    panels = []
    for label, _, value, log in kinds:
        for i in range(layers):
            title = f"{label.split(',')[0]}, layer {i + 1}" + (" (output)" if i == layers - 1 else "")
            marks = _lines(found, lambda row, i=i, value=value: value(row, i))
            panels.append(
                Panel(title, "epoch", label, marks, None, None if log else (-3, 103), log_y=log, whole_x=True)
            )
    panels[-layers:] = _one_scale(panels[-layers:])
    control = control_of(found.failing[0], found) if found.failing else None
    told = f" Compare {found.failing[0].name} with {control.name}, which has the same hidden layers." if control else ""
    return Figure(
        "health", "Dead units, saturation and gradients by layer",
        "Means over the seeds (gradients: medians; an exact 0 is drawn at 1e−12). Dead: slope 0 on the whole test set. "
        "Saturated: slope below 5 % of its largest. Gradient: √E‖∂ℓ/∂h‖² at the layer's pre-activations, one scale for "
        f"all layers.{told}",
        f"{len(panels)} panels of curves over the epochs for {len(found.rows)} combinations, failing ones in colour.",
        panels, layers, _legend(found),
    )  # fmt: skip


def spectra(grid: Grid, found: Outcome, elsewhere: str) -> Figure:
    """Singular values of the input-output Jacobian, and the layers' APJN, at the start and at the end."""
    panels = []
    for when, i in (("at the start", 0), ("after the last epoch", -1)):
        marks = [
            line._replace(x=np.asarray(line.x) + 1)
            for line in _lines(found, lambda r, i=i: _median_log(r.record.arrays["probe_singular_values"][:, i]))
        ]
        panels.append(
            Panel(f"∂ output / ∂ input {when}", "number of the singular value", "singular value", marks, log_y=True)
        )
    panels = _one_scale(panels)
    layers = len(grid.config.widths)
    for when, i in (("at the start", 0), ("after the last epoch", -1)) if layers > 1 else ():
        marks = [
            line._replace(x=np.asarray(line.x) + 2)
            for line in _lines(found, lambda r, i=i: _median_log(
                np.stack([r.record.arrays["probe_apjn"][:, i, n + 1, n] for n in range(layers - 1)], 1)))
        ]  # fmt: skip
        panels.append(
            Panel(f"gain into each layer {when}", "layer", "(1/n)‖∂h(l)/∂h(l−1)‖²", marks, log_y=True, whole_x=True)
        )
    panels[2:] = _one_scale(panels[2:])
    return Figure(
        "spectra", "Jacobians",
        "Above: singular values of the end-to-end Jacobian, largest first, median over seeds and 16 images. Where "
        "they drop "
        "to 1e−7 or less they are 0 up to rounding (an exact 0 is drawn at 1e−12): directions in which the output does "
        "not move. Below: how much a layer's pre-activations move with those before, squared. Spectra of single "
        f"layers: {elsewhere}.",
        f"Singular values and layer gains of {len(found.rows)} combinations, the failing ones in colour.",
        panels, 2, _legend(found),
    )  # fmt: skip


def theory(found: Outcome) -> Figure | None:
    """Predicted by mean-field theory against measured at the start."""
    rows = [row for row in found.rows.values() if np.isfinite(row.case.predicted_correlation)]
    if not rows:
        return None
    outputs = list(dict.fromkeys(row.record.config.activations[-1] for row in rows))
    color = colours_of(outputs)
    symbol = {name: SYMBOLS[i % len(SYMBOLS)] for i, name in enumerate(outputs)}
    rng = np.random.default_rng(0)
    dead, aligned, accuracy = [], [], []
    for output in outputs:
        own = [row for row in rows if row.record.config.activations[-1] == output]
        style = (output, color[output], 0.85, 7, symbol[output], [row.name for row in own])
        c = [row.case.predicted_correlation for row in own]
        means = [row.case.dead[:, 0].mean() for row in own]
        ends = [dead_at_start(row.case, rng) for row in own]
        low, high = ([getattr(e, end) for e in ends] for end in ("low", "high"))
        dead.append(Dots([row.case.predicted_dead for row in own], means, *style, low, high))
        aligned.append(Dots(c, [row.case.correlation.mean() for row in own], *style))
        accuracy.append(Dots(c, [row.summary.mean for row in own], *style))
    most = max(1.0, *(row.case.predicted_dead for row in rows), *(row.case.dead[:, 0].mean() for row in rows)) * 1.1
    panels = [
        Panel("dead outputs", "predicted", "measured at the start",
              [Line((0, most), (0, most), "", "muted", 1.5), *dead]),
        Panel("correlation of output pre-activations", "predicted", "measured at the start",
              [Line((0, 1), (0, 1), "", "muted", 1.5), *aligned]),
        Panel("and what became of it", "predicted correlation", "mean test accuracy, %", accuracy, y_range=(0, 101)),
    ]  # fmt: skip
    return Figure(
        "theory", "Predicted before training, measured after",
        "On the grey line theory is right; intervals: 95 %, over seeds, none of fewer than 4. "
        "The more alike all inputs look to the "
        "output units "
        "(correlation near 1), the more of these are on one side of 0 for every input, which kills a ReLU. Whether "
        "other "
        "outputs suffer too is to be seen on the right.",
        f"Predicted against measured dead outputs and correlations of {len(rows)} combinations.",
        panels, 3, [(f"{name} output", c, symbol[name]) for name, c in color.items()],
    )  # fmt: skip


def pages(grid: Grid, found: Outcome, layers: Figure | None = None) -> Sequence[Figure]:
    """All figures of this module that the records support, and that of the single layers, if there is one."""
    elsewhere = "the next figure" if layers else "not in the records; `python -m experiments.jacobian` measures them"
    drawn = (health(grid, found), spectra(grid, found, elsewhere), layers, theory(found))
    return [figure for figure in drawn if figure]


def verdicts(found: Outcome) -> list[Table]:
    """The verdict of `explain_evidence.judge` on the study's failing endings, which its rule is about; else nothing."""
    cases = {name: row.case for name, row in found.rows.items()}
    own = [name for name in FAILING if name in cases and is_study(cases[name].record.config, "mnist")]
    head = ("configuration", "verdict", "lost classes with their output off", "dead on every image", "most saturated")
    head += ("control", "its accuracy", "gradient 1/L", "its gradient 1/L")
    rows = []
    for v in (judge(cases[name], cases) for name in own):
        shares = [f"{100 * share:.3g} %" for share in (v.inactive, v.strict, v.saturated)]
        numbers = [v.control_accuracy, v.attenuation, v.control_attenuation]
        shown = ["–" if np.isnan(x) else f"{x:.4g}" for x in numbers]
        rows.append([v.name, v.answer, *shares, v.control, *shown])
    if not rows:
        return []
    note = (
        f"Rule: {RULE.partition('; the predictions below')[0]}. Saturated: share of the last hidden layer's "
        "pre-activations, largest over the epochs. Gradient 1/L: norm at the first layer's pre-activations over that "
        "at the output's, at the start, median over seeds."
    )
    return [Table("verdicts", "Dead outputs or vanishing gradients", head, rows, note)]
