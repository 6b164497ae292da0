"""Tables and numbers as text: aligned Markdown, CSV, a number with its noun."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, first column left, the others right, aligned as plain text too."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = [
        [cell.rjust(width) if i else cell.ljust(width) for i, (cell, width) in enumerate(zip(row, widths, strict=True))]
        for row in (rows[0], rule, *rows[1:])
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def csv_text(rows: Iterable[Sequence[Any]], digits: int | None = None) -> str:
    r"""Rows as CSV: line ends are \n, and a value that is None is empty.

    Args:
        rows: the header first.
        digits: significant digits of numbers with a fraction; None writes them in full.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for row in rows:
        writer.writerow(row if digits is None else [_shortened(value, digits) for value in row])
    return text.getvalue()


def _shortened(value: Any, digits: int) -> Any:
    return f"{value:.{digits}g}" if isinstance(value, Real) and not isinstance(value, Integral) else value


def tidy_csv(rows: Sequence[Mapping[str, Any]], digits: int | None = None) -> str:
    """Rows of one set of columns as `csv_text`, the names of the first row's columns as header."""
    return csv_text([tuple(rows[0]), *(tuple(row.values()) for row in rows)], digits)


def counted(number: int, noun: str) -> str:
    """`1 epoch`, `12,000 epochs`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
