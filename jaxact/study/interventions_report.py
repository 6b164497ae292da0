"""What `experiments.interventions` leaves behind: paired effects with intervals, tables, a figure, a report."""

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxact import records
from jaxact.config import Config
from jaxact.records import Record
from jaxact.records import folders as record_folders
from jaxact.report import figures
from jaxact.report.palette import BLUE
from jaxact.report.table import aligned
from jaxact.statistics import Estimate, bootstrap_mean, summarize
from jaxact.study.interventions import INTERVENTIONS, Study
from jaxact.study.outcome import machines

UNCHANGED = "unchanged"
COLUMNS = (
    "Accuracy: percent of the test set after the last epoch, mean over seeds. Effect: mean paired difference in "
    "points, 95 % interval over seeds where there is one: not of fewer than 4 seeds; wider where the differences are "
    "unlike a normal sample, from their bounds of ±100 alone. A failure rarer than the seeds can show is in none. "
    "Never predicted: classes, of 10, after the last epoch. Dead: outputs with slope 0 on the "
    "whole test set. c: correlation of the output pre-activations of two images, at the start. Saturated: share of the "
    "last hidden layer's pre-activations with a slope below 5 % of its maximum, at the start. Gradient 1/L: gradient "
    "norm at the first layer's pre-activations over that at the output's, at the start. Means over seeds; – where "
    "batch norm has not seen any data yet, so that what is measured at the start is not what training begins with."
)


class State(NamedTuple):
    """Means over seeds of one configuration; shares in percent, counts of 10 outputs.

    Attributes:
        accuracy: test accuracy after the last epoch; a diverged seed counts as chance.
        never: classes never predicted after the last epoch.
        dead_start: dead outputs at initialisation.
        dead_end: dead outputs after the last epoch.
        correlation: c of the output pre-activations at initialisation.
        saturated: share of saturated pre-activations of the last hidden layer at initialisation.
        attenuation: √E‖∂ℓ/∂h¹‖² over √E‖∂ℓ/∂h^L‖² at initialisation, of the seeds with a gradient at the output.

    With batch norm, what is measured at initialisation is NaN for the layers that it is in and for those after it: the
    running averages are still 0 and 1 then, and a first batch is normalised otherwise.
    """

    accuracy: float
    never: float
    dead_start: float
    dead_end: float
    correlation: float
    saturated: float
    attenuation: float


class Effect(NamedTuple):
    """One intervention on one configuration, over the seeds that both have.

    Attributes:
        base: the unchanged configuration.
        intervention: its name.
        config: the changed configuration.
        seeds: of both.
        before, after: state without and with it.
        difference: mean paired difference of the accuracy, in points, with its 95 % interval.
        accuracy_after: [seeds] percent, with it.
    """

    base: Config
    intervention: str
    config: Config
    seeds: tuple[int, ...]
    before: State
    after: State
    difference: Estimate
    accuracy_after: np.ndarray


def find(study: Study, config: Config, left_out: list[str] | None = None) -> Record | None:
    """The runs of `config` in --out and --baseline, those of the study's seeds.

    Args:
        study: says where to look.
        config: the configuration.
        left_out: gets a line for a file that cannot be read.
    """
    folders = [study.out] + ([study.baseline] if study.baseline else [])
    return record_folders.lookup(folders, config, study.seeds, [] if left_out is None else left_out)


def known(study: Study, config: Config, seed: int) -> bool:
    """Whether that run is there already."""
    record = find(study, config)
    return record is not None and seed in record.seeds.tolist()


def accuracies(record: Record) -> np.ndarray:
    """[seeds] final test accuracy in percent, chance for a diverged seed."""
    return np.where(record.diverged, 100.0 / record.config.widths[-1], record.test_accuracy()[:, -1])


def state(record: Record) -> State:
    """The means over the seeds of a record."""
    gradients, dead = record.arrays["probe_gradient_layers"][:, 0], record.dead(len(record.config.widths))
    alive = gradients[:, -1] > 0
    layers, first = len(record.config.widths), min(record.config.batch_norm, default=len(record.config.widths) + 1)
    started = State(
        accuracy=accuracies(record).mean(),
        never=summarize(record.never_predicted()[:, -1]).mean,
        dead_start=dead[:, 0].sum(-1).mean(),
        dead_end=dead[:, -1].sum(-1).mean(),
        correlation=record.arrays["probe_correlation"][:, 0, -1].mean(),
        saturated=100 * record.arrays["probe_saturated"][:, 0, -2].mean(),
        attenuation=(gradients[alive, 0] / gradients[alive, -1]).mean() if alive.any() else np.nan,
    )
    if first <= layers:
        started = started._replace(dead_start=np.nan, correlation=np.nan, attenuation=np.nan)
    return started._replace(saturated=np.nan) if first < layers else started


def effects(study: Study, lookup: Callable[[Study, Config], Record | None] = find) -> list[Effect]:
    """Every effect whose runs are there, in the order of the study; `lookup` finds the runs of a configuration."""
    rng, found = np.random.default_rng(0), []
    before = {config: lookup(study, config) for config in study.base}
    for i, base in enumerate(study.base):
        for name, changed in study.changed.items():
            config, old = changed[i], before[base]
            new = lookup(study, config) if config else None
            if config is None or old is None or new is None:
                continue
            seeds = tuple(sorted(set(old.seeds.tolist()) & set(new.seeds.tolist())))
            if not seeds:
                continue
            old, new = old.subset(seeds), new.subset(seeds)
            difference = paired(accuracies(new) - accuracies(old), rng)
            found.append(Effect(base, name, config, seeds, state(old), state(new), difference, accuracies(new)))
    return found


def paired(differences: np.ndarray, rng: np.random.Generator) -> Estimate:
    """The mean of differences of percentages with its interval; fewer than 4 seeds have none (NaN)."""
    if len(differences) < 2:
        return Estimate(float(differences.mean()), np.nan, np.nan)
    return bootstrap_mean(differences, rng, bounds=(-100, 100))


def with_interval(estimate: Estimate) -> str:
    """`+1.2 [+0.3, +2.1]`, without brackets where there is no interval."""
    value, low, high = estimate
    return f"{value:+.1f}" if np.isnan(low) else f"{value:+.1f} [{low:+.1f}, {high:+.1f}]"


def table(found: Sequence[Effect]) -> str:
    """One block of rows per configuration, as aligned Markdown."""
    head = ["configuration", "intervention", "seeds", "accuracy", "effect [95 %]", "never predicted", "dead at start"]
    head += ["dead at end", "c at output", "saturated %", "gradient 1/L"]
    rows = [head]
    for base in dict.fromkeys(effect.base for effect in found):
        own = [effect for effect in found if effect.base == base]
        largest = max(own, key=lambda effect: len(effect.seeds))
        rows.append([base.name, UNCHANGED, str(len(largest.seeds)), *_cells(largest.before, "")])
        for e in sorted(own, key=lambda effect: -effect.difference.value):
            effect = with_interval(e.difference)
            rows.append([base.name, e.intervention, str(len(e.seeds)), *_cells(e.after, effect)])
    return aligned(rows)


def _cells(s: State, effect: str) -> list[str]:
    formats = ((s.never, ".2f"), (s.dead_start, ".2f"), (s.dead_end, ".2f"), (s.correlation, ".3f"))
    formats += ((s.saturated, ".1f"), (s.attenuation, ".2g"))
    return [f"{s.accuracy:.2f}", effect, *("–" if np.isnan(x) else format(x, spec) for x, spec in formats)]


def tidy(found: Sequence[Effect]) -> list[list[str]]:
    """Rows of `effects.csv`."""
    head = ["configuration", "intervention", "changed", "digest", "seeds", "effect", "low", "high"]
    rows = [[*head, *(f"{field}_{when}" for when in ("before", "after") for field in State._fields)]]
    for e in found:
        numbers = (*e.difference[:3], *e.before, *e.after)
        rows.append([e.base.name, e.intervention, e.config.name, e.config.digest, str(len(e.seeds))])
        rows[-1] += ["" if np.isnan(x) else f"{x:.6g}" for x in numbers]
    return rows


def figure(found: Sequence[Effect]) -> Any:
    """Effects with their intervals, one panel per configuration, interventions ranked by their mean effect."""
    bases = list(dict.fromkeys(effect.base for effect in found))
    names = list(dict.fromkeys(effect.intervention for effect in found))
    mean = {name: np.mean([e.difference.value for e in found if e.intervention == name]) for name in names}
    names.sort(key=lambda name: mean[name])
    drawn = figures.figure(2.6 * len(bases) + 2.2, 0.34 * len(names) + 1.3)
    panels = drawn.subplots(1, len(bases), sharey=True, squeeze=False)[0]
    for axes, base in zip(panels, bases, strict=True):
        for e in (effect for effect in found if effect.base == base):
            d, y = e.difference, names.index(e.intervention)
            axes.plot([d.low, d.high], [y, y], color=BLUE, lw=2)
            axes.plot(d.value, y, "o", color=BLUE, ms=5)
        axes.axvline(0, color="0.6", lw=0.8)
        axes.set_title(base.name, fontsize=9)
        axes.set_yticks(range(len(names)), names, fontsize=8)
        axes.grid(axis="x", color="0.9")
    drawn.supxlabel("change of test accuracy, points, with 95 % interval", fontsize=9)
    return drawn


def finish(study: Study, command: str) -> str:
    """Write `effects.csv`, `effects.png` and `report.md`; return the table as text."""
    left_out: list[str] = []
    found = effects(study, lambda study, config: find(study, config, left_out))
    told = "".join(f"\nleft out: {line}" for line in left_out)
    if not found:
        return f"no intervention has runs beside unchanged ones in {study.out}: nothing to report{told}"
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(tidy(found))
    records.write_text(study.out / "effects.csv", text.getvalue())
    figure(found).savefig(study.out / "effects.png", dpi=110)
    records.write_text(study.out / "report.md", _report(study, found, command, left_out))
    return f"\n{table(found)}\n{told}\neffects.csv, effects.png and report.md are in {Path(study.out)}"


def _report(study: Study, found: Sequence[Effect], command: str, left_out: Sequence[str]) -> str:
    used = [config for effect in found for config in (effect.base, effect.config)]
    rows = [record for config in dict.fromkeys(used) if (record := find(study, config))]
    c = study.base[0]
    size = f"the first {c.limit_train:,} examples" if c.limit_train else "all training examples"
    listed = [f"- {name}: {INTERVENTIONS[name].text}." for name in dict.fromkeys(e.intervention for e in found)]
    parts = [
        "# One thing changed: what repairs an ending in sigmoid, relu",
        f"Command: `{command}`",
        f"{c.dataset}, {size}, {c.epochs} epochs, the study's protocol but for the one change; the same seeds with and "
        "without it (a changed width draws other weights from the same seed).",
        f"Data: {'; '.join(sorted({record.meta['data']['source'] for record in rows}))}.",
        *(f"Left out: {line}." for line in left_out),
        "Environment:\n\n" + "\n".join(f"- {machine}" for machine in machines(rows)),
        "\n".join(listed),
        COLUMNS,
        table(found),
        "![Effects of the interventions](effects.png)",
    ]
    return "\n\n".join(parts) + "\n"
