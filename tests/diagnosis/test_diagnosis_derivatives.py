"""Derivatives that programs state: wrong ones are found, stand-ins on purpose are not; the reference is autodiff."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxact.diagnosis import adapters, derivatives
from jaxact.museum.training import right_sigmoid, wrong_sigmoid


def with_backward(function, slope):
    """The function with a backward pass that multiplies by `slope(h)`."""
    wrapped = jax.custom_vjp(function)
    wrapped.defvjp(lambda h: (function(h), h), lambda h, cotangent: (cotangent * slope(h),))
    return wrapped


def with_tangent(function, slope):
    wrapped = jax.custom_jvp(function)
    wrapped.defjvp(lambda primals, tangents: (function(*primals), slope(*primals) * tangents[0]))
    return wrapped


def silu_slope(h):
    s = jax.nn.sigmoid(h)
    return s + h * s * (1 - s)


def sigmoid(h):
    return 1 / (1 + jnp.exp(-h))


def sigmoid_slope(h):
    return sigmoid(h) * (1 - sigmoid(h))


def quantised(levels):
    return with_backward(lambda h: jnp.round(sigmoid(h) * levels) / levels, sigmoid_slope)


clipped = jax.custom_vjp(lambda h: h)
clipped.defvjp(lambda h: (h, None), lambda _, cotangent: (jnp.clip(cotangent, -0.1, 0.1),))

WRONG = {
    "sigmoid": wrong_sigmoid,
    "twice": with_backward(sigmoid, lambda h: sigmoid_slope(sigmoid(h))),
    "tanh": with_backward(jnp.tanh, lambda h: 1 - h**2),
    "squared": with_tangent(sigmoid, lambda h: (sigmoid(h) * (1 - sigmoid(h))) ** 2),
}
RIGHT = {
    "sigmoid": right_sigmoid,
    "silu": with_backward(lambda h: h * sigmoid(h), silu_slope),
    "tangent": with_tangent(sigmoid, sigmoid_slope),
    "relu": with_backward(lambda h: jnp.maximum(h, 0), lambda h: (h > 0).astype(h.dtype)),
    "straight-through": with_backward(lambda h: jnp.round(h), jnp.ones_like),
    "clipped straight-through": with_backward(lambda h: jnp.clip(h, -1, 1), jnp.ones_like),
    "surrogate": with_backward(lambda h: (h > 0).astype(h.dtype), lambda h: 1 / (1 + jnp.abs(h)) ** 2),
    "reversal": with_backward(lambda h: 1.0 * h, lambda h: -jnp.ones_like(h)),
    "half": with_tangent(sigmoid, lambda h: 0.5 * sigmoid_slope(h)),
    "16 levels": quantised(16),
    "64 levels": quantised(64),
    "clipped gradient": lambda h: sigmoid(clipped(h)),
    "triangle wave": with_backward(lambda h: jnp.abs(h % 1 - 0.5), lambda h: jnp.sign(h % 1 - 0.5)),
    "stopped": with_backward(sigmoid, jnp.zeros_like),
}


def checked(activation):
    def network(weights, x):
        return activation(x @ weights["a"]["kernel"]) @ weights["b"]["kernel"]

    rng = np.random.default_rng(0)
    weights = {name: {"kernel": jnp.asarray(rng.normal(size=(3, 3)), jnp.float32)} for name in "ab"}
    x = jnp.asarray(rng.normal(size=(4, 3)), jnp.float32)
    form, leaves = adapters.form_of(weights, x)
    subject = adapters.traced(network, form, {}).subject
    layers = derivatives.with_own_derivative(subject)
    compared = jax.jit(lambda leaves, x: derivatives.compare(subject, leaves, x, layers))(leaves, x)
    return compared, derivatives.derivative_checks(layers, compared)


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_derivative_is_found_at_its_layer(name):
    (compared,), found = checked(WRONG[name])
    assert [(verdict.kind, verdict.layer) for verdict in found] == [("wrong derivative", "a")]
    smooth = {"tanh": jnp.tanh}.get(name, sigmoid)
    points = jnp.linspace(-derivatives.FAR, derivatives.FAR, derivatives.POINTS)
    np.testing.assert_allclose(compared.measured, jax.vmap(jax.grad(smooth))(points), atol=2e-4)
    np.testing.assert_allclose(compared.stated, jax.vmap(jax.grad(WRONG[name]))(points), atol=1e-5)


@pytest.mark.parametrize("name", RIGHT)
def test_right_derivatives_and_stand_ins_are_no_finding(name):
    assert checked(RIGHT[name])[1] == []


def test_the_derivatives_of_jax_itself_are_not_looked_at():
    for activation in (jax.nn.relu, jax.nn.softplus, jnp.tanh):
        assert checked(activation) == ((), [])
