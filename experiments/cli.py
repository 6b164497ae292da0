"""What every script's command line shares: one-line errors with status 2, and a check of where it will write."""

import argparse
import os
import tempfile
from pathlib import Path
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Print one line and exit with status 2."""
        self.exit(2, f"{self.prog}: {message} (--help lists the options)\n")


def check_out(out: Path) -> Path:
    """Check, leaving nothing behind, that the folder `out` can be created and written.

    Raises:
        ValueError: it is a file, lies below a file, or cannot be written.
    """
    try:
        out = out.expanduser()
        parent = next(path for path in (out, *out.absolute().parents) if _present(path))
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"--out {out}: cannot be examined ({reason}): name another") from None
    if not parent.is_dir():
        raise ValueError(f"--out {out}: {parent} is not a directory: name a directory that exists or can be created")
    try:
        with tempfile.TemporaryDirectory(dir=parent, prefix=".jaxact-"):
            pass
    except OSError as error:
        raise ValueError(
            f"--out {out}: cannot write in {parent} ({os.strerror(error.errno or 0)}): name another"
        ) from None
    return out


def _present(path: Path) -> bool:
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True
