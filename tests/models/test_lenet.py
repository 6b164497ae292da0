"""The convolutional network against loops in float64 NumPy, hand-computed values and PyTorch's stated conventions."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles.lenet_examples import CONFIG, SHAPE, WIDTHS, forward, loss, numpy_parts, toy_images
from oracles.numpy_activations import PHIS
from scipy import stats

from jaxact import architectures, metrics, training
from jaxact.config import Config
from jaxact.data.specs import spec
from jaxact.models import LeNet, convolution
from jaxact.theory import InputStatistics, prediction
from jaxact.training import epoch
from jaxact.training.ensemble import Ensemble, train_seeds

STUDY = ("relu", "tanh", "sigmoid", "selu", "identity")
NAMED = ("relu", "tanh", "tanh", "sigmoid", "identity")
WHICH = tuple(STUDY.index(name) for name in NAMED)
IMAGES = toy_images(3, SHAPE)


@cache
def network(seed=0, batch_norm=(), choices=STUDY):
    model = LeNet(SHAPE, WIDTHS, choices, batch_norm)
    return model, model.init(jax.random.key(seed), jnp.zeros(IMAGES.shape[1]), jnp.array(WHICH))


def doubled(tree):
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), tree)


def test_a_convolution_by_hand():
    """One bright pixel: cross-correlation shows the kernel turned by 180 degrees, a true convolution would not."""
    kernel = jnp.arange(25.0).reshape(5, 5, 1, 1)
    image = jnp.zeros((6, 7, 1)).at[4, 4, 0].set(1)
    h = convolution.convolve(image, kernel)[..., 0]
    assert h.shape == (2, 3)  # without padding
    assert h.tolist() == [[24, 23, 22], [19, 18, 17]]  # kernel[4 - i, 4 - j]
    two = jnp.concatenate([kernel, 100 * kernel], axis=2)  # channels add up
    both = convolution.convolve(jnp.concatenate([image, image], axis=2), two)[..., 0]
    assert both.tolist() == (101 * h).tolist()


def test_pooling_by_hand():
    x = jnp.array([[1.0, 2, 5, 9], [3, 0, 7, 9], [4, 4, -1, -2], [4, 4, -3, -4], [99, 99, 99, 99]])[..., None]
    assert convolution.max_pool(x)[..., 0].tolist() == [[3, 9], [4, -1]]  # the odd last row is left out
    gradient = jax.grad(lambda x: convolution.max_pool(x).sum())(x)[..., 0]
    assert gradient.tolist() == [[0, 0, 0, 1], [1, 0, 0, 0], [1, 0, 1, 0], [0] * 4, [0] * 4]  # the first of equal ones
    for place in np.ndindex(2, 2):
        assert jnp.isnan(convolution.max_pool(x.at[*place, 0].set(jnp.nan))[0, 0, 0])


def test_images_come_channel_by_channel():
    flat = jnp.arange(12.0)  # red 0 to 3, green 4 to 7, blue 8 to 11, of a picture of 2x2
    assert convolution.feature_map(flat, (2, 2, 3)).tolist() == [[[0, 4, 8], [1, 5, 9]], [[2, 6, 10], [3, 7, 11]]]
    with pytest.raises(ValueError, match=r"12 features, images of \(4, 4, 3\) have 48"):
        convolution.feature_map(flat, (4, 4, 3))


def test_the_forward_pass_equals_loops_in_numpy():
    model, variables = network()
    with jax.enable_x64(True):
        logits, hidden = model.apply(doubled(variables), jnp.asarray(IMAGES, jnp.float64), jnp.array(WHICH))
    expected, outputs = forward(numpy_parts(variables), [PHIS[name] for name in NAMED], IMAGES, SHAPE)
    assert list(hidden) == [f"layer{i}" for i in range(1, 6)]
    for (name, h), wanted in zip(hidden.items(), expected, strict=True):
        np.testing.assert_allclose(h, wanted, rtol=1e-10, atol=1e-14, err_msg=name)
    np.testing.assert_allclose(logits, outputs[-1], rtol=1e-10, atol=1e-14)


def test_gradients_equal_finite_differences_of_the_loops():
    model, variables = network()
    labels = np.array([0, 2, 1])

    def objective(params):
        logits, _ = model.apply({"params": params}, jnp.asarray(IMAGES, jnp.float64), jnp.array(WHICH))
        return jax.vmap(metrics.cross_entropy)(logits, jnp.asarray(labels)).mean()

    with jax.enable_x64(True):
        gradients = numpy_parts({"params": jax.grad(objective)(doubled(variables["params"]))})
    parts, phis = numpy_parts(variables), [PHIS[name] for name in NAMED]
    rng = np.random.default_rng(0)
    for layer, (kernel, bias) in enumerate(parts):
        for array, found in ((kernel, gradients[layer][0]), (bias, gradients[layer][1])):
            place = tuple(rng.integers(0, n) for n in array.shape)
            before, sides = array[place], []
            for step in (1e-6, -1e-6):
                array[place] = before + step
                sides.append(loss(parts, phis, IMAGES, labels, SHAPE))
            array[place] = before
            assert found[place] == pytest.approx((sides[0] - sides[1]) / 2e-6, rel=1e-6, abs=1e-9), (layer, place)


def test_pytorchs_flattening_is_a_permutation_of_the_first_dense_kernel():
    """Its `view` goes channel by channel, ours position by position; by hand for 2 channels on 1x2 positions."""
    maps = jnp.array([[[1.0, 10.0], [2.0, 20.0]]])  # [height, width, channels]
    ours = convolution.after_activation(jnp.repeat(jnp.repeat(maps, 2, 0), 2, 1), 2)
    assert ours.tolist() == [1, 10, 2, 20]
    torchs = jnp.array([1.0, 2, 10, 20])  # (channel, height, width) flattened
    kernel_torch = jnp.array([[1.0], [10], [100], [1000]])  # rows in PyTorch's order of inputs
    order = jnp.arange(4).reshape(2, 1, 2).transpose(1, 2, 0).ravel()  # (c, h, w) → (h, w, c)
    assert order.tolist() == [0, 2, 1, 3]
    assert ours @ kernel_torch[order] == torchs @ kernel_torch == 21021
    assert ours @ kernel_torch != 21021


def test_parameters_of_the_study():
    config = Config(activations=NAMED, dataset="cifar10", widths=(6, 16, 120, 84, 10), architecture="lenet")
    model = training.make_model(config, STUDY)
    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros(3072), jnp.array(WHICH))["params"]
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == 62_006
    assert shapes["conv1"]["kernel"].shape == (5, 5, 3, 6) and shapes["dense3"]["kernel"].shape == (400, 120)


def test_initial_parameters_are_pytorchs():
    """U(±1/√fan_in), fan_in = inputs · 25 of a convolution: bounds, and the law by Kolmogorov and Smirnov's test."""
    model = LeNet((32, 32, 3), (6, 16, 120, 84, 10), ("relu",))
    params = model.init(jax.random.key(1), jnp.zeros(3072), jnp.zeros(5, int))["params"]
    fan_in = {"conv1": 75, "conv2": 150, "dense3": 400, "dense4": 120, "dense5": 84}
    assert set(params) == set(fan_in)
    for name, layer in params.items():
        bound = fan_in[name] ** -0.5
        for part in ("kernel", "bias"):
            values = np.asarray(layer[part]).ravel()
            assert np.abs(values).max() <= bound
            assert stats.kstest(values, "uniform", (-bound, 2 * bound)).pvalue > 1e-3, (name, part)
        assert np.abs(layer["kernel"]).max() > 0.97 * bound


def test_the_start_depends_on_the_seed_alone():
    model, variables = network(seed=4)
    other = model.init(jax.random.key(4), jnp.zeros(IMAGES.shape[1]), jnp.array([3, 2, 1, 0, 4]))
    jax.tree.map(np.testing.assert_array_equal, variables, other)


def test_eager_jitted_and_vmapped_agree():
    model, variables = network()
    images, which = jnp.asarray(IMAGES), jnp.array(WHICH)
    eager, _ = model.apply(variables, images, which)
    jitted, hidden = jax.jit(model.apply)(variables, images, which)
    one_by_one, _ = jax.vmap(lambda image: model.apply(variables, image, which))(images)
    np.testing.assert_allclose(jitted, eager, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(one_by_one, eager, rtol=1e-5, atol=1e-6)
    assert hidden["layer1"].shape == (3, 12, 13, 2)


def test_batch_norm_is_per_channel():
    """Training normalises every channel over examples and positions; the running variance is the unbiased one."""
    model, variables = network(batch_norm=(1,))
    (_, hidden), updated = model.apply(
        variables, jnp.asarray(IMAGES), jnp.array(WHICH), train=True, mutable=["batch_stats"]
    )
    cases = np.asarray(hidden["layer1"]).reshape(-1, 2)
    np.testing.assert_allclose(cases.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(cases.var(0), 1, rtol=1e-3)
    raw = forward(numpy_parts(variables), [PHIS[name] for name in NAMED], IMAGES, SHAPE)[0][0].reshape(-1, 2)
    running = updated["batch_stats"]["norm1"]
    np.testing.assert_allclose(running["mean"], 0.1 * raw.mean(0), rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(running["var"], 0.9 + 0.1 * raw.var(0, ddof=1), rtol=1e-5)


@pytest.mark.slow
def test_a_batch_of_seeds_and_architectures_equals_each_alone_with_one_trace(monkeypatch):
    """All 16 architectures run in one compiled program; every member's numbers are those of training it alone."""
    data, traces = CONFIG.data, []
    step = epoch.make_step
    monkeypatch.setattr(epoch, "make_step", lambda *a, **k: traces.append(1) or step(*a, **k))
    every = [Config(**CONFIG.options, activations=names) for names in architectures.combinations(STUDY[:4])]
    assert len({config.digest for config in every}) == 16
    machine = Ensemble(every[0], STUDY, data, size=2, strategy="map", devices=1)
    assert len(traces) == 1
    for config in (every[0], every[6]):
        both = machine.run([(config, 3), (config, 5)])
        alone = train_seeds(config, data, [5], strategy="map")
        for name in ("train_loss", "test_loss"):
            np.testing.assert_allclose(getattr(both, name)[1], getattr(alone, name)[0], rtol=1e-5)
        np.testing.assert_array_equal(both.test_correct[1], alone.test_correct[0])
        assert not np.allclose(both.test_loss[0], both.test_loss[1])
    assert len(traces) == 3  # the two alone


def lenet(**options):
    return Config(**({"activations": NAMED, "dataset": "cifar10", "widths": (6, 16, 120, 84, 10)} | options))


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ({"architecture": "lenett"}, "'lenett': use one of mlp, lenet"),
        ({"activations": ("relu",) * 3, "widths": (6, 16, 10)}, "lenet has 5 layers, .*, got 3"),
        ({"dataset": "digits"}, "lenet on digits: images of 8x8 are too small"),
        ({"dataset": "cifra10"}, "did you mean 'cifar10'"),
    ],
)
def test_a_lenet_that_cannot_be_is_refused_in_one_line(options, shown):
    with pytest.raises(ValueError, match=shown) as error:
        lenet(**({"architecture": "lenet"} | options))
    assert "\n" not in str(error.value)


def test_dense_stacks_keep_their_digests_and_know_nothing_of_it():
    assert "architecture" not in lenet().as_dict()
    config = lenet(architecture="lenet")
    assert config.as_dict()["architecture"] == "lenet" and Config.from_dict(config.as_dict()) == config
    assert config.digest != lenet().digest


def test_theory_refuses_it():
    with pytest.raises(ValueError, match="lenet has no theory here"):
        prediction.predict(lenet(architecture="lenet"), 3072, InputStatistics(1.0, 0.3), 100)


def test_sizes_by_hand():
    assert architectures.map_shapes((32, 32, 3), (6, 16, 120)) == ((28, 28, 6), (10, 10, 16))
    assert architectures.map_shapes(spec("mnist").shape, (6, 16)) == ((24, 24, 6), (8, 8, 16))
    with pytest.raises(ValueError, match="15x16 are too small.*16x16"):
        architectures.map_shapes((15, 16, 1), (6, 16))
    assert architectures.map_shapes((16, 16, 1), (6, 16))[1] == (2, 2, 16)
    assert architectures.products("lenet", "cifar10", (6, 16, 120, 84, 10), 4) == (
        *((4 * 784, 75, 6), (4 * 100, 150, 16), (4, 400, 120)),
        *((4, 120, 84), (4, 84, 10)),
    )
    assert architectures.products("mlp", "mnist", (500, 10), 32) == ((32, 784, 500), (32, 500, 10))
    assert architectures.describe("lenet", "cifar10", (6, 16, 120, 84, 10)) == (
        "LeNet 32x32x3, 6@5x5, 16@5x5, 120, 84, 10"
    )
