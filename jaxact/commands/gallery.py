"""Draw every activation of the catalogue with its derivative, and list the facts about it.

    python -m experiments.gallery                                  all: one sheet per family, the page, facts.csv
    python -m experiments.gallery relu elu:alpha=0.5 my.module:fn  these only, one figure each
    python -m experiments.gallery --singles --out DIR              all, and one figure each besides

Half a minute on two cores. Expected: `report.md`, the page with formulas, facts, first uses and notes; `facts.csv`;
`sigmoidal.png`, `rectified.png`, `smooth.png`, `vector.png`. Needs matplotlib: pip install 'jaxact[figures]'.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jaxact import activations as catalogue
from jaxact.classics.gallery.page import FAMILIES, Facts, beside, facts_of, page, short, table_csv
from jaxact.execution import runtime
from jaxact.execution.checks import Parser, check_installed, check_out

if TYPE_CHECKING:
    from jaxact.activations import Activation

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
        out = check_out(options.out)
        # Curves of a few hundred points in float64: no accelerator is worth its start-up time.
        os.environ.setdefault("JAX_PLATFORMS", "cpu")
        runtime.configure(cpu_devices=1)
        entries = chosen(options.names)
    found = []
    for i, entry in enumerate(entries, start=1):
        found.append(facts_of(entry))
        if i % 10 == 0 or i == len(entries):
            print(f"facts of {i} of {len(entries)} activations", flush=True)
    out.mkdir(parents=True, exist_ok=True)
    figures = draw(out, found, sheets=not options.names, singles=bool(options.names) or options.singles)
    environment = "\n".join(f"- {name}: {value}" for name, value in runtime.environment().items())
    (out / "facts.csv").write_text(table_csv(found), encoding="utf-8")
    (out / "report.md").write_text(page(found, figures, runtime.command(MODULE), environment), encoding="utf-8")
    print(f"report.md, facts.csv and {len(set(figures.values()))} figures are in {out}")
    return 0


def chosen(names: Sequence[str]) -> "list[Activation]":
    """The entries asked for, or all of the catalogue, own ones included, family by family.

    Raises:
        ValueError: a name is unknown or given twice.
    """
    entries = [catalogue.get(name) for name in names]
    specs = [entry.spec for entry in entries]
    if twice := next((spec for spec in specs if specs.count(spec) > 1), None):
        raise ValueError(f"activation {twice!r} is named twice: name each once")
    order = [name for _, members in FAMILIES.values() for name in members]
    return entries or [catalogue.get(name) for name in (*order, *sorted(set(catalogue.names()) - set(order)))]


def draw(out: Path, found: Sequence[Facts], *, sheets: bool, singles: bool) -> dict[str, str]:
    """Write the figures.

    Returns:
        Family or `spec` → file name.
    """
    from jaxact.classics.gallery import figures as gallery_figures

    figures: dict[str, str] = {}
    by_spec = {facts.entry.spec: facts for facts in found}
    for family in FAMILIES if sheets else ():
        members = [facts.entry for facts in found if facts.family == family]
        if members:
            figures[family] = f"{family}.png"
            gallery_figures.sheet(
                out / figures[family], FAMILIES[family][0], members, lambda e: short(by_spec[e.spec]),
                lambda e: by_spec[e.spec].flat,
            )  # fmt: skip
            print(f"drawn: {figures[family]}", flush=True)
    for facts in found if singles else ():
        name = re.sub(r"[^A-Za-z0-9_.=-]", "_", facts.entry.spec) + ".png"
        figures[facts.entry.spec] = name
        gallery_figures.single(out / name, facts.entry, beside(facts), facts.flat)
    return figures


if __name__ == "__main__":
    runtime.run(main)
