"""Drawing for `experiments.gallery`: one panel per activation, φ and φ' with the facts beside it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxact.activations import Activation, as_numpy, derivative

if TYPE_CHECKING:
    from matplotlib.axes import Axes

VALUE, SLOPE, FLAT = "#0072B2", "#D55E00", "#BBBBBB"
"""Okabe and Ito's blue and vermilion, which colour-blind readers tell apart, and grey for where φ' is 0."""

SPAN = 5.0
"""Half the width of a panel; wider where a kink lies beyond."""
BOX = (-0.52, 1.04)
"""Lowest and highest y of a panel, in units of the span."""
POINTS = 801
DPI = 100
COLOURS = 64


def pyplot() -> Any:
    """Matplotlib's pyplot on the Agg backend.

    Raises:
        ValueError: matplotlib is not installed.
    """
    try:
        import matplotlib
    except ModuleNotFoundError:
        raise ValueError("figures need matplotlib: pip install 'jaxact[figures]'") from None
    matplotlib.use("agg")
    from matplotlib import pyplot

    return pyplot


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
    import jax
    import jax.numpy as jnp

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


def draw(axes: "Axes", entry: Activation, flat: Sequence[tuple[float, float]]) -> None:
    """Draw φ (solid) and φ' (dashed), with the intervals where φ' is 0 shaded."""
    kinks = entry.kinks or ()
    span = span_of(entry)
    x = grid(kinks, span)
    value, slope = curves(entry, x)
    for left, right in flat:
        axes.axvspan(max(left, -span), min(right, span), color=FLAT, alpha=0.35, linewidth=0)
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


def sheet(path: Path, title: str, entries: Sequence[Activation], facts: Callable[[Activation], str], flat: Any) -> None:
    """Write one sheet of panels.

    Args:
        path: the PNG.
        title: what the sheet shows.
        entries: the activations, one panel each.
        facts: the lines below a panel.
        flat: the intervals of an activation where φ' is 0.
    """
    plt = pyplot()
    columns = min(4, len(entries))
    rows = -(-len(entries) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(3.1 * columns, 2.75 * rows + 0.6), dpi=DPI, squeeze=False)
    for panel, entry in zip(axes.flat, entries, strict=False):
        draw(panel, entry, flat(entry))
        where = "x" if entry.kind == "elementwise" else f"x, at {line_of(entry)[0]}"
        panel.set_xlabel(f"{where}\n{facts(entry)}", fontsize=8)
    for panel in axes.flat[len(entries) :]:
        panel.set_axis_off()
    handles, labels = axes.flat[0].get_legend_handles_labels()
    shade = plt.Rectangle((0, 0), 1, 1, color=FLAT, alpha=0.35)
    figure.legend([*handles, shade], [*labels, "φ′ = 0"], loc="upper right", ncols=3, fontsize=9, frameon=False)
    figure.suptitle(title, x=0.01, ha="left", fontsize=12)
    _save(plt, figure, path)


def single(path: Path, entry: Activation, lines: Sequence[str], flat: Sequence[tuple[float, float]]) -> None:
    """Write one activation's figure with its facts as text beside it."""
    plt = pyplot()
    figure, (panel, text) = plt.subplots(1, 2, figsize=(9, 3.8), dpi=DPI, width_ratios=(1, 1))
    draw(panel, entry, flat)
    panel.set_xlabel("x" if entry.kind == "elementwise" else f"x, at {line_of(entry)[0]}")
    panel.set_ylabel("φ(x), φ′(x)")
    panel.legend(frameon=False)
    text.set_axis_off()
    text.text(0, 1, "\n".join(lines), va="top", fontsize=9, linespacing=1.5)
    _save(plt, figure, path)


def _save(plt: Any, figure: Any, path: Path) -> None:
    """Write the figure with a palette, a third of the size, and without a date: two runs give the same bytes."""
    from PIL import Image

    figure.tight_layout()
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3]
    plt.close(figure)
    Image.fromarray(pixels).quantize(COLOURS).save(path, optimize=True)
