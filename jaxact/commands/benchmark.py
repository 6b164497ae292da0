"""Milliseconds per model-step of jaxact, of a plain JAX loop, of PyTorch, and of the matrix products alone, in one run.

    python -m experiments.benchmark                        all rows and the sweep over seeds: 6 minutes on two cores
    python -m experiments.benchmark --rows jaxact torch --repeats 9 --no-seeds-sweep
    python -m experiments.benchmark --dataset synthetic --steps 50 --max-seeds 8

The study's network and protocol (784-500-256-10, batch 32, SGD) on the CPU; no GPU is measured. The rows take turns,
one computes at a time, each in processes of its own. Run it on a machine that does nothing else: expected numbers are
in BUILD.md. It writes benchmark.json, report.md and throughput.png (which needs matplotlib: pip install
'jaxact[figures]'); the PyTorch rows need pip install 'jaxact[bench]'. Ratios to a target are printed as reached or not.
"""

import argparse
import json
import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from jaxact.benchmark.rivals import ROWS
from jaxact.benchmark.task import ACTIVATIONS, BATCH, FEATURES, SHAPES, Spec
from jaxact.config import closest, split_name
from jaxact.data.specs import check_data_dir
from jaxact.execution import runtime
from jaxact.execution.checks import Parser, check_installed, check_memory, check_out, training_numbers

if TYPE_CHECKING:
    from jaxact.benchmark.measure import Results

MODULE = "experiments.benchmark"
DATASETS, PRECISIONS = ("mnist", "synthetic"), ("float32",)
EXAMPLES = 60_000
SEEDS = 8
MOST_SEEDS = 4096


class Plan(NamedTuple):
    """What will run; the attributes are the options."""

    rows: tuple[str, ...]
    activations: tuple[str, ...]
    dataset: str
    data_dir: Path | None
    steps: int
    repeats: int
    sweep: tuple[int, ...]
    sweep_steps: int
    precision: str
    out: Path


def parser() -> Parser:
    """The options."""
    p = Parser.of(MODULE, __doc__)
    p.add_argument("--rows", nargs="+", default=list(ROWS), metavar="ROW", help=f"{', '.join(ROWS)} (all)")
    p.add_argument("--config", default="relu-sigmoid-relu", metavar="A-B-C", help="(relu-sigmoid-relu)")
    p.add_argument("--dataset", default="mnist", help="mnist, or synthetic: noise of the same shape (mnist)")
    p.add_argument("--data-dir", help="a folder with MNIST's files; otherwise jaxact finds or fetches them")
    p.add_argument("--steps", type=int, default=400, help="steps of one network in a repeat (400)")
    p.add_argument("--repeats", type=int, default=5, help="rounds that are recorded (5)")
    p.add_argument(
        "--seeds-sweep", action=argparse.BooleanOptionalAction, default=True, help="throughput at 1, 2, 4, … seeds"
    )
    p.add_argument("--max-seeds", type=int, default=128, metavar="N", help="the sweep's last seed count (128)")
    p.add_argument("--sweep-steps", type=int, default=100, help="steps of one network in the sweep (100)")
    p.add_argument("--precision", default="float32", help="of everything: float32, the only one offered (float32)")
    p.add_argument("--out", default="runs/benchmark", help="folder to write to (runs/benchmark)")
    return p


def plan_from(options: argparse.Namespace) -> Plan:
    """Check the options.

    Raises:
        ValueError: one line that shows the value, the limit and the remedy.
    """
    for option, known, what in (("dataset", DATASETS, "data set"), ("precision", PRECISIONS, "precision")):
        if getattr(options, option) not in known:
            raise closest(getattr(options, option), known, what)
    for name in options.rows:
        if name not in ROWS:
            raise closest(name, ROWS, "row")
        if options.rows.count(name) > 1:
            raise ValueError(f"--rows names {name!r} twice: name each once")
    activations = split_name(options.config)
    if len(activations) != 3 or set(activations) - set(ACTIVATIONS):
        raise ValueError(f"--config must be three of {', '.join(ACTIVATIONS)} with hyphens, got {options.config!r}")
    most = EXAMPLES // BATCH
    limits = {"steps": most, "sweep_steps": most, "repeats": 1000, "max_seeds": MOST_SEEDS}
    for option, limit in limits.items():
        if not 1 <= getattr(options, option) <= limit:
            name = "--" + option.replace("_", "-")
            raise ValueError(f"{name} must be from 1 to {limit}, got {getattr(options, option)}")
    platform = os.environ.get("JAX_PLATFORMS", "cpu")
    if platform != "cpu":
        raise ValueError(f"JAX_PLATFORMS is {platform!r}, the rows are compared on the CPU: unset it")
    if options.seeds_sweep:
        shapes = ((BATCH, inputs, units) for inputs, units in SHAPES)
        check_memory(options.max_seeds * training_numbers(shapes), "--max-seeds", options.max_seeds)
    counts = [2**i for i in range(options.max_seeds.bit_length())]
    return Plan(
        rows=tuple(name for name in ROWS if name in options.rows),
        activations=activations,
        dataset=options.dataset,
        data_dir=None if options.data_dir is None else check_data_dir(options.data_dir),
        steps=options.steps,
        repeats=options.repeats,
        sweep=tuple(counts) if options.seeds_sweep else (),
        sweep_steps=options.sweep_steps,
        precision=options.precision,
        out=check_out(options.out),
    )


def main(argv: list[str] | None = None) -> int:
    """Measure and write.

    Returns:
        Exit status: 0 done, 2 bad input (nothing written).
    """
    p = parser()
    started = datetime.now(UTC).isoformat(timespec="seconds")
    with tempfile.TemporaryDirectory(prefix="jaxact-") as folder:
        with p.checked():
            plan = plan_from(p.parse_args(argv))
            if plan.sweep:
                check_installed(("matplotlib",), "the figures", "figures")
            source = save_data(plan, Path(folder))
        print(f"data: {source}", flush=True)
        results = run(plan, folder)
    write(plan, results, {"command": runtime.command(MODULE), "started_utc": started} | facts(plan, source, results))
    return 0


def save_data(plan: Plan, folder: Path) -> str:
    """Write the examples that every process trains on, the first of the training set; say where they come from.

    Raises:
        ValueError: MNIST is not to be had.
    """
    import numpy as np

    n = BATCH * max(plan.steps, plan.sweep_steps if plan.sweep else 0)
    if plan.dataset == "synthetic":
        rng = np.random.default_rng(0)
        images, labels = rng.standard_normal((n, FEATURES), np.float32), rng.integers(0, 10, n).astype(np.int32)
        source = "synthetic: standard normal pixels, uniform labels"
    else:
        from jaxact import data

        images, labels, *_, source = data.load(plan.dataset, plan.data_dir, limit_train=n)
    np.save(folder / "images.npy", images)
    np.save(folder / "labels.npy", labels)
    return source


def run(plan: Plan, folder: str) -> "Results":
    """The rows, then the sweep, then the compilations."""
    from jaxact.benchmark import measure
    from jaxact.benchmark import report as benchmark_report  # noqa: F401  what comes after a long run is loaded before it

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


def facts(plan: Plan, source: str, results: "Results") -> dict[str, Any]:
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


def write(plan: Plan, results: "Results", known: dict[str, Any]) -> None:
    """Write the JSON, the figure and the report, and print the summary."""
    from jaxact.benchmark import report as reporting

    plan.out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(reporting.as_json(results, known), indent=1, ensure_ascii=False)
    (plan.out / "benchmark.json").write_text(text + "\n", encoding="utf-8")
    drawn = reporting.draw(plan.out / "throughput.png", results)
    report = reporting.report(results, known, "throughput.png" if drawn else None)
    (plan.out / "report.md").write_text(report, encoding="utf-8")
    print(f"\n{reporting.summary(results)}\n\nbenchmark.json and report.md are in {plan.out}")


if __name__ == "__main__":
    runtime.run(main)
