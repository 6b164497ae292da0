"""The answer of `experiments.explain` in a few sentences, made from the numbers."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxact.study.evidence import FAILING, Case, Verdict
from jaxact.study.interventions_report import Effect, with_interval
from jaxact.study.pooled import bracketed, distinct_lost, pooled_share

TOLD = {
    "centred": "Centring the sigmoids",
    "linear": "A linear output",
    "batchnorm_last": "Batch norm before the output",
}
"""Interventions whose effects are part of the answer."""


class Evidence(NamedTuple):
    """All that is reported on.

    Attributes:
        cases: by name, every configuration of the study's protocol.
        effects: of the interventions.
        verdicts: on the failing combinations that are there.
    """

    cases: dict[str, Case]
    effects: list[Effect]
    verdicts: list[Verdict]


def answered(evidence: Evidence) -> str:
    """What was found: the verdict, the lost classes, the control, the interventions."""
    parts = [_verdict(evidence.verdicts), *_lost(evidence), *_control(evidence.verdicts)]
    parts += [text for name in TOLD if (text := _effect(evidence, name))]
    return " ".join(parts)


def _verdict(verdicts: Sequence[Verdict]) -> str:
    groups: dict[str, list[str]] = {}
    for v in verdicts:
        groups.setdefault(f"{v.answer} ({v.because})" if v.because else v.answer, []).append(v.name)
    if len(groups) == 1:
        told = next(iter(groups))
    else:
        told = "; ".join(f"{', '.join(names)}: {answer}" for answer, names in groups.items())
    return f"**{told[0].upper()}{told[1:]}.**"


def _lost(evidence: Evidence) -> list[str]:
    own = [evidence.cases[v.name] for v in evidence.verdicts]
    lost = sum(int(c.never.sum()) for c in own)
    at_start, dead, inactive = (_share(own, field) for field in ("lost_at_start", "lost_dead", "lost_inactive"))
    classes, runs = own[0].record.config.widths[-1], sum(len(c.never) for c in own)
    which = f"The {len(own)} endings" if len(own) == len(FAILING) else f"{len(own)} of the {len(FAILING)} endings"
    saturated = (
        "Averaged over the seeds, at most "
        f"{100 * max(v.saturated for v in evidence.verdicts):.2g} % of the pre-activations of the sigmoid before the "
        "output are saturated at any epoch."
    )
    if not lost:
        return [f"{which} in (sigmoid, relu) predict every class.", saturated]
    return [
        f"{which} in (sigmoid, relu) never predict {span([v.lost for v in evidence.verdicts], '.1f')} of the {classes} "
        f"classes on average ({span(_first(own), '.1f')} after the first epoch already). Of the {lost} lost classes of "
        f"all {runs} runs, {inactive} have an output unit that is off for at least 99 % of the test set "
        f"({dead} one that is off for all of it), and {at_start} had one that was dead "
        f"at initialisation.",
        f"The {lost} are {distinct_lost(own)} distinct classes of a seed, since all combinations draw the same kernels "
        "from it; intervals of shares are over seeds.",
        saturated,
    ]


def _control(verdicts: Sequence[Verdict]) -> list[str]:
    found = [v for v in verdicts if not np.isnan(v.control_accuracy)]
    if not found:
        return []
    told = f"Behind the same hidden layers another output reaches {span([v.control_accuracy for v in found], '.1f')} %"
    known = [v for v in found if np.isfinite(v.attenuation) and np.isfinite(v.control_attenuation)]
    if known:
        told += (
            f"; of the gradient at the output {span([v.control_attenuation for v in known], '.2g')} reaches the first "
            f"layer there, {span([v.attenuation for v in known], '.2g')} in the failing networks (medians at "
            "initialisation)"
        )
    return [f"{told}."]


def _effect(evidence: Evidence, name: str) -> str:
    own = [effect for effect in evidence.effects if effect.intervention == name]
    if not own:
        return ""
    before, after = ([getattr(e, when).accuracy for e in own] for when in ("before", "after"))
    effects = ", ".join(f"{e.base.name} {with_interval(e.difference)}" for e in own)
    return (
        f"{TOLD[name]} takes the mean accuracy from {span(before, '.1f')} % to {span(after, '.1f')} % (points, paired: "
        f"{effects})."
    )


def _share(cases: Sequence[Case], part: str) -> str:
    """Share of the lost classes in whole percent, with its interval over seeds."""
    found = pooled_share(cases, part, "never")
    return f"{100 * found.value:.0f} %{bracketed(found, '.0f', 100)}"


def _first(cases: Sequence[Case]) -> list[float]:
    return [float(c.lost_by_epoch[min(1, len(c.lost_by_epoch) - 1)]) for c in cases]


def span(values: Sequence[float], spec: str) -> str:
    """The smallest and the largest, or both in one."""
    low, high = format(min(values), spec), format(max(values), spec)
    return low if low == high else f"{low} to {high}"
