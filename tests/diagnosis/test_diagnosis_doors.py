"""Whatever a user hands over, `diagnose` measures the same network: against plain NumPy in float64."""

import dataclasses
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from flax.training.train_state import TrainState
from oracles.foreign_networks import CASES, EXAMPLES, LABELS, TwoLayers, batch, changed, healthy, start, two_layers

import jaxact
from jaxact.diagnosis.instances import opened

X, WEIGHTS = batch(7), two_layers()
PARAMS = {"Dense_0": dict(WEIGHTS[0]), "Dense_1": dict(WEIGHTS[1])}


def by_numpy(x, weights=WEIGHTS):
    """Share of negative pre-activations by layer, singular values (medians over 8 examples) and the mean loss."""
    (w, b), (v, c) = ([np.asarray(layer[part], np.float64) for part in ("kernel", "bias")] for layer in weights)
    h = np.asarray(x, np.float64) @ w + b
    logits = np.maximum(h, 0) @ v + c
    values = [np.linalg.svd((w * (row > 0)) @ v, compute_uv=False) for row in h[:8]]
    loss = np.log(np.exp(logits).sum(1)) - logits[np.arange(len(h)), np.asarray(LABELS)[: len(h)]]
    return [(h < 0).mean(), (logits < 0).mean()], np.median(values, axis=0), loss.mean()


def check(found, x=X):
    negative, values, loss = by_numpy(x)
    np.testing.assert_allclose([layer.negative for layer in found.layers], negative, rtol=1e-6)
    np.testing.assert_allclose(found.singular_values, values, rtol=1e-4, atol=1e-6)  # a dead unit leaves zeros
    np.testing.assert_allclose(found.loss, loss, rtol=1e-5)
    assert [layer.activation for layer in found.layers] == ["relu", "linear"] and found.main == "healthy"


class Nnx(nnx.Module):
    """The same two layers, with a dropout that is on until `eval()`."""

    def __init__(self):
        rngs = nnx.Rngs(0)
        self.a, self.b = nnx.Linear(7, 6, rngs=rngs), nnx.Linear(6, 5, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)
        for layer, weights in zip((self.a, self.b), WEIGHTS, strict=True):
            layer.kernel[...], layer.bias[...] = weights["kernel"], weights["bias"]

    def __call__(self, x):
        return self.b(self.drop(nnx.relu(self.a(x))))


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class Affine:
    """As in Equinox: a callable pytree that takes one example."""

    weight: jax.Array
    bias: jax.Array

    def __call__(self, x):
        return self.weight @ x + self.bias


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class OfOne:
    first: Affine
    last: Affine
    phi: Callable[[jax.Array], jax.Array]

    def __call__(self, x):
        return self.last(self.phi(self.first(x)))


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class OfBatch:
    params: dict

    def __call__(self, x):
        return TwoLayers().apply({"params": self.params}, x)


def state_of(**more):
    return TrainState.create(apply_fn=TwoLayers().apply, params=PARAMS, tx=optax.sgd(0.1), **more)


def of_one():
    return OfOne(*(Affine(layer["kernel"].T, layer["bias"]) for layer in WEIGHTS), phi=jax.nn.relu)


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(Nnx, id="an NNX module"),
        pytest.param(state_of, id="a train state"),
        pytest.param(lambda: TwoLayers().bind({"params": PARAMS}), id="a bound module"),
        pytest.param(of_one, id="a callable pytree of one example"),
        pytest.param(lambda: OfBatch(PARAMS), id="a callable pytree of a batch"),
    ],
)
def test_a_model_that_brings_its_variables(model):
    check(jaxact.diagnose(model(), batch=X, labels=LABELS))


def test_a_pytree_of_one_example_is_not_taken_for_one_of_a_batch_of_that_size():
    """weight @ x accepts a batch of as many examples as features, 7, and gives nonsense."""
    check(jaxact.diagnose(of_one(), None, X[:7], LABELS[:7]), X[:7])


@pytest.mark.parametrize("variables", [PARAMS, state_of()], ids=["bare params", "a train state"])
def test_variables_without_their_collection(variables):
    check(jaxact.diagnose(TwoLayers().apply, variables, X, LABELS))


def test_a_train_state_with_statistics_of_batches():
    class State(TrainState):
        batch_stats: dict

    model, variables, x = healthy()
    parts = {"params": variables["params"], "batch_stats": variables["batch_stats"]}
    state = State.create(apply_fn=model.apply, tx=optax.sgd(0.1), **parts)
    apply_fn, own = opened(state, None, x)
    assert jax.tree.structure(own) == jax.tree.structure(variables)
    np.testing.assert_array_equal(apply_fn(own, x[:2]), model.apply(variables, x[:2]))


def test_an_nnx_module_stays_in_its_mode_and_is_compiled_once():
    class Counted(Nnx):
        calls = 0

        def __call__(self, x):
            Counted.calls += 1
            return super().__call__(x)

    model = Counted()
    first = jaxact.diagnose(model, batch=X)
    traced = Counted.calls
    model.b.kernel[...] = 0 * model.b.kernel[...]
    second = jaxact.diagnose(model, batch=X)
    assert not model.drop.deterministic and traced == Counted.calls > 0
    assert first.layers[0].gain > 0 == second.layers[0].gain


MASK = np.ones(EXAMPLES, np.int32)


@pytest.mark.parametrize(
    "inputs", [{"a": X[:, :2], "b": X[:, 2:], "mask": MASK}, (X[:, :2], X[:, 2:], MASK)], ids=["dict", "tuple"]
)
def test_several_inputs_go_to_the_network_as_they_are(inputs):
    def network(params, inputs):
        left, right, mask = inputs.values() if isinstance(inputs, dict) else inputs
        return TwoLayers().apply({"params": params}, jnp.concatenate([left, right], 1) * mask[:, None])

    check(jaxact.diagnose(network, PARAMS, inputs, LABELS))


def test_examples_that_are_all_alike_in_every_input_are_constant():
    def network(params, inputs):
        return TwoLayers().apply({"params": params}, inputs[0] + inputs[1])

    ones = jnp.ones_like(X)
    assert jaxact.diagnose(network, PARAMS, (ones, X)).main == "healthy"
    assert jaxact.diagnose(network, PARAMS, (ones, ones)).main == "constant inputs"


def embedded(variables, tokens):
    return TwoLayers().apply({"params": variables["params"]}, variables["table"][tokens].mean(1))


def test_tokens_have_no_derivative_and_all_else_is_measured():
    rng = np.random.default_rng(1)
    tokens = rng.integers(0, 11, (EXAMPLES, 4))
    variables = {"params": PARAMS, "table": jnp.asarray(rng.normal(size=(11, 7)), jnp.float32)}
    found = jaxact.diagnose(embedded, variables, tokens, LABELS)
    negative, _, loss = by_numpy(np.asarray(variables["table"], np.float64)[tokens].mean(1))
    np.testing.assert_allclose([layer.negative for layer in found.layers], negative, rtol=1e-6)
    np.testing.assert_allclose(found.loss, loss, rtol=1e-5)
    assert found.notes == ("inputs of int32 have no derivative: d output/d input was left out",)
    assert found.singular_values == () and found.layers[0].gain > 0 < found.layers[0].kernel_gradient


@pytest.mark.parametrize("dtype", [np.uint8, bool])
def test_whole_numbers_are_converted_as_the_network_does_it(dtype):
    whole = np.random.default_rng(2).integers(0, 2, (EXAMPLES, 7)).astype(dtype)
    found = jaxact.diagnose(TwoLayers().apply, {"params": PARAMS}, whole, LABELS)
    negative, _, loss = by_numpy(whole)
    np.testing.assert_allclose([layer.negative for layer in found.layers], negative, rtol=1e-6)
    np.testing.assert_allclose(found.loss, loss, rtol=1e-5)
    assert f"inputs of {np.dtype(dtype)} have no derivative" in str(found)


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_parameters_and_batches_of_half_width(dtype):
    """Compared with the exact values for the rounded weights and inputs; outputs carry the rounding of the type."""
    narrow = jax.tree.map(lambda leaf: leaf.astype(dtype), PARAMS)
    found = jaxact.diagnose(TwoLayers().apply, {"params": narrow}, X.astype(dtype))
    _, values, _ = by_numpy(X.astype(dtype), (narrow["Dense_0"], narrow["Dense_1"]))
    error = 30 * float(jnp.finfo(dtype).eps)
    np.testing.assert_allclose(found.singular_values, values, rtol=error, atol=error)
    assert found.main == "healthy"


class Squeezing(nn.Module):
    """Drops every axis of one entry, so that of a single example too, or only those that it should."""

    everything: bool

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(4, (8, 8), padding="VALID")(x))
        x = x.squeeze() if self.everything else x[:, 0, 0]
        x = nn.tanh(nn.Dense(6)(x))
        x = nn.Dense(1)(x)
        return nn.sigmoid(x.squeeze() if self.everything else x.squeeze(-1))


@pytest.mark.slow
def test_a_squeeze_that_also_drops_the_axis_of_a_single_example():
    x = CASES["cnn"][1]
    careful, careless = Squeezing(False), Squeezing(True)
    variables = changed(start(careful, x), "Dense_1", "bias", lambda bias: bias + 30)  # where a sigmoid is flat
    wanted, found = (jaxact.diagnose(model.apply, variables, x) for model in (careful, careless))
    assert found == wanted and found.main == "saturated" and found.verdicts[0].layer == "Dense_1"


def test_a_single_example_of_a_squeezing_network():
    found = jaxact.diagnose(lambda w, x: (x @ w).squeeze(), jnp.ones((7, 1)), X[:1])
    assert found.singular_values == pytest.approx([7**0.5], rel=1e-6)
