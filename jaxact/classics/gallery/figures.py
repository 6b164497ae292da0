"""Drawing for `experiments.gallery`: one panel per activation, φ and φ' with the facts beside it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxact.activations import Activation, as_numpy, derivative
from jaxact.classics.gallery.page import Facts, beside, short
from jaxact.report.figures import Axes, Figure, figure, save, swatch
from jaxact.report.palette import BLUE, PALE, VERMILION

VALUE, SLOPE, FLAT = BLUE, VERMILION, PALE
SHADE = 0.35
SPAN = 5.0
"""Half the width of a panel; wider where a kink lies beyond."""
BOX = (-0.52, 1.04)
"""Lowest and highest y of a panel, in units of the span."""
POINTS = 801
DPI = 100
PNG_COLOURS = 64


def line_of(entry: Activation) -> tuple[str, Callable[[Any], list[Any]]]:
    """The line along which a vector function's first output is drawn: its description, and the inputs at x."""
    if entry.inputs_per_output == 1:
        return "(x, 0, 0)", lambda x: [x, 0 * x, 0 * x]
    fixed = entry.inputs_per_output - 1
    return f"({'1, ' * fixed}x)", lambda x: [*[1 + 0 * x] * fixed, x]


def curves(entry: Activation, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """φ and φ' at x in float64; for a vector function its first output along `line_of` and the slope along that line.

    Args:
        entry: the activation.
        x: points [n].

    Returns:
        Values [n] and derivatives [n].
    """
    if entry.kind == "elementwise":
        value, slope = as_numpy(entry)
        return value(x), slope(x)
    _, inputs = line_of(entry)
    along = jax.vmap(lambda point: entry(jnp.stack(inputs(point)))[0])
    with jax.enable_x64(True):
        return np.asarray(along(jnp.asarray(x))), np.asarray(derivative(along)(jnp.asarray(x)))


def span_of(entry: Activation) -> float:
    """Half the width of an activation's panel: 5, or as much as shows its kinks within 20 (6 for relu6)."""
    return max([SPAN, *(1.25 * abs(kink) for kink in entry.kinks or () if abs(kink) <= 20)])


def grid(kinks: Sequence[float], span: float = SPAN) -> np.ndarray:
    """Points from −span to span with one just to each side of every kink, and the kink itself, where a jump is cut."""
    beside = [kink + side for kink in kinks for side in (-1e-9, 0.0, 1e-9)]
    points = np.concatenate([np.linspace(-span, span, POINTS), np.array(beside)])
    return np.unique(points[np.abs(points) <= span])


def cut(x: np.ndarray, y: np.ndarray, kinks: Sequence[float]) -> np.ndarray:
    """The curve with NaN at every kink across which it jumps, so that no line is drawn there."""
    broken = y.copy()
    for i in np.flatnonzero(np.isin(x, kinks)):
        if 0 < i < x.size - 1 and abs(y[i + 1] - y[i - 1]) > 1e-6:
            broken[i] = np.nan
    return broken


def draw(axes: Axes, entry: Activation, flat: Sequence[tuple[float, float]]) -> None:
    """Draw φ (solid) and φ' (dashed), with the intervals where φ' is 0 shaded."""
    kinks = entry.kinks or ()
    span = span_of(entry)
    x = grid(kinks, span)
    value, slope = curves(entry, x)
    for left, right in flat:
        axes.axvspan(max(left, -span), min(right, span), color=FLAT, alpha=SHADE, linewidth=0)
    axes.axhline(0, color="black", linewidth=0.5)
    axes.axvline(0, color="black", linewidth=0.5)
    axes.plot(x, cut(x, value, kinks), color=VALUE, linewidth=2, label="φ")
    axes.plot(x, cut(x, slope, kinks), color=SLOPE, linewidth=1.6, linestyle="--", label="φ′")
    low, high = np.nanmin([value, slope]), np.nanmax([value, slope])
    bottom, top = (edge * span for edge in BOX)
    margin = 0.06 * (min(high, top) - max(low, bottom))
    axes.set_xlim(-span, span)
    axes.set_ylim(max(low - margin, bottom), min(high + margin, top))
    axes.set_title(entry.spec, fontsize=10, fontweight="bold")
    axes.tick_params(labelsize=8)


def sheet(path: Path, title: str, found: Sequence[Facts]) -> None:
    """Write one sheet of panels, an activation in each.

    Args:
        path: the PNG.
        title: what the sheet shows.
        found: the activations.
    """
    columns = min(4, len(found))
    rows = -(-len(found) // columns)
    drawn = figure(3.1 * columns, 2.75 * rows + 0.6, layout=None)
    axes = drawn.subplots(rows, columns, squeeze=False)
    for panel, facts in zip(axes.flat, found, strict=False):
        draw(panel, facts.entry, facts.flat)
        panel.set_xlabel(f"{_where(facts.entry)}\n{short(facts)}", fontsize=8)
    for panel in axes.flat[len(found) :]:
        panel.set_axis_off()
    handles, labels = axes.flat[0].get_legend_handles_labels()
    shade = swatch(FLAT, SHADE)
    drawn.legend([*handles, shade], [*labels, "φ′ = 0"], loc="upper right", ncols=3, fontsize=9, frameon=False)
    drawn.suptitle(title, x=0.01, ha="left", fontsize=12)
    _save(drawn, path)


def single(path: Path, facts: Facts) -> None:
    """Write one activation's figure with its facts as text beside it."""
    drawn = figure(9, 3.8, layout=None)
    panel, text = drawn.subplots(1, 2, width_ratios=(1, 1))
    draw(panel, facts.entry, facts.flat)
    panel.set_xlabel(_where(facts.entry))
    panel.set_ylabel("φ(x), φ′(x)")
    panel.legend(frameon=False)
    text.set_axis_off()
    text.text(0, 1, "\n".join(beside(facts)), va="top", fontsize=9, linespacing=1.5)
    _save(drawn, path)


def _where(entry: Activation) -> str:
    return "x" if entry.kind == "elementwise" else f"x, at {line_of(entry)[0]}"


def _save(drawn: Figure, path: Path) -> None:
    drawn.tight_layout()
    save(drawn, path, dpi=DPI, colours=PNG_COLOURS)
