"""Pickles from outside, read without running anything they ask for.

NumPy's own constructors are not called either: arrays are collected as shape, type code and bytes and built
afterwards, because a forged dtype can make NumPy itself read foreign memory.
"""

import io
import math
import pickle
import re
from typing import Any

import numpy as np

_ONLY = "only arrays and plain values are admitted"
_NUMBER = re.compile(r"b1|u[1248]|i[1248]|f[248]")


class _Dtype:
    """Stands in for numpy.dtype: keeps the type code and the byte order."""

    def __init__(self, code: Any, *_: Any):
        self.code = code.decode("latin1") if isinstance(code, bytes) else code
        self.order = "<"

    def __setstate__(self, state: Any) -> None:
        order = state[1]
        self.order = order.decode("latin1") if isinstance(order, bytes) else order

    def resolve(self) -> np.dtype:
        if not isinstance(self.code, str) or not _NUMBER.fullmatch(self.code) or self.order not in ("<", ">", "|", "="):
            raise pickle.UnpicklingError(f"array of type {self.code!r}, only plain numbers are admitted")
        return np.dtype(self.order + self.code)


class _NdarrayType:
    """Stands in for numpy.ndarray, which appears only as an argument of _reconstruct."""


class _Array:
    """Stands in for an array under construction."""

    def __init__(self, *_: Any):
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def resolve(self) -> np.ndarray:
        try:
            _, shape, dtype, fortran, data = self.state
            number = dtype.resolve()
            raw = data.encode("latin1") if isinstance(data, str) else data
            if not all(type(n) is int and n >= 0 for n in shape) or len(raw) != math.prod(shape) * number.itemsize:
                raise pickle.UnpicklingError(f"array of shape {shape} with {len(raw)} bytes")
            return np.frombuffer(raw, number).reshape(shape, order="F" if fortran else "C")
        except (TypeError, ValueError, AttributeError) as error:
            raise pickle.UnpicklingError(f"malformed array ({error})") from None


_ADMITTED = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,  # NumPy 1
    ("numpy._core.multiarray", "_reconstruct"): _Array,  # NumPy 2
    ("numpy", "ndarray"): _NdarrayType,
    ("numpy", "dtype"): _Dtype,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ADMITTED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"asks for {module}.{name}, {_ONLY}") from None


def _resolve(value: Any) -> Any:
    """Replace the stand-ins in nested containers by arrays."""
    if isinstance(value, _Array):
        return value.resolve()
    if isinstance(value, dict):
        return {_resolve(key): _resolve(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_resolve(item) for item in value)
    if value is None or isinstance(value, bool | int | float | str | bytes):
        return value
    raise pickle.UnpicklingError(f"holds a {type(value).__name__}, {_ONLY}")


def loads(content: bytes, where: str) -> Any:
    """Read a pickle that may hold only numeric arrays, dicts, lists, tuples and plain values.

    Args:
        content: The pickle, as written by Python 2 or 3, NumPy 1 or 2. Python 2's strings become bytes.
        where: The file, for the error.

    Returns:
        The value.

    Raises:
        ValueError: If the pickle is damaged or asks for anything else; nothing of it has been run.
    """
    try:
        return _resolve(_Unpickler(io.BytesIO(content), encoding="bytes").load())
    except Exception as error:  # a damaged pickle can raise nearly anything
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise ValueError(f"{where}: not an admissible pickle ({reason}); fetch the file again") from None
