"""Perturbable networks against `MLP.apply` and NumPy, batch-norm statistics of a whole set, sums in chunks."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles.numpy_activations import PHIS
from oracles.numpy_network import toy

from jaxact.models import MLP
from jaxact.probes import (
    full_batch_statistics,
    layer_shapes,
    mlp_affine,
    mlp_network,
    mlp_nonlinearities,
    no_perturbation,
    nonlinearity,
    sum_over_chunks,
)

STUDY = ("relu", "tanh", "sigmoid", "selu")
WIDTHS = (7, 5, 3)
IMAGES = toy().train_images
WHICH = jnp.array([1, 2, 3])


def start(batch_norm=(), choices=STUDY, widths=WIDTHS, seed=0):
    """A network whose batch-norm parameters and running averages are all different."""
    model = MLP(widths, choices, batch_norm)
    variables = model.init(jax.random.key(seed), jnp.zeros(6), jnp.zeros(len(widths), int))
    rng = np.random.default_rng(seed)

    def moved(tree):
        return {
            name: jax.tree.map(lambda leaf: jnp.asarray(rng.uniform(0.5, 1.5, leaf.shape), leaf.dtype), part)
            for name, part in tree.items()
            if name.startswith("norm")
        }

    stats = variables.get("batch_stats", {})
    return model, {"params": {**variables["params"], **moved(variables["params"])}, "batch_stats": moved(stats)}


@functools.partial(jax.jit, static_argnames=("model", "train"))
def run(model, variables, images, perturbations, train=False):
    return mlp_network(model, variables, WHICH, train=train)(images, perturbations)


@functools.partial(jax.jit, static_argnames=("model", "train"))
def apply(model, variables, images, train=False):
    return model.apply(variables, images, WHICH, train=train, mutable=["batch_stats"])[0]


@pytest.mark.parametrize("batch_norm", [(), (2,), (1, 2, 3)])
@pytest.mark.parametrize("train", [False, True])
def test_the_recomposed_network_equals_apply(batch_norm, train):
    model, variables = start(batch_norm)
    found = run(model, variables, jnp.asarray(IMAGES), {}, train=train)
    wanted = apply(model, variables, jnp.asarray(IMAGES), train=train)
    chex.assert_trees_all_close(found, wanted, rtol=1e-5, atol=1e-6)


def test_one_example_equals_its_row_of_the_batch_eager_jitted_and_vmapped():
    model, variables = start((1, 3))
    network, images = mlp_network(model, variables, WHICH), jnp.asarray(IMAGES[:4])
    batch = run(model, variables, images, {})
    chex.assert_trees_all_close(network(images, {}), batch, rtol=1e-5, atol=1e-6)
    one = [run(model, variables, image, {}) for image in images]
    chex.assert_trees_all_close(jax.tree.map(lambda *leaves: jnp.stack(leaves), *one), batch, rtol=1e-5, atol=1e-6)
    vmapped = jax.jit(jax.vmap(lambda image: network(image, {})))(images)
    chex.assert_trees_all_close(vmapped, batch, rtol=1e-5, atol=1e-6)


def test_a_perturbation_is_added_to_its_pre_activation_and_nothing_before_it():
    model, variables = start((2,))
    image, shift = jnp.asarray(IMAGES[0]), jnp.array([1.0, -2.0, 0.5, 0.0, 3.0])
    _, before = run(model, variables, image, {})
    logits, after = run(model, variables, image, {"layer2": shift})
    np.testing.assert_allclose(after["layer1"], before["layer1"], rtol=1e-6)
    np.testing.assert_allclose(after["layer2"], before["layer2"] + shift, rtol=1e-5, atol=1e-6)
    shifted = dict(variables["params"])
    shifted["norm2"] = {**shifted["norm2"], "bias": shifted["norm2"]["bias"] + shift}
    wanted, _ = apply(model, {**variables, "params": shifted}, image)
    np.testing.assert_allclose(logits, wanted, rtol=1e-5, atol=1e-6)


def test_learned_parameters_are_used():
    model, variables = start(choices=("prelu",), widths=(3,))
    variables["params"]["activation1"] = {"theta": jnp.array([0.4])}
    phi = mlp_nonlinearities(model, variables, jnp.array([0]))["layer1"]
    np.testing.assert_allclose(phi.fn(jnp.array([-2.0, 3.0])), [-0.8, 3.0], rtol=1e-6)
    np.testing.assert_allclose(phi.slope(jnp.array([-2.0, 3.0])), [0.4, 1.0], rtol=1e-6)


@pytest.mark.parametrize("index", range(4), ids=STUDY)
def test_slopes_equal_numpy_and_their_bound_is_that_of_the_catalogue(index):
    model, variables = start()
    phi = mlp_nonlinearities(model, variables, jnp.full(3, index))["layer2"]
    h = np.linspace(-4, 4, 41)
    np.testing.assert_allclose(phi.slope(jnp.asarray(h)), PHIS[STUDY[index]].df(h), rtol=1e-5, atol=1e-6)
    assert float(phi.steepest) == pytest.approx([1, 1, 0.25, 1.0507009873554805 * 1.6732632423543772][index], rel=1e-6)


@pytest.mark.parametrize("batch_norm", [(), (1, 2, 3)])
def test_affine_maps_have_batch_norm_folded_in(batch_norm):
    model, variables = start(batch_norm)
    logits, hidden = apply(model, variables, jnp.asarray(IMAGES[0]))
    x = np.asarray(IMAGES[0], float)
    for name, index, affine in zip(hidden, WHICH, mlp_affine(model, variables), strict=True):
        h = x @ np.asarray(affine.kernel, float) + np.asarray(affine.bias, float)
        np.testing.assert_allclose(hidden[name], h, rtol=1e-4, atol=1e-5)
        x = PHIS[STUDY[index]].f(h)
    np.testing.assert_allclose(logits, x, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("chunk", [3, 40, 1000])
def test_full_batch_statistics_make_evaluation_equal_one_training_pass_over_the_set(chunk):
    model, variables = start((1, 3))
    images = jnp.asarray(IMAGES)
    whole = jax.jit(lambda v: full_batch_statistics(model, v, WHICH, images, chunk=chunk))(variables)
    wanted = apply(model, variables, images, train=True)
    chex.assert_trees_all_close(apply(model, whole, images), wanted, rtol=1e-4, atol=1e-5)
    layer = variables["params"]["dense1"]
    z = IMAGES.astype(float) @ np.asarray(layer["kernel"], float) + np.asarray(layer["bias"], float)
    np.testing.assert_allclose(whole["batch_stats"]["norm1"]["mean"], z.mean(0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(whole["batch_stats"]["norm1"]["var"], z.var(0), rtol=1e-4)


def test_without_batch_norm_the_variables_come_back_as_they_are():
    model, variables = start()
    assert full_batch_statistics(model, variables, WHICH, jnp.asarray(IMAGES[:1])) is variables


def test_one_example_has_no_statistics():
    model, variables = start((1,))
    with pytest.raises(ValueError, match="batch norm got 1 example: it needs at least 2"):
        full_batch_statistics(model, variables, WHICH, jnp.asarray(IMAGES[:1]))


def test_layers_keep_the_order_of_the_network_beyond_nine():
    model = MLP((2,) * 11, ("tanh",))
    variables = model.init(jax.random.key(0), jnp.zeros(2), jnp.zeros(11, int))
    network = mlp_network(model, variables, jnp.zeros(11, int))
    assert list(layer_shapes(network, jnp.zeros((5, 2)))) == [f"layer{i}" for i in range(1, 12)]
    assert list(no_perturbation(network, jnp.zeros(2)))[-2:] == ["layer10", "layer11"]
    assert layer_shapes(network, jnp.zeros((5, 2)))["layer10"].shape == (5, 2)


def test_an_unknown_layer_is_refused_with_the_nearest():
    model, variables = start()
    with pytest.raises(ValueError, match="unknown layer 'layer4': did you mean 'layer[123]'.*known: layer1"):
        mlp_network(model, variables, WHICH)(jnp.asarray(IMAGES[0]), {"layer4": jnp.zeros(3)})


@pytest.mark.parametrize("name", ["softmax", "rellu"])
def test_an_activation_that_is_none_is_refused(name):
    with pytest.raises(ValueError, match=f"{name}.*relu"):
        nonlinearity(name)


@pytest.mark.parametrize("chunk", [1, 3, 7, 40, 100])
def test_sums_over_chunks_equal_numpy(chunk):
    x, y = np.arange(40.0, dtype=np.float32), np.arange(80, dtype=np.int32).reshape(40, 2)

    def fn(rows):
        return {"x": rows[0].sum(), "y": (rows[1] ** 2).sum(0), "n": jnp.asarray(len(rows[0]))}

    found = jax.jit(lambda arrays: sum_over_chunks(fn, arrays, chunk))((jnp.asarray(x), jnp.asarray(y)))
    assert (float(found["x"]), int(found["n"])) == (x.sum(), 40)
    np.testing.assert_array_equal(found["y"], (y**2).sum(0))


@pytest.mark.parametrize(("rows", "chunk", "message"), [(0, 5, "0 examples"), (4, 0, "chunk must be at least 1")])
def test_sums_over_nothing_are_refused(rows, chunk, message):
    with pytest.raises(ValueError, match=message):
        sum_over_chunks(lambda part: part.sum(), jnp.zeros((rows, 2)), chunk)
