"""Names such as `dks(sigmoid)`: how they are written, what their entries state, and what is refused."""

import math
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxact import activations
from jaxact.activations.measured import measure
from jaxact.activations.tailored import FORMS
from jaxact.config import Config, split_name

NOT_DKS = {"hardshrink", "threshold", "hard_sigmoid", "hard_tanh", "relu6", "identity", "rrelu"}
NOT_TAT = {"relu", "selu", "leaky_relu", "prelu", "hard_silu", "softshrink"} | NOT_DKS


def config(name):
    return Config(activations=split_name(name), init="lecun_normal")


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("dks()", "none of one plain activation in brackets: write dks(relu)"),
        ("dks(dks(relu))", "none of one plain activation in brackets: write dks(relu)"),
        ("dks(" * 5000 + "relu" + ")" * 5000, "none of one plain activation in brackets: write dks(relu)"),
        ("dks(relu", "none of one plain activation in brackets: write dks(relu)"),
        ("dks(relu))", "none of one plain activation in brackets: write dks(relu)"),
        ("(relu)", "none of one plain activation in brackets: write dks(relu)"),
        ("dks(relu)x", "none of one plain activation in brackets: write dks(relu)"),
        ("dks(softmax)", "softmax acts along an axis"),
        ("alive(nosuch)", "unknown activation 'nosuch'"),
        ("dks(identity)", "identity is linear"),
        ("dks(relu):", "'' is no parameter: write dks(relu):parameter=value"),
        ("dks(relu):layers=nan", "layers=nan is outside [1, 100000]"),
        ("dks(relu):variance=0", "variance=0 is outside"),
        ("dks(relu):layers=3,layers=3", "layers is given twice"),
        ("dks(leaky_relu:negative_slope=0.3)", "finds the slope of leaky_relu itself"),
    ],
    ids=lambda text: text[:40],
)
def test_a_name_that_is_none_is_one_short_line(spec, reason):
    with pytest.raises(ValueError) as error:
        activations.get(spec)
    text = str(error.value)
    assert reason in text and "\n" not in text and (len(text) < 300 or "choose from" in text)


def test_records_hold_such_names_and_pages_know_their_facts():
    mixed = config("dks(elu:alpha=0.5):layers=2-alive(jax.numpy:tanh)-dks(relu)")
    assert Config.from_dict(mixed.as_dict()) == mixed
    halves = Config.from_dict(mixed.as_dict() | {"activations": ["dks(relu)+tat(tanh):layers=6"] * 3})
    assert halves.name == "-".join(["dks(relu)+tat(tanh):layers=6"] * 3)
    for wrong in ("dks()", "dks(dks(relu))", "dks(relu", "other(relu)", "dks(relu):layers", "dks(re lu)"):
        with pytest.raises(ValueError, match="is no name of one or two halves"):
            Config.from_dict(mixed.as_dict() | {"activations": [wrong] * 3})
    known = activations.known("dks(relu)")
    assert known is not None and known.can_die
    assert activations.known("dks(os.path:abspath)") is None and activations.known("other(relu)") is None


def test_a_digest_is_of_the_name_alone():
    """Constants are no part of it, so that it is the same wherever they are found."""
    assert config("dks(sigmoid)-dks(sigmoid)-relu").digest == "0514cd45"


def test_the_names_are_canonical_and_older_digests_stay():
    assert activations.get(" dks(elu:alpha=1):layers=3.0,slope=1.25").spec == "dks(elu):slope=1.25"
    assert activations.get("dks(elu:alpha=0.5):layers=2").spec == "dks(elu:alpha=0.5):layers=2"
    assert split_name("dks(sigmoid)-alive(relu):share=0.5-relu") == ("dks(sigmoid)", "alive(relu):share=0.5", "relu")
    again = config("dks(sigmoid)-dks(sigmoid)-relu")
    assert Config.from_dict(again.as_dict()).digest == again.digest
    assert Config(activations=("relu", "sigmoid", "relu")).digest == "95432035"


@pytest.mark.parametrize(
    "spec", ["dks(relu)", "alive(softplus):share=0.3", pytest.param("dks(selu)", marks=pytest.mark.slow)]
)
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
