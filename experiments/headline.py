"""The table at the top of README.md, from the `summary.csv` of a run and the published figures.

    python -m experiments.headline results/mnist-paper/summary.csv                      print it
    python -m experiments.headline results/mnist-paper/summary.csv --write README.md    put it in its place there

Its place is between the lines `<!-- headline -->` and `<!-- /headline -->`. Trains nothing; a second.
"""

from jaxact.commands.headline import main
from jaxact.execution import runtime

if __name__ == "__main__":
    runtime.run(main)
