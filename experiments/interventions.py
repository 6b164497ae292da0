"""Change one thing about the failing combinations, keep the seeds, and measure what that does to them.

    python -m experiments.interventions                      every intervention on the four endings in sigmoid-relu
    python -m experiments.interventions --only centred linear --configs relu-sigmoid-relu --seeds 9-31
    python -m experiments.interventions --epochs 3 --seeds 8 --out DIR

The unchanged runs are read from --baseline where they are there, and trained otherwise. It may be stopped at any time;
the same command goes on where it stopped.
"""

from jaxact.commands.interventions import main
from jaxact.execution import runtime

if __name__ == "__main__":
    runtime.run(main)
