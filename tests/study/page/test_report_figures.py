"""Figures: what they draw equals the records, Plotly accepts it, and both drawings and the data file show the same."""

import io
import json

import numpy as np
import plotly.graph_objects as go
import pytest
from oracles.report_examples import FAILING, record, small_set, study
from PIL import Image
from test_report_records import FEW, material

from jaxact.study import published
from jaxact.study.page import inside, plotly, runs, static
from jaxact.study.page import published as report_published
from jaxact.study.page.outcome import outcome
from jaxact.study.page.records import main_grid
from jaxact.study.page.shapes import Dots, Figure, Heat, Line, Panel, data_of, jitter


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    grid = main_grid(material(tmp_path_factory.mktemp("figures"), small_set()))
    return grid, outcome(grid)


DOTS = Dots([1.0, 2.0], [0.0, 1.0], "run", "c1", notes=["a <b>", "c"], low=[0.5, 1.0], high=[2.0, 4.0], jitter=0.2)
EVERYTHING = Figure(
    "every", "Every mark", "A caption.", "An alternative text.",
    [
        Panel("names", "x", "", [Line((0, 0), (-1, 2)), DOTS], categories=["first", "second"]),
        Panel("log", "x", "y", [Line([1, 10, np.nan, 1], [1e-12, 1, np.nan, 2], "line")], log_x=True, log_y=True),
        Panel("heat", "", "", [Heat([[1.0, np.nan]], ["a", "b"], ["r"], [["1", ""]], 0.0, 1.0)]),
    ], 3, [("run", "c1", "circle"), ("line", "muted", "line")],
)  # fmt: skip


def test_plotly_accepts_every_panel(small):
    figures = [runs.curves(*small), runs.seeds(*small), runs.steps(small[1])]
    figures += [*inside.pages(*small), *report_published.repeated().figures, EVERYTHING]
    for figure in filter(None, figures):
        for panel in plotly.panels(figure):
            coloured = json.dumps(panel, allow_nan=False).replace('"@bad"', '"Reds"').replace('"@spread"', '"Blues"')
            for name in ("c0", "c1", "c2", "c3", "c4", "c5", "muted", "ink"):
                coloured = coloured.replace(f'"@{name}"', '"#123456"')
            assert go.Figure(json.loads(coloured)).data  # Plotly checks every property


def test_text_is_text_for_plotly():
    panel = plotly.panels(EVERYTHING)[0]
    assert panel["data"][1]["text"] == ["a &lt;b&gt;", "c"]


def test_intervals_and_jitter_lie_along_the_right_axis():
    drawn = plotly.panels(EVERYTHING)[0]["data"][1]
    np.testing.assert_allclose(drawn["error_x"]["array"], [1.0, 2.0])
    np.testing.assert_allclose(drawn["error_x"]["arrayminus"], [0.5, 1.0])
    assert drawn["x"] == [1.0, 2.0] and drawn["y"] != [0.0, 1.0] and np.abs(jitter(DOTS)).max() <= 0.2
    plain = EVERYTHING._replace(panels=[Panel("", "x", "y", [DOTS])])
    drawn = plotly.panels(plain)[0]["data"][0]
    assert "error_y" in drawn and drawn["y"] == [0.0, 1.0] and drawn["x"] != [1.0, 2.0]


def test_the_data_file_holds_what_is_drawn_without_jitter_and_guides():
    header, *rows = data_of(EVERYTHING)
    assert header[:8] == ["panel", "series", "x", "y", "value", "low", "high", "note"]
    assert rows[0][:8] == ["names", "run", "1", "first", "", "0.5", "2", "a <b>"]
    assert [row[2:4] for row in rows if row[0] == "log"] == [["1", "1e-12"], ["10", "1"], ["1", "2"]]
    assert [row[2:5] for row in rows if row[0] == "heat"] == [["a", "r", "1"], ["b", "r", ""]]


def test_both_files_are_pictures_and_the_same_each_time():
    first, second = static.draw(EVERYTHING), static.draw(EVERYTHING)
    assert first == second and set(first) == {"png", "svg"}
    with Image.open(io.BytesIO(first["png"])) as image:
        assert image.size[0] > 800 and len(image.convert("RGB").getcolors(10_000)) > 5
    assert b"<svg" in first["svg"] and b"first" in first["svg"]


def test_the_curves_hold_every_seed_and_the_mean(small):
    grid, found = small
    panels = {panel.title: panel for panel in runs.curves(grid, found).panels}
    marks = {mark.label: mark for panel in panels.values() for mark in panel.marks}
    for name, one in grid.records.items():
        accuracy = 100 * one.arrays["test_correct"].sum(2) / 10_000
        np.testing.assert_allclose(marks[name].y, accuracy.mean(0))
        broken = np.array(marks[f"{name}, seeds"].y).reshape(len(accuracy), -1)
        np.testing.assert_allclose(broken[:, :-1], accuracy)
        assert np.isnan(broken[:, -1]).all() and marks[f"{name}, seeds"].opacity < 0.5 < marks[name].opacity
    assert set(panels) == {"relu output", "sigmoid output"}


def test_strips_and_ladder_hold_every_run(small):
    grid, found = small
    strips = [mark for panel in runs.seeds(grid, found).panels for mark in panel.marks if mark.label != "mean"]
    assert sorted(x for mark in strips for x in mark.x) == sorted(
        a for row in found.rows.values() for a in row.accuracy
    )
    ladder = runs.steps(found)
    shown = {mark.label: mark for mark in ladder.panels[0].marks if isinstance(mark, Dots)}
    assert {name for name in shown if name.endswith("sigmoid-relu")} == set(FAILING)
    assert shown["relu-sigmoid-relu"].x.tolist() == list(FAILING["relu-sigmoid-relu"])
    rungs = [mark for mark in ladder.panels[0].marks if mark.label == "ladder"]
    assert [round(float(np.nanmean(mark.x))) for mark in rungs] == list(range(10))  # some class is always predicted
    np.testing.assert_allclose(shown["relu-sigmoid-relu"].y, found.rows["relu-sigmoid-relu"].accuracy)


def test_a_diverged_seed_is_a_cross_and_breaks_its_line(tmp_path):
    grid = main_grid(material(tmp_path, [record(study("relu-relu-relu", **FEW), diverged=(2,))]))
    found = outcome(grid)
    crosses = [m for p in runs.seeds(grid, found).panels for m in p.marks if m.label != "mean" and m.symbol == "x"]
    assert [cross.notes for cross in crosses] == [["seed 2 diverged"]]
    mean = runs.curves(grid, found).panels[0].marks[-1]
    assert np.isfinite(mean.y).all()  # of the seeds that are left
    assert runs.steps(found) is None


def test_health_is_the_mean_over_the_seeds(small):
    grid, found = small
    panels = inside.health(grid, found).panels
    assert len(panels) == 9
    lines = {mark.label: mark for mark in panels[2].marks}
    dead = grid.records["sigmoid-sigmoid-relu"].arrays["probe_dead"][..., -10:]
    np.testing.assert_allclose(lines["sigmoid-sigmoid-relu"].y, 100 * dead.mean((0, 2)))
    gradients = {mark.label: mark for mark in panels[6].marks}["relu-relu-relu"].y
    np.testing.assert_allclose(gradients, 0.1, rtol=1e-6)
    assert panels[6].y_range == panels[7].y_range == panels[8].y_range  # read against each other
    low, high = panels[6].y_range
    assert low < 0.1 and high > 1


def test_a_png_of_few_colours_keeps_those_of_the_marks():
    """Blue and green, and every other pair, stay apart however little of the picture they fill."""
    wide = Heat(np.linspace(0, 100, 64).reshape(8, 8), list("abcdefgh"), list("abcdefgh"), [["9"] * 8] * 8, 0, 100)
    dots = [Dots([0.0], [0.0], name, name, 1, 12) for name in static.INK]
    panels = [Panel("", "", "", [mark]) for mark in (*dots, wide, wide._replace(scale="spread"))]
    drawn = static.draw(Figure("colours", "", "", "", panels, 5))["png"]
    with Image.open(io.BytesIO(drawn)) as image:
        pixels = np.array(image.convert("RGB")).reshape(-1, 3).astype(int)
    for name, colour in static.INK.items():
        wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        assert (np.abs(pixels - wanted).max(1) <= 12).sum() > 30, name


def test_the_repeated_runs_are_those_of_the_defects():
    main = report_published.repeated().figures[0].panels[0].marks[0]
    table = published.load_table("mnist_mlp")
    np.testing.assert_array_equal(main.z[0, 4], np.sum(table.accuracy[:, 0] == table.accuracy[:, 4]))
    assert np.nansum(main.z == 64) == 2 * 4 and main.text[0][4] == "64"
