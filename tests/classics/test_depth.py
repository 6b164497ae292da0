"""Stacks and their gradients against NumPy in float64 and finite differences."""

import functools
import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import norm

from jaxact import activations
from jaxact import theory as mf
from jaxact.classics.depth import library as depth
from jaxact.training import INIT, seed_key

NAMES = ("sigmoid", "tanh", "relu", "gelu")
FEATURES, UNITS, LAYERS, CLASSES = 5, 7, 6, 3
VALUES = {
    "sigmoid": expit,
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
    "gelu": lambda x: x * norm.cdf(x),
}
SLOPES = {
    "sigmoid": lambda x: expit(x) * expit(-x),
    "tanh": lambda x: 1 - np.tanh(x) ** 2,
    "relu": lambda x: (x > 0).astype(float),
    "gelu": lambda x: norm.cdf(x) + x * norm.pdf(x),
}


PHIS = depth.Phis(NAMES)
# Compiled once for all activations: the index is an argument.
FORWARD = jax.jit(lambda stack, which, x: depth.forward(stack, PHIS, which, x))
LOSS_GRADIENTS = jax.jit(lambda stack, which, x, label: depth.log_loss_gradients(stack, PHIS, which, x, label))
APJN = jax.jit(lambda stack, which, x, probe: depth.log_apjn(stack, PHIS, which, x, probe))
PROFILE = jax.jit(lambda stack, which, images, labels: depth.profile(stack, PHIS, which, images, labels))


@jax.jit
@functools.partial(jax.vmap, in_axes=(None, None, 0, 0))
@jax.grad
def one_example_gradients(stack, which, x, label):
    """Gradient of one example's loss, by reverse mode and without logarithms."""
    return -jax.nn.log_softmax(depth.forward(stack, PHIS, which, x)[0])[label]


@pytest.fixture(scope="module")
def phis():
    return PHIS


@pytest.fixture(scope="module")
def stack():
    return depth.init_stack(jax.random.key(0), mf.Init(1.7, 0.05), FEATURES, UNITS, LAYERS, CLASSES)


@pytest.fixture(scope="module")
def images():
    return jnp.asarray(np.random.default_rng(0).normal(size=(9, FEATURES)), jnp.float32)


LABELS = jnp.array([0, 1, 2, 0, 1, 2, 0, 1, 2])


def numpy_layers(stack, name, x):
    """Logits and pre-activations in float64, layer by layer."""
    first, first_bias, kernels, biases, head, head_bias = (np.asarray(leaf, np.float64) for leaf in stack)
    h = [np.asarray(x, np.float64) @ first + first_bias]
    for kernel, bias in zip(kernels, biases, strict=True):
        h.append(VALUES[name](h[-1]) @ kernel + bias)
    return VALUES[name](h[-1]) @ head + head_bias, h


def numpy_loss(logits, label):
    return np.log(np.exp(logits).sum()) - logits[label]


def loss_from(stack, name, h, layer, label):
    """The loss as a function of h^layer, in float64, for finite differences."""
    _, _, kernels, biases, head, head_bias = (np.asarray(leaf, np.float64) for leaf in stack)
    for kernel, bias in zip(kernels[layer:], biases[layer:], strict=True):
        h = VALUES[name](h) @ kernel + bias
    return numpy_loss(VALUES[name](h) @ head + head_bias, label)


@pytest.mark.parametrize("which,name", list(enumerate(NAMES)))
def test_forward_equals_numpy(stack, images, which, name):
    logits, h = numpy_layers(stack, name, images[0])
    chex.assert_trees_all_close(FORWARD(stack, which, images[0]), (logits, np.stack(h)), rtol=2e-5, atol=1e-6)


@pytest.mark.slow
def test_everything_is_the_same_eager_jitted_and_vmapped(phis, stack, images):
    probe = jnp.asarray(np.random.default_rng(1).normal(size=UNITS), jnp.float32)
    for jitted, fn, rest in (
        (FORWARD, depth.forward, (images[0],)),
        (LOSS_GRADIENTS, depth.log_loss_gradients, (images[0], LABELS[0])),
        (APJN, depth.log_apjn, (images[0], probe)),
    ):
        alone = jitted(stack, 1, *rest)
        one = lambda *rest, fn=fn: fn(stack, phis, 1, *rest)  # noqa: E731
        chex.assert_trees_all_close(one(*rest), alone, rtol=2e-5, atol=1e-6)
        many = jax.vmap(one)(*(leaf[None] for leaf in rest))
        chex.assert_trees_all_close(jax.tree.map(lambda leaf: leaf[0], many), alone, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("which,name", list(enumerate(NAMES)))
def test_slopes_and_limits_are_those_of_the_catalogue(phis, which, name):
    x = jnp.linspace(-4, 4.1, 30)
    np.testing.assert_allclose(phis(x, which), VALUES[name](np.asarray(x)), rtol=2e-5, atol=1e-6)
    np.testing.assert_allclose(phis.slope(x, which), SLOPES[name](np.asarray(x)), rtol=2e-5, atol=1e-6)
    assert float(phis.largest_slope(which)) == pytest.approx(activations.get(name).lipschitz)


@pytest.mark.parametrize("which,name", list(enumerate(NAMES)))
def test_loss_gradients_equal_finite_differences(stack, images, which, name):
    """Central differences of a float64 loss in every h^l."""
    logs, _ = LOSS_GRADIENTS(stack, which, images[1], LABELS[1])
    _, h = numpy_layers(stack, name, images[1])
    step = 1e-6
    for layer in range(LAYERS):
        moves = step * np.eye(UNITS)
        up = [loss_from(stack, name, h[layer] + move, layer, 1) for move in moves]
        down = [loss_from(stack, name, h[layer] - move, layer, 1) for move in moves]
        expected = np.linalg.norm((np.array(up) - down) / (2 * step))
        assert math.exp(float(logs[layer])) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("which,name", list(enumerate(NAMES)))
def test_partial_jacobians_equal_a_product_of_matrices(stack, images, which, name):
    """vᵀ ∂h^L/∂h^l as a float64 product of W diag(φ') for every pair of layers."""
    probe = np.random.default_rng(1).normal(size=UNITS).astype(np.float32)
    logs = APJN(stack, which, images[2], jnp.asarray(probe))
    _, h = numpy_layers(stack, name, images[2])
    kernels = np.asarray(stack.kernels, np.float64)
    for first in range(LAYERS):
        jacobian = np.eye(UNITS)
        for last in range(first, LAYERS):
            if last > first:
                jacobian = kernels[last - 1].T @ np.diag(SLOPES[name](h[last - 1])) @ jacobian
            expected = np.sum((probe @ jacobian) ** 2) / UNITS
            assert math.exp(float(logs[last, first])) == pytest.approx(expected, rel=1e-4)
        assert np.all(np.isneginf(logs[:first, first]))


def test_gradients_far_below_the_smallest_float_keep_their_logarithm(images):
    """200 sigmoid layers shrink a gradient by some 170 decades; the float64 logarithms are summed by hand."""
    layers = 200
    phis = depth.Phis(["sigmoid"])
    stack = depth.init_stack(jax.random.key(1), "torch_default", FEATURES, UNITS, layers, CLASSES)
    logs, _ = depth.log_loss_gradients(stack, phis, 0, images[0], LABELS[0])
    logits, h = numpy_layers(stack, "sigmoid", images[0])
    delta = np.exp(logits) / np.exp(logits).sum() - np.eye(CLASSES)[int(LABELS[0])]
    delta, total = SLOPES["sigmoid"](h[-1]) * (np.asarray(stack.head_kernel, np.float64) @ delta), 0.0
    for layer in reversed(range(layers - 1)):
        delta = SLOPES["sigmoid"](h[layer]) * (np.asarray(stack.kernels[layer], np.float64) @ delta)
        size = np.linalg.norm(delta)
        delta, total = delta / size, total + math.log(size)
    assert total < -120 * math.log(10)
    assert float(logs[0]) == pytest.approx(total, abs=0.01)


def test_a_dead_stack_has_no_gradient(images):
    stack = depth.draw_stacks(jax.random.split(jax.random.key(0), 1), "he_normal", FEATURES, UNITS, LAYERS, CLASSES)
    stack = jax.tree.map(lambda leaf: leaf[0], stack)
    stack = stack._replace(biases=stack.biases.at[0].set(-1e3))
    seen = PROFILE(stack, NAMES.index("relu"), images, LABELS)
    assert np.all(np.isneginf(seen.log_gradient[:-1])) and np.all(np.isneginf(seen.log_kernel_gradient[:-1]))
    np.testing.assert_array_equal(seen.dead[1:], np.ones(LAYERS - 1))
    np.testing.assert_array_equal(seen.zero[1:], np.ones(LAYERS - 1))
    assert float(seen.saturated[1]) == 1


@pytest.mark.parametrize("which,name", list(enumerate(NAMES)))
def test_profile_equals_numpy_counts_and_one_example_gradients(stack, images, which, name):
    """Counts in NumPy; kernel gradients by `jax.grad` of one example's loss, an implementation without logarithms."""
    seen = PROFILE(stack, which, images, LABELS)
    h = np.stack([np.stack(numpy_layers(stack, name, x)[1]) for x in images])
    slope, value = np.abs(SLOPES[name](h)), VALUES[name](h)
    limit = depth.SATURATED * activations.get(name).lipschitz
    np.testing.assert_allclose(seen.saturated, (slope < limit).mean((0, 2)), atol=1e-6)
    np.testing.assert_allclose(seen.zero, (value == 0).mean((0, 2)), atol=1e-6)
    np.testing.assert_allclose(seen.dead, (slope == 0).all(0).mean(1), atol=1e-6)

    grads = one_example_gradients(stack, which, images, LABELS)
    first = np.square(grads.first_kernel).sum((1, 2)).mean() ** 0.5
    rest = np.square(grads.kernels).sum((2, 3)).mean(0) ** 0.5
    np.testing.assert_allclose(np.exp(seen.log_kernel_gradient), [first, *rest], rtol=2e-4)
    biases = np.concatenate([np.square(grads.first_bias).sum(1)[:, None], np.square(grads.biases).sum(2)], axis=1)
    np.testing.assert_allclose(np.exp(seen.log_gradient), biases.mean(0) ** 0.5, rtol=2e-4)


def test_a_shallow_stack_is_the_beginning_of_a_deep_one():
    key = seed_key(3, INIT)
    deep = depth.init_stack(key, "torch_default", FEATURES, UNITS, 9, CLASSES)
    for layers in (1, 4):
        alone = depth.init_stack(key, "torch_default", FEATURES, UNITS, layers, CLASSES)
        chex.assert_trees_all_equal(depth.prefix(deep, layers), alone)
    assert len(np.unique(np.asarray(deep.kernels)[:, 0, 0])) == 8
    for wrong in (0, 10):
        with pytest.raises(ValueError, match=f"depth {wrong} is not in 1 to 9"):
            depth.prefix(deep, wrong)


@pytest.mark.parametrize("init", ["torch_default", "orthogonal", mf.Init(1.7, 0.05)])
@pytest.mark.parametrize("layers", [1, 4])
def test_stacks_drawn_layer_by_layer_are_those_drawn_whole(init, layers):
    keys = jax.random.split(jax.random.key(3), 2)
    drawn = depth.draw_stacks(keys, init, FEATURES, UNITS, layers, CLASSES)
    alone = depth.init_stack(keys[1], init, FEATURES, UNITS, layers, CLASSES)
    chex.assert_trees_all_close(jax.tree.map(lambda leaf: leaf[1], drawn), alone, rtol=1e-6)
    with pytest.raises(ValueError, match="depth must be at least 1, got 0"):
        depth.draw_stacks(keys, init, FEATURES, UNITS, 0, CLASSES)
