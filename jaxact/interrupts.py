"""Ctrl-C where no command can catch it: while Python loads the command and what it imports."""

import sys
from types import TracebackType

PACKAGES = ("jaxact", "experiments")


def one_line_while_loading() -> None:
    """Let Ctrl-C be one line instead of a traceback, in `python -m` with a command of ours and nowhere else."""
    named = [word.removeprefix("-m").partition(".")[0] for word in sys.orig_argv]
    if sys.argv[:1] == ["-m"] and not set(PACKAGES).isdisjoint(named):  # what Python puts there while it looks
        sys.excepthook = _unless_interrupted


def _unless_interrupted(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        print("\nstopped", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)
