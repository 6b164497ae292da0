"""Sections on what a change does: interventions on one thing, and the layers' main effects and interactions."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxact import records
from jaxact.config import Config
from jaxact.records import Record
from jaxact.statistics import Decomposition, Estimate, bootstrap_mean, decompose
from jaxact.study import interventions, interventions_report
from jaxact.study.interventions import Study
from jaxact.study.interventions_report import Effect
from jaxact.study.page.outcome import Outcome
from jaxact.study.page.records import Grid, Material, interventions_of
from jaxact.study.page.shapes import COLOURS, SYMBOLS, Dots, Figure, Heat, Line, Panel, Section, Table

MOST_PAIRS = 4
"""Interactions shown, the strongest."""
HEADER = (
    *("configuration", "intervention", "seeds", "accuracy before", "after", "effect", "low", "high"),
    *("classes lost before", "after", "dead at start before", "after", "dead at end before", "after"),
)
NOTE = (
    "Means over the seeds that both have. Accuracy: percent after the last epoch, a diverged seed counted as "
    "chance. Effect: "
    "mean paired difference in points with its 95 % interval, – with fewer than 4 seeds. Dead: outputs with slope 0 on "
    "the whole test set; "
    "–: batch norm has not seen any data yet."
)


def effects(material: Material, grid: Grid) -> list[Effect]:
    """Of every intervention on a configuration of the grid that has at least two seeds with and without it."""
    base = [record.config for record in grid.records.values()]
    pairs = [
        pair for pair in interventions_of(base) if pair[2] in material.found and _shared(material, pair[0], pair[2]) > 1
    ]
    bases = list(dict.fromkeys(old for old, _, _ in pairs))
    of = {(old, name): new for old, name, new in pairs}
    names = dict.fromkeys(name for _, name, _ in pairs)
    study = Study(bases, {n: [of.get((old, n)) for old in bases] for n in names}, (), material.folders[0], None, None)

    def lookup(_: Study, config: Config) -> Record | None:
        return material.found.get(config)

    return interventions_report.effects(study, lookup)


def _shared(material: Material, old: Config, new: Config) -> int:
    return len(np.intersect1d(material.found[old].seeds, material.found[new].seeds))


def intervened(found: Sequence[Effect]) -> Section:
    """The section on interventions."""
    title = "What repairs them: one thing changed, the same seeds"
    if not found:
        return Section(
            "interventions",
            title,
            missing="No intervention is among these records (python -m experiments.interventions makes them), so "
            "nothing here shows cause: what is said above is association and theory.",
        )
    names = list(dict.fromkeys(effect.intervention for effect in found))
    listed = "; ".join(f"{name}: {interventions.INTERVENTIONS[name].text}" for name in names)
    table = Table("interventions", "Effects of the interventions", HEADER, [_effect_row(e) for e in found], NOTE)
    return Section("interventions", title, [f"{listed}."], [_effects_figure(found)], [table])


def _effect_row(e: Effect) -> list[str]:
    numbers = [e.difference.value, e.difference.low, e.difference.high]
    states = [
        s for field in ("never", "dead_start", "dead_end") for s in (getattr(e.before, field), getattr(e.after, field))
    ]
    accuracy = [f"{e.before.accuracy:.2f}", f"{e.after.accuracy:.2f}"]
    shown = ["–" if np.isnan(v) else f"{v:+.2f}" for v in numbers] + [
        "–" if np.isnan(v) else f"{v:.2f}" for v in states
    ]
    return [e.base.name, e.intervention, str(len(e.seeds)), *accuracy, *shown]


def _effects_figure(found: Sequence[Effect]) -> Figure:
    bases = list(dict.fromkeys(effect.base.name for effect in found))
    means: dict[str, list[float]] = {}
    for effect in found:
        means.setdefault(effect.intervention, []).append(effect.difference.value)
    names = sorted(means, key=lambda name: -float(np.mean(means[name])))
    ends = [0.0, *(end for e in found for end in (e.difference.low, e.difference.high) if np.isfinite(end))]
    room = 0.04 * (max(ends) - min(ends)) or 1.0
    limits = (min(ends) - room, max(ends) + room)
    panels = []
    for base in bases:
        own = {effect.intervention: effect for effect in found if effect.base.name == base}
        places = [i for i, name in enumerate(names) if name in own]
        differences = [own[names[i]].difference for i in places]
        notes = [f"{names[i]}, {len(own[names[i]].seeds)} seeds" for i in places]
        dots = Dots([d.value for d in differences], [float(i) for i in places], base, "c0", 1, 8, "circle", notes,
                    [d.low for d in differences], [d.high for d in differences])  # fmt: skip
        zero = Line((0, 0), (-0.6, len(names) - 0.4), "", "muted", 1.5)
        panels.append(Panel(base, "points", "", [zero, dots], limits, categories=names))
    return Figure(
        "interventions", "Effect of changing one thing",
        "Mean paired difference with its 95 % interval (none of fewer than 4 seeds), interventions by mean effect. "
        "Change of the accuracy: right of 0 it repairs; an interval across 0 shows no effect at this number of seeds.",
        f"Effects of {len(names)} interventions on {len(bases)} combinations, from {names[0]} (largest) to "
        f"{names[-1]}.",
        panels, min(4, len(panels)),
    )  # fmt: skip


def interactions(grid: Grid, found: Outcome) -> Section:
    """The section on main effects and interactions of the layers."""
    title = "How the layers interact"
    if reason := _not_factorial(grid, found):
        return Section("interactions", title, missing=reason)
    table = np.stack([
        found.rows[name].record.subset(grid.seeds).test_accuracy()[:, -1] for name in grid.records
    ], 1).reshape(len(grid.seeds), *map(len, grid.levels))  # fmt: skip
    factors = grid.labels
    try:
        split = decompose(table, factors)
    except ValueError as error:
        return Section("interactions", title, missing=f"No decomposition: {error}.")
    shares = [
        [c.name.replace(":", " × "), *("–" if np.isnan(x) else f"{100 * x:.1f}" for x in (c.share, c.low, c.high))]
        for c in split.components
    ]
    note = (
        "Functional ANOVA of the accuracies, the noise of the seeds removed; intervals leave out whole seeds, none "
        "with fewer than 9. A "
        "main effect is what a layer's activation does on average over the others; an interaction is what only the "
        "pair does. The estimates are unbiased, so that one of a share near 0 can be below 0."
    )
    largest = max(split.components, key=lambda c: c.share)
    interval = "" if np.isnan(largest.low) else f" ({100 * largest.low:.0f} to {100 * largest.high:.0f} %)"
    text = (
        f"{largest.name.replace(':', ' × ').capitalize()} accounts for {100 * largest.share:.0f} % of the variance "
        f"between the combinations{interval}; interactions of two or more layers together for "
        f"{100 * sum(c.share for c in split.components if ':' in c.name):.0f} %."
    )
    main, pairs = _measured(grid, split, table)
    files = [
        Table("variance", "Shares of the variance", ("effect", "share %", "low", "high"), shares, note),
        _points(grid, [*main, *pairs]),
    ]
    return Section("interactions", title, [text], [_effects_of_layers(grid, split, main, pairs)], files)


def _not_factorial(grid: Grid, found: Outcome) -> str:
    single = [name for name, level in zip(grid.labels, grid.levels, strict=True) if len(level) < 2]
    if grid.missing or single:
        what = (
            f"{' and '.join(single)} with one activation only"
            if single
            else f"{len(grid.missing)} {'is' if len(grid.missing) == 1 else 'are'} missing"
        )
        return f"Main effects and interactions need every combination of the activations: {what}."
    if not grid.seeds:
        return "Main effects and interactions need seeds that all combinations share; there are none."
    if any(not np.isfinite(row.accuracy).all() for row in found.rows.values()):
        return "Main effects and interactions need an accuracy of every seed; some diverged."
    return ""


class _Points(NamedTuple):
    """One factor's effects, or those of two beyond their own, and their intervals, none of a single seed."""

    factors: tuple[int, ...]
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @property
    def sure(self) -> np.ndarray:
        """Where the interval leaves out 0."""
        return (self.low > 0) | (self.high < 0)


def _measured(grid: Grid, split: Decomposition, table: np.ndarray) -> tuple[list[_Points], list[_Points]]:
    """Main effects of the layers, and the interactions of pairs, the strongest first."""
    layers = range(len(grid.levels))
    pairs = sorted(
        itertools.combinations(layers, 2),
        key=lambda pair: -float(np.mean(np.square(split.effects[":".join(grid.labels[k] for k in pair)]))),
    )
    main, both = ([_estimated(table, f) for f in of] for of in ([(k,) for k in layers], pairs[:MOST_PAIRS]))
    return main, both


def _estimated(table: np.ndarray, factors: tuple[int, ...]) -> _Points:
    effect = _per_seed(table, factors)
    mean = effect.mean(0)
    found = _estimates(effect.reshape(len(effect), -1), _largest(mean.shape))
    low, high = (np.array([getattr(e, end) for e in found]) for end in ("low", "high"))
    none = np.full(mean.shape, np.nan)
    return _Points(factors, mean, *((v.reshape(mean.shape) if found else none) for v in (low, high)))


def _points(grid: Grid, effects: Sequence[_Points]) -> Table:
    rows = []
    for effect in effects:
        name = " × ".join(grid.labels[k] for k in effect.factors)
        for place in np.ndindex(effect.mean.shape):
            levels = " × ".join(grid.levels[k][i] for k, i in zip(effect.factors, place, strict=True))
            numbers = (effect.mean[place], effect.low[place], effect.high[place])
            rows.append([name, levels, *("–" if np.isnan(v) else f"{v:+.2f}" for v in numbers)])
    note = "Points of accuracy, means over the seeds with their 95 % intervals; none of fewer than 4 seeds."
    head = ("effect", "activations", "points", "low", "high")
    return Table("effects", "Effects in points, with intervals", head, rows, note)


def _effects_of_layers(grid: Grid, split: Decomposition, main: Sequence[_Points], pairs: Sequence[_Points]) -> Figure:
    shares = split.components
    known = not np.isnan(shares[0].low)
    bars = Dots(
        [100 * c.share for c in shares], [float(i) for i in range(len(shares))], "share", "c0", 1, 8, "circle", (),
        [100 * c.low for c in shares] if known else (), [100 * c.high for c in shares] if known else (),
    )  # fmt: skip
    zero = Line((0, 0), (-0.6, len(shares) - 0.4), "", "muted", 1.5)
    panels = [Panel("variance explained", "% of the variance", "", [zero, bars],
                    categories=[c.name.replace(":", " × ") for c in shares])]  # fmt: skip
    most = max((float(np.abs(pair.mean).max()) for pair in pairs), default=0.0) or 1.0
    panels += [_main_effects(grid, main), *(_interaction(grid, pair, most) for pair in pairs)]
    return Figure(
        "interactions", "Main effects and interactions",
        "First: what share of the differences between combinations each layer explains alone and which only layers "
        "together, with 95 % intervals. Second: what an activation does on average in each layer. Then: what two "
        "layers "
        "do beyond the sum of their own effects, in points, the strongest pair first; one colour scale for "
        "all; below 0 the pair is worse than its parts; *: the 95 % interval over the seeds leaves out 0.",
        f"Variance shares of {len(shares)} effects, the main effects of the layers and tables of their interactions.",
        panels, 3,
        [(label, COLOURS[k % len(COLOURS)], SYMBOLS[k % len(SYMBOLS)]) for k, label in enumerate(grid.labels)],
    )  # fmt: skip


def _main_effects(grid: Grid, effects: Sequence[_Points]) -> Panel:
    names = list(dict.fromkeys(name for level in grid.levels for name in level))
    marks = []
    for k, (label, level) in enumerate(zip(grid.labels, grid.levels, strict=True)):
        own = effects[k]
        known = np.isfinite(own.low).all()
        y = [names.index(name) + 0.22 * (k - (len(grid.levels) - 1) / 2) for name in level]
        marks.append(Dots(own.mean, y, label, COLOURS[k % len(COLOURS)], 1, 8, SYMBOLS[k % len(SYMBOLS)], level,
                          own.low if known else (), own.high if known else ()))  # fmt: skip
    zero = Line((0, 0), (-0.6, len(names) - 0.4), "", "muted", 1.5)
    return Panel("main effects", "points", "", [zero, *marks], categories=names)


def _interaction(grid: Grid, effect: _Points, most: float) -> Panel:
    i, j = effect.factors
    text = [
        [(f"{v:+.1f}" if abs(v) >= 0.05 else "0.0") + "*" * bool(s) for v, s in zip(*row, strict=True)]
        for row in zip(effect.mean, effect.sure, strict=True)
    ]
    heat = Heat(effect.mean, grid.levels[j], grid.levels[i], text, -most, most, "interaction", "signed")
    return Panel(f"{grid.labels[i]} × {grid.labels[j]}", grid.labels[j], grid.labels[i], [heat])


def _per_seed(table: np.ndarray, factors: tuple[int, ...]) -> np.ndarray:
    """Effect of one factor, or of two beyond their own, per seed: marginal means less those of the subsets."""
    axes = tuple(range(1, table.ndim))
    kept = table.mean(tuple(a for a in axes if a - 1 not in factors), keepdims=True)
    smaller = [_keep(table, ())] if len(factors) == 1 else [_keep(table, (k,)) for k in factors]
    kept = kept - sum(smaller) + (0 if len(factors) == 1 else _keep(table, ()))
    return kept.squeeze(tuple(a for a in axes if a - 1 not in factors))


def _keep(table: np.ndarray, factors: tuple[int, ...]) -> np.ndarray:
    return table.mean(tuple(a for a in range(1, table.ndim) if a - 1 not in factors), keepdims=True)


def _largest(levels: Sequence[int]) -> float:
    """Most points that an effect of accuracies from 0 to 100 can have: 100 · 2^(factors − 1) · ∏ (1 − 1/levels)."""
    return float(100 * 2 ** (len(levels) - 1) * np.prod([1 - 1 / n for n in levels]))


def _estimates(effect: np.ndarray, largest: float) -> list[Estimate]:
    """Interval of every level over the seeds; none of a single seed."""
    rng = np.random.default_rng(0)
    return [bootstrap_mean(values, rng, bounds=(-largest, largest)) for values in effect.T] if len(effect) > 1 else []


def others(grid: Grid) -> Section | None:
    """Records of other protocols, as the summary has them."""
    rows = records.summary([*grid.changed, *grid.others])
    if not rows:
        return None
    header = list(dict.fromkeys(key for row in rows for key in row))
    table = Table("others", "Runs at other protocols", header, [[row.get(key, "") for key in header] for row in rows],
                  "One row per run; accuracies in percent, losses in nats.")  # fmt: skip
    text = (
        "Interventions and other protocols among the records, run by run; a folder given alone has a page of its own."
    )
    return Section("others", "Other protocols among the records", [text], (), [table])
