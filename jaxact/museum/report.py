"""The table and the page that `experiments.museum` writes."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from jaxact import museum
from jaxact.diagnosis import Diagnosis
from jaxact.museum.exhibit import Exhibit
from jaxact.report.markdown import command_line, document, environment_list
from jaxact.report.table import aligned, counted, tidy_csv

STATES = ("ill", "cured", "twin")


class Shown(NamedTuple):
    """One case and what was found.

    Attributes:
        case: the exhibit.
        found: the diagnosis of the ill network, the cured one and the twin.
        losses: of each, before training and after it.
    """

    case: Exhibit
    found: tuple[Diagnosis, ...]
    losses: tuple[tuple[float, float], ...]


def shown(name: str, steps: int) -> Shown:
    """Diagnose and train one case, its cured network and its twin."""
    case = museum.case(name)
    found, losses = [], []
    for specimen in (case.ill, case.cure(case.ill), case.twin):
        found.append(specimen.diagnose())
        loss = specimen.train(steps)[1]
        losses.append((float(loss[0]), float(loss[-1])))
    return Shown(case, tuple(found), tuple(losses))


def named(case: Exhibit, found: Diagnosis) -> bool:
    """Whether the first verdict is the right one, at the right layer."""
    return bool(found.verdicts) and (found.main, found.verdicts[0].layer) == (case.kind, case.layer)


def right(one: Shown) -> bool:
    """Whether the ill network is named rightly, and the other two are called healthy."""
    ill, cured, twin = one.found
    return named(one.case, ill) and cured.ok and twin.ok


def table(cases: Sequence[Shown]) -> str:
    """A row for every case and state, as CSV."""
    return tidy_csv([row for one in cases for row in rows(one)], digits=4)


def rows(one: Shown) -> list[dict[str, Any]]:
    """The rows of the table for one case."""
    found = []
    for state, diagnosis, (before, after) in zip(STATES, one.found, one.losses, strict=True):
        verdict = diagnosis.verdicts[0] if diagnosis.verdicts else None
        ill = state == "ill"
        found.append(
            {
                "case": one.case.name,
                "state": state,
                "verdict": diagnosis.main,
                "layer": verdict.layer if verdict else "",
                "number": verdict.number if verdict else None,
                "limit": verdict.limit if verdict else None,
                "wanted": one.case.kind if ill else "healthy",
                "wanted_layer": one.case.layer if ill else "",
                "right": int(named(one.case, diagnosis) if ill else diagnosis.ok),
                "loss": before,
                "loss_after": after,
            }
        )
    return found


def page(cases: Sequence[Shown], steps: int, command: str, environment: Mapping[str, Any]) -> str:
    """The report, as Markdown."""
    how = f"Losses are before training and after {counted(steps, 'step')} of gradient descent."
    return document(
        "# A museum of dead networks",
        answer(cases),
        overview(cases),
        *map(_section, cases),
        f"## How it was made\n\n{command_line(command)}\n\n{how}\n\n{environment_list(environment)}",
    )


def answer(cases: Sequence[Shown]) -> str:
    """How many were named rightly, and how many healthy ones were called so."""
    count, ill = len(cases), sum(named(one.case, one.found[0]) for one in cases)
    cured, twins = (sum(one.found[state].ok for one in cases) for state in (1, 2))
    return (
        f"{ill} of {count} ill networks are named rightly with their layer; {cured} of {count} cured ones and {twins} "
        f"of {count} healthy twins are called healthy."
    )


def overview(cases: Sequence[Shown]) -> str:
    """A line for every case."""
    lines = [["case", "diagnosis", "layer", "number", "limit", "loss, ill", "cured", "twin", "as it should be"]]
    for one in cases:
        cells = ["healthy", "", "", ""]
        if one.found[0].verdicts:
            verdict = one.found[0].verdicts[0]
            cells = [verdict.kind, verdict.layer, f"{verdict.number:.3g}", f"{verdict.limit:.3g}"]
        cells += [f"{before:.3g} → {after:.3g}" for before, after in one.losses]
        lines.append([one.case.name, *cells, "yes" if right(one) else "NO"])
    return aligned(lines)


def _section(one: Shown) -> str:
    case, ill = one.case, one.found[0]
    said = "\n".join(f"- {verdict.kind}: {verdict.text}" for verdict in ill.verdicts if not verdict.because)
    remedy = f"\n\nIts remedy: {ill.verdicts[0].remedy}." if ill.verdicts else ""
    parts = [f"{state} {before:.3g} → {after:.3g}" for state, (before, after) in zip(STATES, one.losses, strict=True)]
    return (
        f"## {case.name}\n\n{case.symptom}\n\n{case.reason}\n\nThe diagnosis says:\n\n{said}{remedy}\n\n"
        f"The cure here: {case.remedy}. Loss in training: {', '.join(parts)}."
    )
