"""Pickles from outside, read without running anything they ask for.

NumPy's own constructors are not called either: arrays are collected as shape, type code and bytes and built
afterwards, because a forged dtype can make NumPy itself read foreign memory.
"""

import math
import re
from typing import Any

import numpy as np

from jaxact.data.bounded import Refused, reason
from jaxact.data.pickle_machine import ONLY, StandIn, run

VALUES = 1_000_000
DEPTH = 50
_DIMENSIONS = 32
_NUMBER = re.compile(r"b1|u[1248]|i[1248]|f[248]")


def _as_text(value: Any) -> Any:
    """Python 2's strings arrive as bytes."""
    return value.decode("latin1") if isinstance(value, bytes) else value


class _Dtype(StandIn):
    """Stands in for numpy.dtype: keeps the type code and the byte order."""

    def __init__(self, code: Any, *_: Any):
        self.code, self.order = _as_text(code), "<"

    def build(self, state: Any) -> None:
        self.order = _as_text(state[1])

    def resolve(self) -> np.dtype:
        if not isinstance(self.code, str) or not _NUMBER.fullmatch(self.code) or self.order not in ("<", ">", "|", "="):
            shown = repr(self.code[:20]) if isinstance(self.code, str) else type(self.code).__name__
            raise Refused(f"array of type {shown}, only plain numbers are admitted")
        return np.dtype(self.order + self.code)


class _Array(StandIn):
    """Stands in for an array under construction."""

    def __init__(self, *_: Any):
        self.value: np.ndarray | None = None

    def build(self, state: Any) -> None:
        _, shape, dtype, fortran, data = state
        self.value = _array(data, dtype, shape, "F" if fortran else "C")


def _array(data: Any, dtype: Any, shape: Any, order: Any, axes: Any = None) -> np.ndarray:
    """An array over its bytes; order K means that its axes were permuted as `axes` says before."""
    if not isinstance(dtype, _Dtype) or not isinstance(data, bytes):
        raise Refused(f"array of {type(data).__name__} and {type(dtype).__name__}, expected bytes and a dtype")
    number = dtype.resolve()
    if not isinstance(shape, tuple) or len(shape) > _DIMENSIONS or not all(type(n) is int and n >= 0 for n in shape):
        raise Refused("array whose shape is no tuple of a few sizes")
    if len(data) != math.prod(shape) * number.itemsize:
        raise Refused(f"array of shape {shape} with {len(data)} bytes")
    order = _as_text(order)
    flat = np.frombuffer(data, number)
    if order == "K":
        if not isinstance(axes, tuple) or sorted(axes) != list(range(len(shape))):
            raise Refused("array whose axes are no permutation")
        return flat.reshape(shape).transpose(axes)
    return flat.reshape(shape, order="F" if order == "F" else "C")


def _scalar(dtype: Any, data: Any) -> np.generic:
    return _array(data, dtype, (1,), "C")[0]


def _encode(text: Any, encoding: Any) -> bytes:
    """Bytes as Python 3 writes them in protocols 0 to 2."""
    if not isinstance(text, str) or encoding != "latin1":
        raise Refused("bytes that are no text in latin1")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    """Empty bytes, which Python 3 writes in protocols 0 to 2 as a call of their type."""
    return b""


def _ndarray() -> None:
    """Stands in for numpy.ndarray, which appears only as an argument of _reconstruct."""
    raise Refused("array that is made by its type")


_ADMITTED = {
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _Array for core in ("core", "_core")},  # NumPy 1 and NumPy 2
    **{(f"numpy.{core}.multiarray", "scalar"): _scalar for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _array for core in ("core", "_core")},
    ("numpy", "ndarray"): _ndarray,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _encode,
    ("__builtin__", "bytes"): _no_bytes,
}


class _Resolver:
    """Replaces the stand-ins in nested containers by arrays, and counts what it meets."""

    def __init__(self):
        self.seen = 0

    def resolve(self, value: Any, depth: int = 0) -> Any:
        self.seen += 1
        if self.seen > VALUES:
            raise Refused(f"unfolds to more than {VALUES:,} values")
        if depth > DEPTH:
            raise Refused(f"is nested more than {DEPTH} deep")
        if isinstance(value, _Array) and value.value is not None:
            return value.value
        if isinstance(value, dict):
            return {key: self.resolve(item, depth + 1) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return type(value)([self.resolve(item, depth + 1) for item in value])
        if value is None or isinstance(value, bool | int | float | str | bytes | np.generic | np.ndarray):
            return value
        kind = "malformed array" if isinstance(value, _Array) else f"holds a {type(value).__name__}"
        raise Refused(f"{kind}, {ONLY}")


def loads(content: bytes, where: str) -> Any:
    """Read a pickle that may hold only numeric arrays, NumPy's numbers, dicts, lists, tuples and plain values.

    Args:
        content: The pickle, as written by Python 2 or 3, NumPy 1 or 2, in any protocol. Python 2's strings become
            bytes.
        where: The file, for the error.

    Returns:
        The value.

    Raises:
        ValueError: If the pickle is damaged, asks for anything else, or unfolds beyond its limits; nothing of it has
            been run.
    """
    try:
        return _Resolver().resolve(run(content, _ADMITTED))
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise ValueError(f"{where}: not an admissible pickle ({reason(error)}); take the original file") from None
