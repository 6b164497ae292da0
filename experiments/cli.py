"""What every script's command line shares: one-line errors with status 2, and a check of where it will write."""

import argparse
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    @classmethod
    def of(cls, module: str, text: str | None) -> "Parser":
        """The parser of a script: `python -m module`, described by its docstring as it stands."""
        return cls(prog=f"python -m {module}", description=text, formatter_class=argparse.RawDescriptionHelpFormatter)

    @contextmanager
    def checked(self) -> Iterator[None]:
        """End with the one line of a ValueError that is raised within: a user's mistake."""
        try:
            yield
        except ValueError as error:
            self.error(str(error))

    def error(self, message: str) -> NoReturn:
        """Print one line and exit with status 2."""
        self.exit(2, f"{self.prog}: {message} (--help lists the options)\n")


def check_out(out: Path, option: str = "--out") -> Path:
    """Check, leaving nothing behind, that the folder `out` can be created and written; `option` named it.

    Raises:
        ValueError: it is a file, lies below a file, or cannot be written.
    """
    try:
        out = out.expanduser()
        parent = next(path for path in (out, *out.absolute().parents) if _present(path))
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"{option} {out}: cannot be examined ({reason}): name another") from None
    if not parent.is_dir():
        raise ValueError(f"{option} {out}: {parent} is not a directory: name a directory that exists or can be created")
    try:
        with tempfile.TemporaryDirectory(dir=parent, prefix=".jaxact-"):
            pass
    except OSError as error:
        raise ValueError(
            f"{option} {out}: cannot write in {parent} ({os.strerror(error.errno or 0)}): name another"
        ) from None
    return out


def _present(path: Path) -> bool:
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True
