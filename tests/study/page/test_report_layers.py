"""Spectra of single layers in the report: read from a folder of `experiments.jacobian`, drawn, or refused in a line."""

import csv
import io

import pytest
from oracles.report_examples import Page, small_set

from jaxact import records
from jaxact.commands import report
from jaxact.study.page import static


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The records of the small set."""
    base = tmp_path_factory.mktemp("records")
    for one in small_set():
        records.write(base, one)
    return base


SPECTRA = "configuration,dataset,epoch,layer,activation,units,index,seeds,q05,q25,q50,q75,q95\n"


def spectra_csv(name="relu-sigmoid-relu", dataset="mnist", widths=(500, 256, 10)):
    """Two values per layer at the start and after epoch 2; the second one of the output layer is 0 at the end."""
    rows = [SPECTRA.strip()]
    for layer, (activation, units) in enumerate(zip(name.split("-"), widths, strict=True), start=1):
        for epoch in (0, 2):
            for k in (1, 2):
                median = 0.0 if (layer, epoch, k) == (3, 2, 2) else layer / k + epoch
                head = f"{name},{dataset},{epoch},{layer},{activation},{units},{k},9"
                rows.append(f"{head},{median / 2}" + 4 * f",{median}")
    return "\n".join(rows) + "\n"


def test_spectra_of_single_layers_are_drawn_from_the_folder_of_jacobian(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(static, "draw", lambda figure: {"png": figure.name.encode()})
    (tmp_path / "spectra.csv").write_text(spectra_csv())
    assert report.main([str(folder), "--jacobian", str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    page = Page(tmp_path / "out" / "report.html")
    rows = list(csv.DictReader(io.StringIO(page.payload["files"]["figure-layer-spectra"])))
    panels = [f"layer {i} {when}" for when in ("at the start", "after epoch 2") for i in (1, 2, 3)]
    assert list(dict.fromkeys(row["panel"] for row in rows)) == panels
    medians = {(row["panel"], row["x"]): row["y"] for row in rows if row["series"] == "relu-sigmoid-relu"}
    assert [float(medians[panels[1], x]) for x in ("1", "2")] == [2.0, 1.0]
    assert float(medians[panels[5], "1"]) == 5.0 and medians.get((panels[5], "2"), "") == ""
    low = {row["x"]: float(row["y"]) for row in rows if row["series"].endswith(" 5 %") and row["panel"] == panels[3]}
    assert low == {"1": 1.5, "2": 1.25}
    assert "Spectra of single layers: the next figure" in page.text and f"from {tmp_path}" in page.text
    assert report.main([str(folder), "--out", str(tmp_path / "without")]) == 0
    without = Page(tmp_path / "without" / "report.html").text
    assert "not in the records; python -m experiments.jacobian measures them" in without


@pytest.mark.parametrize(
    "text,said",
    [
        (None, "holds no spectra.csv: write it with python -m experiments.jacobian"),
        (SPECTRA, "has rows of 0 data sets"),
        (spectra_csv() + spectra_csv(dataset="digits").partition("\n")[2], "has rows of 2 data sets"),
        ("a,b\n1,2\n", "is not a table of configuration"),
        (spectra_csv().replace("0.5", "half"), "is not a table of configuration"),
        (spectra_csv("tanh-tanh-tanh"), "is of tanh-tanh-tanh on mnist, none of them among the records (mnist, widths"),
        (spectra_csv(widths=(500, 300, 10)), "none of them among the records"),
        (spectra_csv(dataset="cifar10"), "is of relu-sigmoid-relu on cifar10, none"),
    ],
)
def test_spectra_that_do_not_fit_are_one_line_and_nothing_is_written(folder, tmp_path, capsys, text, said):
    if text is not None:
        (tmp_path / "spectra.csv").write_text(text)
    with pytest.raises(SystemExit) as stop:
        report.main([str(folder), "--jacobian", str(tmp_path), "--out", str(tmp_path / "out")])
    error = capsys.readouterr().err
    assert stop.value.code == 2 and said in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()
