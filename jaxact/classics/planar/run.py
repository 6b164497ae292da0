"""A run of `experiments.planar`: trains, draws, and writes tables and report."""

from jaxact.classics.planar import figures, measure, report, tables
from jaxact.classics.planar.plan import PlanarPlan


def run(plan: PlanarPlan, command: str) -> str:
    """Train what is planned and write what it leaves.

    Args:
        plan: what to train.
        command: what the report says made it.

    Returns:
        What to print.
    """
    found = measure.measure(plan)
    plan.out.mkdir(parents=True, exist_ok=True)
    drawn = figures.draw(plan, found) if plan.figures else []
    found = sorted(found, key=lambda done: done.cell)
    for name, text in tables.tables(found).items():
        (plan.out / name).write_text(text, encoding="utf-8")
    sections = report.sections(plan, found)
    (plan.out / "report.md").write_text(report.report(sections, drawn, command), encoding="utf-8")
    written = f"report.md, runs.csv, summary.csv and {len(drawn)} figures: {plan.out}"
    return "\n" + "\n\n".join([*sections, written])
