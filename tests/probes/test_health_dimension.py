"""Intrinsic dimension: closed forms, NumPy's eigenvalues, manifolds of known dimension."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles.numpy_activations import PHIS
from oracles.numpy_network import forward, layers_of, toy
from scipy.spatial import cKDTree

from jaxact.models import MLP
from jaxact.probes import (
    covariances,
    intrinsic_dimensions,
    layer_outputs,
    mlp_network,
    mlp_nonlinearities,
    participation_ratio,
    two_nn,
)

DATA = toy()
IMAGES = jnp.asarray(DATA.train_images)


@pytest.mark.parametrize(
    ("eigenvalues", "wanted"), [([2, 2, 2, 2], 4), ([3, 0, 0], 1), ([0, 0], 0), ([2, 1], 9 / 5), ([1e-30, 1e-30], 2)]
)
def test_participation_ratio_of_known_spectra(eigenvalues, wanted):
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(len(eigenvalues),) * 2))[0]
    matrix = rotation @ np.diag(np.array(eigenvalues, float)) @ rotation.T
    assert float(participation_ratio(jnp.asarray(matrix, jnp.float32))) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("chunk", [7, 40])
def test_layer_outputs_against_numpys_covariance(chunk):
    model, which = MLP((7, 5, 3), ("tanh", "sigmoid")), jnp.array([0, 1, 0])
    variables = model.init(jax.random.key(0), jnp.zeros(6), which)

    @jax.jit
    def found(images):
        features = layer_outputs(mlp_network(model, variables, which), mlp_nonlinearities(model, variables, which))
        return covariances(features, images, chunk=chunk), intrinsic_dimensions(features, images, chunk=chunk)

    phis = [PHIS[name] for name in ("tanh", "sigmoid", "tanh")]
    outputs = forward(layers_of(variables["params"]), phis, DATA.train_images)[1][1:]
    matrices, dimensions = found(IMAGES)
    for name, x in zip(("layer1", "layer2", "layer3"), outputs, strict=True):
        covariance = np.cov(x.T, bias=True)
        np.testing.assert_allclose(matrices[name], covariance, rtol=1e-3, atol=1e-6 * covariance.max())
        eigenvalues = np.linalg.eigvalsh(covariance)
        assert float(dimensions[name]) == pytest.approx(eigenvalues.sum() ** 2 / (eigenvalues**2).sum(), rel=1e-4)


def test_a_large_mean_does_not_hide_the_variance_and_a_dead_layer_has_dimension_0():
    rng = np.random.default_rng(0)
    x = 1000 + rng.normal(size=(400, 3))
    found = intrinsic_dimensions(lambda rows: rows, jnp.asarray(x, jnp.float32), chunk=64)
    eigenvalues = np.linalg.eigvalsh(np.cov(x.T))
    assert float(found) == pytest.approx(eigenvalues.sum() ** 2 / (eigenvalues**2).sum(), rel=1e-3)
    assert float(intrinsic_dimensions(jnp.zeros_like, IMAGES)) == 0


def test_two_nn_equals_its_formula_with_scipys_neighbours():
    x = np.random.default_rng(0).normal(size=(150, 4))
    distances = cKDTree(x).query(x, 3)[0]
    wanted = 149 / np.log(distances[:, 2] / distances[:, 1]).sum()
    assert float(jax.jit(two_nn)(jnp.asarray(x, jnp.float32))) == pytest.approx(wanted, rel=1e-4)
    assert float(two_nn(jnp.asarray(x, jnp.float32))) == pytest.approx(wanted, rel=1e-4)
    assert float(jax.vmap(two_nn)(jnp.asarray(x, jnp.float32)[None])[0]) == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize("dimension", [1, 2, 5])
def test_two_nn_finds_the_dimension_of_a_curved_sheet_in_twenty_dimensions(dimension):
    rng = np.random.default_rng(dimension)
    flat = rng.uniform(size=(1000, dimension))
    x = np.tanh(flat @ rng.normal(size=(dimension, 20)))
    # The estimate's relative standard error is 1/√n = 3.2 %; edges of the sheet add a bias that grows with dimension.
    assert float(two_nn(jnp.asarray(x, jnp.float32))) == pytest.approx(dimension, rel=4 / np.sqrt(1000))


def test_points_with_a_duplicate_are_left_out_and_too_few_points_refused():
    x = np.random.default_rng(0).normal(size=(60, 2))
    x = np.concatenate([x, x[:1]])
    nearest, second = cKDTree(x).query(x, 3)[0].T[1:]
    kept = nearest > 0
    assert kept.sum() == 59
    wanted = 58 / np.log(second[kept] / nearest[kept]).sum()
    assert float(jax.jit(two_nn)(jnp.asarray(x, jnp.float32))) == pytest.approx(wanted, rel=1e-4)
    assert float(two_nn(jnp.zeros((5, 3)))) == 0
    with pytest.raises(ValueError, match="at least 3 examples, got 2"):
        two_nn(jnp.zeros((2, 3)))
    with pytest.raises(ValueError, match="0 examples"):
        covariances(lambda rows: rows, IMAGES[:0])
