"""Pickles from outside: arrays and plain values come through, nothing else, and nothing is run."""

import os
import pickle
from collections import OrderedDict

import numpy as np
import pytest

from jaxact.data import pickles


class RunsOnLoading:
    def __init__(self, call, *arguments):
        self.call, self.arguments = call, arguments

    def __reduce__(self):
        return self.call, self.arguments


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("kind", ["u1", "<i8", ">f4", "<f8", "?", ">u2"])
def test_arrays_of_numpy_2_come_through(kind, protocol):
    """Against the array itself; protocols 0 to 2 pickle bytes through _codecs and so only where that is not needed."""
    values = np.arange(24).reshape(2, 3, 4).astype(kind)
    content = pickle.dumps({"a": values, "f": np.asfortranarray(values[0])}, protocol)
    if protocol < 3:
        with pytest.raises(ValueError, match="_codecs.encode"):
            pickles.loads(content, "file")
        return
    read = pickles.loads(content, "file")
    np.testing.assert_array_equal(read["a"], values, strict=True)
    np.testing.assert_array_equal(read["f"], values[0], strict=True)


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
    value = {b"labels": [1, -2, 10**20], "x": (None, True, 1.5, "text"), 3: b"\x00\xff"}
    assert pickles.loads(pickle.dumps(value), "file") == value


def test_strings_of_python_2_become_bytes():
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
