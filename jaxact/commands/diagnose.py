"""Say what is wrong with your own network: dead layers, gradients that vanish, inputs that are not scaled.

    jaxact diagnose package.module:function               about 10 s for a small network
    jaxact diagnose mynet:subject --check                 status 1 where something is wrong, for a test

The function takes nothing and returns what `jaxact.diagnose` takes: (apply_fn, variables, batch), with labels after
them or without, or a dict of its arguments by name. Its module is looked for in this folder too. Nothing is trained.
"""

import os
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from jaxact.console import Parser
from jaxact.execution import runtime

MODULE = "jaxact.commands.diagnose"


def parser() -> Parser:
    """The options."""
    p = Parser.of(MODULE, __doc__)
    p.add_argument("function", metavar="MODULE:FUNCTION", help="gives the network and a batch, see above")
    p.add_argument("--check", action="store_true", help="end with status 1 unless nothing wrong was found")
    return p


def function_of(path: str) -> Callable[[], Any]:
    """The function at `package.module:function`.

    Raises:
        ValueError: it is written otherwise, cannot be imported, or is not there.
    """
    module, colon, name = path.partition(":")
    if not (module and colon and name.isidentifier()):
        raise ValueError(f"{path!r} names no function: write package.module:function")
    sys.path.insert(0, os.getcwd())
    try:
        loaded = import_module(module)
    except ImportError as error:
        raise ValueError(f"cannot import {module!r} ({error}): name a module of this folder, or install it") from error
    if not callable(found := getattr(loaded, name, None)):
        raise ValueError(f"module {module!r} has no function {name!r}: define it there")
    return found


def diagnosed(subject: Any) -> Any:
    """The diagnosis of what a user's function returned.

    Raises:
        ValueError: it is neither a dict nor a tuple of two to four, or `jaxact.diagnose` cannot use it.
    """
    from jaxact.diagnosis import diagnose

    if isinstance(subject, Mapping):
        try:
            return diagnose(**subject)
        except TypeError as error:
            raise ValueError(f"{error}: name the arguments as jaxact.diagnose does") from error
    if not isinstance(subject, tuple) or not 2 <= len(subject) <= 4:
        raise ValueError(
            f"the function returned {type(subject).__name__}: return (apply_fn, variables, batch) or with labels after "
            "them, or a dict of arguments"
        )
    if len(subject) == 2:
        return diagnose(subject[0], batch=subject[1])
    return diagnose(*subject)


def main(argv: list[str] | None = None) -> int:
    """Diagnose and print.

    Returns:
        Exit status: 0 done, 1 something is wrong (with --check), 2 bad input.
    """
    p = parser()
    options = p.parse_args(argv)
    runtime.configure()
    with p.checked():
        found = diagnosed(function_of(options.function)())
    print(found)
    return 1 if options.check and not found.ok else 0
