"""Spectra against NumPy and closed forms; whole sets, seeds and epochs at once; dead and broken networks."""

import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles.numpy_network import toy

from jaxact import probes
from jaxact.models import MLP, uniform_fan_in
from jaxact.probes import probe, spectrum

STUDY = ("relu", "tanh", "sigmoid", "selu")
MODEL = MLP((7, 5, 3), ("relu", "tanh"))
IMAGES = jnp.asarray(toy().train_images)
WHICH = jnp.array([1, 0, 1])


swept = jax.jit(probe, static_argnums=0, static_argnames="chunk")
chain_of = jax.jit(probes.mlp_chain, static_argnums=0)


@jax.jit
def variables_of(seed):
    return MODEL.init(jax.random.key(seed), jnp.zeros(6), WHICH)


def test_a_random_matrix_against_numpy():
    matrix = np.random.default_rng(0).normal(size=(6, 9))
    found = spectrum(jnp.asarray(matrix, jnp.float32))
    s = np.sqrt(np.linalg.eigvalsh(matrix @ matrix.T))[::-1]
    np.testing.assert_allclose(found.singular_values, s, rtol=1e-5)
    assert float(found.squared_norm) == pytest.approx((matrix**2).sum(), rel=1e-5)
    assert float(found.condition) == pytest.approx(np.linalg.cond(matrix), rel=1e-4)
    p = s / s.sum()
    assert float(found.effective_rank) == pytest.approx(math.exp(-(p * np.log(p)).sum()), rel=1e-5)
    assert float(found.stable_rank) == pytest.approx((s**2).sum() / s[0] ** 2, rel=1e-5)
    assert int(found.rank) == 6


@pytest.mark.parametrize(
    ("matrix", "rank", "condition", "effective", "stable"),
    [
        (2 * np.eye(5), 5, 1, 5, 5),
        (np.outer([1, 2, 3], [1, -1, 2, 4]), 1, math.inf, 1, 1),
        (np.zeros((3, 4)), 0, math.inf, 0, 0),
        (np.diag([4, 2]), 2, 2, math.exp(-(2 / 3 * math.log(2 / 3) + 1 / 3 * math.log(1 / 3))), 1.25),
    ],
    ids=["orthogonal", "rank one", "zero", "diagonal"],
)
def test_matrices_in_closed_form(matrix, rank, condition, effective, stable):
    found = spectrum(jnp.asarray(matrix, jnp.float32))
    assert (int(found.rank), float(found.condition)) == (rank, pytest.approx(condition))
    assert float(found.effective_rank) == pytest.approx(effective, abs=1e-5)
    assert float(found.stable_rank) == pytest.approx(stable, abs=1e-5)


def test_a_matrix_with_nan_has_no_summary():
    found = spectrum(jnp.full((3, 4), jnp.nan))
    assert all(math.isnan(value) for value in (found.condition, found.effective_rank, found.stable_rank))


def test_torch_default_kernels_have_the_edges_of_marchenko_and_pastur():
    kernel = uniform_fan_in(2048)(jax.random.key(0), (2048, 512))
    values = spectrum(kernel.T).singular_values
    edges = [(1 + sign * math.sqrt(512 / 2048)) / math.sqrt(3) for sign in (1, -1)]
    # The limit is approached at the rate n^(−2/3), 1.6 % of the edges' distance from each other's mean at n = 512.
    np.testing.assert_allclose([values[0], values[-1]], edges, atol=512 ** (-2 / 3))
    assert float((kernel**2).sum()) == pytest.approx(512 / 3, rel=4 * math.sqrt(4 / 5 / kernel.size))


@pytest.mark.parametrize("chunk", [7, 500])
def test_the_sweep_over_a_set_equals_its_examples_one_by_one(chunk):
    found = swept(MODEL, variables_of(0), WHICH, IMAGES, chunk=chunk)
    assert found.singular_values.shape == (40, 3) and found.apjn.shape == (40, 3, 3)
    for i in (0, 39):
        chain = chain_of(MODEL, variables_of(0), WHICH, IMAGES[i])
        values = np.linalg.svd(np.asarray(probes.input_output(chain), float), compute_uv=False)
        np.testing.assert_allclose(found.singular_values[i], values, rtol=1e-4, atol=1e-7)
        np.testing.assert_allclose(found.apjn[i], probes.chain_apjn(chain), rtol=1e-5)
        squares = [float((probes.layer_jacobian(chain, layer) ** 2).sum()) for layer in (1, 2, 3)]
        np.testing.assert_allclose(found.layer_norms[i], squares, rtol=1e-5)


def test_seeds_and_epochs_are_axes_like_any_other():
    networks = [[variables_of(10 * epoch + seed) for seed in range(3)] for epoch in range(2)]
    stacked = jax.tree.map(
        lambda *leaves: jnp.stack(leaves).reshape(2, 3, *leaves[0].shape), *networks[0], *networks[1]
    )

    def one(variables):
        return probe(MODEL, variables, WHICH, IMAGES[:4], chunk=2)

    vmapped = jax.jit(jax.vmap(jax.vmap(one)))(stacked)
    mapped = jax.jit(lambda epochs: jax.lax.map(lambda seeds: jax.lax.map(one, seeds), epochs))(stacked)
    chex.assert_trees_all_close(vmapped, mapped, rtol=1e-5, atol=1e-6)
    single = jax.jit(one)(networks[1][2])
    chex.assert_trees_all_close(jax.tree.map(lambda leaf: leaf[1, 2], vmapped), single, rtol=1e-5, atol=1e-6)


def test_the_activations_are_data():
    traces = []

    @jax.jit
    def values_of(which):
        traces.append(which)
        return probe(MLP((7, 5, 3), STUDY), variables_of(0), which, IMAGES[:3]).singular_values

    for which in ((0, 0, 0), (1, 2, 3), (3, 2, 1)):
        alone = MLP((7, 5, 3), tuple(STUDY[i] for i in which))
        fixed = swept(alone, variables_of(0), jnp.arange(3), IMAGES[:3]).singular_values
        np.testing.assert_allclose(values_of(jnp.array(which)), fixed, rtol=1e-4, atol=1e-6)
    assert len(traces) == 1


def test_a_dead_network_has_jacobians_of_exact_zeros():
    params = variables_of(0)["params"]
    dead = {**params, "dense3": {"kernel": jnp.zeros((5, 3)), "bias": jnp.full(3, -0.1)}}
    found = swept(MODEL, {"params": dead}, jnp.array([1, 1, 0]), IMAGES, chunk=500)
    assert not found.singular_values.any()
    assert not found.layer_norms[:, 2].any() and not found.apjn[:, 2, :2].any()
    assert (found.apjn[:, 1, 0] > 0).all()


def test_a_broken_network_is_nan_and_an_empty_set_is_refused():
    broken = jax.tree.map(lambda leaf: leaf * jnp.nan, variables_of(0))
    assert jnp.isnan(swept(MODEL, broken, jnp.array([1, 1, 1]), IMAGES, chunk=500).singular_values).all()
    with pytest.raises(ValueError, match="0 examples"):
        probe(MODEL, variables_of(0), WHICH, IMAGES[:0])
    with pytest.raises(ValueError, match="chunk must be at least 1"):
        probe(MODEL, variables_of(0), WHICH, IMAGES, chunk=0)


def test_zero_inputs_have_the_jacobian_of_the_biases_alone():
    found = swept(MODEL, variables_of(0), WHICH, jnp.zeros((2, 6)))
    chain = chain_of(MODEL, variables_of(0), WHICH, jnp.zeros(6))
    whole = np.linalg.svd(probes.input_output(chain), compute_uv=False)
    np.testing.assert_allclose(found.singular_values, [whole, whole], rtol=1e-5, atol=1e-7)
    assert np.isfinite(found.apjn).all() and (found.singular_values[:, 0] > 0).all()


def test_nine_mnist_networks_at_a_thousand_images_need_less_than_4_gib():
    """What the compiled program asks for; nothing runs. All 9,000 layer Jacobians at once would be 14 GB."""
    model, which = MLP((500, 256, 10), ("relu", "sigmoid")), jnp.array([0, 1, 0])
    one = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros(784, jnp.float32), which)
    nine = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((9, *leaf.shape), jnp.float32), one)
    images = jax.ShapeDtypeStruct((1000, 784), jnp.float32)
    sweep = jax.jit(lambda many, images: jax.lax.map(lambda own: probe(model, own, which, images), many))
    memory = sweep.lower(nine, images).compile().memory_analysis()
    needed = memory.temp_size_in_bytes + memory.argument_size_in_bytes + memory.output_size_in_bytes
    assert 0.02 < needed / 2**30 < 4


def test_half_precision_is_decomposed_in_float32():
    """There is no decomposition in bfloat16: against NumPy in float64 on the rounded values."""
    matrix = jnp.asarray(np.random.default_rng(0).normal(size=(3, 5)), jnp.bfloat16)
    wanted = np.linalg.svd(np.asarray(matrix, np.float64), compute_uv=False)
    np.testing.assert_allclose(spectrum(matrix).singular_values, wanted, rtol=1e-5)
