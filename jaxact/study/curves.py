"""What `experiments.curves` writes: rows per epoch, sudden recoveries, figures."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxact import records
from jaxact.data.specs import spec
from jaxact.records import Record
from jaxact.report.table import aligned
from jaxact.statistics import summarize
from jaxact.study.figures import COLORS
from jaxact.study.outcome import machines

RISE = 5.0
FIRST = 3
"""A recovery is a rise of the test accuracy by at least `RISE` points in epoch `FIRST` or later."""
PICKED = 12
"""Configurations that have a colour of their own in the figure."""
COLUMNS = (
    *("train_accuracy", "train_loss", "test_accuracy", "test_loss"),
    *("never_predicted", "dead_outputs", "negative_output_weights", "negative_output_share"),
)


class Recovery(NamedTuple):
    """One sudden rise of one seed.

    Attributes:
        label: the configuration.
        seed, epoch: where.
        before, after: test accuracy in percent, after the epoch before and after this one.
        regained: the classes that were never predicted before and are now.
        lost_since: [regained] the first epoch of those in which each of them was never predicted until now.
        active_before, active_after: [regained] share of the test set, in percent, with a positive output
            pre-activation for each of these classes.
        dead: how many of these outputs were dead before.
    """

    label: str
    seed: int
    epoch: int
    before: float
    after: float
    regained: np.ndarray
    lost_since: np.ndarray
    active_before: np.ndarray
    active_after: np.ndarray
    dead: int


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


def recoveries(record: Record, label: str) -> list[Recovery]:
    """Every rise of at least `RISE` points in one epoch from epoch `FIRST` on."""
    accuracy, predicted = record.test_accuracy(), record.arrays["test_predicted"]
    dead, active = record.dead(len(record.config.widths)), 100 * (1 - record.arrays["probe_output_negative"])
    found = []
    for i, epoch in np.argwhere(np.diff(accuracy, axis=1) >= RISE):
        epoch = int(epoch) + 1
        if epoch >= FIRST:
            now, then = (i, epoch), (i, epoch - 1)
            regained = np.flatnonzero((predicted[then] == 0) & (predicted[now] > 0))
            found.append(
                Recovery(
                    label,
                    int(record.seeds[i]),
                    epoch,
                    float(accuracy[then]),
                    float(accuracy[now]),
                    regained,
                    _lost_since(predicted[i, :epoch, regained]),
                    active[then][regained],
                    active[now][regained],
                    int(dead[then][regained].sum()),
                )  # fmt: skip
            )
    return found


def _lost_since(predicted: np.ndarray) -> np.ndarray:
    """[classes] first of the last epochs without a prediction, from [classes, epochs] counts that end with 0."""
    return predicted.shape[1] - (np.cumsum(predicted[:, ::-1], axis=1) == 0).sum(1)


def write(found: Sequence[Record], out: Path, command: str, left_out: Sequence[str] = ()) -> str:
    """Write the tables, the figures and the report, which names what was left out; return its tables as text."""
    names = labels(found)
    out.mkdir(parents=True, exist_ok=True)
    records.write_text(out / "curves.csv", _rows(found, names))
    figures = {"curves.png": _figure(found, names)}
    rates = {record.config.learning_rate for record in found}
    if len(rates) > 1:
        figures["sweep.png"] = _sweep(found)
    for name, figure in figures.items():
        figure.savefig(out / name, dpi=110)
    tables = f"{_ends(found, names)}\n\n{_recovered(found, names)}"
    sources = sorted({record.meta["data"]["source"] for record in found})
    parts = [
        "# Learning curves",
        f"Command: `{command}`",
        f"Data: {'; '.join(sources)}.",
        *(f"Left out: {line}." for line in left_out),
        "Environment of the runs:\n\n" + "\n".join(f"- {machine}" for machine in machines(found)),
        tables,
        *(f"![{name.removesuffix('.png')}]({name})" for name in figures),
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


def _recovered(found: Sequence[Record], names: Sequence[str]) -> str:
    own = [one for record, name in zip(found, names, strict=True) for one in recoveries(record, name)]
    rule = f"Test accuracy rises by at least {RISE:g} points within one epoch, from epoch {FIRST} on"
    if not own:
        return f"## Sudden recoveries\n\n{rule}: none."
    rows = [["configuration", "seed", "epoch", "before", "after", "classes regained", "lost since epoch"]]
    rows[0] += ["of these outputs dead before", "active before, %", "active after, %"]
    for one in own:
        row = [one.label, str(one.seed), str(one.epoch), f"{one.before:.2f}", f"{one.after:.2f}"]
        row += [" ".join(map(str, one.regained.tolist())) or "none", " ".join(map(str, one.lost_since.tolist())) or "–"]
        row += [str(one.dead)]
        rows.append(
            row + [" ".join(f"{x:.2g}" for x in share) or "–" for share in (one.active_before, one.active_after)]
        )
    with_class = sum(len(one.regained) > 0 for one in own)
    return (
        f"## Sudden recoveries\n\n{rule}: {len(own)} times, {with_class} of them with a class that was never predicted "
        "and then is. Active: share of the test images for which that class's output pre-activation is positive.\n\n"
        f"{aligned(rows)}\n\n{_explained(own)}"
    )


def _explained(own: Sequence[Recovery]) -> str:
    """What the health of the outputs before a recovery says of its cause."""
    dead, every = sum(one.dead for one in own), sum(len(one.regained) for one in own)
    if not every:
        return "No class came back: these rises are not outputs that revive."
    shares = np.concatenate([one.active_before for one in own])
    told = []
    if dead:
        told.append(
            f"{dead} had no slope on any test image before: no gradient reached their own weights, so that only the "
            "layers below can have moved an image across their threshold"
        )
    if some := shares[shares > 0].tolist():
        told.append(
            f"{len(some)} still fired, for {min(some):.2g} to {max(some):.2g} % of the images: never the largest "
            "output, but with a gradient to grow by"
        )
    if (rest := every - dead - len(some)) > 0:
        told.append(f"{rest} fired for no image, with a slope there all the same")
    return f"Of the {every} outputs that came back: {'; '.join(told)}."


def _figure(found: Sequence[Record], names: Sequence[str]) -> Any:
    """Every seed faint, the mean of those that go on strong, a colour per configuration; one ends where it diverges.

    Of more than `PICKED` configurations those that end worst have a colour, the others are grey.
    """
    from matplotlib.figure import Figure

    shown = ("test_accuracy", "train_accuracy", "never_predicted", "dead_outputs", "negative_output_weights")
    figure = Figure(figsize=(13, 7), layout="constrained")
    panels = figure.subplots(2, 3).ravel()
    picked = _picked(found)
    rest = [number for number in range(len(found)) if number not in picked]
    for place, number in [*((None, number) for number in rest), *enumerate(picked)]:
        record = found[number]
        columns, epochs = curves(record), np.arange(record.config.epochs + 1)
        if place is None:
            color, style, width, faint, name = "0.7", "-", 1.0, 0.15, f"{len(rest)} others" * (number == rest[0])
        else:
            color, style = COLORS[place % len(COLORS)], ("-", "--", ":", "-.")[place // len(COLORS) % 4]
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
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    for color, name in zip(COLORS, dict.fromkeys(record.config.name for record in found), strict=False):
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
