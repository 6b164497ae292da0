"""The predictions of `registered.toml`, evaluated on the runs they name."""

import hashlib
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxact.config import parse_seeds
from jaxact.data.specs import spec
from jaxact.records import Record
from jaxact.statistics import healthy_sd_bounds, sd_interval, spearman
from jaxact.study.evidence import FAILING, Case
from jaxact.study.findings import PERCENT
from jaxact.study.interventions_report import Effect
from jaxact.study.pooled import bracketed, dead_at_start, distinct_dead, lost_and_accuracy, pooled_mean, pooled_share
from jaxact.theory import prediction

FILE = Path(__file__).with_name("registered.toml")
SHA256 = "cbd12338db744fc49916d2c97a78a4ddabb323b9a8346572adcdd8d00608f10f"
"""Of the file as it was registered: what is altered afterwards is no prediction."""
LEAST_SEEDS = 2


class Outcome(NamedTuple):
    """What became of one prediction: `holds`, `fails` or `undecided` (runs missing), and the numbers."""

    verdict: str
    numbers: str


class Runs(NamedTuple):
    """What the predictions are evaluated on.

    Attributes:
        cases: by name, with the registered seeds only.
        effects: of the interventions, with the registered seeds only.
    """

    cases: Mapping[str, Case]
    effects: Sequence[Effect]


def load() -> dict[str, Any]:
    """The registered file; `seeds` as a tuple.

    Raises:
        ValueError: it is not the file that was registered.
    """
    text = FILE.read_text(encoding="utf-8")
    if hashlib.sha256(text.encode()).hexdigest() != SHA256:
        raise ValueError(f"{FILE} was changed after the predictions were registered: restore it from its first commit")
    content = tomllib.loads(text)
    return content | {"seeds": parse_seeds(content["seeds"])}


def evaluate(name: str, runs: Runs, seeds: Sequence[int]) -> Outcome:
    """What became of one prediction; where runs of the registered seeds are missing, it says of how many it speaks.

    Args:
        name: its id.
        runs: restricted to the registered seeds.
        seeds: all of these.
    """
    counts = _seeds_used(name, runs)
    if counts and min(counts) < LEAST_SEEDS:
        return Outcome("undecided", f"fewer than {LEAST_SEEDS} of the registered seeds were run")
    outcome = EVALUATIONS[name](runs)
    if outcome.verdict == "undecided" or min(counts) == len(seeds):
        return outcome
    few, many = min(counts), max(counts)
    told = f"{few} to {many}" if few < many else str(few)
    return Outcome(f"{outcome.verdict} so far", f"{outcome.numbers}; {told} of the {len(seeds)} registered seeds")


def _seeds_used(name: str, runs: Runs) -> list[int]:
    """How many registered seeds each configuration has that a prediction is about."""
    if intervention := INTERVENTIONS.get(name):
        own = [effect for effect in runs.effects if effect.intervention == intervention]
        return [len(effect.seeds) for effect in own if name != "e4" or effect.base.name == FAILING[0]]
    about = _relu_outputs(runs) if name in OVER_RELU_OUTPUTS else _failing(runs)
    return [len(case.accuracy) for case in about or ()]


def began(found: Sequence[Record], seeds: Sequence[int]) -> str:
    """When the first run of these seeds was started, as the end of a sentence; "" where no record says."""
    starts = [run["started_utc"] for r in found for run in r.meta["runs"]
              if run.get("started_utc") and not set(seeds).isdisjoint(run["seeds"])]  # fmt: skip
    return f"; the first run of any of these began at {min(starts)}" if starts else ""


def _relu_outputs(runs: Runs) -> list[Case] | None:
    """The 16 combinations with a ReLU output, or None if some are missing."""
    found = [case for name, case in runs.cases.items() if name.endswith("-relu")]
    return found if len(found) == 16 else None


def _failing(runs: Runs) -> list[Case] | None:
    found = [runs.cases[name] for name in FAILING if name in runs.cases]
    return found if len(found) == len(FAILING) else None


def _seeds(cases: Sequence[Case]) -> int:
    return len(np.unique(np.concatenate([case.record.seeds for case in cases])))


def _held(held: bool, numbers: str) -> Outcome:
    return Outcome("holds" if held else "fails", numbers)


def _missing(what: str) -> Outcome:
    return Outcome("undecided", f"not run on the registered seeds: {what}")


def ranks(runs: Runs) -> Outcome:
    """(a)."""
    cases = _relu_outputs(runs)
    if cases is None:
        return _missing("all 16 combinations with a ReLU output")
    c = np.array([case.predicted_correlation for case in cases])
    accuracy = np.array([case.accuracy.mean() for case in cases])
    found = spearman(c, accuracy, np.random.default_rng(0))
    return _held(found.rho <= -0.8, f"rho = {found.rho:.3f}, no interval: the combinations share their seeds")


def explains(runs: Runs) -> Outcome:
    """(b)."""
    cases = _relu_outputs(runs)
    if cases is None:
        return _missing("all 16 combinations with a ReLU output")
    found, runs_used = lost_and_accuracy(cases), sum(len(case.never) for case in cases)
    told = f"R² = {found.value:.4f}{bracketed(found, '.4f')} over {runs_used} runs of {_seeds(cases)} seeds"
    return _held(found.value >= 0.98, told)


def centring(runs: Runs) -> Outcome:
    """(c)."""
    own = {effect.base.name: effect for effect in runs.effects if effect.intervention == "centred"}
    if set(own) != set(FAILING):
        return _missing("the intervention `centred` on all four")
    means, ratios = [], []
    for name in FAILING:
        before, after = own[name].base, own[name].config
        data, facts = prediction.STATISTICS[before.dataset], spec(before.dataset)
        chi = [prediction.predict(c, facts.features, data, facts.test_size).stack.chi for c in (before, after)]
        ratios.append(chi[1] / chi[0])
        means.append(own[name].after.accuracy)
    ratio = np.concatenate(ratios)
    shown = ", ".join(f"{name} {mean:.1f} %" for name, mean in zip(FAILING, means, strict=True))
    held = min(means) >= 90 and bool(np.all((ratio >= 0.5) & (ratio <= 1.5)))
    return _held(held, f"{shown}; chi after over before from {ratio.min():.2f} to {ratio.max():.2f}")


def deviations(runs: Runs) -> Outcome:
    """(d)."""
    cases, failing = _relu_outputs(runs), _failing(runs)
    if cases is None or failing is None:
        return _missing("all 16 combinations with a ReLU output")
    rng, wrong = np.random.default_rng(0), []
    healthy = [case for case in cases if case.predicted_dead < 0.001]
    sound = {case.name for case in healthy}
    for case in [*healthy, *failing]:
        bounds = healthy_sd_bounds(float(case.accuracy.mean()), int(case.record.arrays["test_predicted"][0, 0].sum()))
        sd, low, high = sd_interval(case.accuracy, rng=rng, bounds=PERCENT)
        if np.isnan(low):
            return Outcome("undecided", f"{len(case.accuracy)} runs of {case.name} are too few for an interval")
        meets = low <= max(bounds) and high >= min(bounds)
        if (case.name in sound and not meets) or (case.name not in sound and low <= max(bounds)):
            wrong.append(f"{case.name} {sd:.2f} [{low:.2f}, {high:.2f}], bounds {min(bounds):.2f} to {max(bounds):.2f}")
    told = f"{len(healthy)} healthy, {len(failing)} failing; " + ("; ".join(wrong) if wrong else "all as predicted")
    return _held(not wrong, told)


def lost_are_dead(runs: Runs) -> Outcome:
    """(e1)."""
    failing = _failing(runs)
    if failing is None:
        return _missing("the four failing combinations")
    agree, found = np.concatenate([case.agreement for case in failing]), pooled_mean(failing, "agreement")
    told = f"{agree.sum()} of {len(agree)} runs of {_seeds(failing)} seeds, share {found.value:.3f}"
    return _held(bool(agree.mean() >= 0.95), told + bracketed(found, ".3f"))


def stay_dead(runs: Runs) -> Outcome:
    """(e2)."""
    failing = _failing(runs)
    if failing is None:
        return _missing("the four failing combinations")
    stayed, dead = sum(case.stayed.sum() for case in failing), sum(case.dead[:, 0].sum() for case in failing)
    share = bracketed(pooled_share(failing, "stayed", "dead_start"), ".3f")
    told = f"{stayed} of {dead} outputs ({distinct_dead(failing)} distinct units), share {stayed / max(dead, 1):.3f}"
    return _held(bool(stayed >= 0.9 * dead), told + share)


def counts(runs: Runs) -> Outcome:
    """(e3)."""
    failing = _failing(runs)
    if failing is None:
        return _missing("the four failing combinations")
    rng, told, held = np.random.default_rng(0), [], True
    for case in failing:
        mean, low, high = dead_at_start(case, rng)
        if np.isnan(low):
            return Outcome("undecided", f"{len(case.accuracy)} runs of {case.name} are too few for an interval")
        held &= low <= case.predicted_dead <= high
        told.append(f"{case.name} {mean:.2f} [{low:.2f}, {high:.2f}], predicted {case.predicted_dead:.2f}")
    return _held(held, "; ".join(told))


def slow(runs: Runs) -> Outcome:
    """(e4)."""
    own = [e for e in runs.effects if e.intervention == "lr_tenth" and e.base.name == FAILING[0]]
    if not own:
        return _missing("the intervention `lr_tenth` on relu-sigmoid-relu")
    return _held(
        own[0].after.never >= 2, f"{own[0].after.never:.2f} classes never predicted, {own[0].before.never:.2f} before"
    )


def linear(runs: Runs) -> Outcome:
    """(e5)."""
    own = {effect.base.name: effect for effect in runs.effects if effect.intervention == "linear"}
    if set(own) != set(FAILING):
        return _missing("the intervention `linear` on all four")
    means = [own[name].after.accuracy for name in FAILING]
    shown = ", ".join(f"{name} {mean:.1f} %" for name, mean in zip(FAILING, means, strict=True))
    return _held(min(means) >= 85, shown)


def unsaturated(runs: Runs) -> Outcome:
    """(e6)."""
    failing = _failing(runs)
    if failing is None:
        return _missing("the four failing combinations")
    shares = {case.name: case.saturated.max() for case in failing}
    return _held(max(shares.values()) < 0.1, ", ".join(f"{name} {100 * x:.2f} %" for name, x in shares.items()))


EVALUATIONS: dict[str, Callable[[Runs], Outcome]] = {
    **{"a": ranks, "b": explains, "c": centring, "d": deviations},
    **{"e1": lost_are_dead, "e2": stay_dead, "e3": counts, "e4": slow, "e5": linear, "e6": unsaturated},
}
"""By the prediction's id."""
INTERVENTIONS = {"c": "centred", "e4": "lr_tenth", "e5": "linear"}
OVER_RELU_OUTPUTS = ("a", "b", "d")
"""The other predictions are about the four failing combinations."""
