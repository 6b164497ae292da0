"""The opcodes of a pickle, carried out here: nothing is imported, and every size meets a limit before it is used.

Python's own loader sizes its memo by a number in the file, hashes keys of any depth and calls what it finds. This one
knows only the opcodes that plain values and arrays need, in every protocol from 0 to 5.
Source of the opcodes: the documentation inside Python's module pickletools.
"""

import struct
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from jaxact.data.bounded import Refused

STEPS = 1_000_000  # a batch of CIFAR-10 with NumPy's integers as labels takes 180,000
KEYS = 1_000
INTEGER_BITS = 512
ONLY = "only arrays and plain values are admitted"

_CONSTANTS = {b"N": None, b"\x88": True, b"\x89": False}
_EMPTY: dict[bytes, type] = {b"]": list, b"}": dict, b")": tuple}
_NUMBERS = {b"K": "<B", b"M": "<H", b"J": "<i", b"G": ">d"}
_TUPLES = {b"\x85": 1, b"\x86": 2, b"\x87": 3}
_PUTS = {b"p": None, b"q": "<B", b"r": "<I"}  # None: the index is a line of text
_GETS = {b"g": None, b"h": "<B", b"j": "<I"}
_SKIPPED = {b"\x80": 1, b"\x95": 8}  # the protocol's number and the length of a frame


class StandIn:
    """An object under construction, completed by the state that the pickle gives it."""

    def build(self, state: Any) -> None:
        """Take the state."""
        raise NotImplementedError


def _integer(value: int) -> int:
    if value.bit_length() > INTEGER_BITS:
        raise Refused(f"holds an integer of {value.bit_length():,} bits, at most {INTEGER_BITS} are admitted")
    return value


def _text(content: bytes) -> str:
    return content.decode("utf-8", "surrogatepass")


def _line_integer(line: bytes) -> int:
    if line in (b"00", b"01"):
        return line == b"01"
    return _integer(int(line.removesuffix(b"L")))


def _line_bytes(line: bytes) -> bytes:
    """A string as Python 2 printed it, between quotes and with escapes."""
    if len(line) < 2 or line[:1] not in b"'\"" or line[-1:] != line[:1]:
        raise Refused("holds a string without quotes")
    return line[1:-1].decode("unicode_escape").encode("latin1")


_LINES: dict[bytes, Callable[[bytes], Any]] = {
    b"I": _line_integer,
    b"L": _line_integer,
    b"F": float,
    b"S": _line_bytes,
    b"V": lambda line: line.decode("raw_unicode_escape"),
}

# The format of the length that stands before a value, and what makes the value of its bytes. Python 2's strings
# become bytes.
_SIZED: dict[bytes, tuple[str, Callable[[bytes], Any]]] = {
    **{code: (size, bytes) for code, size in {b"U": "<B", b"T": "<i", b"C": "<B", b"B": "<I", b"\x8e": "<Q"}.items()},
    b"\x96": ("<Q", bytes),
    **{code: (size, _text) for code, size in {b"\x8c": "<B", b"X": "<I", b"\x8d": "<Q"}.items()},
    **{
        code: (size, lambda content: _integer(int.from_bytes(content, "little", signed=True)))
        for code, size in {b"\x8a": "<B", b"\x8b": "<i"}.items()
    },
}


class _Machine:
    """What has been read so far: the stack, the stacks below the open marks, and the memo."""

    def __init__(self, content: bytes, admitted: Mapping[tuple[str, str], Callable[..., Any]]):
        self.content, self.at, self.admitted = content, 0, admitted
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.keys = self.made = 0

    def take(self, size: int) -> bytes:
        left = len(self.content) - self.at
        if not 0 <= size <= left:
            raise Refused(f"asks for {size:,} bytes where {left:,} remain")
        self.at += size
        return self.content[self.at - size : self.at]

    def line(self) -> bytes:
        end = self.content.find(b"\n", self.at)
        if end < 0:
            raise Refused("ends inside a line")
        line, self.at = self.content[self.at : end], end + 1
        return line

    def number(self, form: str | None) -> Any:
        return int(self.line()) if form is None else struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def pop(self) -> Any:
        if not self.stack:
            raise Refused("takes a value where there is none")
        return self.stack.pop()

    def top(self, kind: type) -> Any:
        """The value on top of the stack, which has to be of a kind."""
        if not self.stack or type(self.stack[-1]) is not kind:
            raise Refused(f"fills a {kind.__name__} where there is none")
        return self.stack[-1]

    def since_mark(self) -> list[Any]:
        if not self.below:
            raise Refused("goes back to a mark where there is none")
        values, self.stack = self.stack, self.below.pop()
        return values

    def fill(self, target: dict[Any, Any], values: list[Any]) -> None:
        """Put keys and values, taken in turns, into a dict."""
        if len(values) % 2:
            raise Refused("holds a key without a value")
        self.keys += len(values) // 2
        if self.keys > KEYS:
            raise Refused(f"holds more than {KEYS:,} keys")
        for key, value in zip(values[::2], values[1::2], strict=True):
            # Equal tuples inside tuples take for ever to hash.
            if key is not None and not isinstance(key, str | bytes | int | float | np.generic):
                raise Refused(f"holds a key of type {type(key).__name__}, only text and numbers are admitted")
            target[key] = value

    def name(self, module: Any, name: Any) -> Callable[..., Any]:
        if not isinstance(module, str) or not isinstance(name, str) or (module, name) not in self.admitted:
            shown = f"{module}.{name}" if isinstance(module, str) and isinstance(name, str) else "a nameless object"
            raise Refused(f"asks for {shown}, {ONLY}")
        return self.admitted[module, name]

    def call(self) -> Any:
        """Call one of our own functions."""
        arguments, function = self.pop(), self.pop()
        if not callable(function) or not isinstance(arguments, tuple):
            raise Refused("calls what cannot be called")
        value = function(*arguments)
        self.made += len(value) if isinstance(value, bytes) else 0
        if self.made > len(self.content):
            raise Refused(f"makes more than its own {len(self.content):,} bytes")
        return value

    def build(self) -> None:
        state = self.pop()
        if not self.stack or not isinstance(self.stack[-1], StandIn):
            raise Refused("gives a state to what has none")
        self.stack[-1].build(state)

    def step(self, code: bytes) -> None:
        """Carry out one opcode."""
        if code in _CONSTANTS:
            self.stack.append(_CONSTANTS[code])
        elif code in _EMPTY:
            self.stack.append(_EMPTY[code]())
        elif code in _NUMBERS:
            self.stack.append(self.number(_NUMBERS[code]))
        elif code in _SIZED:
            size, make = _SIZED[code]
            self.stack.append(make(self.take(self.number(size))))
        elif code in _LINES:
            self.stack.append(_LINES[code](self.line()))
        elif code in _TUPLES:
            self.stack.append(tuple([self.pop() for _ in range(_TUPLES[code])][::-1]))
        elif code in _PUTS:
            self.put(self.number(_PUTS[code]))
        elif code in _GETS:
            self.get(self.number(_GETS[code]))
        elif code in _SKIPPED:
            self.take(_SKIPPED[code])
        elif code in _OTHERS:
            _OTHERS[code](self)
        else:
            raise Refused(f"holds the opcode 0x{code.hex()}, which plain values do not need")

    def put(self, index: int) -> None:
        if not self.stack:
            raise Refused("keeps a value where there is none")
        self.memo[index] = self.stack[-1]

    def get(self, index: int) -> None:
        if index not in self.memo:
            raise Refused("refers to a value that was not kept")
        self.stack.append(self.memo[index])

    def mark(self) -> None:
        self.below.append(self.stack)
        self.stack = []


def _make(kind: Callable[[list[Any]], Any]) -> Callable[[_Machine], None]:
    """The opcode that makes a list or a tuple of everything since the mark."""

    def make(machine: _Machine) -> None:
        values = kind(machine.since_mark())
        machine.stack.append(values)

    return make


def _make_dict(machine: _Machine) -> None:
    values, made = machine.since_mark(), {}
    machine.fill(made, values)
    machine.stack.append(made)


def _append(machine: _Machine) -> None:
    value = machine.pop()
    machine.top(list).append(value)


def _append_all(machine: _Machine) -> None:
    values = machine.since_mark()
    machine.top(list).extend(values)


def _set(machine: _Machine) -> None:
    value, key = machine.pop(), machine.pop()
    machine.fill(machine.top(dict), [key, value])


def _set_all(machine: _Machine) -> None:
    values = machine.since_mark()
    machine.fill(machine.top(dict), values)


def _named_by_lines(machine: _Machine) -> None:
    module, name = _text(machine.line()), _text(machine.line())
    machine.stack.append(machine.name(module, name))


def _named_by_stack(machine: _Machine) -> None:
    name, module = machine.pop(), machine.pop()
    machine.stack.append(machine.name(module, name))


_OTHERS: dict[bytes, Callable[[_Machine], None]] = {
    b"(": _Machine.mark,
    b"l": _make(list),
    b"t": _make(tuple),
    b"d": _make_dict,
    b"a": _append,
    b"e": _append_all,
    b"s": _set,
    b"u": _set_all,
    b"c": _named_by_lines,
    b"\x93": _named_by_stack,
    b"R": lambda machine: machine.stack.append(machine.call()),
    b"b": _Machine.build,
    b"\x94": lambda machine: machine.put(len(machine.memo)),
}


def run(content: bytes, admitted: Mapping[tuple[str, str], Callable[..., Any]]) -> Any:
    """Carry out a pickle.

    Args:
        content: The pickle, of any protocol from 0 to 5.
        admitted: The functions that stand for the names it may ask for; they alone are called.

    Returns:
        The value, in which a `StandIn` may be left wherever an object was asked for.

    Raises:
        Refused: If it is damaged, asks for another name, or would grow beyond its limits.
    """
    machine = _Machine(content, admitted)
    for _ in range(STEPS):
        if (code := machine.take(1)) == b".":
            return machine.pop()
        machine.step(code)
    raise Refused(f"takes more than {STEPS:,} steps")
