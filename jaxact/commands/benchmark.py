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
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from jaxact.benchmark.plan import plan_from
from jaxact.benchmark.rows import ROWS
from jaxact.benchmark.run import facts, run, save_data, write
from jaxact.execution import runtime
from jaxact.execution.checks import Parser, check_installed

MODULE = "experiments.benchmark"


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
    made = {"command": runtime.command(MODULE), "started_utc": started}
    print(write(plan, results, made | facts(plan, source, results)))
    return 0
