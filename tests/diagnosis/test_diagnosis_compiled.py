"""A new function for the same network compiles nothing, and nothing is taken for equal that is not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxact
from jaxact.diagnosis.compiled import shared

X = jnp.asarray(np.random.default_rng(0).normal(size=(40, 4)), jnp.float32)
WEIGHTS = [jnp.asarray(np.random.default_rng(1).normal(size=shape), jnp.float32) for shape in ((4, 6), (6, 3))]


@pytest.fixture
def compilations():
    """How often XLA is asked to compile, or to load from its cache."""
    seen = []

    def listen(event, duration, **about):
        if event == "/jax/core/compile/backend_compile_duration":
            seen.append(duration)

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield seen
    jax.monitoring.unregister_event_duration_listener(listen)


def test_a_new_lambda_for_the_same_network_compiles_nothing(compilations):
    first = jaxact.diagnose(lambda w, x: jax.nn.relu(x @ w[0]) @ w[1], WEIGHTS, X)
    assert len(compilations) >= 5
    compilations.clear()
    again = jaxact.diagnose(lambda w, x: jax.nn.relu(x @ w[0]) @ w[1], WEIGHTS, X)
    assert not compilations and again.as_dict() == first.as_dict()
    other = jaxact.diagnose(lambda w, x: jax.nn.relu(x @ w[0] - 99) @ w[1], WEIGHTS, X)
    assert other.layer("0").dead == 1 and compilations


def test_equal_programs_are_shared_and_others_are_not(compilations):
    def scaled(by):
        return shared(lambda leaves, x: {"value": leaves[0] @ x * by})

    x = jnp.ones(6)
    np.testing.assert_allclose(scaled(2.0)(WEIGHTS, x)["value"], 2 * WEIGHTS[0] @ x, rtol=1e-6)
    compilations.clear()
    scaled(2.0)(WEIGHTS, x)
    assert not compilations
    np.testing.assert_allclose(scaled(3.0)(WEIGHTS, x)["value"], 3 * WEIGHTS[0] @ x, rtol=1e-6)
    big = np.random.default_rng(2).normal(size=(64, 64)).astype(np.float32)
    for sign in (1, -1):  # a constant that differs in one entry
        constant = big.copy()
        constant[40, 40] *= sign
        result = shared(lambda x, constant=constant: constant @ x)(jnp.ones(64))
        np.testing.assert_allclose(result, constant.sum(1), rtol=1e-4, atol=1e-4)


def test_which_of_two_alike_arguments_is_used_and_what_results_are_called_are_not_confused():
    pair = [jnp.zeros(3), jnp.ones(3)]
    assert shared(lambda pair: pair[0])(pair).sum() == 0 and shared(lambda pair: pair[1])(pair).sum() == 3
    assert [*shared(lambda pair: {"a": pair[0]})(pair)] == ["a"] and [*shared(lambda pair: {"b": pair[0]})(pair)] == [
        "b"
    ]
    both = shared(lambda x: x * 2)
    assert both(jnp.ones(2)).shape == (2,) and both(jnp.ones(3)).shape == (3,)
