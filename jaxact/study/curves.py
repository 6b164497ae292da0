"""What `experiments.curves` writes: rows per epoch, sudden recoveries (`curves_recoveries`), figures."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from jaxact import records
from jaxact.data.specs import spec
from jaxact.records import Record
from jaxact.report import figures
from jaxact.report.palette import COLOURS
from jaxact.report.table import aligned
from jaxact.statistics import summarize
from jaxact.study.outcome import machines
from jaxact.study.recoveries import recovered

SIX = 6
"""Colours of lines, before the next line style; black and yellow are for other things."""
PICKED = 12
"""Configurations that have a colour of their own in the figure."""
COLUMNS = (
    *("train_accuracy", "train_loss", "test_accuracy", "test_loss"),
    *("never_predicted", "dead_outputs", "negative_output_weights", "negative_output_share"),
)


def labels(found: Sequence[Record]) -> list[str]:
    """The configurations' names, with the other fields in which the records differ: `relu-relu-relu learning_rate=0.1`.

    The data set is named where it differs, too.
    """
    fields = [asdict(record.config) for record in found]
    differing = [
        name for name in fields[0] if name != "activations" and len({str(values[name]) for values in fields}) > 1
    ]
    return [
        " ".join([record.config.name, *(f"{name}={values[name]}" for name in differing)])
        for record, values in zip(found, fields, strict=True)
    ]


def curves(record: Record) -> dict[str, np.ndarray]:
    """[seeds, epochs + 1] of every column; accuracies in percent, NaN for training at initialisation.

    `dead_outputs` are outputs without a slope on the whole test set, `negative_output_weights` a number of entries of
    the last layer's kernel (as the study's notebook counts them), `negative_output_share` their share.
    """
    arrays = record.arrays
    negative = arrays["probe_negative_weights"][..., -1]
    fan_in, classes = (spec(record.config.dataset).features, *record.config.widths)[-2:]

    def from_first_epoch(values: np.ndarray) -> np.ndarray:
        return np.concatenate([np.full((len(values), 1), np.nan), values], axis=1)

    return {
        "train_accuracy": from_first_epoch(100.0 * arrays["train_accuracy"]),
        "train_loss": from_first_epoch(arrays["train_loss"]),
        "test_accuracy": record.test_accuracy(),
        "test_loss": arrays["test_loss"],
        "never_predicted": record.never_predicted(),
        "dead_outputs": record.dead(len(record.config.widths)).sum(-1),
        "negative_output_weights": negative,
        "negative_output_share": negative / (fan_in * classes),
    }


def write(found: Sequence[Record], out: Path, command: str, left_out: Sequence[str] = ()) -> str:
    """Write the tables, the figures and the report, which names what was left out; return its tables as text."""
    names = labels(found)
    out.mkdir(parents=True, exist_ok=True)
    records.write_text(out / "curves.csv", _rows(found, names))
    drawn = {"curves.png": _figure(found, names)}
    rates = {record.config.learning_rate for record in found}
    if len(rates) > 1:
        drawn["sweep.png"] = _sweep(found)
    for name, figure in drawn.items():
        figure.savefig(out / name, dpi=110)
    tables = f"{_ends(found, names)}\n\n{recovered(found, names)}"
    sources = sorted({record.meta["data"]["source"] for record in found})
    parts = [
        "# Learning curves",
        f"Command: `{command}`",
        f"Data: {'; '.join(sources)}.",
        *(f"Left out: {line}." for line in left_out),
        "Environment of the runs:\n\n" + "\n".join(f"- {machine}" for machine in machines(found)),
        tables,
        *(f"![{name.removesuffix('.png')}]({name})" for name in drawn),
    ]
    records.write_text(out / "report.md", "\n\n".join(parts) + "\n")
    return f"{tables}\n\ncurves.csv, report.md and figures are in {out}"


def _rows(found: Sequence[Record], names: Sequence[str]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["configuration", "seed", "epoch", *COLUMNS])
    for record, name in zip(found, names, strict=True):
        columns = curves(record)
        for i, seed in enumerate(record.seeds.tolist()):
            for epoch in range(record.config.epochs + 1):
                cells = [columns[column][i, epoch] for column in COLUMNS]
                writer.writerow([name, seed, epoch, *("" if np.isnan(x) else f"{x:.6g}" for x in cells)])
    return text.getvalue()


def _ends(found: Sequence[Record], names: Sequence[str]) -> str:
    rows = [["configuration", "seeds", "diverged", "best epoch", "best mean", "last epoch", "last mean", "sd"]]
    rows[0] += ["never predicted", "dead outputs", "negative weights of the last layer at start", "at end"]
    for record, name in zip(found, names, strict=True):
        columns, healthy = curves(record), ~record.diverged
        accuracy = np.where(healthy[:, None], columns["test_accuracy"], np.nan)
        row = [name, str(len(record.seeds)), str(int(record.diverged.sum()))]
        if healthy.any():
            means, last = np.nanmean(accuracy, axis=0), summarize(accuracy[:, -1])
            best = int(means.argmax())
            numbers = [columns[c][healthy, -1].mean() for c in ("never_predicted", "dead_outputs")]
            weights, shares = (columns[f"negative_output_{c}"][healthy].mean(0) for c in ("weights", "share"))
            row += [str(best), f"{means[best]:.2f}", str(record.config.epochs), f"{last.mean:.2f}"]
            row += ["–" if np.isnan(last.sd) else f"{last.sd:.2f}", *(f"{x:.1f}" for x in numbers)]
            row += [f"{weights[at]:.0f} ({100 * shares[at]:.1f} %)" for at in (0, -1)]
        rows.append(row + ["–"] * (len(rows[0]) - len(row)))
    note = (
        "Means over the seeds that did not diverge: test accuracy in percent, outputs without a slope on the whole "
        "test set, number of negative weights of the last layer."
    )
    return f"## Curves\n\n{note}\n\n{aligned(rows)}"


def _figure(found: Sequence[Record], names: Sequence[str]) -> Any:
    """Every seed faint, the mean of those that go on strong, a colour per configuration; one ends where it diverges.

    Of more than `PICKED` configurations those that end worst have a colour, the others are grey.
    """
    shown = ("test_accuracy", "train_accuracy", "never_predicted", "dead_outputs", "negative_output_weights")
    figure = figures.figure(13, 7)
    panels = figure.subplots(2, 3).ravel()
    picked = _picked(found)
    rest = [number for number in range(len(found)) if number not in picked]
    for place, number in [*((None, number) for number in rest), *enumerate(picked)]:
        record = found[number]
        columns, epochs = curves(record), np.arange(record.config.epochs + 1)
        if place is None:
            color, style, width, faint, name = "0.7", "-", 1.0, 0.15, f"{len(rest)} others" * (number == rest[0])
        else:
            color, style = COLOURS[place % SIX], ("-", "--", ":", "-.")[place // SIX % 4]
            width, faint, name = 2.0, 0.3, names[number]
        for axes, column in zip(panels, shown, strict=False):
            values = np.where(np.isfinite(columns["test_loss"]), columns[column], np.nan)
            axes.plot(epochs, values.T, color=color, lw=0.7, alpha=faint)
            axes.plot(epochs, _mean(values), style, color=color, lw=width, label=name or None)
    titles = ("test accuracy, %", "training accuracy, %", "classes never predicted", "dead outputs",
              "negative weights of the last layer")  # fmt: skip
    for axes, title in zip(panels, titles, strict=False):
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("epoch")
    panels[-1].axis("off")
    panels[-1].legend(*panels[0].get_legend_handles_labels(), loc="center", fontsize=8, frameon=False)
    return figure


def _picked(found: Sequence[Record]) -> list[int]:
    """Numbers of the configurations that have a colour, in the order given."""
    ends = [_mean(np.where(r.diverged, np.nan, r.test_accuracy()[:, -1])) for r in found]
    worst = np.argsort(np.nan_to_num(np.array(ends), nan=-1.0), kind="stable")[:PICKED]
    return sorted(worst.tolist())


def _mean(values: np.ndarray) -> np.ndarray:
    """Mean over the first axis of what is not NaN; NaN where all is."""
    known = np.isfinite(values)
    return np.where(known.any(0), np.where(known, values, 0).sum(0) / np.maximum(known.sum(0), 1), np.nan)


def _sweep(found: Sequence[Record]) -> Any:
    """Final test accuracy of every seed against the learning rate."""
    figure = figures.figure(7, 4.2)
    axes = figure.subplots()
    for color, name in zip(COLOURS, dict.fromkeys(record.config.name for record in found), strict=False):
        own = sorted((r for r in found if r.config.name == name), key=lambda r: r.config.learning_rate)
        rates = [record.config.learning_rate for record in own]
        ends = [np.where(record.diverged, np.nan, record.test_accuracy()[:, -1]) for record in own]
        for rate, end in zip(rates, ends, strict=True):
            axes.plot([rate] * len(end), end, "o", ms=4, alpha=0.5, color=color)
        axes.plot(rates, [_mean(end) for end in ends], color=color, lw=1.5, label=name)
        for rate, record in zip(rates, own, strict=True):
            if count := int(record.diverged.sum()):
                axes.annotate(f"{count} diverged", (rate, 0), ha="center", fontsize=7, color=color)
    axes.set(xlabel="learning rate", ylabel="test accuracy after the last epoch, %", ylim=(-2, 102))
    axes.legend(fontsize=8, frameon=False)
    return figure
