"""The command of the museum: its files hold what the diagnosis says, and its status is 1 where one is named wrongly."""

import csv
import io

from jaxact import museum
from jaxact.commands import museum as command
from jaxact.execution import runtime
from jaxact.museum import report


def table(out):
    return list(csv.DictReader(io.StringIO((out / "table.csv").read_text(encoding="utf-8"))))


def test_table_and_page_say_what_the_diagnosis_says(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(runtime, "configure", lambda *_: None)
    out = tmp_path / "museum"
    assert command.main(["--cases", "biases-that-kill", "--steps", "100", "--out", str(out)]) == 0
    rows, case = table(out), museum.case("biases-that-kill")
    assert [(row["state"], row["verdict"], row["right"]) for row in rows] == [
        ("ill", "dead", "1"), ("cured", "healthy", "1"), ("twin", "healthy", "1")
    ]  # fmt: skip
    assert rows[0]["layer"] == "Dense_0" == rows[0]["wanted_layer"] and float(rows[0]["number"]) == 1
    losses = case.ill.train(100)[1]
    assert [float(rows[0][name]) for name in ("loss", "loss_after")] == [float(f"{losses[i]:.4g}") for i in (0, -1)]
    page, printed = (out / "report.md").read_text(encoding="utf-8"), capsys.readouterr().out
    assert "1 of 1 ill networks are named rightly" in page and "1 of 1 ill networks" in printed
    assert case.symptom in page and case.reason in page and "100 steps" in page and "git_commit" in page


def test_a_case_that_is_named_otherwise_has_status_1(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(runtime, "configure", lambda *_: None)
    case = museum.case("biases-that-kill")
    monkeypatch.setitem(museum.CASES, "biases-that-kill", lambda: case._replace(layer="Dense_1"))
    assert command.main(["--cases", "biases-that-kill", "--steps", "1", "--out", str(tmp_path)]) == 1
    assert [row["right"] for row in table(tmp_path)] == ["0", "1", "1"] and "NO" in capsys.readouterr().out


def test_a_case_that_is_named_otherwise_is_not_right():
    case = museum.case("biases-that-kill")
    found = (case.ill.diagnose(), case.twin.diagnose(), case.twin.diagnose())
    losses = ((1.0, 1.0),) * 3
    assert report.right(report.Shown(case, found, losses))
    for other in (case._replace(kind="vanishing"), case._replace(layer="Dense_1")):
        assert not report.right(report.Shown(other, found, losses))
    assert not report.right(report.Shown(case, found[1:] + found[:1], losses))
    assert not report.right(report.Shown(case, (*found[:2], found[0]), losses))
