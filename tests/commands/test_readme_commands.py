"""README's command lines: each is taken by its parser, and none reads what another would have to write first."""

import importlib
import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
LINES = re.findall(r"^python -m (experiments\.\w+)([^\n#]*)", README, flags=re.M)
QUOTED = re.findall(r"`python -m (experiments\.\w+)\s([^`]*)`", README)


@pytest.mark.parametrize(("module", "rest"), [*LINES, *QUOTED], ids=lambda text: text.strip()[:60])
def test_a_line_is_taken_as_it_stands_and_needs_no_other_run(module, rest):
    words = shlex.split(rest)
    options = vars(importlib.import_module(module.replace("experiments", "jaxact.commands")).parser().parse_args(words))
    read = [word for word in words if "/" in word and word != options.get("out")]
    assert all(path.startswith("results/") and (ROOT / path).exists() for path in read)
    assert "DIR" not in words  # nothing is left to fill in
    if module == "experiments.explain":
        assert options["train"]  # its records are made by the line itself


def test_the_lines_come_after_how_the_environment_is_entered():
    assert len(LINES) >= 15 and len(QUOTED) >= 3
    block = README[README.index("## Use it") :]
    entered, extra, first = (block.index(text) for text in (". .venv/bin/activate", "'.[report]'", LINES[0][0]))
    assert entered < extra < first
