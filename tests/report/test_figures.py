"""Figures: sizes and pixels as Pillow reads them back, and the palette."""

import builtins
import itertools
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from jaxact.report import figures, palette


def rgb(colour):
    return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))


def drawn():
    figure = figures.figure(2, 1)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=palette.BLUE, lw=5)
    axes.fill_between([0, 1], [0, 0.5], color=palette.VERMILION)
    return figure


def test_a_figure_has_the_size_asked_for_and_two_are_the_same_bytes(tmp_path):
    for name in "ab":
        figures.save(drawn(), tmp_path / f"{name}.png", dpi=50)
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (100, 50)
        pixels = {tuple(pixel) for pixel in np.asarray(image.convert("RGB")).reshape(-1, 3).tolist()}
    assert {rgb(palette.BLUE), rgb(palette.VERMILION)} <= pixels
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_palette_makes_the_file_smaller_and_no_colour_far_off(tmp_path):
    figures.save(drawn(), tmp_path / "all.png")
    figures.save(drawn(), tmp_path / "few.png", colours=16)
    with Image.open(tmp_path / "all.png") as image, Image.open(tmp_path / "few.png") as small:
        assert small.mode == "P" and len(np.unique(np.asarray(small))) <= 16
        far = np.abs(np.asarray(image.convert("RGB"), int) - np.asarray(small.convert("RGB"), int)).max(axis=2)
    assert (far > 32).mean() < 0.02
    assert (tmp_path / "few.png").stat().st_size < (tmp_path / "all.png").stat().st_size


@pytest.mark.parametrize(
    ("count", "columns", "shape"), [(1, 3, (1, 1)), (3, 3, (1, 3)), (4, 3, (2, 3)), (7, 2, (4, 2))]
)
def test_panels_fill_rows_and_hide_the_rest(count, columns, shape):
    figure, axes = figures.panels(count, columns, 1.5, 1.0, sharex=True)
    assert [panel.get_visible() for panel in figure.axes] == [i < count for i in range(shape[0] * shape[1])]
    assert axes == figure.axes[:count]
    assert tuple(figure.get_size_inches()) == (1.5 * shape[1], 1.0 * shape[0])


def test_colours_differ_from_each_other_and_from_white():
    """Each pair by a Euclidean distance of 60 or more in RGB, computed here; as many markers as colours."""
    colours = [rgb(colour) for colour in (*palette.COLOURS, "#FFFFFF")]
    assert all(np.linalg.norm(np.subtract(a, b)) >= 60 for a, b in itertools.combinations(colours, 2))
    assert len(set(palette.MARKERS)) == len(palette.MARKERS) >= len(palette.COLOURS)


def test_without_matplotlib_the_error_names_the_extra(monkeypatch):
    real = builtins.__import__

    def missing(name, *rest):
        if name.startswith("matplotlib"):
            raise ModuleNotFoundError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ValueError, match=r"jaxact\[figures\]"):
        figures.figure(1, 1)


def test_matplotlib_is_loaded_by_the_first_figure_only():
    code = "import sys, jaxact.report.figures as f; assert 'matplotlib' not in sys.modules; f.figure(1, 1)"
    assert (
        subprocess.run([sys.executable, "-c", code + "; assert 'matplotlib.pyplot' not in sys.modules"]).returncode == 0
    )
