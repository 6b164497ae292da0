"""Sections on the 2018 study: its figures beside ours, its sentences, and the runs that were counted twice."""

from collections.abc import Sequence

import numpy as np

from jaxact.study import claims, published
from jaxact.study.comparison import ComparisonRow
from jaxact.study.outcome import compare_published
from jaxact.study.page.records import Grid, Material
from jaxact.study.page.shapes import Dots, Figure, Heat, Panel, Section, Table
from jaxact.study.protocols import by_protocol
from jaxact.study.published import PublishedTable

MOST_ROWS = 24


def beside(grid: Grid) -> Section:
    """Published beside ours, per configuration with the verdict."""
    title = "Beside the published figures"
    compared = (
        None if grid.config.paired and not grid.records else compare_published(grid.plan, list(grid.records.values()))
    )
    if compared is None or not compared[1]:
        return Section("published", title, missing="Nothing was published for this protocol: no comparison.")
    note, rows = compared
    header = ("configuration", "our seeds", "our mean", "our sd", "their runs", "their mean", "their sd", "difference")
    cells = [
        [r.configuration, str(r.ours.n), _two(r.ours.mean), _two(r.ours.sd), f"{r.theirs.n} of {r.published_runs}",
         _two(r.theirs.mean), _two(r.theirs.sd), f"{r.difference:+.2f}" if np.isfinite(r.difference) else "–",
         _p(r.p_value), _p(r.p_holm), r.verdict]
        for r in rows
    ]  # fmt: skip
    verdicts: dict[str, int] = {}
    for row in rows:
        kind = row.verdict.split(":")[0]
        verdicts[kind] = verdicts.get(kind, 0) + 1
    told = "; ".join(f"{kind}: {n}" for kind, n in sorted(verdicts.items(), key=lambda kv: -kv[1])[:4])
    table = Table("published", "Published and ours", (*header, "p", "p Holm", "verdict"), cells,
                  "Exact permutation tests, Holm-adjusted; percent; sd with ddof 1.")  # fmt: skip
    return Section("published", title, [note, f"Verdicts: {told}."], [_beside_figure(rows)], [table])


def _beside_figure(rows: Sequence[ComparisonRow]) -> Figure:
    shown = sorted(rows, key=lambda r: np.nan_to_num(min(r.ours.mean, r.theirs.mean), nan=-1.0))[:MOST_ROWS]
    marks = []
    for label, color, symbol, shift, side in (
        ("ours", "c0", "circle", -0.17, "ours"),
        ("published", "c1", "diamond", 0.17, "theirs"),
    ):
        own = [getattr(row, side) for row in shown]
        known = [i for i, s in enumerate(own) if np.isfinite(s.mean)]
        marks.append(Dots(
            [own[i].mean for i in known], [i + shift for i in known], label, color, 1, 7, symbol,
            [f"{shown[i].configuration}, {own[i].n} runs" for i in known],
            [own[i].minimum for i in known], [own[i].maximum for i in known],
        ))  # fmt: skip
    panel = Panel("", "test accuracy, %", "", marks, x_range=(0, 101), categories=[row.configuration for row in shown])
    least = min((min(r.ours.mean, r.theirs.mean) for r in rows if r not in shown), default=np.nan)
    best = (
        f" The {len(rows) - len(shown)} others have means of {least:.1f} % or more in both."
        if len(rows) > len(shown)
        else ""
    )
    return Figure(
        "published", "Ours and the published runs",
        f"Marks: means; bars: from the lowest to the highest run. The {len(shown)} combinations that do worst in "
        f"either.{best}",
        f"Means and ranges of {len(shown)} combinations, ours above the published ones.", [panel], 1,
        [("ours", "c0", "circle"), ("published", "c1", "diamond")],
    )  # fmt: skip


def repeated() -> Section:
    """The runs of the published tables that repeat another run, digit for digit."""
    panels, told = [], []
    for name, title in (("mnist_mlp", "MNIST"), ("mnist_mlp_batchnorm", "MNIST with batch norm")):
        table = published.load_table(name)
        panels.append(_equal_rows(table))
        repeats = sorted({pair.second for pair in published.duplicate_runs(table)})
        families = published.run_families(table)
        told.append(
            f"{title}: {len(table.runs)} runs are printed; runs {', '.join(map(str, repeats))} repeat an earlier one "
            f"digit for digit in every row, and {len(families)} are left that differ by more than rounding."
        )
    adadelta, adagrad = published.load_table("mnist_mlp_adadelta"), published.load_table("mnist_mlp_adagrad")
    pair = published.compare_runs(adadelta, adagrad)[0]
    told.append(f"Adagrad's column equals Adadelta's in {pair.equal} of {pair.shared} rows.")
    figure = Figure(
        "repeats", "Published runs that are the same run",
        "In how many of the 64 rows two published runs have the same accuracy to the last digit. Independent runs "
        "agree in a "
        "few rows by chance; dark squares of 64 off the diagonal are one run printed twice.",
        "Two square tables of runs against runs; whole blocks off the diagonal are equal in all 64 rows.",
        panels, 2,
    )  # fmt: skip
    return Section("repeats", "The published table counts runs twice", told, [figure])


def _equal_rows(table: PublishedTable) -> Panel:
    n = len(table.runs)
    equal = np.full((n, n), np.nan)
    shared = np.zeros((n, n))
    for pair in published.compare_runs(table):
        i, j = table.runs.index(pair.first), table.runs.index(pair.second)
        equal[i, j] = equal[j, i] = pair.equal
        shared[i, j] = shared[j, i] = pair.shared
    text = [["" if i == j else str(int(equal[i, j])) for j in range(n)] for i in range(n)]
    names = [f"run {run}" for run in table.runs]
    heat = Heat(equal, names, names, text, 0.0, float(shared.max()), scale="spread")
    return Panel(f"{table.name}: {n} runs printed", "", "", [heat])


def audited(material: Material) -> Section:
    """The study's sentences on its own figures and on ours."""
    rows = [
        [a.claim.statement, a.published.verdict, a.published.numbers, a.ours.verdict, a.ours.numbers]
        for a in claims.audit(by_protocol(material.folders))
    ]
    judged = [row for row in rows if row[3] not in ("–", "undecided")]
    header = ("claim", "published figures", "their numbers", "our runs", "our numbers")
    note = (
        "Repeated runs counted once; ours: runs of the full protocol; undecided where an interval leaves both open or "
        "nothing was run; – where the claim is about the published runs only."
    )
    text = (
        f"On the study's own figures {sum(r[1] == 'true' for r in rows)} of {len(rows)} sentences hold, "
        f"{sum(r[1] == 'false' for r in rows)} do not, and the rest stay undecided; our runs decide "
        + (f"{len(judged)}, of which {sum(r[3] == 'true' for r in judged)} hold." if judged else "none.")
    )
    return Section("claims", "The study's claims", [text], (), [Table("claims", "Claims audited", header, rows, note)])


def _two(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.2f}"


def _p(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.2g}"
