"""The headline table: hand arithmetic on a made-up summary, its place in a file, and README's equals its source."""

from pathlib import Path

import pytest

from jaxact.commands import headline

ROOT = Path(headline.__file__).parents[2]
HEAD = "dataset,configuration,seed,epochs,test_accuracy,classes_never_predicted,diverged"
ROWS = [
    *("mnist,relu-sigmoid-relu,0,10,40.00,6,0", "mnist,relu-sigmoid-relu,1,10,60.00,4,0"),
    *("mnist,relu-sigmoid-relu,2,10,,9,1", "mnist,relu-relu-relu,0,10,98.00,0,0"),
]


@pytest.fixture
def summary(tmp_path):
    path = tmp_path / "summary.csv"
    path.write_text("\n".join([HEAD, *ROWS]) + "\n")
    return path


def test_the_table_by_hand(summary, capsys):
    assert headline.main([str(summary), "--configs", "relu-sigmoid-relu", "relu-relu-relu"]) == 0
    *_, failing, single = capsys.readouterr().out.splitlines()
    # Mean of 40 and 60, sd with ddof 1 = √200, 5 classes; the published mean of the five distinct runs is 37.17.
    assert failing.startswith(
        "| relu-sigmoid-relu | 3 | 50.00 ± 14.14 (40.00 to 60.00, 1 diverged) | 5.0 | 37.17 ± 26.89 (5"
    )
    assert single.split("|")[4].strip() == "0.0" and single.endswith("| – |")  # one seed has no test


def test_it_goes_between_its_marks(summary, tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text(f"above\n{headline.START}\nold\n{headline.END}\nbelow\n")
    assert headline.main([str(summary), "--configs", "relu-relu-relu", "--write", str(page)]) == 0
    assert page.read_text() == f"above\n{headline.START}\n{capsys.readouterr().out}{headline.END}\nbelow\n"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["absent.csv"], "absent.csv cannot be read"),
        (["page.md"], "is not the summary.csv"),
        (["summary.csv"], "has no run of relu-sigmoid-selu"),
        (["short.csv", "--configs", "relu-relu-relu"], "10 epochs"),
        (["summary.csv", "--configs", "relu-relu-relu", "--write", "page.md"], "needs the lines"),
        (["summary.csv", "--configs", "relu-relu-relu", "--write", "absent.md"], "is not a file"),
    ],
)
def test_bad_input_is_one_line(summary, tmp_path, monkeypatch, capsys, options, said):
    monkeypatch.chdir(tmp_path)
    Path("page.md").write_text("text\n")
    Path("short.csv").write_text(f"{HEAD}\n{ROWS[-1]}\n{ROWS[-1].replace(',10,', ',2,')}\n")
    with pytest.raises(SystemExit) as stop:
        headline.main(options)
    error = capsys.readouterr().err
    assert stop.value.code == 2 and said in error and error.count("\n") == 1
    assert Path("page.md").read_text() == "text\n"


def test_the_answer_shows_what_the_run_left(capsys):
    """The page's table is what its command prints from the committed run."""
    assert headline.main([str(ROOT / "results" / "mnist-paper" / "summary.csv")]) == 0
    assert f"{headline.START}\n{capsys.readouterr().out}{headline.END}" in (ROOT / "docs" / "answer.md").read_text()
