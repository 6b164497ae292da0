"""A plan of `experiments.jacobian` measured, and its tables, figures and report written."""

from jaxact.data import Dataset
from jaxact.execution.progress import COMPILING, progress
from jaxact.records import write_text
from jaxact.study.jacobian import figures, findings, measure, report, tables
from jaxact.study.jacobian.plan import JacobianPlan


def run(plan: JacobianPlan, arrays: Dataset, command: str) -> str:
    """Measure and write; returns what is said at the end."""
    print(COMPILING, flush=True)
    with progress(len(plan.configs) * len(plan.seeds) * (plan.epochs + 1), "jacobian") as bar:
        results = measure.measure(plan, arrays, bar)
    plan.out.mkdir(parents=True, exist_ok=True)
    for name, text in tables.tables(results).items():
        write_text(plan.out / name, text)
    drawn = figures.draw(results, plan.out)
    write_text(plan.out / "report.md", report.report(plan, results, drawn, command))
    return f"\n{findings.findings(results)}\n\ntables, report.md and figures are in {plan.out}"
