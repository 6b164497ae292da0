"""Turn records into one page to read, check and show, with its figures and tables beside it.

    python -m experiments.report runs/paper --out runs/report
    python -m experiments.report runs/paper runs/interventions --out DIR      the second shows what repairs the failures
    python -m experiments.report runs/paper --jacobian runs/jacobian --out DIR           with spectra of single layers

Any grid of experiments.grid, complete or not. Writes report.html (self-contained, no network), figures/*.png and *.svg,
tables/*.csv and *.md. Half a minute for 64 combinations. Needs the extra `report`: pip install 'jaxact[report]'.
"""

from jaxact.commands.report import main
from jaxact.execution import runtime

if __name__ == "__main__":
    runtime.run(main)
