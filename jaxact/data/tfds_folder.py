"""Prepared TensorFlow Datasets folders, read without TensorFlow and put back into the order of the original files."""

import contextlib
import io
import json
import logging
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from jaxact.data.bounded import printable
from jaxact.data.raw import ORIGINALS, Raw, check_raw, digests
from jaxact.data.specs import Spec

_READABLE = ("array_record", "tfrecord")
_BLOCK = 1000  # records read at a time
_DESCRIPTION = 1 << 20  # bytes of one of the files that describe the records; TFDS writes 3 KB
_RECORD = 1 << 16  # bytes of one record; an image of CIFAR-10 takes 3 KB, and 64 KB of PNG unpack to 64 MB at most


def find_prepared(root: Path, name: str) -> Path | None:
    """The folder of a prepared data set at or below `root`: the latest version, or None."""
    if (root / "dataset_info.json").is_file():
        return root
    versions = [path.parent for path in root.glob(f"{name}/*/dataset_info.json")]
    return max(versions, key=_version, default=None)


def _version(folder: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in folder.name.split(".") if part.isdigit())


def read_prepared(folder: Path, spec: Spec) -> Raw:
    """Read a prepared TFDS folder, array_record or tfrecord, and restore the order of the original files.

    TFDS shuffles when it prepares. CIFAR-10's examples carry their number; for the others TFDS's shuffle, a sort by
    the hash of the number, is undone, and the result must be the original data set to the last bit.

    Args:
        folder: The folder with dataset_info.json.
        spec: The data set.

    Returns:
        The data set in the order of its original files.

    Raises:
        ValueError: If the folder holds something else, or is damaged.
    """
    import tensorflow_datasets.public_api as tfds

    with quiet():
        try:
            _check_description(folder)
            info = tfds.builder_from_directory(folder).info
            if info.name != spec.name:
                raise ValueError(f"it holds {info.name}, expected {spec.name}")
            arrays = [array for split in ("train", "test") for array in _read_split(info, split, spec)]
        except Exception as error:  # TFDS, protobuf and array_record each raise their own
            raise ValueError(f"{folder}: not a readable TFDS folder ({first_line(error)})") from None
    raw = check_raw(Raw(*arrays), spec, str(folder))
    if spec.name in ORIGINALS and digests(raw) != ORIGINALS[spec.name]:
        raise ValueError(
            f"{folder}: its contents are not those of the original {spec.name}; delete it to have it prepared again"
        )
    return raw


def _check_description(folder: Path) -> None:
    """Refuse what TFDS would read at any length, and classes of other modules, which TFDS would import."""
    for path in (*folder.glob("*.json"), *folder.glob("*.txt")):
        if (size := path.stat().st_size) > _DESCRIPTION:
            raise ValueError(f"{path.name} holds {size:,} bytes, at most {_DESCRIPTION:,} are admitted")
    for name in ("dataset_info.json", "features.json"):
        json.loads((folder / name).read_text("utf-8"), object_hook=_check_feature)


def _check_feature(node: dict[str, Any]) -> dict[str, Any]:
    for key in ("pythonClassName", "python_class_name", "type"):
        name = node.get(key)
        if isinstance(name, str) and "." in name and not name.startswith("tensorflow_datasets."):
            raise ValueError(f"it names {name}, only TFDS's own features are admitted")
    if isinstance(node.get("content"), str):
        raise ValueError("it describes a feature by a text, which an old TFDS wrote; have it prepared again")
    return node


def _read_split(info: Any, split: str, spec: Spec) -> tuple[np.ndarray, np.ndarray]:
    """Decode one split into images and labels in the original order."""
    size = spec.train_size if split == "train" else spec.test_size
    if info.splits[split].num_examples != size:
        raise ValueError(f"{split} has {info.splits[split].num_examples} examples, {spec.name} has {size}")
    images, labels = np.empty((size, *spec.shape), np.uint8), np.empty(size, np.uint8)
    order = _original_order(size, split)
    seen = np.zeros(size, bool)
    for record, place in zip(_records(info, split), order, strict=True):
        if len(record) > _RECORD:
            raise ValueError(f"{split} has a record of {len(record):,} bytes, at most {_RECORD:,} are admitted")
        example = info.features.deserialize_example_np(record)
        if example["image"].shape != spec.shape:
            raise ValueError(f"{split} has an image of {list(example['image'].shape)}, expected {list(spec.shape)}")
        place = int(example["id"].split(b"_")[-1]) if "id" in example else place
        images[place], labels[place], seen[place] = example["image"], example["label"], True
    if not seen.all():
        raise ValueError(f"{split} holds only {seen.sum()} of {size} examples")
    return images, labels


def _original_order(size: int, split: str) -> list[int]:
    """The original number of each example in the order in which TFDS stores a split."""
    from tensorflow_datasets.core import hashing

    hasher = hashing.Hasher(split)
    return sorted(range(size), key=hasher.hash_key)


def _records(info: Any, split: str) -> Iterator[bytes]:
    """Yield the serialised examples of a split in the order they are stored."""
    file_format = info.file_format.value
    if file_format not in _READABLE:
        raise ValueError(f"its format is {file_format}, only {' and '.join(_READABLE)} can be read")
    paths = [str(path) for path in info.splits[split].filepaths]
    if file_format == "tfrecord":
        for path in paths:
            yield from _tfrecords(Path(path))
        return
    from array_record.python.array_record_data_source import ArrayRecordDataSource

    source = ArrayRecordDataSource(paths)
    for start in range(0, len(source), _BLOCK):  # one by one takes thirty times as long
        yield from source.__getitems__(list(range(start, min(start + _BLOCK, len(source)))))


def _tfrecords(path: Path) -> Iterator[bytes]:
    """Yield the records of a TFRecord file: length, its CRC, the bytes, their CRC (PNG has its own)."""
    with io.BufferedReader(io.FileIO(path)) as file:
        while header := file.read(12):
            if len(header) < 12:
                raise ValueError(f"{path.name} is truncated")
            (length,) = struct.unpack("<Q", header[:8])
            if length > _RECORD:
                raise ValueError(f"{path.name} has a record of {length:,} bytes, at most {_RECORD:,} are admitted")
            record = file.read(length)
            if len(record) < length or len(file.read(4)) < 4:
                raise ValueError(f"{path.name} is truncated")
            yield record


def first_line(error: Exception) -> str:
    """The first line of an error's text, or its type where it has none."""
    return printable((str(error).strip().splitlines() or [type(error).__name__])[0][:400])


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep TFDS's remarks off standard output and its hints about OpenCV off the log."""
    log = logging.getLogger("absl")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        log.setLevel(level)
