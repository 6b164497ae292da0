"""The table and the page that `experiments.museum` writes."""

import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from experiments import runtime
from experiments.table import aligned, counted

if TYPE_CHECKING:
    from experiments.museum import Plan
    from jaxact.diagnosis import Diagnosis
    from jaxact.museum import Case

STATES = ("ill", "cured", "twin")
COLUMNS = (
    "case",
    "state",
    "verdict",
    "layer",
    "number",
    "limit",
    "wanted",
    "wanted_layer",
    "right",
    "loss",
    "loss_after",
)


class Shown(NamedTuple):
    """One case and what was found.

    Attributes:
        case: the exhibit.
        found: the diagnosis of the ill network, the cured one and the twin.
        losses: of each, before training and after it.
    """

    case: "Case"
    found: tuple["Diagnosis", ...]
    losses: tuple[tuple[float, float], ...]


def exhibit(name: str, steps: int) -> Shown:
    """Diagnose and train one case, its cured network and its twin."""
    from jaxact import museum

    case = museum.case(name)
    specimens = (case.ill, case.cure(case.ill), case.twin)
    found, losses = [], []
    for specimen in specimens:
        found.append(specimen.diagnose())
        loss = specimen.train(steps)[1]
        losses.append((float(loss[0]), float(loss[-1])))
    return Shown(case, tuple(found), tuple(losses))


def named(case: "Case", found: "Diagnosis") -> bool:
    """Whether the first verdict is the right one, at the right layer."""
    return bool(found.verdicts) and (found.main, found.verdicts[0].layer) == (case.kind, case.layer)


def right(shown: Shown) -> bool:
    """Whether the ill network is named rightly, and the other two are called healthy."""
    ill, cured, twin = shown.found
    return named(shown.case, ill) and cured.ok and twin.ok


def write(plan: "Plan", shown: Sequence[Shown], command: str) -> str:
    """Write `table.csv` and `report.md`; return what to print."""
    (plan.out / "table.csv").write_text(_csv([row for one in shown for row in rows(one)]), encoding="utf-8")
    environment = "\n".join(f"- {name}: {value}" for name, value in runtime.environment().items())
    page = [
        "# A museum of dead networks",
        answer(shown),
        overview(shown),
        *map(_section, shown),
        f"## How it was made\n\nCommand: `{command}`\n\nLosses are before training and after "
        f"{counted(plan.steps, 'step')} of gradient descent.\n\n{environment}",
    ]
    (plan.out / "report.md").write_text("\n\n".join(page) + "\n", encoding="utf-8")
    return f"\n{answer(shown)}\n\n{overview(shown)}\n\nreport.md and table.csv: {plan.out}"


def answer(shown: Sequence[Shown]) -> str:
    """How many were named rightly, and how many healthy ones were called so."""
    cases, ill = len(shown), sum(named(one.case, one.found[0]) for one in shown)
    cured, twins = (sum(one.found[state].ok for one in shown) for state in (1, 2))
    return (
        f"{ill} of {cases} ill networks are named rightly with their layer; {cured} of {cases} cured ones and {twins} "
        f"of {cases} healthy twins are called healthy."
    )


def overview(shown: Sequence[Shown]) -> str:
    """A line for every case."""
    head = ["case", "diagnosis", "layer", "number", "limit", "loss, ill", "cured", "twin", "as it should be"]
    lines = [head]
    for one in shown:
        verdict = one.found[0].verdicts[0] if one.found[0].verdicts else None
        cells = (
            [verdict.kind, verdict.layer, f"{verdict.number:.3g}", f"{verdict.limit:.3g}"] if verdict else ["healthy"]
        )
        cells += [""] * (4 - len(cells))
        cells += [f"{before:.3g} → {after:.3g}" for before, after in one.losses]
        lines.append([one.case.name, *cells, "yes" if right(one) else "NO"])
    return aligned(lines)


def rows(shown: Shown) -> list[list[str]]:
    """The rows of `table.csv` for one case."""
    found = []
    for state, diagnosis, (before, after) in zip(STATES, shown.found, shown.losses, strict=True):
        verdict = diagnosis.verdicts[0] if diagnosis.verdicts else None
        wanted, layer = (shown.case.kind, shown.case.layer) if state == "ill" else ("healthy", "")
        good = named(shown.case, diagnosis) if state == "ill" else diagnosis.ok
        said = [verdict.layer, f"{verdict.number:.4g}", f"{verdict.limit:.4g}"] if verdict else ["", "", ""]
        losses = [f"{before:.4g}", f"{after:.4g}"]
        found.append([shown.case.name, state, diagnosis.main, *said, wanted, layer, str(int(good)), *losses])
    return found


def _section(shown: Shown) -> str:
    case, ill = shown.case, shown.found[0]
    said = "\n".join(f"- {verdict.kind}: {verdict.text}" for verdict in ill.verdicts if not verdict.because)
    remedy = f"\n\nIts remedy: {ill.verdicts[0].remedy}." if ill.verdicts else ""
    return (
        f"## {case.name}\n\n{case.symptom}\n\n{case.reason}\n\nThe diagnosis says:\n\n{said}{remedy}\n\n"
        f"The cure here: {case.remedy}. {_losses(shown)}"
    )


def _losses(shown: Shown) -> str:
    parts = [f"{state} {before:.3g} → {after:.3g}" for state, (before, after) in zip(STATES, shown.losses, strict=True)]
    return f"Loss in training: {', '.join(parts)}."


def _csv(lines: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(lines)
    return text.getvalue()
