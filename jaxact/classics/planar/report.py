"""The page that `experiments.planar` writes, with what it shows in sentences made from the numbers."""

import math
from collections.abc import Sequence

import numpy as np

from jaxact.activations import check_derivative, derivative
from jaxact.classics.planar import tables
from jaxact.classics.planar.measure import (
    COURSE_RATE,
    COURSE_SEED,
    COURSE_SIZES,
    COURSE_STEPS,
    REPORTED,
    Measured,
    Reported,
)
from jaxact.classics.planar.plan import PlanarPlan
from jaxact.classics.planar.variants import WRONG_SIGMOID, activation
from jaxact.execution import runtime
from jaxact.report.markdown import command_line, document, environment_list, image
from jaxact.report.table import aligned

CHANCE = math.log(2)


def sections(plan: PlanarPlan, found: Sequence[Measured]) -> list[str]:
    """The answer and the tables behind it, each with what it shows."""
    made = (answer(plan, found), thread(found), gradients(found), sweep(plan, found))
    return [section for section in made if section]


def report(sections: Sequence[str], figures: Sequence[str], command: str) -> str:
    """The Markdown report."""
    made = f"## How it was made\n\n{command_line(command)}\n\n{environment_list(runtime.environment())}"
    shown = [image(name, name.removesuffix(".png").replace("_", " ")) for name in figures]
    return document("# Does a planar classifier need tanh?", *sections, *shown, made)


def answer(plan: PlanarPlan, found: Sequence[Measured]) -> str:
    """One line per activation on the course's size, or the first: its best learning rate beside the course's."""
    mine = [done for done in found if done.cell.part == "sweep" and done.cell.dataset == plan.datasets[0]]
    hidden = (4,) if (4,) in plan.hidden[plan.datasets[0]] else plan.hidden[plan.datasets[0]][0]
    chosen = {done.cell.activation: done for done in reversed(mine) if done.cell.hidden == hidden}
    told = [f"{name} {_at_best(chosen[name])}" for name in plan.activations]
    layers = "x".join(map(str, hidden))
    return f"{plan.datasets[0]}, {layers} hidden units, each activation at its best learning rate: {'; '.join(told)}."


def thread(found: Sequence[Measured]) -> str:
    """What learners reported beside what the same setting gives here."""
    cells = {(d.cell.activation, d.cell.hidden): d for d in found if d.cell.part == "thread"}
    if not cells:
        return ""
    head = ["activation", "units", "rate", "reported", "seed 2", "mean", "min", "max"]
    head += ["cost", "bouncing", "swing", "verdict"]
    pairs = [(said, cells[said.activation, (said.units,)]) for said in REPORTED]
    rows = [_thread_row(said, done, rate) for said, done in pairs for rate in range(len(done.cell.rates))]
    first = pairs[0][1]
    text = (
        f"Flower, {first.cell.steps:,} steps, float64, {len(first.seeds)} seeds, of which 2 is the course's. Percent "
        "of the training points; cost in nats (chance: 0.693); bouncing: percent of the second half's steps that raise "
        "the cost by over 1 %; swing: highest minus lowest cost of the last tenth, in nats. The course prints "
        "accuracies cut to whole percent: 90 stands for 90.00 to 90.99."
    )
    verdicts = "\n".join(f"- {_verdict(said, done)}" for said, done in pairs)
    return f"## Beside the accuracies reported in the thread\n\n{verdicts}\n\n{text}\n\n{aligned([head, *rows])}"


def _thread_row(said: Reported, done: Measured, rate: int) -> list[str]:
    a = done.accuracy[rate]
    own = f"{a[done.shown]:.2f}" if COURSE_SEED in done.seeds else "–"
    numbers = (f"{x:.2f}" for x in (a.mean(), a.min(), a.max()))
    ends = (f"{done.cost[rate].mean():.3f}", f"{done.bouncing[rate].mean():.1f}", f"{done.swing[rate].mean():.3f}")
    told = ("–", "–") if said.percent is None else (str(said.percent), agreement(said.percent, done, rate))
    return [said.activation, str(said.units), f"{done.cell.rates[rate]:g}", told[0], own, *numbers, *ends, told[1]]


def agreement(percent: int, done: Measured, rate: int) -> str:
    """`same`: the course's seed gives the reported figure; `in range`: the spread of the seeds covers it; `differs`."""
    a = done.accuracy[rate]
    if COURSE_SEED in done.seeds and percent <= a[done.shown] < percent + 1:
        return "same"
    return "in range" if a.min() < percent + 1 and percent <= a.max() else "differs"


def _verdict(said: Reported, done: Measured) -> str:
    """One sentence on a reported setting, from the numbers."""
    name, rates = f"{said.activation}, {said.units} units", list(enumerate(done.cell.rates))
    if said.percent is None:
        level = "at chance" if abs(done.cost.mean() - CHANCE) < 0.01 else "above chance"
        numbers = f"{_seeds(done, 0)}, cost {done.cost.mean():.3f}"
        return f"{name}, reported as hopeless: {level} ({numbers})."
    agreements = [f"{agreement(said.percent, done, i)} at rate {rate:g} ({_seeds(done, i)})" for i, rate in rates]
    text = f"{name}, {said.percent} % reported: {', '.join(agreements)}."
    shares = done.bouncing.mean(axis=1)
    wild = [rate for rate, share in zip(done.cell.rates, shares, strict=True) if share >= 1]
    if not wild:
        return text
    swings = [f"{done.swing[done.cell.rates.index(rate)].mean():.2f} nats at {rate:g}" for rate in wild]
    return (
        f"{text} The cost bounces from rate {min(wild):g} on (learners saw it above 0.3), by {', '.join(swings)}; "
        "there the last step decides the accuracy, whose digits depend on rounding and cannot be reproduced."
    )


def _seeds(done: Measured, rate: int) -> str:
    """`seed 2 90.50 %, all 90.50 to 91.25`, or the second half where the course's seed was not run."""
    a = done.accuracy[rate]
    if COURSE_SEED not in done.seeds:
        return f"{a.min():.2f} to {a.max():.2f} %"
    return f"seed {COURSE_SEED} {a[done.shown]:.2f} %, all {a.min():.2f} to {a.max():.2f}"


def gradients(found: Sequence[Measured]) -> str:
    """The derivative check of every activation that was trained."""
    rows = [["activation", "check", "worst relative error", "at z", "stated", "measured"]]
    for name in dict.fromkeys(done.cell.activation for done in found):
        entry = activation(name)
        check = check_derivative(entry, derivative(entry), kinks=entry.kinks or ())
        numbers = (f"{check.error:.1e}", f"{check.point:.2f}", f"{check.stated:.6f}", f"{check.measured:.6f}")
        rows.append([name, "passed" if check.passed else "FAILED", *numbers])
    text = (
        "`jaxact.activations.check_derivative` compares the derivative that back-propagation uses with fourth-order "
        "central differences of the function; shown is the worst of 101 points."
    )
    if WRONG_SIGMOID.name in [row[0] for row in rows]:
        text += (
            " The wrong one, σ(a)(1 − σ(a)) at a = σ(z), lies between 0.197 and 0.25 for every z: the hidden weights "
            "get nearly the gradient of a linear network, whether or not their unit is saturated, and a step need not "
            "lower the cost. The output layer's gradient is right, so wide networks can still learn something, which "
            "hides the bug; the check does not depend on that."
        )
    return f"## The gradient check\n\n{text}\n\n{aligned(rows)}"


def sweep(plan: PlanarPlan, found: Sequence[Measured]) -> str:
    """Every network at its own best learning rate: one row per size, one column per activation."""
    part = [done for done in found if done.cell.part == "sweep"]
    table: dict[tuple, dict[str, Measured]] = {}
    for done in sorted(part, key=lambda d: (plan.datasets.index(d.cell.dataset), len(d.cell.hidden), d.cell.hidden)):
        c = done.cell
        table.setdefault((c.dataset, c.layers, c.init), {})[c.activation] = done
    rows = [[*key, *(_best_text(row[name]) for name in plan.activations)] for key, row in table.items()]
    edge = sum(done.best == len(done.cell.rates) - 1 for done in part)
    text = (
        f"{plan.steps:,} steps, {plan.dtype}, {len(plan.seeds)} seeds, rates {' '.join(f'{r:g}' for r in plan.rates)}. "
        "Training accuracy in percent, mean ± sd over the seeds / on points drawn anew (the learning rate, that of "
        f"highest mean; the largest tried in {edge} of {len(part)} cases). All rates: `summary.csv`."
    )
    told = [*course_sizes(part), *(_champion(plan, part, name) for name in plan.activations)]
    first = [done for done in part if done.cell.dataset == plan.datasets[0]]
    told += [*wrong_effect(first), *deeper(first)]
    bullets = "\n".join(f"- {sentence}" for sentence in told)
    head = ["data set", "hidden", "weights", *plan.activations]
    return f"## Every network at its own learning rate\n\n{bullets}\n\n{text}\n\n{aligned([head, *rows])}"


def course_sizes(part: Sequence[Measured]) -> list[str]:
    """A sentence on the course's own accuracies by size, if its setting was run."""
    ours = {}
    for done in part:
        c = done.cell
        setting = c.dataset, c.activation, c.init, c.steps, len(c.hidden)
        known = COURSE_RATE in c.rates and COURSE_SEED in done.seeds and c.hidden[0] in COURSE_SIZES
        if known and setting == ("flower", "tanh", "course", COURSE_STEPS, 1):
            ours[c.hidden[0]] = done.accuracy[c.rates.index(COURSE_RATE), done.shown]
    if not ours:
        return []
    pairs = ", ".join(f"{units}: {value:g} ({COURSE_SIZES[units]:g})" for units, value in sorted(ours.items()))
    same = sum(value == COURSE_SIZES[units] for units, value in ours.items())
    return [
        f"The course's own study of tanh by hidden units, its printed accuracies in brackets, is met for {same} of "
        f"{len(ours)}: {pairs}. From 20 units on the last half percent depends on rounding."
    ]


def wrong_effect(part: Sequence[Measured]) -> list[str]:
    """A sentence on what the wrong derivative costs at every size of one hidden layer."""
    best = {}
    for done in part:
        c = done.cell
        if len(c.hidden) == 1 and c.init == part[0].cell.init:
            best[c.activation, c.hidden[0]] = done.accuracy[done.best].mean()
    sizes = sorted(units for name, units in best if name == WRONG_SIGMOID.name and ("sigmoid", units) in best)
    pairs = [f"{n}: {best['sigmoid', n]:.1f} → {best[WRONG_SIGMOID.name, n]:.1f}" for n in sizes]
    return [f"The wrong derivative, sigmoid → with it, by hidden units: {', '.join(pairs)}."] if pairs else []


def deeper(part: Sequence[Measured]) -> list[str]:
    """A sentence on the initial weights of networks with several hidden layers, if both were tried."""
    cells = {(d.cell.layers, d.cell.activation, d.cell.init): d for d in part if len(d.cell.hidden) > 1}
    pairs = [
        f"{layers} {name} {_mean(done)} → {_mean(cells[layers, name, 'lecun'])}"
        for (layers, name, init), done in sorted(cells.items(), key=lambda item: item[1].cell.hidden)
        if init == "course" and (layers, name, "lecun") in cells
    ]
    lead = "Several hidden layers, weights 0.01 randn → randn/√fan-in"
    return [f"{lead}: {', '.join(pairs)}."] if pairs else []


def _mean(done: Measured) -> str:
    return f"{done.accuracy[done.best].mean():.1f}"


def _at_best(done: Measured) -> str:
    """`90.6 ± 0.3 % (rate 4.8; 84.3 at the course's 1.2)`."""
    mean, sd = tables.spread(done.accuracy[done.best])
    if math.isnan(mean):
        return "diverged"
    c, deviation = done.cell, "" if math.isnan(sd) else f" ± {sd:.1f}"
    own = c.rates[done.best]
    course = COURSE_RATE in c.rates and own != COURSE_RATE
    also = f"; {done.accuracy[c.rates.index(COURSE_RATE)].mean():.1f} at the course's {COURSE_RATE:g}" if course else ""
    return f"{mean:.1f}{deviation} % (rate {own:g}{also})"


def _best_text(done: Measured) -> str:
    mean, sd = tables.spread(done.accuracy[done.best])
    if math.isnan(mean):
        return "diverged"
    deviation = "" if math.isnan(sd) else f" ± {sd:.1f}"
    return f"{mean:.1f}{deviation} / {done.fresh[done.best].mean():.1f} ({done.cell.rates[done.best]:g})"


def _champion(plan: PlanarPlan, part: Sequence[Measured], name: str) -> str:
    """The best networks of one activation on the first data set, with one hidden layer and with more."""
    mine = [done for done in part if done.cell.activation == name and done.cell.dataset == plan.datasets[0]]
    found = []
    for group in ([d for d in mine if len(d.cell.hidden) == 1], [d for d in mine if len(d.cell.hidden) > 1]):
        if group:
            top = max(group, key=lambda d: np.nan_to_num(d.accuracy[d.best].mean(), nan=-1.0))
            found.append(f"{top.cell.layers} units, {top.cell.init} weights, {_at_best(top)}")
    return f"{plan.datasets[0]}, {name}, best network with one hidden layer, with more: {'; '.join(found)}."
