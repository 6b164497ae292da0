"""Records that are damaged, forged or of another kind are refused, and count as absent."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from oracles.record_examples import CONFIG, assert_same, make

from jaxact import records
from jaxact.records import RecordError


def rewrite(path: Path, change) -> None:
    """Write the file again with NumPy alone, after `change` was applied to its members and its meta."""
    with np.load(path) as file:
        members = {name: file[name] for name in file.files}
    meta = json.loads(str(members["meta"]))
    change(members, meta)
    if "meta" in members:
        members["meta"] = np.array(json.dumps(meta))
    np.savez(path, **members)


class Payload:
    """Unpickling this would leave a file behind."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return (Path.touch, (self.mark,))


@pytest.mark.parametrize("member", ["seeds", "test_loss", "meta"])
def test_a_pickled_object_is_refused_and_not_run(tmp_path, member):
    path = records.write(tmp_path, make([0]))
    mark = tmp_path / "mark"
    with np.load(path) as file:
        members = {name: file[name] for name in file.files}
    members[member] = np.array([Payload(mark)], dtype=object)
    np.savez(path, **members)
    with pytest.raises(RecordError, match=path.name):
        records.read(path)
    assert not mark.exists()
    with np.load(path, allow_pickle=True) as file:
        file[member]
    assert mark.exists()  # the payload was alive


def drop(name):
    return lambda members, meta: members.pop(name)


def transpose(members, meta):
    members["test_loss"] = members["test_loss"].T


def repeat_a_seed(members, meta):
    members["seeds"][1] = members["seeds"][0]


def one_seed_too_many(members, meta):
    members["seeds"] = np.arange(9)


def no_seeds(members, meta):
    members.update({name: value[:0] for name, value in members.items() if name != "meta"})


def other_schema(members, meta):
    meta["schema"] = records.SCHEMA + 1


def other_rate(members, meta):
    meta["config"]["learning_rate"] = 0.5


def newer_field(members, meta):
    meta["config"]["weight_decay"] = 0.5


def bad_value(members, meta):
    meta["config"]["epochs"] = 0


def no_digest(members, meta):
    del meta["digest"]


DAMAGE = {
    "no meta": (drop("meta"), "not a jaxact record"),
    "no seeds array": (drop("seeds"), "not a jaxact record"),
    "no losses": (drop("test_loss"), "not a jaxact record"),
    "no digest": (no_digest, "not a jaxact record"),
    "newer field": (newer_field, "not a jaxact record"),
    "bad value": (bad_value, "not a jaxact record"),
    "other schema": (other_schema, rf"schema {records.SCHEMA + 1}.* reads {records.SCHEMA}"),
    "other config under the digest": (other_rate, f"digest {CONFIG.digest}"),
    "transposed": (transpose, r"test_loss has shape \(3, 2\) where \(2, 3\)"),
    "seed twice": (repeat_a_seed, "seed twice"),
    "more seeds than rows": (one_seed_too_many, r"shape \(2, 2\) where \(9, 2\)"),
    "no seeds": (no_seeds, "no seeds"),
}


@pytest.mark.parametrize(("change", "message"), DAMAGE.values(), ids=DAMAGE)
def test_a_record_that_contradicts_itself_is_refused_and_counts_as_absent(tmp_path, change, message):
    path = records.write(tmp_path, make([0, 1]))
    rewrite(path, lambda members, meta: None)
    assert records.find(tmp_path, CONFIG) is not None  # rewriting alone does no harm
    rewrite(path, change)
    with pytest.raises(RecordError, match=message) as caught:
        records.read(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    if change is other_schema:  # not damaged: the grid must stop rather than overwrite it
        with pytest.raises(records.SchemaError, match=message):
            records.find(tmp_path, CONFIG)
    else:
        assert records.find(tmp_path, CONFIG) is None


def npy() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.arange(3))
    return buffer.getvalue()


@pytest.mark.parametrize("content", [b"", b"PK", b"plain text\n", b"\x00" * 300, npy()], ids=lambda c: repr(c[:6]))
def test_what_is_no_archive_is_refused_and_counts_as_absent(tmp_path, content):
    path = records.write(tmp_path, make([0, 1]))
    path.write_bytes(content)
    with pytest.raises(RecordError, match=path.name):
        records.read(path)
    assert records.find(tmp_path, CONFIG) is None


def test_every_truncation_is_refused(tmp_path):
    path = records.write(tmp_path, make([0]))
    content = path.read_bytes()
    for length in range(0, len(content), 41):
        path.write_bytes(content[:length])
        with pytest.raises(RecordError):
            records.read(path)


def test_a_flipped_byte_is_refused_or_harmless(tmp_path):
    """The archive's checksums guard the numbers; a flip elsewhere may surface as any error of the zip reader."""
    record = make([0])
    path = records.write(tmp_path, record)
    content, refused = path.read_bytes(), 0
    for i in range(0, len(content), 11):
        path.write_bytes(content[:i] + bytes([content[i] ^ 0x81]) + content[i + 1 :])
        try:
            assert_same(records.read(path), record)
        except RecordError:
            refused += 1
    assert refused > len(content) / 22
