"""Draw every activation of the catalogue with its derivative, and list the facts about it.

    python -m experiments.gallery                                  all: one sheet per family, the page, facts.csv
    python -m experiments.gallery relu elu:alpha=0.5 my.module:fn  these only, one figure each
    python -m experiments.gallery --singles --out DIR              all, and one figure each besides

Half a minute on two cores. Expected: `report.md`, the page with formulas, facts, first uses and notes; `facts.csv`;
`sigmoidal.png`, `rectified.png`, `smooth.png`, `vector.png`. Needs matplotlib: pip install 'jaxact[figures]'.
"""

from jaxact.commands.gallery import main
from jaxact.execution import runtime

if __name__ == "__main__":
    runtime.run(main)
