"""Tailored stacks against known values and the forecast of `prediction`, which does not know how they came about."""

import math
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxact
from jaxact import activations
from jaxact.activations.measured import measure
from jaxact.activations.tailored import FORMS
from jaxact.config import Config, split_name
from jaxact.theory import InputStatistics, prediction, stack_inits
from jaxact.theory.prediction import STATISTICS

NOT_DKS = {"hardshrink", "threshold", "hard_sigmoid", "hard_tanh", "relu6", "identity", "rrelu"}
NOT_TAT = {"relu", "selu", "leaky_relu", "prelu", "hard_silu", "softshrink"} | NOT_DKS


def config(name, init="lecun_normal", **more):
    return Config(activations=split_name(name), init=init, **more)


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


def test_the_names_are_canonical_and_older_digests_stay():
    assert activations.get(" dks(elu:alpha=1):layers=3.0,slope=1.25").spec == "dks(elu):slope=1.25"
    assert activations.get("dks(elu:alpha=0.5):layers=2").spec == "dks(elu:alpha=0.5):layers=2"
    assert split_name("dks(sigmoid)-alive(relu):share=0.5-relu") == ("dks(sigmoid)", "alive(relu):share=0.5", "relu")
    again = config("dks(sigmoid)-dks(sigmoid)-relu")
    assert Config.from_dict(again.as_dict()).digest == again.digest
    assert Config(activations=("relu", "sigmoid", "relu")).digest == "95432035"


@pytest.mark.parametrize("spec", ["dks(relu)", "alive(softplus):share=0.3", "dks(selu)"])
def test_the_stated_facts_are_the_measured_ones(spec):
    entry = activations.get(spec)
    facts = measure(entry)
    np.testing.assert_allclose(facts["kinks"], [k for k in entry.kinks if spec != "alive(softplus)"], atol=1e-6)
    assert facts["can_die"] == entry.can_die and facts["saturates"] == entry.saturates
    np.testing.assert_allclose(facts["range"][0], entry.range[0], rtol=1e-5)
    assert facts["range"][1] == entry.range[1] == math.inf
    assert facts["derivative_at_zero"] == pytest.approx(entry.derivative_at_zero, rel=1e-9)
    assert facts["lipschitz"] == pytest.approx(entry.lipschitz, rel=1e-4)


def test_a_learned_slope_stays_learned_and_is_the_same_jitted_and_vmapped():
    entry, x = activations.get("dks(prelu)"), jnp.linspace(-2, 2, 12).reshape(3, 4)
    assert len(entry.start) == 1 and entry.start[0] == pytest.approx(0.3353, abs=1e-4)
    theta = jnp.array([0.1])
    expected = [p.value for p in entry.parameters][2:4]
    shifted = np.asarray(x) + entry.parameters[1].value
    by_hand = expected[1] * (np.where(shifted > 0, shifted, 0.1 * shifted) + expected[0])
    np.testing.assert_allclose(entry(x, theta), by_hand, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(jax.jit(entry)(x, theta), entry(x, theta), rtol=1e-6)
    np.testing.assert_allclose(jax.vmap(lambda row: entry(row, theta))(x), entry(x, theta), rtol=1e-6)


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


def test_an_unknown_form_or_option_names_the_nearest():
    with pytest.raises(ValueError, match=r"unknown target 'dsk' of an activation: did you mean dks"):
        activations.get("dsk(relu)")
    with pytest.raises(ValueError, match=r"dks\(tanh\) has no parameter 'layer': did you mean layers"):
        activations.get("dks(tanh):layer=3")
    with pytest.raises(ValueError, match=r"layers=2.5 must be a whole number"):
        activations.get("dks(tanh):layers=2.5")


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_every_elementwise_activation_is_transformed_or_says_why_not(form):
    refused = {"dks": NOT_DKS, "tat": NOT_TAT, "alive": {"rrelu"}}[form]
    found = set()
    for name in activations.names("elementwise"):
        try:
            activations.get(f"{form}({name})")
        except ValueError as error:
            assert "\n" not in str(error)
            found.add(name)
    assert found == refused


def test_importing_the_names_does_not_load_jax():
    code = "import sys, jaxact, jaxact.activations.tailored, jaxact.config; print('jax' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
