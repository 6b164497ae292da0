"""Folders of records as the commands read them: what a record names is not imported, what is bad is named and left."""

import csv
from pathlib import Path

import numpy as np
import pytest
from oracles.report_examples import record, small_set, study
from test_explain import record as mnist_record
from test_explain import study as mnist
from test_report_records import material

from jaxact import records
from jaxact.commands import curves, explain, grid, interventions, report
from jaxact.config import Config
from jaxact.records import folders as record_folders
from jaxact.study import interventions_report
from jaxact.study.evidence import FAILING
from jaxact.study.interventions import HALF_TANH
from jaxact.study.page.answer import answer
from jaxact.study.page.inside import theory
from jaxact.study.page.outcome import outcome, table
from jaxact.study.page.records import main_grid
from jaxact.study.pooled import can_die

FEW = {"dataset": "digits", "epochs": 2, "widths": (6, 5, 10)}


def plant(folder: Path, name: str) -> Path:
    """A module that leaves a file behind when it is imported; returns where."""
    mark = folder / "imported"
    folder.mkdir()
    (folder / f"{name}.py").write_text(f"from pathlib import Path\nPath({str(mark)!r}).touch()\nfunction = abs\n")
    return mark


@pytest.fixture
def trap(tmp_path, monkeypatch):
    """The name of a function whose module must not be imported."""
    mark = plant(tmp_path / "path", "jaxact_trap")
    monkeypatch.syspath_prepend(str(mark.parent))
    yield "jaxact_trap:function"
    assert not mark.exists()


def foreign(name: str, at: int = 0, **fields) -> records.Record:
    """Runs of a configuration that names a function of its own, as a file says it."""
    config = study("relu-relu-relu", **FEW | fields)
    names = [*config.activations[:at], name, *config.activations[at + 1 :]]
    return record(Config.from_dict(config.as_dict() | {"activations": names}), (1, 0, 0, 0))


def test_a_trap_is_sprung_where_a_name_is_looked_up(tmp_path, monkeypatch):
    """The traps of the tests below work: a configuration that somebody writes is looked up, as training needs it."""
    mark = plant(tmp_path / "path", "jaxact_sprung")
    monkeypatch.syspath_prepend(str(mark.parent))
    Config(activations=("jaxact_sprung:function", "relu", "relu"), **FEW)
    assert mark.exists()


NAMES = (
    "jaxact_trap:function",
    "builtins:input",
    "sys:exit",
    "no_such.module:f",
    HALF_TANH,
    "frobnicate",
    "elu:beta=1",
)


@pytest.mark.usefixtures("trap")
@pytest.mark.parametrize("at", [0, 2])
@pytest.mark.parametrize("name", NAMES)
def test_a_record_of_any_function_is_read_and_in_the_summary(tmp_path, name, at):
    out, own = tmp_path / "out", foreign(name, at)
    for one in (*small_set(**FEW)[:2], own):
        records.write(out, one)
    left_out: list[str] = []
    assert own.config in record_folders.merged([out], left_out) and left_out == []
    found = record_folders.lookup([out], own.config, [0, 1], left_out)
    assert found is not None and found.seeds.tolist() == [0, 1] and left_out == []
    command = ["--dataset", "digits", "--widths", "6", "5", "10", "--epochs", "2", "--seeds", "4", "--out", str(out)]
    assert grid.main([*command, "--configs", "relu-relu-relu"]) == 0  # all done: it reports only
    with (out / "summary.csv").open() as file:
        assert own.config.name in {row["configuration"] for row in csv.DictReader(file)}


def test_curves_need_no_function_of_a_record(tmp_path, trap, capsys):
    records.write(tmp_path / "in", foreign(trap, 2))
    assert curves.main([str(tmp_path / "in"), "--out", str(tmp_path / "out")]) == 0
    assert trap in capsys.readouterr().out and trap in (tmp_path / "out" / "curves.csv").read_text()


def test_the_judgement_of_a_report_needs_no_function_of_a_record(tmp_path, trap):
    """Whether an output of an unknown function can die, only its runs tell."""
    deadly, harmless = foreign(trap, 2), foreign("no_such.module:f", 2)
    harmless.arrays["probe_dead"][:] = False
    grid = main_grid(material(tmp_path, [*small_set(**FEW), foreign(trap, 0), deadly, harmless]))
    found = outcome(grid)
    assert {row[0] for row in table(found).rows} >= {deadly.config.name, harmless.config.name}
    assert answer(grid, found, []).headline and theory(found) is not None
    rows = {row.name: row.case for row in found.rows.values()}
    assert can_die(rows[deadly.config.name]) and not can_die(rows[harmless.config.name])
    assert np.isnan(rows[deadly.config.name].predicted_dead)


@pytest.mark.slow
def test_a_report_needs_no_function_of_a_record(tmp_path, trap):
    for one in (*small_set(**FEW), foreign(trap, 0), foreign(trap, 2)):
        records.write(tmp_path / "in", one)
    assert report.main([str(tmp_path / "in"), "--out", str(tmp_path / "out")]) == 0
    assert trap in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_an_explanation_needs_no_function_of_a_record(tmp_path, trap):
    """Theory says nothing of it, and ranks the others as if it were not there."""
    for name in (*FAILING, "relu-relu-relu", "relu-sigmoid-selu"):
        lost = (2, 5, 3, 4) if name in FAILING else (0, 0, 0, 0)
        records.write(tmp_path / "in", mnist_record(mnist(name), lost=lost))
    config = Config.from_dict(mnist("relu-sigmoid-relu").as_dict() | {"activations": ["relu", trap, "relu"]})
    records.write(tmp_path / "in", mnist_record(config))
    argv = ["--records", str(tmp_path / "in"), "--interventions", str(tmp_path / "in"), "--out", str(tmp_path / "out")]
    assert explain.main(argv) == 0
    assert trap in (tmp_path / "out" / "cases.csv").read_text()
    told = (tmp_path / "out" / "report.md").read_text()
    assert "Over the 5 combinations with a ReLU output the predicted correlation" in told and "rho = nan" not in told


def test_what_is_bad_is_named_once_and_takes_nothing_with_it(tmp_path):
    good, bad, other = small_set(**FEW)[:3]
    for folder in ("one", "two"):
        records.write(tmp_path / folder, good)
    path = records.write(tmp_path / "one", bad)
    path.write_bytes(path.read_bytes()[:200])
    strange = records.write(
        tmp_path / "one", record(Config.from_dict(other.config.as_dict() | {"dataset": "elsewhere"}))
    )
    left_out: list[str] = []
    folders = [tmp_path / "one", tmp_path / "two", tmp_path / "two", tmp_path / "nowhere"]
    assert set(record_folders.merged(folders, left_out)) == {good.config}
    assert len(left_out) == 2 and any(str(path) in line for line in left_out)
    assert any(f"{strange}: its data set is none of mnist" in line for line in left_out)
    assert record_folders.lookup(folders, bad.config, [0], left_out) is None and len(left_out) == 2


def test_a_record_under_another_name_is_told_of(tmp_path):
    one, other = small_set(**FEW)[:2]
    path = records.write(tmp_path, one)
    right = records.path_of(tmp_path, other.config)
    path.rename(right)
    left_out: list[str] = []
    assert record_folders.lookup([tmp_path], other.config, [0], left_out) is None
    assert left_out == [f"{right}: holds {one.config.name}-{one.config.digest}: move it to {path}"]


def test_an_intervention_finds_its_runs_beside_a_damaged_file(tmp_path):
    plain, changed = study("relu-sigmoid-relu", **FEW), study("relu-sigmoid-identity", **FEW)
    path = records.write(tmp_path / "base", record(plain, (1, 2)))
    records.write(tmp_path / "out", record(plain, (1, 2)))
    path.write_bytes(b"PK")
    own = interventions.Study([plain], {"linear": [changed]}, (0, 1), tmp_path / "out", tmp_path / "base", None)
    left_out: list[str] = []
    found = interventions_report.find(own, plain, left_out)
    assert found is not None and found.seeds.tolist() == [0, 1]
    assert len(left_out) == 1 and str(path) in left_out[0]
