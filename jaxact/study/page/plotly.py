"""Panels as Plotly's traces and layouts; colours stay names, which the page turns into those of its theme."""

import html
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from jaxact.study.page.shapes import Dots, Figure, Heat, Line, Mark, Panel, Values, jitter

ROW, MOST_TICKS = 17, 12
"""Height in pixels of one category; more whole numbers than that are left to Plotly."""


def panels(figure: Figure) -> list[dict[str, Any]]:
    """The panels of a figure as JSON-able values: `data` and `layout` of one Plotly drawing each."""
    return [
        {"data": [_trace(panel, mark) for mark in panel.marks], "layout": _layout(panel)} for panel in figure.panels
    ]


def _layout(panel: Panel) -> dict[str, Any]:
    marks = [mark for mark in panel.marks if not isinstance(mark, Heat)]
    xaxis = _axis(panel.x, panel.log_x, panel.x_range, [mark.x for mark in marks])
    yaxis = _axis(panel.y, panel.log_y, panel.y_range, [mark.y for mark in marks])
    if panel.whole_x and max((float(np.nanmax(mark.x)) for mark in marks), default=0) <= MOST_TICKS:
        xaxis["dtick"] = 1
    height = 300
    if panel.categories:
        n = len(panel.categories)
        yaxis |= {"tickmode": "array", "tickvals": list(range(n)), "ticktext": [_text(c) for c in panel.categories]}
        yaxis |= {"range": [n - 0.4, -0.6], "showgrid": n < 30, "zeroline": False, "automargin": True}
        height = max(160, 90 + ROW * n)
    if any(isinstance(mark, Heat) for mark in panel.marks):
        xaxis |= {"type": "category", "showgrid": False, "side": "bottom"}
        yaxis |= {"type": "category", "showgrid": False, "autorange": "reversed", "automargin": True}
    return {"xaxis": xaxis, "yaxis": yaxis, "height": height, "showlegend": False}


def _axis(title: str, log: bool, limits: tuple[float, float] | None, values: Iterable[Values]) -> dict[str, Any]:
    axis: dict[str, Any] = {"title": {"text": _text(title)}}
    if log:
        axis |= {"type": "log", "exponentformat": "power"}
        shown = list(limits or [v for part in values for v in part if v > 0])
        decades = math.log10(max(shown) / min(shown)) if shown else 0
        if decades > 0.7:  # Plotly's own ticks number every digit of a decade
            axis["dtick"] = math.ceil(decades / 5) if decades > 2 else "D2"
    if limits:
        axis["range"] = [math.log10(x) for x in limits] if log else list(limits)
    return axis


def _trace(panel: Panel, mark: Mark) -> dict[str, Any]:
    if isinstance(mark, Heat):
        return {
            "type": "heatmap", "z": [_numbers(row) for row in mark.z], "x": [_text(c) for c in mark.columns],
            "y": [_text(r) for r in mark.rows], "text": [[_text(t) for t in row] for row in mark.text],
            "texttemplate": "%{text}", "hoverinfo": "x+y+text", "zmin": mark.low, "zmax": mark.high, "xgap": 2,
            "ygap": 2, "showscale": False, "colorscale": f"@{mark.scale}",
        }  # fmt: skip
    common = {"type": "scatter", "name": _text(mark.label), "opacity": mark.opacity}
    if isinstance(mark, Line):
        drawn = {"mode": "lines", "line": {"color": f"@{mark.color}", "width": mark.width, "dash": mark.dash}}
        hover = (
            {"hovertemplate": "%{fullData.name}<br>%{y:.4g}<extra></extra>"} if mark.label else {"hoverinfo": "skip"}
        )
        return common | {"x": _numbers(mark.x), "y": _numbers(mark.y)} | drawn | hover
    return common | _dots(panel, mark)


def _dots(panel: Panel, mark: Dots) -> dict[str, Any]:
    moved = jitter(mark) if mark.jitter else [0.0] * len(mark.x)
    x, y = (_numbers(values) for values in (mark.x, mark.y))
    across = y if panel.categories else x
    across[:] = [v if v is None else round(v + d, 3) for v, d in zip(across, moved, strict=True)]
    value = "%{x:.4g}" if panel.categories else "%{y:.4g}"
    drawn: dict[str, Any] = {
        "mode": "markers",
        "marker": {"color": f"@{mark.color}", "size": mark.size, "symbol": mark.symbol},
        "hovertemplate": f"{_text(mark.label)} %{{text}}<br>{value}<extra></extra>",
        "text": [_text(note) for note in mark.notes] or "",
    }
    if len(mark.low):
        centre = mark.x if panel.categories else mark.y
        spread = {"array": _numbers(h - c for h, c in zip(mark.high, centre, strict=True))}
        spread |= {"arrayminus": _numbers(c - low for low, c in zip(mark.low, centre, strict=True))}
        drawn["error_x" if panel.categories else "error_y"] = spread | {
            "type": "data", "symmetric": False, "color": f"@{mark.color}", "thickness": 2, "width": 0
        }  # fmt: skip
    return {"x": x, "y": y} | drawn


def _numbers(values: Iterable[Any]) -> list[float | None]:
    return [None if not math.isfinite(v := float(value)) else float(f"{v:.5g}") for value in values]


def _text(value: str) -> str:
    """Plotly reads a little HTML in its texts; what is meant as text is escaped."""
    return html.escape(value, quote=False)
