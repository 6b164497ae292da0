"""A run of `experiments.depth`: each part writes its table as soon as it is done, then come figures and report."""

from jaxact.classics.depth import figures, measure, report
from jaxact.classics.depth.lab import Lab, Rows
from jaxact.classics.depth.plan import DepthPlan
from jaxact.report.table import tidy_csv

DIGITS = 6


def run(plan: DepthPlan, command: str) -> str:
    """Compute the parts of the plan and write what they leave.

    Args:
        plan: what to compute.
        command: what the report says made it.

    Returns:
        What to print.
    """
    plan.out.mkdir(parents=True, exist_ok=True)
    lab = Lab(plan)
    tables: dict[str, Rows] = {}

    def keep(found: dict[str, Rows]) -> None:
        tables.update(found)
        for name, rows in found.items():
            (plan.out / f"{name}.csv").write_text(tidy_csv(rows, DIGITS), encoding="utf-8")

    keep({"theory": lab.theory})
    for part in plan.parts:
        keep(getattr(measure, part)(lab))
    drawn = figures.draw(tables, plan.out)
    return (
        f"\n{report.write(plan, lab.source, tables, drawn, command)}\n\ntables, figures and report.md are in {plan.out}"
    )
