"""What the command lines of the experiments check: where they write and read, what is installed, what fits."""

import importlib.util
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from jaxact.console import Parser

__all__ = [
    "Parser",
    "check_file_name",
    "check_folder",
    "check_installed",
    "check_memory",
    "check_out",
    "check_path",
    "training_numbers",
]

ROOM = 512
"""Bytes that a path has to leave for the names of the files in the folder."""
NAME_MAX, PATH_MAX = 255, 4096


def check_path(text: str | Path, option: str) -> Path:
    """Check that a path can be looked up, whether or not there is something; a leading ~ is expanded.

    Args:
        text: the path as given.
        option: what named it, for messages.

    Raises:
        ValueError: it is empty, too long, of a user who is not there, or below what cannot be searched.
    """
    if str(text) == "" or "\0" in str(text):
        raise ValueError(f"{option} is empty: name a path, or leave it out")
    try:
        path = Path(text).expanduser()
        _present(path)
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"{option} {text}: cannot be examined ({reason}): name another") from None
    long = next((part for part in path.parts if len(os.fsencode(part)) > NAME_MAX), None)
    if long is not None or len(os.fsencode(path)) + ROOM > PATH_MAX:
        raise ValueError(f"{option} {text}: cannot be examined (the name is too long): name a shorter one")
    return path


def check_folder(text: str | Path, option: str = "") -> Path:
    """Check that a folder to be searched for records has a name that can be; `option` named it.

    Raises:
        ValueError: the name of a folder that cannot be, or the root of all files.
    """
    path = check_path(text, option or "the folder of records")
    if path.absolute().resolve() == Path(path.absolute().anchor):
        raise ValueError(f"{option} {text} is the root of all files: name the folder of a run".strip())
    return path


def check_out(text: str | Path, option: str = "--out") -> Path:
    """Check, leaving nothing behind, that a folder can be created and written; `option` named it.

    Raises:
        ValueError: it is empty, a file, lies below a file, or cannot be written.
    """
    out = check_path(text, option)
    parent = next(path for path in (out, *out.absolute().parents) if _present(path))
    if not parent.is_dir():
        raise ValueError(f"{option} {out}: {parent} is not a directory: name a directory that exists or can be created")
    try:
        with tempfile.TemporaryDirectory(dir=parent, prefix=".jaxact-"):
            pass
    except OSError as error:
        raise ValueError(f"{option} {out}: cannot write in {parent} ({error.strerror}): name another") from None
    return out


def check_file_name(name: str, what: str) -> None:
    """Check that a file that is to be written has a name that file systems take.

    Raises:
        ValueError: it is too long, with what is put around it while it is written.
    """
    longest = NAME_MAX - len("..12345678.tmp")
    if len(name) > longest:
        raise ValueError(f"{what} would be a file name of {len(name)} bytes, at most {longest} work: use fewer layers")


def check_installed(packages: Iterable[str], what: str, extra: str) -> None:
    """Check that optional packages are there, without loading them.

    Args:
        packages: their names.
        what: what needs them, for the message.
        extra: the extra of jaxact that installs them.

    Raises:
        ValueError: one is missing.
    """
    if absent := [name for name in packages if importlib.util.find_spec(name) is None]:
        raise ValueError(f"{what} need {', '.join(absent)}: pip install 'jaxact[{extra}]'")


def check_memory(numbers: int, option: str, value: object) -> None:
    """Check that so many float32 numbers, the least that a run needs at once, fit into this machine.

    Raises:
        ValueError: they are more than its memory.
    """
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # not a system that tells
        return
    if 4 * numbers > memory:
        raise ValueError(
            f"{option} {value} needs at least {4 * numbers / 2**30:,.0f} GiB of memory, this machine has "
            f"{memory / 2**30:,.0f}: choose smaller numbers"
        )


def training_numbers(products: Iterable[tuple[int, int, int]]) -> int:
    """Numbers that a network's training holds at least: weights, their gradients, one batch of activations.

    Args:
        products: (rows, inputs, units) of every layer's matrix product.
    """
    return sum(2 * inputs * units + rows * units for rows, inputs, units in products)


def _present(path: Path) -> bool:
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True
