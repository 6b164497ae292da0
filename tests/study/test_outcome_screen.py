"""The last screen of a grid: 80 columns, the failing combinations by name, and commands that can be typed."""

import sys
from pathlib import Path

import pytest
from oracles.report_examples import record, small_set, study

from jaxact import console, records
from jaxact.commands import grid, predict, report
from jaxact.data.specs import spec
from jaxact.execution.progress import COMPILING
from jaxact.study import outcome_files, outcome_screen
from jaxact.study.outcome_screen import following, python_name, screen
from jaxact.study.plan import Plan


def plan_of(found, out=Path("runs/quick")):
    return Plan([one.config for one in found], (0, 1, 2, 3), spec(found[0].config.dataset), out, None, {})


def long_names():
    name = "centred_sigmoid-centred_sigmoid-relu"
    return [record(study(name), (0, 0)), record(study("relu+tanh-sigmoid+selu-relu+relu6"), (9, 9))]


@pytest.mark.parametrize(
    "found", [small_set(), small_set(dataset="digits", epochs=2), long_names()], ids=["mnist", "digits", "long"]
)
def test_no_line_is_wider_than_80_columns(found):
    for alone in (True, False):
        assert max(map(len, screen(plan_of(found), found, alone=alone).splitlines())) <= 80


def test_it_names_what_fails_and_says_how_it_compares():
    found = small_set()
    text = screen(plan_of(found), found, alone=True)
    last = text.partition("combinations fail")[2].splitlines()
    assert "2 of 8 combinations fail, the worst first:" in text
    # lost by hand: (9, 9, 8, 9) and (2, 5, 3, 4)
    assert [line.split()[0] for line in last[1:3]] == ["sigmoid-sigmoid-relu", "relu-sigmoid-relu"]
    assert "8.8 classes lost" in last[1] and "3.5 classes lost" in last[2]
    assert "Beside the published figures: undecided in 8" in text and "report.md" in text
    row = next(line.split() for line in text.splitlines() if line.startswith("relu-relu-relu "))
    assert row[1] == "4" and row[-1] == "1"  # one of its four seeds loses a class
    healthy = [one for one in found if one.config.name.endswith("sigmoid")]
    assert "No combination fails in most of its seeds." in screen(plan_of(healthy), healthy, alone=True)


@pytest.mark.parametrize(("python", "start"), [("python", "jaxact "), ("/x/python", "/x/python -m jaxact ")])
def test_the_console_script_names_itself(tmp_path, monkeypatch, python, start):
    """A wheel holds no `experiments`."""
    monkeypatch.setattr(console, "_program", "jaxact")
    monkeypatch.setattr(outcome_screen, "python_name", lambda: python)
    lines = [line for line in following(tmp_path / "run", small_set()).splitlines()[1:] if "pip" not in line]
    assert [line.split("jaxact ")[1].split()[0] for line in lines] == ["report", "predict"]
    assert all(line.startswith(f"  {start}") for line in lines)


def test_the_commands_that_follow_can_be_typed(tmp_path):
    found = small_set()
    for one in found:
        records.write(tmp_path / "my run", one)
    lines = following(tmp_path / "my run", found).splitlines()[1:]
    import shlex

    words = [shlex.split(line.partition("#")[0]) for line in lines]
    modules = {line[2]: line[3:] for line in words}
    assert modules["experiments.report"] == [str(tmp_path / "my run"), "--out", str(tmp_path / "my run-report")]
    assert report.parser().parse_args(modules["experiments.report"]).records == [str(tmp_path / "my run")]
    assert modules["experiments.predict"] == ["sigmoid", "sigmoid", "relu"]
    assert predict.main(modules["experiments.predict"]) == 0
    text = outcome_files.finish([plan_of(found, tmp_path / "my run")], "command")
    assert text.splitlines()[-len(lines) - 1] == "What next:"


def test_the_command_of_the_theory_is_of_the_network_that_failed():
    failing = record(study("relu-sigmoid-relu", dataset="digits", init="he_normal", widths=(8, 6, 10)), (5, 5))
    line = following(Path("runs/x"), [failing]).splitlines()[-1]
    assert line.endswith("relu sigmoid relu --dataset digits --init he_normal --widths 8 6 10")


def test_python_is_called_as_it_can_be_from_here(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.chdir(Path(sys.executable).parents[2])
    assert python_name() == str(Path(sys.executable).relative_to(Path(sys.executable).parents[2]))
    monkeypatch.chdir(tmp_path)
    assert python_name() == sys.executable
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    assert python_name() == "python"


def test_a_line_is_shown_before_compilation(tmp_path, capsys, monkeypatch):
    from jaxact.training import ensemble

    def stop(*_, **__):
        raise ValueError("compiles here")

    monkeypatch.setattr(ensemble, "Ensemble", stop)
    with pytest.raises(SystemExit):
        grid.main(["--dataset", "digits", "--configs", "relu-relu-relu", "--out", str(tmp_path / "out")])
    assert capsys.readouterr().out.splitlines()[-1] == COMPILING
