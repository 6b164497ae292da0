"""`experiments.jacobian`: bad input, and its tables, sentences and figures on made-up numbers."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from jaxact import probes, training
from jaxact import probes as propagation
from jaxact.commands import jacobian as script
from jaxact.config import Config
from jaxact.study.jacobian import figures, findings, tables
from jaxact.study.jacobian.measure import Look, Measured, Results
from jaxact.theory import InputStatistics, prediction

ROOT = Path(__file__).resolve().parents[3]
DIGITS = ["--dataset", "digits"]
ONE = [*DIGITS, "--config", "relu-sigmoid-relu"]
MISTAKES = [
    (DIGITS, "required: --config"),
    ([*DIGITS, "--config", "relu-sigmod-relu"], "did you mean sigmoid"),
    ([*DIGITS, "--config", "relu-softmax-relu"], "not elementwise"),
    ([*DIGITS, "--config", "relu-relu", "relu-relu-relu"], "has 3 activations, the network has 2 layers"),
    ([*DIGITS, "--config", "relu-relu", "relu-relu"], "is named twice"),
    ([*DIGITS, "--config", "tanh-*-x"], "matches none"),
    ([*DIGITS, "--config", "-".join(["relu"] * 7)], "7 layers have no default widths"),
    ([*ONE, "--widths", "20", "10"], "has 3 activations, the network has 2 layers"),
    ([*ONE, "--widths", "20", "20", "7"], "digits has 10 classes"),
    ([*ONE, "--widths", "0", "20", "10"], "each width must be a whole number of at least 1"),
    ([*ONE, "--dataset", "mnits"], "did you mean 'mnist'"),
    ([*ONE, "--init", "he_norml"], "did you mean 'he_normal'"),
    ([*ONE, "--batch-norm", "4"], "batch_norm must name layers from 1 to 3"),
    ([*ONE, "--batch-norm", "some"], "batch norm must be none, all, last"),
    ([*ONE, "--examples", "0"], "--examples must be from 1 to the 1437 training examples, got 0"),
    ([*ONE, "--examples", "1438"], "--examples must be from 1 to the 1437 training examples"),
    ([*ONE, "--limit-train", "150"], "--examples must be from 1 to the 150 training examples, got 200"),
    ([*ONE, "--limit-train", "0"], "--limit-train"),
    ([*ONE, "--epochs", "-1"], "--epochs must be from 0"),
    ([*ONE, "--seeds", "0"], "seeds must be a count"),
    ([*ONE, "--seeds", "1,1"], "names a seed twice"),
    ([*ONE, "--lr", "nan"], "learning_rate must be a finite number"),
    ([*ONE, "--data-dir", "nowhere"], "does not exist"),
    ([*ONE, "--nonsense"], "unrecognized arguments"),
]


@pytest.mark.parametrize("argv,said", MISTAKES, ids=[" ".join(argv) for argv, _ in MISTAKES])
def test_a_mistake_is_one_line_and_writes_nothing(argv, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        script.main(argv)
    error = capsys.readouterr().err
    assert stop.value.code == 2 and said in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_missing_data_and_a_file_for_a_folder_are_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "file").write_text("mine")
    for argv, said in (
        (["--config", "relu-relu-relu", "--data-dir", "data"], "mnist"),
        ([*ONE, "--out", "file"], "is not a directory"),
    ):
        with pytest.raises(SystemExit) as stop:
            script.main(argv)
        error = capsys.readouterr().err
        assert stop.value.code == 2 and said in error and error.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"data", "file"}


def test_help_and_mistakes_load_nothing_slow():
    code = "import sys\nfrom experiments import jacobian\ntry:\n    jacobian.main(sys.argv[1:])\nfinally:\n"
    code += "    print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    for argv in (["--help"], [*ONE, "--examples", "0"]):
        done = subprocess.run([sys.executable, "-c", code, *argv], cwd=ROOT, capture_output=True, text=True)
        loaded = set(done.stdout.splitlines()[-1].split())
        assert not loaded & {"jax", "flax", "scipy", "matplotlib", "sklearn", "tensorflow"}


def plan_of(*argv):
    return script.plan_from(script.parser().parse_args(list(argv)))


def test_the_plan_follows_the_options():
    plan = plan_of("--config", "relu-tanh", "tanh-tanh", "--epochs", "0", "--limit-train", "1000", "--seeds", "3,5")
    assert [config.name for config in plan.configs] == ["relu-tanh", "tanh-tanh"]
    assert plan.configs[0].widths == (500, 10) and plan.choices == ("relu", "tanh")
    assert (plan.epochs, plan.seeds, plan.examples, plan.configs[0].limit_train) == (0, (3, 5), 200, 1000)
    plan = plan_of(*ONE, "--widths", "30", "20", "10", "--batch-norm", "1,3", "--init", "he_normal", "--epochs", "7")
    config = plan.configs[0]
    assert (config.widths, config.batch_norm, config.init, config.epochs) == ((30, 20, 10), (1, 3), "he_normal", 7)


WIDTHS, TIMES, EXAMPLES, LAYER_EXAMPLES = (6, 5, 4), 3, 7, 2


def made_up(name="relu-sigmoid-relu", *, seeds=6, accuracy=90.0, ratio=0.5, dead=0, theory=None):
    """Random numbers in the shapes of a measurement, with these accuracies, gradient ratios and dead outputs."""
    rng, layers = np.random.default_rng(0), len(WIDTHS)
    config = Config(activations=tuple(name.split("-")), widths=WIDTHS, dataset="digits")

    def some(*shape):
        return rng.uniform(0.1, 1, (seeds, TIMES, *shape))

    def spectra(examples, values):
        s = -np.sort(-some(examples, values), -1)
        summary = {key: some(examples) for key in propagation.Spectrum._fields}
        return propagation.Spectrum(**(summary | {"singular_values": s}))

    correct = np.full((seeds, TIMES, WIDTHS[-1]), accuracy) + np.arange(seeds)[:, None, None]
    evaluation = training.Evaluation(np.ones((seeds, TIMES)), correct, np.full(correct.shape, 100))
    flags = np.zeros((seeds, TIMES, sum(WIDTHS)), bool)
    flags[..., len(flags[0, 0]) - dead :] = True
    own = {"dead": flags, "coherence": some(WIDTHS[-1])}
    probe = probes.Probe(**{key: own.get(key, some(layers)) for key in probes.Probe._fields})
    total = np.broadcast_to([ratio, 0.7, 1.0], (seeds, TIMES, layers)).copy()
    attenuation = propagation.Attenuation(total, total[..., :-1] / total[..., 1:], total * 0 + 0.25, total * 0 + 2.0)
    apjn = np.broadcast_to(np.tril(np.ones((layers, layers))), (seeds, TIMES, EXAMPLES, layers, layers))
    estimate = propagation.Estimate(apjn[:, :, 0] * 1.0, np.full((seeds, TIMES, layers, layers), 0.1))
    sizes = [(LAYER_EXAMPLES, width) for width in WIDTHS]
    return Measured(
        config,
        Look(
            evaluation, probe, attenuation, some(layers), spectra(EXAMPLES, 4), some(EXAMPLES, layers), apjn, estimate,
            tuple(spectra(*size) for size in sizes),
        ),
        theory,
    )  # fmt: skip


def results(*found):
    return Results({measured.config.name: measured for measured in found}, InputStatistics(1.0, 0.3), "made up")


def rows_of(text):
    return list(csv.DictReader(text.splitlines()))


def changed(measured, **parts):
    return measured._replace(look=measured.look._replace(**parts))


def test_rows_are_means_over_seeds_and_leave_out_what_is_not_defined():
    measured = made_up()
    look = measured.look
    look.attenuation.total[:4, 0, 0] = np.nan
    look.attenuation.total[:, 1, 0] = np.nan
    rows = rows_of(tables.tables(results(measured))["layers.csv"])
    found = {(r["epoch"], r["layer"], r["quantity"]): r for r in rows}
    assert len(found) == len(rows)
    row = found["2", "3", "gradient_norm"]
    values = look.probe.gradient_layers[:, 2, 2]
    assert (row["activation"], row["units"], row["seeds"], row["theory"]) == ("relu", "4", "6", "")
    assert float(row["mean"]) == pytest.approx(values.mean(), rel=1e-5)
    assert float(row["sd"]) == pytest.approx(values.std(ddof=1), rel=1e-5)
    assert found["0", "1", "attenuation_total"]["seeds"] == "2"
    assert ("1", "1", "attenuation_total") not in found and ("0", "3", "attenuation_step") not in found
    assert {layer for _, layer, name in found if name == "gradient_coherence"} == {"3"}
    chi = look.layer_norms[:, 1].mean(1)[:, 1] / 5
    assert float(found["1", "2", "chi"]["mean"]) == pytest.approx(chi.mean(), rel=1e-5)


def test_turns_of_life_are_counted():
    measured = made_up()
    dead = measured.look.probe.dead
    dead[0, 1:, -1] = True  # dies, stays
    dead[1, 1, -2] = True  # dies, comes back
    dead[2, :2, -3] = True  # is born late
    found = tables.layer_quantities(measured)
    assert found["deaths"].values[..., 2].sum(0).tolist() == [0, 2, 0]
    assert found["revivals"].values[..., 2].sum(0).tolist() == [0, 0, 1]
    assert found["births"].values[2, :, 2].tolist() == [3, 0, 1]
    assert found["dead_units"].values[:, 1, 2].tolist() == [1, 1, 1, 0, 0, 0]


def test_end_to_end_rows_have_quantiles_that_occur_and_estimates_with_errors():
    measured = made_up()
    measured.look.spectrum.condition[:, 0, :4] = np.inf
    rows = rows_of(tables.tables(results(measured))["jacobian.csv"])
    assert len(rows) == TIMES * (4 + 5 + 3)
    condition = next(r for r in rows if r["quantity"] == "condition")
    assert (condition["mean"], condition["sd"], condition["q50"], condition["q95"]) == ("inf", "", "inf", "inf")
    assert float(condition["q05"]) < 1
    first = next(r for r in rows if r["quantity"] == "singular_value")
    s = measured.look.spectrum.singular_values[:, 0, :, 0]
    assert first["index"] == "1" and float(first["mean"]) == pytest.approx(s.mean(), rel=1e-5)
    assert float(first["q50"]) == pytest.approx(np.sort(s.ravel())[s.size // 2 - 1], rel=1e-5)
    norms = [r for r in rows if r["quantity"] == "apjn" and r["epoch"] == "0"]
    assert [(r["later"], r["earlier"]) for r in norms] == [("2", "1"), ("3", "1"), ("3", "2")]
    assert {(r["hutchinson"], r["hutchinson_error"]) for r in norms} == {("1", f"{0.1 / 6**0.5:.6g}")}


def test_spectra_of_layers_are_quantiles_at_the_start_and_the_end_up_to_the_rank():
    measured = made_up()
    for spectrum in measured.look.layer_spectra:
        spectrum.rank[:] = 99
    measured.look.layer_spectra[2].rank[:, 2] = 1
    rows = rows_of(tables.tables(results(measured))["spectra.csv"])
    assert len(rows) == 2 * sum(WIDTHS) and {r["epoch"] for r in rows} == {"0", "2"}
    row = next(r for r in rows if (r["layer"], r["epoch"], r["index"]) == ("2", "2", "3"))
    assert [row[key] for key in ("dataset", "activation", "units", "seeds")] == ["digits", "sigmoid", "5", "6"]
    values = np.sort(measured.look.layer_spectra[1].singular_values[:, 2, :, 2].ravel())
    assert [float(row[key]) for key in ("q05", "q50", "q95")] == pytest.approx(values[[0, 5, 11]], rel=1e-5)
    last = [r for r in rows if (r["layer"], r["epoch"]) == ("3", "2")]
    assert float(last[0]["q05"]) > 0 and {r["q95"] for r in last[1:]} == {"0"}


def test_theory_stands_beside_epoch_0_alone():
    config = made_up().config
    theory = prediction.predict(config, 64, prediction.DIGITS, 360)
    found = tables.tables(results(made_up(theory=theory)))
    rows = [r for r in rows_of(found["layers.csv"]) if r["theory"]]
    assert {r["epoch"] for r in rows} == {"0"} and len(rows) == 3 * 6 + 2
    for row in rows:
        stack, layer = theory.stack, int(row["layer"]) - 1
        expected = {
            **{"dead_units": theory.expected_dead[layer], "chi": stack.chi[layer], "mean_square": stack.q[layer]},
            **{"correlation": stack.c[layer], "jacobian_squared_norm": WIDTHS[layer] * stack.chi[layer]},
            "attenuation_total": np.prod(stack.apjn[[1, 2], [0, 1]][layer:]) ** 0.5,
            "attenuation_step": stack.apjn[layer + 1, layer] ** 0.5 if layer < 2 else None,
        }
        assert float(row["theory"]) == pytest.approx(expected[row["quantity"]], rel=1e-5)
    for row in rows_of(found["jacobian.csv"]):
        if row["epoch"] == "0" and row["quantity"] == "squared_norm":
            assert float(row["theory"]) == pytest.approx(4 * theory.stack.chi.prod(), rel=1e-5)


def test_sentences_follow_the_numbers():
    good = made_up("tanh-tanh-tanh", ratio=0.3)
    for ratio, dead, said in (
        (0.5, 3, ("Attenuation does not explain relu-sigmoid-relu (32.50 %, 60.0 points below", "0.500 of the output")),
        (
            0.2,
            3,
            ("This run does not clear attenuation of relu-sigmoid-relu", "Dead outputs at initialisation set it apart"),
        ),
        (0.2, 0, ("Dead outputs at initialisation do not set it apart: relu-sigmoid-relu has 0.00",)),
    ):
        text = findings.findings(results(made_up(accuracy=30, ratio=ratio, dead=dead), good))
        assert all(part in text for part in said)
    assert "tanh-tanh-tanh 0.300" in text and "Accuracy after 2 epochs: 92.50 % (sd 1.87, 6 seeds)" in text
    text = findings.findings(results(made_up(), good))
    assert "No configuration is more than 5 points below the best" in text and "explain" not in text
    assert "Across" not in findings.findings(results(good))


def test_a_rank_correlation_is_stated_where_the_seeds_differ():
    failing = made_up(accuracy=30)
    failing.look.probe.dead[:, :, -4:] = np.arange(6)[:, None, None] > 2 + np.arange(4)
    text = findings.findings(results(failing, made_up("tanh-tanh-tanh")))
    rho = stats.spearmanr([0, 0, 0, 1, 2, 3], range(6)).statistic
    assert f"accuracy has rank correlation {rho:.2f} with dead outputs at initialisation (p 0." in text
    assert "with the gradient ratio" not in text
    assert "Dead outputs at initialisation decide nothing" in text and "more in 3 of 6 pairs" in text


def test_the_methods_are_judged_by_the_numbers():
    measured = made_up()
    text = findings.findings(results(measured))
    assert "at most 35 % of it is reached" in text and "0 of 9 beyond 2" in text and "predicts" not in text
    off = measured.look.hutchinson._replace(value=measured.look.hutchinson.value + 0.5)
    assert "9 of 9 beyond 2" in findings.findings(results(changed(measured, hutchinson=off)))
    measured.look.attenuation.bound[0, 0, 0] = 0.25
    assert "is exceeded 2.000 times" in findings.findings(results(measured))


def test_networks_without_gradient_and_diverged_seeds_are_named():
    measured = made_up()
    measured.look.probe.gradient_layers[:2, -1] = 0
    measured.look.evaluation.loss[0, -1] = np.nan
    for array in (measured.look.spectrum.singular_values, measured.look.attenuation.total):
        array[0, -1] = np.nan
    text = findings.findings(results(measured))
    assert "In 2 of 6 networks no gradient at all enters at the output at the end" in text
    assert "5 seeds)" in text and "1 of 6 seeds diverged" in text and "nan" not in text.lower()


@pytest.mark.parametrize(
    "value,text", [(0.0123456, "0.0123"), (0.25, "0.250"), (784, "784"), (12345, "1.23e4"), (1e-9, "1.00e-9"), (0, "0")]
)
def test_numbers_have_three_digits(value, text):
    assert findings.number(float(value)) == text


@pytest.mark.slow
def test_figures_of_a_dead_and_of_a_diverged_network(tmp_path):
    dead, broken = made_up(), made_up("tanh-tanh-tanh")
    dead.look.probe.gradient_layers[:] = 0
    dead.look.spectrum.singular_values[:] = 0
    broken.look.spectrum.singular_values[:] = np.nan
    broken.look.probe.gradient_layers[:] = np.nan
    captions = figures.draw(results(dead, broken, made_up("relu-relu-relu")), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(captions) == {"gradients.png", "spectra.png", "units.png"}
    assert all(1000 < path.stat().st_size < 200_000 for path in tmp_path.iterdir())
