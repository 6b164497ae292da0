"""What every source hands over: unsigned bytes in the order of the original files, checked and fingerprinted."""

import hashlib
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from jaxact.data import idx
from jaxact.data.specs import Spec

# SHA-256 of the uncompressed IDX contents: train images, train labels, test images, test labels.
ORIGINALS: dict[str, tuple[str, str, str, str]] = {
    "mnist": (
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
    "fashion_mnist": (
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
}
# Of CIFAR-10 no digest of the contents is published, but the channel means of its training images are, to the last
# digit (125.306918046875, 122.950394140625, 113.86538318359375); times 50,000 · 32 · 32 they are these whole numbers.
CHANNEL_SUMS: dict[str, tuple[int, ...]] = {"cifar10": (6_415_714_204, 6_295_060_180, 5_829_907_619)}


class Raw(NamedTuple):
    """A data set as bytes.

    The order of the examples is that of the original files whatever the source, so results do not depend on the source.

    Attributes:
        train_images: Pixels [n, height, width, channels].
        train_labels: Labels [n].
        test_images: Pixels [n, height, width, channels].
        test_labels: Labels [n].
    """

    train_images: UInt8[np.ndarray, "n h w c"]
    train_labels: UInt8[np.ndarray, " n"]
    test_images: UInt8[np.ndarray, "m h w c"]
    test_labels: UInt8[np.ndarray, " m"]


def check_labels(labels: np.ndarray, spec: Spec, where: str) -> None:
    """Check that every label is a class of the data set.

    Args:
        labels: Labels [n] of any integer type.
        spec: The data set.
        where: The file or source, for the error.

    Raises:
        ValueError: Naming the first label out of range.
    """
    wrong = np.flatnonzero((labels < 0) | (labels >= spec.classes))
    if wrong.size:
        raise ValueError(
            f"{where}: label {labels[wrong[0]]} at position {wrong[0]} is outside 0..{spec.classes - 1} of {spec.name}"
            "; the file is damaged or holds another data set"
        )


def check_raw(raw: Raw, spec: Spec, where: str) -> Raw:
    """Check types, shapes and labels of a whole data set.

    Args:
        raw: The data set.
        spec: What it must be.
        where: The source, for the error.

    Returns:
        `raw`.

    Raises:
        ValueError: Naming what differs.
    """
    sizes = (spec.train_size, spec.train_size, spec.test_size, spec.test_size)
    for part, array, size in zip(Raw._fields, raw, sizes, strict=True):
        expected = (size, *spec.shape) if part.endswith("images") else (size,)
        if array.shape != expected or array.dtype != np.uint8:
            raise ValueError(
                f"{where}: {part} are {array.dtype} {list(array.shape)}; {spec.name} has uint8 {list(expected)}"
            )
    check_labels(raw.train_labels, spec, f"{where}, train labels")
    check_labels(raw.test_labels, spec, f"{where}, test labels")
    return raw


def digests(raw: Raw) -> tuple[str, ...]:
    """SHA-256 of the four parts written as IDX contents, in the order of `Raw`.

    Single-channel images are written with three dimensions, as the original MNIST files have them.
    """
    return tuple(
        hashlib.sha256(idx.encode(part[..., 0] if part.ndim == 4 and part.shape[-1] == 1 else part)).hexdigest()
        for part in raw
    )


def original_name(parts: tuple[str, ...]) -> str | None:
    """Name of the data set whose original files have these digests, or None."""
    return next((name for name, known in ORIGINALS.items() if known == parts), None)


def channel_sums(raw: Raw) -> tuple[int, ...]:
    """Sum of the pixels of every channel over the training images, to compare with `CHANNEL_SUMS`."""
    return tuple(raw.train_images.sum((0, 1, 2), dtype=np.int64).tolist())


def fingerprint(parts: tuple[str, ...]) -> str:
    """Twelve hexadecimal digits that identify the contents of a data set, made from its `digests`."""
    return hashlib.sha256("".join(parts).encode()).hexdigest()[:12]
