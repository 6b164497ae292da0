"""Panels drawn by matplotlib: PNG for pages and slides, SVG for print."""

import io
import math
from typing import Any

import numpy as np

from jaxact.study.page.shapes import Dots, Figure, Heat, Line, Mark, Panel, jitter

INK = {
    **{"c0": "#0072B2", "c1": "#D55E00", "c2": "#009E73", "c3": "#CC79A7", "c4": "#E69F00", "c5": "#56B4E9"},
    **{"muted": "#9aa0a6", "ink": "#1b1f24"},
}
SCALES = {
    "bad": ("#f6f1e7", "#f0b27a", "#8e1b1b"),
    "spread": ("#f1f4f8", "#7fa9cf", "#123b6b"),
    "signed": ("#b3480b", "#f3f1ec", "#1f6aa8"),
}
"""From `Heat.low` to `Heat.high`, in steps of falling lightness."""
MARKERS = {"circle": "o", "diamond": "D", "square": "s", "cross": "P", "triangle-up": "^", "x": "X"}
EXACT = 128
"""Colours of a PNG that stay as they are."""
DASHES = {"solid": "-", "dash": "--", "dot": ":"}


def draw(figure: Figure) -> dict[str, bytes]:
    """The figure as `png` and `svg`, the same bytes for the same numbers."""
    import matplotlib as mpl

    with mpl.rc_context({"svg.hashsalt": figure.name, "svg.fonttype": "none", "font.size": 9}):
        drawn = _figure(figure)
        svg, png = io.BytesIO(), io.BytesIO()
        drawn.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
        drawn.set_layout_engine("none")  # it is laid out by now, which takes as long as drawing
        drawn.savefig(png, format="png", dpi=130)
    return {"png": _fewer_colours(png), "svg": svg.getvalue()}


def _fewer_colours(png: io.BytesIO) -> bytes:
    """A PNG of 256 colours, a third of the size of one of all.

    The most frequent ones exactly, such as the cells of a table; of the rest, those that cover all there are. A palette
    for what fills most of the picture draws a few blue marks in the green of others.
    """
    from PIL import Image

    small = io.BytesIO()
    png.seek(0)
    with Image.open(png) as image:
        every = image.convert("RGB")
    spread = every.quantize(256 - EXACT, Image.Quantize.MAXCOVERAGE).getpalette() or []
    colours, place, count = np.unique(np.array(every).reshape(-1, 3), axis=0, return_inverse=True, return_counts=True)
    often = colours[np.argsort(-count, kind="stable")[:EXACT]]
    palette = np.concatenate([often, np.reshape(spread, (-1, 3))]).astype(np.uint8)
    near = np.square(palette.astype(float)).sum(1) - 2 * colours.astype(float) @ palette.T.astype(float)
    nearest = np.argmin(near, 1).astype(np.uint8)[place]
    picture = Image.frombytes("P", every.size, nearest.tobytes())
    picture.putpalette(palette.tobytes())
    picture.save(small, "png", optimize=True)
    return small.getvalue()


def _figure(figure: Figure) -> Any:
    from matplotlib.figure import Figure as Canvas

    columns = min(figure.columns, len(figure.panels))
    rows = -(-len(figure.panels) // columns)
    tallest = max(_height(panel) for panel in figure.panels)
    canvas = Canvas(figsize=(max(5.6, min(3.9 * columns, 13)), rows * tallest + 0.5), layout="constrained")
    axes = np.ravel(canvas.subplots(rows, columns, squeeze=False))
    for spare in axes[len(figure.panels) :]:
        spare.set_visible(False)
    for axis, panel in zip(axes, figure.panels, strict=False):
        _panel(axis, panel)
    if figure.legend:
        from matplotlib.lines import Line2D

        handles = [
            Line2D([], [], color=INK[color], label=label, linestyle="-" if symbol == "line" else "",
                   marker="" if symbol == "line" else MARKERS[symbol])
            for label, color, symbol in figure.legend
        ]  # fmt: skip
        room = int(canvas.get_figwidth() * 10 / (5 + max(len(label) for label, _, _ in figure.legend)))
        canvas.legend(handles=handles, loc="outside upper center", ncols=max(1, room), frameon=False)
    else:
        canvas.suptitle(figure.title)
    return canvas


def _height(panel: Panel) -> float:
    return max(2.2, 1.1 + 0.17 * len(panel.categories)) if panel.categories else 3.0


def _panel(axis: Any, panel: Panel) -> None:
    for mark in panel.marks:
        _mark(axis, panel, mark)
    axis.set_title(panel.title, fontsize=10)
    axis.set(xlabel=panel.x, ylabel=panel.y)
    if any(isinstance(mark, Heat) for mark in panel.marks):
        axis.spines[:].set_visible(False)
        axis.tick_params(which="both", length=0)
        return
    if panel.log_x:
        axis.set_xscale("log")
    if panel.log_y:
        axis.set_yscale("log")
    if panel.whole_x:
        axis.xaxis.get_major_locator().set_params(integer=True)
    if panel.categories:
        axis.set_yticks(range(len(panel.categories)), panel.categories, fontsize=8)
        axis.set_ylim(len(panel.categories) - 0.4, -0.6)
    axis.grid(color="0.92", axis="x" if panel.categories else "both")
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
    if panel.x_range:
        axis.set_xlim(panel.x_range)
    if panel.y_range:
        axis.set_ylim(panel.y_range)


def _mark(axis: Any, panel: Panel, mark: Mark) -> None:
    if isinstance(mark, Heat):
        _heat(axis, mark)
    elif isinstance(mark, Line):
        style = {"color": INK[mark.color], "lw": 0.7 * mark.width, "alpha": mark.opacity, "ls": DASHES[mark.dash]}
        axis.plot(mark.x, mark.y, **style)
    else:
        _dots(axis, panel, mark)


def _dots(axis: Any, panel: Panel, mark: Dots) -> None:
    x, y = np.array(mark.x, float), np.array(mark.y, float)
    if mark.jitter:
        x, y = (x, y + jitter(mark)) if panel.categories else (x + jitter(mark), y)
    if len(mark.low):
        lines = {"color": INK[mark.color], "lw": 1.6}
        if panel.categories:
            axis.hlines(y, mark.low, mark.high, **lines)
        else:
            axis.vlines(x, mark.low, mark.high, **lines)
    style = {"color": INK[mark.color], "alpha": mark.opacity, "ms": 0.62 * mark.size, "mew": 0}
    axis.plot(x, y, MARKERS[mark.symbol], **style)


def _heat(axis: Any, mark: Heat) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    scale = LinearSegmentedColormap.from_list(mark.scale, SCALES[mark.scale])
    z = np.array(mark.z, float)
    span = (mark.high - mark.low) or 1
    axis.imshow(np.ma.masked_invalid(z), cmap=scale, vmin=mark.low, vmax=mark.high, aspect="auto")
    axis.set_xticks(range(len(mark.columns)), mark.columns)
    axis.set_yticks(range(len(mark.rows)), mark.rows)
    axis.set_xticks(np.arange(1, len(mark.columns)) - 0.5, minor=True)
    axis.set_yticks(np.arange(1, len(mark.rows)) - 0.5, minor=True)
    axis.grid(which="minor", color="white", lw=1.5)
    for i, row in enumerate(mark.text):
        for j, text in enumerate(row):
            colour = scale((z[i, j] - mark.low) / span)[:3] if math.isfinite(z[i, j]) else (1, 1, 1)
            dark = np.dot(colour, (0.3, 0.59, 0.11)) < 0.5
            axis.text(j, i, text, ha="center", va="center", fontsize=8, color="white" if dark else INK["ink"])
