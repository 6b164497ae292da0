"""Standardisation, order of the features, limits, and the real MNIST and Fashion-MNIST where they are at hand."""

import os
from pathlib import Path

import numpy as np
import pytest

from jaxact.data import SPECS, load, standardise
from jaxact.data.files import load_raw
from jaxact.data.sources import SYSTEM_FOLDERS


def real_mnist() -> Path:
    """The folder with the four original MNIST files, or a skip."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "data" / "mnist"
    folder = Path(os.environ.get("JAXACT_TEST_MNIST", beside))
    if not (folder / "train-images-idx3-ubyte.gz").is_file():
        pytest.skip("the original MNIST files are absent; name their folder in JAXACT_TEST_MNIST")
    return folder


@pytest.mark.parametrize("name", SPECS)
def test_standardisation_is_the_formula(name):
    """Against NumPy float64, every pixel value once and more images than one block."""
    facts = SPECS[name]
    top = facts.pixel_max + 1
    pixels = (np.arange(700 * facts.features) % top).astype(np.uint8).reshape(700, *facts.shape)
    expected = (pixels.astype(np.float64) / facts.pixel_max - facts.mean) / facts.std
    result = standardise(pixels, facts, flat=False)
    assert result.dtype == np.float32 and result.shape == pixels.shape
    np.testing.assert_allclose(result, expected, rtol=6e-8, atol=0)  # half a unit in float32's last place


def test_colour_images_are_flattened_channel_first():
    """Feature c * 1024 + y * 32 + x is pixel (y, x) of channel c, as torch's view(-1, 3 * 32 * 32) of [n, c, h, w]."""
    pixels = np.random.default_rng(6).integers(0, 256, (2, 32, 32, 3), np.uint8)
    flat, images = (standardise(pixels, SPECS["cifar10"], flat=flat) for flat in (True, False))
    assert flat.shape == (2, 3072) and images.shape == (2, 32, 32, 3)
    for c, y, x in [(0, 0, 0), (0, 0, 31), (0, 1, 0), (1, 0, 0), (2, 5, 7), (2, 31, 31)]:
        np.testing.assert_array_equal(flat[:, c * 1024 + y * 32 + x], images[:, y, x, c])


def test_cifar10_maps_bytes_to_minus_one_and_one():
    pixels = np.zeros((1, 32, 32, 3), np.uint8)
    pixels[0, 0, 0, 1] = 255
    result = standardise(pixels, SPECS["cifar10"])
    assert (result[0, 0], result[0, 1024]) == (-1.0, 1.0)


def test_digits_in_both_shapes():
    flat, images = load("digits"), load("digits", flat=False)
    assert flat.train_images.shape == (1437, 64) and images.test_images.shape == (360, 8, 8, 1)
    np.testing.assert_array_equal(flat.train_images, images.train_images.reshape(1437, 64))
    assert flat.train_images.dtype == np.float32 and flat.train_labels.dtype == np.int32
    assert abs(flat.train_images.mean(dtype=np.float64)) < 2e-4
    assert abs(flat.train_images.std(dtype=np.float64) - 1) < 2e-4


def test_limits_keep_the_first():
    whole, part = load("digits"), load("digits", limit_train=7, limit_test=3)
    for array, full, size in zip(part[:4], whole[:4], (7, 7, 3, 3), strict=True):
        np.testing.assert_array_equal(array, full[:size])
    assert part.source == whole.source


@pytest.mark.parametrize(("option", "limit"), [("limit_train", 0), ("limit_train", 1438), ("limit_test", -1)])
def test_limits_out_of_range_are_refused_before_anything_is_read(option, limit, monkeypatch):
    monkeypatch.setattr("jaxact.data.sources.find", lambda *_: pytest.fail("read"))
    with pytest.raises(ValueError, match=rf"{option}={limit} is outside 1\.\."):
        load("digits", **{option: limit})


def test_real_mnist():
    """Against the published class counts, the first labels of the original files, and the two constants."""
    data = load("mnist", real_mnist())
    assert data.train_images.shape == (60_000, 784) and data.test_images.shape == (10_000, 784)
    assert data.train_labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert np.bincount(data.test_labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert np.bincount(data.train_labels).tolist() == [
        *(5923, 6742, 5958, 6131, 5842),
        *(5421, 5918, 6265, 5851, 5949),
    ]
    assert data.source.endswith("(the original)")


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_the_constants_are_the_training_moments(name):
    """Against float64 moments of the scaled training pixels, to the four places that are kept."""
    folder = real_mnist() if name == "mnist" else SYSTEM_FOLDERS[name]
    if not folder.is_dir():
        pytest.skip("Debian's dataset-fashion-mnist is not installed")
    found = load_raw(SPECS[name], folder)
    assert found is not None
    counts = np.bincount(found[0].train_images.ravel(), minlength=256)
    values = np.arange(256) / 255
    mean = counts @ values / counts.sum()
    std = np.sqrt(counts @ (values - mean) ** 2 / counts.sum())
    assert (round(mean, 4), round(std, 4)) == (SPECS[name].mean, SPECS[name].std)
