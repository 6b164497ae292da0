"""The predict script: what it prints, writes and refuses, and how little it takes."""

import csv
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from jaxact import theory
from jaxact.commands import predict
from jaxact.config import Config
from jaxact.execution import runtime
from jaxact.theory import prediction
from jaxact.theory import text as predict_text

ROOT = Path(__file__).resolve().parents[2]
STUDY = ["relu", "sigmoid", "relu"]


@pytest.fixture(autouse=True)
def surroundings(monkeypatch, tmp_path):
    """An empty folder to run in, and the environment as it was afterwards."""
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    monkeypatch.setattr(runtime, "configure", lambda **_: None)
    monkeypatch.chdir(tmp_path)


def answer(capsys, *argv):
    assert predict.main(list(map(str, argv))) == 0
    return capsys.readouterr().out


def test_json_holds_the_numbers_of_the_library(capsys):
    found = json.loads(answer(capsys, *STUDY, "--widths", 500, 256, 10, "--init", "torch_default", "--json"))
    expected = prediction.predict(Config(activations=tuple(STUDY)), 784, prediction.MNIST, 60_000)
    assert (found["features"], found["inputs"], found["source"]) == (784, 60_000, "mnist")
    assert [row["activation"] for row in found["layers"]] == STUDY
    for name, column in [("chi", expected.stack.chi), ("c", expected.stack.c), ("dead_probability", expected.dead)]:
        np.testing.assert_allclose([row[name] for row in found["layers"]], column)
    np.testing.assert_allclose(found["dead_outputs"], expected.dead_outputs)


def test_the_text_has_the_table_and_the_verdict(capsys):
    text = answer(capsys, "relu-sigmoid-relu")
    assert "784-500-256-10, torch_default; mnist: q0 1.00005, c0 0.29156, dead on 60,000 inputs" in text
    rows = [line.split() for line in text.splitlines() if line.strip()[:1] in "123" and "." in line][:3]
    assert [row[:3] for row in rows] == [["1", "relu", "500"], ["2", "sigmoid", "256"], ["3", "relu", "10"]]
    assert rows[2][-1] == "3.6"
    assert "Trouble: about 3.6 of 10 outputs start dead" in text
    assert "The sigmoid of layer 2 causes that: 98.6 %" in text


@pytest.mark.parametrize(
    ("names", "words", "absent"),
    [
        ("relu-relu-relu", ["No output is expected to start dead (0.017 of 10 on average)"], ["Trouble", "causes"]),
        ("relu-sigmoid-tanh", ["No output is expected to start dead (tanh has no flat part)"], ["Trouble"]),
        ("sigmoid-tanh-relu", ["Trouble: about 1.8 of 10", "The sigmoid of layer 1 causes that: 93.3 %"], []),
        ("sigmoid-sigmoid-sigmoid", ["slows learning down but does not stop it"], ["unsettles"]),
        ("selu-selu-selu", ["least kept by layer 1 (selu)."], ["slows", "unsettles"]),
        ("leaky_relu:negative_slope=20-leaky_relu:negative_slope=20-identity", ["unsettles learning"], ["slows"]),
    ],
)
def test_the_verdict_follows_the_numbers(capsys, names, words, absent):
    text = answer(capsys, names)
    assert all(word in text for word in words) and not any(word in text for word in absent)


def test_dead_hidden_units_are_named(capsys):
    assert "Dead hidden units expected: layer 2:" in answer(capsys, "sigmoid-relu-tanh")


def test_the_grid_is_ranked_by_dead_outputs(capsys):
    text = answer(capsys, "--grid", "relu", "sigmoid", "--inputs", 1000)
    found = json.loads(answer(capsys, "--grid", "relu", "sigmoid", "--inputs", 1000, "--json"))["ranking"]
    names = [entry["layers"][0]["configuration"] for entry in found]
    dead = [entry["layers"][-1]["expected_dead"] for entry in found]
    assert len(names) == len(set(names)) == 8 and dead == sorted(dead, reverse=True) and dead[0] > 3
    assert names[0] == "sigmoid-sigmoid-relu" and names[4:] == sorted(names[4:])
    assert [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("|")][2:] == names
    assert "3 of 8 combinations are expected to start with 0.5 or more dead outputs (of 10)" in text


def test_your_own_data_replaces_the_data_set(capsys):
    own = ["--features", 20, "--q0", 2, "--c0", 0.1, "--inputs", 500, "--widths", 64, 3]
    found = json.loads(answer(capsys, "tanh-relu", *own, "--json"))
    config = Config(activations=("tanh", "relu"), widths=(64, 3))
    expected = prediction.predict(config, 20, theory.InputStatistics(2.0, 0.1), 500)
    np.testing.assert_allclose([row["chi"] for row in found["layers"]], expected.stack.chi)
    assert found["source"] == "your own data"


def test_measured_statistics_are_the_known_ones(capsys):
    known, measured = (
        json.loads(answer(capsys, "relu", "--dataset", "digits", "--json", *more)) for more in ([], ["--measure"])
    )
    assert (known["features"], known["inputs"]) == (measured["features"], measured["inputs"]) == (64, 1437)
    np.testing.assert_allclose([known["q0"], known["c0"]], [measured["q0"], measured["c0"]], atol=5e-8)
    for name in ("share", "square", "product", "exponent"):
        np.testing.assert_allclose(known["groups"][name], measured["groups"][name], atol=5e-4)


def test_where_theory_is_known_to_be_off_it_says_so(capsys):
    """Each of these middle layers is active on few inputs; `tests/dead_simulation.py` finds other counts."""
    for name in ("threshold", "softshrink", "tanhshrink", "hardshrink"):
        text = answer(capsys, "relu", name, "relu")
        assert f"of the 256 units of layer 2 ({name}) are active" in text
    for names in ("relu-threshold-tanh", "relu-sigmoid-relu", "relu-lisht-relu"):
        assert "Caution" not in answer(capsys, names)
    ranking = answer(capsys, "--grid", "relu", "softshrink", "--widths", 160, 10)
    assert "far off: softshrink-relu, softshrink-softshrink." in ranking
    own = ["--features", 20, "--q0", 2, "--c0", 0.1, "--inputs", 500, "--widths", 200, 3]
    assert "all count as equally long" in answer(capsys, "tanh-relu", *own)
    assert "all count as equally long" not in answer(capsys, "tanh-tanh", *own)


def test_nothing_is_written_without_out(capsys, tmp_path):
    answer(capsys, *STUDY)
    assert list(tmp_path.iterdir()) == []


def test_out_holds_a_tidy_table_and_a_report(capsys, tmp_path):
    for folder in ("one", "two"):
        answer(capsys, "--grid", "relu", "sigmoid", "--widths", 20, 10, "--out", tmp_path / folder)
    text = (tmp_path / "one" / "predictions.csv").read_text()
    assert text == (tmp_path / "two" / "predictions.csv").read_text()
    rows = list(csv.DictReader(text.splitlines()))
    names = [f"{a}-{b}" for a in ("relu", "sigmoid") for b in ("relu", "sigmoid")]
    assert [(row["configuration"], row["layer"]) for row in rows] == [(n, layer) for n in names for layer in "12"]
    product = [float(row["chi_product"]) for row in rows if row["configuration"] == "relu-sigmoid"]
    chi = [float(row["chi"]) for row in rows if row["configuration"] == "relu-sigmoid"]
    np.testing.assert_allclose(product, np.cumprod(chi), rtol=1e-5)
    report = (tmp_path / "one" / "report.md").read_text()
    for part in ("# Predicted dead outputs", "Command: `python -m experiments.predict", "jax", "sigmoid-relu"):
        assert part in report


def test_rounding_noise_does_not_reach_the_table(capsys):
    rows = json.loads(answer(capsys, "tanh-softsign-erf", "--json"))["layers"]
    assert [row["mean"] for row in rows] == [row["mean_share"] for row in rows] == [0, 0, 0]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "the following arguments are required: NAME"),
        (["rleu"], "did you mean relu"),
        (["softmax"], "not elementwise"),
        (["relu:alpha=2"], "relu has no parameter 'alpha'"),
        (["relu", "--widths", "5", "10"], "1 activations (relu) but 2 widths [5, 10]"),
        (["relu", "--widths", "0"], "each width must be a whole number of at least 1"),
        (["relu"] * 5, "5 layers have no default widths"),
        (["relu", "--init", "he"], "unknown initialiser 'he'"),
        (["relu", "--dataset", "mnits"], "did you mean 'mnist'"),
        (["relu", "--dataset", "cifar10"], "add --measure"),
        (["relu", "--inputs", "0"], "inputs = 0"),
        (["relu", "--inputs", "many"], "invalid int value"),
        (["relu", "--features", "5"], "--q0, --c0, --inputs, --widths missing"),
        (["relu", *"--features 5 --q0 1 --c0 0 --inputs 9 --widths 3 --dataset mnist".split()], "--dataset"),
        (["relu", *"--features 5 --q0 1 --c0 -0.9 --inputs 9 --widths 3".split()], "c0 = -0.9 is below"),
        (["relu", *"--features 5 --q0 nan --c0 0 --inputs 9 --widths 3".split()], "q0 = nan"),
        (["relu", *"--features 0 --q0 1 --c0 0 --inputs 9 --widths 3".split()], "features = 0"),
        (["relu", "--data-dir", "."], "add --measure or drop it"),
        (["relu", "--measure", "--data-dir", "nowhere"], "does not exist"),
        (["--grid", "relu", "relu"], "names an activation twice"),
        (["--grid", "relu", "tanh", "--widths", *["2"] * 14], "16384 combinations"),
        (["relu", "--out", __file__], "not a directory"),
    ],
)
def test_bad_input_is_one_line_with_status_2(argv, message, capsys, tmp_path):
    with pytest.raises(SystemExit) as stop:
        predict.main([*argv, *([] if "--out" in argv else ["--out", "out"])])
    error = capsys.readouterr().err
    assert stop.value.code == 2 and error.count("\n") == 1 and message in error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("argv", [["--help"], ["rleu"], ["relu", "--init", "he"], ["relu", "--widths", "0"]])
def test_help_and_input_errors_load_nothing_slow(argv):
    code = (
        "import sys\nfrom experiments import predict\n"
        "try:\n    predict.main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "print('loaded:', *{'jax', 'scipy', 'matplotlib', 'flax'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code, *argv], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "loaded:"


@pytest.mark.slow
def test_the_study_is_answered_within_two_seconds():
    """CPU time of a fresh process, imports included: the best of five, as another job can slow one down."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("JAX", "XLA"))}
    taken = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, "-m", "experiments.predict", *STUDY],
            cwd=ROOT,
            env=environment,
            check=True,
            capture_output=True,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(taken) < 2


def test_percent():
    assert [predict_text.percent(share) for share in (1, 0.98634, 0.000123)] == ["100 %", "98.6 %", "0.0123 %"]
