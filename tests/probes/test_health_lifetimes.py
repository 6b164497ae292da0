"""Turning points of units against a plain loop; interval certificates against enumeration; coherence by hand."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from jaxact.probes import NEVER, gradient_coherence, interval_certificate, lifetimes

HISTORY = np.array(
    [  # always alive, always dead, dies, born dead, dies and revives, flickers
        [0, 1, 0, 1, 0, 0],
        [0, 1, 0, 1, 1, 1],
        [0, 1, 1, 0, 1, 0],
        [0, 1, 1, 0, 0, 1],
    ],
    bool,
)


def by_loop(dead):
    epochs, units = dead.shape
    turns = np.full((3, units), NEVER)
    per_epoch = np.zeros((3, epochs), int)
    for unit in range(units):
        was, lived = True, False
        for epoch in range(epochs):
            now = dead[epoch, unit]
            if was and not now:
                kind = 2 if lived else 0
                per_epoch[kind, epoch] += 1
                if turns[kind, unit] == NEVER:
                    turns[kind, unit] = epoch
                lived = True
            if not was and now:
                per_epoch[1, epoch] += 1
                if turns[1, unit] == NEVER:
                    turns[1, unit] = epoch
            was = now
    return (*turns, *per_epoch)


def test_the_turning_points_of_six_lives():
    found = lifetimes(jnp.asarray(HISTORY))
    assert found.birth.tolist() == [0, NEVER, 0, 2, 0, 0]
    assert found.death.tolist() == [NEVER, NEVER, 2, NEVER, 1, 1]
    assert found.revival.tolist() == [NEVER, NEVER, NEVER, NEVER, 3, 2]
    assert found.births.tolist() == [4, 0, 1, 0]
    assert found.deaths.tolist() == [0, 2, 1, 1]
    assert found.revivals.tolist() == [0, 0, 1, 1]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=1, max_size=6))
def test_any_history_equals_a_plain_loop(rows):
    dead = np.array(rows)
    chex.assert_trees_all_equal(tuple(lifetimes(jnp.asarray(dead))), by_loop(dead))


def test_lifetimes_jitted_and_vmapped_over_seeds():
    seeds = np.stack([HISTORY, HISTORY[::-1]])
    for found in (jax.vmap(lifetimes)(jnp.asarray(seeds)), jax.jit(jax.vmap(lifetimes))(jnp.asarray(seeds))):
        chex.assert_trees_all_equal(jax.tree.map(lambda leaf: leaf[1], tuple(found)), by_loop(seeds[1]))


def test_an_empty_history_is_refused():
    with pytest.raises(ValueError, match="0 epochs"):
        lifetimes(jnp.zeros((0, 4), bool))


KERNEL = np.array([[1.0, -1.0, 1.0, 0.0, 2.0], [1.0, -2.0, -1.0, 0.0, -3.0]])
BIAS = np.array([0.0, 0.0, 0.5, 0.0, -2.0])


def test_the_certificate_behind_a_sigmoid_by_hand():
    found = interval_certificate(jnp.asarray(KERNEL), jnp.asarray(BIAS))
    np.testing.assert_array_equal(found.highest, [2, 0, 1.5, 0, 0])
    np.testing.assert_array_equal(found.lowest, [0, -3, -0.5, 0, -5])
    assert found.dead.tolist() == [False, True, False, True, True]
    assert found.alive.tolist() == [True, False, False, False, False]


def test_the_certificate_holds_for_every_sigmoid_and_its_bounds_are_approached():
    rng = np.random.default_rng(0)
    kernel, bias = rng.normal(size=(4, 300)), rng.normal(size=300) * 2
    with jax.enable_x64(True):
        found = jax.jit(interval_certificate)(jnp.asarray(kernel), jnp.asarray(bias))
    assert 20 < int(found.dead.sum()) < 280 and int(found.alive.sum()) > 5
    inputs = expit(rng.normal(size=(20_000, 4)) * 20)
    h = inputs @ kernel + bias
    assert (h[:, np.asarray(found.dead)] <= 0).all() and (h[:, np.asarray(found.alive)] > 0).all()
    corners = np.array(np.meshgrid(*[[0, 1]] * 4)).reshape(4, 16).T @ kernel + bias
    np.testing.assert_allclose(found.highest, corners.max(0), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(found.lowest, corners.min(0), rtol=1e-12, atol=1e-14)
    undecided = ~np.asarray(found.dead | found.alive)
    assert ((corners[:, undecided] > 0).any(0) & (corners[:, undecided] < 0).any(0)).all()


def test_intervals_of_other_activations():
    kernel, bias = jnp.array([[1.0, -1.0, 0.0], [2.0, -1.0, 0.0]]), jnp.array([-1.0, 0.0, 0.5])
    tanh = interval_certificate(kernel, bias, -1.0, 1.0)
    np.testing.assert_array_equal(tanh.highest, [2, 2, 0.5])
    np.testing.assert_array_equal(tanh.lowest, [-4, -2, 0.5])
    relu = interval_certificate(kernel, bias, 0.0, np.inf)
    assert relu.dead.tolist() == [False, True, False] and relu.alive.tolist() == [False, False, True]
    np.testing.assert_array_equal(relu.highest, [np.inf, 0, 0.5])
    with pytest.raises(ValueError, match=r"the interval \(1.0, 0.0\) is empty"):
        interval_certificate(kernel, bias, 1.0, 0.0)


def test_certificates_of_seeds_vmapped():
    stacked = jnp.stack([jnp.asarray(KERNEL), -jnp.asarray(KERNEL)])
    found = jax.vmap(interval_certificate, in_axes=(0, None))(stacked, jnp.asarray(BIAS))
    chex.assert_trees_all_close(
        jax.tree.map(lambda leaf: leaf[1], found), interval_certificate(stacked[1], jnp.asarray(BIAS))
    )


def test_coherence_by_hand():
    gradient = jnp.array([[1.0, 1.0, 0.0, 0.0], [2.0, -1.0, 0.0, -3.0], [3.0, 1.0, 0.0, 0.0]])
    for found in (gradient_coherence(gradient), jax.jit(gradient_coherence)(gradient)):
        np.testing.assert_allclose(found, [1, 2 / 3, 0, 1], rtol=1e-6)
    np.testing.assert_allclose(jax.vmap(gradient_coherence)(gradient[None])[0], [1, 2 / 3, 0, 1], rtol=1e-6)
