"""Every command's bad command lines: one line on stderr that shows the value, status 2, nothing written or trained."""

import shlex
import sys
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest

from jaxact import commands, data
from jaxact.console import Parser
from jaxact.execution import runtime

MODULES = (
    *("benchmark", "benchmark_blocks", "curves", "depth", "explain", "gallery", "grid", "headline", "heads"),
    *("interventions", "jacobian", "museum", "planar", "predict", "report"),
)
COMMANDS = tuple(sorted(f"jaxact.commands.{module.name}" for module in iter_modules(commands.__path__)))

NEEDED = {
    "curves": "{tmp}/empty",
    "headline": "{tmp}/file",
    "jacobian": "--config relu-relu-relu",
    "predict": "relu-relu-relu",
    "report": "{tmp}/empty --out {tmp}/new",
    "jaxact.data": "digits",
}
"""What a command has to be given."""

WRITING = ("benchmark", "benchmark_blocks", "curves", "depth", "explain", "gallery", "grid", "heads", "interventions",
           "jacobian", "museum", "planar", "predict")  # fmt: skip
"""Those with --out; report has its own lines."""

FOLDERS = [
    ("--out ''", "--out is empty"),
    ("--out ~nouser-of-that-name/x", "~nouser-of-that-name/x"),
    ("--out {tmp}/new/" + "a" * 256, "the name is too long"),
    ("--out {tmp}/" + "b/" * 2000, "--out"),
    ("--out {tmp}/file", "/file is not a directory"),
    ("--out {tmp}/file/below", "/file is not a directory"),
    ("--out /proc/jaxact", "cannot write in /proc"),
    ("--out {tmp}/\udcff", "\\udcff"),
    ("--oot {tmp}/new", "did you mean --out?"),
    ("--ou {tmp}/new", "--ou: did you mean --out?"),
    ("--out", "expected one argument"),
]
"""For every command that writes."""

SINGLE = [
    ("benchmark", "--step 3", "--step: did you mean --steps?"),
    ("benchmark", "--data-dir ''", "data directory ''"),
    ("benchmark", "--data-dir ~nouser-of-that-name", "~nouser-of-that-name"),
    ("benchmark", "--data-dir {tmp}/file", "/file' is a file"),
    ("benchmark_blocks", "--features 0", "got 0"),
    ("benchmark_blocks", "--round 3", "did you mean --rounds?"),
    ("curves", "", "{tmp}/empty: no records"),
    ("curves", "--config relu", "--config: did you mean --configs?"),
    ("curves", "''", "is empty"),
    ("curves", "~nouser-of-that-name/x", "~nouser-of-that-name/x"),
    ("curves", "/", "the root of all files"),
    ("curves", "{tmp}/" + "c" * 300, "c" * 300),
    ("curves", "{tmp}/file", "/file is not a folder"),
    ("depth", "--seed 3", "--seed: did you mean --seeds?"),
    ("depth", "--lr 3", "--lr: did you mean --lrs?"),
    ("depth", "--wide 4096 --depths 500 --chains 4", None),  # refused or not by the machine's memory: see below
    ("explain", "--records /", "--records / is the root"),
    ("explain", "--records ''", "--records is empty"),
    ("explain", "--records {tmp}/file", "/file is not a folder"),
    ("explain", "--records ~nouser-of-that-name", "~nouser-of-that-name"),
    ("explain", "--records {tmp}/empty --interventions ''", "--interventions is empty"),
    ("explain", "--records {tmp}/empty --interventions {tmp}/file", "/file is not a folder"),
    ("explain", "--train --records {tmp}/new --interventions {tmp}/file", "/file is not a folder"),
    ("explain", "--train --records {tmp}/new --interventions {tmp}/file/x", "--interventions {tmp}/file/x"),
    ("explain", "--train --records {tmp}/file --interventions {tmp}/new", "--records {tmp}/file"),
    ("explain", "--train --records ~nouser-of-that-name/x", "--records ~nouser-of-that-name/x"),
    ("explain", "--record {tmp}/empty", "did you mean --records?"),
    ("gallery", "sys:exit", "sys:exit is called as (status=None, /)"),
    ("gallery", "pytest:main", "pytest:main is called as"),
    ("gallery", "relu --single", "did you mean --singles?"),
    ("gallery", "relu relu", "'relu' is named twice"),
    ("grid", "--seed 42", "--seed: did you mean --seeds?"),
    ("grid", "--seed=42", "--seed=42: did you mean --seeds?"),
    ("grid", "--config relu-relu-relu", "--config: did you mean --configs?"),
    ("grid", "--batch 3", "--batch"),
    ("grid", "--dry", "--dry: did you mean"),
    ("grid", "-seeds 3", "-seeds: did you mean --seeds?"),
    ("grid", "--dataset digits --widths 2147483647 10 --layers 2", "--widths 2147483647 10 needs at least"),
    ("grid", "--dataset digits --widths 2000000 2000000 10", "--widths 2000000 2000000 10 needs at least"),
    ("grid", "--dataset cifar10 --widths 99999999 99999999 10", "GiB of memory"),
    ("grid", "--configs 'relu-sigmo\nid-relu'", "'sigmo\\nid'"),
    ("grid", "--configs 'relu-relu\trelu'", "'relu\\trelu'"),
    ("grid", "'a\nb'", "a\\nb"),
    ("grid", "--batch-norm all 1,2,3", "--batch-norm all 1,2,3 names the same layers twice"),
    ("grid", "--batch-norm last 3", "--batch-norm last 3 names the same layers twice"),
    ("grid", "--batch-norm 1,2 2,1", "--batch-norm 1,2 2,1 names the same layers twice"),
    ("grid", "--activations sys:exit", "sys:exit is called as"),
    ("grid", "--activations relu builtins:input", "builtins:input is called as (prompt='', /)"),
    ("grid", "--activations unittest:main", "unittest:main is called as"),
    ("grid", "--activations os:abort", "os:abort is called as ()"),
    ("grid", "--activations {module}:leaves", "leaves cannot run under JAX"),
    ("grid", "--activations {module}_exits:f", "cannot import"),
    ("grid", "--activations {module}_wrong:f", "cannot import"),
    ("grid", "--layers 40 --widths" + " 5" * 39 + " 10 --configs " + "-".join(["relu"] * 50), "has 50 activations"),
    (
        "grid",
        "--dataset digits --layers 60 --widths" + " 5" * 59 + " 10 --configs " + "-".join(["relu"] * 60),
        "would be a file name of",
    ),
    ("grid", "--data-dir ''", "data directory ''"),
    ("grid", "--data-dir ~nouser-of-that-name", "~nouser-of-that-name"),
    ("grid", "--tensorboard ''", "--tensorboard is empty"),
    ("grid", "--tensorboard ~nouser-of-that-name/x", "--tensorboard ~nouser-of-that-name/x"),
    ("grid", "--preset paperr", "'paperr'"),
    ("headline", "--writ {tmp}/file", "did you mean --write?"),
    ("headline", "--write ''", "--write is empty"),
    ("headline", "--write ~nouser-of-that-name", "--write ~nouser-of-that-name"),
    ("heads", "--seed 3", "--seed: did you mean --seeds?"),
    ("heads", "--widths 2147483647 64", "--widths 2147483647 64 needs at least"),
    ("heads", "--heads elu-logits elu:alpha=1.0-logits", "names one thing twice"),
    ("heads", "--heads softmax identity-logits", "--heads softmax identity-logits names one thing twice"),
    ("heads", "--outputs elu elu:alpha=1", "--outputs elu elu:alpha=1 names one thing twice"),
    ("heads", "--hidden sys:exit", "sys:exit is called as"),
    ("interventions", "--baseline ''", "--baseline is empty"),
    ("interventions", "--baseline /", "--baseline / is the root"),
    ("interventions", "--baseline ~nouser-of-that-name", "~nouser-of-that-name"),
    ("interventions", "--baseline {tmp}/absent", "/absent is not a folder"),
    ("interventions", "--seed 3", "did you mean --seeds?"),
    ("interventions", "--report", "did you mean"),
    ("interventions", "--only centerd", "centerd"),
    ("jacobian", "--example 3", "did you mean --examples?"),
    ("jacobian", "--dataset digits --widths 9999999 9999999 10", "--widths 9999999 9999999 10 needs at least"),
    ("jacobian", "--data-dir ''", "data directory ''"),
    ("museum", "--case softmax-twice", "--case: did you mean --cases?"),
    ("museum", "--cases softmax-twise", "softmax-twice"),
    ("museum", "--cases softmax-twice softmax-twice", "'softmax-twice' is named twice"),
    ("museum", "--steps 0", "--steps must be from 1 to 100000, got 0"),
    ("planar", "--rate 1", "did you mean --rates?"),
    ("planar", "--no-figure", "did you mean --no-figures?"),
    ("planar", "--activations sys:exit", "sys:exit is called as"),
    ("predict", "--feature 3", "did you mean --features?"),
    ("predict", "--js", "--js"),
    ("predict", "elu elu:alpha=1.0 --grid", "names an activation twice"),
    ("predict", "--measure --data-dir ''", "data directory ''"),
    ("report", "--out ''", "--out is empty"),
    ("report", "--out ~nouser-of-that-name", "~nouser-of-that-name"),
    ("report", "--out {tmp}/file", "/file is not a directory"),
    ("report", "--jacobian ''", "--jacobian is empty"),
    ("report", "--jacobian ~nouser-of-that-name", "~nouser-of-that-name"),
    ("report", "--jacobian {tmp}/empty", "/empty holds no"),
    ("report", "/", "is the root of all files"),
    ("report", "''", "is empty"),
    ("report", "~nouser-of-that-name", "~nouser-of-that-name"),
    ("report", "--jacob {tmp}/empty", "did you mean --jacobian?"),
    ("jaxact.data", "--cache-dir ~nouser-of-that-name", "~nouser-of-that-name"),
    ("jaxact.data", "--cache-dir ''", "cache directory ''"),
    ("jaxact.data", "--cache-dir {tmp}/file", "/file' cannot be used (a file)"),
    ("jaxact.data", "--cache-dir {tmp}/" + "d" * 300, "d" * 300),
    ("jaxact.data", "--data-dir ''", "data directory ''"),
    ("jaxact.data", "--off", "--off: did you mean"),
    ("jaxact.data", "more", "more"),
]
BAD = [(name, line, shown) for name in WRITING for line, shown in FOLDERS]
BAD += [(name, line, shown) for name, line, shown in SINGLE if shown is not None]


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """A folder with what bad options point to, modules of a user in it; the working directory is empty and below."""
    for name in ("empty", "cwd"):
        (tmp_path / name).mkdir()
    (tmp_path / "file").write_text("not a folder\n", encoding="utf-8")
    leaves = "import sys\ndef leaves(x):\n    sys.exit(3)\n"
    (tmp_path / "users_own.py").write_text(leaves, encoding="utf-8")
    (tmp_path / "users_own_exits.py").write_text("raise SystemExit(4)\n", encoding="utf-8")
    (tmp_path / "users_own_wrong.py").write_text("def f(x:\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    for name in ("configure", "set_devices"):
        monkeypatch.setattr(runtime, name, lambda *_, **__: None)
    load = data.load

    def load_from_a_folder_only(name, data_dir=None, **options):
        return load(name, data_dir, **options) if data_dir else pytest.fail("the command line was accepted")

    monkeypatch.setattr(data, "load", load_from_a_folder_only)
    return tmp_path


def words(line: str, place: Path) -> list[str]:
    return [word.replace("{tmp}", str(place)).replace("{module}", "users_own") for word in shlex.split(line)]


@pytest.mark.parametrize(("name", "line", "shown"), BAD, ids=[f"{name} {line[:50]!a}" for name, line, _ in BAD])
def test_a_bad_command_line_is_one_line_and_status_2(place, capsys, name, line, shown):
    module = import_module("jaxact.data.__main__" if name == "jaxact.data" else f"experiments.{name}")
    before = sorted(place.rglob("*"))
    given = words(NEEDED.get(name, ""), place)
    if name in ("curves", "report") and line and not line.startswith("-"):
        given = given[1:]  # the line's own folders instead
    with pytest.raises(SystemExit) as stop:
        sys.exit(module.main([*given, *words(line, place)]))
    output = capsys.readouterr()
    assert stop.value.code == 2, output
    assert output.err.count("\n") == 1 and output.err.endswith("\n"), output.err
    assert shown.replace("{tmp}", str(place)) in output.err
    assert sorted(place.rglob("*")) == before


@pytest.mark.parametrize("name", COMMANDS)
def test_help_fits_80_columns_and_options_have_one_spelling(name, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    parser = import_module(name).parser()
    assert isinstance(parser, Parser) and not parser.allow_abbrev
    wide = [line for line in parser.format_help().splitlines() if len(line) > 80]
    assert not wide
