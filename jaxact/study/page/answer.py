"""The answer on the first screen: which combinations fail, how often and why, in sentences made from the numbers."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxact.records import Record
from jaxact.report.table import counted
from jaxact.statistics import clopper_pearson
from jaxact.study import claims
from jaxact.study.evidence import judge
from jaxact.study.interventions import INTERVENTIONS
from jaxact.study.interventions_report import Effect
from jaxact.study.page.inside import control_of
from jaxact.study.page.outcome import Outcome, Row, laddered, order
from jaxact.study.page.records import Grid, title_of
from jaxact.study.page.shapes import Table
from jaxact.study.pooled import can_die, distinct_lost

NAMED, SHOWN_EFFECTS, MOST_GROUPS = 5, 3, 2
ALL_OFF = 0.9
"""Share of the lost classes with an output that is off from which on dead outputs are said to be why."""
SIMILAR = 2.0
"""Two attenuations within this factor count as alike."""


class Answer(NamedTuple):
    """Headline, and the sentences under `which`, `how often` and `why`."""

    headline: str
    which: str
    often: str
    why: Sequence[str]
    table: Table | None


def answer(grid: Grid, found: Outcome, effects: Sequence[Effect]) -> Answer:
    """Put the numbers in sentences."""
    failing, total = found.failing, len(found.rows)
    c = grid.config
    what = title_of(c.dataset)
    if not failing:
        headline = (
            f"None of the {total} combinations fails on {what}"
            if total > 1
            else f"{next(iter(found.rows))} does not fail on {what}"
        )
        return Answer(headline, _limit(grid, found), _often(found), _no_failure(found), None)
    if total == 1:
        headline = f"{failing[0].name} fails on {what}"
    else:
        counted = f"All {total}" if len(failing) == total else f"{len(failing)} of {total}"
        headline = f"{counted} combinations fail on {what}{pattern(grid, failing)}"
    why = [*_classes(found), *_outputs(failing), *_gradient(grid, found), *_cause(effects)]
    return Answer(headline, _which(grid, found), _often(found), why, _worst(found))


def pattern(grid: Grid, failing: Sequence[Row]) -> str:
    """What the failing combinations have in common and the others do not, as the end of a sentence.

    The layers that are fixed are those of the largest groups of combinations that fail without exception, two at most;
    where these are less than half of what fails, nothing is said.
    """
    names = {row.name for row in failing}
    rest, groups = set(names), []
    while len(groups) < MOST_GROUPS and (best := _group(grid, failing, rest))[0]:
        groups.append(best)
        rest -= set(best[0])
    if len(failing) == len(grid.records) or 2 * len(rest) > len(names):
        return ""
    alone = {k: level[0] for k, level in enumerate(grid.levels) if len(level) == 1}
    words = [_words(grid, fixed | alone) for _, fixed in groups]
    if not rest:
        return f": exactly those {', and those '.join(words)}"
    every = ["both" if len(alike) == 2 else f"all {len(alike)}" for alike, _ in groups]
    told = ", ".join(f"{n} {what}" for n, what in zip(every, words, strict=True))
    return f": {told}, and " + (" and ".join(sorted(rest)) if len(rest) < 3 else f"{len(rest)} more")


def _group(grid: Grid, failing: Sequence[Row], rest: set[str]) -> tuple[list[str], dict[int, str]]:
    """The levels of some layers with which everything fails, and those combinations.

    Those with most of `rest`; fewer layers before more, later ones before earlier. Nothing where that is one alone.
    """
    factors, names = range(len(grid.levels)), {row.name for row in failing}
    best: tuple[list[str], dict[int, str]] = ([], {})
    for places in (p for size in factors[1:] for p in reversed([*itertools.combinations(factors, size)])):
        for row in failing:
            fixed = {k: _level(grid, row.record, k) for k in places if len(grid.levels[k]) > 1}
            alike = [name for name, r in grid.records.items() if all(_level(grid, r, k) == a for k, a in fixed.items())]
            more = len(rest.intersection(alike)) > max(1, len(rest.intersection(best[0])))
            if fixed and more and names.issuperset(alike):
                best = alike, fixed
    return best


def _level(grid: Grid, record: Record, factor: int) -> str:
    return record.config.activations[grid.factors[factor][0]]


def _words(grid: Grid, fixed: dict[int, str]) -> str:
    places = sorted(fixed)
    last = len(grid.factors) - 1
    if grid.factors[last][-1] == len(grid.config.activations) - 1 and places == list(range(places[0], last + 1)):
        names = ", ".join(fixed[k] for k in places)
        return f"that end in ({names})" if len(places) > 1 else f"with a {names} output"
    return "with " + " and ".join(f"{fixed[k]} in {grid.labels[k]}" for k in places)


def _limit(grid: Grid, found: Outcome) -> str:
    basis = "the limit set for MNIST" if grid.config.dataset == "mnist" else f"{claims.FAILED:g} % of the best mean"
    return f"A run fails below {found.limit:.4g} % test accuracy ({basis}), a combination if its mean does."


def _which(grid: Grid, found: Outcome) -> str:
    failing, rest = found.failing, [row for row in found.rows.values() if not row.fails]
    names = ", ".join(f"{row.name} ({_mean(row)})" for row in failing[:NAMED])
    more = f" and {len(failing) - NAMED} more" if len(failing) > NAMED else ""
    means = sorted(row.summary.mean for row in rest)
    others = f" The other {len(rest)} reach {means[0]:.1f} to {means[-1]:.1f} %." if len(rest) > 1 else ""
    partly = sorted((row for row in rest if row.case.never.any()), key=order)
    milder = ""
    if partly:
        first = partly[0]
        runs = int((first.case.never > 0).sum())
        milder = (
            f" Milder: {len(partly)} of them lose{'s' * (len(partly) == 1)} a class in some runs, {first.name} in "
            f"{runs} of {len(first.failed)} "
            f"({_mean(first)})."
        )
    return f"{names}{more}.{others}{milder} {_limit(grid, found)}"


def _mean(row: Row) -> str:
    return "all diverged" if np.isnan(row.summary.mean) else f"{row.summary.mean:.1f} %"


def _often(found: Outcome) -> str:
    failing = found.failing
    rest = [row for row in found.rows.values() if not row.fails]
    others, others_failed = _counts(rest)
    if not failing:
        return f"{others_failed} of {others} runs fail."
    runs, failed = _counts(failing)
    each, sizes = [int(row.failed.sum()) for row in failing], {len(row.failed) for row in failing}
    per = f", {_span(each, 'd')} of {min(sizes)} per combination" if len(sizes) == 1 and len(each) > 1 else ""
    accuracy = np.concatenate([row.accuracy for row in failing])
    told = f"{failed} of their {runs} runs fail ({100 * failed / runs:.0f} %){per}"
    if np.isfinite(accuracy).sum() > 1:
        told += f". Their seeds reach from {np.nanmin(accuracy):.1f} to {np.nanmax(accuracy):.1f} %"
    return (
        f"{told}. Of the others, {others_failed or 'none'} of {others} runs fail{'s' * (others_failed < 2)}."
        if rest
        else f"{told}."
    )


def _counts(rows: Sequence[Row]) -> tuple[int, int]:
    return sum(len(row.failed) for row in rows), sum(int(row.failed.sum()) for row in rows)


def _no_failure(found: Outcome) -> list[str]:
    losing = [row for row in found.rows.values() if row.case.never.any()]
    if not losing:
        return ["Every network predicts every class: there is no failure to explain."]
    return [
        f"{len(losing)} of the combinations lose{'s' * (len(losing) == 1)} a class in some runs, without failing: "
        f"{', '.join(row.name for row in losing[:NAMED])}{' …' * (len(losing) > NAMED)}."
    ]


def _classes(found: Outcome) -> list[str]:
    failing = found.failing
    classes, never = len(found.class_counts), np.concatenate([row.case.never for row in failing])
    if never.mean() < 0.05:
        return ["They predict every class: whatever fails here, it is not dead outputs."]
    told = f"**They lose whole classes**: {never.mean():.1f} of the {classes} are never predicted, on average"
    fit = laddered(found, failing)
    if fit and fit[2] > 0:
        told += f"; the share of test images left explains their accuracy with R² = {fit[2]:.3f}"
    return [f"{told}."]


def _outputs(failing: Sequence[Row]) -> list[str]:
    lost = sum(int(row.case.never.sum()) for row in failing)
    mortal = [row for row in failing if can_die(row.case)]
    if not lost:
        return []
    if not mortal:
        return [
            "Their outputs cannot die (no activation of theirs has slope 0 on an interval): the classes are lost "
            "otherwise."
        ]
    off, start = (
        sum(int(values(row).sum()) for row in failing) for values in (lambda r: r.off, lambda r: r.case.lost_at_start)
    )
    share = off / lost
    lead = "**Their output units are dead**" if share >= ALL_OFF else "Dead output units are a part of it"
    rest = (
        ""
        if share >= ALL_OFF
        else "; the other classes are lost by outputs that are alive, such as those of networks not trained yet"
    )
    told = [
        f"{lead}: {100 * share:.0f} % of the lost classes have an output that is off for at least 99 % of the test "
        f"images, "
        f"{100 * start / lost:.0f} % had one that was dead before the first step{rest}."
    ]
    if len(failing) > 1:
        distinct = distinct_lost([row.case for row in failing])
        told.append(f"These are {lost} classes of runs, {distinct} of a seed: all combinations draw its kernels.")
    known = [row for row in mortal if np.isfinite(row.case.predicted_dead)]
    if known:
        expected, seen = (
            [f(row) for row in known] for f in (lambda r: r.case.predicted_dead, lambda r: r.case.dead[:, 0].mean())
        )
        told.append(
            "Theory expects it before any training, from the activations, the initialiser and two numbers of the "
            f"data: {_span(expected)} dead outputs at the start, measured {_span(seen)}."
        )
    return told


def _gradient(grid: Grid, found: Outcome) -> list[str]:
    """Whether the gradient is to blame: the control with the same hidden layers and its attenuation.

    Nothing is said where some control fails too; a combination without one is left out and counted as such.
    """
    if len(grid.config.activations) < 2:
        return []
    cases = {name: row.case for name, row in found.rows.items()}
    beside = [(row, control) for row in found.failing if (control := control_of(row, found))]
    if not beside or any(control.fails for _, control in beside):
        return []
    verdicts = [judge(row.case, cases) for row, _ in beside]
    ratios = [v.attenuation / v.control_attenuation for v in verdicts]
    part = f" ({len(beside)} of the {len(found.failing)} have such a control)" * (len(beside) < len(found.failing))
    told = f"behind the same hidden layers another output reaches {_span([c.summary.mean for _, c in beside])} %{part}"
    if all(1 / SIMILAR < ratio < SIMILAR for ratio in ratios):
        return [
            f"**A vanishing gradient does not explain it**: {told}, with a gradient attenuated as much on its way to "
            f"the first layer (ratio {_span(ratios, '.2f')})."
        ]
    return [f"{told[0].upper()}{told[1:]}."]


def _cause(effects: Sequence[Effect]) -> list[str]:
    if not effects:
        return ["No intervention is among these records: this is association and theory, not a demonstrated cause."]
    told = []
    for name in dict.fromkeys(effect.intervention for effect in effects):
        own = [effect for effect in effects if effect.intervention == name]
        before, after = (float(np.mean([getattr(e, when).accuracy for e in own])) for when in ("before", "after"))
        what = INTERVENTIONS[name].text.split(":")[0]
        told.append((after - before, f"{what} ({before:.1f} → {after:.1f} %)"))
    told.sort(reverse=True)
    listed = "; ".join(text for _, text in told[:SHOWN_EFFECTS])
    rest = f"; least: {told[-1][1]}" if len(told) > SHOWN_EFFECTS else ""
    bases = len({effect.base for effect in effects})
    where = f"mean accuracy of {counted(bases, 'combination')} ending in (sigmoid, relu)"
    return [f"**Tested by changing one thing, the seeds kept**, {where}: {listed}{rest}."]


def _span(values: Sequence[float], form: str = ".1f") -> str:
    low, high = format(min(values), form), format(max(values), form)
    return low if low == high else f"{low} to {high}"


def _worst(found: Outcome) -> Table:
    rows = []
    for row in found.failing:
        failed, case = int(row.failed.sum()), row.case
        _, low, high = clopper_pearson(failed, len(row.failed))
        predicted = "–" if np.isnan(case.predicted_dead) else f"{case.predicted_dead:.1f}"
        rows.append([
            row.name, "–" if np.isnan(row.summary.mean) else f"{row.summary.mean:.1f}",
            f"{failed} of {len(row.failed)}",
            f"{100 * low:.0f}–{100 * high:.0f} %", f"{case.never.mean():.1f}", predicted,
            f"{case.dead[:, 0].mean():.1f}", f"{case.dead[:, -1].mean():.1f}",
        ])  # fmt: skip
    head = ("combination", "mean %", "runs that fail", "95 %", "classes lost", "dead predicted", "at start", "at end")
    return Table("failing", "The combinations that fail", head, rows,
                 f"Of {len(found.class_counts)} classes and outputs, means over the seeds; 95 %: "
                 f"Clopper–Pearson.")  # fmt: skip
