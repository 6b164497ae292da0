"""A run of `experiments.gallery`: facts, figures, and the page of them."""

import re
from collections.abc import Sequence
from pathlib import Path

from jaxact.classics.gallery import figures
from jaxact.classics.gallery.page import Facts, facts_of, page, table_csv
from jaxact.classics.gallery.plan import FAMILIES, GalleryPlan
from jaxact.execution import runtime
from jaxact.report.markdown import environment_list


def run(plan: GalleryPlan, command: str) -> str:
    """Measure, draw and write.

    Args:
        plan: what to draw.
        command: what the page says made it.

    Returns:
        What to print.
    """
    found = []
    for i, entry in enumerate(plan.entries, start=1):
        found.append(facts_of(entry))
        if i % 10 == 0 or i == len(plan.entries):
            print(f"facts of {i} of {len(plan.entries)} activations", flush=True)
    plan.out.mkdir(parents=True, exist_ok=True)
    drawn = draw(plan.out, found, sheets=plan.sheets, singles=plan.singles)
    (plan.out / "facts.csv").write_text(table_csv(found), encoding="utf-8")
    text = page(found, drawn, command, environment_list(runtime.environment()))
    (plan.out / "report.md").write_text(text, encoding="utf-8")
    return f"report.md, facts.csv and {len(set(drawn.values()))} figures are in {plan.out}"


def draw(out: Path, found: Sequence[Facts], *, sheets: bool, singles: bool) -> dict[str, str]:
    """Write the figures.

    Returns:
        Family or `spec` → file name.
    """
    drawn: dict[str, str] = {}
    for family in FAMILIES if sheets else ():
        members = [facts for facts in found if facts.family == family]
        if members:
            drawn[family] = f"{family}.png"
            figures.sheet(out / drawn[family], FAMILIES[family][0], members)
            print(f"drawn: {drawn[family]}", flush=True)
    for facts in found if singles else ():
        name = re.sub(r"[^A-Za-z0-9_.=-]", "_", facts.entry.spec) + ".png"
        drawn[facts.entry.spec] = name
        figures.single(out / name, facts)
    return drawn
