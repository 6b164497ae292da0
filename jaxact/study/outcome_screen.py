"""The last screen of a grid, 80 columns wide: what failed, how it compares, and what to do next."""

import importlib.util
import os
import shlex
import shutil
import sys
import textwrap
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from jaxact import console
from jaxact.records import Record
from jaxact.report.table import counted
from jaxact.study.outcome import MOST_NAMES, compare_published, protocol_text, ranked_row
from jaxact.study.page import NEEDED
from jaxact.study.page.outcome import failed_runs, has_theory, limit_of, mostly_fails
from jaxact.study.plan import Plan

WIDTH = 80
ROW = "{:<34} {:>5} {:>6} {:>6} {:>6} {:>6} {:>5} {:>5}"
HEAD = ROW.format("accuracy in percent, best first", "seeds", "mean", "sd", "min", "max", "lost", "fail")


def screen(plan: Plan, found: Sequence[Record], *, alone: bool) -> str:
    """What is printed of one protocol: every configuration, then those that fail, then the published figures."""
    if not found:
        return ""
    parts = [] if alone else [wrapped(f"# {protocol_text(plan)}")]
    return "\n\n".join([*parts, _table(found), _failing(found), *_published(plan, found)])


def _table(found: Sequence[Record]) -> str:
    cells = sorted(((ranked_row(record), record) for record in found), key=lambda pair: _order(pair[0]))
    lines = [
        ROW.format(_short(row[0]), row[1], *row[2:6], row[7], int(failed_runs(record).sum())) for row, record in cells
    ]
    return "\n".join([HEAD, *lines])


def _order(row: Sequence[str]) -> tuple[bool, float, str]:
    return row[2] == "–", 0.0 if row[2] == "–" else -float(row[2]), row[0]


def _short(name: str) -> str:
    return name if len(name) <= 34 else f"{name[:16]}…{name[-17:]}"


def _failing(found: Sequence[Record]) -> str:
    rule = "lost: classes never predicted, mean over seeds; fail: seeds that lose a class"
    limit = limit_of(found[0])
    rule = wrapped(f"{rule} or stay below {limit:.4g} %.")
    failing = [(ranked_row(record), record) for record in found if mostly_fails(record)]
    if not failing:
        return f"{rule}\n\nNo combination fails in most of its seeds."
    failing.sort(key=lambda pair: _order(pair[0]), reverse=True)
    named = "\n".join(f"  {_short(row[0])}  {row[2]} %, {row[7]} classes lost" for row, _ in failing[: 2 * MOST_NAMES])
    more = f"\n  and {len(failing) - 2 * MOST_NAMES} more" if len(failing) > 2 * MOST_NAMES else ""
    return f"{rule}\n\n{len(failing)} of {counted(len(found), 'combination')} fail, the worst first:\n{named}{more}"


def _published(plan: Plan, found: Sequence[Record]) -> list[str]:
    compared = compare_published(plan, found)
    if compared is None:
        return []
    note, rows = compared
    verdicts = Counter(row.verdict.partition(":")[0].partition(",")[0] for row in rows)
    told = "; ".join(f"{verdict} in {n}" for verdict, n in verdicts.most_common())
    return [wrapped(f"Beside the published figures: {told} (the table is in report.md). {note.replace('**', '')}")]


def wrapped(text: str) -> str:
    """A sentence in lines of the screen's width; long words such as paths stay whole."""
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def following(out: Path, found: Sequence[Record]) -> str:
    """Commands that go on from here, as they can be typed."""
    python = python_name()
    lines = ["What next:"]
    if any(importlib.util.find_spec(name) is None for name in NEEDED):
        lines.append(f"  {python} -m pip install 'jaxact[report]'  # once, for figures")
    page = out.with_name(f"{out.name}-report")
    lines.append(f"  {_call(python, 'report')} {shlex.quote(str(out))} --out {shlex.quote(str(page))}")
    failing = [record for record in found if mostly_fails(record) and has_theory(record)]
    if failing:
        worst = min(failing, key=lambda record: float(record.test_accuracy()[:, -1].mean()))
        config = worst.config
        of = "" if config.dataset == "mnist" else f" --dataset {config.dataset}"
        of += "" if config.init == "torch_default" else f" --init {config.init}"
        of += "" if config.widths[:-1] == (500, 256) else f" --widths {' '.join(map(str, config.widths))}"
        lines.append(f"  {_call(python, 'predict')} {' '.join(config.activations)}{of}")
    return "\n".join(lines)


def _call(python: str, name: str) -> str:
    """How a command is called: of a wheel's console script, by that script, since it holds no `experiments`."""
    called = console.program_of(f"experiments.{name}")
    if called.startswith("python"):
        return called.replace("python", python, 1)
    return called if python == "python" else f"{python} -m {called}"


def python_name() -> str:
    """How the running Python is called from here: by its short name where the environment is entered."""
    entered = shutil.which("python")
    if entered and os.path.samefile(os.path.dirname(entered), os.path.dirname(sys.executable)):
        return "python"
    near = os.path.relpath(sys.executable)
    return shlex.quote(sys.executable if near.startswith("..") else near)
