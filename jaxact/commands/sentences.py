"""Make every sentence of README and docs/answer.md that holds a number of the committed records, from those records.

    python -m experiments.sentences                         prints them
    python -m experiments.sentences --check README.md docs/answer.md

The second also says which sentences those pages do not hold, word for word. Run in a checkout, whose results/ it reads.
Half a minute. A test does the same, so that no figure there is typed.
"""

import sys
from pathlib import Path

from jaxact.execution import runtime
from jaxact.execution.checks import Parser, check_folder, check_path

MODULE = "experiments.sentences"


def parser() -> Parser:
    """The options."""
    p = Parser.of(MODULE, __doc__)
    p.add_argument("--results", default="results", metavar="DIR", help="folder of the committed records (results)")
    p.add_argument("--check", nargs="+", metavar="FILE", help="texts that should hold every sentence between them")
    return p


def missing(text: str, sentences: list[str]) -> list[str]:
    """The sentences that a text does not hold, whatever its line breaks."""
    flat = " ".join(text.split())
    return [sentence for sentence in sentences if sentence not in flat]


def main(argv: list[str] | None = None) -> int:
    """Print the sentences.

    Returns:
        Exit status: 0 done, 1 the file checked lacks some, 2 bad input.
    """
    p = parser()
    options = p.parse_args(argv)
    with p.checked():
        folder = check_folder(options.results, "--results")
        pages = [check_path(page, "--check").read_text(encoding="utf-8") for page in options.check or ()]
    runtime.configure(1)
    from jaxact.study import sentences_told

    try:
        found = sentences_told.every(Path(folder))
    except ValueError as error:
        p.refuse(error)
    for paragraph in found:
        print("\n".join(paragraph), end="\n\n")
    told = [sentence for paragraph in found for sentence in paragraph]
    absent = missing("\n".join(pages), told) if pages else []
    for sentence in absent:
        print(f"{p.prog}: {' and '.join(options.check)} lacks: {sentence}", file=sys.stderr)
    return 1 if absent else 0
