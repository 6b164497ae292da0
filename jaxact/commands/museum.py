"""Does the diagnosis name what is wrong? Dead and ill networks as people met them, their cures and healthy twins.

    python -m experiments.museum                                         all cases: a minute or two on one core
    python -m experiments.museum --cases softmax-twice labels-from-1 --steps 1000
    python -m experiments.museum --out results/museum

Every case is diagnosed and trained three times: ill, cured, and as the twin that never was ill. Training is gradient
descent on the whole batch, for the symptom to be seen. Data are drawn from a seed: nothing is downloaded.
Expected: all 17 ill networks named with their layer, all cured ones and twins healthy.
"""

from jaxact.execution import runtime
from jaxact.execution.checks import Parser, check_out

MODULE = "experiments.museum"
MOST_STEPS = 100_000


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
        if not 1 <= options.steps <= MOST_STEPS:
            raise ValueError(f"--steps must be from 1 to {MOST_STEPS}, got {options.steps}")
        out = check_out(options.out)
        names = chosen(options.cases)
    from jaxact.museum import report

    try:
        shown = [report.shown(name, options.steps) for name in names]
    except KeyboardInterrupt as stop:
        return runtime.stopped(stop, "nothing was written")
    out.mkdir(parents=True, exist_ok=True)
    (out / "table.csv").write_text(report.table(shown), encoding="utf-8")
    page = report.page(shown, options.steps, runtime.command(MODULE), runtime.environment())
    (out / "report.md").write_text(page, encoding="utf-8")
    print(f"\n{report.answer(shown)}\n\n{report.overview(shown)}\n\nreport.md and table.csv: {out}")
    return 0 if all(report.right(one) for one in shown) else 1


def chosen(names: list[str] | None) -> list[str]:
    """The cases that are named, or all.

    Raises:
        ValueError: an unknown name, or one that is there twice.
    """
    runtime.configure()
    from jaxact import museum  # it loads JAX
    from jaxact.config import closest

    names = names or list(museum.CASES)
    for name in names:
        if name not in museum.CASES:
            raise closest(name, museum.CASES, "case of the museum")
        if names.count(name) > 1:
            raise ValueError(f"case {name!r} is named twice: name each once")
    return names
