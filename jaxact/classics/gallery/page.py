"""What `experiments.gallery` says of each activation: facts computed and stated, the page, the CSV."""

import math
import re
import textwrap
from collections.abc import Sequence
from typing import NamedTuple

from jaxact.activations import Activation
from jaxact.classics.gallery.plan import FAMILIES
from jaxact.report.markdown import command_line, document, image
from jaxact.report.table import csv_text
from jaxact.theory.prediction import flat_intervals


class Facts(NamedTuple):
    """One activation and what the page says about it; None where a number does not exist."""

    entry: Activation
    family: str
    flat: tuple[tuple[float, float], ...]
    mean: float | None
    variance: float | None
    gain: float | None


def facts_of(entry: Activation) -> Facts:
    """What is computed rather than stated: flat intervals and Gaussian moments (a compilation or two)."""
    family = next((name for name, (_, members) in FAMILIES.items() if entry.name in members), "own")
    if entry.kind != "elementwise":
        return Facts(entry, family, (), None, None, None)
    # Odd functions have mean 0; quadrature leaves a rounding error that would differ between machines.
    mean = 0.0 if abs(entry.mean) < 1e-12 else entry.mean
    return Facts(entry, family, flat_intervals(entry), mean, entry.variance, entry.gain)


def number(value: float | None, digits: int = 5) -> str:
    """A number for people: infinities as ∞, what does not exist as a dash."""
    if value is None:
        return "–"
    return ("−∞" if value < 0 else "∞") if math.isinf(value) else f"{value:.{digits}g}".replace("-", "−")


def interval(limits: tuple[float, float] | None) -> str:
    """`(−∞, 0)`."""
    return "–" if limits is None else f"({number(limits[0])}, {number(limits[1])})"


def short(facts: Facts) -> str:
    """Two lines of facts for a panel of a sheet."""
    entry = facts.entry
    first = f"range {interval(entry.range)}, sup|φ′| {number(entry.lipschitz, 4)}"
    if facts.gain is None:
        return f"{first}\ninputs per output {entry.inputs_per_output}"
    return f"{first}\nE {number(facts.mean, 3)}, Var {number(facts.variance, 3)}, gain {number(facts.gain, 4)}"


def beside(facts: Facts) -> list[str]:
    """The facts beside a single figure, one per line."""
    entry = facts.entry
    parameters = ", ".join(f"{p.name} = {p.value:g}{' (learned)' if p.learnable else ''}" for p in entry.parameters)
    lines = {
        "φ(x)": entry.formula,
        "parameters": parameters,
        "range": interval(entry.range),
        "φ′(0)": number(entry.derivative_at_zero) if entry.kind == "elementwise" else "",
        "sup |φ′|": number(entry.lipschitz),
        "φ′ = 0 on": ", ".join(map(interval, facts.flat)),
        "saturates": entry.saturates or "",
        "under N(0, 1)": f"mean {number(facts.mean)}, variance {number(facts.variance)}" if facts.gain else "",
        "gain": number(facts.gain) if facts.gain else "",
        "initialiser": entry.initializer,
        "first use": entry.source,
        "note": entry.notes,
    }
    return [line for name, text in lines.items() if text for line in textwrap.wrap(f"{name}: {text}", 68)]


def table_csv(found: Sequence[Facts]) -> str:
    """The CSV text: one row per activation, in fixed formats."""
    stated = ("name", "kind", "formula", "latex", "derivative_at_zero", "lipschitz", "can_die", "saturates")
    also = ("initializer", "stochastic", "inputs_per_output", "source", "notes")
    computed = ("family", "lower", "upper", "kinks", "parameters", "mean", "variance", "gain")
    rows: list[tuple] = [(*stated, *also, *computed)]
    for facts in found:
        entry = facts.entry
        lower, upper = entry.range or (None, None)
        kinks = " ".join(f"{kink:.10g}" for kink in entry.kinks or ())
        parameters = " ".join(f"{p.name}={p.value:.10g}" for p in entry.parameters)
        values = (facts.family, lower, upper, kinks, parameters, facts.mean, facts.variance, facts.gain)
        rows.append((*(getattr(entry, name) for name in (*stated, *also)), *values))
    return csv_text(rows, digits=10)


def page(found: Sequence[Facts], figures: dict[str, str], command: str, environment: str) -> str:
    """The Markdown page.

    Args:
        found: the activations.
        figures: family or `spec` → file name.
        command: what made it.
        environment: where, as a Markdown list.
    """
    parts = [
        "# Gallery of activations",
        command_line(command),
        f"Environment:\n\n{environment}",
        finding(found),
        "Solid: φ, dashed: φ′, grey: φ′ = 0. Range: infimum and supremum. Mean, variance and gain (1/√E[φ²]) are those "
        "under N(0, 1). A vector function is drawn by its first output along the line given below it. Numbers with ten "
        "digits are in `facts.csv`.",
    ]
    for family, (title, _) in FAMILIES.items():
        members = [facts for facts in found if facts.family == family]
        if members:
            sheet = [image(figures[family], title)] if family in figures else []
            notes = [_notes(facts, figures.get(facts.entry.spec)) for facts in members]
            parts += [f"## {title}", *sheet, _table(members), *notes]
    return document(*parts)


def finding(found: Sequence[Facts]) -> str:
    """What the facts show, in sentences made from them."""
    scalar = [facts for facts in found if facts.gain is not None]
    if len(scalar) < 2:
        return f"{len(found)} activation{'s' * (len(found) > 1)}."
    dying = [facts.entry.spec for facts in scalar if facts.flat]
    low, high = (choose(scalar, key=lambda facts: facts.gain or 0.0) for choose in (min, max))
    off = max(scalar, key=_mean_share)
    return (
        f"{len(found)} activations, {len(scalar)} of them elementwise. {len(dying)} have φ′ = 0 on an interval, so "
        f"that a unit can die{': ' if dying else ''}{', '.join(dying)}. The gain that keeps a second moment of 1 runs "
        f"from {number(low.gain, 4)} ({low.entry.spec}) to {number(high.gain, 4)} ({high.entry.spec}); the least "
        f"centred is {off.entry.spec}: its mean makes up {100 * _mean_share(off):.3g} % of its second moment under "
        "N(0, 1)."
    )


def _mean_share(facts: Facts) -> float:
    return ((facts.mean or 0.0) * (facts.gain or 0.0)) ** 2


def _table(members: Sequence[Facts]) -> str:
    header = "name;φ(x);range;φ′(0);sup abs φ′;φ′ = 0 on;saturates;mean;variance;gain;initialiser".split(";")
    lines = [header, ["---"] * len(header)]
    for facts in members:
        entry = facts.entry
        lines.append(
            [
                f"`{entry.spec}`",
                f"$`{math_in_table(entry.latex)}`$" if entry.latex else entry.formula.replace("|", "\\|"),
                interval(entry.range),
                number(entry.derivative_at_zero) if entry.kind == "elementwise" else "–",
                number(entry.lipschitz),
                ", ".join(map(interval, facts.flat)) or "–",
                entry.saturates or "–",
                *(number(value) for value in (facts.mean, facts.variance, facts.gain)),
                entry.initializer,
            ]
        )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def math_in_table(latex: str) -> str:
    """LaTeX without the bars that would end a cell: |x| becomes lvert x rvert."""
    return re.sub(r"\|([^|]*)\|", r"\\lvert \1 \\rvert", latex)


def _notes(facts: Facts, figure: str | None) -> str:
    entry = facts.entry
    parameters = "; ".join(f"{p.name} = {p.value:g}{', learned' if p.learnable else ''}" for p in entry.parameters)
    text = [f"**{entry.spec}**", f" ([figure]({figure}))" if figure else ""]
    text += [f" {part.rstrip('.')}." for part in (entry.source, parameters, entry.notes) if part]
    return "".join(text)
