"""Find out why a network does not learn, and which activations will not, before you train it.

jaxact predict relu sigmoid relu            which outputs will be dead, before any training: 2 s
jaxact diagnose package.module:function     what is wrong with your own network
jaxact grid --preset quick                  train the study's 64 combinations: minutes
jaxact report runs/quick --out page         the page of what was trained
"""

import argparse
import sys
import textwrap
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from jaxact import __version__, commands, console

NAMES = tuple(sorted(module.name for module in iter_modules(commands.__path__)))


def summary_of(name: str) -> str:
    """The first line of a command's docstring, read without importing the command."""
    with Path(commands.__path__[0], f"{name}.py").open(encoding="utf-8") as file:
        return file.readline().strip().strip('"')


def help_text() -> str:
    """What `jaxact` says without a command."""
    columns = [textwrap.fill(summary_of(name), 60) for name in NAMES]
    listing = "".join(
        f"\n  {name:<18}" + text.replace("\n", "\n" + 20 * " ") for name, text in zip(NAMES, columns, strict=True)
    )
    return (
        f"{__doc__}\ncommands (jaxact COMMAND --help explains one):\n{listing}\n\n"
        "  --version         the version\n"
        "  --completion SHELL\n                    for bash, zsh, fish: jaxact --completion bash >> ~/.bashrc"
    )


def completion(shell: str) -> str:
    """The completion script of every command, by shtab.

    Raises:
        ValueError: shtab knows no such shell.
    """
    import shtab

    if shell not in shtab.SUPPORTED_SHELLS:
        raise ValueError(f"--completion {shell!r}: use one of {', '.join(shtab.SUPPORTED_SHELLS)}")
    whole = argparse.ArgumentParser(prog="jaxact")
    parts = whole.add_subparsers()
    for name in NAMES:
        part = import_module(f"jaxact.commands.{name}").parser()
        parts.add_parser(name, parents=[part], add_help=False, help=summary_of(name))
    return shtab.complete(whole, shell)


def main(words: list[str] | None = None) -> int:
    """Run the command that the words name.

    Args:
        words: the command line without the program's name; default `sys.argv`.

    Returns:
        The command's exit status; 2 for an unknown command.
    """
    words = sys.argv[1:] if words is None else words
    if not words or words[0] in ("-h", "--help"):
        print(help_text())
        return 0
    if words[0] == "--version":
        print(f"jaxact {__version__}")
        return 0
    console.called_as("jaxact")
    p = console.Parser(prog="jaxact")
    if words[0] == "--completion":
        with p.checked():
            text = completion(" ".join(words[1:]))
        print(text)
        return 0
    if words[0] not in NAMES:
        p.error(f"unknown command {words[0]!r}{console.did_you_mean(words[0], NAMES)}")
    sys.argv = [f"jaxact {words[0]}", *words[1:]]
    return import_module(f"jaxact.commands.{words[0]}").main()


def script() -> None:
    """The entry point of the console script."""
    from jaxact.execution import runtime

    runtime.run(main)


if __name__ == "__main__":
    script()
