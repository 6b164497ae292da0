"""The page that `experiments.planar` writes, with what it shows in sentences made from the numbers."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from experiments import planar_tables, runtime
from experiments.outcome import aligned
from experiments.planar_measure import COURSE_RATE, COURSE_SEED, REPORTED, Measured, Reported
from jaxact import planar

if TYPE_CHECKING:
    from experiments.planar import Plan

CHANCE = math.log(2)


def write(plan: "Plan", found: Sequence[Measured], figures: Sequence[str], command: str) -> str:
    """Write `runs.csv`, `summary.csv` and `report.md`; return what to print."""
    found = sorted(found, key=lambda done: done.cell)
    sections = [section for section in (thread(found), gradients(found), sweep(plan, found)) if section]
    environment = "\n".join(f"- {name}: {value}" for name, value in runtime.environment().items())
    page = [
        "# The planar classifier",
        *sections,
        *(f"![{name.removesuffix('.png').replace('_', ' ')}]({name})" for name in figures),
        f"## How it was made\n\nCommand: `{command}`\n\n{environment}",
    ]
    for name, rows in {"runs.csv": planar_tables.runs(found), "summary.csv": planar_tables.summary(found)}.items():
        (plan.out / name).write_text(planar_tables.as_csv(rows), encoding="utf-8")
    (plan.out / "report.md").write_text("\n\n".join(page) + "\n", encoding="utf-8")
    return "\n" + "\n\n".join([*sections, f"report.md, runs.csv, summary.csv and {len(figures)} figures: {plan.out}"])


def thread(found: Sequence[Measured]) -> str:
    """What learners reported beside what the same setting gives here."""
    cells = {(d.cell.activation, d.cell.hidden): d for d in found if d.cell.part == "thread"}
    if not cells:
        return ""
    head = ["activation", "units", "rate", "reported", "seed 2", "mean", "min", "max", "cost", "bouncing", "verdict"]
    pairs = [(said, cells[said.activation, (said.units,)]) for said in REPORTED]
    rows = [_thread_row(said, done, rate) for said, done in pairs for rate in range(len(done.cell.rates))]
    first = pairs[0][1]
    text = (
        f"Flower, {first.cell.steps:,} steps, float64, {len(first.seeds)} seeds, of which 2 is the course's. Percent "
        "of the training points; cost in nats (chance: 0.693); bouncing: percent of the second half's steps that raise "
        "the cost by over 1 %. The course prints accuracies cut to whole percent: 90 stands for 90.00 to 90.99."
    )
    verdicts = "\n".join(f"- {_verdict(said, done)}" for said, done in pairs)
    return f"## Beside the accuracies reported in the thread\n\n{verdicts}\n\n{text}\n\n{aligned([head, *rows])}"


def _thread_row(said: Reported, done: Measured, rate: int) -> list[str]:
    a = done.accuracy[rate]
    own = f"{a[done.shown]:.2f}" if COURSE_SEED in done.seeds else "–"
    numbers = (f"{x:.2f}" for x in (a.mean(), a.min(), a.max()))
    ends = f"{done.cost[rate].mean():.3f}", f"{done.bouncing[rate].mean():.1f}"
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
    name = f"{said.activation}, {said.units} units"
    if said.percent is None:
        level = "at chance" if abs(done.cost.mean() - CHANCE) < 0.01 else "above chance"
        numbers = f"accuracy {done.accuracy.mean():.1f} %, cost {done.cost.mean():.3f}"
        return f"{name}, reported as hopeless: {numbers}, {level}."
    agreements = [f"{agreement(said.percent, done, i)} at rate {rate:g}" for i, rate in enumerate(done.cell.rates)]
    text = f"{name}, {said.percent} % reported: {', '.join(agreements)}."
    shares = done.bouncing.mean(axis=1)
    wild = [rate for rate, share in zip(done.cell.rates, shares, strict=True) if share >= 1]
    if not wild:
        return text
    return (
        f"{text} The cost bounces from rate {min(wild):g} on; there the last step decides the accuracy, whose digits "
        "depend on rounding and cannot be reproduced."
    )


def gradients(found: Sequence[Measured]) -> str:
    """The derivative check of every activation that was trained."""
    from jaxact.activations import check_derivative, derivative

    rows = [["activation", "check", "worst relative error", "at z", "stated", "measured"]]
    for name in dict.fromkeys(done.cell.activation for done in found):
        entry = planar.activation(name)
        check = check_derivative(entry, derivative(entry), kinks=entry.kinks or ())
        numbers = (f"{check.error:.1e}", f"{check.point:.2f}", f"{check.stated:.6f}", f"{check.measured:.6f}")
        rows.append([name, "passed" if check.passed else "FAILED", *numbers])
    text = (
        "`jaxact.activations.check_derivative` compares the derivative that back-propagation uses with fourth-order "
        "central differences of the function; shown is the worst of 101 points."
    )
    if planar.WRONG_SIGMOID.name in [row[0] for row in rows]:
        text += (
            " The wrong one, σ(a)(1 − σ(a)) at a = σ(z), lies between 0.197 and 0.25 for every z: the hidden weights "
            "get nearly the gradient of a linear network, and no line separates the flower."
        )
    return f"## The gradient check\n\n{text}\n\n{aligned(rows)}"


def sweep(plan: "Plan", found: Sequence[Measured]) -> str:
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
    bullets = "\n".join(f"- {_champion(plan, part, name)}" for name in plan.activations)
    head = ["data set", "hidden", "weights", *plan.activations]
    return f"## Every network at its own learning rate\n\n{bullets}\n\n{text}\n\n{aligned([head, *rows])}"


def _best_text(done: Measured) -> str:
    mean, sd = planar_tables.spread(done.accuracy[done.best])
    if math.isnan(mean):
        return "diverged"
    deviation = "" if math.isnan(sd) else f" ± {sd:.1f}"
    return f"{mean:.1f}{deviation} / {done.fresh[done.best].mean():.1f} ({done.cell.rates[done.best]:g})"


def _champion(plan: "Plan", part: Sequence[Measured], name: str) -> str:
    """The best networks of one activation on the first data set, with one hidden layer and with more."""
    mine = [done for done in part if done.cell.activation == name and done.cell.dataset == plan.datasets[0]]
    found = []
    for group in ([d for d in mine if len(d.cell.hidden) == 1], [d for d in mine if len(d.cell.hidden) > 1]):
        if group:
            top = max(group, key=lambda d: np.nan_to_num(d.accuracy[d.best].mean(), nan=-1.0))
            c = top.cell
            text = f"{_best_text(top)} with {c.layers} units, {c.init} weights"
            if COURSE_RATE in c.rates and c.rates[top.best] != COURSE_RATE:
                text += f" ({top.accuracy[c.rates.index(COURSE_RATE)].mean():.1f} at the course's rate)"
            found.append(text)
    return f"{plan.datasets[0]}, {name}: at best {'; '.join(found)}."
