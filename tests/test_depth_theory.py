"""Theory, chains, dead networks and training of stacks against closed forms, samples and NumPy in float64."""

import functools
import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import binom, norm

from jaxact import activations, depth, ensemble
from jaxact import meanfield as mf

NAMES = ("sigmoid", "tanh", "relu")
FEATURES, UNITS, CLASSES = 5, 7, 3
LABELS = jnp.array([0, 1, 2, 0, 1, 2, 0, 1, 2])
VALUES = {"sigmoid": expit, "tanh": np.tanh, "relu": lambda x: np.maximum(x, 0)}
SLOPES = {
    "sigmoid": lambda x: expit(x) * expit(-x),
    "tanh": lambda x: 1 - np.tanh(x) ** 2,
    "relu": lambda x: (x > 0).astype(float),
}


@pytest.fixture(scope="module")
def phis():
    return depth.Phis(NAMES)


@pytest.fixture(scope="module")
def images():
    return jnp.asarray(np.random.default_rng(0).normal(size=(9, FEATURES)), jnp.float32)


@pytest.mark.parametrize("name", [*mf.INITIALISERS, "critical"])
def test_drawn_variances_are_those_the_theory_uses(name):
    """Sample variances of 300 x 200 weights within 5 standard errors (kurtosis 3 bounds the laws used)."""
    fan_in, fan_out = 300, 200
    law = depth.critical_init(depth.mean_field_phi(activations.get("tanh")))[0] if name == "critical" else name
    expected = law if isinstance(law, mf.Init) else mf.initialiser(law, fan_in, fan_out)
    kernel, bias = depth.sample_layer(jax.random.key(0), law, fan_in, fan_out)
    error = 5 * math.sqrt(2 / kernel.size)
    assert float(np.var(kernel)) * fan_in == pytest.approx(expected.weight_variance, rel=error)
    assert float(np.var(bias)) == pytest.approx(expected.bias_variance, rel=5 * math.sqrt(2 / bias.size))


def test_wide_stacks_follow_the_mean_field():
    """Root mean square partial Jacobians of 24 tanh networks of width 400, within 5 standard errors."""
    width, layers, networks = 400, 8, 24
    entry, phis = activations.get("tanh"), depth.Phis(["tanh"])
    inits = (mf.Init(1.5, 0.05),) * layers
    x = jnp.ones(20)
    predicted = depth.predict(depth.mean_field_phi(entry), inits, 1.0)
    apjn = np.exp(predicted.log_apjn)

    @jax.jit
    @jax.vmap
    def logs_of(seed):
        stack = depth.init_stack(jax.random.key(seed), inits[0], 20, width, layers, 2)
        return depth.log_apjn(stack, phis, 0, x, jax.random.normal(jax.random.key(seed + 1000), (width,)))

    measured = np.exp(np.asarray(logs_of(np.arange(networks)), np.float64))[:, -1]
    error = measured.std(axis=0, ddof=1) / math.sqrt(networks)
    np.testing.assert_array_less(np.abs(measured.mean(0) - apjn[-1]), 5 * error)
    assert apjn[-1, 0] < 0.75  # so that the comparison is not one with 1


def test_theory_knows_the_reference_values():
    """REFERENCE values: χ of the sigmoid with PyTorch's weights, tanh's fixed point, the edge of chaos at q = 1."""
    sigmoid, tanh = (depth.mean_field_phi(activations.get(name)) for name in ("sigmoid", "tanh"))
    seen = depth.predict(sigmoid, (mf.Init(1 / 3, 0.0),) * 30, 1.0)
    assert seen.chi == pytest.approx(0.02000783, abs=1e-8)
    assert seen.gradient_scale == pytest.approx(-1 / math.log(0.02000783), rel=1e-6)
    assert seen.correlation_scale == pytest.approx(seen.gradient_scale, rel=1e-6)  # c* = 1 in the ordered phase
    assert depth.predict(tanh, (mf.Init(1.5, 0.05),) * 100, 1.0).chi == pytest.approx(0.93863627, abs=1e-7)
    law, q = depth.critical_init(tanh)
    assert q == 1 and law.weight_variance == pytest.approx(2.15330265, abs=1e-7)
    assert depth.predict(tanh, depth.layer_inits("he_normal", tanh, 8, 8, 30), 1.0).gradient_scale < 0
    assert math.isnan(depth.predict(tanh, (mf.Init(1.0, 0.0),) * 20, 1.0).correlation_scale)


@pytest.mark.parametrize("init", ["torch_default", "he_normal"])
@pytest.mark.parametrize("name", ["tanh", "relu"])
def test_theory_equals_that_of_a_general_stack(name, init):
    """`meanfield.predict_stack`, which integrates over two inputs and every layer anew."""
    phi = depth.mean_field_phi(activations.get(name))
    inits = depth.layer_inits(init, phi, 20, 30, 6)
    general = mf.predict_stack([phi] * 6, (20, *(30,) * 6), inits, 0.7, 0.3)
    ours = depth.predict(phi, inits, 0.7)
    np.testing.assert_allclose(ours.q, general.q, rtol=1e-12)
    np.testing.assert_allclose(np.exp(ours.log_apjn), general.apjn, rtol=1e-10)
    assert ours.chi == pytest.approx(general.chi[-1], rel=1e-12)


def test_theory_names_the_layer_where_it_ends():
    """x − tanh x, as NumPy computes it, loses its digits where the variance collapses."""
    phi = mf.Phi(lambda x: x - np.tanh(x), lambda x: np.tanh(x) ** 2)
    with pytest.raises(ValueError, match=r"layer \d, variance .*e-\d\d: .* converged to"):
        depth.predict(phi, (mf.Init(1.0, 0.0),) * 9, 1.0)
    with pytest.raises(ValueError, match="inits is empty"):
        depth.predict(phi, (), 1.0)


def test_the_sigmoid_has_an_edge_of_chaos_but_only_at_a_large_variance():
    """E[φ²] and E[φ'²] by an independent rule: 200,001 equidistant points over ±12 standard deviations."""
    law, q = depth.critical_init(depth.mean_field_phi(activations.get("sigmoid")))
    z = np.linspace(-12, 12, 200_001)
    density = norm.pdf(z) * (z[1] - z[0])
    assert q == 64
    assert law.weight_variance * np.sum(density * SLOPES["sigmoid"](8 * z) ** 2) == pytest.approx(1, rel=1e-8)
    assert law.weight_variance * np.sum(density * expit(8 * z) ** 2) + law.bias_variance == pytest.approx(64, rel=1e-8)
    with pytest.raises(ValueError, match="no edge of chaos for any q"):
        depth.critical_init(depth.mean_field_phi(activations.get("softplus")))


@pytest.mark.parametrize("law", list(depth.CHAIN_LAWS))
@pytest.mark.parametrize("which,name", list(enumerate(NAMES)))
def test_a_chain_multiplies_its_factors(phis, which, name, law):
    weights, biases = depth.draw_chain(jax.random.key(5), depth.CHAIN_LAWS[law], 12)
    logs = depth.chain_log_gradients(weights, biases, phis, which, jnp.float32(0.7))
    value, product = 0.7, 1.0
    for r, (w, b) in enumerate(zip(np.asarray(weights, np.float64), np.asarray(biases, np.float64), strict=True)):
        h = w * value + b
        value, product = float(VALUES[name](h)), product * abs(w * float(SLOPES[name](h)))
        assert math.exp(float(logs[r])) == pytest.approx(product, rel=1e-4, abs=1e-30)


def test_the_textbook_bound_holds_where_every_weight_is_at_most_one(phis):
    """|w| = 1 and U(−1, 1) never exceed 0.25^r; N(0, π/2), of mean 1, does in some chains but not in the mean."""
    chains, length = 4000, 10
    keys = jax.random.split(jax.random.key(0), chains)
    x = jax.random.normal(jax.random.key(1), (chains,))
    bound = depth.lipschitz_bound(0.25, length)
    assert bound == pytest.approx(9.536743e-7, rel=1e-6) == mf.sigmoid_attenuation_bound(length)
    seen = {}
    for law in ("unit", "torch_default", "unit_mean"):
        weights, biases = jax.vmap(lambda k, law=law: depth.draw_chain(k, depth.CHAIN_LAWS[law], length))(keys)
        one = lambda w, b, x: depth.chain_log_gradients(w, b, phis, 0, x)[-1]  # noqa: E731
        seen[law] = np.exp(np.asarray(jax.vmap(one)(weights, biases, x), np.float64)), np.abs(weights)
    np.testing.assert_allclose(seen["unit"][1], 1, rtol=1e-6)
    assert seen["unit"][0].max() <= bound * (1 + 1e-5) and seen["torch_default"][0].max() <= bound
    gradient, size = seen["unit_mean"]
    assert float(size.mean()) == pytest.approx(1, abs=5 * float(size.std()) / math.sqrt(size.size))
    assert (gradient > bound).any() and gradient.mean() <= bound


def test_bad_bounds_are_refused():
    for slope, length in ((-1.0, 3), (float("nan"), 3), (1.0, -1)):
        with pytest.raises(ValueError, match="must both be at least 0"):
            depth.lipschitz_bound(slope, length)


@jax.jit
@functools.partial(jax.vmap, in_axes=(0, None, None))
def dead_networks(key, inputs, width):
    """Nine layers; the width is an argument, up to 10."""
    return depth.dead_by_depth(key, inputs, width, 9, drawn=10)


@pytest.mark.parametrize("width,reference", [(2, 0.924915), (4, 0.440575), (10, 0.00875481)])
def test_dead_relu_networks_are_as_many_as_the_closed_form_says(width, reference):
    """Binomial limits of 2e-6 on either side; also: once dead always dead, whatever the size of the input."""
    networks = 3000
    keys = jax.random.split(jax.random.key(width), networks)
    inputs = np.array([[0.3, -1.0, 2.0], [1.0, 1.0, -0.5]], np.float32)
    dead = np.asarray(dead_networks(keys, inputs, width))
    low, high = binom.ppf([2e-6, 1 - 2e-6], networks, reference)
    assert low <= dead[:, -1, 0].sum() <= high and low <= dead[:, -1, 1].sum() <= high
    assert dead[:, -1].all(axis=1).sum() < dead[:, -1, 0].sum()
    assert np.all(dead[:, 1:] >= dead[:, :-1])
    np.testing.assert_array_equal(dead, dead_networks(keys, 1e6 * inputs, width))
    assert dead[:, 0, 0].sum() == pytest.approx(networks * 2.0**-width, abs=5 * math.sqrt(networks * 2.0**-width))


def test_units_drawn_beyond_the_width_count_for_nothing():
    """The same first layer of 4 units: alone, and as the first 4 of 10 where the others are the only ones alive."""
    keys = jax.random.split(jax.random.key(9), 200)
    one = jnp.ones((1, 1))
    kernels = np.stack([jax.random.normal(jax.random.split(key, 9)[0], (1, 10))[0] for key in keys])
    expected = (kernels[:, :4] <= 0).all(axis=1)
    np.testing.assert_array_equal(dead_networks(keys, one, 4)[:, 0, 0], expected)
    assert (kernels[expected, 4:] > 0).any()
    assert depth.dead_by_depth(keys[0], one, 4, 1).shape == (1, 1)


@pytest.mark.slow
def test_training_equals_gradient_descent_in_numpy(images):
    """Three full-batch steps of a tanh network with one hidden layer, in float64."""
    phis = depth.Phis(["tanh"])
    stack = depth.init_stack(jax.random.key(2), "lecun_normal", FEATURES, UNITS, 1, CLASSES)
    member = jax.jit(depth.make_member(phis, 3, len(images), 4))
    outcome = member(stack, 0, 0.5, 0, images, LABELS, images, LABELS)
    w, b, _, _, v, c = (np.asarray(leaf, np.float64) for leaf in stack)
    losses = []
    inputs, labels = np.asarray(images, np.float64), np.asarray(LABELS)
    for _ in range(3):
        x = np.tanh(inputs @ w + b)
        logits = x @ v + c
        p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        losses.append(-np.log(p[np.arange(9), labels]).mean())
        right = (logits.argmax(1) == labels).mean()
        delta = (p - np.eye(CLASSES)[labels]) / len(images)
        back = delta @ v.T * (1 - x**2)
        w, b, v, c = w - 0.5 * inputs.T @ back, b - 0.5 * back.sum(0), v - 0.5 * x.T @ delta, c - 0.5 * delta.sum(0)
    np.testing.assert_allclose(outcome.loss, losses, rtol=1e-5)
    assert float(outcome.train_accuracy) == pytest.approx(right)
    trained = ((np.tanh(inputs @ w + b) @ v + c).argmax(1) == labels).mean()
    assert float(outcome.test_accuracy) == pytest.approx(trained)
    end = depth.Stack(*(jnp.asarray(leaf, jnp.float32) for leaf in (w, b, *stack[2:4], v, c)))
    for state, seen in ((stack, outcome.before), (end, outcome.after)):
        expected = depth.profile(state, phis, 0, images[:4], LABELS[:4])
        chex.assert_trees_all_close(seen, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_members_train_alone_as_in_a_batch(images):
    """Shuffled batches, two learning rates, over a mesh by either strategy; the activation is picked by data."""
    phis = depth.Phis(["relu", "tanh"])
    stacks = jax.vmap(lambda s: depth.init_stack(jax.random.key(s), "he_normal", FEATURES, UNITS, 3, CLASSES))(
        np.arange(4)
    )
    member = depth.make_member(phis, 2, 3, 4)
    rates, seeds = np.array([0.1, 0.2, 0.1, 0.2], np.float32), np.arange(4)
    data = images, LABELS, images, LABELS
    alone = jax.jit(member)(jax.tree.map(lambda leaf: leaf[3], stacks), 1, rates[3], seeds[3], *data)
    for strategy in ("map", "vmap"):
        shared = (False, True, False, False, True, True, True, True)
        run = ensemble.over_members(member, ensemble.make_mesh(2), strategy, shared)
        batch = run(stacks, np.int32(1), rates, seeds, *data)
        chex.assert_trees_all_close(jax.tree.map(lambda leaf: leaf[3], batch), alone, rtol=1e-4, atol=1e-5)
        assert len(np.unique(np.asarray(batch.loss)[:, -1])) == 4


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="depth must be at least 1, got 0"):
        depth.init_stack(jax.random.key(0), "he_normal", 3, 4, 0, 2)
    with pytest.raises(ValueError, match="did you mean 'orthogonal'"):
        depth.layer_inits("ortogonal", depth.mean_field_phi(activations.get("tanh")), 3, 4, 2)
    with pytest.raises(ValueError, match="acts along an axis"):
        depth.Phis(["relu", "softmax"])
    with pytest.raises(ValueError, match="names is empty"):
        depth.Phis([])
