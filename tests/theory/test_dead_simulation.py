"""Predicted dead outputs against counts on real networks: on digits here, on MNIST as recorded.

The counts are by `dead_simulation`, in plain NumPy. The bound is that of `prediction.predict`: 10 %, or 0.1 of 10.
"""

import numpy as np
import pytest
from oracles import dead_simulation
from oracles.dead_simulation import ACTIVATIONS, ALIVE

from jaxact import activations, data
from jaxact.config import Config
from jaxact.theory import prediction

WIDTHS = (500, 256)
FEW = ("relu", "lisht", "silu", "centred_sigmoid", "sigmoid")
# Dead of 10 outputs on the first 10,000 training images, mean and standard error of 25 networks with 300 outputs each:
# `python tests/dead_simulation.py --part relu --data-dir DIR`, and the same with --part sigmoid and --part study.
MNIST = {
    "relu-relu-relu": (0.056, 0.0085),
    "relu-sigmoid-relu": (3.763, 0.056),
    "tanh-sigmoid-relu": (3.479, 0.051),
    "selu-sigmoid-relu": (2.961, 0.047),
    "sigmoid-sigmoid-relu": (4.456, 0.052),
    "sigmoid-relu-relu": (2.307, 0.050),
    "sigmoid-tanh-relu": (2.171, 0.052),
    "sigmoid-selu-relu": (2.121, 0.054),
    "relu-gaussian-relu": (3.855, 0.058),
    "relu-softplus-relu": (3.253, 0.047),
    "relu-tanhshrink-relu": (1.667, 0.056),
    "relu-softshrink-relu": (0.137, 0.016),
    "relu-lisht-relu": (0.044, 0.007),
    "relu-centred_sigmoid-relu": (0.185, 0.021),
    "sigmoid-hardshrink-relu": (0.469, 0.043),
    "sigmoid-lisht-relu": (2.161, 0.051),
}


def bound(count, error):
    return max(0.1 * count, 0.1) + 3 * error


@pytest.mark.parametrize("name", MNIST)
def test_predicted_outputs_on_mnist_are_those_counted(name):
    count, error = MNIST[name]
    config = Config(activations=tuple(name.split("-")), widths=(*WIDTHS, 10))
    found = prediction.predict(config, 784, prediction.MNIST, 10_000)
    assert abs(found.expected_dead[-1] - count) < bound(count, error)


def counted_on_digits(combinations, networks):
    images = data.load("digits").train_images
    shares = dead_simulation.dead_shares(images, combinations, WIDTHS, units=150, networks=networks)
    return {names: (10 * found.mean(), 10 * found.std(ddof=1) / networks**0.5) for names, found in shares.items()}


@pytest.fixture(scope="module")
def few_on_digits():
    return counted_on_digits([("relu", name, "relu") for name in FEW], networks=20)


@pytest.mark.parametrize("name", FEW)
def test_predicted_outputs_on_digits_are_those_counted(name, few_on_digits):
    """Closer than the bound: 10 % or 0.03 of 10. If all inputs were equally long and unlike, three would be halved."""
    count, error = few_on_digits["relu", name, "relu"]
    config = Config(activations=("relu", name, "relu"), widths=(*WIDTHS, 10))
    found = prediction.predict(config, 64, prediction.DIGITS, 1437)
    assert abs(found.expected_dead[-1] - count) < max(0.1 * count, 0.03) + 3 * error


@pytest.mark.slow
@pytest.mark.parametrize("first", ["relu", "sigmoid"])
def test_predicted_outputs_are_those_counted_over_the_catalogue(first):
    """Where theory is beyond the bound, it must say so; that is not so often that the bound means nothing."""
    beyond, sparse = set(), set()
    for names, (count, error) in counted_on_digits(dead_simulation.combinations(first), networks=12).items():
        config = Config(activations=names, widths=(*WIDTHS, 10))
        found = prediction.predict(config, 64, prediction.DIGITS, 1437)
        sparse |= {names[1]} if found.sparsest is not None else set()
        if abs(found.expected_dead[-1] - count) >= bound(count, error):
            beyond.add(names[1])
    assert beyond <= sparse == {"threshold", "softshrink", "tanhshrink", "hardshrink"}


def test_the_numpy_functions_are_those_of_the_catalogue():
    assert set(ACTIVATIONS) == set(activations.names("elementwise"))
    x = np.random.default_rng(0).normal(0, 2, 200)
    for name, function in ACTIVATIONS.items():
        ours = activations.as_numpy(activations.get(name))[0](x)
        np.testing.assert_allclose(function(x), ours, rtol=1e-9, atol=1e-12, err_msg=name)
    assert set(ALIVE) == {name for name in ACTIVATIONS if activations.get(name).can_die}


def test_the_count_is_that_of_one_unit_at_a_time():
    """The blocks of inputs and the units left out early change nothing: each network again, one unit after another."""
    x = np.random.default_rng(1).normal(size=(30, 6)).astype(np.float32)
    names = ("tanh", "sigmoid", "relu")
    found = dead_simulation.dead_shares(x, [names], (8, 5), units=40, networks=2, seed=3)[names]
    for k in range(2):
        layers = [
            dead_simulation._layer(rng, *pair)
            for rng in [np.random.default_rng([3, k])]
            for pair in ((6, 8), (8, 5), (5, 40))
        ]
        features = x.astype(float)
        for name, (kernel, bias) in zip(names[:2], layers[:2], strict=True):
            features = ACTIVATIONS[name](features @ kernel + bias)
        dead = [max(row @ layers[2][0][:, j] + layers[2][1][j] for row in features) <= 0 for j in range(40)]
        assert found[k] == pytest.approx(np.mean(dead)) and 0 < found[k] < 1
