"""CIFAR-10's files: the binary and the python form, in a folder or in the original .tar.gz, which is never extracted.

Both forms hold one row of 3,072 bytes per image: 1,024 red, 1,024 green, 1,024 blue, each plane row by row.
Source: Krizhevsky, Learning multiple layers of features from tiny images (2009).
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from jaxact.data import pickles
from jaxact.data.bounded import read_tar
from jaxact.data.raw import Raw, check_labels
from jaxact.data.specs import Spec

TRAIN_BATCHES, TEST_BATCHES = 5, 1
BINARY_FILES = (*(f"data_batch_{i}.bin" for i in range(1, TRAIN_BATCHES + 1)), "test_batch.bin")
PYTHON_FILES = (*(f"data_batch_{i}" for i in range(1, TRAIN_BATCHES + 1)), "test_batch")
ARCHIVES = {"cifar-10-binary.tar.gz": BINARY_FILES, "cifar-10-python.tar.gz": PYTHON_FILES}

# A python batch carries names and labels beside its pixels: far less than as much again.
_PYTHON_ROOM = 2

Batch = tuple[UInt8[np.ndarray, "n features"], UInt8[np.ndarray, " n"]]
Parser = Callable[[bytes, Spec, int, str], Batch]


def parse_binary(content: bytes, spec: Spec, size: int, where: str) -> Batch:
    """Read one batch of the binary form: a label byte and the pixels, image after image.

    Args:
        content: The file's contents.
        spec: The data set.
        size: Number of images it must hold.
        where: The file, for the error.

    Returns:
        Pixels [size, features] and labels [size].

    Raises:
        ValueError: If the length or a label is wrong.
    """
    row = spec.features + 1
    if len(content) != size * row:
        raise ValueError(
            f"{where}: holds {len(content)} bytes, expected {size * row} ({size} images of 1 label and {spec.features} "
            "pixel bytes); the file is truncated or of another format"
        )
    rows = np.frombuffer(content, np.uint8).reshape(size, row)
    check_labels(rows[:, 0], spec, where)
    return rows[:, 1:], rows[:, 0]


def parse_python(content: bytes, spec: Spec, size: int, where: str) -> Batch:
    """Read one batch of the python form, a pickled dict with `data` and `labels`; see `parse_binary`."""
    batch = pickles.loads(content, where)
    entries: dict[Any, Any] = batch if isinstance(batch, dict) else {}
    pixels, labels = (entries.get(key, entries.get(key.encode())) for key in ("data", "labels"))
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.shape != (size, spec.features):
        found = f"{pixels.dtype} {list(pixels.shape)}" if isinstance(pixels, np.ndarray) else type(pixels).__name__
        raise ValueError(f"{where}: 'data' is {found}, expected uint8 {[size, spec.features]}; take the original file")
    classes = _integers(labels, size)
    if classes is None:
        raise ValueError(f"{where}: 'labels' is not a list of {size} integers; take the original file")
    check_labels(classes, spec, where)
    return pixels, classes.astype(np.uint8)


def _integers(labels: Any, size: int) -> np.ndarray | None:
    """The labels [size], Python's or NumPy's integers in a list, a tuple or an array, or None where they are not."""
    if isinstance(labels, np.ndarray) and labels.ndim == 1:
        labels = list(labels)
    if not isinstance(labels, list | tuple) or len(labels) != size:
        return None
    if not all(type(label) is int or isinstance(label, np.integer) for label in labels):
        return None
    return np.asarray([int(label) for label in labels], object)  # whatever their size


def read_folder(folder: Path, files: tuple[str, ...], spec: Spec) -> Raw:
    """Read the six batches lying in a folder.

    Args:
        folder: The folder.
        files: `BINARY_FILES` or `PYTHON_FILES`.
        spec: The data set.

    Returns:
        The data set in the order of its files.

    Raises:
        ValueError: If a file is missing, unreadable or not what it should be.
    """
    missing = [name for name in files if not (folder / name).is_file()]
    if missing:
        raise ValueError(f"{folder}: {', '.join(missing)} missing; all of {', '.join(files)} are needed")

    def content(name: str) -> bytes:
        try:
            with open(folder / name, "rb") as file:
                return file.read(_room(spec, files))
        except OSError as error:
            raise ValueError(f"{folder / name}: cannot be read ({error.strerror})") from None

    return _assemble(content, files, spec, str(folder))


def read_archive(archive: Path, files: tuple[str, ...], spec: Spec) -> Raw:
    """Read the six batches inside a tar archive, gzipped or not, in memory; see `read_folder`."""
    contents = read_tar(archive, files, _room(spec, files))
    missing = [name for name in files if name not in contents]
    if missing:
        raise ValueError(f"{archive}: {', '.join(missing)} missing in the archive; it is truncated or another one")
    return _assemble(contents.__getitem__, files, spec, str(archive))


def _room(spec: Spec, files: tuple[str, ...]) -> int:
    """The most bytes to read of one file, so that a wrong one cannot fill the memory."""
    largest = max(spec.train_size // TRAIN_BATCHES, spec.test_size // TEST_BATCHES) * (spec.features + 1)
    return largest + 1 if files == BINARY_FILES else _PYTHON_ROOM * largest + 65_536


def _assemble(content: Callable[[str], bytes], files: tuple[str, ...], spec: Spec, where: str) -> Raw:
    """Parse the batches one after the other into one array per part."""
    parse: Parser = parse_binary if files == BINARY_FILES else parse_python
    height, width, channels = spec.shape

    def part(names: tuple[str, ...], total: int) -> tuple[UInt8[np.ndarray, "n h w c"], UInt8[np.ndarray, " n"]]:
        size = total // len(names)
        batches = [parse(content(name), spec, size, f"{where}/{name}") for name in names]
        pixels = np.concatenate([images for images, _ in batches])
        planes = pixels.reshape(total, channels, height, width)
        labels = np.concatenate([labels for _, labels in batches])
        return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), labels

    return Raw(*part(files[:TRAIN_BATCHES], spec.train_size), *part(files[TRAIN_BATCHES:], spec.test_size))
