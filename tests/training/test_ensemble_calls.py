"""Which calls an ensemble makes, and which jobs, data and options it refuses; nothing here is compiled."""

import itertools
import math
from dataclasses import replace

import jax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.numpy_network import toy

from jaxact import training
from jaxact.config import Config
from jaxact.training import ensemble
from jaxact.training.ensemble import Ensemble, plan_calls, train_seeds

STUDY = ("relu", "tanh", "sigmoid", "selu")
DATA = toy()
BASE = Config(activations=("relu", "tanh", "selu"), widths=(7, 5, 3), batch_size=16)


def using(*activations):
    return replace(BASE, activations=activations)


@pytest.fixture(autouse=True)
def uncompiled(monkeypatch):
    monkeypatch.setattr(Ensemble, "_compile", lambda self, probe: (None, None, None))


@pytest.fixture
def machine():
    return Ensemble(BASE, STUDY, DATA, size=4)


def test_a_vmap_call_refuses_different_activations():
    machine = Ensemble(BASE, STUDY, DATA, size=4, strategy="vmap")
    with pytest.raises(ValueError, match="plan_calls"):
        machine.run([(BASE, 0), (using("relu", "relu", "relu"), 0)])


@pytest.mark.parametrize("other", [{"learning_rate": 0.5}, {"epochs": 9}, {"batch_size": 8}, {"init": "orthogonal"}])
def test_a_job_with_another_protocol_is_refused(machine, other):
    with pytest.raises(ValueError, match=next(iter(other))):
        machine.run([(replace(BASE, **other), 0)])


def test_a_job_with_an_activation_that_is_no_choice_is_refused_by_name(machine):
    with pytest.raises(ValueError, match="gelu.*relu, tanh"):
        machine.run([(using("relu", "gelu", "relu"), 0)])


@pytest.mark.parametrize(
    ("asked", "devices", "size"), [(None, 4, 4), (1, 4, 4), (5, 4, 8), (8, 4, 8), (5, 1, 5), (3, 2, 4)]
)
def test_the_call_size_is_rounded_up_to_the_devices(asked, devices, size):
    assert Ensemble(BASE, STUDY, DATA, size=asked, devices=devices).size == size


def test_limit_train_limits_the_training_set():
    limited = Ensemble(replace(BASE, limit_train=20), STUDY, DATA)
    assert [len(array) for array in (*limited.train, *limited.test)] == [20, 20, 30, 30]


def test_choices_are_found_however_they_are_spelled():
    config = using("relu", "tanh", "elu:alpha=0.50")
    machine = Ensemble(config, ("relu", "tanh", "elu:alpha=.5"), DATA)
    assert training.which_of(config, machine.choices) == [0, 1, 2]


def test_labels_beyond_the_last_width_and_sizes_below_1_are_refused():
    with pytest.raises(ValueError, match="2, .*3"):
        Ensemble(replace(BASE, widths=(7, 5, 2)), STUDY, DATA)
    with pytest.raises(ValueError, match="-3"):
        Ensemble(BASE, STUDY, DATA, size=-3)


@pytest.mark.parametrize("seeds", [[], [1, 1], [-1], [2**31]])
def test_seeds_that_are_none_twice_or_out_of_range_are_refused(seeds):
    with pytest.raises(ValueError, match="seed"):
        train_seeds(BASE, DATA, seeds)


def test_images_that_are_not_flat_are_refused():
    with pytest.raises(ValueError, match="flat=True"):
        Ensemble(BASE, STUDY, DATA._replace(train_images=DATA.train_images[:, None]))


CONFIGS = [using(*names) for names in itertools.product(("relu", "tanh"), repeat=3)]
JOBS = st.lists(st.tuples(st.sampled_from(CONFIGS), st.integers(0, 9)), max_size=30)


@given(JOBS, st.integers(1, 9))
@settings(max_examples=50, deadline=None)
def test_map_calls_keep_the_order_and_are_as_few_as_can_be(jobs, size):
    calls = plan_calls(jobs, size, "map")
    assert list(itertools.chain(*calls)) == jobs
    assert len(calls) == math.ceil(len(jobs) / size)
    assert all(1 <= len(call) <= size for call in calls)


@given(JOBS, st.integers(1, 9))
@settings(max_examples=50, deadline=None)
def test_vmap_calls_keep_the_order_and_share_their_activations(jobs, size):
    calls = plan_calls(jobs, size, "vmap")
    assert list(itertools.chain(*calls)) == jobs
    assert all(1 <= len(call) <= size and len({config.activations for config, _ in call}) == 1 for call in calls)
    runs = [len(list(group)) for _, group in itertools.groupby(jobs, lambda job: job[0].activations)]
    assert len(calls) == sum(math.ceil(run / size) for run in runs)


def test_refused_in_one_line_that_shows_value_limit_and_remedy(machine):
    for devices in (0, -1, 5):
        with pytest.raises(ValueError, match=f"{devices} devices asked for, 4 present: use 1 to 4"):
            ensemble.make_mesh(devices)
    with pytest.raises(ValueError, match="unknown strategy 'pmap': use one of auto, vmap, map"):
        ensemble.resolve_strategy("pmap")
    for count in (0, 5):
        with pytest.raises(ValueError, match=f"{count} jobs in a call of 1 to 4: cut them with plan_calls"):
            machine.run([(BASE, 0)] * count)
    with pytest.raises(ValueError, match="seeds is empty"):
        train_seeds(BASE, DATA, [])
    with pytest.raises(ValueError, match="batch size 41 is larger than the 40"):
        train_seeds(Config(activations=("relu",), widths=(3,), batch_size=41), DATA, [0])


def test_auto_maps_on_a_cpu(monkeypatch):
    assert ensemble.resolve_strategy("auto") == "map"
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert ensemble.resolve_strategy("auto") == "vmap"
