"""The report: its tables against the records, what it says of incomplete, mixed and damaged sets, and bad input."""

import csv
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from oracles.report_examples import COUNTS, FAILING, Page, record, small_set, study

from jaxact import records
from jaxact.commands import report
from jaxact.study.page import static

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """Folder of the small set, folder of its report, its page."""
    base = tmp_path_factory.mktemp("report")
    for one in small_set():
        records.write(base / "records", one)
    assert report.main([str(base / "records"), "--out", str(base / "out")]) == 0
    return base / "records", base / "out", Page(base / "out" / "report.html")


def npz_of(folder):
    """Name → arrays, read with NumPy alone."""
    found = {}
    for path in folder.rglob("*.npz"):
        with np.load(path) as file:
            found[path.stem.rsplit("-", 1)[0]] = {name: file[name] for name in file.files}
    return found


def columns(table):
    header, *rows = table
    return {row[0]: dict(zip(header, row, strict=True)) for row in rows}


def test_the_table_of_all_combinations_equals_the_records(made):
    folder, _, page = made
    rows = columns([[cell.rstrip("↕") for cell in row] for row in page.tables["configurations-table"]])
    found = npz_of(folder)
    assert set(rows) == set(found) and len(rows) == 8
    for name, arrays in found.items():
        row = rows[name]
        accuracy = 100 * arrays["test_correct"][:, -1].sum(1) / 10_000
        never = (arrays["test_predicted"][:, -1] == 0).sum(1)
        dead = arrays["probe_dead"][:, :, -10:].sum(2).mean(0)
        shown = [float(row[key]) for key in ("mean", "sd", "min", "max")]
        expected = [accuracy.mean(), accuracy.std(ddof=1), accuracy.min(), accuracy.max()]
        np.testing.assert_allclose(shown, expected, atol=0.005001)
        assert int(row["runs failed"]) == (accuracy < 80).sum() and int(row["seeds"]) == len(accuracy)
        np.testing.assert_allclose(float(row["classes lost"]), never.mean(), atol=0.05001)
        np.testing.assert_allclose([float(row["dead at start"]), float(row["dead at end"])], dead[[0, -1]], atol=0.005)
        assert row["diverged"] == "0"


def test_the_seeds_behind_a_cell_equal_the_records(made):
    folder, _, page = made
    for name, arrays in npz_of(folder).items():
        shown = page.payload["configs"][name]
        accuracy = 100 * arrays["test_correct"].sum(2) / 10_000
        np.testing.assert_allclose(shown["curves"], accuracy, atol=5e-4)
        np.testing.assert_allclose(shown["accuracy"], accuracy[:, -1], atol=5e-4)
        assert shown["seeds"] == arrays["seeds"].tolist()
        assert shown["never"] == (arrays["test_predicted"][:, -1] == 0).sum(1).tolist()
    cells = page.html.count('class="cell')
    assert cells == 3 * 8 and page.html.count('data-config="relu-sigmoid-relu"') >= 4


def test_the_first_screen_answers(made):
    page = made[2]
    said = page.text.split("The combinations that fail")[0]
    assert "2 of 8 combinations fail on MNIST: exactly those that end in (sigmoid, relu)" in said
    lost = np.mean([n for seeds in FAILING.values() for n in seeds])
    assert f"{lost:.1f} of the 10 are never predicted" in said
    assert "8 of their 8 runs fail (100 %), 4 of 4 per combination" in said
    assert "Of the others, none of 24 runs fails" in said
    assert "100 % of the lost classes have an output that is off" in said
    assert "relu-relu-relu in 1 of 4" in said and "A run fails below 80 % test accuracy" in said
    assert "not a demonstrated cause" in said


def test_files_beside_the_page_hold_the_same_numbers(made):
    _, out, page = made
    for name, text in page.payload["files"].items():
        assert (out / "tables" / f"{name}.csv").read_text(encoding="utf-8") == text
    rows = list(csv.reader(io.StringIO(page.payload["files"]["configurations"])))
    assert rows == [[cell.rstrip("↕") for cell in row] for row in page.tables["configurations-table"]]
    markdown = (out / "tables" / "configurations.md").read_text(encoding="utf-8")
    assert all(f"| {row[0]} " in markdown for row in rows)
    for figure in ("heat-mean", "seeds", "ladder", "curves", "health", "spectra", "theory", "published", "repeats"):
        assert (out / "figures" / f"{figure}.png").read_bytes().startswith(b"\x89PNG")
        assert b"<svg" in (out / "figures" / f"{figure}.svg").read_bytes()[:500]


def test_every_figure_has_caption_alt_text_and_data(made):
    page = made[2]
    names = set(page.payload["figures"])
    assert names >= {"seeds", "ladder", "curves", "health", "spectra", "theory", "interactions", "published", "repeats"}
    for name in names:
        part = page.html.split(f'id="figure-{name}"')[1].split("</figure>")[0]
        assert 'role="img" aria-label="' in part and f'data-csv="figure-{name}"' in part
        assert len(part.split("<figcaption>")[1]) > 60
        assert len(list(csv.reader(io.StringIO(page.payload["files"][f"figure-{name}"])))) > 1


def test_the_page_asks_nothing_of_a_network(made):
    page = made[2]
    assert all(link.startswith(("#", "tables/", "figures/", "data:,")) for link in page.links)
    plain = page.html.split('<script type="application')[0]
    assert "http:" not in plain and "https:" not in plain and "@import" not in plain and "url(" not in plain


@pytest.fixture
def undrawn(monkeypatch):
    """No PNG and SVG, which take most of the time."""
    monkeypatch.setattr(static, "draw", lambda figure: {"png": figure.name.encode()})


def test_the_same_records_give_the_same_tables(made, tmp_path, undrawn):
    folder, out, _ = made
    assert report.main([str(folder), "--out", str(tmp_path / "again")]) == 0
    for path in (tmp_path / "again" / "tables").iterdir():
        assert path.read_bytes() == (out / "tables" / path.name).read_bytes()


def reported(tmp_path, capsys, made_records, *more):
    """The page of some records and what was said on stderr."""
    for one in made_records:
        records.write(tmp_path / "in", one)
    assert report.main([str(tmp_path / "in"), *more, "--out", str(tmp_path / "out")]) == 0
    return Page(tmp_path / "out" / "report.html"), capsys.readouterr().err


FEW = {"dataset": "digits", "epochs": 2, "widths": (6, 5, 10)}


def test_an_incomplete_mixed_set_says_so(tmp_path, capsys, undrawn):
    base = small_set(**FEW)
    kept = [base[0].subset([0, 1]), *base[2:]]
    other = record(study("relu-relu-relu", **FEW, learning_rate=0.1), (0, 0))
    page, _ = reported(tmp_path, capsys, [*kept, other])
    assert "1 of the 8 combinations of these activations has no record: relu-relu-sigmoid." in page.text
    assert "Not every combination has the same seeds: 1 with 2, 6 with 4; all share 2." in page.text
    assert "Mixed: 1 record of 1 other protocol besides" in page.text
    assert "Main effects and interactions need every combination" in page.text
    assert "Nothing was published for this protocol" in page.text
    (rows,) = (rows for label, rows in page.tables.items() if label == "Runs at other protocols")
    assert len(rows) == 3 and rows[1][rows[0].index("digest")] == other.config.digest


def test_a_diverged_seed_shows_as_such(tmp_path, capsys, undrawn):
    base = small_set(**FEW)
    base[0] = record(base[0].config, (0, 0, 0, 0), diverged=(2,))
    base[7] = record(base[7].config, (0, 0, 0, 0), diverged=(0, 1, 2, 3))
    page, _ = reported(tmp_path, capsys, base)
    rows = columns([[cell.rstrip("↕") for cell in row] for row in page.tables["configurations-table"]])
    assert rows["relu-relu-relu"]["diverged"] == "1" and rows["relu-relu-relu"]["runs failed"] == "1"
    assert rows["sigmoid-sigmoid-sigmoid"]["mean"] == "–" and rows["sigmoid-sigmoid-sigmoid"]["diverged"] == "4"
    assert page.payload["configs"]["relu-relu-relu"]["accuracy"][2] is None
    assert "5 runs diverged, counted as failed and without an accuracy." in page.text
    assert "sigmoid-sigmoid-sigmoid (all diverged)" in page.text and ">div.<" in page.html
    healthy = 100 * np.round(COUNTS * 0.98).sum() / 10_000
    assert float(rows["relu-relu-relu"]["mean"]) == pytest.approx(healthy, abs=0.005)


def test_a_damaged_file_among_good_ones_is_named_and_left_out(tmp_path, capsys, undrawn):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "broken.npz").write_bytes(b"not a record")
    np.savez(tmp_path / "in" / "old.npz", meta=np.array('{"schema": 1}'), seeds=np.arange(2))
    page, said = reported(tmp_path, capsys, small_set(**FEW)[:2])
    assert (
        said.count("\n") == 2 and "broken.npz: not a jaxact record" in said and "schema 1, this version reads" in said
    )
    assert page.text.count("Left out, cannot be read") == 2
    assert len(page.tables["configurations-table"]) == 3


def test_names_are_text_not_markup(tmp_path, capsys, undrawn):
    folder = tmp_path / "<img src=x onerror=alert(1)>"
    records.write(folder, small_set(**FEW)[0])
    page, _ = reported(tmp_path, capsys, small_set(**FEW)[:1], str(folder))
    assert "<img src=x" not in page.html and "&lt;img src=x" in page.html


TWO = {"dataset": "cifar10", "epochs": 5, "widths": (500, 10), "batch_size": 4}
LENET = {"dataset": "cifar10", "architecture": "lenet", "widths": (6, 16, 120, 84, 10), "batch_size": 4}
ODD = {
    "one run": ([record(study("relu-sigmoid-relu"), (3,))], "relu-sigmoid-relu fails on MNIST"),
    "one layer": ([record(study(a, dataset="digits", epochs=1, widths=(10,)), (0, 1)) for a in ("relu", "tanh")],
                  "None of the 2 combinations fails on digits"),
    "two layers": ([record(study(f"{a}-{b}", **TWO), (8 if b == "relu" else 0,))
                    for a in ("relu", "tanh") for b in ("relu", "tanh")], "exactly those with a relu output"),
    "lenet": ([record(study(f"relu-{a}-{a}-tanh-identity", **LENET)) for a in ("relu", "tanh")], "fails on CIFAR-10"),
    "batch norm": (small_set(batch_norm=(1, 2, 3)), "No predictions: mean-field theory knows neither batch norm"),
    "halves": ([record(study("relu+tanh-relu+relu-relu+selu", **FEW), (5, 0))], "No predictions: mean-field theory"),
    "all diverged": ([record(one.config, (0, 0), diverged=(0, 1)) for one in small_set(**FEW)],
                     "All 8 combinations fail on digits"),
    "nothing to tell apart": ([record(one.config, healthy=1.0) for one in small_set(**FEW)], "no ladder to draw"),
    "own activation": ([record(study(f"{a}-relu-relu", **FEW))
                        for a in ("elu:alpha=0.5", "experiments.interventions:half_tanh")], "elu:alpha=0.5-relu-relu"),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_any_grid_has_a_page(tmp_path, capsys, undrawn, name):
    made, said = ODD[name]
    page, errors = reported(tmp_path, capsys, made)
    assert said in page.text and errors == "" and len(page.tables["configurations-table"]) == 1 + len(made)
    assert "nan" not in page.text.lower().split() and "NaN" not in page.html.split('id="payload"')[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", ODD)
def test_any_grid_has_figures(tmp_path, capsys, name):
    reported(tmp_path, capsys, ODD[name][0])
    assert len(list((tmp_path / "out" / "figures").glob("*.svg"))) >= 4


def bad_folders(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "x.npz").write_bytes(b"nothing")
    (tmp_path / "old").mkdir()
    np.savez(tmp_path / "old" / "x.npz", meta=np.array('{"schema": 1}'), seeds=np.arange(2))
    (tmp_path / "file").write_text("mine")
    records.write(tmp_path / "good", small_set(**FEW)[0])


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["nowhere", "--out", "out"], "nowhere is not a folder: name one with records"),
        (["file", "--out", "out"], "file is not a folder"),
        (["empty", "--out", "out"], "empty holds no record (*.npz)"),
        (["good", "empty", "--out", "out"], "empty holds no record"),
        (["damaged", "--out", "out"], "none of the 1 files can be read, the first: damaged/x.npz: not a jaxact record"),
        (["old", "--out", "out"], "schema 1, this version reads"),
        (["good", "--out", "good"], "--out good lies in the record folder good"),
        (["good", "--out", "good/report"], "lies in the record folder good"),
        (["good", "--out", "file"], "is not a directory"),
        (["good", "--out", "file/below"], "is not a directory"),
        (["good"], "the following arguments are required: --out"),
        (["--out", "out"], "the following arguments are required: RECORDS"),
    ],
)
def test_mistakes_are_one_line_and_nothing_is_written(tmp_path, monkeypatch, capsys, argv, message):
    bad_folders(tmp_path)
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(SystemExit) as caught:
        report.main(argv)
    *rest, last = capsys.readouterr().err.splitlines()
    assert caught.value.code == 2 and message in last and all("left out: " in line for line in rest)
    assert sorted(tmp_path.rglob("*")) == before


def test_an_error_on_the_way_leaves_nothing(tmp_path, monkeypatch):
    records.write(tmp_path / "in", small_set(**FEW)[0])

    def stop(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(static, "draw", stop)
    with pytest.raises(KeyboardInterrupt):
        report.main([str(tmp_path / "in"), "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def test_input_is_checked_without_jax_or_plotly(tmp_path):
    code = "import sys; from experiments import report\ntry: report.main(['nowhere', '--out', 'out'])\n"
    code += "except SystemExit: print(*{'jax', 'plotly', 'matplotlib', 'jinja2', 'sklearn'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "" and "not a folder" in done.stderr
