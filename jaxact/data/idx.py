"""IDX files, the format of MNIST and its successors: gzipped or not, every byte accounted for.

Layout: two zero bytes, a type byte (0x08, unsigned byte), the number of dimensions, each dimension as a big-endian
32-bit integer, then the values in C order. Source: LeCun, Cortes and Burges, the MNIST database (1998).
"""

import gzip
import math
import os
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from jaxact.data.bounded import packed_room

_UNSIGNED_BYTE = 0x08
_GZIP_MAGIC = b"\x1f\x8b"

# The four files of a data set in the order of `Raw`, by the names they have been distributed under.
PARTS = ("train-images", "train-labels", "t10k-images", "t10k-labels")


def file_names(part: str) -> tuple[str, ...]:
    """Names under which one of `PARTS` is found: original or with a dot, plain or gzipped."""
    rank = 3 if part.endswith("images") else 1
    return tuple(f"{part}{mark}idx{rank}-ubyte{suffix}" for mark in "-." for suffix in (".gz", ""))


def encode(values: UInt8[np.ndarray, "..."]) -> bytes:
    """Write an array as the contents of an IDX file.

    Args:
        values: Unsigned bytes of any shape.

    Returns:
        Header and values; the inverse of `read`.
    """
    header = struct.pack(f">BBBB{values.ndim}I", 0, 0, _UNSIGNED_BYTE, values.ndim, *values.shape)
    return header + values.tobytes()


def read(path: Path, shape: Sequence[int]) -> UInt8[np.ndarray, "..."]:
    """Read an IDX file of unsigned bytes whose shape is known beforehand.

    Args:
        path: The file; gzip is recognised by its content, not by its name.
        shape: The shape it must have.

    Returns:
        The values.

    Raises:
        ValueError: If the file cannot be read, is empty, damaged, truncated, too long, or holds something else.
    """
    size = 4 + 4 * len(shape) + math.prod(shape)
    content = _read_bytes(path, size + 1)
    _check_header(content, tuple(shape), path)
    if len(content) != size:
        length = f"only {len(content)}" if len(content) < size else "more than"
        how = "is truncated" if len(content) < size else "has bytes after its end"
        raise ValueError(f"{path}: {how}: {length} of {size} bytes expected for {list(shape)}; fetch the file again")
    return np.frombuffer(content, np.uint8, offset=4 + 4 * len(shape)).reshape(shape)


def _check_header(content: bytes, shape: tuple[int, ...], path: Path) -> None:
    """Compare magic number and dimensions with what is expected."""
    magic = bytes([0, 0, _UNSIGNED_BYTE, len(shape)])
    if not content:
        raise ValueError(f"{path}: the file is empty; expected an IDX file of shape {list(shape)}")
    if content[:4] != magic:
        raise ValueError(
            f"{path}: starts with 0x{content[:4].hex()}, not with the IDX magic number 0x{magic.hex()} "
            f"of {len(shape)}-dimensional bytes; the file is damaged, misnamed or of another format"
        )
    header = content[4 : 4 + 4 * len(shape)]
    if len(header) < 4 * len(shape):
        raise ValueError(f"{path}: is truncated inside its header ({len(content)} bytes); fetch the file again")
    found = struct.unpack(f">{len(shape)}I", header)
    if found != shape:
        raise ValueError(f"{path}: holds {list(found)}, expected {list(shape)}; the named data sets have fixed sizes")


def _read_bytes(path: Path, limit: int) -> bytes:
    """Return at most `limit` bytes of the file's contents, unpacked where it is gzipped."""
    try:
        with open(path, "rb") as file:
            if file.read(2) != _GZIP_MAGIC:
                file.seek(0)
                return file.read(limit)
            file.seek(0)
            size, most = os.fstat(file.fileno()).st_size, packed_room(limit)
            if size > most:
                raise ValueError(f"{path}: its {size:,} gzipped bytes are more than {most:,}; fetch the file again")
            with gzip.open(file) as unpacked:
                # The limit keeps a gzip bomb out; reading past the end makes gzip check its CRC.
                return unpacked.read(limit)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path}: damaged or truncated gzip file ({error}); fetch the file again") from None
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror or error})") from None
