"""Say why combinations fail: dead outputs or vanishing gradients, from the records of the grid and the interventions.

    python -m experiments.explain --records runs/paper --interventions runs/interventions
    python -m experiments.explain --train --seeds 8 --epochs 3 --limit-train 12000    train first what is missing

Writes the verdict for each ending in (sigmoid, relu) with its numbers, how dead classes relate to accuracy, predicted
against measured, the interventions, the registered predictions and the audit of the study's claims.
"""

from jaxact.commands.explain import main
from jaxact.execution import runtime

if __name__ == "__main__":
    runtime.run(main)
