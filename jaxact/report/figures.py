"""Figures: made without pyplot's global state, written so that the same numbers give the same bytes.

The only module that loads matplotlib, on the first figure: it is an optional extra.
"""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
else:
    Axes = Figure = Any

DPI = 110
Layout = Literal["constrained", "tight"] | None


def figure(width: float, height: float, *, layout: Layout = "constrained") -> Figure:
    """An empty figure.

    Args:
        width: in inches.
        height: in inches.
        layout: how matplotlib places the parts of it.

    Raises:
        ValueError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise ValueError("figures need matplotlib: pip install 'jaxact[figures]'") from None
    return Figure(figsize=(width, height), layout=layout)


def panels(
    count: int, columns: int, width: float, height: float, *, layout: Layout = "constrained", **options: Any
) -> tuple[Figure, list[Axes]]:
    """A figure of `count` panels in rows of at most `columns`; what is left of the last row stays empty.

    Args:
        count: number of panels.
        columns: panels of a full row.
        width: of a panel, in inches.
        height: of a panel, in inches.
        layout: as of `figure`.
        options: passed to `Figure.subplots`.

    Returns:
        The figure and its panels, row by row.

    Raises:
        ValueError: matplotlib is not installed.
    """
    columns = min(columns, count)
    rows = -(-count // columns)
    made = figure(width * columns, height * rows, layout=layout)
    axes = list(made.subplots(rows, columns, squeeze=False, **options).flat)
    for spare in axes[count:]:
        spare.set_visible(False)
    return made, axes[:count]


def save(figure: Figure, path: Path, *, dpi: float = DPI, colours: int | None = None) -> None:
    """Write a figure as a PNG without a date.

    Args:
        figure: what to write.
        path: the file.
        dpi: pixels per inch.
        colours: size of the PNG's own palette, of at most 256: 64 make a third of the file; None keeps all colours.
    """
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=dpi)
    if colours is None:
        path.write_bytes(drawn.getvalue())
        return
    from PIL import Image

    with Image.open(drawn) as image:
        image.convert("RGB").quantize(colours).save(path, optimize=True)


def swatch(colour: str, alpha: float = 1.0) -> Any:
    """A patch of colour, to stand in a legend for what has no entry of its own."""
    from matplotlib.patches import Rectangle

    return Rectangle((0, 0), 1, 1, color=colour, alpha=alpha)
