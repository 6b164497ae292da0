"""Pickles from outside: arrays and plain values come through, nothing else, and nothing is run."""

import contextlib
import os
import pickle
import time
import tracemalloc
from collections import OrderedDict

import numpy as np
import pytest

from jaxact.data import pickles


class RunsOnLoading:
    def __init__(self, call, *arguments):
        self.call, self.arguments = call, arguments

    def __reduce__(self):
        return self.call, self.arguments


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("kind", ["u1", "<i8", ">f4", "<f8", "?", ">u2"])
def test_arrays_of_numpy_2_come_through(kind, protocol):
    """Against the arrays themselves, in both orders, with axes permuted, cut, empty and without axes."""
    values = np.arange(24).reshape(2, 3, 4).astype(kind)
    arrays = [values, np.asfortranarray(values), values.transpose(1, 0, 2), values[:, ::2], values[:0], values[1, 1, 1]]
    arrays += [np.array(values[0, 0, 0]), values.transpose(2, 0, 1)]
    read = pickles.loads(pickle.dumps({"arrays": arrays}, protocol), "file")["arrays"]
    for found, expected in zip(read, arrays, strict=True):
        np.testing.assert_array_equal(found, expected, strict=True)


@pytest.mark.parametrize("protocol", range(6))
def test_numbers_of_numpy_come_through(protocol):
    """Against the numbers themselves; NumPy compares by value, so the types are compared too."""
    numbers = [np.int64(-3), np.uint8(200), np.float32(0.1), np.float64(np.pi), np.bool_(True), np.int16(-300)]
    read = pickles.loads(pickle.dumps(numbers, protocol), "file")
    assert read == numbers and [type(n) for n in read] == [type(n) for n in numbers]


def test_a_permuted_array_of_newer_numpy_comes_through():
    """Order K: bytes in memory order, the shape there, and the axes that lead back; against NumPy's transpose."""
    values = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    content = pickle.dumps(np.asfortranarray(values), 5)
    assert b"\x8c\x01F" in content
    key = (
        pickle.dumps(values, 5)
        .replace(b"\x8c\x01C", b"\x8c\x01K")
        .replace(b"\x94t\x94R", b"\x94K\x02K\x00K\x01\x87t\x94R")
    )
    np.testing.assert_array_equal(pickles.loads(key, "file"), values.transpose(2, 0, 1), strict=True)


def python_2_array() -> bytes:
    """A 2 x 2 float32 array written out opcode by opcode as Python 2 and NumPy 1 wrote them (protocol 2)."""
    data = np.array([[1, 2], [3, 4]], "<f4").tobytes()
    return (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01K\x02K\x02\x86"
        b"cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
        b"U" + bytes([len(data)]) + data + b"tb."
    )


def test_arrays_of_python_2_come_through():
    np.testing.assert_array_equal(
        pickles.loads(python_2_array(), "file"), np.array([[1, 2], [3, 4]], np.float32), strict=True
    )


def test_plain_values_come_through():
    value = {"labels": [1, -2, 10**20], "x": (None, True, 1.5, "t\u00e4xt\n"), 3: b"\x00\xff'", "": b""}
    for protocol in range(6):
        assert pickles.loads(pickle.dumps(value, protocol), "file") == value


def test_a_value_that_occurs_twice_comes_through():
    shared = (1, [2], np.arange(3))
    first, second = pickles.loads(pickle.dumps([shared, shared]), "file")
    assert first[:2] == second[:2] == (1, [2])
    np.testing.assert_array_equal(first[2], second[2])


def test_strings_of_python_2_become_bytes():
    assert pickles.loads(b"(dS'data'\nI01\ns.", "file") == {b"data": True}
    assert pickles.loads(b"\x80\x02}U\x04dataK\x01s.", "file") == {b"data": 1}


@pytest.mark.parametrize(
    "evil",
    [
        RunsOnLoading(os.system, "touch ran"),
        RunsOnLoading(eval, "open('ran', 'w')"),
        RunsOnLoading(getattr, "", "join"),
        [np.arange(3), RunsOnLoading(os.mkdir, "ran")],
        RunsOnLoading(np.load, "ran"),
    ],
    ids=["system", "eval", "getattr", "beside an array", "numpy function"],
)
def test_a_malicious_pickle_is_refused_and_not_run(tmp_path, monkeypatch, evil):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="file: not an admissible pickle .asks for .*only arrays and plain values"):
        pickles.loads(pickle.dumps(evil), "file")
    assert list(tmp_path.iterdir()) == []
    if not isinstance(evil, list) and evil.call is os.system:  # the same bytes do run when nothing restrains them
        pickle.loads(pickle.dumps(evil))
        assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "value",
    [
        np.array([{}, None], object),
        np.array(["a", "b"]),
        np.zeros(2, [("a", "f4"), ("b", "i2")]),
        np.array(["2020-01-01"], "M8[D]"),
        OrderedDict(a=1),
        {1, 2},
        1j,
    ],
    ids=["objects", "strings", "records", "dates", "OrderedDict", "set", "complex"],
)
def test_other_values_are_refused(value):
    with pytest.raises(ValueError, match="not an admissible pickle") as caught:
        pickles.loads(pickle.dumps(value), "file")
    assert "\n" not in str(caught.value)


def test_an_array_with_the_wrong_number_of_bytes_is_refused():
    content = python_2_array().replace(b"K\x02K\x02\x86", b"K\x02K\x7f\x86")
    with pytest.raises(ValueError, match=r"array of shape \(2, 127\) with 16 bytes"):
        pickles.loads(content, "file")


@pytest.mark.parametrize("content", [b"", b"hello", b"\x80\x02", python_2_array()[:-9], b"\x80\x63."])
def test_damage_is_refused(content):
    with pytest.raises(ValueError, match="file: not an admissible pickle"):
        pickles.loads(content, "file")


def test_types_under_construction_are_refused():
    with pytest.raises(ValueError, match="holds a _Dtype"):
        pickles.loads(b"\x80\x02cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R.", "file")
    with pytest.raises(ValueError, match="malformed array"):
        pickles.loads(b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n)R.", "file")


def doubled(depth: int) -> bytes:
    """A tuple of itself and itself, so deep that it has 2 ** depth leaves, in three opcodes per level."""
    return b")" + b"\x94".join(b"h" + bytes([level]) + b"\x86" for level in range(depth)).join([b"\x94", b""])


EXPLOSIVE = {
    "index of the memo in text": (b"K\x01p30000000\n.", None),
    "index of the memo in four bytes": (b"K\x01r\x00\x00\xc0\x01.", None),
    "shared tuples": (doubled(40) + b".", "unfolds to more than 5,000 values"),
    "shared tuples as a key": (b"}" + doubled(22) + b"K\x01s.", "a key of type tuple"),
    "shared lists": (
        b"]" + b"".join(b"\x94](h" + bytes([n]) + b"h" + bytes([n]) + b"e" for n in range(40)) + b".",
        "unfolds",
    ),
    "nested lists": (b"(" + b"]" * 1000 + b"a" * 999 + b".", "nested more than 50 deep"),
    "reference to getattr": (b"cbuiltins\ngetattr\n(S'a'\nS'b'\ntR.", "asks for builtins.getattr"),
    "only marks": (b"(" * 30_000, "takes more than 5,000 steps"),
    "only dicts": (b"}" * 30_000, "takes more than 5,000 steps"),
    "one text encoded often": (
        b"c_codecs\nencode\n\x94\x8c\x06latin1\x94X\x00\x00\x01\x00"
        + b"x" * 65536
        + b"\x94"
        + b"("
        + b"h\x00h\x02h\x01\x86R" * 5000
        + b"l.",
        "more bytes than its own length",
    ),
    "bytes announced": (b"\x8e" + (1 << 33).to_bytes(8, "little") + b".", None),
    "bytearray announced": (b"\x96" + (1 << 28).to_bytes(8, "little") + b"x.", None),
    "frame announced": (b"\x80\x04\x95" + (1 << 40).to_bytes(8, "little") + b"N.", None),
    "long integer": (b"\x8a\xff" + b"\x7f" * 255 + b".", "an integer of 2,039 bits"),
    "longer integer": (b"\x8b\x00\x00\x10\x00" + b"\x7f" * (1 << 20) + b".", "holds the opcode 0x8b"),
    "integer in text": (b"L" + b"9" * 4000 + b"L\n.", "an integer of 13,288 bits"),
    "keys that collide": (
        b"}(" + b"".join(b"\x8a\x0a" + (n * (2**61 - 1)).to_bytes(10, "little") + b"N" for n in range(2000)) + b"u.",
        "a dict of more than 1,000 keys",
    ),
    "a state for a function": (b"c_codecs\nencode\n}b.", "gives a state to a method"),
    "a set": (b"\x8f.", "holds the opcode 0x8f"),
    "a registered extension": (b"\x82\x01.", "holds the opcode 0x82"),
    "an item of an array": (pickle.dumps(np.arange(3), 5)[:-1] + b"K\x00K\x01s.", "sets an item of a ndarray"),
    "arguments without end": (b"cnumpy\ndtype\n(" + b"N" * 99 + b"tR.", "calls a type"),
    "an array of 40 axes": (python_2_array().replace(b"K\x02K\x02\x86", b"(" + b"K\x01" * 40 + b"t"), "a few sizes"),
    "an array of an array": (python_2_array().replace(b"U\x10", b"(]t0U\x10"), "holds the opcode 0x30"),
}


@pytest.mark.parametrize(("content", "reason"), EXPLOSIVE.values(), ids=EXPLOSIVE.keys())
def test_what_would_grow_is_refused_before_it_does(monkeypatch, content, reason):
    """None: harmless where no memory is set aside for it, so either outcome is right. Measured by tracemalloc."""
    monkeypatch.setattr(pickles, "STEPS", 5_000)  # under the checks of types a million take a minute
    monkeypatch.setattr(pickles, "VALUES", 5_000)
    tracemalloc.start()
    start = time.monotonic()
    try:
        if reason is None:
            with contextlib.suppress(ValueError):
                assert pickles.loads(content, "file") in (1, None)
        else:
            with pytest.raises(ValueError, match=f"^file: not an admissible pickle .*{reason}") as caught:
                pickles.loads(content, "file")
            assert "\n" not in str(caught.value) and len(str(caught.value)) < 300
        assert tracemalloc.get_traced_memory()[1] < 150_000_000
    finally:
        tracemalloc.stop()
    assert time.monotonic() - start < 20
