"""The named protocols: every one makes its plans, and each published table has one."""

import pytest

from experiments import grid, presets
from experiments.plan import Plan
from jaxact import published


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
