"""README's command lines: each is taken by its parser, and none reads what another would have to write first."""

import importlib
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from jaxact.commands import predict
from jaxact.execution import runtime

ROOT = Path(__file__).resolve().parents[2]
README, ANSWER = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/answer.md"))
LINES = re.findall(r"`(?:jaxact |python -m experiments\.)(?!NAME)(\w+) ?([^`]*)`", README + ANSWER)


@pytest.mark.parametrize(("name", "rest"), LINES, ids=lambda text: text.strip()[:60])
def test_a_line_is_taken_as_it_stands_and_needs_no_other_run(name, rest):
    words = shlex.split(rest)
    options = vars(importlib.import_module(f"jaxact.commands.{name}").parser().parse_args(words))
    read = [word for word in words if "/" in word and word not in (options.get("out"), options.get("write"))]
    assert all((ROOT / path).exists() for path in read)
    assert "DIR" not in words  # nothing is left to fill in
    if name == "explain":
        assert options["train"]  # its records are made by the line itself


def test_the_lines_come_after_how_the_environment_is_entered():
    assert len(LINES) >= 20
    entered, extra = (README.index(text) for text in (". .venv/bin/activate", "'.[report]'"))
    assert entered < extra < README.index("jaxact predict") < README.index("`jaxact grid")


def test_readme_is_short():
    assert len(README.splitlines()) <= 120


def blocks(language: str) -> list[str]:
    """README's blocks of code in a language; of none: what programs print, and commands."""
    return [text for name, text in re.findall(r"^```(\w*)\n(.*?)^```$", README, flags=re.S | re.M) if name == language]


def shown(block: str, printed: str) -> bool:
    """Whether every line of a block was printed, up to where it is cut by […]."""
    lines = [line.partition("[…]")[0].rstrip() for line in block.splitlines()]
    return all(line in printed for line in lines)


def test_the_forecast_is_what_its_command_prints(capsys, monkeypatch):
    monkeypatch.setattr(runtime, "configure", lambda **_: None)
    assert predict.main(["relu", "sigmoid", "relu"]) == 0
    printed = capsys.readouterr().out
    assert shown(blocks("")[1], printed) and not shown(blocks("")[1].replace("3.6", "3.7"), printed)


@pytest.mark.slow
def test_the_diagnosis_is_what_its_code_prints():
    (code,) = blocks("python")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert shown(blocks("")[2], done.stdout)
