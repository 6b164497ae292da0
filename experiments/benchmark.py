"""Milliseconds per model-step of jaxact, of a plain JAX loop, of PyTorch, and of the matrix products alone, in one run.

    python -m experiments.benchmark                        all rows and the sweep over seeds: 6 minutes on two cores
    python -m experiments.benchmark --rows jaxact torch --repeats 9 --no-seeds-sweep
    python -m experiments.benchmark --dataset synthetic --steps 50 --max-seeds 8

The study's network and protocol (784-500-256-10, batch 32, SGD) on the CPU; no GPU is measured. The rows take turns,
one computes at a time, each in processes of its own. Run it on a machine that does nothing else: expected numbers are
in BUILD.md. It writes benchmark.json, report.md and throughput.png (which needs matplotlib: pip install
'jaxact[figures]'); the PyTorch rows need pip install 'jaxact[bench]'. Ratios to a target are printed as reached or not.
"""

from jaxact.commands.benchmark import main
from jaxact.execution import runtime

if __name__ == "__main__":
    runtime.run(main)
