"""APJN matrices: exact by two ways, by Hutchinson's estimator, and against mean-field theory at width 1024."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles.numpy_activations import PHIS
from oracles.numpy_network import toy

from jaxact import probes
from jaxact import theory as meanfield
from jaxact.models import MLP
from jaxact.probes import Estimate, apjn, average, chain_apjn, hutchinson_apjn, mlp_chain, mlp_network

STUDY = ("relu", "tanh", "sigmoid", "selu")
MODEL, WHICH = MLP((7, 5, 3), STUDY), jnp.array([1, 2, 3])
IMAGES = jnp.asarray(toy().train_images)
VARIABLES = MODEL.init(jax.random.key(3), jnp.zeros(6), WHICH)
NETWORK = mlp_network(MODEL, VARIABLES, WHICH)


@jax.jit
def exact(x):
    return chain_apjn(mlp_chain(MODEL, VARIABLES, WHICH, x))


def test_generic_and_closed_form_agree_alone_and_vmapped():
    rows = jax.jit(jax.vmap(lambda x: apjn(NETWORK, x, chunk=2)))(IMAGES[:5])
    np.testing.assert_allclose(rows, jax.jit(jax.vmap(exact))(IMAGES[:5]), rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(rows[4], exact(IMAGES[4]), rtol=1e-5, atol=1e-8)


def test_entries_are_squared_norms_over_the_width_of_the_later_layer_and_layers_keep_their_order():
    # h^(l+1) = w tanh(h^l) with one unit per layer: the entry is the square of a product of scalars.
    depth, model = 11, MLP((1,) * 11, ("tanh",))
    variables = model.init(jax.random.key(0), jnp.zeros(1), jnp.zeros(depth, int))
    chain = jax.jit(mlp_chain, static_argnums=0)(model, variables, jnp.zeros(depth, int), jnp.ones(1))
    weights, slopes = np.ravel(chain.kernels), np.ravel(chain.slopes)
    wanted = np.eye(depth)
    for later in range(depth):
        for earlier in range(later):
            wanted[later, earlier] = np.prod((weights[earlier + 1 : later + 1] * slopes[earlier:later]) ** 2)
    np.testing.assert_allclose(chain_apjn(chain), wanted, rtol=1e-5)
    network = mlp_network(model, variables, jnp.zeros(depth, int))
    # With one unit v = ±1, so that every probe is exact.
    found = jax.jit(lambda x: hutchinson_apjn(network, x, jax.random.key(1), 2))(jnp.ones(1))
    np.testing.assert_allclose(found.value, wanted, rtol=1e-5)
    np.testing.assert_allclose(found.standard_error, 0, atol=1e-8)


def test_hutchinsons_estimate_lies_within_its_standard_error():
    keys = jax.random.split(jax.random.key(0), 400)
    estimates = jax.jit(jax.vmap(lambda key: hutchinson_apjn(NETWORK, IMAGES[0], key, 8)))(keys)
    wanted, below = np.asarray(exact(IMAGES[0])), np.tril_indices(3, -1)
    mean = average(estimates)
    deviation = (np.asarray(mean.value) - wanted)[below] / np.asarray(mean.standard_error)[below]
    assert (np.abs(deviation) < 4).all()
    # The stated error is the observed one: a variance of 400 estimates is good to √(2/400) = 7 %.
    stated, observed = (np.asarray(estimates.standard_error) ** 2).mean(0), np.asarray(estimates.value).var(0, ddof=1)
    np.testing.assert_allclose(stated[below], observed[below], rtol=0.3)
    np.testing.assert_array_equal(np.diagonal(estimates.value, axis1=1, axis2=2), 1)
    assert not np.triu(estimates.value, 1).any() and not np.triu(estimates.standard_error).any()


def test_the_error_of_an_average_of_independent_estimates():
    found = average(Estimate(jnp.array([[[1.0]], [[3.0]]]), jnp.array([[[3.0]], [[4.0]]])))
    assert (float(found.value[0, 0]), float(found.standard_error[0, 0])) == (2.0, 2.5)


def test_one_probe_has_no_error():
    with pytest.raises(ValueError, match="1 probe has no standard error: use at least 2"):
        hutchinson_apjn(NETWORK, IMAGES[0], jax.random.key(0), 1)


def predicted(names, widths, images):
    statistics = meanfield.input_statistics(images)
    inits = meanfield.stack_inits("torch_default", widths)
    return meanfield.predict_stack([PHIS[name] for name in names], widths, inits, statistics.q, statistics.c)


@pytest.mark.parametrize("names", [("relu", "sigmoid", "relu"), ("tanh", "relu", "tanh"), ("sigmoid", "selu", "relu")])
def test_width_1024_against_mean_field_theory(names):
    images = np.random.default_rng(0).normal(size=(2, 1024)).astype(np.float32)
    images *= 32 / np.linalg.norm(images, axis=1, keepdims=True)  # mean-field theory takes inputs as equally long
    model, which = MLP((1024, 1024, 1024), names), jnp.arange(3)

    inputs = jnp.asarray(images)

    @jax.jit
    def measured(seed):
        variables = model.init(jax.random.key(seed), inputs[0], which)
        found = probes.probe(model, variables, which, inputs, chunk=1)
        return found.apjn.mean(0), found.layer_norms.mean(0)

    seeds = [measured(seed) for seed in range(5)]
    theory = predicted(names, (1024, 1024, 1024, 1024), images)
    for values, wanted in zip(zip(*seeds, strict=True), (theory.apjn, theory.jacobian), strict=True):
        values = np.stack(values)
        error = values.std(0, ddof=1) / np.sqrt(len(values))
        # Five standard errors of the mean of five networks, and corrections of order 1/width per layer.
        assert (np.abs(values.mean(0) - wanted) <= 5 * error + 3 / 1024 * wanted).all()
