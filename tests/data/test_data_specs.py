"""The named data sets, and the checks that run before anything slow."""

import os
import subprocess
import sys

import numpy as np
import pytest

from jaxact.data import SPECS, check_data_dir, check_limit, spec
from jaxact.data.digits import load_raw as load_digits


def test_the_four_data_sets_have_their_published_sizes():
    facts = {name: (s.train_size, s.test_size, s.shape, s.classes) for name, s in SPECS.items()}
    assert facts == {
        "mnist": (60_000, 10_000, (28, 28, 1), 10),
        "fashion_mnist": (60_000, 10_000, (28, 28, 1), 10),
        "cifar10": (50_000, 10_000, (32, 32, 3), 10),
        "digits": (1_437, 360, (8, 8, 1), 10),
    }
    assert all(len(set(s.class_names)) == s.classes and s.name == name for name, s in SPECS.items())
    assert SPECS["cifar10"].features == 3072


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("minst", "mnist"), ("MNIST", "mnist"), ("fashion-mnist", "fashion_mnist"), ("cifar", "cifar10")],
)
def test_unknown_name_offers_the_closest_and_the_list(typed, meant):
    with pytest.raises(ValueError, match=f"unknown data set '{typed}' .did you mean '{meant}'.*mnist, fashion_mnist"):
        spec(typed)


def test_unknown_name_like_nothing_known_gives_only_the_list():
    with pytest.raises(ValueError, match="^unknown data set 'xyzzy'; known: mnist, fashion_mnist, cifar10, digits$"):
        spec("xyzzy")


def test_digits_split_is_the_documented_one():
    """Against scikit-learn's arrays taken apart by a plain loop over classes."""
    from sklearn.datasets import load_digits as original

    images, labels = original(return_X_y=True)
    position, test = 0, []
    for digit in range(10):
        for index in (i for i, label in enumerate(labels) if label == digit):
            if position % 5 == 0:
                test.append(index)
            position += 1
    raw, source = load_digits()
    np.testing.assert_array_equal(raw.test_images.reshape(-1, 64), images[sorted(test)])
    np.testing.assert_array_equal(raw.test_labels, labels[sorted(test)])
    train = [i for i in range(len(labels)) if i not in set(test)]
    np.testing.assert_array_equal(raw.train_images.reshape(-1, 64), images[train])
    assert (len(train), len(test), source) == (1437, 360, "scikit-learn's load_digits")
    shares = np.bincount(raw.test_labels) / np.bincount(labels)
    assert np.all(np.abs(shares - 0.2) < 1 / 174)  # within one example of a fifth in every class


def test_digits_normalisation_constants_are_the_training_moments():
    """Against float64 moments of the training pixels / 16, rounded to the four places that are kept."""
    raw, _ = load_digits()
    scaled = raw.train_images.astype(np.float64) / 16
    assert (SPECS["digits"].mean, SPECS["digits"].std) == (round(scaled.mean(), 4), round(scaled.std(), 4))


def test_data_directory_is_returned_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert check_data_dir("~") == tmp_path


def test_missing_data_directory_and_a_file_are_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ValueError, match="nowhere' does not exist"):
        check_data_dir(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="file' is a file; name the directory"):
        check_data_dir(tmp_path / "file")
    with pytest.raises(ValueError, match="does not exist|cannot be examined"):
        check_data_dir(tmp_path / "file" / "below")


def test_overlong_data_directory_is_refused():
    with pytest.raises(ValueError, match="cannot be examined"):
        check_data_dir("x" * 5000)


def test_unreadable_data_directory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)  # the superuser may read everything
    with pytest.raises(ValueError, match="cannot be read; give yourself"):
        check_data_dir(tmp_path)


@pytest.mark.parametrize("limit", [0, -1, 11])
def test_limit_outside_the_data_is_refused(limit):
    with pytest.raises(ValueError, match=rf"limit_train={limit} is outside 1\.\.10"):
        check_limit(limit, 10, "limit_train")


def test_limits_inside_the_data():
    assert [check_limit(limit, 10, "limit") for limit in (None, 1, 10)] == [10, 1, 10]


def test_importing_the_package_loads_nothing_slow():
    slow = "jax flax optax tensorflow tensorflow_datasets matplotlib scipy sklearn PIL requests platformdirs".split()
    code = f"import sys, jaxact.data; print([name for name in {slow} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
