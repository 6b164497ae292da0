"""Draw every activation of the catalogue with its derivative, and list the facts about it.

    python -m experiments.gallery                                  all: one sheet per family, the page, facts.csv
    python -m experiments.gallery relu elu:alpha=0.5 my.module:fn  these only, one figure each
    python -m experiments.gallery --singles --out DIR              all, and one figure each besides

Half a minute on two cores. Expected: `report.md`, the page with formulas, facts, first uses and notes; `facts.csv`;
`sigmoidal.png`, `rectified.png`, `smooth.png`, `vector.png`. Needs matplotlib: pip install 'jaxact[figures]'.
"""

import os

from jaxact.classics.gallery.plan import plan_from
from jaxact.execution import runtime
from jaxact.execution.checks import Parser, check_installed

MODULE = "experiments.gallery"


def parser() -> Parser:
    """The options."""
    p = Parser.of(MODULE, __doc__)
    p.add_argument("names", nargs="*", metavar="NAME", help="relu, elu:alpha=0.5 or package.module:function (all)")
    p.add_argument("--singles", action="store_true", help="one figure per activation besides the sheets")
    p.add_argument("--out", default="runs/gallery", help="folder to write to (runs/gallery)")
    return p


def main(argv: list[str] | None = None) -> int:
    """Draw the gallery.

    Returns:
        Exit status: 0 done, 2 bad input (nothing written).
    """
    p = parser()
    options = p.parse_args(argv)
    with p.checked():
        check_installed(("matplotlib",), "the figures", "figures")
        # Curves of a few hundred points in float64: no accelerator is worth its start-up time.
        os.environ.setdefault("JAX_PLATFORMS", "cpu")
        runtime.configure(cpu_devices=1)
        plan = plan_from(options)
    from jaxact.classics.gallery.run import run

    print(run(plan, runtime.command(MODULE)))
    return 0
