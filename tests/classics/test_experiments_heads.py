"""`experiments.heads` as a user runs it, cut to seconds, its tasks, and its numbers against closed forms."""

import csv
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from jaxact import activations as catalogue
from jaxact.classics.heads import measure as heads_measure
from jaxact.classics.heads import report as heads_report
from jaxact.classics.heads import tasks
from jaxact.commands import heads as script

ROOT = Path(__file__).resolve().parents[2]
SHORT = ["--seeds", "2", "--epochs", "2", "--widths", "8", "--regression-epochs", "3"]
LISTING = """
import sys
from experiments import heads
try:
    heads.main()
except SystemExit as stop:
    status = stop.code
print("slow modules:", *sorted({"jax", "flax", "scipy", "matplotlib", "sklearn"} & set(sys.modules)))
sys.exit(status)
"""


@pytest.fixture(autouse=True)
def untouched_environment(monkeypatch):
    """JAX has started long ago: what an entry point would set is left alone."""
    monkeypatch.setattr(script.runtime, "configure", lambda *_, **__: None)


@pytest.fixture(scope="module")
def digits():
    return tasks.digits()


class Drawn(heads_measure.Trainer):
    """In place of a trained ensemble, one whose pre-activations are drawn at random."""

    def __init__(self, config, head, seeds):
        self.epochs, self.seeds = config.epochs, np.array(seeds)
        self.phi = catalogue.get(head.activation)

    def __call__(self, task, bar, *, trace=False):
        rng, k = np.random.default_rng(0), task.targets.shape[1]
        train, test = (
            np.asarray(self.phi(rng.normal(size=(len(self.seeds), len(x), k))), float)
            for x in (task.inputs, task.test_inputs)
        )
        gradients = rng.exponential(size=(len(self.seeds), self.epochs + 1))
        gradients[1, 2:] = 0
        bar.advance(len(self.seeds) * self.epochs)
        return heads_measure.Trained(train, test, gradients)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """All parts of the script but for the training."""
    out = tmp_path_factory.mktemp("heads") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(script.runtime, "configure", lambda *_, **__: None)
        patch.setattr(heads_measure, "Trainer", Drawn)
        patch.setattr("sys.argv", ["heads", *SHORT])
        heads = ["--heads", "softmax", "linear", "relu-logits", "--outputs", "identity", "relu"]
        assert script.main([*SHORT, *heads, "--out", str(out)]) == 0
    return out


def rows(folder, name):
    return list(csv.DictReader((folder / f"{name}.csv").read_text().splitlines()))


def test_a_run_leaves_tables_figures_and_a_report(ran):
    names = {"classification", "regression", "f1"}
    expected = {f"{name}.{kind}" for name in names for kind in ("csv", "png")} | {"report.md"}
    assert {path.name for path in ran.iterdir()} == expected
    report = (ran / "report.md").read_text()
    for part in ("python -m experiments.heads --seeds 2", "- packages: jaxact", "(classification.png)", "relu-logits"):
        assert part in report
    assert str(ran) not in report


def test_rows_of_the_tables(ran):
    found = rows(ran, "classification")
    assert [(r["head"], r["seed"]) for r in found] == [
        (h, s) for h in ("softmax", "linear", "relu-logits") for s in "01"
    ]
    for row in found:
        softmax = row["head"] == "softmax"
        assert (float(row["sums_to_one"]) == 100) == softmax == (float(row["inside_0_1"]) == 100)
        assert 0 < float(row["accuracy"]) < 30 and 0 <= float(row["ece_probabilities"]) <= 100
        assert float(row["ece_outputs"]) == float(row["ece_probabilities"]) or not softmax
    found = rows(ran, "regression")
    assert len(found) == 3 * 2 * 2
    for row in found:
        assert float(row["test_mse"]) >= float(row["floor_mse"]) - 1e-6
        y = tasks.regression(tasks.SHIFTS[row["task"]]).test_targets.astype(float)
        least = np.minimum(y, 0) if row["output"] == "relu" else 0 * y
        assert float(row["floor_mse"]) == pytest.approx(np.square(least).mean(), abs=1e-6)
        assert float(row["r2"]) == pytest.approx(1 - float(row["test_mse"]) / y.var(), abs=1e-4)
        still = row["no_gradient_from_epoch"]
        assert still == ("2" if row["seed"] == "1" else "")
        assert (float(row["gradient_at_end"]) == 0) == (still != "")


def test_micro_f1_is_the_accuracy_where_there_is_one_label(ran):
    found = {(r["task"], r["predictor"], r["seed"], r["measure"], r["class"]): r["value"] for r in rows(ran, "f1")}
    for task in ("balanced", "imbalanced", "attributes"):
        for predictor in (("network", "0"), ("network", "1"), ("most frequent", "")):
            accuracy, micro = (found[task, *predictor, measure, ""] for measure in ("accuracy", "micro_f1"))
            assert (accuracy == micro) == (task != "attributes")
    assert found["balanced", "most frequent", "", "accuracy", ""] == "0.100000"
    assert found["imbalanced", "most frequent", "", "f1", "0"] == f"{2 * 36 / (36 + 149):.6f}"
    report = (ran / "report.md").read_text()
    assert re.search(r"balanced, network .* 2 of 2 \|", report) and re.search(
        r"attributes, network .* 0 of 2 \|", report
    )


@pytest.mark.slow
def test_the_same_command_trains_to_the_same_table(tmp_path):
    argv = [*SHORT, "--parts", "regression", "--outputs", "identity", "--out"]
    outs = [tmp_path / "one", tmp_path / "two"]
    assert [script.main([*argv, str(out)]) for out in outs] == [0, 0]
    assert {path.name for path in outs[0].iterdir()} == {"regression.csv", "regression.png", "report.md"}
    assert (outs[0] / "regression.csv").read_bytes() == (outs[1] / "regression.csv").read_bytes()
    errors = [row["test_mse"] for row in rows(outs[0], "regression")]
    assert len(set(errors)) == len(errors) == 6


class Diverged(Drawn):
    def __call__(self, *arguments, **options):
        return heads_measure.Trained(*(np.full_like(part, np.nan) for part in super().__call__(*arguments, **options)))


def test_diverged_networks_are_reported_not_fatal(tmp_path, monkeypatch):
    monkeypatch.setattr(heads_measure, "Trainer", Diverged)
    assert script.main([*SHORT, "--out", str(tmp_path / "out")]) == 0
    assert {row["ece_probabilities"] for row in rows(tmp_path / "out", "classification")} == {"nan"}
    assert {row["test_mse"] for row in rows(tmp_path / "out", "regression")} == {"nan"}
    assert len(list((tmp_path / "out").glob("*.png"))) == 3


@pytest.mark.slow
def test_heads_learn_the_digits_and_only_softmax_sums_to_1(tmp_path):
    argv = ["--parts", "classification", "f1", "--seeds", "2", "--epochs", "10", "--noise", "0"]
    assert script.main([*argv, "--heads", "softmax", "sigmoid", "tanh-logits", "--out", str(tmp_path / "out")]) == 0
    for row in rows(tmp_path / "out", "classification"):
        assert float(row["accuracy"]) > 94
        assert (row["sums_to_one"] == "100.000000") == (row["head"] == "softmax")
        # Ten logits between -1 and 1: no softmax of them exceeds e / (e + 9 / e).
        bounded = float(row["confidence"]) <= 100 * np.e / (np.e + 9 / np.e) + 1e-4
        assert bounded == (row["head"] == "tanh-logits")
    averages = [row for row in rows(tmp_path / "out", "f1") if row["measure"] == "micro_f1" and row["seed"]]
    assert len(averages) == 6 and min(float(row["value"]) for row in averages) > 0.9


@pytest.mark.slow
def test_a_relu_output_fails_on_negative_targets_from_every_seed(tmp_path):
    argv = ["--parts", "regression", "--seeds", "5", "--out", str(tmp_path / "out")]
    assert script.main(argv) == 0
    found = rows(tmp_path / "out", "regression")
    y = tasks.regression(tasks.SHIFTS["all-negative"]).test_targets.astype(float)
    for row in (r for r in found if r["task"] == "all-negative"):
        if row["output"] == "identity":
            assert float(row["r2"]) > 0.95
        else:
            assert float(row["test_mse"]) == pytest.approx(np.square(y).mean(), rel=1e-3)
            assert (float(row["gradient_at_end"]) == 0) == (row["output"] == "relu")
            assert row["output"] == "softplus" or row["prediction_max"] == row["prediction_min"] == "0.000000"
    assert (tmp_path / "out" / "regression.png").stat().st_size < 150_000
    assert "5 of 5 seeds end with a gradient of exactly 0" in (tmp_path / "out" / "report.md").read_text()


def test_tasks_have_the_signs_they_are_named_for():
    every = {kind: tasks.regression(shift) for kind, shift in tasks.SHIFTS.items()}
    for part in ("targets", "test_targets"):
        low, high = ({kind: choose(getattr(task, part)) for kind, task in every.items()} for choose in (np.min, np.max))
        assert low["non-negative"] >= 0 and high["all-negative"] < 0 and low["mixed-sign"] < 0 < high["mixed-sign"]
    mixed = every["mixed-sign"]
    assert np.abs(mixed.targets - np.sin(np.pi * mixed.inputs)).max() <= 0.1 + 1e-6
    assert (np.diff(mixed.test_inputs[:, 0]) >= 0).all() and not np.isin(mixed.inputs, mixed.test_inputs).all()


def test_thinned_digits_have_the_stated_sizes(digits):
    thin = tasks.imbalanced(digits, 0.1)
    for targets, full in ((thin.targets, digits.targets), (thin.test_targets, digits.test_targets)):
        sizes, start = targets.sum(0), full.sum(0)
        np.testing.assert_array_equal(sizes, [round(n * 10 ** (-k / 9)) for k, n in enumerate(start)])
    np.testing.assert_array_equal(thin.labels, thin.test_targets.argmax(1))
    assert tasks.imbalanced(digits, 1.0).inputs.shape == digits.inputs.shape
    assert (tasks.imbalanced(digits, 1e-9).targets.sum(0)[1:] == [16, *[1] * 8]).sum() >= 8
    same = (digits.inputs == thin.inputs[0]).all(1)
    np.testing.assert_array_equal(digits.targets[same][0], thin.targets[0])


def test_attributes_are_those_of_the_digits(digits):
    task = tasks.attributes(digits)
    table = {0: "even, loop", 1: "", 2: "even, prime", 7: "prime, above", 8: "even, above, loop", 9: "above, loop"}
    for digit, expected in table.items():
        answers = task.test_targets[task.labels == digit]
        words = [name for name, yes in zip(("even", "prime", "above", "loop"), answers[0], strict=True) if yes]
        assert ", ".join(words) == expected and (answers == answers[0]).all()


def test_noise_has_the_stated_size_and_leaves_the_targets(digits):
    noisy = tasks.noisy(digits, 1.5)
    difference = noisy.test_inputs - digits.test_inputs
    assert difference.std() == pytest.approx(1.5, rel=0.02) and abs(difference.mean()) < 0.05
    np.testing.assert_array_equal(noisy.targets, digits.targets)


def test_answers_and_scores_by_hand():
    z = np.array([[0.3, 0.5, -1.0], [-2.0, -0.1, -3.0]])
    np.testing.assert_array_equal(heads_measure.decide(z, several=False), [[0, 1, 0], [0, 1, 0]])
    np.testing.assert_array_equal(heads_measure.decide(z, several=True), [[1, 1, 0], [0, 0, 0]])
    truth = np.array([[1, 1, 0], [0, 1, 0]], bool)
    found = heads_measure.score(z > 0, truth, ["a", "b", "c"], np.array([[1, 0, 0], [1, 1, 0]]))
    values = {(row["measure"], row["class"]): row["value"] for row in found}
    expected = {"accuracy": 1 / 2, "answers_right": 5 / 6, "micro_f1": 4 / 5, "macro_f1": 5 / 6, "weighted_f1": 7 / 9}
    assert {name: values[name, ""] for name in expected} == pytest.approx(expected)
    assert (values["f1", "a"], values["f1", "b"]) == (1, 2 / 3) and np.isnan(values["f1", "c"])
    assert [row["train_examples"] for row in found[-3:]] == [2, 1, 0]


def test_the_cap_of_bounded_logits_is_the_best_softmax_of_them():
    best = {name: np.array([high] + [low] * 9) for name, low, high in (("tanh", -1, 1), ("relu6", 0, 6))}
    for name, z in best.items():
        assert heads_report.confidence_cap(f"{name}-logits") == pytest.approx((np.exp(z) / np.exp(z).sum()).max())
    assert heads_report.confidence_cap("relu-logits") == heads_report.confidence_cap("softmax") == 1


@pytest.mark.parametrize(
    ("argv", "shown"),
    [
        (["--heads", "sofmax"], "did you mean 'softmax'"),
        (["--heads", "rleu-logits"], "'rleu'"),
        (["--heads", "maxout-logits"], "not elementwise"),
        (["--heads", "linear", "linear"], "'linear' twice"),
        (["--outputs", "softmax"], "not elementwise"),
        (["--outputs", "elu:alpha=-1"], "alpha"),
        (["--parts", "f2"], "'f2'"),
        (["--hidden", "tahn"], "'tahn'"),
        (["--widths", "0"], "width"),
        (["--seeds", "0"], "'0'"),
        (["--epochs", "0"], "epochs"),
        (["--regression-epochs", "-1"], "-1"),
        (["--lr", "nan"], "nan"),
        (["--optimizer", "adma"], "'adma'"),
        (["--momentum", "0.9"], "adam"),
        (["--imbalance", "0"], "--imbalance"),
        (["--imbalance", "nan"], "--imbalance"),
        (["--noise", "-1"], "--noise"),
        (["--out", "{file}/below"], "not a directory"),
        (["--nonsense"], "--nonsense"),
    ],
    ids=" ".join,
)
def test_bad_input_is_one_line_and_status_2(argv, shown, tmp_path, capsys):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(SystemExit) as stop:
        script.main(["--out", str(tmp_path / "out"), *(option.format(file=file) for option in argv)])
    error = capsys.readouterr().err
    assert stop.value.code == 2 and error.count("\n") == 1 and shown in error
    assert list(tmp_path.iterdir()) == [file]


def test_without_matplotlib_one_line_names_the_extra(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(SystemExit) as stop:
        script.main(["--out", str(tmp_path / "out")])
    error = capsys.readouterr().err
    assert stop.value.code == 2 and error.count("\n") == 1 and "pip install 'jaxact[figures]'" in error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("argv", "status"), [(["--help"], 0), (["--seeds", "x"], 2)])
def test_help_and_bad_input_need_no_second_and_no_jax(argv, status, tmp_path):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", LISTING, *argv]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == status, done.stderr
    assert done.stdout.endswith("slow modules:\n") and not list(tmp_path.iterdir())
    # Processor time, since other processes may keep the machine busy.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.0
