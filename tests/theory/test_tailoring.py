"""Tailored stacks against known values and the forecast of `prediction`, which does not know how they came about."""

import json

import numpy as np
import pytest
from oracles import dks_reference

import jaxact
from jaxact.config import Config, split_name
from jaxact.theory import InputStatistics, prediction, stack_inits
from jaxact.theory.prediction import STATISTICS

NOT_DKS = {"hardshrink", "threshold", "hard_sigmoid", "hard_tanh", "relu6", "identity", "rrelu"}
NOT_TAT = {"relu", "selu", "leaky_relu", "prelu", "hard_silu", "softshrink"} | NOT_DKS


def config(name, init="lecun_normal", **more):
    return Config(activations=split_name(name), init=init, **more)


def test_different_activations_get_what_the_package_finds_for_each():
    """With a chain as the subnet function all layers share one slope, so a mixed stack has the constants of each."""
    table = json.loads(dks_reference.TABLE.read_text(encoding="utf-8"))["rows"]
    found = jaxact.tailor(config("tanh-softplus-relu"), layers=[1, 2, 3])
    for name, constants in zip(("tanh", "softplus", "relu"), found.constants, strict=True):
        row = next(r for r in table if (r["method"], r["layers"], r["name"]) == ("dks", 3, name))
        assert constants is not None
        assert constants._asdict() == pytest.approx(row["constants"], abs=1e-3)


def forecast(c):
    return prediction.predict(c, 784, STATISTICS["mnist"], 60_000)


def test_two_sigmoids_before_a_relu_output_get_the_known_constants():
    before = forecast(config("relu-sigmoid-relu", init="torch_default"))
    assert before.stack.c[-1] == pytest.approx(0.9931, abs=5e-5)
    assert before.expected_dead[-1] == pytest.approx(3.61, abs=0.01)
    found = jaxact.tailor(config("sigmoid-sigmoid-relu"))
    assert found.config == config("dks(sigmoid)-dks(sigmoid)-relu")
    np.testing.assert_allclose(found.constants[0], [1.1811, -1.7583, -0.1975, 6.0344], atol=5e-5)
    assert found.constants[1] == found.constants[0] and found.constants[2] is None
    after = forecast(found.config)
    assert after.stack.c[-1] == pytest.approx(0.2392, abs=5e-5) and after.expected_dead[-1] < 1e-3


@pytest.mark.parametrize("init", ["torch_default", "he_normal", "glorot_uniform"])
def test_every_initialiser_meets_the_same_target(init):
    """Each layer hands on a second moment of 1, and its normalised map has the slope q E[φ'²]/E[φ²] = 1.5^(1/3)."""
    found = jaxact.tailor(config("tanh-sigmoid-relu", init=init)).config
    stack, inits = forecast(found).stack, stack_inits(init, (784, *found.widths))
    np.testing.assert_allclose(stack.square[:2], 1, rtol=1e-3)
    slope_square = stack.chi[:2] / [own.weight_variance for own in inits[:2]]
    np.testing.assert_allclose(stack.q[:2] * slope_square / stack.square[:2], 1.5 ** (1 / 3), rtol=1e-3)


def test_a_steep_layer_left_as_it_is_takes_its_slope_from_the_others():
    found = jaxact.tailor(config("tanh-tanh-tanh"), value=1.3, layers=[1, 3])
    own = 0.46440290 / 0.39429449  # E[tanh'²]/E[tanh²] at q = 1
    name, _, options = found.config.activations[0].partition(":")
    assert name == "dks(tanh)" and found.config.activations[1] == "tanh"
    slope = float(options.removeprefix("slope=").partition(",")[0])
    assert slope ** (2 / 3) * own == pytest.approx(1.3, rel=1e-4)
    with pytest.raises(ValueError, match="have a slope of 1.178 already, the target is 1.1: raise value"):
        jaxact.tailor(config("tanh-tanh-tanh"), value=1.1, layers=[1, 3])


@pytest.mark.parametrize("data", [STATISTICS["mnist"], InputStatistics(1.0, 0.3)])
def test_alive_takes_the_smallest_share_that_will_do(data):
    found = jaxact.tailor(config("relu-sigmoid-relu"), "alive", data=data)
    share = float(found.config.activations[0].partition("share=")[2])
    less = [name.replace(f"share={share}", f"share={share - 0.01:.2f}") for name in found.config.activations]
    dead = [prediction.predict(c, 784, data, 60_000).dead[-1] for c in (found.config, config("-".join(less)))]
    assert dead[0] < 0.01 <= dead[1]


def test_a_stack_that_is_alive_stays_as_it_is():
    published = config("tanh-tanh-relu")
    assert jaxact.tailor(published, "alive") == (published, (None, None, None))


def test_wrong_requests_are_one_line():
    plain = config("relu-sigmoid-relu")
    cases = [
        (plain, {"target": "daks"}, "unknown target 'daks': did you mean 'dks'"),
        (plain, {"value": 1.0}, "must be above 1 for dks"),
        (plain, {"target": "alive", "value": 1.0}, "must be a probability above 0 and below 1"),
        (plain, {"layers": [4]}, "must name layers from 1 to 3"),
        (plain, {"target": "tat"}, "use leaky_relu or prelu"),
        (config("leaky_relu-tanh-relu"), {"target": "tat"}, "tat cannot mix leaky_relu"),
        (config("tanh-tanh-relu"), {"target": "tat", "layers": [1]}, "tat needs every hidden layer"),
        (plain, {"target": "alive", "layers": [1]}, "even behind centred layers, the target is 0.01"),
        (config("identity-tanh-relu"), {}, "activation 'dks(identity)"),
        (config("dks(tanh)-tanh-relu"), {}, "is transformed already"),
        (config("relu-tanh-relu", batch_norm=(1,)), {}, "no plain dense stack"),
        (config("relu-tanh-relu", dataset="cifar10"), {}, "the inputs of cifar10 are not known here"),
    ]
    for wrong, options, reason in cases:
        with pytest.raises(ValueError) as error:
            jaxact.tailor(wrong, **options)
        assert reason in str(error.value) and "\n" not in str(error.value), error.value
