"""Batch norm with PyTorch's semantics, against numbers worked by hand and against NumPy float64."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from jaxact.models import MLP, TorchBatchNorm

ROOT = math.sqrt(1 + 1e-5)


def stats_of(variables):
    return {name: value.tolist() for name, value in variables["batch_stats"].items()}


def test_one_step_worked_by_hand():
    # Batch 1, 3: mean 2, biased variance 1, unbiased variance 2.
    norm, x = TorchBatchNorm(), jnp.array([[1.0], [3.0]])
    variables = norm.init(jax.random.key(0), x)
    assert stats_of(variables) == {"mean": [0.0], "var": [1.0]}
    out, updated = norm.apply(variables, x, train=True, mutable=["batch_stats"])
    np.testing.assert_allclose(out, [[-1 / ROOT], [1 / ROOT]], rtol=1e-6)
    np.testing.assert_allclose(updated["batch_stats"]["mean"], [0.1 * 2], rtol=1e-6)
    np.testing.assert_allclose(updated["batch_stats"]["var"], [0.9 * 1 + 0.1 * 2], rtol=1e-6)
    tested = norm.apply({**variables, **updated}, x)
    np.testing.assert_allclose(tested, [[0.8 / math.sqrt(1.1 + 1e-5)], [2.8 / math.sqrt(1.1 + 1e-5)]], rtol=1e-6)


@pytest.mark.parametrize("shape", [(16, 5), (4, 3, 3, 5)], ids=["dense", "images"])
def test_several_steps_and_evaluation_equal_numpy(shape):
    rng = np.random.default_rng(0)
    norm = TorchBatchNorm(momentum=0.3, epsilon=1e-3)
    scale, bias, mean, var = rng.normal(size=5), rng.normal(size=5), np.zeros(5), np.ones(5)
    step = jax.jit(lambda variables, x: norm.apply(variables, x, train=True, mutable=["batch_stats"]))
    with jax.enable_x64(True):
        stats = {"mean": jnp.asarray(mean), "var": jnp.asarray(var)}
        variables = {"params": {"scale": jnp.asarray(scale), "bias": jnp.asarray(bias)}, "batch_stats": stats}
        for _ in range(4):
            x = rng.normal(2, 3, size=shape)
            rows = x.reshape(-1, 5)
            out, updated = step(variables, jnp.asarray(x))
            expected = scale * (x - rows.mean(0)) / np.sqrt(rows.var(0) + 1e-3) + bias
            np.testing.assert_allclose(out, expected, rtol=1e-10, atol=1e-12)
            mean, var = 0.7 * mean + 0.3 * rows.mean(0), 0.7 * var + 0.3 * rows.var(0, ddof=1)
            np.testing.assert_allclose(updated["batch_stats"]["mean"], mean, rtol=1e-12)
            np.testing.assert_allclose(updated["batch_stats"]["var"], var, rtol=1e-12)
            variables = variables | updated
        x = rng.normal(2, 3, size=shape)
        tested = norm.apply(variables, jnp.asarray(x))
        np.testing.assert_allclose(tested, scale * (x - mean) / np.sqrt(var + 1e-3) + bias, rtol=1e-10, atol=1e-12)
        alone = norm.apply(variables, jnp.asarray(x.reshape(-1, 5)[0]))
        np.testing.assert_allclose(alone, tested.reshape(-1, 5)[0], rtol=1e-12)


def test_gradients_equal_finite_differences():
    norm, rng = TorchBatchNorm(), np.random.default_rng(1)
    with jax.enable_x64(True):
        x, weights = jnp.asarray(rng.normal(size=(6, 3))), jnp.asarray(rng.normal(size=(6, 3)))
        stats = norm.init(jax.random.key(0), x)["batch_stats"]

        @jax.jit
        def objective(params, x):
            out, _ = norm.apply({"params": params, "batch_stats": stats}, x, train=True, mutable=["batch_stats"])
            return (weights * out).sum()

        params = {"scale": jnp.asarray(rng.normal(size=3)), "bias": jnp.asarray(rng.normal(size=3))}
        check_grads(objective, (params, x), order=1, modes=["rev"], rtol=1e-6, atol=1e-6)


def test_a_batch_of_one_is_refused_in_training_only():
    norm, x = TorchBatchNorm(), jnp.ones((1, 3))
    variables = norm.init(jax.random.key(0), x)
    with pytest.raises(ValueError, match="got 1 example.* at least 2"):
        norm.apply(variables, x, train=True, mutable=["batch_stats"])
    np.testing.assert_allclose(norm.apply(variables, x), np.ones((1, 3)) / ROOT, rtol=1e-6)


def test_the_network_normalises_the_layers_it_is_told_to():
    model, x = MLP((7, 5, 3), ("tanh",), batch_norm=(2, 3)), jnp.asarray(np.random.default_rng(2).normal(size=(40, 6)))
    variables = model.init(jax.random.key(0), x[0], jnp.zeros(3, int))
    assert sorted(variables["batch_stats"]) == ["norm2", "norm3"]
    (_, hidden), updated = model.apply(variables, x, jnp.zeros(3, int), train=True, mutable=["batch_stats"])
    for layer in ("layer2", "layer3"):  # what the activation receives is the normalised batch
        np.testing.assert_allclose(hidden[layer].mean(0), 0, atol=1e-6)
        np.testing.assert_allclose(hidden[layer].var(0), 1, atol=2e-3)
    assert np.abs(hidden["layer1"].mean(0)).max() > 0.01
    assert not np.array_equal(updated["batch_stats"]["norm2"]["mean"], variables["batch_stats"]["norm2"]["mean"])
