"""Jacobians: by hand, by finite differences, as a chain, by jacrev and jacfwd; spectra against NumPy."""

import itertools
import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles.numpy_activations import PHIS
from oracles.numpy_network import forward, layers_of, toy

from jaxact import probes
from jaxact.models import MLP
from jaxact.probes import between, input_output, jacobian, layer_jacobian, mlp_chain, mlp_network

STUDY = ("relu", "tanh", "sigmoid", "selu")
MODEL = MLP((7, 5, 3), STUDY)
IMAGES = toy().train_images
PARAMS = MODEL.init(jax.random.key(3), jnp.zeros(6), jnp.zeros(3, int))["params"]
SOME = [(0, 2, 0), (1, 2, 3), (3, 0, 1), (2, 2, 2)]


def doubled(tree):
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), tree)


chain_of = jax.jit(mlp_chain, static_argnums=0)


@jax.jit
def four_ways(variables, which, x):
    """The input–output Jacobian as a chain, by jacrev, by jacfwd and by `input_jacobians`, and those of the layers."""
    network = mlp_network(MODEL, variables, which)
    whole, hidden = probes.input_jacobians(network, x)
    reverse, ahead = (jac(lambda x: network(x, {})[0])(x) for jac in (jax.jacrev, jax.jacfwd))
    return (input_output(mlp_chain(MODEL, variables, which, x)), reverse, ahead, whole), hidden


def by_hand(activation="relu"):
    """The 2-3-2 network h1 = (x1 + 2 x2 + 1, −x1 + x2, 2 x1 − 3 x2), h2 = (h1 + h2 − h3, −h1 + 2 h2 + 3 h3)."""
    params = {
        "dense1": {"kernel": jnp.array([[1.0, -1.0, 2.0], [2.0, 1.0, -3.0]]), "bias": jnp.array([1.0, 0.0, 0.0])},
        "dense2": {"kernel": jnp.array([[1.0, -1.0], [1.0, 2.0], [-1.0, 3.0]]), "bias": jnp.zeros(2)},
    }
    return MLP((3, 2), (activation,)), {"params": params}


def test_the_chain_of_a_2_3_2_relu_net_by_hand():
    # At x = (1, 2): h1 = (6, 1, −4), so x1 = (6, 1, 0) and h2 = (7, −4): the third and the last unit are off.
    model, variables = by_hand()
    chain = chain_of(model, variables, jnp.zeros(2, int), jnp.array([1.0, 2.0]))
    np.testing.assert_array_equal(layer_jacobian(chain, 1), [[1, 2], [-1, 1], [0, 0]])
    np.testing.assert_array_equal(layer_jacobian(chain, 2), [[1, 1, -1], [0, 0, 0]])
    np.testing.assert_array_equal(input_output(chain), [[0, 3], [0, 0]])
    np.testing.assert_array_equal(between(chain, 2, 1), [[1, 1, 0], [-1, 2, 0]])
    np.testing.assert_array_equal(probes.layer_norms(chain), [7, 3])
    np.testing.assert_array_equal(probes.chain_apjn(chain), [[1, 0], [3.5, 1]])
    spectrum = probes.spectrum(input_output(chain))
    np.testing.assert_allclose(spectrum.singular_values, [3, 0], atol=1e-7)
    assert (int(spectrum.rank), float(spectrum.condition)) == (1, math.inf)


def test_a_2_3_2_tanh_net_by_hand():
    model, variables = by_hand("tanh")
    x = np.array([0.1, -0.2])
    found = input_output(chain_of(model, variables, jnp.zeros(2, int), jnp.asarray(x, jnp.float32)))
    h = np.array([0.7, -0.3, 0.8])
    out = np.array([np.tanh(0.7) + np.tanh(-0.3) - np.tanh(0.8), -np.tanh(0.7) + 2 * np.tanh(-0.3) + 3 * np.tanh(0.8)])
    first = np.diag(1 - np.tanh(h) ** 2) @ np.array([[1, 2], [-1, 1], [2, -3]])
    wanted = np.diag(1 - np.tanh(out) ** 2) @ np.array([[1, 1, -1], [-1, 2, 3]]) @ first
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


@pytest.mark.parametrize("which", SOME, ids=lambda which: "-".join(STUDY[i] for i in which))
def test_chain_reverse_forward_and_finite_differences_agree(which):
    phis, layers, x = [PHIS[STUDY[i]] for i in which], layers_of(PARAMS), IMAGES[5].astype(float)
    with jax.enable_x64(True):
        ways, hidden = four_ways({"params": doubled(PARAMS)}, jnp.array(which), jnp.asarray(x))
    step = 1e-5 * np.eye(6)
    h = [np.stack([forward(layers, phis, [x + sign * e])[0][i][0] for e in step]) for i in range(3) for sign in (1, -1)]
    f = [np.stack([forward(layers, phis, [x + sign * e])[1][-1][0] for e in step]) for sign in (1, -1)]
    for found in ways:
        np.testing.assert_allclose(found, (f[0] - f[1]).T / 2e-5, rtol=1e-8, atol=1e-10)
    chex.assert_trees_all_close(ways[0], ways[1], rtol=1e-12, atol=1e-15)
    for i, name in enumerate(("layer1", "layer2", "layer3")):
        np.testing.assert_allclose(hidden[name], (h[2 * i] - h[2 * i + 1]).T / 2e-5, rtol=1e-8, atol=1e-10)


def test_products_of_layer_jacobians_are_the_jacobian_of_the_whole():
    chain = chain_of(MODEL, {"params": PARAMS}, jnp.array([1, 3, 2]), jnp.asarray(IMAGES[0]))
    first, second, third = (np.asarray(layer_jacobian(chain, layer), float) for layer in (1, 2, 3))
    np.testing.assert_allclose(input_output(chain), third @ second @ first, rtol=1e-5, atol=1e-7)


def test_linear_networks_in_closed_form():
    model = MLP((7, 5, 3), ("identity",))
    chain = chain_of(model, {"params": PARAMS}, jnp.zeros(3, int), jnp.asarray(IMAGES[0]))
    first, second, third = (kernel.T for kernel, _ in layers_of(PARAMS))
    np.testing.assert_allclose(input_output(chain), third @ second @ first, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(between(chain, 3, 1), third @ second, rtol=1e-5, atol=1e-7)
    norms = [(second**2).sum() / 5, ((third @ second) ** 2).sum() / 3, (third**2).sum() / 3]
    apjn = probes.chain_apjn(chain)
    np.testing.assert_allclose(apjn, [[1, 0, 0], [norms[0], 1, 0], [norms[1], norms[2], 1]], rtol=1e-5)


def test_partial_jacobians_by_perturbation_equal_the_closed_form():
    variables, which, x = {"params": PARAMS}, jnp.array([1, 3, 2]), jnp.asarray(IMAGES[0])
    chain, pairs = chain_of(MODEL, variables, which, x), list(itertools.product((1, 2, 3), repeat=2))

    @jax.jit
    def partials(x):
        network = mlp_network(MODEL, variables, which)
        logits = probes.partial_jacobian(network, x, "logits", "layer2")
        return [probes.partial_jacobian(network, x, f"layer{i}", f"layer{j}") for i, j in pairs], logits

    found, logits = partials(x)
    for matrix, (later, earlier) in zip(found, pairs, strict=True):
        np.testing.assert_allclose(matrix, between(chain, later, earlier), rtol=1e-5, atol=1e-7)
        if later == earlier:
            np.testing.assert_array_equal(matrix, np.eye(len(matrix)))
        assert later >= earlier or not np.any(matrix)
    np.testing.assert_allclose(logits, chain.slopes[2][:, None] * between(chain, 3, 2), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("later", "earlier"), [("layer9", "layer1"), ("layer1", "layer9"), ("layer3", "logits")])
def test_an_unknown_layer_is_refused(later, earlier):
    network = mlp_network(MODEL, {"params": PARAMS}, jnp.zeros(3, int))
    with pytest.raises(ValueError, match="unknown layer"):
        probes.partial_jacobian(network, jnp.asarray(IMAGES[0]), later, earlier)


@pytest.mark.parametrize("layer", [0, 4])
def test_a_layer_number_that_does_not_exist_is_refused(layer):
    chain = chain_of(MODEL, {"params": PARAMS}, jnp.zeros(3, int), jnp.asarray(IMAGES[0]))
    with pytest.raises(ValueError, match=f"layer {layer} does not exist.*1 to 3"):
        layer_jacobian(chain, layer)
    with pytest.raises(ValueError, match=f"layer {layer} does not exist"):
        between(chain, 3, layer)


def convolve(kernel, image):
    return jax.lax.conv_general_dilated(
        image[None], kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )[0]


def toeplitz(kernel, height, width):
    """The matrix of a 3 × 3 convolution with zero padding, [height·width·out, height·width·in], by loops."""
    _, _, inputs, outputs = kernel.shape
    matrix = np.zeros((height, width, outputs, height, width, inputs))
    for i, j, di, dj in itertools.product(range(height), range(width), (-1, 0, 1), (-1, 0, 1)):
        if 0 <= i + di < height and 0 <= j + dj < width:
            matrix[i, j, :, i + di, j + dj, :] = kernel[di + 1, dj + 1].T
    return matrix.reshape(height * width * outputs, -1)


@pytest.mark.parametrize(("inputs", "outputs"), [(1, 3), (3, 1)], ids=["forward mode", "reverse mode"])
@pytest.mark.parametrize("chunk", [None, 1, 7])
def test_a_convolution_equals_its_toeplitz_matrix(inputs, outputs, chunk):
    rng = np.random.default_rng(0)
    kernel, image = rng.normal(size=(3, 3, inputs, outputs)), rng.normal(size=(4, 5, inputs))
    with jax.enable_x64(True):
        found = jacobian(lambda x: convolve(jnp.asarray(kernel), x), jnp.asarray(image), chunk=chunk)
    np.testing.assert_allclose(found, toeplitz(kernel, 4, 5), rtol=1e-12, atol=1e-15)


def convolutional(kernels, dense):
    """Two tanh convolutions and a linear head, as a `Network` of one image."""

    def network(image, perturbations):
        hidden, x = {}, image
        for name, kernel in kernels.items():
            hidden[name] = convolve(kernel, x) + perturbations.get(name, 0)
            x = jnp.tanh(hidden[name])
        hidden["head"] = x.ravel() @ dense + perturbations.get("head", 0)
        return hidden["head"], hidden

    return network


def test_a_convolutional_network_that_jaxact_did_not_write():
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=(3, 3, 1, 2)), rng.normal(size=(3, 3, 2, 2))
    dense, image = rng.normal(size=(4 * 5 * 2, 3)), rng.normal(size=(4, 5, 1))
    with jax.enable_x64(True):
        network = convolutional({"a": jnp.asarray(first), "b": jnp.asarray(second)}, jnp.asarray(dense))
        whole, hidden = probes.input_jacobians(network, jnp.asarray(image))
        partial = probes.partial_jacobian(network, jnp.asarray(image), "head", "a", chunk=2)
        _, h = network(jnp.asarray(image), {})
        apjn = probes.apjn(network, jnp.asarray(image))
    a, b = (np.diag(1 - np.tanh(np.ravel(h[name])) ** 2) for name in "ab")
    first, second = toeplitz(first, 4, 5), toeplitz(second, 4, 5)
    np.testing.assert_allclose(hidden["b"], second @ a @ first, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(whole, dense.T @ b @ second @ a @ first, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(partial, dense.T @ b @ second @ a, rtol=1e-10, atol=1e-13)
    assert apjn[1, 0] == pytest.approx(((second @ a) ** 2).sum() / 40, rel=1e-12)


def test_batch_norm_statistics_are_constants_and_the_share_left_out_falls_with_the_number_of_examples():
    model, which = MLP((7, 5, 3), ("tanh",), (1, 2)), jnp.zeros(3, int)
    variables = model.init(jax.random.key(2), jnp.zeros(6), which)
    images = np.random.default_rng(0).normal(size=(160, 6))

    @jax.jit
    def jacobians(variables, batch):
        frozen = probes.full_batch_statistics(model, variables, which, batch)
        chain = mlp_chain(model, frozen, which, batch[0])
        through = mlp_network(model, variables, which, train=True)
        own = jax.jacrev(lambda x: through(batch.at[0].set(x), {})[0][0])(batch[0])
        return own, input_output(chain), chain.kernels[0], frozen["batch_stats"]["norm1"]["var"]

    left_out = []
    with jax.enable_x64(True):
        for examples in (10, 40, 160):
            own, constant, kernel, var = jacobians(doubled(variables), jnp.asarray(images[:examples]))
            left_out.append(float(jnp.abs(own - constant).max() / jnp.abs(constant).max()))
    assert 0.05 < left_out[0] and left_out[1] < 0.5 * left_out[0] and left_out[2] < 0.5 * left_out[1]
    wanted = np.asarray(variables["params"]["dense1"]["kernel"], float) / np.sqrt(np.asarray(var) + 1e-5)
    np.testing.assert_allclose(kernel, wanted, rtol=1e-12)


def test_softmax_jacobian():
    rng = np.random.default_rng(0)
    for logits in (np.zeros(10), rng.normal(size=10) * 3):
        found = np.asarray(jacobian(jax.nn.softmax, jnp.asarray(logits, jnp.float32)), float)
        p = np.exp(logits) / np.exp(logits).sum()
        np.testing.assert_allclose(found, np.diag(p) - np.outer(p, p), atol=1e-7)
        np.testing.assert_allclose(found.sum(1), 0, atol=1e-7)
        assert np.linalg.norm(found, 2) <= 0.5
    np.testing.assert_allclose(
        np.linalg.eigvalsh(np.full((10, 10), -0.01) + 0.1 * np.eye(10)), [0, *[0.1] * 9], atol=1e-15
    )
    uniform = probes.spectrum(jacobian(jax.nn.softmax, jnp.zeros(10)))
    np.testing.assert_allclose(uniform.singular_values, [*[0.1] * 9, 0], atol=1e-7)
    assert (int(uniform.rank), float(uniform.effective_rank)) == (9, pytest.approx(9, rel=1e-5))
