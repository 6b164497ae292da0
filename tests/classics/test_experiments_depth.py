"""`experiments.depth`: bad input, a tiny run of every part, and the rules behind its tables."""

import csv
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from jaxact.classics.depth import figures, measure
from jaxact.classics.depth import report as depth_report
from jaxact.classics.depth.gradients import Profile
from jaxact.classics.depth.plan import plan_from
from jaxact.classics.depth.run import DIGITS
from jaxact.classics.depth.trainability import TrainedStack
from jaxact.commands import depth
from jaxact.execution import runtime
from jaxact.report.table import tidy_csv

ROOT = Path(__file__).resolve().parents[2]
TINY = ["--activations", "relu", "sigmoid", "--theory", "tanh", "--inits", "he_normal", "--depths", "3", "1"]
TINY += ["--wide", "8", "--networks", "3", "--chains", "50", "--width", "8", "--seeds", "2", "--epochs", "1"]
TABLES = ("theory", "chain", "gradients", "training", "layers", "dying")
MISTAKES = [
    (["--activations", "rellu"], "did you mean relu"),
    (["--activations", "softmax"], "acts along an axis"),
    (["--activations", "relu", "relu"], "names one twice"),
    (["--theory", "tanhh"], "did you mean tanh"),
    (["--theory", "maxout"], "acts along an axis"),
    (["--activations", "elu:alpha=x"], "is not a number"),
    (["--inits", "he_norml"], "did you mean 'he_normal'"),
    (["--parts", "chains"], "did you mean 'chain'"),
    (["--depths", "0"], "--depths must be from 1 to 500, got 0"),
    (["--depths", "5", "5"], "names one twice"),
    (["--depths", "ten"], "invalid int value"),
    (["--width", "0"], "--width must be from 1 to 4096"),
    (["--wide", "-3"], "--wide must be from 1 to 4096"),
    (["--networks", "0"], "--networks must be"),
    (["--chains", "10000000"], "--chains must be"),
    (["--seeds", "0"], "seeds must be a count"),
    (["--seeds", "1,1"], "names a seed twice"),
    (["--epochs", "0"], "--epochs must be"),
    (["--batch-size", "1438"], "--batch-size must be from 1 to 1437"),
    (["--lrs", "nan"], "must be a finite number above 0"),
    (["--lrs", "0.1", "-1"], "must be a finite number above 0"),
    (["--lrs", "0.1", "0.1"], "names one twice"),
    (["--nonsense"], "unrecognized arguments"),
]


@pytest.mark.parametrize("argv,said", MISTAKES, ids=[" ".join(argv) for argv, _ in MISTAKES])
def test_a_mistake_is_one_line_and_writes_nothing(argv, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        depth.main(argv)
    error = capsys.readouterr().err
    assert stop.value.code == 2 and said in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_an_output_path_that_is_a_file_is_refused(tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(SystemExit) as stop:
        depth.main(["--out", str(tmp_path / "file")])
    assert stop.value.code == 2 and "is not a directory" in capsys.readouterr().err


def test_a_missing_matplotlib_is_named_before_anything_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SystemExit) as stop:
        depth.main(["--out", str(tmp_path / "new")])
    assert stop.value.code == 2 and "pip install 'jaxact[figures]'" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_help_and_mistakes_load_nothing_slow():
    code = "import sys\nfrom experiments import depth\ntry:\n    depth.main(sys.argv[1:])\nfinally:\n"
    code += "    print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    for argv in (["--help"], ["--width", "0"]):
        done = subprocess.run([sys.executable, "-c", code, *argv], cwd=ROOT, capture_output=True, text=True)
        loaded = set(done.stdout.splitlines()[-1].split())
        assert not loaded & {"jax", "flax", "scipy", "matplotlib", "sklearn", "tensorflow"}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """One run of every part in this process, whose JAX is already set up."""
    out = tmp_path_factory.mktemp("depth") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runtime, "configure", lambda: None)
        patch.setattr(measure, "DYING_WIDTHS", (2,))
        patch.setenv("OPENBLAS_NUM_THREADS", "1")
        assert depth.main([*TINY, "--out", str(out)]) == 0
    return out


def rows_of(out, name):
    with (out / f"{name}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_a_run_leaves_tables_figures_and_a_report(tiny):
    names = {path.name for path in tiny.iterdir()}
    assert names == {f"{name}.csv" for name in TABLES} | {f"{name}.png" for name in figures.PICTURES} | {"report.md"}
    assert all(path.stat().st_size < 150_000 for path in tiny.glob("*.png"))
    report = (tiny / "report.md").read_text(encoding="utf-8")
    assert "python -m experiments.depth" in report and str(tiny) not in report.replace(runtime.command(""), "")
    assert all(f"]({name}.png)" in report for name in figures.PICTURES)
    assert "jaxlib" in report and "scikit-learn's load_digits" in report


@pytest.mark.slow
def test_the_tables_have_every_row_once(tiny):
    combinations, layers = 2, 1 + 3
    assert [row["activation"] for row in rows_of(tiny, "theory")] == ["relu", "sigmoid", "tanh"]
    assert len(rows_of(tiny, "chain")) == 2 * 4 * 3
    assert len(rows_of(tiny, "gradients")) == combinations * layers
    assert len(rows_of(tiny, "training")) == combinations * 2 * 2 * 2
    assert len(rows_of(tiny, "layers")) == combinations * layers * 2
    assert len(rows_of(tiny, "dying")) == 2 * 3
    for name, key in {
        "gradients": ("activation", "init", "depth", "layer"),
        "training": ("activation", "init", "depth", "learning_rate", "seed"),
        "layers": ("activation", "init", "depth", "stage", "layer"),
        "chain": ("activation", "law", "length"),
        "dying": ("width", "inputs", "depth"),
    }.items():
        rows = rows_of(tiny, name)
        assert len({tuple(row[column] for column in key) for row in rows}) == len(rows)


@pytest.mark.slow
def test_the_tables_hold_what_theory_gives(tiny):
    """χ of relu with He's weights is 1, its gradient constant; the sigmoid's closed forms from tables of REFERENCE."""
    theory = {row["activation"]: row for row in rows_of(tiny, "theory")}
    assert float(theory["relu"]["chi"]) == pytest.approx(1) and float(theory["relu"]["gradient_scale"]) > 1e6
    assert all(
        float(row["log10_predicted"]) == pytest.approx(0, abs=1e-6)
        for row in rows_of(tiny, "gradients")
        if row["activation"] == "relu"
    )
    gradients = [row for row in rows_of(tiny, "gradients") if row["activation"] == "sigmoid" and row["layer"] == "1"]
    bounds = [float(row["log10_chain_bound"]) for row in gradients if row["depth"] == "3"]
    assert bounds == pytest.approx([2 * math.log10(0.25)], rel=1e-5)
    chain = [row for row in rows_of(tiny, "chain") if row["activation"] == "sigmoid" and row["length"] == "3"]
    assert [float(row["log10_bound"]) for row in chain] == pytest.approx([3 * math.log10(0.25)] * 4, rel=1e-5)
    assert {row["share_above_bound"] for row in chain if row["law"] in ("unit", "torch_default")} == {"0"}
    dying = [float(row["closed_form"]) for row in rows_of(tiny, "dying") if row["inputs"] == "1"]
    assert dying == pytest.approx([1 - 0.75**length for length in (1, 2, 3)], rel=1e-5)


@pytest.mark.slow
def test_the_same_command_writes_the_same_tables(tmp_path):
    """Two processes, as a user runs them."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "xla")}
    for name in ("a", "b"):
        command = [sys.executable, "-m", "experiments.depth", *TINY, "--out", name]
        subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)
    for name in TABLES:
        assert (tmp_path / "a" / f"{name}.csv").read_bytes() == (tmp_path / "b" / f"{name}.csv").read_bytes()


@pytest.mark.slow
def test_stopping_leaves_the_finished_parts(tmp_path, monkeypatch, capsys):
    def stop(lab):
        raise KeyboardInterrupt

    monkeypatch.setattr(runtime, "configure", lambda: None)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    monkeypatch.setattr(measure, "gradients", stop)
    assert depth.main([*TINY, "--parts", "gradients", "--out", str(tmp_path / "out")]) == 130
    assert "stopped" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["theory.csv"]


def test_means_of_logarithms_outlast_the_range_of_floats():
    logs = np.array([[-2000.0, -2000.0 + math.log(3)], [-np.inf, -np.inf]])
    assert measure.log_mean(logs[0]) == pytest.approx(-2000 + math.log(2))
    assert measure.log_mean(logs[1]) == -np.inf
    np.testing.assert_allclose(measure.log_mean(logs, axis=1), [-2000 + math.log(2), -np.inf])
    np.testing.assert_allclose(measure.log_mean(logs, axis=0), logs[0] - math.log(2))


def test_tables_hold_every_layer_of_shallow_stacks_and_every_fifth_of_deep_ones():
    assert measure.tabled(20) == list(range(1, 21))
    assert measure.tabled(23) == [1, 5, 10, 15, 20]


def test_trainability_counts_both_kinds_of_exceptions():
    theory = [{"activation": "a", "init": "i", "gradient_scale": -2.0}]

    def row(depth, accuracy):
        return {"activation": "a", "init": "i", "depth": depth, "best_rate": 1, "test_accuracy": accuracy}

    text = depth_report._training({"theory": theory, "training": [row(2, 0.9), row(12, 0.4), row(13, 0.6)]})
    assert "Of the 2 stacks no deeper than 6 |ξ|, 1 reach 50 %" in text and "of the 1 deeper ones 1 do" in text
    assert "No deeper, yet below: a i 12. Deeper, yet above: a i 13." in text


def test_the_largest_gap_between_one_input_and_several_is_named():
    def row(depth, inputs, share):
        form = 0.3 if inputs == 1 else None
        cells = {"width": 2, "depth": depth, "inputs": inputs, "share": share, "low": share - 0.1, "high": share + 0.1}
        return cells | {"closed_form": form}

    text = depth_report._dying({"dying": [row(1, 1, 0.25), row(2, 1, 0.75), row(1, 4, 0.0), row(2, 4, 0.6)]})
    assert "for 1 of 2 widths" in text and "25 points, at width 2 and depth 1" in text and "all of 4" in text


def test_members_are_padded_to_a_multiple_of_the_devices():
    assert measure.padded(3, 2).tolist() == [0, 1, 2, 2]
    assert measure.padded(4, 2).tolist() == [0, 1, 2, 3]


def test_the_learning_rate_is_chosen_by_training_accuracy_among_those_that_did_not_diverge():
    plan = plan_from(depth.parser().parse_args(["--lrs", "0.1", "0.01", "--seeds", "2"]))
    none = Profile(*[np.zeros((4, 1))] * 5)
    losses, accuracy = np.array([[1.0], [1.0], [1.0], [np.nan]]), np.array([0.2, 0.3, 0.4, 0.9])
    trained = TrainedStack(losses, accuracy, accuracy, none, none)
    assert measure.best_rate(plan, trained) == 0
    assert measure.best_rate(plan, trained._replace(loss=np.ones((4, 1)))) == 1


def test_the_depth_that_trains_ends_at_the_first_failure():
    def row(depth, accuracy, best=1):
        return {"activation": "a", "init": "i", "depth": depth, "best_rate": best, "test_accuracy": accuracy}

    rows = [row(1, 0.9), row(1, 0.8), row(1, 0.0, best=0), row(2, 0.6), row(5, 0.2), row(10, 0.9)]
    assert figures.mean_accuracy(rows)["a", "i", 1] == pytest.approx(0.85)
    assert depth_report.trained_depth(rows) == {("a", "i"): 2}
    assert depth_report.trained_depth([row(1, 0.2), row(2, 0.9)]) == {("a", "i"): 0}


def test_depth_scales_beyond_rounding_are_infinite():
    shown = [depth_report._scale(value) for value in (None, math.inf, -4.5e15, -10.04, 2000.0)]
    assert shown == ["–", "∞", "∞", "-10.0", "2000.0"]


def test_saturation_and_zeros_are_means_over_layers():
    def row(name, stage, layer, saturated, zero, depth=2):
        cells = {"saturated": saturated, "zero": zero, "stage": stage, "layer": layer, "depth": depth}
        return {"activation": name, "init": "i"} | cells

    rows = [row("a", "before", 1, 0.2, 0), row("a", "before", 2, 0.6, 0), row("a", "after", 1, 0.9, 0)]
    rows += [row("b", "before", 1, 0, 0.5), row("b", "before", 2, 0, 0.1), row("b", "after", 2, 0, 0.2)]
    text = depth_report._health([*rows, row("a", "before", 1, 1.0, 1.0, depth=50)])
    assert (
        "40 % of the units are saturated or off for an input at initialisation, 45 % after training, with a, i" in text
    )
    assert "30 % of the units are exactly 0 for an input at initialisation, 10 % after training, with b, i" in text


def test_numbers_are_written_in_one_format():
    row = {"a": 1, "b": 0.1 + 0.2, "c": None, "d": -math.inf, "e": "x"}
    assert tidy_csv([row], DIGITS) == "a,b,c,d,e\n1,0.3,,-inf,x\n"
