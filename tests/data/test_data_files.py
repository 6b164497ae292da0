"""IDX files: what is read, what is found where, and every kind of damage refused."""

import gzip
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp

from jaxact.data import SPECS, idx
from jaxact.data.files import load_raw

SPEC = replace(SPECS["mnist"], train_size=20, test_size=10)
STEMS = {"train-images": 3, "train-labels": 1, "t10k-images": 3, "t10k-labels": 1}


def by_hand(values: np.ndarray) -> bytes:
    """IDX contents written out from the format's description."""
    header = b"\x00\x00\x08" + bytes([values.ndim])
    for size in values.shape:
        header += struct.pack(">i", size)
    return header + bytes(values.ravel().tolist())


def example_parts() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "train-images": rng.integers(0, 256, (20, 28, 28), np.uint8),
        "train-labels": rng.integers(0, 10, 20, np.uint8),
        "t10k-images": rng.integers(0, 256, (10, 28, 28), np.uint8),
        "t10k-labels": rng.integers(0, 10, 10, np.uint8),
    }


def write(folder: Path, mark: str = "-", gz: bool = True) -> dict[str, np.ndarray]:
    """Write a small data set into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = example_parts()
    for stem, values in parts.items():
        name = f"{stem}{mark}idx{STEMS[stem]}-ubyte" + (".gz" if gz else "")
        (folder / name).write_bytes(gzip.compress(by_hand(values)) if gz else by_hand(values))
    return parts


@settings(max_examples=40, deadline=None)
@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=1, max_dims=4, max_side=6)))
def test_encode_is_the_format_and_read_its_inverse(tmp_path_factory, values):
    content = idx.encode(values)
    assert content == by_hand(values)
    path = tmp_path_factory.mktemp("idx") / "file"
    path.write_bytes(content)
    np.testing.assert_array_equal(idx.read(path, values.shape), values)


@pytest.mark.parametrize("gz", [True, False])
@pytest.mark.parametrize("mark", ["-", "."])
@pytest.mark.parametrize("below", ["", "mnist", "MNIST/raw", "raw"])
def test_a_data_set_is_found_under_its_usual_names_and_places(tmp_path, below, mark, gz):
    parts = write(tmp_path / below, mark, gz)
    found = load_raw(SPEC, tmp_path)
    assert found is not None
    raw, source = found
    for array, expected in zip(raw, parts.values(), strict=True):
        np.testing.assert_array_equal(array.squeeze(), expected)
    assert raw.train_images.shape == (20, 28, 28, 1)
    assert source == f"IDX files in {tmp_path / below}"


def test_a_gzipped_file_without_the_suffix_is_recognised(tmp_path):
    write(tmp_path)
    for path in list(tmp_path.iterdir()):
        path.rename(path.with_suffix(""))
    assert load_raw(SPEC, tmp_path) is not None


def test_a_folder_of_its_own_goes_before_the_common_one(tmp_path):
    write(tmp_path)
    write(tmp_path / "fashion-mnist")
    raw_source = load_raw(replace(SPEC, name="fashion_mnist"), tmp_path)
    assert raw_source is not None and raw_source[1].endswith("fashion-mnist")


def test_nothing_found_is_none(tmp_path):
    assert load_raw(SPEC, tmp_path) is None


def test_a_missing_file_is_named(tmp_path):
    write(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(ValueError, match="t10k-labels-idx1-ubyte.gz missing .*needs all four"):
        load_raw(SPEC, tmp_path)


IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
GOOD = {name: by_hand(example_parts()[name[:12]]) for name in (IMAGES, LABELS)}
BAD_LABEL = GOOD[LABELS][:12] + b"\x0a" + GOOD[LABELS][13:]
SMALLER = {
    IMAGES: by_hand(example_parts()["train-images"][:19]),
    LABELS: by_hand(example_parts()["train-labels"][:19]),
}
DAMAGE = {
    "empty": (IMAGES, b"", "the file is empty"),
    "text": (IMAGES, b"<!DOCTYPE html><html>not found</html>", "magic number 0x00000803"),
    "short text": (LABELS, b"no", "starts with 0x6e6f, not with the IDX magic number 0x00000801"),
    "labels as images": (IMAGES, GOOD[LABELS], "starts with 0x00000801, not with the IDX magic number 0x00000803"),
    "images as labels": (LABELS, GOOD[IMAGES], "starts with 0x00000803"),
    "signed bytes": (IMAGES, GOOD[IMAGES][:2] + b"\x09" + GOOD[IMAGES][3:], "starts with 0x00000903"),
    "header cut": (IMAGES, GOOD[IMAGES][:10], "truncated inside its header"),
    "truncated": (IMAGES, GOOD[IMAGES][:-1], "is truncated: only 15695 of 15696"),
    "too long": (LABELS, GOOD[LABELS] + b"\x00", "bytes after its end"),
    "fewer images": (IMAGES, SMALLER[IMAGES], r"holds \[19, 28, 28\], expected \[20, 28, 28\]; .*fixed sizes"),
    "fewer labels": (LABELS, SMALLER[LABELS], r"holds \[19\], expected \[20\]"),
    "other height": (IMAGES, by_hand(np.zeros((20, 32, 28), np.uint8)), r"holds \[20, 32, 28\]"),
    "label out of range": (LABELS, BAD_LABEL, r"label 10 at position 4 is outside 0\.\.9 of mnist"),
    "gzip cut": (IMAGES, gzip.compress(GOOD[IMAGES])[:-20], "damaged or truncated gzip"),
    "gzip without end": (IMAGES, gzip.compress(GOOD[IMAGES])[:-4], "damaged or truncated gzip"),
    "gzip header only": (IMAGES, b"\x1f\x8b", "damaged or truncated gzip"),
    "gzip checksum": (LABELS, gzip.compress(GOOD[LABELS])[:-8] + bytes(8), "damaged or truncated gzip.*CRC"),
    "gzip noise": (LABELS, gzip.compress(GOOD[LABELS])[:10] + b"\xff" * 40, "damaged or truncated gzip"),
    "gzip of text": (LABELS, gzip.compress(b"hello"), "magic number"),
    "gzip bomb": (LABELS, gzip.compress(GOOD[LABELS] + bytes(1 << 24)), "bytes after its end"),
}


@pytest.mark.parametrize(("name", "content", "reason"), DAMAGE.values(), ids=DAMAGE.keys())
def test_damage_is_refused_in_one_line_naming_the_file(tmp_path, name, content, reason):
    write(tmp_path, gz=False)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=reason) as caught:
        load_raw(SPEC, tmp_path)
    assert str(tmp_path / name) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unreadable_file_is_named(tmp_path):
    with pytest.raises(ValueError, match="file.gz: cannot be read .Is a directory"):
        (tmp_path / "file.gz").mkdir()
        idx.read(tmp_path / "file.gz", (3,))
    with pytest.raises(ValueError, match="gone: cannot be read .No such file"):
        idx.read(tmp_path / "gone", (3,))
