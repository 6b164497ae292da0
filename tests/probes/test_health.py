"""Unit states against NumPy, thresholds, dead and broken units, feature maps, classes never predicted."""

import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles.numpy_activations import PHIS
from oracles.numpy_network import forward, layers_of, toy

from jaxact.models import MLP
from jaxact.probes import (
    SATURATION_SHARE,
    count_units,
    layer_health,
    mlp_network,
    mlp_nonlinearities,
    network_health,
    nonlinearity,
)

STUDY = ("relu", "tanh", "sigmoid", "selu")
SUPREMUM = {"relu": 1.0, "tanh": 1.0, "sigmoid": 0.25, "selu": 1.0507009873554805 * 1.6732632423543772}
MODEL = MLP((7, 5, 3), ("relu", "tanh"))
DATA = toy()
IMAGES = jnp.asarray(DATA.train_images)


def health(h, name="relu", **options):
    return layer_health(count_units(jnp.asarray(h, jnp.float32), nonlinearity(name), **options))


@pytest.mark.parametrize("name", STUDY)
def test_shares_and_flags_of_a_layer_equal_numpy(name):
    h = np.random.default_rng(0).normal(size=(200, 6)) * [0.1, 1, 2, 4, 4, 8] - [0, 0, 0, 0, 9, 40]
    found, phi = health(h, name), PHIS[name]
    slope = np.abs(phi.df(h))
    assert float(found.negative) == pytest.approx((h < 0).mean())
    assert float(found.saturated) == pytest.approx((slope < SATURATION_SHARE * SUPREMUM[name]).mean())
    assert float(found.broken) == 0
    np.testing.assert_array_equal(found.never_positive, (h <= 0).all(0))
    if name == "relu":
        assert float(found.sparsity) == pytest.approx((h <= 0).mean())
        np.testing.assert_allclose(found.active, (h > 0).mean(0), rtol=1e-6)
        np.testing.assert_array_equal(found.dead, (h <= 0).all(0))
        assert bool(found.dead[5]) and not bool(found.dead[0])


@pytest.mark.parametrize(("name", "threshold"), [("tanh", 2.1783), ("sigmoid", 4.3565)])
def test_the_stated_thresholds_of_saturation(name, threshold):
    # 1 − tanh² = 0.05 at artanh √0.95; σ' = (1 − tanh²(h/2))/4 at twice that.
    assert threshold == pytest.approx(math.atanh(math.sqrt(0.95)) * (1 if name == "tanh" else 2), abs=5e-5)
    h = threshold + np.array([[-1e-3], [1e-3]])
    for sign in (1, -1):
        assert float(health(sign * h, name).saturated) == 0.5
        assert float(health(sign * h[:1], name).saturated) == 0
    assert float(health(h, name, share=0.01).saturated) == 0


def test_dead_nearly_dead_and_alive_units():
    h = -np.ones((1000, 4))
    h[:10, 1], h[:11, 2], h[:, 3] = 1, 1, 0
    found = health(h)
    assert found.dead.tolist() == [True, False, False, True]  # ReLU's slope at 0 is 0
    assert found.nearly_dead.tolist() == [False, True, False, False]
    assert found.never_positive.tolist() == [True, False, False, True]
    np.testing.assert_allclose(found.active, [0, 0.01, 0.011, 0], rtol=1e-6)
    counts = count_units(jnp.asarray(h, jnp.float32), nonlinearity("relu"))
    assert layer_health(counts, nearly=0.0).nearly_dead.tolist() == [False] * 4
    assert layer_health(counts, nearly=0.011).nearly_dead.tolist() == [False, True, True, False]


@pytest.mark.parametrize("name", ["leaky_relu", "elu", "tanh", "sigmoid", "identity"])
def test_a_unit_that_is_never_positive_is_not_dead_unless_its_slope_is_zero(name):
    found = health(-np.ones((5, 2)), name)
    assert found.never_positive.all() and not found.dead.any() and not found.nearly_dead.any()


def test_relu6_is_dead_on_the_right_as_well():
    found = health([[7.0, 3.0], [9.0, 7.0]], "relu6")
    assert found.dead.tolist() == [True, False] and not found.never_positive.any()


def test_broken_pre_activations_are_counted_and_nothing_else():
    found = health([[np.nan, np.nan, -np.inf], [np.nan, -1, -1]])
    assert float(found.broken) == pytest.approx(4 / 6)
    assert not found.dead.any() and not found.never_positive.any()
    assert found.nearly_dead.tolist() == [False, True, True]
    assert float(found.sparsity) == pytest.approx(2 / 6)


def test_a_unit_of_a_feature_map_is_a_channel():
    h = np.random.default_rng(0).normal(size=(5, 4, 3, 2)) - [0, 10]
    found = health(h)
    assert found.dead.tolist() == [False, True]
    assert float(found.active[0]) == pytest.approx((h[..., 0] > 0).mean())


@pytest.mark.parametrize("share", [0, 1, math.nan])
def test_shares_out_of_range_are_refused(share):
    with pytest.raises(ValueError, match="saturation share must be above 0 and below 1"):
        health(np.ones((2, 2)), share=float(share))
    if share:
        with pytest.raises(ValueError, match="nearly-dead share must be at least 0 and below 1"):
            layer_health(count_units(jnp.ones((2, 2)), nonlinearity("relu")), nearly=float(share))


@jax.jit
def variables_of(seed):
    return MODEL.init(jax.random.key(seed), jnp.zeros(6), jnp.zeros(3, int))


def examine(variables, which, images=IMAGES, chunk=1000):
    phis = mlp_nonlinearities(MODEL, variables, which)
    return network_health(mlp_network(MODEL, variables, which), phis, images, chunk=chunk)


examined = jax.jit(examine, static_argnames="chunk")


@pytest.mark.parametrize("chunk", [7, 1000])
def test_a_network_against_numpy_whatever_the_chunks(chunk):
    variables, which = variables_of(1), (0, 1, 0)
    found = examined(variables, jnp.array(which), chunk=chunk)
    phis = [PHIS[MODEL.choices[i]] for i in which]
    hidden, outputs = forward(layers_of(variables["params"]), phis, DATA.train_images)
    for i, (h, phi) in enumerate(zip(hidden, phis, strict=True), start=1):
        layer, name = found.layers[f"layer{i}"], MODEL.choices[which[i - 1]]
        assert float(layer.negative) == pytest.approx((h < 0).mean(), rel=1e-6)
        assert float(layer.saturated) == pytest.approx((np.abs(phi.df(h)) < 0.05 * SUPREMUM[name]).mean(), rel=1e-6)
        np.testing.assert_array_equal(layer.never_positive, (h <= 0).all(0))
    np.testing.assert_array_equal(found.predicted, np.bincount(outputs[-1].argmax(1), minlength=3))
    np.testing.assert_array_equal(found.never_predicted, np.asarray(found.predicted) == 0)


def test_eager_jitted_vmapped_and_mapped_agree():
    model, which = MLP((4, 3), ("relu",)), jnp.zeros(2, int)  # without a switch, which is slow to run eagerly

    def examine(variables):
        phis = mlp_nonlinearities(model, variables, which)
        return network_health(mlp_network(model, variables, which), phis, IMAGES, chunk=15)

    keys = jax.random.split(jax.random.key(0), 3)
    stacked = jax.jit(jax.vmap(lambda key: model.init(key, IMAGES[0], which)))(keys)
    last = jax.tree.map(lambda leaf: leaf[2], stacked)
    alone = jax.jit(examine)(last)
    chex.assert_trees_all_close(examine(last), alone, rtol=1e-6)
    for together in (jax.vmap(examine), lambda seeds: jax.lax.map(examine, seeds)):
        found = jax.tree.map(lambda leaf: leaf[2], jax.jit(together)(stacked))
        chex.assert_trees_all_close(found, alone, rtol=1e-6)


def output_layer(kernel, bias):
    """Logits ReLU(x·kernel + bias) of one feature."""
    model = MLP((len(bias),), ("relu",))
    variables = {"params": {"dense1": {"kernel": jnp.array([kernel]), "bias": jnp.array(bias)}}}
    which = jnp.zeros(1, int)
    return mlp_network(model, variables, which), mlp_nonlinearities(model, variables, which)


def test_a_dead_class_can_be_predicted_and_a_live_one_never():
    # Class 0 is dead; class 1 is alive but below class 2 wherever it is above 0; at x = −1 all are 0 and class 0 wins.
    network, phis = output_layer([0.0, 1.0, 2.0], [-1.0, 0.0, 0.0])
    found = network_health(network, phis, jnp.array([[-1.0], [1.0], [2.0]]))
    assert found.dead_classes.tolist() == [True, False, False]
    assert found.predicted.tolist() == [1, 0, 2]
    assert found.never_predicted.tolist() == [False, True, False]


def test_a_wholly_dead_output_predicts_class_0():
    network, phis = output_layer([0.0] * 10, [-0.1] * 10)
    found = network_health(network, phis, jnp.ones((25, 1)), chunk=10)
    assert found.dead_classes.all() and found.predicted.tolist() == [25, *[0] * 9]
    assert float(found.layers["layer1"].sparsity) == 1


def test_layers_that_are_not_named_are_left_out_and_wrong_names_refused():
    variables, which = variables_of(0), jnp.zeros(3, int)
    network, phis = mlp_network(MODEL, variables, which), mlp_nonlinearities(MODEL, variables, which)
    only = jax.eval_shape(lambda images: network_health(network, {"layer3": phis["layer3"]}, images), IMAGES)
    assert list(only.layers) == ["layer3"]
    with pytest.raises(ValueError, match="unknown layer 'layer7'.*known: layer1"):
        network_health(network, phis | {"layer7": phis["layer1"]}, IMAGES)
    with pytest.raises(ValueError, match="no activation is given for the output layer 'layer3'"):
        network_health(network, {"layer1": phis["layer1"]}, IMAGES)
    with pytest.raises(ValueError, match="0 examples"):
        network_health(network, phis, IMAGES[:0])


def test_nan_parameters_give_a_defined_result():
    broken = jax.tree.map(lambda leaf: leaf * jnp.nan, variables_of(0))
    found = examined(broken, jnp.zeros(3, int))
    assert all(float(layer.broken) == 1 and not layer.dead.any() for layer in found.layers.values())
    assert found.predicted.tolist() == [40, 0, 0]
