"""Output heads: losses against SciPy and closed forms in float64, training against NumPy and against `training`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize, special

from jaxact import metrics, training
from jaxact.classics.heads import outputs
from jaxact.config import Config

RNG = np.random.default_rng(0)
Z = RNG.normal(scale=4, size=(40, 7))
ONE_HOT = np.eye(7)[RNG.integers(0, 7, 40)]
MULTI_HOT = RNG.integers(0, 2, (40, 7)).astype(float)

EXPECTED = {
    outputs.softmax_cross_entropy: (
        lambda z, t: -(t * special.log_softmax(z, axis=1)).sum(1),
        lambda z, t: special.softmax(z, axis=1) - t,
    ),
    outputs.sigmoid_cross_entropy: (
        lambda z, t: -(t * special.log_expit(z) + (1 - t) * special.log_expit(-z)).sum(1),
        lambda z, t: special.expit(z) - t,
    ),
    outputs.squared_error: (lambda z, t: ((z - t) ** 2).sum(1), lambda z, t: 2 * (z - t)),
}


@pytest.mark.parametrize("loss", EXPECTED, ids=lambda loss: loss.__name__)
@pytest.mark.parametrize("wrap", [jax.vmap, lambda f: jax.jit(jax.vmap(f))], ids=["vmap", "jit"])
def test_losses_and_gradients_equal_scipy(loss, wrap):
    targets = MULTI_HOT if loss is outputs.sigmoid_cross_entropy else ONE_HOT
    value, gradient = EXPECTED[loss]
    with jax.enable_x64(True):
        z, t = jnp.array(Z), jnp.array(targets)
        np.testing.assert_allclose(wrap(loss)(z, t), value(Z, targets), rtol=1e-12)
        np.testing.assert_allclose(wrap(jax.grad(loss))(z, t), gradient(Z, targets), rtol=1e-10, atol=1e-13)
        np.testing.assert_allclose(loss(z[3], t[3]), value(Z, targets)[3], rtol=1e-12)


def test_softmax_cross_entropy_is_that_of_the_study():
    z, labels = jnp.array(Z, jnp.float32), jnp.array(ONE_HOT.argmax(1))
    found = jax.vmap(outputs.softmax_cross_entropy)(z, jnp.array(ONE_HOT, jnp.float32))
    np.testing.assert_allclose(found, jax.vmap(metrics.cross_entropy)(z, labels), rtol=1e-6)


@pytest.mark.parametrize("head", [outputs.softmax_head(), outputs.sigmoid_head(), outputs.squared_error_head()])
@pytest.mark.parametrize("z", [(1e4, -1e4, 0.0), (-1e4, -1e4, -1e4), (0.0, 0.0, 0.0)])
def test_everything_is_finite_and_probabilities_sum_to_1_at_extremes(head, z):
    z, target = jnp.array(z), jnp.array([0.0, 1.0, 0.0])
    for value in (head.loss(z, target), jax.grad(head.loss)(z, target), head.output(z)):
        assert np.isfinite(value).all()
    p = np.asarray(jax.jit(head.probabilities)(z))
    assert p.sum() == pytest.approx(1, abs=1e-6) and (p >= 0).all()


def test_readings_equal_scipy_and_a_second_projection():
    def project(z):
        shift = optimize.brentq(lambda t: np.maximum(z - t, 0).sum() - 1, z.min() - 1, z.max(), xtol=1e-14)
        return np.maximum(z - shift, 0)

    sigmoids = special.expit(Z)
    expected = {
        outputs.softmax_head(): (special.softmax(Z, axis=1), special.softmax(Z, axis=1)),
        outputs.sigmoid_head(): (sigmoids, sigmoids / sigmoids.sum(1, keepdims=True)),
        outputs.squared_error_head(): (Z, np.array([project(z) for z in Z])),
    }
    with jax.enable_x64(True):
        for head, (output, probabilities) in expected.items():
            np.testing.assert_allclose(jax.vmap(head.output)(jnp.array(Z)), output, rtol=1e-12)
            np.testing.assert_allclose(jax.vmap(head.probabilities)(jnp.array(Z)), probabilities, rtol=1e-9, atol=1e-12)


def test_floor_is_the_error_of_the_best_prediction_in_the_range():
    y = np.linspace(-2, 3, 101)
    grid = np.linspace(0, 5, 5001)
    best = np.square(y[:, None] - grid).min(1).mean()
    assert outputs.floor(y, "relu") == pytest.approx(best, abs=1e-6)
    assert outputs.floor(-np.abs(y), "relu") == outputs.floor(-np.abs(y), "softplus") == np.mean(y**2)
    assert outputs.floor(y, "identity") == 0
    assert outputs.floor(y, "tanh") == pytest.approx(np.square(y - y.clip(-1, 1)).mean())


def test_a_configuration_that_ends_otherwise_is_refused():
    with pytest.raises(ValueError, match=r"head's activation is 'relu'.*'relu-identity'"):
        outputs.make_program(Config(activations=("relu", "identity"), widths=(3, 2)), outputs.softmax_head("relu"))


def compiled(program):
    """All but the start, whose random numbers take long to compile."""

    def initialise(*arguments):
        return program.initialise(*map(jnp.asarray, arguments))

    return type(program)(initialise, *map(jax.jit, program[1:]))


IMAGES = RNG.normal(size=(20, 5)).astype(np.float32)
LABELS = RNG.integers(0, 3, 20).astype(np.int32)
CONFIG = Config(activations=("tanh", "relu"), widths=(6, 3), batch_size=10, learning_rate=0.2, batch_norm=(1,))


@pytest.mark.slow
def test_each_seed_of_the_softmax_head_trains_as_the_study_does_alone():
    """Same start, same batches, same parameters as `training`, whose steps are tested against NumPy."""
    program = outputs.over_seeds(outputs.make_program(CONFIG, outputs.softmax_head("relu")))
    alone, which = compiled(training.make_program(CONFIG, ("tanh", "relu"))), jnp.array([0, 1])
    seeds, one_hot = np.array([3, 7, 5]), jax.nn.one_hot(LABELS, 3)
    start = state = program.initialise(seeds, IMAGES[0])
    expected = {i: alone.initialise(seeds[i], which, IMAGES[0]) for i in (0, 2)}
    for epoch in range(3):
        state, loss = program.epoch(state, seeds, epoch, IMAGES, one_hot)
        for i, other in expected.items():
            expected[i], info = alone.epoch(other, seeds[i], which, epoch, IMAGES, LABELS)
            assert float(loss[i]) == pytest.approx(float(info.loss), rel=1e-5)
    for i, other in expected.items():
        jax.tree.map(lambda a, b, i=i: np.testing.assert_allclose(a[i], b, rtol=1e-4, atol=1e-6), state, other)
    moved = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), state, start)
    assert min(jax.tree.leaves((moved.params["dense2"], moved.batch_stats))) > 1e-3
    z, h = program.emit(state, IMAGES)
    np.testing.assert_array_equal(z, np.maximum(h, 0))
    assert z.shape == (3, 20, 3) and not np.array_equal(z[0], z[2])


def test_one_linear_layer_descends_as_in_numpy():
    config = Config(activations=("identity",), widths=(2,), batch_size=20, learning_rate=0.05, momentum=0.0)
    program = compiled(outputs.make_program(config, outputs.squared_error_head()))
    y = RNG.normal(size=(20, 2)).astype(np.float32)
    state = program.initialise(0, IMAGES[0])
    w, b = (np.asarray(state.params["dense1"][name], float) for name in ("kernel", "bias"))
    for epoch in range(5):
        residual = IMAGES @ w + b - y
        gw, gb = 2 * IMAGES.T @ residual / 20, 2 * residual.mean(0)
        loss, norm = program.probe(state, IMAGES, y)
        assert float(loss) == pytest.approx(np.square(residual).sum(1).mean(), rel=1e-5)
        assert float(norm) == pytest.approx(np.sqrt((gw**2).sum() + (gb**2).sum()), rel=1e-5)
        state, _ = program.epoch(state, 0, epoch, IMAGES, y)
        w, b = w - 0.05 * gw, b - 0.05 * gb
    np.testing.assert_allclose(state.params["dense1"]["kernel"], w, rtol=1e-4, atol=1e-6)
    z, h = program.emit(state, IMAGES)
    np.testing.assert_allclose(z, IMAGES @ w + b, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(z, h)


def test_a_relu_output_dies_on_negative_targets():
    """Whatever the start: gradient exactly 0, the prediction the constant 0, the error that of the floor."""
    y = -1 - RNG.random((20, 1)).astype(np.float32)
    config = Config(
        activations=("tanh", "relu"), widths=(6, 1), batch_size=20, learning_rate=0.05, optimizer="adam", momentum=0.0
    )
    program = outputs.over_seeds(outputs.make_program(config, outputs.squared_error_head("relu")))
    seeds = np.arange(6)
    state = program.initialise(seeds, IMAGES[0])
    assert (program.probe(state, IMAGES, y)[1] > 0).any()
    for epoch in range(200):
        state, _ = program.epoch(state, seeds, epoch, IMAGES, y)
    loss, norm = program.probe(state, IMAGES, y)
    z, h = program.emit(state, IMAGES)
    assert (norm == 0).all() and (z == 0).all() and (h <= 0).all()
    np.testing.assert_allclose(loss, np.square(y).mean(), rtol=1e-6)
    assert outputs.floor(y, "relu") == pytest.approx(np.square(y.astype(float)).mean(), rel=1e-12)


@pytest.mark.parametrize("name", ["prelu", "rrelu"])
def test_any_elementwise_activation_can_be_an_output(name):
    config = Config(activations=("tanh", name), widths=(4, 1), batch_size=20, learning_rate=0.1)
    program = compiled(outputs.make_program(config, outputs.squared_error_head(name)))
    y = RNG.normal(size=(20, 1)).astype(np.float32)
    state = start = program.initialise(0, IMAGES[0])
    for epoch in range(3):
        state, loss = program.epoch(state, 0, epoch, IMAGES, y)
    assert np.isfinite(loss)
    if name == "prelu":
        learned = [params["activation2"]["theta"] for params in (start.params, state.params)]
        assert not np.array_equal(*learned)
