"""What `diagnose` takes: bad input is named, hints, plain functions and NNX models are understood."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles.foreign_networks import EXAMPLES, LABELS, batch, healthy

import jaxact
from jaxact.diagnosis import units
from jaxact.diagnosis.adapters import form_of, traced


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch": jnp.zeros((0, 8, 8, 1))}, "shape .0, 8, 8, 1.: give .* at least 1 example"),
        ({"batch": jnp.full((4, 8, 8, 1), jnp.nan)}, "256 of the 256 entries of the batch are NaN"),
        ({"labels": LABELS[:-1]}, "labels have shape .47,., the batch 48 examples"),
        ({"labels": LABELS * 1.0}, "dtype float32: give class numbers"),
        ({"labels": LABELS + 2}, "labels run from 2 to 6, the network has classes 0 to 4"),
        ({"activations": {"Conv_7": "relu"}}, "layer 'Conv_7'"),
        ({"activations": {"Conv_1": "rellu"}}, "rellu.*relu"),
        ({"apply_fn": lambda variables, x: x.mean()}, "returned .. for a batch of 48"),
        ({"apply_fn": lambda variables, x: x * 2}, "no layer was found"),
        ({"apply_fn": 3}, "apply_fn is a int"),
    ],
)
def test_bad_input_is_named(change, message):
    model, variables, x = healthy()
    arguments = {"apply_fn": model.apply, "variables": variables, "batch": x} | change
    with pytest.raises(ValueError, match=message):
        jaxact.diagnose(**arguments)


@pytest.mark.parametrize("examples", [1, EXAMPLES])
def test_batch_norm_in_training_mode_is_refused(examples):
    model, variables, x = healthy()

    def training(variables, x):
        return model.apply(variables, x, train=True, mutable=["batch_stats"])

    with pytest.raises(ValueError, match="changes with the others in its batch .*train=False"):
        jaxact.diagnose(training, variables, x[:examples])


@pytest.mark.slow
def test_hints_plain_functions_and_a_batch_of_one():
    """A hint replaces the activation in the trace; parameters may be any pytree; one example tells little."""
    rng = np.random.default_rng(0)
    weights = [jnp.asarray(rng.normal(size=shape) * 0.3, jnp.float32) for shape in ((10, 24), (24, 24), (24, 3))]

    def network(weights, x):
        hidden = jax.nn.softmax(jnp.tanh(x @ weights[0]) @ weights[1])
        return hidden @ weights[2]

    found = jaxact.diagnose(jax.jit(network), weights, batch(10), activations={"0": "relu"})
    assert [layer.activation for layer in found.layers] == ["relu", "?", "linear"]
    first = batch(10) @ weights[0]
    assert found.layers[0].sparsity == pytest.approx(float((first <= 0).mean()), rel=1e-6)
    assert found.layers[1].dead == 0 and math.isnan(found.layers[1].saturated)
    assert found.layers[0].saturated == found.layers[0].sparsity
    one = jaxact.diagnose(network, weights, batch(10)[:1])
    assert one.main == "healthy" and "with 1 examples" in one.notes[0]


@pytest.mark.slow
def test_nnx_models_are_diagnosed_through_their_state():
    from flax import nnx

    class Net(nnx.Module):
        def __init__(self, rngs):
            self.first, self.norm = nnx.Linear(20, 32, rngs=rngs), nnx.BatchNorm(32, rngs=rngs)
            self.second = nnx.Linear(32, 5, rngs=rngs)

        def __call__(self, x):
            return self.second(jax.nn.gelu(self.norm(self.first(x))))

    model = Net(nnx.Rngs(0))
    model.eval()
    model.second.kernel[...] = model.second.kernel[...] * 1000
    graphdef, state = nnx.split(model)
    found = jaxact.diagnose(lambda state, x: nnx.merge(graphdef, state)(x), state, batch(20), LABELS)
    assert [(layer.name, layer.activation) for layer in found.layers] == [
        ("first", "gelu"),
        ("second", "linear"),
    ]
    assert found.main == "exploding" and found.verdicts[0].layer == "first"


def test_slopes_are_searched_and_saturation_is_counted_against_the_largest():
    rng = np.random.default_rng(0)
    weights = [jnp.asarray(rng.normal(size=shape) * 2, jnp.float32) for shape in ((10, 6), (6, 6), (6, 3))]

    def network(weights, x):
        hidden = jax.nn.sigmoid(x @ weights[0]) @ weights[1]
        return jnp.maximum(hidden, 0) ** 2 @ weights[2]

    form, leaves = form_of(weights, batch(10))
    subject = traced(network, form, {}).subject
    known = jax.jit(partial(units.slopes, subject))(leaves, batch(10))
    assert known[0].steepest == pytest.approx(0.25, rel=1e-6)
    flags = [(bool(slopes.saturates), bool(slopes.growing)) for slopes in known]
    assert flags == [(True, False), (False, True), (False, False)]
    first, *_ = jax.jit(partial(units.unit_health, subject, chunk=20))(leaves, batch(10), known)
    h = np.asarray(batch(10) @ weights[0], np.float64)
    slope = 1 / (2 + np.exp(h) + np.exp(-h))
    assert 0.1 < (slope < 0.05 * 0.25).mean() < 0.9
    np.testing.assert_allclose(first.state.saturated, (slope < 0.05 * 0.25).mean(), rtol=1e-6)
