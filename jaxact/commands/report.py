"""Turn records into one page to read, check and show, with its figures and tables beside it.

    python -m experiments.report runs/paper --out runs/report
    python -m experiments.report runs/paper runs/interventions --out DIR      the second shows what repairs the failures
    python -m experiments.report runs/paper --jacobian runs/jacobian --out DIR           with spectra of single layers

Any grid of experiments.grid, complete or not. Writes report.html (self-contained, no network), figures/*.png and *.svg,
tables/*.csv and *.md. Half a minute for 64 combinations. Needs the extra `report`: pip install 'jaxact[report]'.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from jaxact.execution import runtime
from jaxact.execution.checks import Parser, check_folder, check_installed, check_out, check_path
from jaxact.study.page import NEEDED

MODULE = "experiments.report"


def parser() -> Parser:
    """The options."""
    p = Parser.of(MODULE, __doc__)
    p.add_argument(
        "records", nargs="+", metavar="RECORDS", help="folders of experiments.grid or experiments.interventions"
    )
    p.add_argument(
        "--jacobian", metavar="DIR", help="folder of experiments.jacobian: adds the spectra of single layers"
    )
    p.add_argument("--out", required=True, metavar="DIR", help="folder of the report")
    return p


def main(argv: list[str] | None = None) -> int:
    """Write the report.

    Returns:
        Exit status: 0 done, 2 bad input (nothing written).
    """
    p = parser()
    options = p.parse_args(argv)
    with p.checked():
        folders = [check_folder(folder) for folder in options.records]
        out = check_outside(check_out(options.out), folders)
        check_installed(NEEDED, "the report and its figures", "report")
        from jaxact.study.page import layers, records

        asked = options.jacobian is not None
        spectra = layers.load(check_path(options.jacobian, "--jacobian")) if asked else None
        material = records.load(folders, lambda line: print(f"{p.prog}: {line}", file=sys.stderr))
        if spectra:
            layers.fitting(spectra, records.main_grid(material))
    runtime.configure(1)
    from jaxact.records import write_bytes
    from jaxact.study.page import build, page

    report = build.build(material, runtime.command(MODULE), spectra)
    contents = page.contents(report)
    for name, content in contents.items():
        write_bytes(out / name, content)
    print(f"{report.answer.headline}.\n\nreport.html, {len(contents) - 1} figures and tables are in {out}")
    return 0


def check_outside(out: Path, folders: Sequence[Path]) -> Path:
    """Check that the report will not lie among records, which other commands rewrite.

    Raises:
        ValueError: --out is a record folder or lies in one.
    """
    for folder in folders:
        if out.resolve().is_relative_to(folder.resolve()):
            raise ValueError(f"--out {out} lies in the record folder {folder}: name a folder outside it")
    return out
