"""Train every combination of activations, all seeds of a configuration in parallel, and compare with the study.

    python -m experiments.grid                      the whole MNIST study: 64 combinations x 9 seeds x 10 epochs
    python -m experiments.grid --preset quick       what `make grid` runs
    python -m experiments.grid --configs '*-sigmoid-relu' --seeds 0,3,17-25 --out DIR

It may be stopped at any time; the same command goes on where it stopped. Times and expected numbers: BUILD.md.
"""

from jaxact.commands.grid import main
from jaxact.execution import runtime

if __name__ == "__main__":
    runtime.run(main)
