"""The named data sets: sizes, shapes, classes and normalisation constants (light: standard library only)."""

import difflib
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Spec:
    """What is fixed about a named data set.

    A pixel is standardised as (pixel / pixel_max - mean) / std.

    Attributes:
        name: The name users write.
        train_size: Number of training examples.
        test_size: Number of test examples.
        shape: (height, width, channels) of one image.
        classes: Number of classes; labels are 0 .. classes - 1.
        mean: Mean of the scaled pixels, one number for all channels.
        std: Standard deviation of the scaled pixels, likewise.
        class_names: The classes in label order.
        pixel_max: The pixel value that is scaled to 1.
    """

    name: str
    train_size: int
    test_size: int
    shape: tuple[int, int, int]
    classes: int
    mean: float
    std: float
    class_names: tuple[str, ...]
    pixel_max: int = 255

    @property
    def features(self) -> int:
        """Number of inputs of one flattened image."""
        height, width, channels = self.shape
        return height * width * channels


# The two constants everyone quotes for MNIST and Fashion-MNIST: mean and standard deviation of the training pixels.
MNIST_MEAN, MNIST_STD = 0.1307, 0.3081
FASHION_MNIST_MEAN, FASHION_MNIST_STD = 0.2860, 0.3530
# The study maps CIFAR-10 to [-1, 1] instead of using the measured moments.
CIFAR10_MEAN, CIFAR10_STD = 0.5, 0.5
# Measured on the 1,437 training images of the split in digits.py, pixels / 16.
DIGITS_MEAN, DIGITS_STD = 0.3058, 0.3762

_DIGIT_NAMES = tuple("0123456789")
_FASHION_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
_CIFAR10_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

SPECS: dict[str, Spec] = {
    s.name: s
    for s in (
        Spec("mnist", 60_000, 10_000, (28, 28, 1), 10, MNIST_MEAN, MNIST_STD, _DIGIT_NAMES),
        Spec("fashion_mnist", 60_000, 10_000, (28, 28, 1), 10, FASHION_MNIST_MEAN, FASHION_MNIST_STD, _FASHION_NAMES),
        Spec("cifar10", 50_000, 10_000, (32, 32, 3), 10, CIFAR10_MEAN, CIFAR10_STD, _CIFAR10_NAMES),
        Spec("digits", 1_437, 360, (8, 8, 1), 10, DIGITS_MEAN, DIGITS_STD, _DIGIT_NAMES, pixel_max=16),
    )
}


def spec(name: str) -> Spec:
    """Return the facts about the data set called `name`.

    Args:
        name: One of the keys of `SPECS`.

    Returns:
        The data set's `Spec`.

    Raises:
        ValueError: If there is no such data set; the message offers the closest name and the list.
    """
    if name in SPECS:
        return SPECS[name]
    close = difflib.get_close_matches(name.lower().replace("-", "_"), SPECS, n=1, cutoff=0.5)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    raise ValueError(f"unknown data set {name!r}{hint}; known: {', '.join(SPECS)}")


def check_data_dir(path: str | os.PathLike[str]) -> Path:
    """Check, before anything slow starts, that `path` is a directory that can be listed.

    Args:
        path: The user's data directory; a leading ~ is expanded.

    Returns:
        The directory.

    Raises:
        ValueError: If it is missing, no directory, or may not be read.
    """
    if os.fspath(path) == "":
        raise ValueError("data directory '' is empty; name one or leave it out")
    try:
        folder = Path(path).expanduser()
    except RuntimeError as error:
        raise ValueError(f"data directory {str(path)!r} cannot be found ({error}); name another") from None
    try:
        if not folder.exists():
            raise ValueError(f"data directory {str(folder)!r} does not exist; create it or name another")
        if not folder.is_dir():
            raise ValueError(f"data directory {str(folder)!r} is a file; name the directory that holds the data files")
    except OSError as error:
        raise ValueError(f"data directory {str(folder)!r} cannot be examined ({error.strerror})") from None
    if not os.access(folder, os.R_OK | os.X_OK):
        raise ValueError(f"data directory {str(folder)!r} cannot be read; give yourself read and search permission")
    return folder


def check_limit(limit: int | None, size: int, option: str) -> int:
    """Return how many of `size` examples to keep.

    Args:
        limit: The number asked for, or None for all.
        size: The number there are.
        option: What to call the limit in the error.

    Returns:
        `limit`, or `size` where it is None.

    Raises:
        ValueError: If `limit` is below 1 or above `size`.
    """
    if limit is None:
        return size
    if not 1 <= limit <= size:
        raise ValueError(f"{option}={limit} is outside 1..{size}; choose a number in that range or leave it out")
    return limit
