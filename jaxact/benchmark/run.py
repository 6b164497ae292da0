"""A run of `experiments.benchmark`: data for every process, the measurements, what is known of them, the report."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from jaxact import data
from jaxact.benchmark import measure, report
from jaxact.benchmark.plan import BenchmarkPlan
from jaxact.benchmark.task import BATCH, FEATURES, Spec
from jaxact.execution import runtime

SEEDS = 8


def save_data(plan: BenchmarkPlan, folder: Path) -> str:
    """Write the examples that every process trains on, the first of the training set; say where they come from.

    Raises:
        ValueError: MNIST is not to be had.
    """
    n = BATCH * max(plan.steps, plan.sweep_steps if plan.sweep else 0)
    if plan.dataset == "synthetic":
        rng = np.random.default_rng(0)
        images, labels = rng.standard_normal((n, FEATURES), np.float32), rng.integers(0, 10, n).astype(np.int32)
        source = "synthetic: standard normal pixels, uniform labels"
    else:
        images, labels, *_, source = data.load(plan.dataset, plan.data_dir, limit_train=n)
    np.save(folder / "images.npy", images)
    np.save(folder / "labels.npy", labels)
    return source


def run(plan: BenchmarkPlan, folder: str) -> measure.Results:
    """The rows, then the sweep, then the compilations."""
    environment = measure.workers_environment()
    base = Spec("jaxact", folder, plan.steps, SEEDS, plan.activations)

    def say(text: str) -> None:
        print(text, flush=True)

    rows = measure.measure({name: base._replace(row=name) for name in plan.rows}, environment, plan.repeats, say)
    sweep: list[measure.Point] = []
    if plan.sweep:
        specs = {str(n): base._replace(row="sweep", steps=plan.sweep_steps, seeds=n) for n in plan.sweep}
        taken = measure.measure(
            specs, environment, plan.repeats, lambda text: say(f"sweep over seeds, {text}"), warm_up=False
        )
        sweep = [measure.Point(n, taken[str(n)]) for n in plan.sweep]
    compiled = measure.compile_times(base._replace(row="compile"), environment, say) if "jaxact" in plan.rows else {}
    return measure.Results(rows, sweep, compiled)


def facts(plan: BenchmarkPlan, source: str, results: measure.Results) -> dict[str, Any]:
    """The protocol and the machine, for the records."""
    os.environ["JAX_PLATFORMS"] = "cpu"
    runtime.configure()
    environment = runtime.environment()
    for name, row in results.rows.items():
        if "torch" in row.info:
            environment |= {"torch": row.info["torch"], f"threads of {name}": row.info["threads"]}
    protocol = {
        "activations": "-".join(plan.activations),
        "data": source,
        "batch_size": BATCH,
        "seeds": SEEDS,
        "steps": plan.steps,
        "repeats": plan.repeats,
        "sweep_steps": plan.sweep_steps,
        "precision": plan.precision,
    }
    return {"protocol": protocol, "environment": environment}


def write(plan: BenchmarkPlan, results: measure.Results, known: dict[str, Any]) -> str:
    """Write the JSON, the figure and the report; return what to print."""
    plan.out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report.as_json(results, known), indent=1, ensure_ascii=False)
    (plan.out / "benchmark.json").write_text(text + "\n", encoding="utf-8")
    drawn = report.draw(plan.out / "throughput.png", results)
    page = report.report(results, known, "throughput.png" if drawn else None)
    (plan.out / "report.md").write_text(page, encoding="utf-8")
    return f"\n{report.summary(results)}\n\nbenchmark.json and report.md are in {plan.out}"
