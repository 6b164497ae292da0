"""What is recorded of a LeNet, against NumPy loops in float64, generic Jacobians, and known networks."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles.lenet_examples import CONFIG, SHAPE, WIDTHS, convolve, forward, loss, numpy_parts, pool, toy_images
from oracles.numpy_activations import PHIS

from jaxact import probes, records
from jaxact.config import Config
from jaxact.models import LeNet
from jaxact.training.ensemble import Ensemble

CHOICES = ("relu", "tanh", "sigmoid")
NAMED = ("relu", "tanh", "sigmoid", "tanh", "relu")
WHICH = jnp.array([CHOICES.index(name) for name in NAMED])
TEST, TRAIN = toy_images(12, SHAPE, seed=1), toy_images(6, SHAPE, seed=2)
LABELS = np.arange(6, dtype=np.int32) % 3
ARRAYS = (WHICH, *map(jnp.asarray, (TEST, TRAIN, LABELS)))
PHI = [PHIS[name] for name in NAMED]


@cache
def setting():
    """(model, jitted probe, variables) of a network whose first channel never fires."""
    model = LeNet(SHAPE, WIDTHS, CHOICES)
    params = model.init(jax.random.key(5), ARRAYS[2][0], WHICH)["params"]
    dying = params["conv1"] | {"bias": params["conv1"]["bias"].at[0].set(-50.0)}
    return model, jax.jit(probes.make_probe(model)), {"params": params | {"conv1": dying}}


@cache
def found():
    _, probe, variables = setting()
    return jax.tree.map(np.asarray, probe(variables, *ARRAYS))


def test_the_test_set_against_loops():
    hidden, outputs = forward(numpy_parts(setting()[2]), PHI, TEST, SHAPE)
    dead = []
    for layer, (h, x, phi) in enumerate(zip(hidden, outputs, PHI, strict=True)):
        cases, slope = h.reshape(-1, h.shape[-1]), np.abs(phi.df(h)).reshape(-1, h.shape[-1])
        steepest = {"sigmoid": 0.25}.get(NAMED[layer], 1.0)
        expected = {
            "negative": (h < 0).mean(),
            "saturated": (slope < 0.05 * steepest).mean(),
            "sparsity": (x == 0).mean(),
            "broken": 0,
            "nearly_dead": (((slope != 0).mean(0) <= 0.01) & (slope != 0).any(0)).sum(),
            "never_positive": (cases <= 0).all(0).sum(),
            "mean_square": (h**2).mean(),
            "correlation": (h.mean(0) ** 2).mean() / (h**2).mean(),
        }
        for name, value in expected.items():
            np.testing.assert_allclose(getattr(found(), name)[layer], value, rtol=2e-5, err_msg=f"{name} {layer}")
        dead.append((slope == 0).all(0))
    np.testing.assert_array_equal(found().dead, np.concatenate(dead))
    assert found().dead[:2].tolist() == [True, False] and found().dead.shape == (sum(WIDTHS),)
    np.testing.assert_allclose(found().output_negative, (hidden[-1] < 0).mean(0), rtol=1e-6)


def test_dimensions_against_the_covariance_of_whole_maps():
    outputs = forward(numpy_parts(setting()[2]), PHI, TRAIN, SHAPE)[1]
    for layer, x in enumerate(outputs):
        values = np.linalg.eigvalsh(np.cov(x.reshape(len(x), -1), rowvar=False, bias=True))
        expected = values.sum() ** 2 / (values**2).sum() if values.max() > 1e-12 else 0
        np.testing.assert_allclose(found().dimension[layer], expected, rtol=1e-4, err_msg=str(layer))


def test_kernel_gradients_against_finite_differences():
    parts = numpy_parts(setting()[2])
    for layer in (1, 4):
        kernel, squares = parts[layer][0], 0.0
        for place in np.ndindex(kernel.shape):
            before, sides = kernel[place], []
            for step in (1e-5, -1e-5):
                kernel[place] = before + step
                sides.append(tail_loss(parts, layer))
            kernel[place] = before
            squares += ((sides[0] - sides[1]) / 2e-5) ** 2
        np.testing.assert_allclose(found().gradient_kernels[layer], squares**0.5, rtol=1e-4)


@cache
def inputs_of(layer):
    outputs = forward(numpy_parts(setting()[2]), PHI, TRAIN, SHAPE)[1]
    return [pool(x) if layer == 1 else x for x in outputs[layer - 1]]


def tail(parts, layer, x, h=None):
    """The logits from the input, or the pre-activation, of a layer onwards."""
    for i in range(layer, 5):
        if h is None or i > layer:
            h = convolve(x, *parts[i]) if i < 2 else x.ravel() @ parts[i][0] + parts[i][1]
        x = pool(PHI[i].f(h)) if i < 2 else PHI[i].f(h)
    return x


def cross_entropy(logits, label):
    return np.log(np.exp(logits - logits.max()).sum()) + logits.max() - logits[label]


def tail_loss(parts, layer):
    return np.mean([cross_entropy(tail(parts, layer, x), y) for x, y in zip(inputs_of(layer), LABELS, strict=True)])


def test_the_tail_is_the_network():
    parts = numpy_parts(setting()[2])
    assert tail_loss(parts, 1) == pytest.approx(loss(parts, PHI, TRAIN, LABELS, SHAPE), rel=1e-12)


def test_gradients_by_feature_maps_against_finite_differences():
    parts = numpy_parts(setting()[2])
    squares = []
    for x, label in zip(inputs_of(1), LABELS, strict=True):
        h = convolve(x, *parts[1])
        for place in np.ndindex(h.shape):
            before, sides = h[place], []
            for step in (1e-5, -1e-5):
                h[place] = before + step
                sides.append(cross_entropy(tail(parts, 1, None, h), label))
            h[place] = before
            squares.append(((sides[0] - sides[1]) / 2e-5) ** 2)
    np.testing.assert_allclose(found().gradient_layers[1], (sum(squares) / len(TRAIN)) ** 0.5, rtol=1e-4)


@pytest.mark.slow
def test_jacobians_against_those_of_any_network():
    """`propagation.apjn` makes every partial Jacobian by automatic differentiation and knows no convolutions."""
    model, _, variables = setting()
    network = probes.lenet_network(model, variables, WHICH)
    expected = np.mean([probes.apjn(network, image) for image in ARRAYS[2][:2]], axis=0)
    own = [jax.jit(probes.lenet_apjn, static_argnums=0)(model, variables, WHICH, x) for x in ARRAYS[2][:2]]
    np.testing.assert_allclose(np.mean(own, axis=0), expected, rtol=2e-5, atol=1e-9)
    assert found().apjn.shape == (5, 5) and np.diag(found().apjn).tolist() == [1] * 5
    values = [np.linalg.svd(probes.jacobian(lambda x: network(x, {})[0], x))[1] for x in ARRAYS[2]]
    np.testing.assert_allclose(found().singular_values, np.median(values, axis=0), atol=1e-6)


def test_the_network_of_the_analyses_is_the_model():
    """With batch norm folded in, and two activations in a layer."""
    model = LeNet(SHAPE, WIDTHS, CHOICES, batch_norm=(1, 2, 4))
    which = jnp.array([[0, 1], [2, 0], [1, 1], [0, 2], [1, 0]])
    variables = model.init(jax.random.key(5), ARRAYS[2][0], which)
    variables = jax.tree.map(lambda leaf: leaf + jnp.linspace(0.1, 0.6, leaf.size).reshape(leaf.shape), variables)
    logits, hidden = model.apply(variables, ARRAYS[2], which)
    again, hidden_again = probes.lenet_network(model, variables, which)(ARRAYS[2], {})
    np.testing.assert_allclose(again, logits, rtol=1e-4, atol=1e-5)
    for name, h in hidden.items():
        np.testing.assert_allclose(hidden_again[name], h, rtol=1e-4, atol=1e-4)


def test_weights_alone():
    """Behind tanh a unit with Σ|w| + b ≤ 0 is off for every input, behind the sigmoid one with Σ max(w, 0) + b ≤ 0.

    Layer 3 has inputs from tanh by way of the pooling, layer 4 from the sigmoid.
    """
    _, probe, variables = setting()
    params = variables["params"]
    counted = [int((np.asarray(part[0]) < 0).sum()) for part in numpy_parts(variables)]
    np.testing.assert_array_equal(found().negative_weights, counted)
    assert found().certified_dead.tolist() == [0] * 5
    sums = {"dense3": jnp.abs(params["dense3"]["kernel"]), "dense4": jnp.maximum(params["dense4"]["kernel"], 0)}
    for name, weights in sums.items():
        for factor, dead in ((1 + 1e-5, 1), (1 - 1e-3, 0)):
            sunk = params[name] | {"bias": params[name]["bias"].at[1].set(-factor * weights[:, 1].sum())}
            seen = probe({"params": params | {name: sunk}}, *ARRAYS).certified_dead.tolist()
            assert seen == [0, 0] + [dead * (name == layer) for layer in ("dense3", "dense4", "dense5")]


@pytest.mark.slow
def test_an_ensemble_keeps_them_per_member_and_time():
    config = Config(activations=NAMED, **CONFIG.options)
    history = Ensemble(config, CHOICES, CONFIG.data, devices=1, strategy="map", probe=True).run([(config, 3)])
    sizes = {"epochs": 1, "times": 2, "layers": 5, "units": sum(WIDTHS), "classes": 3, "values": 3}
    for name, value in history.arrays(0).items():
        assert value.shape == tuple(sizes[axis] for axis in records.AXES[name]), name
        assert np.isfinite(value).all(), name
    blind = Ensemble(config, CHOICES, CONFIG.data, devices=1, strategy="map").run([(config, 3)])
    np.testing.assert_allclose(history.test_loss, blind.test_loss, rtol=1e-5)
    np.testing.assert_array_equal(history.test_predicted, blind.test_predicted)
