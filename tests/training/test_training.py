"""One network: steps, epochs and scores against NumPy float64; the order of the examples; the dead network."""

import math
from functools import partial
from inspect import signature

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from oracles.numpy_activations import PHIS
from oracles.numpy_network import at_rest, forward, layers_of, loss_and_gradients, losses, sgd, toy, train_epoch

from jaxact import config, training
from jaxact.config import Config
from jaxact.training import NOISE, SHUFFLE, TrainState, seed_key

STUDY = ("relu", "tanh", "sigmoid", "selu")
CONFIG = Config(activations=("relu", "tanh", "sigmoid"), widths=(7, 5, 3), batch_size=16, learning_rate=0.1)
DATA = toy()
MNIST_TEST_COUNTS = (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009)


def doubled(tree):
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), tree)


def assert_layers_close(params, layers, **tolerance):
    for found, expected in zip(layers_of(params), layers, strict=True):
        for part, expected_part in zip(found, expected, strict=True):
            np.testing.assert_allclose(part, expected_part, **tolerance)


@pytest.fixture(scope="module")
def program():
    return training.make_program(CONFIG, STUDY)


@pytest.fixture(scope="module")
def initial(program):
    """The state of seed 0; starts do not depend on the activations here."""
    return program.initialise(jnp.array(0), jnp.zeros(3, int), jnp.asarray(DATA.train_images[0]))


@pytest.fixture(scope="module")
def step():
    model, optimizer = training.make_model(CONFIG, STUDY), training.make_optimizer(CONFIG)
    return jax.jit(training.make_step(model, optimizer, noise=False))


@pytest.mark.parametrize("which", [(0, 1, 2), (3, 0, 1), (2, 2, 0)])
def test_steps_of_sgd_with_momentum_equal_numpy(step, initial, which):
    phis, layers = [PHIS[STUDY[i]] for i in which], layers_of(initial.params)
    velocities, images, labels = at_rest(layers), DATA.train_images[:16], DATA.train_labels[:16]
    with jax.enable_x64(True):
        state = doubled(initial)
        for number in range(5):
            loss, gradients = loss_and_gradients(layers, phis, images, labels)
            layers, velocities = sgd(layers, velocities, gradients, rate=0.1, momentum=0.5)
            state, (loss_sum, _) = step(
                state, jnp.array(which), jnp.asarray(images, float), jnp.asarray(labels), jax.random.key(number)
            )
            assert float(loss_sum) / 16 == pytest.approx(loss, rel=1e-12)
            assert_layers_close(state.params, layers, rtol=1e-12, atol=1e-14)


@partial(jax.jit, static_argnums=(0, 1))
def recorded(n, batch_size, seed, epoch):
    """One epoch of a step that writes down which examples it is given, and how many."""

    def record(state, which, images, labels, key):
        log, sizes, (position, number) = state
        log = jax.lax.dynamic_update_slice(log, images, (position,))
        return TrainState(log, sizes.at[number].set(len(images)), (position + len(images), number + 1)), (0.0, 0)

    start = TrainState(jnp.zeros(n, int), jnp.zeros(n, int), (jnp.array(0), jnp.array(0)))
    examples = jnp.arange(n)
    return training.make_epoch(record, batch_size)(start, seed, jnp.zeros(3, int), epoch, examples, examples)[0]


def visits(n, batch_size, seed, epoch):
    """The order in which `make_epoch` hands out the n examples, and the sizes of its batches."""
    state = recorded(n, batch_size, jnp.array(seed, jnp.int32), jnp.array(epoch, jnp.int32))
    return np.asarray(state.params), [int(size) for size in np.asarray(state.batch_stats) if size]


@pytest.mark.parametrize(("batch_size", "sizes"), [(16, [16, 16, 8]), (20, [20, 20]), (39, [39, 1])])
def test_every_example_is_used_once_and_the_last_batch_is_a_step_of_its_own(batch_size, sizes):
    order, found = visits(40, batch_size, seed=3, epoch=0)
    assert found == sizes
    assert sorted(order) == list(range(40))


def test_orders_differ_between_epochs_and_seeds_but_not_between_batch_sizes():
    orders = {tuple(visits(40, 16, seed, epoch)[0]) for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9
    np.testing.assert_array_equal(visits(40, 16, 1, 1)[0], visits(40, 20, 1, 1)[0])


def test_keys_differ_between_seeds_purposes_epochs_and_steps():
    wanted = [(seed, *rest) for seed in (0, 1, 2**31 - 1) for rest in ((0,), (1,), (2,), (1, 0), (2, 0), (2, 0, 1))]
    keys = {tuple(jax.random.key_data(seed_key(*arguments)).tolist()) for arguments in wanted}
    assert len(keys) == len(wanted)
    as_array = jax.jit(seed_key, static_argnums=1)(jnp.array(5, jnp.int32), SHUFFLE, jnp.array(2))
    assert jax.random.key_data(as_array).tolist() == jax.random.key_data(seed_key(5, SHUFFLE, 2)).tolist()


def test_two_epochs_with_a_partial_batch_equal_numpy(step, initial):
    which, phis = (0, 1, 2), [PHIS["relu"], PHIS["tanh"], PHIS["sigmoid"]]
    layers = layers_of(initial.params)
    velocities, images, labels = at_rest(layers), DATA.train_images.astype(float), DATA.train_labels
    with jax.enable_x64(True):
        state, epoch_of = doubled(initial), jax.jit(training.make_epoch(step, 16))
        for epoch in range(2):
            order, _ = visits(40, 16, seed=0, epoch=epoch)
            batches = [order[:16], order[16:32], order[32:]]
            layers, velocities, loss, accuracy = train_epoch(
                layers, velocities, phis, images, labels, batches, rate=0.1, momentum=0.5
            )
            state, info = epoch_of(
                state, jnp.array(0), jnp.array(which), jnp.array(epoch), jnp.asarray(images), jnp.asarray(labels)
            )
            assert float(info.loss) == pytest.approx(loss, rel=1e-12)
            assert float(info.accuracy) == pytest.approx(accuracy, rel=1e-6)  # a ratio of counts, in float32
            assert_layers_close(state.params, layers, rtol=1e-12, atol=1e-14)


def test_evaluation_equals_numpy(program, initial):
    found = jax.jit(program.evaluate)(initial, jnp.array([3, 0, 1]), DATA.test_images, DATA.test_labels)
    logits = forward(layers_of(initial.params), [PHIS[n] for n in ("selu", "relu", "tanh")], DATA.test_images)[1][-1]
    predicted = logits.argmax(axis=1)
    assert float(found.loss) == pytest.approx(losses(logits, DATA.test_labels).mean(), rel=1e-5)
    np.testing.assert_array_equal(found.predicted, np.bincount(predicted, minlength=3))
    np.testing.assert_array_equal(
        found.correct, np.bincount(DATA.test_labels[predicted == DATA.test_labels], minlength=3)
    )


@pytest.mark.parametrize("kernel", ["zero", "random"])
def test_a_dead_network_stays_at_ln_10_predicts_class_0_and_never_moves(kernel):
    labels = np.repeat(np.arange(10), MNIST_TEST_COUNTS).astype(np.int32)
    rng = np.random.default_rng(0)
    images = rng.normal(size=(len(labels), 4)).astype(np.float32)
    dead = Config(activations=("tanh", "relu"), widths=(7, 10), batch_size=32)
    program, optimizer = training.make_program(dead, ("tanh", "relu")), training.make_optimizer(dead)
    # tanh is within ±1 and every kernel within ±1/2: a bias below -7/2 kills every output unit.
    kernels = {"zero": jnp.zeros((7, 10)), "random": jnp.asarray(rng.uniform(-0.5, 0.5, (7, 10)), jnp.float32)}
    params = {
        "dense1": {"kernel": jnp.asarray(rng.normal(size=(4, 7)), jnp.float32), "bias": jnp.ones(7)},
        "dense2": {"kernel": kernels[kernel], "bias": jnp.full(10, -3.6)},
    }
    state, which = TrainState(params, {}, optimizer.init(params)), jnp.array([0, 1])

    found = jax.jit(program.evaluate)(state, which, images, labels)
    assert float(found.loss) == pytest.approx(math.log(10), rel=1e-6)
    assert found.predicted.tolist() == [10_000, *[0] * 9]
    assert found.correct.tolist() == [980, *[0] * 9]  # 9.80 %

    step = training.make_step(training.make_model(dead, ("tanh", "relu")), optimizer, noise=False)
    after, (loss, correct) = jax.jit(step)(
        state, which, jnp.asarray(images[:32]), jnp.asarray(labels[:32]), jax.random.key(0)
    )
    assert float(loss) / 32 == pytest.approx(math.log(10), rel=1e-6)  # a float32 sum, in the compiler's order
    assert int(correct) == 32  # the first 32 labels are all 0
    jax.tree.map(np.testing.assert_array_equal, after.params, state.params)
    assert all((leaf == 0).all() for leaf in jax.tree.leaves(after.opt_state))


CHOICES = ("relu", "prelu", "rrelu")


@pytest.fixture(scope="module")
def mixed():
    """Learnable and random activations beside others: (initialise, jitted epoch, jitted evaluate)."""
    small = Config(activations=("relu", "relu"), widths=(7, 3), batch_size=20, learning_rate=0.1)
    program = training.make_program(small, CHOICES)
    images, labels = jnp.asarray(DATA.train_images), jnp.asarray(DATA.train_labels)
    epoch = jax.jit(program.epoch)

    def run(which, seed=0, start=0):
        state = program.initialise(jnp.array(start), jnp.array(which), images[0])
        return state, *epoch(state, jnp.array(seed), jnp.array(which), jnp.array(0), images, labels)

    return run, jax.jit(program.evaluate)


def test_prelu_slopes_start_at_a_quarter_and_move_while_those_of_others_rest(mixed):
    before, after, _ = mixed[0]((1, 0))
    theta = [[float(state.params[f"activation{i}"]["theta"][0]) for i in (1, 2)] for state in (before, after)]
    assert theta[0] == [0.25, 0.0]
    assert theta[1][1] == 0.0
    assert 1e-5 < abs(theta[1][0] - 0.25) < 0.25


def test_the_first_move_of_a_prelu_slope_equals_a_finite_difference():
    model = training.make_model(Config(activations=("prelu", "tanh"), widths=(7, 3)), ("prelu", "tanh"))
    step = training.make_step(model, optax.sgd(0.1), noise=False)
    params = model.init(jax.random.key(4), jnp.asarray(DATA.train_images[0]), jnp.array([0, 1]))["params"]
    layers, phi = layers_of(params), PHIS["tanh"]

    def loss(theta):
        slope = PHIS["prelu"]._replace(f=lambda x: np.where(x > 0, x, theta * x))
        return losses(forward(layers, [slope, phi], DATA.train_images)[1][-1], DATA.train_labels).mean()

    with jax.enable_x64(True):
        state = TrainState(doubled(params), {}, optax.sgd(0.1).init(params))
        images, labels = jnp.asarray(DATA.train_images, float), jnp.asarray(DATA.train_labels)
        after, _ = jax.jit(step)(state, jnp.array([0, 1]), images, labels, jax.random.key(0))
    expected = 0.25 - 0.1 * (loss(0.25 + 1e-6) - loss(0.25 - 1e-6)) / 2e-6
    assert float(after.params["activation1"]["theta"][0]) == pytest.approx(expected, rel=1e-8)


def test_rrelu_draws_from_the_seeds_own_stream_in_training_and_is_fixed_at_test(mixed):
    run, evaluate = mixed
    (state, after, info), (_, again, _), (_, other, other_info) = run((2, 2)), run((2, 2)), run((2, 2), seed=1)
    jax.tree.map(np.testing.assert_array_equal, after, again)
    assert float(info.loss) != float(other_info.loss)
    assert not np.array_equal(after.params["dense1"]["kernel"], other.params["dense1"]["kernel"])
    scores = [evaluate(state, jnp.array([2, 2]), DATA.test_images, DATA.test_labels) for _ in range(2)]
    assert float(scores[0].loss) == float(scores[1].loss)


def test_the_noise_changes_from_step_to_step_and_from_epoch_to_epoch():
    seen = []

    def record(state, which, images, labels, key):
        return TrainState(state.params.at[state.opt_state].set(jax.random.bits(key)), {}, state.opt_state + 1), (0.0, 0)

    for epoch in range(2):
        start = TrainState(jnp.zeros(3, jnp.uint32), {}, jnp.array(0))
        epoch_of = training.make_epoch(record, 16)
        state, _ = epoch_of(start, jnp.array(0), jnp.zeros(1), jnp.array(epoch), jnp.arange(40), jnp.arange(40))
        seen += state.params.tolist()
        assert seen[-3:] == [int(jax.random.bits(seed_key(0, NOISE, epoch, number))) for number in range(3)]
    assert len(set(seen)) == 6


def momentum_of(name):
    return 0.5 if name in config.MOMENTUM_OPTIMIZERS else 0.0


@pytest.mark.parametrize("name", config.OPTIMIZERS)
def test_every_optimiser_lowers_a_quadratic(name):
    optimizer = training.make_optimizer(
        Config(activations=("relu",), widths=(1,), optimizer=name, momentum=momentum_of(name), learning_rate=0.05)
    )
    weights = {"w": jnp.array([1.0, -2.0])}
    state = optimizer.init(weights)
    for _ in range(5):
        updates, state = optimizer.update({"w": 2 * weights["w"]}, state, weights)
        weights = optax.apply_updates(weights, updates)
    assert 0 <= float((weights["w"] ** 2).sum()) < 5.0


def test_no_optimiser_has_a_momentum_the_configuration_does_not_know():
    defaults = {name: signature(getattr(optax, name)).parameters.get("momentum") for name in config.OPTIMIZERS}
    assert {name for name, momentum in defaults.items() if momentum} == (
        set(config.MOMENTUM_OPTIMIZERS) - set(config.TORCH_OPTIMIZERS)
    )


def test_which_of_names_the_choices_by_index():
    assert training.which_of(CONFIG, STUDY) == [0, 1, 2]
    assert training.which_of(CONFIG, ("sigmoid", "relu", "tanh")) == [1, 2, 0]
