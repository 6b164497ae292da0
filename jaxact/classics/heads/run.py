"""A run of `experiments.heads`: trains, measures, and writes tables, figures and report."""

from jaxact.classics.heads import figures, measure, report
from jaxact.classics.heads.plan import HeadsPlan
from jaxact.execution.progress import progress


def run(plan: HeadsPlan, command: str) -> str:
    """Train what is planned and write what it leaves.

    Args:
        plan: what to train.
        command: what the report says made it.

    Returns:
        What to print.
    """
    with progress(len(plan.seeds) * sum(plan.epochs[part] for part in plan.parts), "heads") as bar:
        results = measure.measure(plan, bar)
    plan.out.mkdir(parents=True, exist_ok=True)
    for name, text in report.tables(results).items():
        (plan.out / name).write_text(text, encoding="utf-8")
    drawn = figures.draw(plan.out, results)
    (plan.out / "report.md").write_text(report.report(plan, results, drawn, command), encoding="utf-8")
    return f"\n{report.summary(results)}\n\nreport.md, tables and figures are in {plan.out}"
