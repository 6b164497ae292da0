"""Configurations: what is refused and how, digests, names, patterns, and the command line's small languages."""

import json
import math
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import FrozenInstanceError, fields, replace

import jaxtyping
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxact import activations as catalogue
from jaxact import config
from jaxact.config import Config

STUDY = ("relu", "tanh", "sigmoid", "selu")
BASE = Config(activations=("relu", "sigmoid", "relu"))

REFUSED = {  # what is wrong: (fields, what the message must show: value, limit, remedy)
    "no activation": ({"activations": (), "widths": ()}, ("activations", "empty", "relu-sigmoid-relu")),
    "unknown activation": ({"activations": ("relu", "rel", "relu")}, ("'rel'", "relu")),
    "vector activation": ({"activations": ("relu", "relu", "softmax")}, ("'softmax'", "elementwise", "tanh")),
    "parameter out of range": ({"activations": ("relu", "relu", "elu:alpha=1e9")}, ("1e+09", "1000", "choose")),
    "unknown parameter": ({"activations": ("relu", "relu", "elu:beta=1")}, ("'beta'", "alpha")),
    "too few widths": ({"widths": (500, 10)}, ("3 activations", "[500, 10]", "one width per layer")),
    "zero width": ({"widths": (500, 0, 10)}, ("width", "at least 1", "0")),
    "negative width": ({"widths": (500, -256, 10)}, ("width", "at least 1", "-256")),
    "fractional width": ({"widths": (500, 2.5, 10)}, ("width", "whole number", "2.5")),
    "true width": ({"widths": (500, True, 10)}, ("width", "whole number", "True")),
    "batch norm beyond the last layer": ({"batch_norm": (4,)}, ("batch_norm", "from 1 to 3", "[4]")),
    "batch norm in layer 0": ({"batch_norm": (0,)}, ("batch_norm", "from 1 to 3", "[0]")),
    "batch norm twice in a layer": ({"batch_norm": (1, 1)}, ("batch_norm", "each once", "[1, 1]")),
    "unknown initialiser": ({"init": "he_norml"}, ("'he_norml'", "did you mean 'he_normal'", "orthogonal")),
    "unknown optimiser": ({"optimizer": "adm"}, ("'adm'", "did you mean 'adam'", "sgd")),
    "far from any optimiser": ({"optimizer": "zzz"}, ("'zzz'", "known: adabelief", "yogi")),
    "zero rate": ({"learning_rate": 0.0}, ("learning_rate", "above 0", "0.0")),
    "negative rate": ({"learning_rate": -0.1}, ("learning_rate", "above 0", "-0.1")),
    "rate that is not a number": ({"learning_rate": math.nan}, ("learning_rate", "finite", "nan")),
    "infinite rate": ({"learning_rate": math.inf}, ("learning_rate", "finite", "inf")),
    "rate as text": ({"learning_rate": "0.1"}, ("learning_rate", "finite number", "'0.1'")),
    "zero batch": ({"batch_size": 0}, ("batch_size", "at least 1", "0")),
    "fractional batch": ({"batch_size": 32.0}, ("batch_size", "whole number", "32.0")),
    "zero epochs": ({"epochs": 0}, ("epochs", "at least 1", "0")),
    "negative epochs": ({"epochs": -3}, ("epochs", "at least 1", "-3")),
    "zero limit": ({"limit_train": 0}, ("limit_train", "at least 1", "0")),
    "momentum of 1": ({"momentum": 1.0}, ("momentum", "below 1", "1.0")),
    "negative momentum": ({"momentum": -0.5}, ("momentum", "at least 0", "-0.5")),
    "momentum that is not a number": ({"momentum": math.nan}, ("momentum", "below 1", "nan")),
    "momentum for adam": ({"optimizer": "adam"}, ("momentum 0.5", "'adam'", "leave it 0", "sgd")),
}


@contextmanager
def untyped():
    """As a user runs it: without the type checks of the test suite, which would refuse wrong types first."""
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.parametrize("case", REFUSED)
def test_refused_in_one_line_that_shows_value_limit_and_remedy(case):
    values, shown = REFUSED[case]
    with untyped(), pytest.raises(ValueError) as error:
        replace(BASE, **values)
    message = str(error.value)
    assert "\n" not in message
    for text in shown:
        assert text in message


def test_momentum_needs_an_optimiser_that_has_it():
    assert replace(BASE, optimizer="rmsprop").momentum == 0.5
    for name in set(config.OPTIMIZERS) - set(config.MOMENTUM_OPTIMIZERS):
        assert replace(BASE, optimizer=name, momentum=0.0).optimizer == name


def test_sequences_become_tuples_and_layers_are_sorted():
    with untyped():
        built = Config(activations=["relu", "tanh"], widths=[5, 3], batch_norm=[2, 1])  # pyright: ignore[reportArgumentType]
    assert (built.activations, built.widths, built.batch_norm) == (("relu", "tanh"), (5, 3), (1, 2))
    assert hash(built) == hash(Config(activations=("relu", "tanh"), widths=(5, 3), batch_norm=(1, 2)))
    with pytest.raises(FrozenInstanceError):
        built.epochs = 3  # pyright: ignore[reportAttributeAccessIssue]


CHANGED = {
    "activations": ("relu", "relu", "relu"),
    "dataset": "digits",
    "widths": (500, 256, 11),
    "batch_norm": (3,),
    "init": "he_normal",
    "optimizer": "rmsprop",
    "learning_rate": 0.02,
    "momentum": 0.0,
    "batch_size": 64,
    "epochs": 11,
    "limit_train": 60_000,
    "output_bias": 0.5,
}


def test_every_field_changes_the_digest():
    assert {*CHANGED, "architecture"} == {field.name for field in fields(Config)}
    digests = [BASE.digest, *(replace(BASE, **{name: value}).digest for name, value in CHANGED.items())]
    five = replace(BASE, activations=("relu",) * 5, widths=(6, 16, 120, 84, 10))  # LeNet's number of layers
    digests += [five.digest, replace(five, architecture="lenet").digest]
    assert len(set(digests)) == len(digests)


def test_the_digest_is_the_same_on_every_machine_and_in_every_version():
    # Records are found again by this digest: a new value here means that every stored record is orphaned.
    assert Config(activations=("relu", "sigmoid", "relu")).digest == BASE.digest == "95432035"


@pytest.mark.parametrize(
    "spelling",
    [
        {"learning_rate": 1},
        {"momentum": 0},
        {"momentum": False},
        {"batch_norm": (1.0,)},
        {"activations": (" relu", "elu", "relu")},
        {"activations": ("relu", "elu:alpha=1.0", "relu")},
        {"activations": ("relu", "elu:alpha=1e0", "relu")},
    ],
    ids=str,
)
def test_equal_configurations_spelled_differently_have_one_digest(spelling):
    plain = replace(BASE, activations=("relu", "elu", "relu"), learning_rate=1.0, momentum=0.0, batch_norm=(1,))
    with untyped():
        assert replace(plain, **spelling).digest == plain.digest


@given(
    st.lists(st.sampled_from(catalogue.names("elementwise")), min_size=1, max_size=4),
    st.floats(1e-6, 10),
    st.sampled_from([None, 1, 500]),
)
@settings(max_examples=25, deadline=None)
def test_json_round_trip(activations, rate, limit):
    built = Config(
        activations=tuple(activations), widths=(5,) * len(activations), learning_rate=rate, limit_train=limit
    )
    with untyped():
        again = Config.from_dict(json.loads(json.dumps(built.as_dict())))
    assert again == built and again.digest == built.digest and hash(again) == hash(built)
    assert config.split_name(built.name) == built.activations


def test_from_dict_gives_the_fields_the_types_they_declare():
    assert Config.from_dict(BASE.as_dict()) == BASE


def test_the_plain_values_are_json_values():
    plain = BASE.as_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert (plain["activations"], plain["batch_norm"], plain["limit_train"]) == (["relu", "sigmoid", "relu"], [], None)


def test_an_unknown_field_is_refused_by_name():
    with pytest.raises(ValueError, match="unknown field dropout, noise .* newer version"):
        Config.from_dict(BASE.as_dict() | {"noise": 1, "dropout": 0.5})


@pytest.mark.parametrize(
    ("size", "batch", "limit", "steps"), [(60_000, 32, None, 1875), (40, 16, None, 3), (40, 16, 32, 2), (5, 5, 9, 1)]
)
def test_steps_per_epoch_count_the_partial_batch(size, batch, limit, steps):
    assert replace(BASE, batch_size=batch, limit_train=limit).steps_per_epoch(size) == steps


def test_a_batch_must_fit_the_data_and_batch_norm():
    with pytest.raises(ValueError, match="batch size 41 is larger than the 40 .* at most 40"):
        replace(BASE, batch_size=41).steps_per_epoch(40)
    with pytest.raises(ValueError, match="larger than the 8 "):
        replace(BASE, batch_size=9, limit_train=8).steps_per_epoch(40)
    for batch in (1, 13):  # 40 = 3 · 13 + 1
        assert replace(BASE, batch_size=batch).steps_per_epoch(40)
        with pytest.raises(ValueError, match=f"batch size {batch} over 40 .* a batch of one.* choose"):
            replace(BASE, batch_size=batch, batch_norm=(1,)).steps_per_epoch(40)


@pytest.mark.parametrize(
    "names",
    [
        ("relu",),
        ("relu", "elu:alpha=0.5", "relu"),
        ("elu:alpha=1e-3", "relu"),
        ("threshold:threshold=-1.0,value=-2e-05", "rrelu:lower=0.1,upper=0.3", "tanh"),
    ],
)
def test_names_split_where_they_were_joined(names):
    assert config.split_name("-".join(names)) == names
    built = Config(activations=names, widths=(3,) * len(names))
    assert config.split_name(built.name) == built.activations


def test_combinations_come_in_the_studys_order():
    found = config.combinations(STUDY, 3)
    assert len(set(found)) == len(found) == 4**3
    assert found[:5] == [*[("relu", "relu", last) for last in STUDY], ("relu", "tanh", "relu")]


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["relu-tanh"], [("relu", "tanh")]),
        (["*-tanh"], [("relu", "tanh"), ("tanh", "tanh")]),
        (["tanh-*", "*-tanh"], [("tanh", "relu"), ("tanh", "tanh"), ("relu", "tanh")]),
        (["tanh-tanh", "*"], [("tanh", "tanh"), ("relu", "relu"), ("relu", "tanh"), ("tanh", "relu")]),
        (["mish-elu:alpha=0.5"], [("mish", "elu:alpha=0.5")]),
        ([], []),
    ],
)
def test_select(patterns, expected):
    assert config.select(patterns, ("relu", "tanh"), 2) == expected


@pytest.mark.parametrize(
    ("patterns", "shown"),
    [
        (["relu-relu-relu"], "'relu-relu-relu' has 3 activations, the network has 2"),
        (["relu-tanh", "relu-tanh"], "'relu-tanh' is named twice: name each once"),
        (["*-gelu"], r"'\*-gelu' matches none of the 4"),
        (["*-relu-relu-relu"], "matches none"),
    ],
)
def test_select_refuses(patterns, shown):
    with pytest.raises(ValueError, match=shown):
        config.select(patterns, ("relu", "tanh"), 2)


@pytest.mark.parametrize(
    ("text", "layers"), [("none", ()), ("all", (1, 2, 3)), ("last", (3,)), ("1,3", (1, 3)), ("2", (2,))]
)
def test_parse_batch_norm(text, layers):
    assert config.parse_batch_norm(text, 3) == layers


@pytest.mark.parametrize("text", ["", "first", "1,", "1-3", "-1", "1.5", "None", " 1"])
def test_parse_batch_norm_refuses(text):
    with pytest.raises(ValueError, match=f"none, all, last or layer numbers .* got {text!r}"):
        config.parse_batch_norm(text, 3)


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("3", (0, 1, 2)),
        ("4,", (4,)),
        ("0,3,17-19", (0, 3, 17, 18, 19)),
        ("5-5", (5,)),
        ("7,2", (7, 2)),
        ("2147483647,", (2**31 - 1,)),
    ],
)
def test_parse_seeds(text, seeds):
    assert config.parse_seeds(text) == seeds


@given(st.lists(st.integers(0, config.MAX_SEED), min_size=1, max_size=8, unique=True))
def test_any_list_of_distinct_seeds_is_read_back(seeds):
    assert config.parse_seeds(",".join(map(str, seeds)) + ",") == tuple(seeds)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        *[(text, "count of at least 1 or a list") for text in ("", ",", "-1", "1.5", "a", "1,,2", " 3", "1e3", "3\n")],
        ("0", "count from 1 to 100000"),
        ("100001", "count from 1 to 100000"),
        ("5-3", "'5-3': a range goes upwards"),
        ("0-100000", "at most 100000 seeds"),
        ("2147483648,", "at most at 2147483647"),
        ("1,2,1", "names a seed twice: name each once"),
        ("1-3,2", "names a seed twice"),
    ],
)
def test_parse_seeds_refuses(text, shown):
    with pytest.raises(ValueError, match=shown) as error:
        config.parse_seeds(text)
    assert "\n" not in str(error.value)


def test_importing_and_checking_loads_neither_jax_nor_flax():
    code = (
        "import sys; from jaxact.config import Config; Config(activations=('relu',), widths=(3,));"
        "print(sorted({'jax', 'flax', 'scipy', 'optax', 'tensorflow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
