"""Learning curves from the records of any grid: per epoch, every seed, with what the output layer's health says.

    python -m experiments.curves runs/convergence --out runs/curves
    python -m experiments.curves results/lr-sweep --out runs/curves     accuracy against the learning rate as well

Writes `curves.csv` (accuracies, losses, classes never predicted, dead outputs, number and share of negative weights of
the last layer), `curves.png`, `sweep.png` where the records differ in the learning rate, and `report.md`, which looks
for sudden recoveries: a test accuracy that rises by at least 5 points within an epoch after the second, and the outputs
that came back to life with it. Trains nothing; seconds.
"""

from jaxact.commands.curves import main
from jaxact.execution import runtime

if __name__ == "__main__":
    runtime.run(main)
