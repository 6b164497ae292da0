"""The `.npz` container of a record, read without trusting it: nothing is unpacked before its size and type are known.

NumPy's own reader stops short of a member's end, where the archive's checksum is compared, believes any declared size,
and raises whatever its tokenizer does.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

MAX_FILE = 1 << 30
MAX_BYTES = 1 << 31
"""Largest file, and largest sum of its arrays: thousands of seeds of the study's networks."""
MAX_META = 1 << 26
MAX_SEEDS = 1_000_000
MAX_MEMBERS = 100
_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


class Header(NamedTuple):
    """What a member says of its array."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype

    @property
    def size(self) -> int:
        """Bytes of the array; Python's integers, which no declared shape makes overflow."""
        size = self.dtype.itemsize
        for length in self.shape:
            size *= length
        return size


class Member(NamedTuple):
    """An array of which only the header has been read."""

    name: str
    header: Header
    stream: IO[bytes]

    def array(self) -> np.ndarray:
        """The array, if its bytes are as many as its header says; once."""
        header = self.header
        # One byte more than there should be: zipfile compares the checksum at the end only.
        content = self.stream.read(header.size + 1)
        if len(content) != header.size:
            raise ValueError(f"{self.name} has another size than it says")
        order = "F" if header.fortran else "C"
        return np.frombuffer(content, header.dtype).reshape(header.shape, order=order).copy(order="C")


class Archive:
    """An open `.npz`; its methods raise ValueError for what is no plain array, and whatever `zipfile` raises."""

    def __init__(self, path: Path) -> None:
        """Read the file; its members are not unpacked yet."""
        if not path.is_file():
            raise ValueError("no file")
        if (size := path.stat().st_size) > MAX_FILE:
            raise ValueError(f"{size} bytes, at most {MAX_FILE} are read")
        self._zip = zipfile.ZipFile(io.BytesIO(path.read_bytes()))
        names = self._zip.namelist()
        if len(names) > MAX_MEMBERS or len(set(names)) < len(names):
            raise ValueError("too many members, or one twice")

    def member(self, name: str) -> Member:
        """An array with its shape and type."""
        try:
            info = self._zip.getinfo(f"{name}.npy")
        except KeyError:
            raise ValueError(f"no {name}") from None
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"{name} is compressed otherwise than NumPy does")
        stream = self._zip.open(info)
        version = np.lib.format.read_magic(stream)
        if version not in _READERS:
            raise ValueError(f"version {version} of NumPy's format")
        shape, fortran, dtype = _READERS[version](stream)
        if any(length < 0 for length in shape) or dtype.hasobject or dtype.names or dtype.subdtype:
            raise ValueError(f"{name} is an array of {dtype!s:.40}, not of plain numbers")
        return Member(name, Header(shape, fortran, dtype), stream)

    def text(self, name: str) -> str:
        """The text in an array without axes."""
        member = self.member(name)
        if member.header.shape != () or member.header.dtype.kind != "U" or not 0 < member.header.size <= MAX_META:
            raise ValueError(f"{name} is no text of at most {MAX_META} bytes")
        return str(member.array())


def pack(meta: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> bytes:
    """The `.npz` of plain arrays and their metadata, with the checksum of all of it among these."""
    meta = {**meta, "checksum": checksum(meta, arrays)}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, meta=np.array(json.dumps(meta)), **arrays)  # pyright: ignore[reportArgumentType]
    return buffer.getvalue()


def checksum(meta: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of the metadata, without their own checksum, and of names, types, shapes and values of all arrays."""
    plain = {key: value for key, value in json.loads(json.dumps(meta)).items() if key != "checksum"}
    total = hashlib.sha256(json.dumps(plain, sort_keys=True).encode())
    for name in sorted(arrays):
        value = np.ascontiguousarray(arrays[name])
        value = value.astype(value.dtype.newbyteorder("<"), copy=False)
        total.update(f"{name} {value.dtype.str} {arrays[name].shape}".encode())
        total.update(value.tobytes())
    return total.hexdigest()
