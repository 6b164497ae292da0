"""The gallery: curves against NumPy, facts against closed forms, the page's form, and what the script refuses."""

import csv
import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from oracles.numpy_activations import PHIS
from PIL import Image
from scipy.special import erf, expit

from jaxact import activations
from jaxact.classics.gallery import figures as gallery_figures
from jaxact.classics.gallery import page
from jaxact.classics.gallery.plan import FAMILIES, chosen
from jaxact.classics.gallery.run import draw
from jaxact.commands import gallery
from jaxact.execution import runtime
from jaxact.report.figures import figure

ROOT = Path(__file__).resolve().parents[2]
X = np.linspace(-4, 4, 33)


@pytest.fixture(autouse=True)
def surroundings(monkeypatch, tmp_path):
    """An empty folder to run in, and the environment as it was afterwards."""
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    monkeypatch.setattr(runtime, "configure", lambda **_: None)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def facts():
    names = ("relu", "sigmoid", "hard_tanh", "erf", "prelu", "softmax")
    return {name: page.facts_of(activations.get(name)) for name in names}


# what is drawn


@pytest.mark.parametrize("name", ["relu", "sigmoid", "tanh", "selu"])
def test_elementwise_curves_equal_numpy(name):
    x = X[X != 0]
    value, slope = gallery_figures.curves(activations.get(name), x)
    np.testing.assert_allclose(value, PHIS[name].f(x), rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(slope, PHIS[name].df(x), rtol=1e-13, atol=1e-15)


def softmax(x):
    p = np.exp(x) / (np.exp(x) + 2)
    return p, p * (1 - p)


def gelu(x):
    cdf = (1 + erf(x / np.sqrt(2))) / 2
    return x * cdf, cdf + x * np.exp(-x * x / 2) / np.sqrt(2 * np.pi)


@pytest.mark.parametrize(
    ("name", "line", "expected"),
    [
        ("softmax", "(x, 0, 0)", softmax),
        ("log_softmax", "(x, 0, 0)", lambda x: (np.log(softmax(x)[0]), 1 - softmax(x)[0])),
        ("glu", "(1, x)", lambda x: (expit(x), expit(x) * expit(-x))),
        ("bilinear", "(1, x)", lambda x: (x, np.ones_like(x))),
        ("geglu", "(1, x)", gelu),
        ("maxout", "(1, x)", lambda x: (np.maximum(1, x), 1.0 * (x > 1))),
        ("maxout:pieces=3", "(1, 1, x)", lambda x: (np.maximum(1, x), 1.0 * (x > 1))),
    ],
)
def test_vector_functions_are_drawn_along_their_line(name, line, expected):
    """Closed forms of the first output and of its slope along the line."""
    entry, x = activations.get(name), X[X != 1]
    assert gallery_figures.line_of(entry)[0] == line
    for ours, theirs in zip(gallery_figures.curves(entry, x), expected(x), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-14)


def test_curves_break_at_jumps_and_nowhere_else():
    x = gallery_figures.grid((0.0, 1.0))
    step, ramp = np.where(x > 1, x, 0.0), np.maximum(x, 0)
    np.testing.assert_array_equal(x[np.isnan(gallery_figures.cut(x, step, (0.0, 1.0)))], [1.0])
    assert not np.isnan(gallery_figures.cut(x, ramp, (0.0, 1.0))).any()


def test_a_panel_is_wide_enough_for_its_kinks():
    assert gallery_figures.span_of(activations.get("tanh")) == gallery_figures.SPAN
    assert gallery_figures.span_of(activations.get("relu6")) > 6
    assert gallery_figures.span_of(activations.get("threshold:threshold=500")) == gallery_figures.SPAN


def test_the_panel_shows_both_curves_and_shades_where_the_slope_is_zero(facts):
    axes = figure(4, 3).subplots()
    gallery_figures.draw(axes, facts["hard_tanh"].entry, facts["hard_tanh"].flat)
    curves = {line.get_label(): line for line in axes.get_lines() if not line.get_label().startswith("_")}
    assert set(curves) == {"φ", "φ′"}
    x, y = curves["φ"].get_data()
    np.testing.assert_allclose(y, np.clip(x, -1, 1), atol=1e-14)
    assert [(patch.get_x(), patch.get_x() + patch.get_width()) for patch in axes.patches] == [(-5, -1), (1, 5)]


# what is said


def test_facts_equal_closed_forms(facts):
    relu, sigmoid, erf_ = facts["relu"], facts["sigmoid"], facts["erf"]
    assert relu.mean == pytest.approx(1 / math.sqrt(2 * math.pi))
    assert relu.variance == pytest.approx(0.5 - 1 / (2 * math.pi)) and relu.gain == pytest.approx(math.sqrt(2))
    assert sigmoid.mean == pytest.approx(0.5) and erf_.mean == 0
    assert erf_.variance == pytest.approx(2 / math.pi * math.asin(2 / 3))
    assert relu.flat == ((-math.inf, 0.0),) and sigmoid.flat == ()
    assert facts["softmax"].gain is None


def test_every_entry_of_the_catalogue_has_one_family():
    members = [name for _, names in FAMILIES.values() for name in names]
    assert len(members) == len(set(members)) and set(members) <= set(activations.names())
    assert [entry.name for entry in chosen([])][: len(members)] == members


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (math.inf, "∞"), (-math.inf, "−∞"), (-0.25, "−0.25"), (1 / 3, "0.33333")]
)
def test_numbers_for_people(value, text):
    assert page.number(value) == text


def test_bars_in_formulas_do_not_end_a_table_cell():
    assert page.math_in_table(r"\frac{x}{1 + |x|}") == r"\frac{x}{1 + \lvert x \rvert}"
    for name in activations.names():
        assert "|" not in page.math_in_table(activations.get(name).latex)


def test_the_page_has_a_full_row_and_a_note_for_each(facts):
    found = list(facts.values())
    text = page.page(found, {"rectified": "rectified.png", "erf": "erf.png"}, "the command", "- here")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {row.count("|") for row in rows} == {12}
    for name, entry in facts.items():
        assert sum(row.startswith(f"| `{name}` |") for row in rows) == 1
        assert entry.entry.source in text
    assert "](rectified.png)" in text and "**erf** ([figure](erf.png))" in text
    relu = next(row for row in rows if row.startswith("| `relu`"))
    assert [cell.strip() for cell in relu.split("|")][3:-1] == [
        *("(0, ∞)", "0", "1", "(−∞, 0)", "left", "0.39894", "0.34085", "1.4142", "he_normal")
    ]


def test_the_finding_is_made_from_the_facts(facts):
    text = page.finding(list(facts.values()))
    assert "6 activations, 5 of them elementwise. 2 have φ′ = 0 on an interval" in text
    assert "relu, hard_tanh" in text and "from 1.372 (prelu) to 1.846 (sigmoid)" in text
    assert "least centred is sigmoid: its mean makes up 85.2 %" in text
    assert page.finding([facts["relu"]]) == "1 activation."


# the script


def run(*argv):
    assert gallery.main(list(argv)) == 0
    return Path("out")


def test_named_activations_get_a_figure_each(capsys):
    out = run("relu", "elu:alpha=0.5", "softmax", "--out", "out")
    assert {path.name for path in out.iterdir()} == {
        *("report.md", "facts.csv", "relu.png", "elu_alpha=0.5.png", "softmax.png")
    }
    for path in out.glob("*.png"):
        image = Image.open(path)
        assert image.size == (900, 380) and len(image.getcolors()) > 10 and path.stat().st_size < 150_000
    rows = {row["name"]: row for row in csv.DictReader((out / "facts.csv").read_text().splitlines())}
    assert rows["elu"]["parameters"] == "alpha=0.5" and float(rows["elu"]["lower"]) == -0.5
    assert float(rows["relu"]["gain"]) == pytest.approx(math.sqrt(2), abs=1e-9) and rows["softmax"]["gain"] == ""
    assert "facts of 3 of 3" in capsys.readouterr().out
    assert (out / "report.md").read_text().count("\n**") == 3


def test_two_runs_give_the_same_bytes():
    def contents(folder):
        run("tanh", "--out", folder)
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}

    assert contents("one") == contents("two")


def test_a_sheet_has_a_panel_per_activation(facts, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(gallery_figures, "draw", lambda axes, entry, flat: drawn.append((entry.name, flat)))
    figures = draw(tmp_path, list(facts.values()), sheets=True, singles=False)
    assert figures == {family: f"{family}.png" for family in ("sigmoidal", "rectified", "vector")}
    assert sorted(drawn) == sorted((name, fact.flat) for name, fact in facts.items())


def test_your_own_function_is_in_the_gallery(tmp_path, monkeypatch):
    (tmp_path / "mine_for_gallery.py").write_text("def cube(x):\n    return x**3\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    out = run("mine_for_gallery:cube", "--out", "out")
    assert (out / "mine_for_gallery_cube.png").exists() and "## Your own" in (out / "report.md").read_text()
    row = next(csv.DictReader((out / "facts.csv").read_text().splitlines()))
    assert row["family"] == "own" and float(row["variance"]) == pytest.approx(15)  # E[Z⁶]


@pytest.mark.slow
def test_the_whole_gallery():
    out = run("--out", "out")
    names = {"report.md", "facts.csv", "sigmoidal.png", "rectified.png", "smooth.png", "vector.png"}
    assert {path.name for path in out.iterdir()} == names
    assert all(path.stat().st_size < 150_000 for path in out.glob("*.png"))
    rows = list(csv.DictReader((out / "facts.csv").read_text().splitlines()))
    assert {row["name"] for row in rows} >= {n for _, members in FAMILIES.values() for n in members}
    assert not re.search(r"\bnan\b|None", (out / "report.md").read_text())


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["rleu"], "did you mean relu"),
        (["relu:slope=1"], "relu has no parameter 'slope'"),
        (["elu:alpha=-1"], "alpha=-1"),
        (["relu", "tanh", "relu"], "'relu' is named twice"),
        (["no_such_module:fn"], "cannot import 'no_such_module'"),
        (["relu", "--out", __file__], "not a directory"),
        (["relu", "--size", "3"], "unrecognized arguments"),
    ],
)
def test_bad_input_is_one_line_with_status_2(argv, message, capsys, tmp_path):
    with pytest.raises(SystemExit) as stop:
        gallery.main([*argv, *([] if "--out" in argv else ["--out", "out"])])
    error = capsys.readouterr().err
    assert stop.value.code == 2 and error.count("\n") == 1 and message in error
    assert list(tmp_path.iterdir()) == []


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(SystemExit) as stop:
        gallery.main(["relu", "--out", "out"])
    assert stop.value.code == 2 and "pip install 'jaxact[figures]'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_help_loads_nothing_slow():
    code = (
        "import sys\nfrom experiments import gallery\n"
        "try:\n    gallery.main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print('loaded:', *{'jax', 'scipy', 'matplotlib', 'flax'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "loaded:"
