"""Units that are dead in fact or in effect, and gradients that are NaN, against `jax.grad` and closed forms."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import norm

import jaxact
from jaxact.diagnosis import units
from jaxact.diagnosis.adapters import form_of, traced

EXAMPLES, UNITS = 40, 4
X = jnp.asarray(np.random.default_rng(0).normal(size=(EXAMPLES, 3)), jnp.float32)


def states(activations, biases=None, scale=1.0):
    """The health of one layer per activation, in branches side by side, and their pre-activations."""
    rng = np.random.default_rng(1)
    kernels = {name: jnp.asarray(scale * rng.normal(size=(3, UNITS)), jnp.float32) for name in activations}
    biases = {name: jnp.zeros(UNITS) if biases is None else jnp.asarray(biases[name]) for name in activations}
    variables = {name: {"kernel": kernels[name], "bias": biases[name]} for name in activations}

    def network(variables, x):
        outputs = [
            phi(x @ variables[name]["kernel"] + variables[name]["bias"][None]) for name, phi in activations.items()
        ]
        return jnp.concatenate(outputs, axis=1)

    form, leaves = form_of(variables, X)
    subject = traced(network, form, {}).subject

    @jax.jit
    def measure(leaves, x):
        return units.unit_health(subject, leaves, x, units.slopes(subject, leaves, x), chunk=16)

    found = {layer.name: health for layer, health in zip(subject.layers, measure(leaves, X), strict=True)}
    return found, {name: X @ kernels[name] + biases[name][None] for name in activations}


def gelu_slope(h):
    return norm.cdf(h) + h * norm.pdf(h)


def silu_slope(h):
    return (1 + math.exp(-h) * (1 + h)) / (1 + math.exp(-h)) ** 2


def largest(slope):
    return max(slope(h) for h in np.linspace(0, 8, 8001))


BOUNDARIES = {
    "gelu": brentq(lambda h: gelu_slope(h) + 1e-3 * largest(gelu_slope), -6, -2),
    "silu": brentq(lambda h: silu_slope(h) + 1e-3 * largest(silu_slope), -20, -3),
    "elu": math.log(1e-3),
    "selu": math.log(1e-3),
    "softplus": -math.log(999),
    "relu": 0.0,
}


def exact_gelu(h):
    return jax.nn.gelu(h, approximate=False)


def test_dead_in_effect_begins_at_a_thousandth_of_the_largest_slope_whatever_the_activation():
    """Boundaries in closed form or by root finding in float64; half of the units are 1 % beyond, half 1 % within."""
    activations = {name: getattr(jax.nn, name) for name in BOUNDARIES} | {"gelu": exact_gelu}
    biases = {name: at * np.array([1.01, 0.99, 1.01, 0.99]) - 1e-3 * (at == 0) for name, at in BOUNDARIES.items()}
    biases["relu"] = np.array([-1e-3, 1e-3, -1e-3, 1e-3])
    found, _ = states(activations, {name: np.float32(bias) for name, bias in biases.items()}, scale=0.0)
    for name, health in found.items():
        assert health.state.dead.tolist() == [True, False, True, False], name
        np.testing.assert_allclose(health.state.active, [0, 1, 0, 1])


def test_far_out_on_the_flat_side_every_activation_is_dead_also_where_the_program_shifts_it():
    names = ("gelu", "silu", "elu", "selu", "softplus", "relu", "mish", "celu")

    def shifted(name):
        return lambda h: getattr(jax.nn, name)(h - 20)

    found, _ = states({name: shifted(name) for name in (*names, "leaky_relu")})
    dead = {name: health.state.dead.mean() for name, health in found.items()}
    assert dead == dict.fromkeys(names, 1) | {"leaky_relu": 0}


def straight_through(h):
    return h + jax.lax.stop_gradient(jnp.round(h) - h)


def test_a_slope_that_is_zero_everywhere_is_dead():
    activations = {
        "sign": jnp.sign,
        "step": lambda h: jnp.where(h > 0, 1.0, 0.0),
        "heaviside": lambda h: (h > 0).astype(jnp.float32),
        "round": jnp.round,
        "floor": lambda h: jnp.floor(4 * h) / 4,
        "stop": jax.lax.stop_gradient,
        "stopped": lambda h: jax.lax.stop_gradient(jnp.tanh(h)),
        "zero times infinity": lambda h: jnp.sqrt(jax.nn.relu(h - 99)),
        "straight": straight_through,
        "tanh": jnp.tanh,
        "shifted": lambda h: jax.nn.relu(h + 99),
    }
    found, h = states(activations)
    for name, health in found.items():
        slope = np.asarray(jax.grad(lambda h, phi=activations[name]: phi(h).sum())(h[name]))
        assert np.isfinite(slope).all() and health.state.dead.tolist() == (slope == 0).all(0).tolist(), name
        assert health.broken_gradient == 0
    assert sum(health.state.dead.all() for health in found.values()) == 8


def unit_length(h):
    return h / jnp.maximum(jnp.linalg.norm(h, axis=1, keepdims=True), 1e-6)


UNSAFE = {
    "where": lambda h: jnp.where(h > 0, jnp.sqrt(h), 0),
    "maximum": lambda h: jnp.sqrt(jnp.maximum(h, 0)),
    "log": lambda h: jnp.where(h > 0, jnp.log(jnp.maximum(h, 0)), 0.0),
    "norm": lambda h: unit_length(jnp.maximum(h - 1, 0)),
    "power": lambda h: jnp.where(h > 1, jnp.maximum(h - 1, 0) ** 0.5, 0),
    "safe": lambda h: jnp.where(h > 0, jnp.sqrt(jnp.where(h > 0, h, 1)), 0),
}


def test_gradients_that_are_nan_behind_a_finite_output_are_counted():
    found, h = states(UNSAFE)
    for name, health in found.items():
        assert np.isfinite(UNSAFE[name](h[name])).all()
        gradient = jax.grad(lambda h, phi=UNSAFE[name]: (phi(h) * jnp.arange(1.0, UNITS + 1)[None]).sum())(h[name])
        np.testing.assert_allclose(health.broken_gradient, np.mean(~np.isfinite(gradient)), rtol=1e-5, err_msg=name)
    shares = [float(health.broken_gradient) for health in found.values()]
    assert all(0 < share < 1 for share in shares[:-1]) and shares[-1] == 0


def two_layers(phi, variables, x):
    hidden = jnp.tanh(x @ variables["z"])
    return phi(hidden @ variables["m"]) @ variables["a"]


WEIGHTS = {
    name: jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)
    for seed, (name, shape) in enumerate({"z": (3, 5), "m": (5, UNITS), "a": (UNITS, 3)}.items())
}


def test_nan_gradients_are_broken_and_name_the_layer_before_them():
    found = jaxact.diagnose(lambda v, x: two_layers(UNSAFE["where"], v, x), WEIGHTS, X)
    (verdict,) = found.verdicts
    assert (found.main, verdict.layer) == ("broken", "m") and "sqrt" in verdict.remedy
    assert all(layer.broken == 0 for layer in found.layers)
    assert [layer.broken_gradient > 0 for layer in found.layers] == [True, True, False]


def test_a_kernel_whose_own_gradient_is_nan_is_broken():
    """A weight normalisation of a row of zeros: finite in every pre-activation's gradient."""

    def normalised(v, x):
        length = jnp.sqrt((v["z"] ** 2).sum(0, keepdims=True))
        return jnp.tanh(x @ (v["z"] / jnp.maximum(length, 1e-3))) @ v["m"]

    found = jaxact.diagnose(normalised, WEIGHTS | {"z": WEIGHTS["z"].at[:, 2].set(0)}, X)
    assert (found.main, found.verdicts[0].layer) == ("broken", "z")
    assert found.verdicts[0].number == pytest.approx(1 / 5)


@jax.custom_vjp
def halved(h):
    return jnp.tanh(h)


halved.defvjp(lambda h: (jnp.tanh(h), h), lambda h, g: (g / 2 * (1 - jnp.tanh(h) ** 2),))


@pytest.mark.parametrize("dtype", [jnp.bfloat16, pytest.param(jnp.float16, marks=pytest.mark.slow)])
def test_half_precision_and_own_derivatives_are_measured_with_sums_in_float32(dtype):
    """Against float64 on the values that half precision gave; the outputs are more than the inputs."""
    rng = np.random.default_rng(5)
    v = {name: jnp.asarray(rng.normal(size=shape), dtype) for name, shape in {"z": (3, 6), "a": (6, 5)}.items()}
    x, labels = X.astype(dtype), jnp.arange(EXAMPLES) % 5
    found = jaxact.diagnose(lambda v, x: halved(x @ v["z"]) @ v["a"], v, x, labels)
    logits = np.asarray(halved(x @ v["z"]) @ v["a"], np.float64)
    losses = np.log(np.exp(logits).sum(1)) - logits[np.arange(EXAMPLES), np.asarray(labels)]
    np.testing.assert_allclose(found.loss, losses.mean(), rtol=1e-5)
    slope = 0.5 * (1 - np.tanh(np.asarray(x @ v["z"], np.float64)) ** 2)
    first, last = (np.asarray(v[name], np.float64) for name in ("z", "a"))
    matrices = [last.T @ (row[:, None] * first.T) for row in slope[:8]]
    values = np.median([np.linalg.svd(matrix, compute_uv=False) for matrix in matrices], axis=0)
    np.testing.assert_allclose(found.singular_values, values, rtol=0.03)
    assert [layer.activation for layer in found.layers] == ["halved", "linear"]
    assert found.main == "healthy" and found.layers[0].kernel_gradient > 0


def test_parameters_inside_a_scan_are_a_finding():
    def network(v, x):
        x, _ = jax.lax.scan(lambda x, w: (jnp.tanh(x @ w), None), jnp.tanh(x @ v["params"]["in"]), v["params"]["body"])
        return x @ v["params"]["out"]

    rng = np.random.default_rng(2)
    shapes = {"in": (3, 5), "body": (4, 5, 5), "out": (5, 2)}
    weights = {name: jnp.asarray(rng.normal(size=shape) / 2, jnp.float32) for name, shape in shapes.items()}
    found = jaxact.diagnose(network, {"params": weights}, X)
    assert [layer.name for layer in found.layers] == ["in", "out"]
    assert found.main == "incomplete"
    assert found.verdicts[0].text == "2 of 3 parameter groups seen; not seen: body (inside a scan)"
