"""Runnable scripts, `python -m experiments.<name>`: each parses its options, calls `jaxact` and writes the outcome."""

import sys
from types import TracebackType


def _unless_interrupted(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """One line for Ctrl-C where no script can catch it: while Python loads the script and what it imports."""
    if issubclass(kind, KeyboardInterrupt):
        print("\nstopped", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


if sys.argv[:1] == ["-m"]:  # what Python puts there while it looks for the module to run
    sys.excepthook = _unless_interrupted
