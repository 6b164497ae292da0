"""Records whose archive is whole and whose content is wrong: forged, swapped or made by a faulty program."""

import builtins
import importlib
import json
import random
import warnings

import numpy as np
import pytest
from oracles.record_examples import CONFIG, assert_same, make
from test_records_damage import rewrite

from jaxact import records
from jaxact.records import RecordError

NASTY = (
    None,
    True,
    -1,
    0,
    1e400,
    float("nan"),
    "",
    "x\ny",
    "builtins:input",
    "sys:exit",
    [],
    {},
    [[]],
    10**400,
    [None],
)


@pytest.fixture
def path(tmp_path):
    return records.write(tmp_path, make([0, 1]))


def forge(path, change) -> None:
    """Change the file without its checksum, which a forger would make anew."""

    def all_of_it(members, meta):
        meta.pop("checksum", None)
        change(members, meta)

    rewrite(path, all_of_it)


def swap(one, other):
    return lambda members, meta: members.update({one: members[other], other: members[one]})


def put(name, value, where=(0, 0)):
    def change(members, meta):
        members[name][where] = value

    return change


def cast(name, kind):
    return lambda members, meta: members.update({name: members[name].astype(kind)})


def told(key, value):
    return lambda members, meta: meta.update({key: value})


def of_the_run(key, value):
    return lambda members, meta: meta["runs"][0].update({key: value})


def without(*keys):
    def change(members, meta):
        for key in keys[:-1]:
            meta = meta[key]
        del meta[keys[-1]]

    return change


def descending(members, meta):
    members["seeds"] = members["seeds"][::-1]


def lost_without_cause(members, meta):
    members["probe_broken"][:] = 0
    members["probe_dimension"][0, 0] = np.nan


FORGED = {
    "arrays swapped": (swap("test_correct", "test_predicted"), "above test_predicted"),
    "loss and accuracy swapped": (swap("train_loss", "train_accuracy"), "outside 0 to 1"),
    "seeds that descend": (descending, "do not ascend"),
    "a negative seed": (put("seeds", -1, 0), "a seed outside 0"),
    "seeds as decimals": (cast("seeds", float), "whole numbers"),
    "more right than said": (put("test_correct", 10**6), "test_correct above"),
    "a sum that is not the test set's": (put("test_predicted", 7), "does not add up"),
    "negative counts": (put("test_correct", -1), "test_correct below 0"),
    "sums that overflow": (put("test_predicted", 2**31 - 1), "does not add up"),
    "counts as decimals": (cast("test_correct", np.float32), "whole numbers"),
    "complex": (cast("test_loss", np.complex64), "real numbers"),
    "half precision": (cast("test_loss", np.float16), "real numbers"),
    "dates": (cast("probe_dimension", "M8[s]"), "real numbers"),
    "text": (cast("probe_negative", "U8"), "real numbers"),
    "flags as numbers": (cast("probe_dead", np.int8), "truth values"),
    "NaN where nothing diverged": (lost_without_cause, "probe_dimension is not a number"),
    "NaN in a share": (put("probe_negative", np.nan), "probe_negative outside 0 to 1"),
    "a share above 1": (put("train_accuracy", 1.5), "train_accuracy outside"),
    "a negative loss": (put("test_loss", -0.5), "test_loss below 0"),
    "a correlation above 1": (put("probe_correlation", 1.5), "probe_correlation above 1"),
    "more dead units than units": (put("probe_nearly_dead", 9), "above the number of units"),
    "back from NaN": (put("train_loss", np.nan, (0, 0)), "a number again"),
    "no runs": (without("runs"), "no list of runs"),
    "no data": (without("data"), "source of the data"),
    "no source": (without("data", "source"), "source of the data"),
    "no packages": (without("runs", 0, "packages"), "no versions of packages"),
    "no processor": (without("runs", 0, "processor"), "no processor"),
    "runs as text": (told("runs", "all of them"), "no list of runs"),
    "seeds of no run": (of_the_run("seeds", [7]), "that no run"),
    "seconds that are none": (of_the_run("seconds", "long"), "no seconds"),
    "endless seconds": (of_the_run("seconds", 1e400), "no seconds"),
    "a data set in another folder": (
        lambda members, meta: meta["config"].update(dataset="../../etc"),
        "digest|data set|not a jaxact",
    ),
}


@pytest.mark.parametrize(("change", "message"), FORGED.values(), ids=FORGED)
def test_a_record_that_cannot_be_is_refused_in_one_line(path, change, message):
    forge(path, lambda members, meta: None)
    assert_same(records.read(path), make([0, 1]))  # the absence of a checksum, as in older records, does no harm
    forge(path, change)
    with pytest.raises(RecordError, match=message) as caught:
        records.read(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value) and len(str(caught.value)) < 600


def nudge(name):
    def change(members, meta):
        value = members[name]
        members[name] = ~value if value.dtype == bool else np.where(value == value.flat[0], value.flat[-1], value)

    return change


CHANGES = {
    **{name: nudge(name) for name in ("test_loss", "train_loss", "probe_dead", "probe_apjn", "probe_dimension")},
    "rows permuted": lambda members, meta: members.update(test_loss=members["test_loss"][::-1]),
    "two arrays swapped": swap("probe_mean_square", "probe_gradient_layers"),
    "the processor": of_the_run("processor", "another"),
    "the time": of_the_run("seconds", 1.25),
    "the source": told("data", {"source": "other pixels"}),
    "one more entry": told("note", "trust me"),
    "a wider type": cast("test_loss", np.float64),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_may_be_but_is_not_what_was_written_fails_the_checksum(path, change):
    rewrite(path, change)
    with pytest.raises(RecordError, match="checksum"):
        records.read(path)
    forge(path, change)
    records.read(path)  # only the checksum could tell


@pytest.mark.parametrize(
    "name", ["builtins:input", "sys:exit", "os:abort", "this:s", "antigravity:fly", "no_such.module:f"]
)
def test_an_activation_that_a_record_names_is_not_imported_to_read_it(tmp_path, monkeypatch, name):
    """A record of it, made without looking it up; importing or calling any would end or hold up the test."""
    monkeypatch.setattr(builtins, "input", pytest.fail)
    monkeypatch.setattr(importlib, "import_module", pytest.fail)
    config = type(CONFIG).from_dict(CONFIG.as_dict() | {"activations": (f"{name}+relu", f"tanh+{name}")})
    record = make([0, 1], config)
    path = records.write(tmp_path, record)
    assert_same(records.read(path), record)
    assert records.read(path).config.activations == (f"{name}+relu", f"tanh+{name}")


@pytest.mark.parametrize(
    "name", ["relu tanh", "../relu", "relu+tanh+elu", "a:b:c", "relu\n", "__import__('os')", "", ":"]
)
def test_what_is_no_name_of_an_activation_is_refused(path, name):
    forge(path, lambda members, meta: meta["config"].update(activations=[name, "tanh"]))
    with pytest.raises(RecordError, match="activation|digest"):
        records.read(path)


def places(node, at=()):
    """The path of every entry of nested lists and dictionaries."""
    entries = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in entries:
        yield (*at, key)
        yield from places(value, (*at, key))


def test_any_entry_of_the_metadata_as_anything_is_refused_or_read(path):
    """Every place in turn gets three nasty values."""
    with np.load(path) as file:
        original = json.loads(str(file["meta"]))
        members = {name: file[name] for name in file.files}
    chance, refused, tried = random.Random(0), 0, 0
    for at in places(original):
        for value in chance.sample(NASTY, 3):
            meta = json.loads(json.dumps(original))
            node = meta
            for key in at[:-1]:
                node = node[key]
            changed = node[at[-1]] != value
            node[at[-1]] = value
            np.savez(path, **members | {"meta": np.array(json.dumps(meta))})
            tried += changed
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                try:
                    records.read(path)
                    assert not changed or at == ("checksum",), at  # None for the checksum: as in older records
                except RecordError as error:
                    assert "\n" not in str(error)
                    refused += 1
    assert refused > 0.95 * tried > 50


@pytest.mark.parametrize("seed", range(4))
def test_random_damage_never_changes_a_number_silently(path, seed):
    """Bytes flipped, cut out, doubled or overwritten: the record is refused or the same."""
    record, content, chance = make([0, 1]), path.read_bytes(), random.Random(seed)
    for _ in range(150):
        damaged, kind = bytearray(content), chance.randrange(4)
        for _ in range(chance.choice((1, 1, 2, 8))):
            at, length = chance.randrange(len(damaged)), chance.randrange(1, 40)
            if kind == 0:
                damaged[at] ^= 1 << chance.randrange(8)
            elif kind == 1:
                del damaged[at : at + length]
            elif kind == 2:
                damaged[at:at] = damaged[at : at + length]
            else:
                damaged[at : at + length] = chance.randbytes(length)
        path.write_bytes(damaged)
        try:
            assert_same(records.read(path), record)
        except RecordError as error:
            assert "\n" not in str(error)


def test_sizes_are_looked_at_before_anything_is_unpacked(path):
    """A header that promises 8 TB, and one whose shape is too long to multiply in 64 bits."""
    with np.load(path) as file:
        members = {name: file[name] for name in file.files}
    for shape in ((2, 10**12), (2**40, 2**40)):
        huge = np.lib.stride_tricks.as_strided(np.zeros(1, np.float32), (2, 3), (0, 0))
        np.savez(path, **members | {"test_loss": huge})
        content = path.read_bytes().replace(
            b"(2, 3), }" + b" " * len(str(shape)), f"{shape}, }}".encode().ljust(9 + len(str(shape)))
        )
        path.write_bytes(content)
        with pytest.raises(RecordError):
            records.read(path)


def test_what_no_reader_takes_is_not_written(tmp_path):
    record = make([0, 1])
    arrays = record.arrays | {"test_loss": -record.arrays["test_loss"]}
    with pytest.raises(ValueError, match="test_loss below 0"):
        records.write(tmp_path, record._replace(arrays=arrays))
    with pytest.raises(ValueError, match="no list of runs"):
        records.write(tmp_path, record._replace(meta={"data": {"source": "x"}}))
    assert not list(tmp_path.rglob("*.npz"))
