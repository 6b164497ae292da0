"""Interventions: each changes one thing, pairs seeds, and its effect equals hand arithmetic on made-up records."""

import csv
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from oracles.record_examples import make

from jaxact import activations, records
from jaxact.commands import interventions
from jaxact.commands.interventions import INTERVENTIONS, groups, make_study, parser
from jaxact.config import Config
from jaxact.study import evidence, interventions_report
from jaxact.study.interventions import HALF_TANH

ROOT = Path(__file__).resolve().parents[2]
BASE = Config(activations=("relu", "sigmoid", "relu"))
META = dict.fromkeys(("processor", "cores", "backend", "device", "devices", "python", "strategy", "call_size"), "?")
META |= {"xla_flags": "", "git_commit": "", "platform": "", "packages": {}, "seconds": 1.0, "started_utc": "2026"}


def study(tmp_path, *options):
    return make_study(parser().parse_args(["--out", str(tmp_path / "out"), *options]))


@pytest.mark.parametrize("name", INTERVENTIONS)
def test_each_changes_what_it_says_and_nothing_else(name):
    changed = INTERVENTIONS[name].change(BASE)
    fields = {field for field, value in asdict(changed).items() if value != asdict(BASE)[field]}
    assert fields == {
        "centred_lecun": {"activations", "init"},
        **dict.fromkeys(("he_normal", "lecun_normal", "orthogonal"), {"init"}),
        **dict.fromkeys(("lr_tenth", "lr_tenfold"), {"learning_rate"}),
        **dict.fromkeys(("narrow", "wide"), {"widths"}),
        "batchnorm_last": {"batch_norm"},
        "output_bias": {"output_bias"},
    }.get(name, {"activations"})


def test_what_the_changes_are():
    def changed(name):
        return INTERVENTIONS[name].change(BASE)

    assert changed("centred").name == "relu-centred_sigmoid-relu"
    assert changed("leaky").name == "relu-sigmoid-leaky_relu" and changed("linear").name == "relu-sigmoid-identity"
    assert (changed("narrow").widths, changed("wide").widths) == ((500, 64, 10), (500, 1024, 10))
    assert changed("batchnorm_last").batch_norm == (3,) and changed("output_bias").output_bias == 1
    np.testing.assert_allclose([changed("lr_tenth").learning_rate, changed("lr_tenfold").learning_rate], [0.001, 0.1])
    two = INTERVENTIONS["centred"].change(replace(BASE, activations=("sigmoid", "sigmoid", "relu")))
    assert two.activations == ("centred_sigmoid", "centred_sigmoid", "relu")


def test_half_tanh_is_the_centred_sigmoid():
    z = np.linspace(-30, 30, 601)
    found = activations.as_numpy(activations.get(HALF_TANH))[0](z)
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-z)) - 0.5, atol=1e-15)


def test_an_architecture_is_compiled_once(tmp_path):
    found = groups(study(tmp_path, "--configs", "relu-sigmoid-relu", "tanh-tanh-relu"))
    assert sum(map(len, found)) == len({config for group in found for config in group})
    first = {config.name for config in found[0]}
    assert {"relu-sigmoid-relu", "tanh-tanh-relu", "relu-centred_sigmoid-relu", "tanh-tanh-identity"} <= first
    assert "tanh-tanh-relu" not in {c.name for c in study(tmp_path).base}
    assert len(found) == 10


def test_effects_are_paired_by_seed(tmp_path):
    s = study(tmp_path, "--configs", "relu-sigmoid-relu", "tanh-tanh-relu", "--only", "centred", "--seeds", "4")
    changed = s.changed["centred"]
    assert changed[1] is None  # no sigmoid in it
    here, there = tmp_path / "out", tmp_path / "grid"
    old, new = make([0, 1, 2, 3, 9], s.base[0]), make([1, 2, 3], changed[0])
    new.arrays["test_correct"][:] = new.arrays["test_predicted"]  # all correct
    new.arrays["test_loss"][1, -1] = np.nan  # seed 2 diverged: chance
    records.write(there, old)
    records.write(here, new)
    (effect,) = interventions_report.effects(s._replace(baseline=there))
    before, after = old.test_accuracy()[1:4, -1], np.array([100, 10, 100])
    assert effect.seeds == (1, 2, 3)
    assert effect.difference.value == pytest.approx((after - before).mean())
    assert np.isnan([effect.difference.low, effect.difference.high]).all()  # three seeds are too few
    assert interventions_report.with_interval(effect.difference) == "+20.0"
    assert effect.after.accuracy == pytest.approx(70) and effect.before.accuracy == pytest.approx(before.mean())
    dead = old.arrays["probe_dead"][1:4, :, -10:]
    assert (effect.before.dead_start, effect.before.dead_end) == (dead[:, 0].sum(1).mean(), dead[:, -1].sum(1).mean())
    assert interventions_report.known(s._replace(baseline=there), s.base[0], 3)
    assert not interventions_report.known(s, s.base[0], 3)
    assert interventions_report.find(s._replace(seeds=(77,)), s.base[0]) is None


def test_what_batch_norm_hides_at_the_start_is_left_out():
    """Its running averages are 0 and 1 then: the probes see a network that training never starts from."""
    plain, last, every = (make([0, 1], replace(BASE, batch_norm=layers)) for layers in ((), (3,), (1, 2, 3)))
    for one in (plain, last, every):
        one.arrays["probe_gradient_layers"][:] = [0.1, 0.5, 1.0]
    missing = [
        {field for field, value in interventions_report.state(one)._asdict().items() if np.isnan(value)}
        for one in (plain, last, every)
    ]
    start = {"dead_start", "correlation", "attenuation"}
    assert missing == [set(), start, start | {"saturated"}]


def test_a_diverged_seed_is_at_chance_and_loses_no_class():
    """Two of three seeds have numbers; the others' classes, by a plain loop."""
    one = make([0, 1, 2], BASE)
    one.arrays["test_predicted"][1, -1] = [10_000] + [0] * 9
    one.arrays["test_loss"][1, -1] = np.nan
    lost = [sum(int(n) == 0 for n in one.arrays["test_predicted"][i, -1]) for i in (0, 2)]
    assert interventions_report.state(one).never == sum(lost) / 2
    assert interventions_report.accuracies(one)[1] == 10
    measured = evidence.measured(one)
    assert (measured.never[1], measured.lost_dead[1], measured.lost_inactive[1]) == (0, 0, 0)


def test_one_seed_has_a_difference_and_no_interval():
    found = interventions_report.paired(np.array([3.0]), np.random.default_rng(0))
    assert found.value == 3 and np.isnan(found.low) and interventions_report.with_interval(found) == "+3.0"


def test_a_report_is_written(tmp_path):
    s = study(tmp_path, "--configs", "relu-sigmoid-relu", "--only", "centred", "linear", "--seeds", "3")
    for offset, config in enumerate([s.base[0], s.changed["centred"][0], s.changed["linear"][0]]):
        record = make([0, 1, 2], config, offset)
        records.write(
            s.out, record._replace(meta={"data": {"source": "made up"}, "runs": [META | {"seeds": [0, 1, 2]}]})
        )
    text = interventions_report.finish(s, "the command")
    assert text.count("relu-sigmoid-relu") == 3 and "unchanged" in text
    report = (s.out / "report.md").read_text()
    assert "`the command`" in report and "made up" in report and "all training examples" in report
    with (s.out / "effects.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["intervention"] for row in rows] == ["centred", "linear"]
    assert (s.out / "effects.png").stat().st_size > 5000
    assert "nothing to report" in interventions_report.finish(s._replace(seeds=(9,)), "")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--only", "centre"], "did you mean 'centred'"),
        (["--configs", "relu-relu"], "2 activations, the network has 3"),
        (["--seeds", "0"], "seeds must be a count"),
        (["--epochs", "0"], "epochs must be a whole number"),
        (["--baseline", "/nowhere"], "--baseline /nowhere is not a folder"),
        (["--dataset", "mnits"], "did you mean 'mnist'"),
        (["--devices", "0"], "--devices must be from 1"),
    ],
)
def test_mistakes_are_one_line_and_nothing_is_written(tmp_path, capsys, options, message):
    with pytest.raises(SystemExit) as caught:
        interventions.main(["--out", str(tmp_path / "out"), *options])
    error = capsys.readouterr().err
    assert caught.value.code == 2 and message in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())


DEVICES = """
import sys
from experiments import {module}
try:
    {module}.main(sys.argv[1:])
except SystemExit:
    pass
import jax
print("devices:", len(jax.devices()))
"""


@pytest.mark.parametrize(
    ("module", "argv"),
    [
        ("interventions", ["--only", "half_tanh", "--dataset", "digits", "--report-only"]),
        ("grid", ["--activations", "relu", "experiments.interventions:half_tanh", "--dry-run"]),
    ],
)
def test_a_function_of_ones_own_that_loads_jax_does_not_cost_the_devices(tmp_path, module, argv):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("JAX", "XLA"))}
    code = [sys.executable, "-c", DEVICES.format(module=module), *argv, "--devices", "3", "--out", tmp_path / "out"]
    environment |= {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = subprocess.run(code, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.stdout.endswith("devices: 3\n"), done.stderr


@pytest.mark.slow
def test_a_real_run_on_digits_trains_both_sides_and_reports(tmp_path):
    argv = ["--dataset", "digits", "--configs", "relu-sigmoid-relu", "--only", "linear", "--seeds", "2"]
    assert interventions.main([*argv, "--epochs", "1", "--out", str(tmp_path / "out")]) == 0
    assert len(list((tmp_path / "out" / "digits").glob("*.npz"))) == 2
    assert "| relu-sigmoid-relu |       linear |     2 |" in (tmp_path / "out" / "report.md").read_text()
