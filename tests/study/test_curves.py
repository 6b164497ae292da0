"""Learning curves: the table equals the records, a planted recovery is found with its class, bad input is one line."""

import csv
from dataclasses import replace

import numpy as np
import pytest
from oracles.record_examples import RUN, make

from jaxact import records
from jaxact.commands import curves
from jaxact.config import Config
from jaxact.study.curves import PICKED, _figure, _mean, labels
from jaxact.study.curves import curves as columns_of
from jaxact.study.recoveries import _explained, recovered, recoveries

CONFIG = Config(activations=("sigmoid", "relu"), dataset="digits", widths=(3, 2), epochs=5)


@pytest.fixture
def record():
    """Seed 4 predicts class 1 from epoch 4 on only, when its dead output revives and half the images become right."""
    plain = make([0, 4], CONFIG)
    arrays = {name: value.copy() for name, value in plain.arrays.items()}
    arrays["test_predicted"][:] = [50, 50]
    arrays["test_correct"][:] = [25, 25]
    arrays["test_predicted"][1, :4] = [100, 0]
    arrays["test_correct"][1, :4] = [50, 0]
    arrays["test_correct"][1, 4:] = [50, 45]
    arrays["probe_dead"][:] = False
    arrays["probe_dead"][1, :4, 4] = True  # units 3 and 4 are the outputs
    arrays["probe_output_negative"][:] = 0.5
    arrays["probe_output_negative"][1, :4, 1], arrays["probe_output_negative"][1, 4:, 1] = 1, 0.75
    arrays["probe_negative_weights"][:] = 3  # of 3 x 2
    return plain._replace(arrays=arrays, meta={"data": {"source": "made up"}, "runs": [RUN | {"seeds": [0, 4]}]})


def run(*options):
    return curves.main([str(option) for option in options])


def test_the_table_equals_the_record(tmp_path, record, capsys):
    records.write(tmp_path / "in", record)
    assert run(tmp_path / "in", "--out", tmp_path / "out") == 0
    rows = list(csv.DictReader((tmp_path / "out" / "curves.csv").read_text().splitlines()))
    assert len(rows) == 2 * 6 and {row["configuration"] for row in rows} == {"sigmoid-relu"}
    last = rows[-1]
    assert (last["seed"], last["epoch"], last["test_accuracy"], last["never_predicted"]) == ("4", "5", "95", "0")
    assert (last["negative_output_weights"], last["negative_output_share"]) == ("3", "0.5")  # of 3 x 2
    assert rows[6]["dead_outputs"] == "1"
    assert rows[0]["train_accuracy"] == "" and float(rows[1]["train_loss"]) == record.arrays["train_loss"][0, 0]
    report = (tmp_path / "out" / "report.md").read_text()
    assert "3 (50.0 %)" in report and "1 had no slope on any test image before" in report
    assert "1 times" in report and "curves.png" in report and not (tmp_path / "out" / "sweep.png").exists()
    assert "sigmoid-relu" in capsys.readouterr().out


def test_a_recovery_names_its_class_and_whether_its_output_was_dead(record):
    (found,) = recoveries(record, "x")
    assert (found.seed, found.epoch, found.before, found.after, found.dead) == (4, 4, 50, 95, 1)
    assert found.regained.tolist() == [1] and found.lost_since.tolist() == [0]
    np.testing.assert_allclose([found.active_before, found.active_after], [[0], [25]])


@pytest.mark.parametrize(("tied", "off"), [(0, 1.0), (1, 1.0), (2, 0.5), (3, 1.0)])
def test_a_class_predicted_where_every_output_is_0_is_not_regained(tied, off):
    """As on digits: outputs are off, images with all outputs 0 are given the first class, argmax of equal values."""
    config = Config(activations=("sigmoid", "relu"), dataset="digits", widths=(3, 5), epochs=4)
    plain = make([0], config)
    arrays = {name: value.copy() for name, value in plain.arrays.items()}
    # the outputs of 100 images by epoch, argmax taken here by NumPy
    outputs = np.zeros((5, 100, 5))
    outputs[:3, :, 4] = 1.0  # class 4 alone at first
    outputs[3:, 50:, 4] = 1.0
    alive = off < 1
    outputs[3:, :50, tied] = 1.0 if alive else 0.0
    predicted = np.stack([np.bincount(o.argmax(-1), minlength=5) for o in outputs])
    assert predicted[3].tolist() == np.bincount([tied if alive else 0] * 50 + [4] * 50, minlength=5).tolist()
    arrays["test_predicted"][0] = predicted
    arrays["test_correct"][0] = [[0, 0, 0, 0, 20]] * 3 + [predicted[3].tolist()] * 2
    arrays["probe_dead"][:] = False
    arrays["probe_dead"][0, :, 3:7] = True  # the outputs 0 to 3
    arrays["probe_output_negative"][0, :, :4] = 1.0
    arrays["probe_output_negative"][0, :, 4] = 0.0
    if alive:
        arrays["probe_dead"][0, 3:, 3 + tied] = False
        arrays["probe_output_negative"][0, 3:, tied] = off
    record = plain._replace(arrays=arrays)
    (found,) = recoveries(record, "x")
    assert found.epoch == 3
    assert (found.regained.tolist(), found.tied.tolist()) == (([tied], []) if alive else ([], [0]))
    text = recovered([record], ["x"])
    assert ("the output is still off: class 0 of seed 0 in epoch 3. Where every output is 0" in text) is not alive
    assert ("No class came back" in text) is not alive


def test_a_rise_of_5_points_is_a_recovery_and_one_of_4_is_not(record):
    record.arrays["test_correct"][0, 4:] = [25, 29]
    assert len(recoveries(record, "x")) == 1
    record.arrays["test_correct"][0, 4:] = [25, 30]
    assert [(one.seed, one.after - one.before) for one in recoveries(record, "x")] == [(0, 5), (4, 45)]


def test_an_output_that_still_fired_is_told_from_a_dead_one(record):
    """Class 1 is lost from epoch 2 on only, and its output fires for 2 % of the images before it comes back."""
    record.arrays["test_predicted"][1, :2] = [60, 40]
    record.arrays["probe_dead"][1] = False
    record.arrays["probe_output_negative"][1, :4, 1] = 0.98
    (found,) = recoveries(record, "x")
    assert found.lost_since.tolist() == [2] and found.dead == 0
    assert _explained([found]).startswith("Of the 1 outputs that came back: 1 still fired, for 2 to 2 % of the images")
    unseen = found._replace(active_before=np.zeros(1))
    assert "1 fired for no image, with a slope there all the same" in _explained([unseen])
    empty = np.zeros(0)
    gone = found._replace(regained=empty, lost_since=empty, active_before=empty, active_after=empty)
    assert "not outputs that revive" in _explained([gone])


@pytest.mark.parametrize("count", [PICKED, PICKED + 3])
def test_of_many_configurations_the_worst_have_a_colour(count):
    found = [make([0], CONFIG) for _ in range(count)]
    for number, one in enumerate(found):
        one.arrays["test_correct"][:, -1] = number
    labels_of = [f"c{number}" for number in range(count)]
    figure = _figure(found[::-1], labels_of[::-1])
    told = [text.get_text() for text in figure.axes[-1].get_legend().get_texts()]
    assert sorted(told) == sorted(labels_of[:PICKED] + ["3 others"] * (count > PICKED))


def test_the_columns_of_a_single_layer():
    plain = make([1], Config(activations=("relu",), dataset="digits", widths=(10,), epochs=1))
    plain.arrays["probe_negative_weights"][:] = 160
    assert columns_of(plain)["negative_output_share"].tolist() == [[0.25, 0.25]]  # of 64 x 10


def test_a_mean_leaves_out_what_diverged():
    values = np.array([[1.0, np.nan, np.nan], [3.0, 5.0, np.nan]])
    np.testing.assert_array_equal(_mean(values), [2, 5, np.nan])


def test_an_early_rise_is_no_recovery(record):
    record.arrays["test_correct"][0, 0] = [0, 0]  # 0 → 50 % in the first epoch
    assert len(recoveries(record, "x")) == 1


def test_what_differs_is_in_the_label(tmp_path, record):
    faster = replace(CONFIG, learning_rate=0.5)
    assert labels([record, record._replace(config=faster)]) == [
        "sigmoid-relu learning_rate=0.01",
        "sigmoid-relu learning_rate=0.5",
    ]
    records.write(tmp_path / "in", record)
    broken = record._replace(config=faster, arrays=dict(record.arrays, test_loss=record.arrays["test_loss"] * np.nan))
    records.write(tmp_path / "in", broken)
    assert run(tmp_path / "in", "--out", tmp_path / "out") == 0
    assert (tmp_path / "out" / "sweep.png").stat().st_size > 5000
    report = (tmp_path / "out" / "report.md").read_text()
    row = next(line for line in report.splitlines() if "learning_rate=0.5" in line)
    assert [cell.strip() for cell in row.split("|")[2:6]] == ["2", "2", "–", "–"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["absent"], "absent is not a folder of records"),
        (["empty"], "no records"),
        (["in", "--configs", "relu-relu"], "no record of relu-relu in"),
        (["in", "--out", "in/file/below"], "is not a directory"),
        (["damaged"], "not a jaxact record"),
    ],
)
def test_bad_input_is_one_line(tmp_path, monkeypatch, capsys, record, options, said):
    monkeypatch.chdir(tmp_path)
    records.write(tmp_path / "in", record)
    (tmp_path / "in" / "file").write_text("")
    for name in ("empty", "damaged"):
        (tmp_path / name).mkdir()
    (tmp_path / "damaged" / "x.npz").write_bytes(b"x")
    with pytest.raises(SystemExit) as stop:
        run(*options)
    error = capsys.readouterr().err
    assert stop.value.code == 2 and said in error and error.count("\n") == 1
    assert not (tmp_path / "runs").exists()
