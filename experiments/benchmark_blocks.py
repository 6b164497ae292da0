"""Milliseconds per model-step at small batches, with the first kernel's steps in blocks and one by one, in one run.

    python -m experiments.benchmark_blocks --out results/benchmark-blocks      3 minutes on two cores
    python -m experiments.benchmark_blocks --features 3072 --batches 4 --rounds 3

Noise of the given number of features through relu-sigmoid-relu, 500-256-10 units, one network per core; the two ways
take turns. What the blocks are: `jaxact.training.lowrank`. It writes report.md.
"""

from jaxact.commands.benchmark_blocks import main
from jaxact.execution import runtime

if __name__ == "__main__":
    runtime.run(main)
