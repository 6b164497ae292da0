"""Loss and scores against SciPy and NumPy in float64, eager, jitted and vmapped."""

import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_softmax

from jaxact import metrics


@pytest.fixture(scope="module")
def scores():
    rng = np.random.default_rng(0)
    return rng.normal(scale=5, size=(50, 10)), rng.integers(0, 10, 50)


def test_cross_entropy_equals_scipy(scores):
    logits, labels = scores
    expected = -log_softmax(logits, axis=1)[np.arange(50), labels]
    with jax.enable_x64(True):
        batched = jax.vmap(metrics.cross_entropy)
        np.testing.assert_allclose(batched(jnp.array(logits), jnp.array(labels)), expected, rtol=1e-12)
        np.testing.assert_allclose(jax.jit(batched)(jnp.array(logits), jnp.array(labels)), expected, rtol=1e-12)
        alone = metrics.cross_entropy(jnp.array(logits[7]), jnp.array(labels[7]))
        assert alone == pytest.approx(expected[7], rel=1e-12)


def test_cross_entropy_gradient_is_softmax_minus_one_hot(scores):
    logits, labels = scores
    with jax.enable_x64(True):
        gradient = jax.vmap(jax.grad(metrics.cross_entropy))(jnp.array(logits), jnp.array(labels))
    np.testing.assert_allclose(gradient, np.exp(log_softmax(logits, axis=1)) - np.eye(10)[labels], atol=1e-14)


def test_cross_entropy_of_equal_logits_is_exactly_ln_10():
    for logit in (0.0, -3.0, 1e30):
        loss = metrics.cross_entropy(jnp.full(10, logit), jnp.array(4))
        assert float(loss) == float(np.float32(math.log(10)))


@pytest.mark.parametrize(("logits", "loss"), [([1e4, 0, 0], 1e4), ([0, 1e4, 0], 0), ([-1e4, 0, -1e4], 0)])
def test_cross_entropy_does_not_overflow(logits, loss):
    assert float(metrics.cross_entropy(jnp.array(logits, jnp.float32), jnp.array(1))) == loss


def test_cross_entropy_of_a_diverged_network_is_nan():
    assert np.isnan(metrics.cross_entropy(jnp.array([0.0, jnp.nan]), jnp.array(0)))
    assert np.isnan(metrics.cross_entropy(jnp.array([0.0, jnp.inf]), jnp.array(1)))


@pytest.mark.parametrize(
    ("logits", "expected"),
    [([0.0, 0, 0], 0), ([0.0, 2, 2], 1), ([-1.0, -2, -0.5], 2), ([0.0, math.nan, 5], 1), ([math.nan] * 3, 0)],
)
def test_prediction_takes_the_lowest_index_of_ties_and_nans(logits, expected):
    assert int(metrics.prediction(jnp.array(logits))) == expected
    assert bool(metrics.is_correct(jnp.array(logits), jnp.array(expected)))
    assert not bool(metrics.is_correct(jnp.array(logits), jnp.array((expected + 1) % 3)))


def test_predictions_equal_numpy_jitted_and_vmapped(scores):
    logits, labels = scores
    expected = logits.astype(np.float32).argmax(axis=1)
    found = jax.jit(jax.vmap(metrics.prediction))(jnp.array(logits))
    chex.assert_trees_all_equal(np.asarray(found), expected.astype(found.dtype))
    right = jax.vmap(metrics.is_correct)(jnp.array(logits), jnp.array(labels))
    np.testing.assert_array_equal(right, expected == labels)


def test_recall_is_correct_over_support():
    support = jnp.array([980, 1135, 4, 0])
    correct = jnp.array([[980, 0, 1, 0], [49, 227, 4, 0]])
    expected = [[1.0, 0.0, 0.25, np.nan], [0.05, 0.2, 1.0, np.nan]]
    np.testing.assert_allclose(metrics.recall(correct, support), expected, rtol=1e-6)
    np.testing.assert_allclose(jax.jit(metrics.recall)(correct, support), expected, rtol=1e-6)
    np.testing.assert_allclose(jax.vmap(metrics.recall, (0, None))(correct, support), expected, rtol=1e-6)


@pytest.mark.parametrize("n", [1, 127, 128, 129, 10_000, 60_000])
def test_a_total_is_numpys_in_float64_but_for_the_last_digit(n):
    losses = np.random.default_rng(n).exponential(size=n).astype(np.float32)
    expected = losses.astype(np.float64).sum()
    for sum_of in (metrics.total, jax.jit(metrics.total)):
        assert float(sum_of(jnp.asarray(losses))) == pytest.approx(expected, rel=1e-6)
    assert jax.vmap(metrics.total)(jnp.stack([losses, 2 * losses])) == pytest.approx([expected, 2 * expected], rel=1e-6)
    assert float(metrics.total(jnp.full(n, math.log(10)))) == pytest.approx(n * math.log(10), rel=5e-7)
