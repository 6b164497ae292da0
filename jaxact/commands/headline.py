"""The table at the top of docs/answer.md, from the `summary.csv` of a run and the published figures.

    python -m experiments.headline results/mnist-paper/summary.csv
    python -m experiments.headline results/mnist-paper/summary.csv --write docs/answer.md

The first prints it, the second puts it in its place, between the lines `<!-- headline -->` and `<!-- /headline -->`.
Trains nothing; a second.
"""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from jaxact.execution.checks import Parser, check_path
from jaxact.records import write_text
from jaxact.statistics import summarize
from jaxact.study.comparison import compare
from jaxact.study.published import load_table

MODULE = "experiments.headline"
SHOWN = (
    *("relu-sigmoid-selu", "relu-relu-relu", "selu-sigmoid-relu"),
    *("relu-sigmoid-relu", "tanh-sigmoid-relu", "sigmoid-sigmoid-relu"),
)
START, END = "<!-- headline -->", "<!-- /headline -->"
COLUMNS = ("configuration", "dataset", "epochs", "test_accuracy", "classes_never_predicted", "diverged")


def parser() -> Parser:
    """The options."""
    p = Parser.of(MODULE, __doc__)
    p.add_argument("summary", help="summary.csv of a run of the study's MNIST protocol")
    p.add_argument("--configs", nargs="+", default=list(SHOWN), metavar="A-B-C", help="the rows (six telling ones)")
    p.add_argument("--write", metavar="FILE", help="a text file with the two marks: replace what is between them")
    return p


def read(path: Path, names: Sequence[str]) -> dict[str, list[dict[str, str]]]:
    """The rows of every name, in that order.

    Raises:
        ValueError: not a summary of 10 epochs of MNIST, or a name that is not in it.
    """
    try:
        rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{path} cannot be read ({getattr(error, 'strerror', None) or error}): name a summary.csv"
        ) from None
    if not rows or not set(COLUMNS) <= set(rows[0]):
        raise ValueError(f"{path} is not the summary.csv of a run: python -m experiments.grid writes it into its --out")
    if other := {(row["dataset"], row["epochs"]) for row in rows} - {("mnist", "10")}:
        raise ValueError(f"{path} has runs of {sorted(other)}: give a run of 10 epochs on mnist alone")
    found = {name: [row for row in rows if row["configuration"] == name] for name in names}
    if absent := [name for name, own in found.items() if not own]:
        raise ValueError(f"{path} has no run of {', '.join(absent)}: train it, or leave it out of --configs")
    return found


def table(found: Mapping[str, Sequence[Mapping[str, str]]]) -> str:
    """The rows beside the published ones, as Markdown; diverged seeds are counted and left out of the means."""
    lines = [
        "| combination | seeds | ours: mean ± sd (range) | classes never predicted | published: mean ± sd | exact p |",
        "|---|---:|---|---:|---|---:|",
    ]
    accuracies = {
        name: np.array([float(row["test_accuracy"] or "nan") for row in rows]) for name, rows in found.items()
    }
    theirs = {row.configuration: row for row in compare(accuracies, load_table("mnist_mlp"), np.random.default_rng(0))}
    for name, rows in found.items():
        own, row = summarize(accuracies[name]), theirs.get(name)
        lost = np.mean([int(each["classes_never_predicted"]) for each in rows if each["diverged"] == "0"])
        published = f"{row.theirs.mean:.2f} ± {row.theirs.sd:.2f} ({row.theirs.n} runs)" if row else "–"
        p = f"{row.p_value:.2g}" if row and not np.isnan(row.p_value) else "–"
        diverged = f", {own.n_nan} diverged" if own.n_nan else ""
        ours = f"{own.mean:.2f} ± {own.sd:.2f} ({own.minimum:.2f} to {own.maximum:.2f}{diverged})"
        lines.append(f"| {name} | {len(rows)} | {ours} | {lost:.1f} | {published} | {p} |")
    return "\n".join(lines)


def replaced(text: str, new: str, path: Path) -> str:
    """`text` with `new` between the marks.

    Raises:
        ValueError: the marks are not there, once each and in order.
    """
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end or START in rest or END in after:
        raise ValueError(f"{path} needs the lines {START} and {END}, once each: put them where the table belongs")
    return f"{before}{START}\n{new}\n{END}{after}"


def main(argv: list[str] | None = None) -> int:
    """Make the table.

    Returns:
        Exit status: 0 done, 2 bad input (nothing written).
    """
    p = parser()
    options = p.parse_args(argv)
    with p.checked():
        path = None if options.write is None else check_path(options.write, "--write")
        new = table(read(check_path(options.summary, "the summary"), options.configs))
        if path is not None:
            if not path.is_file():
                raise ValueError(f"--write {path} is not a file: name one with the lines {START} and {END}")
            write_text(path, replaced(path.read_text(encoding="utf-8"), new, path))
    print(new)
    return 0
