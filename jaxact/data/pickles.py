"""Pickles from outside, read within limits and without running anything they ask for.

Python's own reader in C sizes its memo by a number in the file and hashes keys of any depth. Its twin in Python is used
here, with the opcodes that plain values and arrays need. NumPy's constructors are not called: a forged dtype can make
NumPy itself read foreign memory.
"""

import io
import math
import pickle
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from jaxact.data.bounded import Refused, reason

STEPS = 1_000_000  # opcodes; a batch of CIFAR-10 with NumPy's integers as labels takes 150,000
VALUES = 200_000  # as often as they are shared; a batch of CIFAR-10 has 20,000
DEPTH = 50
KEYS = 1_000  # of one dict; keys made to collide take the square of their number
BITS = 512  # of an integer; with more it fills a screen
_DIMENSIONS = 32
_ARGUMENTS = 8  # of a call; _frombuffer has the most, five
_TEXT = 20  # bytes of a type code or a byte order
_ONLY = "only arrays and plain values are admitted"
_NUMBER = re.compile(r"b1|u[1248]|i[1248]|f[248]")
_OPCODES = (
    "MARK STOP PROTO FRAME GLOBAL STACK_GLOBAL REDUCE BUILD GET BINGET LONG_BINGET PUT BINPUT LONG_BINPUT MEMOIZE "
    "NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG LONG1 FLOAT BINFLOAT "
    "STRING BINSTRING SHORT_BINSTRING BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8 "
    "UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8 "
    "TUPLE EMPTY_TUPLE TUPLE1 TUPLE2 TUPLE3 LIST EMPTY_LIST APPEND APPENDS DICT EMPTY_DICT SETITEM SETITEMS"
).split()


def _as_text(value: Any) -> Any:
    """Python 2's strings arrive as bytes."""
    return value[:_TEXT].decode("latin1") if isinstance(value, bytes) else value


class _Dtype:
    """Stands in for numpy.dtype: keeps the type code and the byte order."""

    def __init__(self, code: Any, *_: Any):
        self.code, self.order = _as_text(code), "<"

    def __setstate__(self, state: Any) -> None:
        self.order = _as_text(state[1])

    def resolve(self) -> np.dtype:
        if not isinstance(self.code, str) or not _NUMBER.fullmatch(self.code) or self.order not in ("<", ">", "|", "="):
            shown = repr(self.code[:_TEXT]) if isinstance(self.code, str) else type(self.code).__name__
            raise Refused(f"array of type {shown}, only plain numbers are admitted")
        return np.dtype(self.order + self.code)


class _Array:
    """Stands in for an array under construction."""

    def __init__(self, *_: Any):
        self.value: np.ndarray | None = None

    def __setstate__(self, state: Any) -> None:
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
    flat = np.frombuffer(data, number)
    if order == "K":
        return flat.reshape(shape).transpose(axes)
    return flat.reshape(shape, order="F" if order == "F" else "C")


def _scalar(dtype: Any, data: Any) -> np.generic:
    return _array(data, dtype, (1,), "C")[0]


def _ndarray() -> None:
    """Stands in for numpy.ndarray, which appears only as an argument of _reconstruct."""
    raise Refused("array that is made by its type")


def _no_bytes() -> bytes:
    """Empty bytes, which Python 3 writes in protocols 0 to 2 as a call of their type."""
    return b""


_ADMITTED: dict[tuple[str, str], Callable[..., Any]] = {
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _Array for core in ("core", "_core")},  # NumPy 1 and NumPy 2
    **{(f"numpy.{core}.multiarray", "scalar"): _scalar for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _array for core in ("core", "_core")},
    **{(builtins, "bytes"): _no_bytes for builtins in ("__builtin__", "builtins")},
    ("numpy", "ndarray"): _ndarray,
    ("numpy", "dtype"): _Dtype,
}


class _Opcodes(dict[int, Callable[..., None]]):
    """What carries out each opcode, counted, so that a file of opcodes alone cannot fill the memory."""

    steps = 0

    def __getitem__(self, code: int) -> Callable[..., None]:
        self.steps += 1
        if self.steps > STEPS:
            raise Refused(f"takes more than {STEPS:,} steps")
        return super().__getitem__(code)

    def __missing__(self, code: int) -> None:
        raise Refused(f"holds the opcode 0x{code:02x}, {_ONLY}")


class _Unpickler(pickle._Unpickler):
    stack: list[Any]
    append: Callable[[Any], None]
    pop_mark: Callable[[], list[Any]]

    def __init__(self, content: bytes):
        super().__init__(io.BytesIO(content), encoding="bytes")
        base = pickle._Unpickler.dispatch
        codes = {name: getattr(pickle, name)[0] for name in _OPCODES}
        own = {
            "BUILD": _Unpickler.load_build,
            "BYTEARRAY8": base[codes["BINBYTES8"]],  # its own would take memory before it has read anything
            "DICT": _Unpickler.load_dict,
            "REDUCE": _Unpickler.load_reduce,
            "SETITEM": _Unpickler.load_setitem,
            "SETITEMS": _Unpickler.load_setitems,
        }
        opcodes = _Opcodes({code: own.get(name, base[code]) for name, code in codes.items()})
        self.dispatch = opcodes  # pyright: ignore[reportAttributeAccessIssue]
        self.room = len(content)

    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        if (module, name) == ("_codecs", "encode"):
            return self.encode
        if (module, name) not in _ADMITTED:
            raise Refused(f"asks for {module}.{name}, {_ONLY}")
        return _ADMITTED[module, name]

    def encode(self, text: Any, encoding: Any) -> bytes:
        """Bytes as Python 3 writes them in protocols 0 to 2; of one text again and again they would fill the memory."""
        if not isinstance(text, str) or encoding not in ("latin1", b"latin1"):
            raise Refused("bytes that are no text in latin1")
        self.room -= len(text)
        if self.room < 0:
            raise Refused("more bytes than its own length")
        return text.encode("latin1")

    def load_reduce(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        if not callable(function) or not isinstance(arguments, tuple) or len(arguments) > _ARGUMENTS:
            raise Refused(f"calls a {type(function).__name__}, {_ONLY}")
        self.append(function(*arguments))

    def load_build(self) -> None:
        state = self.stack.pop()
        if not isinstance(self.stack[-1], _Dtype | _Array):
            raise Refused(f"gives a state to a {type(self.stack[-1]).__name__}, {_ONLY}")
        self.stack[-1].__setstate__(state)

    def load_dict(self) -> None:
        items = self.pop_mark()
        self.append({})
        _fill(self.stack[-1], items)

    def load_setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        _fill(self.stack[-1], [key, value])

    def load_setitems(self) -> None:
        items = self.pop_mark()
        _fill(self.stack[-1], items)


def _fill(target: Any, items: list[Any]) -> None:
    """Put keys and values, taken in turns, into a dict."""
    if type(target) is not dict:
        raise Refused(f"sets an item of a {type(target).__name__}, {_ONLY}")
    if len(target) + len(items) // 2 > KEYS:
        raise Refused(f"holds a dict of more than {KEYS:,} keys")
    for key, value in zip(items[::2], items[1::2], strict=True):
        # Equal tuples inside tuples take for ever to hash.
        if key is not None and not isinstance(key, str | bytes | int | float):
            raise Refused(f"holds a key of type {type(key).__name__}, only text and numbers are admitted")
        target[key] = value


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
        if isinstance(value, int) and value.bit_length() > BITS:
            raise Refused(f"holds an integer of {value.bit_length():,} bits, at most {BITS} are admitted")
        if isinstance(value, dict):
            return {key: self.resolve(item, depth + 1) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return type(value)([self.resolve(item, depth + 1) for item in value])
        if isinstance(value, _Array):
            if value.value is None:
                raise Refused("malformed array")
            return value.value
        if value is None or isinstance(value, bool | int | float | str | bytes | np.generic | np.ndarray):
            return value
        raise Refused(f"holds a {type(value).__name__}, {_ONLY}")


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
        return _Resolver().resolve(_Unpickler(content).load())
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise ValueError(f"{where}: not an admissible pickle ({reason(error)}); take the original file") from None
