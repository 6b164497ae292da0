"""The wrong sigmoid derivative: what it computes, and the check that exposes it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxact import activations as catalogue
from jaxact.activations import check_derivative, derivative
from jaxact.classics import planar


def sigma(z):
    return 1 / (1 + np.exp(-z))


def test_the_wrong_derivative_is_sigma_once_too_often():
    wrong = planar.WRONG_SIGMOID
    z = np.linspace(-8, 8, 33)
    a = sigma(z)
    with jax.enable_x64(True):
        np.testing.assert_allclose(wrong(z), a, rtol=1e-14)
        np.testing.assert_allclose(derivative(wrong)(z), sigma(a) * (1 - sigma(a)), rtol=1e-13)
        forward = jax.jvp(wrong, (jnp.asarray(z),), (jnp.ones(33),))[1]
        mapped = jax.jit(jax.vmap(jax.grad(lambda x: wrong(x))))(jnp.asarray(z))
        np.testing.assert_allclose(forward, mapped, rtol=1e-14)
        assert derivative(wrong)(0.0) == pytest.approx(wrong.derivative_at_zero, abs=1e-15)
        assert derivative(wrong)(-40.0) == pytest.approx(wrong.lipschitz, abs=1e-15)


def test_the_derivative_check_exposes_it():
    right, wrong = planar.activation("sigmoid"), planar.WRONG_SIGMOID
    assert check_derivative(right, derivative(right)).passed
    check = check_derivative(wrong, derivative(wrong))
    assert not check.passed and check.error > 0.2
    a = sigma(check.point)
    assert check.measured == pytest.approx(a * (1 - a), abs=1e-9)
    assert check.stated == pytest.approx(sigma(a) * (1 - sigma(a)), abs=1e-12)


def test_the_wrong_derivative_is_no_part_of_the_catalogue():
    assert planar.WRONG_SIGMOID.name not in catalogue.names()
    assert planar.activation("sigmoid_wrong_derivative") is planar.WRONG_SIGMOID
    assert planar.activation("elu:alpha=0.5").spec == "elu:alpha=0.5"
