"""PyTorch's optimisers against independent NumPy code over several steps, in float64."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxact import config
from jaxact.training import optimizers

RATE, STEPS = 0.01, 7
START = np.array([0.5, -2.0, 3.0, 0.0])
GRADIENTS = np.random.default_rng(0).normal(size=(STEPS, 4)) * [1, 1e-3, 1e3, 1]
GRADIENTS[:, 3] = [0, 0, 1, 0, -1e-9, 0, 2]  # a parameter without a gradient at first


def ours(name, momentum=0.0):
    """Parameters after every step."""
    with jax.enable_x64(True):
        optimizer = optimizers.make(name, RATE, momentum)
        params = jnp.asarray(START)
        state, found = optimizer.init(params), []
        for gradient in GRADIENTS:
            updates, state = optimizer.update(jnp.asarray(gradient), state, params)
            params = params + updates
            found.append(params)
        chex.assert_type(params, jnp.float64)
        return np.stack(found)


def sgd(momentum):
    w, v = START.copy(), 0
    for g in GRADIENTS:
        v = momentum * v + g
        w = w - RATE * v
        yield w


def rmsprop(momentum):
    w, s, b = START.copy(), 0, 0
    for g in GRADIENTS:
        s = 0.99 * s + 0.01 * g**2
        step = g / (np.sqrt(s) + 1e-8)
        b = momentum * b + step
        w = w - RATE * b
        yield w


def adagrad(_):
    w, s = START.copy(), 0
    for g in GRADIENTS:
        s = s + g**2
        w = w - RATE * g / (np.sqrt(s) + 1e-10)
        yield w


def adadelta(_):
    w, s, u = START.copy(), 0, 0
    for g in GRADIENTS:
        s = 0.9 * s + 0.1 * g**2
        delta = np.sqrt(u + 1e-6) / np.sqrt(s + 1e-6) * g
        u = 0.9 * u + 0.1 * delta**2
        w = w - RATE * delta
        yield w


@pytest.mark.parametrize(
    ("name", "reference", "momentum"),
    [
        ("sgd", sgd, 0.0),
        ("sgd", sgd, 0.5),
        ("torch_rmsprop", rmsprop, 0.0),
        ("torch_rmsprop", rmsprop, 0.5),
        ("torch_adagrad", adagrad, 0.0),
        ("torch_adadelta", adadelta, 0.0),
    ],
)
def test_steps_equal_numpy(name, reference, momentum):
    np.testing.assert_allclose(ours(name, momentum), np.stack(list(reference(momentum))), rtol=1e-12)


@pytest.mark.parametrize("name", ["rmsprop", "adagrad"])
def test_optax_itself_differs(name):
    assert np.abs(ours(name) - ours(f"torch_{name}")).max() > 1e-3


def test_every_name_is_made_and_listed():
    for name in config.TORCH_OPTIMIZERS:
        assert optimizers.make(name, 0.1).init(jnp.zeros(2)) is not None
        assert config.Config(activations=("relu",), widths=(3,), optimizer=name, momentum=0.0).optimizer == name
    with pytest.raises(ValueError, match="did you mean 'torch_adagrad'"):
        config.Config(activations=("relu",), widths=(3,), optimizer="torch_adagard", momentum=0.0)
