"""Every reader of data files on damaged ones: either a value of the right form or one clear line, in little time.

The damage is drawn with fixed seeds: bytes flipped, cut, repeated, and numbers replaced by extreme ones.
"""

import functools
import gzip
import io
import pickle
import tarfile
import time
import tracemalloc
import warnings
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from oracles.damaged_files import damaged

from jaxact.data import SPECS, cache, cifar, idx, mnist_wheel
from jaxact.data.bounded import read_zip
from jaxact.data.raw import Raw, check_raw

DRAWS = 80
MEMORY = 20_000_000
SECONDS = 10
# So small that most bytes are structure, not pixels.
MNIST = replace(SPECS["mnist"], train_size=4, test_size=2, shape=(2, 2, 1))
CIFAR10 = replace(SPECS["cifar10"], train_size=10, test_size=2, shape=(2, 2, 3))
WHEEL_MEMBER = gzip.compress(pickle.dumps([np.arange(4)] * 3, 4))


def batches() -> list[dict]:
    rng = np.random.default_rng(1)
    return [
        {"batch_label": "x", "labels": list(rng.integers(0, 10, 2)), "data": rng.integers(0, 256, (2, 12), np.uint8)}
        for _ in range(6)
    ]


def tarred(files: dict[str, bytes], mode: str) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=mode, format=tarfile.PAX_FORMAT) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"cifar/{name}")
            member.size, member.pax_headers = len(content), {"comment": "é"}
            tar.addfile(member, io.BytesIO(content))
    return made.getvalue()


def raw(spec) -> Raw:
    rng = np.random.default_rng(2)
    parts = ((spec.train_size, *spec.shape), (spec.train_size,), (spec.test_size, *spec.shape), (spec.test_size,))
    return Raw(*(rng.integers(0, 10, shape, np.uint8) for shape in parts))


def read_idx(path, shape):
    assert idx.read(path, shape).shape == shape


def read_archive(path, files):
    check_raw(cifar.read_archive(path, files, CIFAR10), CIFAR10, "archive")


def read_batch(path):
    pixels, labels = cifar.parse_python(path.read_bytes(), CIFAR10, 2, str(path))
    assert (pixels.dtype, pixels.shape, labels.dtype, labels.shape) == (np.uint8, (2, 12), np.uint8, (2,))


def read_member(path):
    with open(path, "rb") as file:
        assert read_zip(file, "mnist/data/mnist.pkl.gz", 10_000) == WHEEL_MEMBER


def read_cache(path):
    """The cache does not raise: it warns, in one line, and has the data made again."""
    path.replace(path.with_name("mnist.npz"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = cache.read(MNIST, path.parent)
    if found is None:
        assert caught
        raise ValueError(str(caught[-1].message))
    for array, expected in zip(found[0], raw(MNIST), strict=True):
        np.testing.assert_array_equal(array, expected)


def packed_in_a_wheel() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mnist/data/mnist.pkl.gz", WHEEL_MEMBER)
        archive.writestr("mnist/__init__.py", "")
    return made.getvalue()


def batch(protocol: int) -> bytes:
    return pickle.dumps(batches()[0], protocol)


def six(form: str) -> dict[str, bytes]:
    if form == "python":
        return dict(zip(cifar.PYTHON_FILES, (pickle.dumps(batch, 2) for batch in batches()), strict=True))
    rows = (np.column_stack([batch["labels"], batch["data"]]).astype(np.uint8).tobytes() for batch in batches())
    return dict(zip(cifar.BINARY_FILES, rows, strict=True))


IMAGES = raw(MNIST).train_images[..., 0]
READERS = {
    "idx": (lambda: idx.encode(IMAGES), lambda path: read_idx(path, IMAGES.shape)),
    "idx gzipped": (lambda: gzip.compress(idx.encode(IMAGES)), lambda path: read_idx(path, IMAGES.shape)),
    **{f"batch {protocol}": (functools.partial(batch, protocol), read_batch) for protocol in range(6)},
    **{
        f"{form} archive {mode}": (
            functools.partial(lambda form, mode: tarred(six(form), mode), form, mode),
            functools.partial(lambda files, path: read_archive(path, files), files),
        )
        for form, files in (("binary", cifar.BINARY_FILES), ("python", cifar.PYTHON_FILES))
        for mode in ("w", "w:gz")
    },
    "member of a wheel": (packed_in_a_wheel, read_member),
}


def check_all(folder, content: bytes, read, seed: str) -> None:
    """Read the content itself, then `DRAWS` damaged ones, within limits of memory and time."""
    (folder / "sound").write_bytes(content)
    read(folder / "sound")
    rng = np.random.default_rng(list(seed.encode()))
    refused = 0
    draws = DRAWS // 4 if "python" in seed else DRAWS  # six pickles take as long as six files
    for _ in range(draws):
        path = folder / "file"
        path.write_bytes(damaged(content, rng))
        tracemalloc.start()
        start = time.monotonic()
        try:
            read(path)
        except ValueError as error:
            refused += 1
            assert str(error).isprintable() and len(str(error)) < 1000
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < MEMORY and time.monotonic() - start < SECONDS
    assert refused > draws / 4  # otherwise the damage is none


@pytest.mark.filterwarnings("default")  # as users have it
@pytest.mark.parametrize("name", READERS)
def test_damaged_files_are_read_or_refused_in_one_line(tmp_path, name):
    make, read = READERS[name]
    check_all(tmp_path, make(), read, name)


@pytest.mark.filterwarnings("default")
def test_a_damaged_cache_is_read_or_made_again(tmp_path):
    cache.write(raw(MNIST), "somewhere", MNIST, tmp_path)
    check_all(tmp_path, (tmp_path / "mnist.npz").read_bytes(), read_cache, "cache")


@pytest.mark.filterwarnings("default")
def test_damaged_wheels_are_refused(tmp_path, monkeypatch):
    """The member passes for the known one, so that what it holds is read too."""

    class Anything:
        def __init__(self, *_):
            pass

        def hexdigest(self):
            return mnist_wheel._MEMBER_SHA256

    value = pickle.dumps([(part[0].reshape(-1, 4) / 256, part[1]) for part in [raw(MNIST)[:2]] * 3], 4)
    monkeypatch.setattr(mnist_wheel.hashlib, "sha256", Anything)
    rng = np.random.default_rng(5)
    path = tmp_path / "some.whl"
    for draw in range(DRAWS):
        content = value if draw == 0 else damaged(value, rng)
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("mnist/data/mnist.pkl.gz", gzip.compress(content))
        with pytest.raises(ValueError, match="some.whl/mnist/data/mnist.pkl.gz: ") as caught:
            mnist_wheel.read_wheel(path)
        assert str(caught.value).isprintable() and len(str(caught.value)) < 1000
