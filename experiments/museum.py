"""Does the diagnosis name what is wrong? Dead and ill networks as people met them, their cures and healthy twins.

    python -m experiments.museum                                         all cases: about 3 minutes on one core
    python -m experiments.museum --cases softmax-twice labels-from-1 --steps 1000
    python -m experiments.museum --out results/museum

Every case is diagnosed and trained three times: ill, cured, and as the twin that never was ill. Training is gradient
descent on the whole batch, for the symptom to be seen. Data are drawn from a seed: nothing is downloaded.
Expected: all 17 ill networks named with their layer, all cured ones and twins healthy.
"""

import argparse
from pathlib import Path
from typing import NamedTuple

from experiments import runtime
from experiments.cli import Parser, check_out

MODULE = "experiments.museum"
MOST_STEPS = 100_000


class Plan(NamedTuple):
    """What will run.

    Attributes:
        cases: names of `jaxact.museum.CASES`.
        steps: gradient steps that show the symptom.
        out: folder to write to.
    """

    cases: tuple[str, ...]
    steps: int
    out: Path


def parser() -> Parser:
    """The options."""
    p = Parser.of(MODULE, __doc__)
    p.add_argument("--cases", nargs="+", metavar="NAME", help="which ones, such as softmax-twice (all)")
    p.add_argument("--steps", type=int, default=300, help="gradient steps that show the symptom (300)")
    p.add_argument("--out", default="runs/museum", help="folder to write to (runs/museum)")
    return p


def main(argv: list[str] | None = None) -> int:
    """Diagnose and train every case; write `table.csv` and `report.md`.

    Returns:
        Exit status: 0 all as they should be, 1 some are not, 2 bad input (nothing written), 130 stopped.
    """
    p = parser()
    options = p.parse_args(argv)
    with p.checked():
        plan = plan_from(options)
    from experiments import museum_report

    try:
        shown = [museum_report.exhibit(name, plan.steps) for name in plan.cases]
    except KeyboardInterrupt as stop:
        return runtime.stopped(stop, "nothing was written")
    plan.out.mkdir(parents=True, exist_ok=True)
    print(museum_report.write(plan, shown, runtime.command(MODULE)))
    return 0 if all(map(museum_report.right, shown)) else 1


def plan_from(options: argparse.Namespace) -> Plan:
    """Check the options.

    Raises:
        ValueError: one line that shows the value, the limit and the remedy.
    """
    if not 1 <= options.steps <= MOST_STEPS:
        raise ValueError(f"--steps must be from 1 to {MOST_STEPS}, got {options.steps}")
    out = check_out(options.out)
    runtime.configure()  # the museum loads JAX
    from jaxact import museum
    from jaxact.config import closest

    names = tuple(options.cases or museum.CASES)
    for name in names:
        if name not in museum.CASES:
            raise closest(name, museum.CASES, "case of the museum")
        if names.count(name) > 1:
            raise ValueError(f"case {name!r} is named twice: name each once")
    return Plan(names, options.steps, out)


if __name__ == "__main__":
    runtime.run(main)
