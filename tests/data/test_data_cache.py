"""jaxact's cache: what is written is read, damage is noticed, nothing half-made is left."""

import json
import os
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from jaxact.data import SPECS, cache
from jaxact.data.raw import Raw, digests

SPEC = replace(SPECS["mnist"], train_size=20, test_size=10)


def example() -> Raw:
    rng = np.random.default_rng(2)
    return Raw(
        rng.integers(0, 256, (20, 28, 28, 1), np.uint8),
        rng.integers(0, 10, 20, np.uint8),
        rng.integers(0, 256, (10, 28, 28, 1), np.uint8),
        rng.integers(0, 10, 10, np.uint8),
    )


def test_a_kept_data_set_is_read_back(tmp_path):
    raw = example()
    cache.write(raw, "somewhere", SPEC, tmp_path / "new" / "folder")
    found = cache.read(SPEC, tmp_path / "new" / "folder")
    assert found is not None
    for array, expected in zip(found[0], raw, strict=True):
        np.testing.assert_array_equal(array, expected, strict=True)
    assert found[1:] == ("somewhere", digests(raw))
    assert [path.name for path in (tmp_path / "new" / "folder").iterdir()] == ["mnist.npz"]


def test_nothing_kept_is_none(tmp_path):
    assert cache.read(SPEC, tmp_path) is None


def changed_pixel(path):
    raw = example()
    raw.test_images[3, 4, 5] ^= 1
    arrays = raw._asdict()
    with np.load(path) as file:
        np.savez(path, meta=file["meta"], **arrays)


def other_meta(**changes):
    def change(path):
        with np.load(path) as file:
            arrays = dict(file)
        arrays["meta"] = np.array(json.dumps(json.loads(str(arrays["meta"])) | changes))
        np.savez(path, **arrays)

    return change


def flipped_byte(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def without_labels(path):
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files if name != "train_labels"}
    np.savez(path, **arrays)


def pickled(path):
    np.savez(path, meta=np.array([{}], object))


def patched(mark, offset, content):
    """Overwrite bytes in the last header that begins with `mark`."""

    def patch(path):
        damaged = bytearray(path.read_bytes())
        start = damaged.rindex(mark) + offset
        damaged[start : start + len(content)] = content
        path.write_bytes(damaged)

    return patch


def header(path, text):
    """Give the text beside the arrays another header, in a zip file that is sound."""
    with zipfile.ZipFile(path) as file:
        members = {name: file.read(name) for name in file.namelist()}
    members["meta.npy"] = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)


DAMAGE = {
    "flipped byte": (flipped_byte, "CRC"),
    "changed pixel": (changed_pixel, "contents differ from their SHA-256"),
    "cut": (lambda path: path.write_bytes(path.read_bytes()[:-99]), "zip"),
    "empty": (lambda path: path.write_bytes(b""), "not a zip"),
    "text": (lambda path: path.write_bytes(b"<html>"), "not a zip"),
    "other name": (other_meta(name="fashion_mnist"), "it is fashion_mnist of schema 1"),
    "other schema": (other_meta(schema=99), "it is mnist of schema 99"),
    "no digest": (other_meta(sha256=None), "contents differ"),
    "part missing": (without_labels, "train_labels"),
    "pickled": (pickled, "allow_pickle"),
    "text of numbers": (other_meta(source=3), "its source is no text"),
    "encrypted": (patched(b"PK\x01\x02", 8, b"\x01"), "encrypted"),
    "unknown method": (patched(b"PK\x01\x02", 10, b"\x63\x00"), "compressed by method 99"),
    "method that unpacks at once": (patched(b"PK\x01\x02", 10, b"\x0e\x00"), "compressed by method 14"),
    "version of a later zip": (patched(b"PK\x01\x02", 6, b"\xff"), "zip file version 25.5"),
    "patched data": (patched(b"PK\x01\x02", 8, b"\x20"), "compressed patched data"),
    "huge member": (patched(b"PK\x01\x02", 24, b"\x00\x00\x00\x70"), "holds 1,879,048,192 bytes, at most 16,704"),
    "odd header": (patched(b"\x93NUMPY", 10, b"{(((((((((((((('descr"), "CRC"),
    "other header": (lambda path: header(path, b"{'descr': ['\n"), "(EOF|Cannot parse header|unterminated string)"),
    "huge array": (
        lambda path: header(path, b"{'descr': '|u1', 'fortran_order': False, 'shape': (4000000000000,)}\n"),
        "",
    ),
    "objects": (lambda path: header(path, b"{'descr': '|O', 'fortran_order': False, 'shape': ()}\n"), "allow_pickle"),
}


@pytest.mark.parametrize(("damage", "reason"), DAMAGE.values(), ids=DAMAGE.keys())
def test_damage_is_noticed_and_mended(tmp_path, damage, reason):
    cache.write(example(), "somewhere", SPEC, tmp_path)
    damage(tmp_path / "mnist.npz")
    with pytest.warns(UserWarning, match=f"mnist.npz is damaged and will be made again .*{reason}"):
        assert cache.read(SPEC, tmp_path) is None
    cache.write(example(), "somewhere", SPEC, tmp_path)
    assert cache.read(SPEC, tmp_path) is not None


def test_a_data_set_of_another_size_is_refused(tmp_path):
    cache.write(example(), "somewhere", SPEC, tmp_path)
    with pytest.warns(UserWarning, match=r"train_images are uint8 \[20, 28, 28, 1\]; mnist has uint8 \[60000"):
        assert cache.read(SPECS["mnist"], tmp_path) is None


def test_a_cache_that_cannot_be_written_is_a_warning(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.warns(UserWarning, match="mnist cannot be kept there .*set JAXACT_CACHE"):
        cache.write(example(), "somewhere", SPEC, tmp_path / "file")


def test_an_interrupted_write_keeps_the_old_file_and_leaves_no_other(tmp_path, monkeypatch):
    cache.write(example(), "first", SPEC, tmp_path)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.warns(UserWarning, match="No space left"):
        cache.write(example(), "second", SPEC, tmp_path)
    monkeypatch.undo()
    found = cache.read(SPEC, tmp_path)
    assert found is not None and found[1] == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["mnist.npz"]


def test_the_cache_folder_is_the_argument_then_the_environment_then_the_users(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXACT_CACHE", str(tmp_path / "environment"))
    assert cache.cache_root(tmp_path / "argument") == tmp_path / "argument"
    assert cache.cache_root() == tmp_path / "environment"
    monkeypatch.delenv("JAXACT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.cache_root().name == "jaxact"
    assert os.fspath(cache.cache_root("~/x")) == os.path.expanduser("~/x")


def test_the_file_is_plain_arrays(tmp_path):
    cache.write(example(), "somewhere", SPEC, tmp_path)
    assert sorted(zipfile.ZipFile(tmp_path / "mnist.npz").namelist()) == sorted(
        f"{name}.npy" for name in ("meta", *Raw._fields)
    )
