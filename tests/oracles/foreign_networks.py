"""Networks that jaxact did not write, their batches and their variables."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

EXAMPLES = 48


class CNN(nn.Module):
    """Batch norm, both poolings, a tanh layer behind the convolutions."""

    @nn.compact
    def __call__(self, x, train=False):
        x = nn.relu(nn.BatchNorm(use_running_average=not train)(nn.Conv(4, (3, 3))(x)))
        x = nn.max_pool(x, (2, 2), strides=(2, 2))
        x = nn.relu(nn.Conv(8, (3, 3))(x))
        x = nn.avg_pool(x, (2, 2), strides=(2, 2)).reshape(x.shape[0], -1)
        x = nn.tanh(nn.Dense(16)(x))
        return nn.Dense(5)(x)


class Plain(nn.Module):
    """Three hidden layers: ReLU, ReLU, tanh."""

    @nn.compact
    def __call__(self, x):
        for phi in (nn.relu, nn.relu, nn.tanh):
            x = phi(nn.Dense(32)(x))
        return nn.Dense(5)(x)


class TwoLayers(nn.Module):
    """7 inputs, 6 ReLU units, 5 outputs."""

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Dense(6)(x))
        return nn.Dense(5)(x)


class Residual(nn.Module):
    """Two pre-activation blocks with layer norm, and one ReLU after a sum."""

    @nn.compact
    def __call__(self, x):
        x = nn.Dense(24)(x)
        for _ in range(2):
            x = x + nn.Dense(24)(nn.relu(nn.Dense(24)(nn.LayerNorm()(x))))
        x = nn.relu(x + nn.Dense(24)(x))
        return nn.Dense(5)(x)


def batch(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=(EXAMPLES, *shape)), jnp.float32)


def start(model, x, seed=0, gain=2.0):
    """Kernels N(0, gain/fan-in), drawn by NumPy, which compiles nothing; everything else as the model starts it."""
    rng = np.random.default_rng(seed)

    def fill(path, leaf):
        last = path[-1].key
        if last == "kernel":
            return jnp.asarray(rng.normal(size=leaf.shape) * (gain / math.prod(leaf.shape[:-1])) ** 0.5, leaf.dtype)
        return (jnp.ones if last in ("scale", "var") else jnp.zeros)(leaf.shape, leaf.dtype)

    return jax.tree_util.tree_map_with_path(fill, jax.eval_shape(model.init, jax.random.key(0), x))


def two_layers():
    """Kernels and biases of `TwoLayers`, none of them 0."""
    rng = np.random.default_rng(4)

    def layer(inputs, units):
        kernel, bias = rng.normal(size=(inputs, units)) / inputs**0.5, 0.1 * rng.normal(size=units)
        return {"kernel": jnp.asarray(kernel, jnp.float32), "bias": jnp.asarray(bias, jnp.float32)}

    return layer(7, 6), layer(6, 5)


def changed(variables, layer, part, change):
    """The variables with one parameter of one layer changed; of every layer if it is None."""

    def edit(path, leaf):
        keys = [key.key for key in path]
        return change(leaf) if keys[-1] == part and layer in (None, keys[1]) else leaf

    return jax.tree_util.tree_map_with_path(edit, variables)


CASES = {
    "cnn": (CNN(), batch(8, 8, 1), 1.0),
    "mlp": (Plain(), batch(20), 1.0),
    "residual": (Residual(), batch(20), 1.0),
}
LABELS = jnp.asarray(np.random.default_rng(9).integers(0, 5, EXAMPLES))


def healthy(name="cnn"):
    model, x, gain = CASES[name]
    return model, start(model, x, 0, gain), x
