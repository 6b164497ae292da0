"""The report as files: one HTML page that needs no network, figures, tables."""

import base64
import csv
import gzip
import html
import io
import json
import re
from collections.abc import Sequence
from importlib.resources import files
from typing import Any, NamedTuple

import numpy as np

from jaxact.report.table import aligned
from jaxact.study.page import plotly, static
from jaxact.study.page.answer import Answer
from jaxact.study.page.heat import View, axes, told
from jaxact.study.page.outcome import Outcome, Row
from jaxact.study.page.records import Grid
from jaxact.study.page.shapes import Figure, Section, Table, data_of


class Report(NamedTuple):
    """All that the page shows.

    Attributes:
        grid, outcome: what it is about.
        answer: of the first screen.
        views: of the heat maps on the page.
        heat: the same as figures for the files.
        complaints: what is missing, cut, damaged or mixed.
        sections: (name in the navigation, section), in order.
        run: one line on what was run.
        provenance: (what, lines).
    """

    grid: Grid
    outcome: Outcome
    answer: Answer
    views: Sequence[View]
    heat: Sequence[Figure]
    complaints: Sequence[str]
    sections: Sequence[tuple[str, Section]]
    run: str
    provenance: Sequence[tuple[str, Sequence[str]]]

    @property
    def figures(self) -> list[Figure]:
        """Of all sections."""
        return [figure for _, section in self.sections for figure in section.figures]

    @property
    def tables(self) -> list[Table]:
        """Of the answer and all sections."""
        own = [self.answer.table] if self.answer.table else []
        return own + [table for _, section in self.sections for table in section.tables]


def contents(report: Report) -> dict[str, bytes]:
    """Every file of the report by its path; nothing is written here, so that an error leaves nothing half done."""
    made: dict[str, bytes] = {}
    for figure in (*report.heat, *report.figures):
        for kind, drawn in static.draw(figure).items():
            made[f"figures/{figure.name}.{kind}"] = drawn
    for figure in report.figures:
        made[f"tables/figure-{figure.name}.csv"] = csv_of(data_of(figure)).encode()
    for table in report.tables:
        made[f"tables/{table.name}.csv"] = csv_of([table.header, *table.rows]).encode()
        note = f"{table.note}\n\n" if table.note else ""
        made[f"tables/{table.name}.md"] = f"# {table.title}\n\n{note}{_markdown(table)}\n".encode()
    data = {path[7:-4]: content.decode() for path, content in made.items() if path.endswith(".csv")}
    made["report.html"] = page(report, data).encode()
    return made


def _markdown(table: Table) -> str:
    rows = [[cell.replace("|", "\\|") for cell in row] for row in table.rows]
    return aligned([table.header, *rows])


def csv_of(rows: Sequence[Sequence[str]]) -> str:
    """Rows as CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def page(report: Report, data: dict[str, str]) -> str:
    """The page; `data` are the files behind its links."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    here = files("jaxact.study.page")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["inline"] = lambda text: Markup(inline(text))
    template = environment.from_string((here / "page.html.j2").read_text(encoding="utf-8"))
    payload = {
        "limit": report.outcome.limit,
        "figures": {figure.name: plotly.panels(figure) for figure in report.figures},
        "configs": {name: _seeds(row) for name, row in report.outcome.rows.items()},
        "files": data,
    }
    sections = [{"name": section.name, "nav": nav, "section": section} for nav, section in report.sections]
    return template.render(
        answer=report.answer, views=report.views, complaints=report.complaints, sections=sections, run=report.run,
        provenance=report.provenance, axes=_arrows(*axes(report.grid)), names=set(report.outcome.rows), numeric=numeric,
        symbols={name: Markup(drawn) for name, drawn in SYMBOLS.items()},
        payload=_packed(json.dumps(payload, allow_nan=False, separators=(",", ":"))), plotly=_packed(_library()),
        css=Markup((here / "page.css").read_text(encoding="utf-8")),
        js=Markup((here / "page.js").read_text(encoding="utf-8")),
    )  # fmt: skip


def _arrows(rows: str, columns: str) -> str:
    return f"{rows} ↓ {columns} →" if rows else f"{columns} →"


def _seeds(row: Row) -> dict[str, Any]:
    def plain(values: np.ndarray) -> list[float | None]:
        return [None if not np.isfinite(v) else round(float(v), 3) for v in values]

    dead = row.case.dead
    return {
        "said": told(row).removeprefix(f"{row.name}: ").capitalize(), "seeds": row.record.seeds.tolist(),
        "accuracy": plain(row.accuracy),
        "never": row.case.never.tolist(), "dead_start": dead[:, 0].tolist(), "dead_end": dead[:, -1].tolist(),
        "curves": [plain(line) for line in row.record.test_accuracy()],
    }  # fmt: skip


def _library() -> str:
    from plotly.offline import get_plotlyjs

    return get_plotlyjs()


def _packed(text: str) -> str:
    """Gzip in base64, without a time stamp: the same text gives the same page."""
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


def inline(text: str) -> str:
    """Text as HTML, with **bold** and `code`."""
    escaped = html.escape(text)
    bold = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", escaped)
    kept = re.sub(r"(?<=\d) (?=%)|(?<=R²) (?== )|(?<=R² =) ", "\u00a0", bold)  # not to be broken over lines
    return re.sub(r"`(.+?)`", r"<code>\1</code>", kept)


def numeric(table: Table, column: int) -> bool:
    """Whether every cell of a column starts like a number or is empty."""
    return column > 0 and all(re.match(r"[-+−]?[\d.]+(e[-+]?\d+)?( |$|–|%)|^–?$", row[column]) for row in table.rows)


SYMBOLS = {
    "line": '<path d="M1 6H21" stroke="currentColor" stroke-width="3"/>',
    "circle": '<circle cx="11" cy="6" r="4.5" fill="currentColor"/>',
    "diamond": '<path d="M11 0l6 6-6 6-6-6z" fill="currentColor"/>',
    "square": '<path d="M6.5 1.5h9v9h-9z" fill="currentColor"/>',
    "cross": '<path d="M9 1h4v3h3v4h-3v3h-4V8H6V4h3z" fill="currentColor"/>',
    "triangle-up": '<path d="M11 1l5.5 10h-11z" fill="currentColor"/>',
    "x": '<path d="M7 2l8 8m0-8l-8 8" stroke="currentColor" stroke-width="3"/>',
}
"""The marks of a legend."""
