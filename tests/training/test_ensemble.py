"""Many networks at once: independence of seeds, of company and of the way to be parallel; one compilation for all."""

import itertools
from dataclasses import replace
from functools import cache

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from oracles.numpy_activations import PHIS
from oracles.numpy_network import at_rest, forward, layers_of, losses, toy, train_epoch

from jaxact import data, training
from jaxact.config import Config
from jaxact.training import ensemble
from jaxact.training.ensemble import Ensemble, History, over_members, run_jobs, train_seeds

STUDY = ("relu", "tanh", "sigmoid", "selu")
EXPLOSIVE = "leaky_relu:negative_slope=1000.0"
DATA = toy()
BASE = Config(activations=("relu", "tanh", "selu"), widths=(7, 5, 3), batch_size=16, learning_rate=0.1, epochs=3)


def using(*activations):
    return replace(BASE, activations=activations)


def assert_same(first, second):
    """Bit-equal histories."""
    for name in History._fields[:-1]:
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name), err_msg=name)


def assert_close(first, second):
    """Equal up to float32 rounding over nine steps; a differently compiled program adds in another order."""
    for name in ("train_loss", "test_loss"):
        np.testing.assert_allclose(getattr(first, name), getattr(second, name), rtol=2e-6, err_msg=name)
    for name in ("train_accuracy", "test_correct", "test_predicted"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name), err_msg=name)


def rows(history, *index):
    return jax.tree.map(lambda column: column[list(index)], history)


@pytest.fixture(scope="module")
def machine():
    """An ensemble over four devices, whose member functions raise when they are traced a second time."""
    member_functions = training.make_program(BASE, (*STUDY, EXPLOSIVE))
    chex.clear_trace_counter()
    traced_once = training.Program(*(chex.assert_max_traces(fn, n=1) for fn in member_functions))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "make_program", lambda *_: traced_once)
        return Ensemble(BASE, (*STUDY, EXPLOSIVE), DATA, size=4, strategy="map")


@pytest.fixture(scope="module")
def four(machine):
    """Seeds 0, 1, 2, 3 of the base configuration."""
    return machine.run([(BASE, seed) for seed in range(4)])


@cache
def start_and_orders(seed):
    """What a run takes from JAX: the layers of a fresh network, and the order of the examples in each epoch."""
    program = training.make_program(BASE, BASE.activations)
    start = program.initialise(jnp.array(seed), jnp.arange(3), jnp.asarray(DATA.train_images[0]))
    keys = [training.seed_key(seed, training.SHUFFLE, epoch) for epoch in range(BASE.epochs)]
    return layers_of(start.params), [np.asarray(jax.random.permutation(key, 40)) for key in keys]


def numpy_history(config, seed):
    """The same run in float64 NumPy, from the same start and in the same order of examples."""
    layers, orders = start_and_orders(seed)
    phis = [PHIS[name] for name in config.activations]
    velocities, images, train, test = at_rest(layers), DATA.train_images.astype(float), [], []

    def evaluate():
        logits = forward(layers, phis, DATA.test_images)[1][-1]
        predicted = logits.argmax(axis=1)
        right = DATA.test_labels[predicted == DATA.test_labels]
        loss = losses(logits, DATA.test_labels).mean()
        test.append((loss, np.bincount(right, minlength=3), np.bincount(predicted, minlength=3)))

    evaluate()
    for order in orders:
        batches = np.split(order, [16, 32])
        layers, velocities, loss, accuracy = train_epoch(
            layers, velocities, phis, images, DATA.train_labels, batches, config.learning_rate, config.momentum
        )
        train.append((loss, accuracy))
        evaluate()
    return [np.array(column) for column in (*zip(*train, strict=True), *zip(*test, strict=True))]


def test_a_whole_run_equals_numpy(four):
    for seed in (0, 3):
        found, expected = rows(four, seed), numpy_history(BASE, seed)
        for name, wanted in zip(History._fields[:-1], expected, strict=True):
            np.testing.assert_allclose(getattr(found, name)[0], wanted, rtol=2e-5, err_msg=name)


def test_shapes_and_counts(four):
    assert {name: getattr(four, name).shape for name in History._fields[:-1]} == {
        "train_loss": (4, 3),
        "train_accuracy": (4, 3),
        "test_loss": (4, 4),
        "test_correct": (4, 4, 3),
        "test_predicted": (4, 4, 3),
    }
    assert (four.test_predicted.sum(-1) == len(DATA.test_labels)).all()
    assert (four.test_correct <= np.minimum(four.test_predicted, np.bincount(DATA.test_labels))).all()


def test_one_compilation_serves_all_64_combinations_and_each_equals_numpy(machine, monkeypatch):
    jobs = [(using(*names), 0) for names in itertools.product(STUDY, repeat=3)]
    expected = [numpy_history(*job) for job in jobs]
    monkeypatch.delattr(training, "make_program")  # a second trace raises, and nothing new can be built
    runs = list(run_jobs(machine, jobs))
    assert [job for job, _ in runs] == jobs
    for (job, history), wanted in zip(runs, expected, strict=True):
        for loss in (0, 2):
            np.testing.assert_allclose(history[loss][0], wanted[loss], rtol=2e-5, err_msg=job[0].name)


@pytest.mark.parametrize("strategy", ["map", "vmap"])
def test_over_members_traces_once_for_any_values(strategy):
    chex.clear_trace_counter()
    member = chex.assert_max_traces(lambda x, scale: x * scale, n=1)
    batched = over_members(member, ensemble.make_mesh(), strategy, (False, True))
    for scale in (2.0, 3.0):
        found = batched(jnp.arange(8.0), jnp.array(scale))
        np.testing.assert_array_equal(found, np.arange(8.0) * scale)


def test_the_same_seed_twice_is_bit_equal(machine, four):
    assert_same(machine.run([(BASE, seed) for seed in range(4)]), four)


def test_a_seed_alone_equals_the_seed_in_a_batch(machine, four):
    assert_same(machine.run([(BASE, 2)]), rows(four, 2))


def test_permuting_seeds_permutes_results(machine, four):
    assert_same(machine.run([(BASE, seed) for seed in (3, 1, 0, 2)]), rows(four, 3, 1, 0, 2))


def test_adding_seeds_changes_none(machine, four):
    more = [history for _, history in run_jobs(machine, [(BASE, seed) for seed in (9, 3, 17, 0, 2, 2**31 - 1, 1)])]
    for seed, place in ((3, 1), (0, 3), (2, 4), (1, 6)):
        assert_same(more[place], rows(four, seed))


def test_no_two_seeds_are_alike(machine, four):
    others = machine.run([(BASE, seed) for seed in (4, 5, 2**31 - 1)])
    for name in ("train_loss", "test_loss"):
        values = np.concatenate([getattr(four, name), getattr(others, name)])
        assert len(np.unique(values)) == values.size


def test_company_of_other_activations_changes_nothing(machine, four):
    mixed = machine.run([(BASE, 1), (using("tanh", "tanh", "relu"), 1), (using("selu", "relu", "sigmoid"), 0)])
    assert_same(rows(mixed, 0), rows(four, 1))


def test_a_seed_that_diverges_becomes_nan_and_disturbs_no_other(machine, four):
    mixed = machine.run([(BASE, 0), (using(EXPLOSIVE, EXPLOSIVE, EXPLOSIVE), 0), (BASE, 2), (BASE, 3)])
    assert np.isfinite(mixed.test_loss[1, 0])
    assert np.isnan(mixed.test_loss[1, -1]) and not np.isfinite(mixed.train_loss[1, -1])
    assert_same(rows(mixed, 0, 2, 3), rows(four, 0, 2, 3))


def test_on_epoch_sees_the_history_grow(machine, four):
    seen = []
    machine.run([(BASE, 1), (BASE, 0)], lambda number, history: seen.append((number, history)))
    assert [number for number, _ in seen] == [1, 2, 3]
    for number, history in seen:
        np.testing.assert_array_equal(history.train_loss, four.train_loss[[1, 0], :number])
        np.testing.assert_array_equal(history.test_loss, four.test_loss[[1, 0], : number + 1])


@pytest.mark.parametrize(
    ("strategy", "devices", "size"),
    [("map", 1, 3), ("vmap", None, 5), pytest.param("vmap", 2, 3, marks=pytest.mark.slow)],
)
def test_strategies_devices_and_call_sizes_agree(four, strategy, devices, size):
    other = Ensemble(BASE, BASE.activations, DATA, size=size, strategy=strategy, devices=devices)
    assert other.size % (devices or 4) == 0 and other.size >= (size or 1)
    assert other.mesh.size == (devices or 4)
    runs = [history for _, history in run_jobs(other, [(BASE, seed) for seed in (0, 1, 2)])]
    assert_close(jax.tree.map(lambda *column: np.concatenate(column), *runs), rows(four, 0, 1, 2))


@pytest.mark.slow
def test_strategies_leave_the_same_distribution_after_an_epoch_on_digits():
    """Forty networks that fail, each its own way: alone on one of four devices, and all in one batched program."""
    config = Config(activations=("relu", "sigmoid", "relu"), dataset="digits", widths=(32, 16, 10), learning_rate=0.1)
    config, digits = replace(config, epochs=1), data.load("digits")
    found = []
    for strategy, devices, size in (("map", 4, 4), ("vmap", 1, 40)):
        machine = Ensemble(config, config.activations, digits, size=size, strategy=strategy, devices=devices)
        runs = [history for _, history in run_jobs(machine, [(config, seed) for seed in range(40)])]
        found.append(np.concatenate([history.test_correct[:, -1].sum(-1) for history in runs]))
    alone, batched = found
    assert len(np.unique(alone)) > 20  # a spread that a wrong strategy could miss
    assert scipy.stats.wasserstein_distance(alone, batched) < 0.25  # test images, of 360
    assert np.mean(alone == batched) > 0.9


def test_train_seeds_keeps_the_order_given(four):
    assert_close(train_seeds(BASE, DATA, [3, 0, 1, 2]), rows(four, 3, 0, 1, 2))


RANDOM = Config(activations=("rrelu", "prelu"), widths=(7, 3), batch_norm=(1,), batch_size=20, epochs=2)


@pytest.fixture(scope="module")
def vmapped():
    """Batch norm, a learnable and a random slope; two devices, eight members."""
    return Ensemble(RANDOM, ("prelu", "rrelu"), DATA, size=8, strategy="vmap", devices=2)


def test_batch_norm_and_random_slopes_depend_on_the_seed_alone(vmapped):
    batch = vmapped.run([(RANDOM, seed) for seed in range(5)])
    assert_close(vmapped.run([(RANDOM, 4)]), rows(batch, 4))
    assert_close(rows(vmapped.run([(RANDOM, seed) for seed in (7, 3, 1)]), 1, 2), rows(batch, 3, 1))
    assert len(np.unique(batch.test_loss[:, -1])) == 5
