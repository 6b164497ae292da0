"""Diagnosing foreign networks: healthy ones, one planted fault at a time, and against the exact analyses."""

import csv
import io
import json
from html.parser import HTMLParser

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles.foreign_networks import CASES, LABELS, batch, changed, healthy, start

import jaxact
from jaxact import probes
from jaxact.models import MLP


@pytest.mark.parametrize("name", ["cnn", *(pytest.param(name, marks=pytest.mark.slow) for name in ("mlp", "residual"))])
@pytest.mark.parametrize("seed", range(4))
def test_nothing_is_wrong_with_healthy_networks(name, seed):
    model, x, gain = CASES[name]
    found = jaxact.diagnose(model.apply, start(model, x, seed, gain), x)
    assert (found.main, found.verdicts, found.notes) == ("healthy", (), ())
    assert all(layer.dead < 0.25 for layer in found.layers) and all(0.1 < layer.gain < 10 for layer in found.layers)


def slow(*case):
    return pytest.param(*case, marks=pytest.mark.slow)


FAULTS = [
    ("cnn", "BatchNorm_0", "bias", lambda b: b - 100, "dead", "Conv_0"),
    ("cnn", "Conv_1", "bias", lambda b: b - 100, "dead", "Conv_1"),
    ("cnn", "Dense_0", "kernel", lambda w: w * 100, "saturated", "Dense_0"),
    ("cnn", "Dense_1", "kernel", lambda w: w * 1000, "exploding", "Dense_0"),
    ("cnn", "Dense_1", "kernel", lambda w: w * 1e-4, "vanishing", "Dense_1"),
    slow("mlp", "Dense_1", "bias", lambda b: b - 100, "dead", "Dense_1"),
    slow("mlp", "Dense_1", "kernel", lambda w: w * -1000, "exploding", "Dense_0"),
    slow("mlp", None, "kernel", lambda w: w * 0.05, "vanishing", "Dense_0"),
    slow("mlp", "Dense_2", "kernel", lambda w: w * 100, "saturated", "Dense_2"),
    slow("mlp", "Dense_2", "kernel", lambda w: w * 1e6, "saturated", "Dense_2"),
    slow("residual", "Dense_4", "bias", lambda b: b - 100, "dead", "Dense_4"),
    slow("residual", "Dense_6", "kernel", lambda w: w * 1000, "exploding", "Dense_5"),
]


@pytest.mark.parametrize(("name", "layer", "part", "change", "kind", "where"), FAULTS)
def test_a_planted_fault_is_the_only_cause_reported(name, layer, part, change, kind, where):
    model, x, gain = CASES[name]
    found = jaxact.diagnose(model.apply, changed(start(model, x, 0, gain), layer, part, change), x)
    causes = [verdict for verdict in found.verdicts if not verdict.because]
    assert [verdict.kind for verdict in causes] == [kind] == [found.main]
    assert causes[0].layer == where and where in causes[0].text and causes[0].remedy in str(found)
    beyond = causes[0].number < causes[0].limit if kind == "vanishing" else causes[0].number > causes[0].limit
    assert beyond


OWN, WHICH, ROWS = MLP((12, 5), ("relu",), batch_norm=(1,)), jnp.array([0, 0]), batch(10)


def own_variables():
    """The library's own network, treated as a foreign one: its closed forms and its health are the reference."""
    shapes, rng = jax.eval_shape(OWN.init, jax.random.key(0), ROWS, WHICH), np.random.default_rng(3)
    variables = jax.tree.map(lambda leaf: jnp.asarray(0.1 + np.abs(rng.normal(size=leaf.shape)), leaf.dtype), shapes)
    return changed(variables, None, "kernel", lambda w: w - 0.8)


def own_apply(variables, x):
    return OWN.apply(variables, x, WHICH)


@pytest.mark.slow
def test_numbers_are_those_of_the_exact_analyses():
    variables = own_variables()
    found = jaxact.diagnose(own_apply, variables, ROWS)

    @jax.jit
    def exact(variables):
        def squares(x):
            chain = probes.mlp_chain(OWN, variables, WHICH, x)
            parts = [probes.between(chain, 2, layer) * chain.slopes[-1][:, None] for layer in (1, 2)]
            return jnp.stack([jnp.sum(part**2) for part in parts]), probes.input_output(chain)

        network, phis = (make(OWN, variables, WHICH) for make in (probes.mlp_network, probes.mlp_nonlinearities))
        return probes.network_health(network, phis, ROWS), *jax.vmap(squares)(ROWS[:16])

    states, squares, outer = exact(variables)
    assert [layer.name for layer in found.layers] == ["dense1", "dense2"]
    assert 0 < states.layers["layer1"].saturated < 1 and states.layers["layer2"].dead.sum() < 5
    for layer, state in zip(found.layers, states.layers.values(), strict=True):
        for field in ("negative", "saturated", "sparsity", "broken"):
            np.testing.assert_allclose(getattr(layer, field), getattr(state, field), rtol=1e-6, err_msg=field)
        for field in ("dead", "nearly_dead"):
            np.testing.assert_allclose(getattr(layer, field), getattr(state, field).mean(), rtol=1e-6, err_msg=field)
    values = np.median(np.linalg.svd(outer[:8], compute_uv=False), axis=0)
    np.testing.assert_allclose(found.singular_values, values, rtol=1e-4, atol=1e-5)
    total = squares.sum(0)
    gains, errors = (np.array([getattr(layer, field) for layer in found.layers]) for field in ("gain", "gain_error"))
    assert errors[0] > 0 and errors[1] < 1e-6  # the last Jacobian is diagonal, where random signs do not err
    assert np.all(np.abs(gains - np.sqrt(total / total[-1])) < 4 * errors + 1e-5)


@pytest.mark.slow
def test_gradients_of_the_loss_are_those_of_the_exact_analyses():
    variables = own_variables()
    found = jaxact.diagnose(own_apply, variables, ROWS, LABELS)

    def network_of(params):
        return probes.mlp_network(OWN, {**variables, "params": params}, WHICH)

    wanted = jax.jit(lambda params: probes.loss_gradients(network_of, params, ROWS, LABELS))(variables["params"])
    kernels = [jnp.sqrt(jnp.sum(wanted.params[layer.name]["kernel"] ** 2)) for layer in found.layers]
    np.testing.assert_allclose([layer.gradient for layer in found.layers], wanted.layers, rtol=1e-5)
    np.testing.assert_allclose([layer.kernel_gradient for layer in found.layers], kernels, rtol=1e-5)
    np.testing.assert_allclose(found.loss, wanted.loss, rtol=1e-6)
    assert "|dL/dW|" in str(found) and f"loss {found.loss:.4g}" in str(found)


def test_text_dictionary_and_html_hold_the_same_findings():
    model, variables, x = healthy()
    found = jaxact.diagnose(model.apply, changed(variables, "Conv_1", "bias", lambda b: b - 100), x)
    text, plain = str(found), json.loads(json.dumps(found.as_dict()))
    assert plain["main"] == "dead" and plain["verdicts"][0]["layer"] == "Conv_1" and plain["condition"] == "inf"
    assert [layer["name"] for layer in plain["layers"]] == ["Conv_0", "Conv_1", "Dense_0", "Dense_1"]
    assert [layer["activation"] for layer in plain["layers"]] == ["relu", "relu", "tanh", "linear"]
    assert plain["layers"][0]["gradient"] is None and "|dL/dW|" not in text  # no labels
    assert found.to_dict() == found.as_dict()
    rows = list(csv.DictReader(io.StringIO(found.to_csv())))
    assert [row["name"] for row in rows] == ["Conv_0", "Conv_1", "Dense_0", "Dense_1"]
    assert [float(row["dead"]) for row in rows] == [layer.dead for layer in found.layers]
    assert rows[0]["gradient"] == "" and float(rows[0]["gain"]) == found.layers[0].gain
    with pytest.raises(AssertionError) as failed:
        found.assert_healthy()
    assert str(failed.value).splitlines()[0] == "not healthy: dead" and found.verdicts[0].remedy in str(failed.value)
    page = found._repr_html_()
    parser, seen = HTMLParser(), []
    parser.handle_data = seen.append
    parser.feed(page)
    assert set(text.split()) <= set(" ".join(seen).split())
    assert "h&lt;0" in page and "h<0" not in page and "http" not in page and "<script" not in page
    assert found.layer("Conv_1").dead == 1 and max(map(len, text.splitlines()[:8])) < 150
    with pytest.raises(ValueError, match="unknown layer 'Conv_9'"):
        found.layer("Conv_9")


def test_nan_parameters_and_equal_inputs_are_findings():
    model, variables, x = healthy()
    broken = jaxact.diagnose(model.apply, changed(variables, "Conv_1", "kernel", lambda w: w.at[0, 0].set(jnp.nan)), x)
    (verdict,) = broken.verdicts
    assert (broken.main, verdict.layer, verdict.number) == ("broken", "Conv_1", 32)
    assert "params/Conv_1/kernel" in verdict.text and broken.as_dict()["layers"][0]["gain"] is None
    overflow = jaxact.diagnose(model.apply, changed(variables, None, "kernel", lambda w: w * 1e30), x)
    assert overflow.main == "broken" and "though the variables are not" in overflow.verdicts[0].text
    zeros = jaxact.diagnose(model.apply, variables, 0 * x)
    assert zeros.main == "constant inputs" and [v for v in zeros.verdicts if not v.because] == [zeros.verdicts[0]]


def test_a_layer_that_is_zero_is_noted_and_not_called_vanishing():
    model, variables, x = healthy()
    found = jaxact.diagnose(model.apply, changed(variables, "Dense_1", "kernel", jnp.zeros_like), x)
    note = "Conv_0, Conv_1, Dense_0 get their gradient only after Dense_1 has moved"
    assert found.main == "healthy" and note in str(found) and found.layer("Dense_0").gain == 0


def relu_output(weights, x):
    return jax.nn.relu(x @ weights["kernel"] + weights["bias"][None])


def test_a_single_dead_output_is_a_finding():
    weights, x = {"kernel": jnp.eye(4, 10), "bias": jnp.ones(10).at[3].set(-100.0)}, batch(4)
    found = jaxact.diagnose(relu_output, weights, x)
    (verdict,) = found.verdicts
    assert (found.main, verdict.number, verdict.limit) == ("dead outputs", pytest.approx(0.1), 0)
    assert "1 of the 10 outputs" in str(found) and "linear output" in verdict.remedy and not found.notes
    assert jaxact.diagnose(relu_output, weights | {"bias": jnp.ones(10)}, x).main == "healthy"
    assert jaxact.diagnose(lambda w, x: relu_output(w, x).sum(-1, keepdims=True), weights, x).main == "healthy"
    few = jaxact.diagnose(relu_output, weights, x[:8])
    assert few.main == "healthy" and "1 of the 10 outputs" in str(few)


def test_names_cannot_bring_html_into_a_notebook():
    found = jaxact.diagnose(lambda weights, x: x @ weights["<b onclick=x>&"], {"<b onclick=x>&": jnp.eye(4)}, batch(4))
    page = found._repr_html_()
    assert found.layers[0].name == "<b onclick=x>&" and "<b" not in page and "&lt;b onclick=x&gt;&amp;" in page
