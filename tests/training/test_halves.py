"""Layers of two halves: equal halves are the plain layer exactly, unequal ones NumPy's; probes and ensembles too."""

from dataclasses import replace

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles.numpy_activations import PHIS
from oracles.numpy_network import forward, layers_of, toy

from jaxact import probes, training
from jaxact.config import Config
from jaxact.models import MLP, Activate
from jaxact.theory import prediction
from jaxact.training.ensemble import Ensemble

STUDY = ("relu", "tanh", "sigmoid", "selu")
WIDTHS = (7, 4, 3)
DATA = toy()
X = jnp.asarray(DATA.test_images)
CONFIG = Config(
    activations=("relu+tanh", "sigmoid+sigmoid", "selu+relu"), widths=WIDTHS, batch_size=16, epochs=2, learning_rate=0.1
)
PLAIN, PAIRS = jnp.array([0, 2, 3]), jnp.array([[0, 1], [2, 2], [3, 0]])


@pytest.fixture(scope="module")
def network():
    """(model, jitted apply, variables)."""
    model = MLP(WIDTHS, STUDY)
    variables = jax.jit(model.init)(jax.random.key(0), X[0], PLAIN)
    return model, jax.jit(model.apply), variables


def test_equal_halves_are_the_plain_layer_exactly(network):
    model, apply, variables = network
    twice = jnp.stack([PLAIN, PLAIN], axis=1)
    chex.assert_trees_all_equal(apply(variables, X, twice), apply(variables, X, PLAIN))
    chex.assert_trees_all_equal(jax.jit(model.init)(jax.random.key(0), X[0], twice), variables)


def test_unequal_halves_equal_numpy(network):
    _, apply, variables = network
    logits, hidden = apply(variables, X, PAIRS)
    x = np.asarray(X, float)
    for (kernel, bias), pair, name in zip(
        layers_of(variables["params"]), PAIRS, ("layer1", "layer2", "layer3"), strict=True
    ):
        h = x @ kernel + bias
        np.testing.assert_allclose(hidden[name], h, rtol=1e-4, atol=1e-6)
        split = h.shape[1] // 2  # 3 of 7, 2 of 4, 1 of 3
        first, second = (PHIS[STUDY[i]].f for i in pair)
        x = np.concatenate([first(h[:, :split]), second(h[:, split:])], axis=1)
    np.testing.assert_allclose(logits, x, rtol=1e-4, atol=1e-6)


def test_each_half_learns_a_slope_of_its_own():
    module = Activate(("prelu", "rrelu"))
    which = jnp.array([0, 1])
    variables = module.init(jax.random.key(0), X, which)
    assert variables["params"]["theta"].shape == (2, 1)
    moved = {"params": {"theta": jnp.array([[0.5], [0.5]])}}
    out = module.apply(moved, X, which)
    np.testing.assert_allclose(out[:, :3], np.where(X[:, :3] < 0, 0.5 * X[:, :3], X[:, :3]), rtol=1e-6)
    np.testing.assert_allclose(out[:, 3:], np.where(X[:, 3:] < 0, 11 / 48 * X[:, 3:], X[:, 3:]), rtol=1e-6)
    noisy = [module.apply(variables, X, which, train=True, rngs={"noise": jax.random.key(i)}) for i in (1, 2)]
    np.testing.assert_array_equal(noisy[0][:, :3], noisy[1][:, :3])
    assert not np.array_equal(noisy[0][:, 3:], noisy[1][:, 3:])


def test_probes_know_the_halves(network):
    model, _, variables = network
    probe = jax.jit(probes.make_probe(model))
    arrays = X, jnp.asarray(DATA.train_images), jnp.asarray(DATA.train_labels)
    found = probe(variables, PAIRS, *arrays)
    phis = [PHIS[STUDY[i]] for i in range(4)]
    layers = layers_of(variables["params"])
    (h, _, _), _ = forward(layers, [phis[0]] * 3, X)
    assert float(found.sparsity[0]) == pytest.approx((h[:, :3] <= 0).sum() / h.size)
    slope = np.concatenate([(h[:, :3] > 0).astype(float), 1 - np.tanh(h[:, 3:]) ** 2], axis=1)
    assert float(found.saturated[0]) == pytest.approx((slope < 0.05).mean(), abs=1e-6)
    # Behind (relu, tanh) no bias is low enough to be dead for every input; behind two sigmoids one is.
    bias = variables["params"]["dense3"]["bias"].at[0].set(-50.0)
    sunk = {"params": variables["params"] | {"dense3": variables["params"]["dense3"] | {"bias": bias}}}
    assert probe(sunk, PAIRS, *arrays).certified_dead.tolist() == [0, 0, 1]
    open_end = jnp.array([[0, 1], [0, 2], [3, 0]])  # the relu half of layer 2 is unbounded
    assert (variables["params"]["dense3"]["kernel"][:2, 0] > 0).any()
    assert probe(sunk, open_end, *arrays).certified_dead.tolist() == [0, 0, 0]


@pytest.mark.slow
def test_an_ensemble_trains_them():
    assert training.which_of(CONFIG, STUDY) == PAIRS.tolist()
    machine = Ensemble(CONFIG, STUDY, DATA, size=2, strategy="map", devices=1)
    other = replace(CONFIG, activations=("tanh+tanh", "relu+relu", "selu+selu"))
    history = machine.run([(CONFIG, 0), (other, 0)])
    assert np.isfinite(history.train_loss).all() and not np.array_equal(*history.train_loss)
    plain = replace(CONFIG, activations=("tanh", "relu", "selu"))
    alone = Ensemble(plain, STUDY, DATA, strategy="map", devices=1).run([(plain, 0)])
    for name, values in alone.arrays(0).items():  # two equal halves train as the plain layer does, to the last bit
        np.testing.assert_array_equal(history.arrays(1)[name], values, err_msg=name)
    with pytest.raises(ValueError, match="differ in halves"):
        machine.run([(plain, 0)])


def test_theory_refuses_them():
    with pytest.raises(ValueError, match="layers of two halves have no theory here"):
        prediction.predict(CONFIG, 6, prediction.InputStatistics(1.0, 0.3), 100)
