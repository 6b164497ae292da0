"""The named protocols: every one makes its plans, and each published table has one."""

from datetime import timedelta

import pytest

from jaxact.commands import grid
from jaxact.study import outcome, presets, published
from jaxact.study.plan import Plan


def plan_of(*argv: str) -> Plan:
    return grid.plan_from(grid.parser(), list(argv))[0][0]


@pytest.mark.parametrize("preset", presets.PRESETS)
def test_every_preset_makes_plans(preset):
    plans, _ = grid.plan_from(grid.parser(), ["--preset", preset])
    sizes = {
        "paper-batchnorm-one": 4,
        "cifar10-2layer": 16,
        "cifar10-4layer": 16,
        "lr-sweep": 2,
        "convergence": 3,
        "two-activations": 1000,
        "cifar10-cnn": 16,
    }
    assert {len(plan.configs) for plan in plans} == {sizes.get(preset, 64)}
    parts = {"paper-batchnorm-one": 3, "optimizers": 4, "lr-sweep": 10, "initialisers": 5}
    assert len(plans) == parts.get(preset, 1) and not any(plan.cut for plan in plans)
    cut, _ = grid.plan_from(grid.parser(), ["--preset", preset, "--seeds", "2"])
    assert cut[0].cut == {"seeds": "2"}


MNIST, CIFAR_4, CIFAR_32 = 1875, 12_500, 1563  # steps of an epoch
MODEL_STEPS = {
    "paper": [64 * 9 * 10 * MNIST],
    "quick": [64 * 3 * 2 * 375],
    "smoke": [64 * 3 * 2 * 45],
    "paper-batchnorm": [64 * 9 * 10 * MNIST],
    "paper-batchnorm-last": [64 * 9 * 10 * MNIST],
    "paper-batchnorm-one": 3 * [4 * 9 * 10 * MNIST],
    "cifar10": [64 * 9 * 10 * CIFAR_4],
    "cifar10-batch32": [64 * 9 * 10 * CIFAR_32],
    "cifar10-batchnorm": [64 * 9 * 10 * CIFAR_4],
    "cifar10-batch32-batchnorm": [64 * 9 * 10 * CIFAR_32],
    "cifar10-2layer": [16 * 9 * 5 * CIFAR_4],
    "cifar10-4layer": [16 * 9 * 5 * CIFAR_4],
    "cifar10-cnn": [16 * 9 * 10 * CIFAR_4],
    "optimizers": 4 * [64 * 9 * 10 * MNIST],
    "lr-sweep": 10 * [2 * 9 * 10 * MNIST],
    "convergence": [3 * 9 * 50 * MNIST],
    "two-activations": [1000 * 9 * 10 * MNIST],
    "fashion": [64 * 9 * 10 * MNIST],
    "initialisers": 5 * [64 * 9 * 10 * MNIST],
}


@pytest.mark.parametrize("preset", presets.PRESETS)
def test_a_dry_run_states_the_cost_of_every_preset(preset, tmp_path, monkeypatch, capsys):
    """Model-steps by hand; the time is theirs at the milliseconds per step that the estimate is based on."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(outcome, "_step_ms", lambda plan: (0.5, "made up"))
    assert grid.main(["--preset", preset, "--dry-run"]) == 0
    text = capsys.readouterr().out
    steps = [int(line.split()[1].replace(",", "")) for line in text.splitlines() if line.startswith("model-steps")]
    assert steps == MODEL_STEPS[preset]
    said = text.splitlines()[-2] if len(steps) > 1 else next(line for line in text.splitlines() if "estimated" in line)
    assert str(timedelta(seconds=round(sum(steps) * 0.5e-3))) in said
    assert not list(tmp_path.iterdir())


def test_what_goes_beyond_the_study_is_an_option():
    """Fashion-MNIST with any activation, initialiser and combination, width and depth of the stack."""
    plan = plan_of("--preset", "fashion", "--configs", "gelu-mish-relu", "*-sigmoid-relu")
    assert [c.name for c in plan.configs][:2] == ["gelu-mish-relu", "relu-sigmoid-relu"]
    assert {c.dataset for c in plan.configs} == {"fashion_mnist"}
    plans, _ = grid.plan_from(grid.parser(), ["--preset", "initialisers", "--configs", "*-sigmoid-relu"])
    assert [p.configs[0].init for p in plans] == presets.EVERY_INIT
    assert {c.name for p in plans for c in p.configs} == {c.name for c in plans[0].configs} and len(
        plans[0].configs
    ) == 4
    deep = plan_of(
        "--dataset", "fashion_mnist", "--widths", "64", "64", "32", "32", "10", "--activations", "silu", "relu"
    )
    assert len(deep.configs) == 2**5 and deep.configs[1].activations == ("silu",) * 4 + ("relu",)


def test_the_protocols_are_those_published():
    """Every published table has a preset with its protocol."""
    plans = [p for name in presets.PRESETS for p in grid.plan_from(grid.parser(), ["--preset", name])[0]]
    for name, theirs in published.TABLES.items():
        norm = tuple(range(1, len(theirs.widths))) if theirs.batch_norm == "all" else ()
        assert any(
            (
                (c.dataset, c.architecture),
                (p.spec.features, *c.widths) if c.architecture == "mlp" else c.widths,
                c.batch_norm,
                c.optimizer.removeprefix("torch_"),
                1 + c.paired,
            )
            == ((theirs.dataset, theirs.model), theirs.widths, norm, theirs.optimizer, theirs.activations_per_layer)
            and (c.learning_rate, c.momentum, c.batch_size, c.epochs, c.init)
            == (theirs.learning_rate, theirs.momentum, theirs.batch_size, theirs.epochs, theirs.initializer)
            for p in plans
            for c in p.configs[:1]
        ), name


def test_halves_are_the_published_rows():
    plan = plan_of("--preset", "two-activations")
    assert tuple(config.name for config in plan.configs) == published.load_table("mnist_two_activations").configurations
    assert plan.choices == ("relu", "tanh", "sigmoid", "selu")
    some = plan_of("--configs", "relu+tanh-sigmoid+selu-relu+relu")
    assert some.configs[0].activations == ("relu+tanh", "sigmoid+selu", "relu+relu") and some.configs[0].paired
    assert some.configs[0] in plan.configs and not plan_of().configs[0].paired
