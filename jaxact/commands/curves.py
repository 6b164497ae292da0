"""Learning curves from the records of any grid: per epoch, every seed, with what the output layer's health says.

    python -m experiments.curves runs/convergence --out runs/curves
    python -m experiments.curves results/lr-sweep --out runs/curves     accuracy against the learning rate as well

Writes `curves.csv` (accuracies, losses, classes never predicted, dead outputs, number and share of negative weights of
the last layer), `curves.png`, `sweep.png` where the records differ in the learning rate, and `report.md`, which looks
for sudden recoveries: a test accuracy that rises by at least 5 points within an epoch after the second, and the outputs
that came back to life with it. Trains nothing; seconds.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from jaxact.config import split_name
from jaxact.execution import runtime
from jaxact.execution.checks import Parser, check_folder, check_installed, check_out
from jaxact.records import Record
from jaxact.records import folders as record_folders

MODULE = "experiments.curves"


def parser() -> Parser:
    """The options."""
    p = Parser.of(MODULE, __doc__)
    p.add_argument("records", nargs="+", metavar="DIR", help="folders of records, of experiments.grid say")
    p.add_argument("--configs", nargs="+", metavar="A-B-C", help="only these configurations (all)")
    p.add_argument("--out", default="runs/curves", help="folder of the report (runs/curves)")
    return p


def read(folders: Sequence[Path], names: Sequence[str] | None, left_out: list[str]) -> list[Record]:
    """The records below the folders, each configuration once, by data set and name.

    Args:
        folders: of records.
        names: of configurations; None for all.
        left_out: gets a line for every file that cannot be read.

    Raises:
        ValueError: a folder that is not there, nothing that can be read, or no record of a name asked for.
    """
    for folder in folders:
        if not folder.is_dir():
            raise ValueError(
                f"{folder} is not a folder of records: run python -m experiments.grid --out {folder} first"
            )
    found = record_folders.merged(folders, left_out)
    if not found:
        raise record_folders.none_left(folders, left_out)
    present = {config.name for config in found}
    for name in names or ():
        if "-".join(split_name(name)) not in present:
            raise ValueError(f"no record of {name} in {', '.join(map(str, folders))}: there are {_shown(present)}")
    kept = [record for config, record in found.items() if not names or config.name in names]
    return sorted(kept, key=lambda r: (r.config.dataset, r.config.name, r.config.learning_rate, r.config.digest))


def _shown(names: set[str]) -> str:
    first = sorted(names)[:5]
    return ", ".join(first) + (f" and {len(names) - 5} others" if len(names) > 5 else "") if first else "none"


def main(argv: list[str] | None = None) -> int:
    """Read and report.

    Returns:
        Exit status: 0 done, 2 bad input (nothing written).
    """
    p = parser()
    options = p.parse_args(argv)
    left_out: list[str] = []
    with p.checked():
        check_installed(("matplotlib",), "the figures", "figures")
        out = check_out(options.out)
        found = read([check_folder(folder) for folder in options.records], options.configs, left_out)
    for line in left_out:
        print(f"{p.prog}: left out: {line}", file=sys.stderr)
    from jaxact.study import curves

    print(curves.write(found, out, runtime.command(MODULE), left_out))
    return 0
