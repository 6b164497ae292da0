"""Sentences of README on why combinations fail and what theory says beforehand, made from the records."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxact import activations
from jaxact.config import Config
from jaxact.data.specs import spec
from jaxact.statistics import decompose, r_squared
from jaxact.study.answer import Evidence, span
from jaxact.study.evidence import FAILING, Case
from jaxact.study.interventions_report import Effect
from jaxact.study.page import outcome, records
from jaxact.theory import prediction

FIRST = FAILING[0]


class Material(NamedTuple):
    """What the sentences are made from.

    Attributes:
        results: the folder of all results.
        evidence: of `experiments.explain` on the main run and the interventions of the same length.
        grid: of `experiments.report` on the main run.
    """

    results: Path
    evidence: Evidence
    grid: records.Grid

    @property
    def failing(self) -> list[Case]:
        """The endings in (sigmoid, relu)."""
        return [self.evidence.cases[name] for name in FAILING]


def brief(m: Material) -> list[str]:
    """README's answer."""
    own = m.failing
    lost = sum(int(c.never.sum()) for c in own)
    started, either, _ = (100 * n / lost for n in _dead_of_lost(own))
    linear, centred = effect(m, "linear"), effect(m, "centred")
    return [
        f"**Yes, at the output.** Behind a sigmoid all images look alike to an output unit, so "
        f"{span([c.dead_start.mean() for c in own], '.1f')} of the ten output ReLUs start off for every image, as "
        f"theory says ({span([c.predicted_dead for c in own], '.1f')}).",
        f"An output that is off gets no gradient, and its class is never predicted: {lost} classes in "
        f"{sum(len(c.never) for c in own)} runs.",
        f"Of these, {started:.0f} % had an output that was dead at the start, {either:.0f} % one that was dead then "
        "or in the end: the others die, or nearly die, in training.",
        f"The gradient does not vanish: a SELU output behind the same layers reaches "
        f"{span([v.control_accuracy for v in m.evidence.verdicts], '.0f')} %, where the ReLU reaches "
        f"{span([c.accuracy.mean() for c in own], '.0f')}.",
        f"With the same {len(linear.seeds)} seeds a linear output takes {FIRST} from {linear.before.accuracy:.0f} to "
        f"{linear.after.accuracy:.1f} %, a sigmoid centred at 0 to {centred.after.accuracy:.1f} %.",
    ]


def answer(m: Material) -> list[str]:
    """Why they fail."""
    own = m.failing
    lost = sum(int(c.never.sum()) for c in own)
    started, either, inactive = (100 * n / lost for n in _dead_of_lost(own))
    verdicts = {v.name: v for v in m.evidence.verdicts}
    alone = [float(c.record.arrays["probe_saturated"][..., -2].max()) for c in own]
    runs = relu_outputs(m)
    never, accuracy = (np.concatenate([getattr(c, field) for c in runs]) for field in ("never", "accuracy"))
    whole = accuracy[never == 0].mean()
    fit = r_squared(accuracy, whole * (1 - never / 10))
    first = verdicts[FIRST]
    linear, centred, slow = (effect(m, name) for name in ("linear", "centred", "lr_tenth"))
    return [
        f"Behind a sigmoid all inputs look alike to an output unit (correlation of its pre-activations "
        f"{span([c.correlation.mean() for c in own], '.3f')}), so {span([c.dead_start.mean() for c in own], '.1f')} of "
        f"the ten output ReLUs start off for every test image, as theory says "
        f"({span([c.predicted_dead for c in own], '.1f')}).",
        f"The {sum(len(c.never) for c in own)} runs of the four combinations that end so lose {lost} classes, which "
        f"they never predict.",
        f"{started:.0f} % of these had an output that was dead before the first step, {either:.0f} % one that was dead "
        f"then or in the end, and {inactive:.0f} % end with one that is off for at least 99 % of the images.",
        f"Accuracy follows by counting: a run that loses k of the ten classes reaches about {whole:.1f} · (1 − k/10) % "
        f"(nothing fitted, R² = {fit:.3f} over {len(never)} runs).",
        f"The gradient does not vanish: at most {100 * max(v.saturated for v in m.evidence.verdicts):.1f} % of the "
        f"sigmoid's pre-activations are ever saturated in the mean over the seeds, {100 * max(alone):.1f} % in the "
        f"worst single run.",
        f"A SELU output behind the same layers, with the gradient attenuated as much (behind relu-sigmoid "
        f"{first.control_attenuation:.4f} of it reaches the first layer, {first.attenuation:.4f} under the ReLU), "
        f"reaches {span([v.control_accuracy for v in m.evidence.verdicts], '.0f')} % where the ReLU reaches "
        f"{span([c.accuracy.mean() for c in own], '.0f')}.",
        f"Changing one thing settles it: over the same {len(linear.seeds)} seeds a linear output takes {FIRST} from "
        f"{linear.before.accuracy:.0f} to {linear.after.accuracy:.1f} %, centring the sigmoid (σ − ½, the same slope) "
        f"to {centred.after.accuracy:.1f} %, a learning rate ten times smaller only to {slow.after.accuracy:.0f} %",
    ]


def _dead_of_lost(cases: Sequence[Case]) -> tuple[int, int, int]:
    """Lost classes whose output is dead at the start, at the start or the end, off for 99 % of images in the end."""
    either = 0
    for c in cases:
        dead = c.record.dead(len(c.record.config.widths))
        lost = c.record.arrays["test_predicted"][:, -1] == 0
        either += int((lost & (dead[:, 0] | dead[:, -1])).sum())
    started, inactive = (sum(int(getattr(c, f).sum()) for c in cases) for f in ("lost_at_start", "lost_inactive"))
    return started, either, inactive


def all_combinations(m: Material) -> list[str]:
    """What the map shows."""
    found = list(m.grid.records.values())
    failing = [record for record in found if outcome.mostly_fails(record)]
    names = {record.config.name for record in failing}
    assert names == {*FAILING, "sigmoid-relu-relu"}, names
    rest = [record for record in found if record.config.name not in names]
    failed, others = (sum(int(outcome.failed_runs(r).sum()) for r in part) for part in (failing, rest))
    runs, other_runs = (sum(len(record.seeds) for record in part) for part in (failing, rest))
    plain, logit = _pair_shares(m.grid)
    low, high = m.grid.seed_counts
    return [
        f"The mean test accuracy of all {len(m.grid.records)} combinations, {low} to {high} seeds each, "
        f"{runs + other_runs} networks",
        f"{number(len(names))} fail, the four endings in (sigmoid, relu) and sigmoid-relu-relu: {failed} of their "
        f"{runs} runs lose a class or stay below 80 %; of the other {other_runs} runs, {others} do.",
        f"{plain} of the variance between the combinations belongs to the pair of the last two layers together and to "
        f"no layer alone, {logit} on the scale of log odds: the activations do interact.",
    ]


def number(n: int) -> str:
    """A small number as a word at the start of a sentence."""
    return ("None", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten")[n]


def _pair_shares(grid: records.Grid) -> list[str]:
    """Share of the variance of the last two layers' interaction, of accuracies and of their log odds."""
    table = np.stack([r.subset(grid.seeds).test_accuracy()[:, -1] for r in grid.records.values()], 1)
    table = table.reshape(len(grid.seeds), *map(len, grid.levels))
    told = []
    for values in (table, np.log(table / (100 - table))):
        share = {c.name: c for c in decompose(values, ("1", "2", "3")).components}["2:3"]
        told.append(f"{100 * share.share:.0f} % ({100 * share.low:.0f} to {100 * share.high:.0f})")
    return told


def milder(m: Material) -> list[str]:
    """Below the headline table."""
    one, other = m.evidence.cases["relu-relu-relu"], m.evidence.cases["sigmoid-relu-relu"]
    return [
        f"relu-relu-relu fails too, in a milder way: {int((one.never > 0).sum())} of its {len(one.never)} seeds lose "
        "classes, so a sigmoid before the output is not needed for the failure, and neither is its being the last "
        f"hidden layer: sigmoid-relu-relu reaches {other.accuracy.mean():.0f} %, with {other.never.mean():.1f} classes "
        "lost.",
    ]


def theory(m: Material) -> list[str]:
    """What is known beforehand."""
    facts = spec("mnist")
    found = _predicted(m.evidence.cases[FIRST].record.config)
    constant = found.stack.mean[1] ** 2 / found.stack.square[1]
    expected = {
        name: float(_predicted(record.config).expected_dead[-1]) if _mortal(record.config) else 0.0
        for name, record in m.grid.records.items()
    }
    some = {name for name, dead in expected.items() if dead >= 0.5}
    assert all(n.endswith("-relu") and "sigmoid" in n.split("-")[:2] for n in some)
    rest = max(dead for name, dead in expected.items() if name not in some)
    return [
        f"the sigmoid's outputs are {100 * constant:.1f} % constant, so the pre-activations of an output unit have "
        f"correlation {found.stack.c[-1]:.3f} over the inputs, and {found.expected_dead[-1]:.1f} of the 10 output "
        f"ReLUs are expected to start dead on all {facts.train_size:,} images; χ per layer is "
        f"{', '.join(f'{x:.3f}' for x in found.stack.chi)}.",
        f"Over all {len(expected)} combinations it expects at least half a dead output in "
        f"{number(len(some)).lower()}, the ReLU outputs with a sigmoid in one of the two layers before, and at most "
        f"{rest:.2f} elsewhere",
    ]


def _mortal(config: Config) -> bool:
    """Whether the output's activation can have slope 0."""
    entry = activations.known(config.activations[-1])
    return entry is not None and bool(entry.can_die)


def _predicted(config: Config) -> "prediction.Prediction":
    facts = spec(config.dataset)
    return prediction.predict(config, facts.features, prediction.STATISTICS[config.dataset], facts.train_size)


def relu_outputs(m: Material) -> list[Case]:
    """The combinations with a ReLU output."""
    return [c for name, c in m.evidence.cases.items() if name.endswith("-relu")]


def effect(m: Material, name: str) -> Effect:
    """Of one intervention on the first failing combination."""
    (found,) = [e for e in m.evidence.effects if e.intervention == name and e.base.name == FIRST]
    return found
