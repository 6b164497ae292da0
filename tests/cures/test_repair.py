"""Repaired networks, looked at in NumPy, by whole Jacobians and by `diagnose`, which knows nothing of the repair."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from oracles.foreign_networks import batch, changed, healthy, start

import jaxact
from jaxact.cures import Repair

X = batch(12)


class Dying(nn.Module):
    """ReLU, sigmoid, and a ReLU output: the study's worst combination, small."""

    @nn.compact
    def __call__(self, x):
        for phi, units in ((nn.relu, 16), (nn.sigmoid, 16), (nn.relu, 8)):
            x = phi(nn.Dense(units)(x))
        return x


class Attending(nn.Module):
    """Tokens through attention and a ReLU block, both with layer norm and a path around."""

    @nn.compact
    def __call__(self, x):
        tokens = nn.Dense(8)(x.reshape(len(x), 3, 4))
        tokens += nn.MultiHeadDotProductAttention(num_heads=2)(nn.LayerNorm()(tokens))
        tokens += nn.Dense(8)(nn.relu(nn.Dense(16)(nn.LayerNorm()(tokens))))
        return nn.Dense(5)(tokens.mean(1))


def plain(parameters, x):
    """A network written by hand, with parameters as Haiku names them."""
    x = jax.nn.relu(x @ parameters["mlp/linear_0"]["w"] + parameters["mlp/linear_0"]["b"][None])
    x = x @ parameters["mlp/linear_1"]["w"]
    if "b" in parameters["mlp/linear_1"]:
        x = x + parameters["mlp/linear_1"]["b"][None]
    x = jax.nn.relu(x)
    return x @ parameters["mlp/linear_2"]["w"]


def hand_made(second_bias):
    rng = np.random.default_rng(3)
    sizes = [(12, 16), (16, 16), (16, 5)]
    w = [jnp.asarray(rng.normal(size=s) * (2 / s[0]) ** 0.5, jnp.float32) for s in sizes]
    second = {"w": w[1]} if second_bias is None else {"w": w[1], "b": jnp.full(16, second_bias)}
    return {"mlp/linear_0": {"w": w[0], "b": jnp.zeros(16)}, "mlp/linear_1": second, "mlp/linear_2": {"w": w[2]}}


def always_off(variables, x):
    """Outputs of `Dying` that are 0 on all inputs, in NumPy and plain loops."""
    p = jax.tree.map(np.asarray, variables)["params"]
    h = np.maximum(np.asarray(x, np.float64) @ p["Dense_0"]["kernel"] + p["Dense_0"]["bias"], 0)
    h = 1 / (1 + np.exp(-(h @ p["Dense_1"]["kernel"] + p["Dense_1"]["bias"])))
    h = h @ p["Dense_2"]["kernel"] + p["Dense_2"]["bias"]
    return [unit for unit in range(h.shape[1]) if all(row[unit] <= 0 for row in h)]


def check(result, kinds, words=()):
    """What holds of every repair: sick before, healthy after, and the text says what was done."""
    assert isinstance(result, Repair)
    assert result.before.main in kinds and result.after.ok, str(result)
    assert not any(layer.dead > 0 for layer in result.after.layers), str(result)
    assert all(word in str(result) for word in words), str(result)


def test_dead_outputs_wake_up_and_all_else_stays_as_it_was():
    variables = changed(start(Dying(), X), "Dense_2", "bias", lambda b: b - jnp.arange(8.0))
    kept = jax.tree.map(np.array, variables)
    result = jaxact.repair(Dying(), variables, X)
    assert len(always_off(variables, X)) >= 4 and not always_off(result.variables, X)
    check(result, {"dead outputs"}, ["changed: Dense_2: ", "biases moved"])
    assert all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(kept), jax.tree.leaves(variables), strict=True))
    old, new = variables["params"], result.variables["params"]
    assert new["Dense_2"]["kernel"] is old["Dense_2"]["kernel"] and new["Dense_0"]["bias"] is old["Dense_0"]["bias"]
    off = always_off(variables, X)
    assert np.flatnonzero(np.asarray(new["Dense_2"]["bias"] != old["Dense_2"]["bias"])).tolist() == off
    again = jaxact.repair(Dying(), result.variables, X)
    assert again.variables is result.variables and again.changed == () and "changed: nothing." in str(again)


def test_a_healthy_network_comes_back_as_it_is():
    model, variables, x = healthy("mlp")
    result = jaxact.repair(model, variables, x)
    assert result.variables is variables and result.before is result.after and result.after.ok


@pytest.mark.parametrize(("factor", "kind"), [(12.0, "saturated"), (0.01, "vanishing")])
def test_scaled_kernels_give_both_sides_the_same_gradient(factor, kind):
    """Against ‖∂y/∂h‖² from whole Jacobians of the network written out, on the 16 examples that flow looks at."""
    model, variables, x = healthy("mlp")
    result = jaxact.repair(model, changed(variables, None, "kernel", lambda k: k * factor), x)
    check(result, {kind}, ["kernel times"])
    p = [result.variables["params"][f"Dense_{i}"] for i in range(4)]
    phis = [jax.nn.relu, jax.nn.relu, jnp.tanh]

    def rest(h, layer):
        for i in range(layer, 3):
            h = phis[i](h) @ p[i + 1]["kernel"] + p[i + 1]["bias"]
        return h

    h, squares = x[:16] @ p[0]["kernel"] + p[0]["bias"][None], []
    assert float(jnp.sqrt(jnp.mean(jnp.var(h, axis=0)))) == pytest.approx(1, abs=0.02)
    for layer in range(4):
        jacobians = jax.vmap(jax.jacrev(lambda one, layer=layer: rest(one, layer)))(h)
        squares.append(float(jnp.sum(jacobians**2)))
        h = phis[layer](h) @ p[layer + 1]["kernel"] + p[layer + 1]["bias"][None] if layer < 3 else h
    np.testing.assert_allclose(np.array(squares[:-1]) / squares[1:], 1, atol=0.05)


@pytest.mark.slow
def test_what_cannot_be_repaired_is_said():
    no_bias = jaxact.repair(lambda p, x: plain(p, x), hand_made(-9.0), X)
    check(no_bias, {"dead"}, ["mlp/linear_1/w: 16 biases moved"])
    sick = hand_made(None)
    sick["mlp/linear_1"]["w"] = -jnp.abs(sick["mlp/linear_1"]["w"])
    left = jaxact.repair(plain, sick, X)
    assert "mlp/linear_1/w keeps 16 dead units: it has no bias" in str(left), str(left)
    assert left.variables["mlp/linear_1"]["w"] is sick["mlp/linear_1"]["w"] and "left, dead" in str(left)


def test_bad_input_is_one_line():
    variables = start(Dying(), X)
    cases = [
        ((Dying(), variables), "the batch is None"),
        ((Dying(), variables, X[:0]), "at least 1 example"),
        ((Dying(), changed(variables, "Dense_1", "bias", lambda b: b * jnp.nan), X), "params/Dense_1/bias are NaN"),
        ((Dying(), None, X), "variables is None"),
    ]
    for arguments, reason in cases:
        with pytest.raises(ValueError) as error:
            jaxact.repair(*arguments)
        assert reason in str(error.value) and "\n" not in str(error.value), error.value


@pytest.mark.slow
def test_a_convolution_with_batch_norm():
    model, variables, x = healthy("cnn")
    sick = changed(changed(variables, "Conv_1", "bias", lambda b: b - 9), "BatchNorm_0", "bias", lambda b: b - 9)
    check(jaxact.repair(model, sick, x), {"dead"}, ["Conv_0: 4 biases moved", "Conv_1: 8 biases moved"])
    scaled = jaxact.repair(model, changed(sick, "Dense_0", "kernel", lambda k: k * 50), x, scale=True)
    check(scaled, {"dead"}, ["Conv_0 keeps its scale: batch norm follows"])


@pytest.mark.slow
def test_attention_and_layer_norm():
    variables = start(Attending(), X)
    sick = changed(variables, "Dense_2", "bias", lambda b: b - 9)
    result = jaxact.repair(Attending(), sick, X, scale=True)
    check(result, {"dead"}, ["Dense_2: 16 biases moved", "keeps its scale: several paths meet there"])


@pytest.mark.slow
def test_an_nnx_module():
    class Net(nnx.Module):
        def __init__(self, rngs):
            self.first, self.second = nnx.Linear(12, 16, rngs=rngs), nnx.Linear(16, 5, rngs=rngs)

        def __call__(self, x):
            return nnx.relu(self.second(nnx.relu(self.first(x))))

    model = Net(nnx.Rngs(0))
    model.second.bias[...] = model.second.bias[...] - 9.0
    result = jaxact.repair(model, batch=X)
    check(result, {"dead outputs"}, ["second: 5 biases moved"])
    assert not jaxact.diagnose(model, batch=X)
    nnx.update(model, result.variables)
    assert jaxact.diagnose(model, batch=X)


@pytest.mark.slow
def test_tied_weights_are_left_and_said():
    rng = np.random.default_rng(1)
    w = jnp.asarray(rng.normal(size=(12, 12)) * 40, jnp.float32)

    def tied(p, x):
        return jnp.tanh(jnp.tanh(x @ p["w"] + p["b"][None]) @ p["w"] + p["b"][None]) @ p["out"]

    p = {"w": w, "b": jnp.zeros(12), "out": jnp.asarray(rng.normal(size=(12, 5)) / 4, jnp.float32)}
    result = jaxact.repair(tied, p, X)
    assert result.before.main == "saturated" and result.variables["w"] is w
    assert "w keeps its scale: its kernel belongs to other layers too" in str(result), str(result)
