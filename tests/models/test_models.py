"""Networks against NumPy float64: forward pass and gradients of every combination, initialisers, parameter counts."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles.numpy_activations import PHIS, leaky
from oracles.numpy_network import forward, layers_of, loss_and_gradients, toy
from scipy import stats

from jaxact import activations as catalogue
from jaxact import metrics
from jaxact.config import INITIALIZERS
from jaxact.models import MLP, Activate, initializers_for

STUDY = ("relu", "tanh", "sigmoid", "selu")
WIDTHS = (7, 5, 3)
COMBINATIONS = list(itertools.product(range(4), repeat=3))
DATA = toy()


def start(model, seed=0, which=(0, 0, 0), features=6):
    """The variables of a fresh network."""
    return model.init(jax.random.key(seed), jnp.zeros(features), jnp.array(which))


def doubled(tree):
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), tree)


def loss_of(model):
    """(parameters, which) → (mean loss, logits) on the training images of the toy data."""

    def loss(params, which):
        logits, _ = model.apply({"params": params}, jnp.asarray(DATA.train_images, jnp.float64), which)
        return jax.vmap(metrics.cross_entropy)(logits, jnp.asarray(DATA.train_labels)).mean(), logits

    return jax.jit(jax.value_and_grad(loss, has_aux=True))


@pytest.fixture(scope="module")
def switching():
    return loss_of(MLP(WIDTHS, STUDY))


@pytest.fixture(scope="module")
def params():
    return start(MLP(WIDTHS, STUDY), seed=3)["params"]


@pytest.mark.parametrize("which", COMBINATIONS, ids=lambda which: "-".join(STUDY[i] for i in which))
def test_values_and_gradients_of_every_combination_equal_numpy(switching, params, which):
    with jax.enable_x64(True):
        (loss, logits), gradients = switching(doubled(params), jnp.array(which))
    phis = [PHIS[STUDY[i]] for i in which]
    expected, expected_gradients = loss_and_gradients(layers_of(params), phis, DATA.train_images, DATA.train_labels)
    assert float(loss) == pytest.approx(expected, rel=1e-13)
    np.testing.assert_allclose(logits, forward(layers_of(params), phis, DATA.train_images)[1][-1], rtol=1e-12)
    for found, wanted in zip(layers_of(gradients), expected_gradients, strict=True):
        for part, expected_part in zip(found, wanted, strict=True):
            np.testing.assert_allclose(part, expected_part, rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("index", range(4), ids=STUDY)
def test_the_switch_equals_the_network_without_one(switching, params, index):
    with jax.enable_x64(True):
        (loss, logits), gradients = switching(doubled(params), jnp.full(3, index))
        alone = loss_of(MLP(WIDTHS, (STUDY[index],)))
        (loss_alone, logits_alone), gradients_alone = alone(doubled(params), jnp.zeros(3, int))
    assert float(loss) == pytest.approx(float(loss_alone), rel=1e-14)
    np.testing.assert_allclose(logits, logits_alone, rtol=1e-13)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-16), gradients, gradients_alone)


def test_apply_returns_logits_and_the_pre_activation_of_every_layer():
    model, which = MLP(WIDTHS, STUDY), (3, 0, 1)
    variables, images = start(model, seed=1), jnp.asarray(DATA.train_images)
    logits, hidden = model.apply(variables, images, jnp.array(which))
    assert {name: h.shape for name, h in hidden.items()} == {"layer1": (40, 7), "layer2": (40, 5), "layer3": (40, 3)}
    expected, _ = forward(layers_of(variables["params"]), [PHIS[STUDY[i]] for i in which], DATA.train_images)
    for found, wanted in zip(hidden.values(), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(logits, catalogue.get("tanh")(hidden["layer3"]))


def test_eager_jitted_and_vmapped_agree():
    model, which = MLP(WIDTHS, STUDY), jnp.array([1, 2, 3])
    variables, images = start(model, seed=1), jnp.asarray(DATA.train_images)
    eager, _ = model.apply(variables, images, which)
    jitted, _ = jax.jit(model.apply)(variables, images, which)
    one_by_one, _ = jax.vmap(lambda image: model.apply(variables, image, which))(images)
    np.testing.assert_allclose(jitted, eager, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(one_by_one, eager, rtol=1e-5, atol=1e-6)


def test_the_start_depends_on_the_seed_alone():
    first = start(MLP(WIDTHS, STUDY), seed=5)["params"]
    for model, which in [(MLP(WIDTHS, STUDY), (3, 2, 1)), (MLP(WIDTHS, ("tanh", "prelu", "rrelu")), (1, 2, 1))]:
        other = start(model, seed=5, which=which)["params"]
        for layer in first:
            jax.tree.map(np.testing.assert_array_equal, first[layer], other[layer])
    assert not np.array_equal(
        first["dense1"]["kernel"], start(MLP(WIDTHS, STUDY), seed=6)["params"]["dense1"]["kernel"]
    )


@pytest.mark.parametrize(
    ("widths", "features", "batch_norm", "count"),
    [
        ((500, 256, 10), 784, (), 523_326),
        ((500, 256, 10), 784, (1, 2, 3), 523_326 + 1_532),
        ((500, 10), 3072, (), 1_541_510),
        ((1000, 500, 256, 10), 3072, (), 3_704_326),
    ],
)
def test_parameter_counts_of_the_study(widths, features, batch_norm, count):
    model = MLP(widths, STUDY, batch_norm)
    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros(features), jnp.zeros(len(widths), int))
    assert sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes["params"])) == count


@pytest.fixture(scope="module")
def wide():
    """{initialiser: kernel and bias, 300 → 200}, where statistics have enough to count."""

    def init(name):
        return start(MLP((200,), ("relu",), initializer=name), seed=7, which=(0,), features=300)["params"]["dense1"]

    return {name: {part: np.asarray(leaf, float) for part, leaf in init(name).items()} for name in INITIALIZERS}


@pytest.mark.parametrize("part", ["kernel", "bias"])
def test_torch_default_is_uniform_within_one_over_root_fan_in(wide, part):
    values, bound = wide["torch_default"][part].ravel(), 1 / math.sqrt(300)
    n, largest = values.size, np.abs(values).max()
    assert bound * (1 - 8 / n) < largest <= bound * (1 + 1e-7)  # below the first with probability exp(-8)
    # The mean square of U(±b) is b²/3 = 1/(3 fan_in), with variance 4b⁴/(45 n).
    assert abs((values**2).mean() - 1 / (3 * 300)) < 3 * bound**2 * math.sqrt(4 / 45 / n)
    assert stats.kstest(values, stats.uniform(-bound, 2 * bound).cdf).pvalue > 1e-3


def test_every_layer_has_the_bound_of_its_own_fan_in(params):
    for (kernel, bias), fan_in in zip(layers_of(params), (6, 7, 5), strict=True):
        assert 0.8 < np.abs(kernel).max() * math.sqrt(fan_in) <= 1 + 1e-7
        assert 0 < np.abs(bias).max() * math.sqrt(fan_in) <= 1 + 1e-7


@pytest.mark.parametrize(
    ("name", "variance"), [("lecun_normal", 1 / 300), ("he_normal", 2 / 300), ("glorot_uniform", 2 / (300 + 200))]
)
def test_variances_of_the_other_initialisers(wide, name, variance):
    kernel = wide[name]["kernel"]
    # The kurtosis of these is at most the normal's 3, so √(2/n) bounds the relative standard error.
    assert abs((kernel**2).mean() / variance - 1) < 3 * math.sqrt(2 / kernel.size)
    assert not wide[name]["bias"].any()


def test_orthogonal_kernels_have_orthonormal_columns(wide):
    kernel = wide["orthogonal"]["kernel"]
    np.testing.assert_allclose(kernel.T @ kernel, np.eye(200), atol=2e-6)
    assert not wide["orthogonal"]["bias"].any()


def test_an_unknown_initialiser_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match="'he_norm'.*did you mean 'he_normal'"):
        initializers_for("he_norm", 4)


CHOICES = ("relu", "prelu", "rrelu", "swish")


def test_learnable_parameters_start_at_their_own_values_and_unused_ones_at_zero():
    model = Activate(CHOICES)
    starts = [float(model.init(jax.random.key(0), jnp.ones(3), jnp.array(i))["params"]["theta"][0]) for i in range(4)]
    assert starts == [0.0, 0.25, 0.0, 1.0]
    assert "params" not in Activate(STUDY).init(jax.random.key(0), jnp.ones(3), jnp.array(0))


def test_the_switch_gives_each_choice_its_own_parameter_and_its_gradient():
    x = jnp.array([[-2.0, -0.5, 1.5]])
    switch = jax.jit(lambda theta, i: Activate(CHOICES).apply({"params": {"theta": theta}}, x, i).sum())
    for index, value, slope in (
        (0, 1.5, 0.0),
        (1, 1.5 - 0.4 * 2.5, -2.5),  # d/dθ Σ θ min(x, 0)
        (2, 1.5 - 11 / 48 * 2.5, 0.0),
        (3, *(float(v) for v in _swish(np.array([-2.0, -0.5, 1.5]), 0.4))),
    ):
        found, gradient = jax.value_and_grad(switch)(jnp.array([0.4]), jnp.array(index))
        assert (float(found), float(gradient[0])) == pytest.approx((value, slope), rel=1e-6)


def _swish(x, beta):
    """Σ x σ(βx) and its derivative with respect to β."""
    s = 1 / (1 + np.exp(-beta * x))
    return (x * s).sum(), (x * x * s * (1 - s)).sum()


def test_rrelu_is_random_in_training_and_11_over_48_at_test(params):
    model, images = MLP(WIDTHS, ("rrelu",)), jnp.asarray(DATA.train_images)
    variables = {"params": params}

    @jax.jit
    def train(key):
        return model.apply(variables, images, jnp.zeros(3, int), train=True, rngs={"noise": key})

    (logits, hidden), (again, _), (other, _) = (train(jax.random.key(seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(logits, again)
    assert not np.array_equal(logits, other)
    tested, _ = model.apply(variables, images, jnp.zeros(3, int))
    phi = leaky(11 / 48)
    expected = forward(layers_of(variables["params"]), [phi] * 3, DATA.train_images)[1][-1]
    np.testing.assert_allclose(tested, expected, rtol=1e-4, atol=1e-6)
    slopes = np.asarray(logits / hidden["layer3"])[np.asarray(hidden["layer3"]) < 0]
    assert 1 / 8 - 1e-6 <= slopes.min() < 0.2 < 0.25 < slopes.max() <= 1 / 3 + 1e-6


def test_layers_draw_their_noise_independently():
    # Identity kernels and negative inputs: logits / x is the product of two slopes, their ratio is never 1.
    model, size = MLP((300, 300), ("rrelu",)), 300
    variables = {"params": {f"dense{i}": {"kernel": jnp.eye(size), "bias": jnp.zeros(size)} for i in (1, 2)}}
    logits, hidden = model.apply(
        variables, -jnp.ones(size), jnp.zeros(2, int), train=True, rngs={"noise": jax.random.key(0)}
    )
    first, second = np.asarray(-hidden["layer2"]), np.asarray(logits / hidden["layer2"])
    assert abs(stats.spearmanr(first, second)[0]) < 4 / math.sqrt(size)
    assert len(np.unique(first)) == size


def test_a_dead_output_layer_gives_zeros_ln_10_and_no_gradient_at_all(params):
    model, last = MLP((7, 5, 10), STUDY), {"kernel": jnp.zeros((5, 10)), "bias": jnp.full(10, -0.1)}

    def loss(params):
        logits, _ = model.apply({"params": params}, jnp.asarray(DATA.train_images[0]), jnp.array([1, 2, 0]))
        return metrics.cross_entropy(logits, jnp.array(3))

    value, gradients = jax.jit(jax.value_and_grad(loss))(params | {"dense3": last})
    assert float(value) == float(np.float32(math.log(10)))
    assert all((leaf == 0).all() for leaf in jax.tree.leaves(gradients))
