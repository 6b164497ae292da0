"""Gradient norms against NumPy's chain rule and finite differences; attenuation against its bounds."""

import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles.numpy_activations import PHIS
from oracles.numpy_network import forward, layers_of, loss_and_gradients, toy

from jaxact import metrics, probes, theory
from jaxact.models import MLP
from jaxact.probes import attenuation, loss_gradients, mlp_network

STUDY = ("relu", "tanh", "sigmoid", "selu")
MODEL = MLP((7, 5, 3), STUDY)
DATA = toy()
IMAGES, LABELS = jnp.asarray(DATA.train_images), jnp.asarray(DATA.train_labels)
PARAMS = MODEL.init(jax.random.key(3), jnp.zeros(6), jnp.zeros(3, int))["params"]


def gradients(params, which, images=IMAGES, labels=LABELS, chunk=1000):
    return loss_gradients(lambda p: mlp_network(MODEL, {"params": p}, which), params, images, labels, chunk=chunk)


jitted = jax.jit(gradients, static_argnames="chunk")


def numpy_deltas(layers, phis, x, labels):
    """∂ℓ_n/∂h_n of every layer, [examples, units] each, by the chain rule in float64."""
    hidden, outputs = forward(layers, phis, x)
    exponentials = np.exp(outputs[-1] - outputs[-1].max(axis=1, keepdims=True))
    by_output = exponentials / exponentials.sum(axis=1, keepdims=True) - np.eye(3)[labels]
    deltas = []
    for i in (2, 1, 0):
        deltas.insert(0, by_output * phis[i].df(hidden[i]))
        by_output = deltas[0] @ layers[i][0].T
    return deltas


@pytest.mark.parametrize(
    "which", [(0, 2, 0), (1, 2, 3), (2, 0, 1)], ids=lambda which: "-".join(STUDY[i] for i in which)
)
def test_gradients_by_pre_activations_and_parameters_equal_numpy(which):
    found = jitted(PARAMS, jnp.array(which))
    phis, layers = [PHIS[STUDY[i]] for i in which], layers_of(PARAMS)
    loss, by_params = loss_and_gradients(layers, phis, DATA.train_images, DATA.train_labels)
    assert float(found.loss) == pytest.approx(loss, rel=1e-6)
    deltas = numpy_deltas(layers, phis, DATA.train_images, DATA.train_labels)
    np.testing.assert_allclose(found.layers, [math.sqrt((d**2).sum(1).mean()) for d in deltas], rtol=1e-5)
    norms = layers_of(probes.norms(found.params))
    for parts, found_norms in zip(by_params, norms, strict=True):
        for part, norm in zip(parts, found_norms, strict=True):
            assert float(norm) == pytest.approx(np.linalg.norm(part), rel=1e-4)


def test_neither_chunks_nor_vmapping_over_seeds_matter():
    model, which = MLP((7, 5, 3), ("tanh", "relu")), jnp.array([0, 1, 0])

    def of_seed(params, chunk):
        def network_of(p):
            return mlp_network(model, {"params": p}, which)

        return loss_gradients(network_of, params, IMAGES, LABELS, chunk=chunk)

    alone = jax.jit(of_seed, static_argnums=1)
    stacked = jax.tree.map(lambda leaf: jnp.stack([leaf, 0.5 * leaf]), PARAMS)
    together = jax.jit(jax.vmap(lambda params: of_seed(params, 7)))(stacked)
    for seed in (0, 1):
        params = jax.tree.map(lambda leaf, seed=seed: leaf[seed], stacked)
        chunked = jax.tree.map(lambda leaf, seed=seed: leaf[seed], together)
        chex.assert_trees_all_close(chunked, alone(params, 40), rtol=1e-4, atol=1e-7)


def test_batch_norm_gradients_run_through_the_statistics_of_the_full_batch():
    model, which = MLP((7, 5, 3), ("tanh",), (1, 2)), jnp.zeros(3, int)
    with jax.enable_x64(True):
        variables = jax.tree.map(
            lambda leaf: jnp.asarray(leaf, jnp.float64), model.init(jax.random.key(2), jnp.zeros(6), which)
        )
        images, stats = jnp.asarray(DATA.train_images, jnp.float64), variables["batch_stats"]

        def network_of(params):
            return mlp_network(model, {"params": params, "batch_stats": stats}, which, train=True)

        def mean_loss(params):
            all_variables = {"params": params, "batch_stats": stats}
            (logits, _), _ = model.apply(all_variables, images, which, train=True, mutable=["batch_stats"])
            return jax.vmap(metrics.cross_entropy)(logits, LABELS).mean()

        found = jax.jit(lambda p: loss_gradients(network_of, p, images, LABELS))(variables["params"])
        loss, wanted = jax.jit(jax.value_and_grad(mean_loss))(variables["params"])

        @jax.jit
        def shifted(shift):
            logits, _ = network_of(variables["params"])(images, {"layer1": shift})
            return jax.vmap(metrics.cross_entropy)(logits, LABELS).sum()

        steps = 1e-5 * np.eye(40 * 7).reshape(40 * 7, 40, 7)
        differences = [float(shifted(jnp.asarray(e)) - shifted(jnp.asarray(-e))) / 2e-5 for e in steps]
        frozen = jax.jit(lambda v: probes.full_batch_statistics(model, v, which, images))(variables)

        def held_constant(params):
            return mlp_network(model, {**frozen, "params": params}, which)

        held = jax.jit(lambda p: loss_gradients(held_constant, p, images, LABELS))(variables["params"])
    chex.assert_trees_all_close(found.params, wanted, rtol=1e-9, atol=1e-12)
    assert float(found.loss) == pytest.approx(float(loss), rel=1e-12) == pytest.approx(float(held.loss), rel=1e-9)
    assert float(found.layers[0]) == pytest.approx(np.sqrt(np.sum(np.square(differences)) / 40), rel=1e-7)
    # A bias before batch norm cannot change anything, unless the statistics are held constant.
    assert np.abs(found.params["dense1"]["bias"]).max() < 1e-12
    assert np.abs(held.params["dense1"]["bias"]).max() > 1e-3


@pytest.mark.parametrize("depth", [2, 11])
def test_a_chain_of_sigmoids_keeps_the_textbooks_bound(depth):
    model, which = MLP((1,) * depth, ("sigmoid",)), jnp.zeros(depth, int)
    rng = np.random.default_rng(depth)
    weights, biases = rng.choice([-1.0, 1.0], depth), rng.normal(size=depth)
    params = {
        f"dense{i}": {"kernel": jnp.full((1, 1), weights[i - 1]), "bias": jnp.full(1, biases[i - 1])}
        for i in range(1, depth + 1)
    }
    found = loss_gradients(
        lambda p: mlp_network(model, {"params": p}, which),
        params,
        jnp.ones((1, 1)),
        jnp.zeros(1, int),
        loss=lambda logits, _: 3 * logits[0],
    )
    limits = attenuation(found.layers, jnp.full(depth, 0.25), jnp.abs(jnp.asarray(weights, jnp.float32)))
    x, slopes = 1.0, []
    for w, b in zip(weights, biases, strict=True):
        x = 1 / (1 + math.exp(-(w * x + b)))
        slopes.append(x * (1 - x))
    products = [math.prod(slopes[i : depth - 1]) for i in range(depth)]
    np.testing.assert_allclose(limits.total, products, rtol=1e-4)
    np.testing.assert_allclose(
        limits.step, [p / q for p, q in zip(products[:-1], products[1:], strict=True)], rtol=1e-4
    )
    bounds = [theory.sigmoid_attenuation_bound(depth - 1 - i) for i in range(depth)]
    np.testing.assert_allclose(limits.slope_bound, bounds, rtol=1e-6)
    np.testing.assert_allclose(limits.bound, bounds, rtol=1e-6)
    assert (np.asarray(limits.total) <= np.asarray(bounds)).all()
    assert depth == 2 or float(limits.slope_bound[0]) == pytest.approx(9.536743e-7, rel=1e-6)


@pytest.mark.parametrize("batch_norm", [(), (1, 2)])
def test_no_gradient_exceeds_the_bound_of_its_kernels(batch_norm):
    model, which = MLP((7, 5, 3), STUDY, batch_norm, "he_normal"), jnp.array([3, 2, 0])
    steepest = jnp.array([probes.nonlinearity(STUDY[i]).steepest for i in which])

    @jax.jit
    def measured(seed):
        variables = model.init(jax.random.key(seed), jnp.zeros(6), which)
        frozen = probes.full_batch_statistics(model, variables, which, IMAGES)
        found = loss_gradients(
            lambda params: mlp_network(model, {**frozen, "params": params}, which), frozen["params"], IMAGES, LABELS
        )
        kernels = [affine.kernel for affine in probes.mlp_affine(model, frozen)]
        norms = jnp.stack([probes.spectral_norm(kernel) for kernel in kernels])
        return attenuation(found.layers, steepest, norms), kernels

    for seed in range(5):
        limits, kernels = measured(seed)
        norms = [np.linalg.norm(np.asarray(kernel, float), 2) for kernel in kernels]
        wanted = [1.7580993408473766 * 0.25 * norms[1] * norms[2], 0.25 * norms[2], 1]
        np.testing.assert_allclose(limits.bound, wanted, rtol=1e-5)
        assert (np.asarray(limits.total) <= np.asarray(limits.bound) * (1 + 1e-5)).all()


def test_a_dead_output_has_a_loss_of_ln_classes_exactly_no_gradient_and_no_attenuation():
    model, which = MLP((7, 5, 10), ("tanh", "sigmoid", "relu")), jnp.arange(3)
    params = {**PARAMS, "dense3": {"kernel": jnp.zeros((5, 10)), "bias": jnp.full(10, -0.1)}}
    found = jax.jit(
        lambda params: loss_gradients(lambda p: mlp_network(model, {"params": p}, which), params, IMAGES, LABELS)
    )(params)
    assert float(found.loss) == pytest.approx(math.log(10), rel=1e-6)
    assert not found.layers.any()
    assert not any(leaf.any() for leaf in jax.tree.leaves(found.params))
    assert jnp.isnan(attenuation(found.layers, jnp.ones(3), jnp.ones(3)).total).all()


def test_mismatched_labels_and_empty_sets_are_refused():
    with pytest.raises(ValueError, match="40 images but 39 labels"):
        gradients(PARAMS, jnp.zeros(3, int), IMAGES, LABELS[1:])
    with pytest.raises(ValueError, match="0 examples"):
        gradients(PARAMS, jnp.zeros(3, int), IMAGES[:0], LABELS[:0])


def test_a_batched_network_keeps_the_order_of_its_layers():
    """`jax.vmap` sorts names: layers called z and a by the order of computation, gradients by an added shift."""
    first, last = (jnp.asarray(np.random.default_rng(seed).normal(size=(3, 3)), jnp.float32) for seed in (0, 1))
    images, labels = jnp.asarray(np.random.default_rng(2).normal(size=(5, 3)), jnp.float32), jnp.arange(5) % 3

    def network(x, shifts):
        h = x @ first + shifts.get("z", 0)
        logits = jnp.tanh(h) @ last + shifts.get("a", 0)
        return logits, {"z": h, "a": logits}

    def losses(shift, last_shift):
        logits = jnp.tanh(images @ first + shift) @ last + last_shift
        return (jax.nn.logsumexp(logits, axis=1) - logits[jnp.arange(5), labels]).sum()

    batch = probes.batched(network)
    assert list(probes.no_perturbation(batch, images)) == ["z", "a"] == list(batch(images, {})[1])
    found = loss_gradients(lambda _: batch, (), images, labels, chunk=2)
    wanted = jax.grad(losses, argnums=(0, 1))(jnp.zeros((5, 3)), jnp.zeros((5, 3)))
    np.testing.assert_allclose(found.layers, [np.sqrt((part**2).sum() / 5) for part in wanted], rtol=1e-5)
    assert abs(found.layers[0] - found.layers[1]) > 0.05


def test_half_precision_is_summed_in_float32():
    """300² overflows float16, and 1 + 1e-3 is lost in bfloat16: against float64."""
    large = jnp.full(4, 300, jnp.float16)
    assert probes.norms({"kernel": large})["kernel"] == 600
    logits = jnp.asarray([[3.0, 1, -2], [0.5, 0.25, 4]], jnp.bfloat16)
    found = loss_gradients(lambda _: lambda x, _: (x, {"last": x}), (), logits, jnp.array([0, 1]))
    values = np.asarray(logits, np.float64)
    np.testing.assert_allclose(found.loss, np.mean(np.log(np.exp(values).sum(1)) - [3, 0.25]), rtol=1e-5)
    assert found.loss.dtype == jnp.float32
