"""The parts that every Markdown report has: its command, its environment, and blank lines between paragraphs."""

from collections.abc import Mapping
from typing import Any


def document(*parts: str | None) -> str:
    """The paragraphs that there are, with a blank line between two and one line end after the last."""
    return "\n\n".join(part for part in parts if part) + "\n"


def command_line(command: str) -> str:
    """What made the report."""
    return f"Command: `{command}`"


def environment_list(facts: Mapping[str, Any]) -> str:
    """Where it was made, as a Markdown list: a line per fact, without what is empty or not there.

    Args:
        facts: by name, as of `execution.runtime.environment`; a value may itself be facts by name.
    """
    shown = {name: _inline(value) for name, value in facts.items()}
    return "\n".join(f"- {name}: {text}" for name, text in shown.items() if text)


def _inline(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {part}" for name, part in value.items() if part)
    return "" if value is None else str(value)


def image(file: str, title: str) -> str:
    """A figure that lies beside the report."""
    return f"![{title}]({file})"
