"""Blocks of steps against the ordinary steps, against NumPy in float64, and where they are used."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles.numpy_activations import PHIS
from oracles.numpy_network import at_rest, layers_of, toy, train_epoch

from jaxact import training
from jaxact.config import Config
from jaxact.training import lowrank
from jaxact.training.lowrank import Blocks, HeavyBall

WIDE = toy(train=230, test=20, features=400)
CONFIG = Config(activations=("relu", "sigmoid", "selu"), widths=(7, 5, 3), batch_size=2, learning_rate=0.05)


def epochs(config, number=2, dtype="float32"):
    """The state after some epochs, and the infos."""
    program, which = training.make_program(config, config.activations), jnp.arange(3)
    images, labels = jnp.asarray(WIDE.train_images, dtype), jnp.asarray(WIDE.train_labels)
    state = program.initialise(jnp.array(3), which, images[0])
    state = jax.tree.map(lambda leaf: leaf.astype(dtype) if leaf.dtype == jnp.float32 else leaf, state)
    run, infos = jax.jit(program.epoch), []
    for epoch in range(number):
        state, info = run(state, jnp.array(3), which, jnp.array(epoch), images, labels)
        infos.append(info)
    return state, infos


def in_blocks(config, bits=24):
    """The number of steps that an epoch takes in blocks."""
    return HeavyBall(0.05, config.momentum, bits).steps(config.batch_size, 400, 230 // config.batch_size)


@pytest.mark.parametrize(
    ("changes", "steps"),
    [
        ({}, 106),  # of 115: two blocks of 53, then 9 ordinary steps
        ({"momentum": 0.0}, 106),
        pytest.param({"momentum": 0.25}, 108, marks=pytest.mark.slow),  # blocks of 27
        pytest.param({"batch_size": 1}, 212, marks=pytest.mark.slow),
        ({"batch_norm": (1, 3)}, 106),
        ({"activations": ("rrelu", "prelu", "relu")}, 106),  # noise, learnable slopes
    ],
)
def test_blocks_equal_ordinary_steps(monkeypatch, changes, steps):
    """In float64, where only the velocity from more than k steps ago, 2⁻⁵³ of itself, is missing."""
    config, taken = replace(CONFIG, **changes), []
    monkeypatch.setattr(lowrank, "PAYS", 2)  # blocks of 53 steps are too many for 400 features
    run = Blocks.run
    monkeypatch.setattr(Blocks, "run", lambda self, *a: taken.append(len(a[4])) or run(self, *a))
    assert in_blocks(config, 53) == steps
    with jax.enable_x64(True):
        ours = epochs(config, dtype="float64")
        monkeypatch.setattr(lowrank, "PAYS", 10**9)
        theirs = epochs(config, dtype="float64")
    assert taken == [steps]  # traced once, for ours
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    rtol, atol = (1e-6, 1e-8) if config.batch_norm else (1e-11, 1e-13)  # two examples nearly alike amplify rounding
    for found, wanted in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=rtol, atol=atol)


@pytest.mark.parametrize(("dtype", "block"), [("bfloat16", 8), ("float16", 11), ("float32", 24), ("float64", 53)])
def test_blocks_are_as_long_as_the_significand(dtype, block):
    """With momentum 1/2 one step per bit: IEEE 754 and bfloat16 have 11, 24, 53 and 8, the implied one included."""
    blocks = Blocks(lambda *_: None, training.make_optimizer(CONFIG), HeavyBall(0.05, 0.5))
    with jax.enable_x64(True):
        kernel = jnp.zeros((4096, 2), dtype)
    state = training.TrainState({"dense1": {"kernel": kernel}}, {}, ())
    assert blocks.steps(state, 2, 1000) == 1000 // block * block


def test_two_epochs_equal_numpy_in_float64():
    state, infos = epochs(CONFIG)
    program = training.make_program(CONFIG, CONFIG.activations)
    start = program.initialise(jnp.array(3), jnp.arange(3), jnp.asarray(WIDE.train_images[0]))
    layers, phis = layers_of(start.params), [PHIS[name] for name in CONFIG.activations]
    velocities, scores = at_rest(layers), []
    for epoch in range(2):
        key = training.seed_key(3, training.SHUFFLE, epoch)
        batches = np.split(np.asarray(jax.random.permutation(key, 230)), 115)
        images, labels = WIDE.train_images.astype(float), WIDE.train_labels
        layers, velocities, *score = train_epoch(layers, velocities, phis, images, labels, batches, 0.05, 0.5)
        scores.append(score)
    np.testing.assert_allclose(np.array(infos), scores, rtol=1e-5)
    for ours, theirs in zip(layers_of(state.params), layers, strict=True):
        np.testing.assert_allclose(ours[0], theirs[0], rtol=2e-5, atol=2e-6)
    trace = layers_of(state.opt_state[0].trace)
    for ours, theirs in zip(trace, velocities, strict=True):
        np.testing.assert_allclose(ours[0], theirs[0], rtol=2e-5, atol=2e-6)


def test_members_of_an_ensemble_agree_alone_and_in_company():
    from jaxact.training.ensemble import train_seeds

    small = WIDE._replace(train_images=WIDE.train_images[:60], train_labels=WIDE.train_labels[:60])
    config = replace(CONFIG, epochs=1)
    alone, company = (train_seeds(config, small, [5, 6], strategy=strategy) for strategy in ("map", "vmap"))
    np.testing.assert_allclose(alone.train_loss, company.train_loss, rtol=2e-6)
    np.testing.assert_array_equal(alone.test_correct, company.test_correct)


@pytest.mark.parametrize("bits", [24, 53])
@pytest.mark.parametrize("momentum", [0.0, 0.25, 0.5, 0.9])
def test_weights_are_what_a_unit_gradient_leaves(momentum, bits):
    """Against the recursion of the heavy ball: how far W has moved at step t for a gradient of 1 at step i."""
    heavy = HeavyBall(0.1, momentum, bits)
    k, found = heavy.block, heavy.weights()
    assert found.shape == (k, 2 * k) and (not momentum or momentum**k < 2**-bits * 1.0001)
    for i in range(-k, k):
        w = v = u = 0.0
        for t in range(-k, k):
            if t == 0:
                u = w - heavy.total * momentum * v
            if t >= 0:
                start = u if i < 0 else 0.0
                assert found[t, k + i] + start == pytest.approx(w, abs=1e-12)
            v = momentum * v + (t == i)
            w -= 0.1 * v


def test_where_blocks_are_used():
    assert in_blocks(replace(CONFIG, batch_size=3)) == 0  # 24 · 3 rows · 8 > 400 features
    assert in_blocks(replace(CONFIG, momentum=0.9)) == 0  # blocks of 158 steps
    study = HeavyBall(0.01, 0.5)
    assert study.steps(4, 3072, 12_500) == 12_480 and study.steps(4, 3072, 20) == 0  # CIFAR-10; less than a block
    assert study.steps(32, 784, 1875) == 0  # MNIST


@pytest.mark.parametrize("other", [{"optimizer": "adam", "momentum": 0.0}, {"optimizer": "torch_rmsprop"}])
def test_other_optimisers_take_ordinary_steps(monkeypatch, other):
    monkeypatch.setattr(Blocks, "run", lambda *_: pytest.fail("in blocks"))
    config = replace(CONFIG, **other)
    state, _ = epochs(config, number=1)
    assert in_blocks(CONFIG)
    assert np.isfinite(state.params["dense1"]["kernel"]).all()
