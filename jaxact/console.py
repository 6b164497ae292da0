"""What every command line shares: errors of one line with status 2, and output that no encoding can stop."""

import argparse
import codecs
import io
import os
import re
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any, NoReturn

ENCODING_ERRORS = "jaxact-plain"
PLAIN = {
    **{"×": "x", "±": "+-", "…": "...", "–": "-", "−": "-", "·": "*", "→": "->", "←": "<-", "≤": "<=", "≥": ">="},
    **{"≠": "!=", "½": "1/2", "¼": "1/4", "²": "^2", "³": "^3", "√": "sqrt", "∞": "inf", "‖": "||", "′": "'"},
    **{"φ": "phi", "χ": "chi", "ξ": "xi", "σ": "sigma", "μ": "mu", "η": "eta", "α": "alpha", "β": "beta"},
    **{"ε": "eps", "δ": "delta", "∂": "d", "Σ": "sum", "π": "pi", "θ": "theta"},
}
"""How the characters of our messages are written where an encoding lacks them."""


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    characters = error.object[error.start : error.end]
    return "".join(PLAIN.get(c) or _escaped(c) for c in characters), error.end


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


codecs.register_error(ENCODING_ERRORS, _plain)


def open_streams() -> None:
    """Let every print succeed: a closed stream leads nowhere, a character that an encoding lacks is written plainly.

    The number of a closed stream is taken, so that no file which is opened later gets what libraries print.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w" if number else "r", encoding="utf-8"))
        elif number and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ENCODING_ERRORS)


def one_line(text: str) -> str:
    r"""The text with what would break its line, or cannot be printed, as escapes such as `\n`."""
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


_program: str | None = None
"""The console script that runs a command, instead of `python -m module`."""


def called_as(program: str | None) -> None:
    """Let messages, help and recorded commands say `program NAME` for `python -m experiments.NAME`."""
    global _program
    _program = program


def program_of(module: str) -> str:
    """How a user calls a module: `python -m experiments.grid`, or `jaxact grid`."""
    return f"{_program} {module.rpartition('.')[2]}" if _program else f"python -m {module}"


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """The end of a refusal: the nearest known word, or all of them."""
    near = get_close_matches(word, known, n=1)
    return f": did you mean {near[0]}?" if near else f": use one of {', '.join(known)}"


class _Help(argparse.HelpFormatter):
    """Descriptions keep their paragraphs and commands, and are wrapped to the terminal."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        blocks = (block for block in re.split(r"\n\s*\n", text.strip()))
        return "\n\n".join(indent + f"\n{indent}".join(_wrapped(block, width - len(indent))) for block in blocks)


def _wrapped(block: str, width: int) -> list[str]:
    if not block.startswith("    "):
        return textwrap.wrap(" ".join(block.split()), width, break_long_words=False, break_on_hyphens=False)
    lines = []
    for line in block.splitlines():
        command, _, comment = line.strip().partition("  ")
        if comment and len(line) <= width:
            lines.append(line)
        else:
            lines += _hanging(command, "  ", width) + _hanging(comment.strip(), "      ", width)
    return lines


def _hanging(text: str, margin: str, width: int) -> list[str]:
    return textwrap.wrap(
        text, width, initial_indent=margin, subsequent_indent=margin + "    ", break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line and whose options have one spelling."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"formatter_class": _Help, "allow_abbrev": False} | settings)

    @classmethod
    def of(cls, module: str, text: str | None) -> "Parser":
        """The parser of a command, described by its docstring."""
        package = module.rpartition(".")[0]
        text = text.replace(f"python -m {package}.", f"{_program} ") if text and _program else text
        return cls(prog=program_of(module), description=text)

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Parse, after a look for what argparse would pass on or not explain.

        Args:
            args: the words of the command line; those of the process if None.
            namespace: see `argparse`.
        """
        words = sys.argv[1:] if args is None else list(args)
        for word in words:
            if any("\ud800" <= c <= "\udfff" for c in word):
                self.error(f"{word!r} is not text in this system's encoding: rename it, or set another locale")
        for word in words[: words.index("--")] if "--" in words else words:
            option = word.partition("=")[0]
            if re.match(r"--?[A-Za-z]", word) and " " not in word and option not in self._option_string_actions:
                near = get_close_matches(option, self._option_string_actions, n=1)
                self.error(f"unrecognized arguments: {word}" + (f": did you mean {near[0]}?" if near else ""))
        return super().parse_args(words, namespace)

    @contextmanager
    def checked(self) -> Iterator[None]:
        """End with the one line of a ValueError or an I/O error that is raised within: a user's mistake."""
        try:
            yield
        except ValueError as error:
            self.error(str(error))
        except OSError as error:
            self.error(f"{error.filename or 'a file'} cannot be used ({error.strerror or error}): name another")

    def error(self, message: str) -> NoReturn:
        """Print one line and exit with status 2."""
        self.refuse(f"{message} (--help lists the options)")

    def refuse(self, message: object) -> NoReturn:
        """Print one line, which is not about the options alone, and exit with status 2."""
        self.exit(2, f"{self.prog}: {one_line(str(message))}\n")
