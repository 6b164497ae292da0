"""The grid as a user runs it: real processes on digits, stopped, killed, resumed and compared byte by byte."""

import csv
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jaxact import records
from jaxact.commands import grid

ROOT = Path(__file__).resolve().parents[2]
TINY = ["--dataset", "digits", "--activations", "relu", "sigmoid", "--widths", "8", "6", "10", "--epochs", "20"]
NAMES = sorted(f"{a}-{b}-{c}" for a in ("relu", "sigmoid") for b in ("relu", "sigmoid") for c in ("relu", "sigmoid"))
SLOW = ("jax", "flax", "optax", "tensorflow_datasets", "tensorflow", "matplotlib", "tensorboardX")

# A background job's children ignore SIGINT; a terminal's do not.
AS_FROM_A_TERMINAL = (
    "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "runpy.run_module('experiments.grid', run_name='__main__')"
)
LISTING_MODULES = f"""
import sys
from experiments import grid
try:
    status = grid.main()
except SystemExit as stop:
    status = stop.code
print("slow modules:", *sorted(set({SLOW}) & set(sys.modules)))
sys.exit(status)
"""


@pytest.fixture(scope="session")
def surroundings(tmp_path_factory) -> dict[str, str]:
    """The environment of all processes: one compilation cache, nothing else that the user or conftest has set."""
    keep = {name: value for name, value in os.environ.items() if not name.startswith(("JAX", "XLA"))}
    cache = {"JAX_COMPILATION_CACHE_DIR": str(tmp_path_factory.mktemp("xla"))}
    cache |= {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    return keep | cache | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}


@pytest.fixture
def run(surroundings, tmp_path):
    """Run the grid as a process in an empty folder and return what it left behind."""
    (tmp_path / "cwd").mkdir()

    def run(*argv: str | Path, start: tuple[str, ...] = ("-m", "experiments.grid"), status: int = 0):
        command = [sys.executable, *start, *map(str, argv)]
        done = subprocess.run(command, cwd=tmp_path / "cwd", env=surroundings, capture_output=True, text=True)
        assert done.returncode == status, done.stderr
        assert not list((tmp_path / "cwd").iterdir())
        return done

    return run


@pytest.fixture(scope="session")
def reference(surroundings, tmp_path_factory) -> Path:
    """An uninterrupted run of eight configurations from three seeds."""
    out = tmp_path_factory.mktemp("reference") / "out"
    command = [sys.executable, "-m", "experiments.grid", *TINY, "--seeds", "3", "--out", out]
    done = subprocess.run(command, cwd=out.parent, env=surroundings, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return out


def summary_of(out: Path) -> bytes:
    return (out / "summary.csv").read_bytes()


def records_in(out: Path) -> dict[str, records.Record]:
    found = [record for record in records.read_all(out) if isinstance(record, records.Record)]
    return {record.config.name: record for record in found}


def runs_in(out: Path) -> int:
    return sum(len(record.seeds) for record in records_in(out).values())


def processor_seconds() -> float:
    """What finished child processes have used; unlike the time of day, other processes do not lengthen it."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_a_run_leaves_a_row_per_configuration_and_seed(reference):
    rows = list(csv.DictReader(summary_of(reference).decode().splitlines()))
    columns = ["dataset", "configuration", "layer1", "layer2", "layer3", "seed", "epochs", "test_accuracy"]
    assert {*columns, "test_loss", "train_loss"} <= set(rows[0])
    assert [(row["configuration"], row["seed"]) for row in rows] == [(name, s) for name in NAMES for s in "012"]
    for row in rows:
        assert "-".join((row["layer1"], row["layer2"], row["layer3"])) == row["configuration"]
        assert (row["dataset"], row["epochs"]) == ("digits", "20")
        assert 0 <= float(row["test_accuracy"]) <= 100 and 0 < float(row["test_loss"]) < 4
    assert len({row["test_loss"] for row in rows}) == len(rows)  # no two runs are the same


def test_a_run_learns(reference):
    """Three ReLU layers of a few units come far from chance, where shuffled labels would leave them."""
    best = records_in(reference)["relu-relu-relu"].test_accuracy()
    assert best[:, -1].mean() > 25 > best[:, 0].mean()


def test_a_run_leaves_a_report_with_command_and_environment(reference):
    report = (reference / "report.md").read_text()
    for part in (
        "python -m experiments.grid --dataset digits",
        "64-8-6-10",
        "load_digits",
        "jax ",
        "relu-sigmoid-relu",
    ):
        assert part in report
    assert sorted(path.name for path in reference.glob("[!.]*")) == ["digits", "report.md", "summary.csv"]
    assert len(list((reference / "digits").glob("[!.]*"))) == 8


def test_a_rerun_trains_nothing_and_never_loads_jax(reference, run):
    before = summary_of(reference), {path: path.stat().st_mtime_ns for path in (reference / "digits").iterdir()}
    done = run(*TINY, "--seeds", "3", "--out", reference, start=("-c", LISTING_MODULES))
    assert "nothing to train" in done.stdout and "8 configurations x 3 seeds" in done.stdout
    assert done.stdout.endswith("slow modules:\n")
    assert before == (summary_of(reference), {p: p.stat().st_mtime_ns for p in (reference / "digits").iterdir()})


def test_added_seeds_alone_are_trained_and_equal_a_fresh_run(reference, run, tmp_path):
    out = tmp_path / "out"
    for record in records_in(reference).values():
        records.write(out, record.subset([0, 2]))
    done = run(*TINY, "--seeds", "3", "--out", out)
    assert "8 runs of 8 configurations to train" in done.stdout
    assert [run["seeds"] for record in records_in(out).values() for run in record.meta["runs"]] == [[0, 1, 2], [1]] * 8
    assert summary_of(out) == summary_of(reference)


@pytest.mark.slow
def test_a_grid_goes_on_under_another_strategy(reference, run, tmp_path):
    out = tmp_path / "out"
    for record in records_in(reference).values():
        records.write(out, record.subset([0, 2]))
    run(*TINY, "--seeds", "3", "--out", out, "--strategy", "vmap", "--devices", "1")
    for name, record in records_in(out).items():
        whole = records_in(reference)[name]
        assert [(run["seeds"], run["strategy"]) for run in record.meta["runs"]] == [([0, 1, 2], "map"), ([1], "vmap")]
        assert whole.meta["runs"][0]["strategy"] == "map"
        for array in ("train_loss", "test_correct"):
            assert (record.subset([0, 2]).arrays[array] == whole.subset([0, 2]).arrays[array]).all()
        added, theirs = record.subset([1]), whole.subset([1])
        assert added.arrays["train_loss"] == pytest.approx(theirs.arrays["train_loss"], rel=1e-4)
        assert added.test_accuracy() == pytest.approx(theirs.test_accuracy(), abs=0.6)  # two of 360 images


def interrupted(
    argv: list[str], out: Path, environment: dict[str, str], how: signal.Signals, start=("-c", AS_FROM_A_TERMINAL)
) -> tuple[int, str]:
    """Start the grid, wait for its first record, send the signal; returns the status and what it said."""
    command = [sys.executable, *start, *argv, "--out", str(out)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=out.parent, env=environment, stdout=pipe, stderr=pipe, text=True) as process:
        deadline = time.monotonic() + 300
        while not list(out.rglob("*.npz")):
            assert process.poll() is None and time.monotonic() < deadline, process.communicate()
            time.sleep(0.005)
        process.send_signal(how)
        _, error = process.communicate(timeout=120)
    return process.returncode, error


def test_an_interrupted_run_goes_on_to_the_same_summary(reference, surroundings, run, tmp_path):
    out = tmp_path / "out"
    status, error = interrupted([*TINY, "--seeds", "3"], out, surroundings, signal.SIGINT)
    assert status == 130
    assert "stopped" in error and str(out) in error and error.strip().count("\n") == 0
    kept = runs_in(out)
    assert 0 < kept < 24
    assert not list(out.rglob("*.tmp")) and not (out / "summary.csv").exists()
    done = run(*TINY, "--seeds", "3", "--out", out)
    assert f"{24 - kept} runs of " in done.stdout and "skipped" in done.stdout
    assert summary_of(out) == summary_of(reference)


def test_a_killed_run_with_debris_goes_on_to_the_same_summary(reference, surroundings, run, tmp_path):
    """Debris: the half-written temporary that a kill may leave, and a record that a bad disk has cut short."""
    out = tmp_path / "out"
    status, _ = interrupted([*TINY, "--seeds", "3"], out, surroundings, signal.SIGKILL)
    assert status == -signal.SIGKILL
    first = next(out.rglob("*.npz"))
    whole = first.read_bytes()
    first.with_name(f".{first.name}.x7.tmp").write_bytes(whole[:100])
    first.write_bytes(whole[: len(whole) // 2])
    left = 24 - runs_in(out)
    done = run(*TINY, "--seeds", "3", "--out", out)
    assert f"{left} runs of " in done.stdout
    assert summary_of(out) == summary_of(reference)


@pytest.mark.parametrize(
    ("how", "code"),
    [pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow), (signal.SIGHUP, 129)],
    ids=lambda value: str(value),
)
def test_a_terminated_run_keeps_the_finished_seeds_of_the_configuration_it_was_in(
    surroundings, run, reference, tmp_path, how, code
):
    """Started as a background job, SIGINT ignored; a call is one seed, so that most often some seeds are waiting."""
    out = tmp_path / "out"
    background = ("-c", "import runpy, signal; signal.signal(signal.SIGINT, signal.SIG_IGN); "
                  "runpy.run_module('experiments.grid', run_name='__main__')")  # fmt: skip
    argv = [*TINY, "--seeds", "3", "--devices", "1"]
    status, error = interrupted(argv, out, surroundings, how, start=background)
    assert status == code, error
    assert "stopped" in error and str(out) in error and error.strip().count("\n") == 0
    assert 0 < runs_in(out) < 24 and not list(out.rglob("*.tmp"))
    run(*argv, "--out", out)
    assert summary_of(out) == summary_of(reference)


def test_an_interrupt_before_the_first_record_is_one_line(tmp_path, monkeypatch, capsys):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("jaxact.study.run.prepare", stop)
    try:
        status = grid.main([*TINY, "--out", str(tmp_path / "out")])
    except KeyboardInterrupt:  # let through, it would end pytest itself
        status = None
    assert status == 130 and not (tmp_path / "out").exists()
    error = capsys.readouterr().err
    assert "stopped" in error and error.strip().count("\n") == 0


def test_help_needs_no_second_and_no_jax(run):
    before = processor_seconds()
    done = run("--help", start=("-c", LISTING_MODULES))
    assert processor_seconds() - before < 1
    assert done.stdout.endswith("slow modules:\n")
    for option in ("--dataset", "--configs", "--seeds", "--preset", "--dry-run", "--out", "--data-dir"):
        assert option in done.stdout


@pytest.mark.parametrize(
    ("argv", "shown"),
    [
        (["--dataset", "mnits"], "'mnits'"),
        (["--lr", "nan"], "nan"),
        (["--configs", "relu-sigmoid-relu", "relu-sigmoid-relu"], "relu-sigmoid-relu"),
        (["--data-dir", "{tmp}"], "no mnist in"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_bad_command_line_is_one_line_and_status_2_without_jax(run, tmp_path, argv, shown):
    options = [option.format(tmp=tmp_path / "cwd") for option in argv]
    done = run(*options, "--out", tmp_path / "out", start=("-c", LISTING_MODULES), status=2)
    assert done.stderr.count("\n") == 1 and done.stderr.endswith("\n") and shown in done.stderr
    assert done.stdout.endswith("slow modules:\n") and not (tmp_path / "out").exists()


def test_a_dry_run_prints_the_counts_and_writes_nothing(run, tmp_path):
    argv = ("--dataset", "digits", "--configs", "*-sigmoid-relu", "--seeds", "0,3,17-25", "--dry-run")
    done = run(*argv, "--out", tmp_path / "out", start=("-c", LISTING_MODULES))
    shown = " ".join(done.stdout.split())
    assert "configurations 4:" in shown and "runs 44, of which 44 to train" in shown
    assert f"model-steps {44 * 10 * 45:,}" in shown and "estimated time" in shown
    assert "relu-sigmoid-relu, tanh-sigmoid-relu, sigmoid-sigmoid-relu, selu-sigmoid-relu" in shown
    assert done.stdout.endswith("slow modules:\n") and not (tmp_path / "out").exists()


def test_a_dry_run_of_a_started_grid_counts_the_rest(reference, capsys):
    before = sorted(reference.rglob("*"))
    assert grid.main([*TINY, "--seeds", "5", "--out", str(reference), "--dry-run"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "runs 40, of which 16 to train" in shown and f"model-steps {16 * 20 * 45:,}" in shown
    assert sorted(reference.rglob("*")) == before


@pytest.mark.slow
def test_the_whole_grid_on_digits(run, tmp_path):
    """The study's 64 networks in full width from 3 seeds; again, it skips all of them."""
    argv = ("--dataset", "digits", "--epochs", "2", "--seeds", "3", "--out", tmp_path / "out")
    run(*argv)
    rows = list(csv.DictReader(summary_of(tmp_path / "out").decode().splitlines()))
    assert len(rows) == 192 and len({(row["configuration"], row["seed"]) for row in rows}) == 192
    assert len({row["configuration"] for row in rows}) == 64
    assert records_in(tmp_path / "out")["selu-selu-selu"].test_accuracy()[:, -1].mean() > 70
    assert sum(path.stat().st_size for path in (tmp_path / "out").rglob("*") if path.is_file()) < 1 << 20
    before, started = summary_of(tmp_path / "out"), processor_seconds()
    assert "64 configurations x 3 seeds" in run(*argv).stdout
    assert processor_seconds() - started < 10 and summary_of(tmp_path / "out") == before


@pytest.mark.slow
def test_a_record_says_of_which_preset_it_is_and_what_was_cut(run, tmp_path):
    argv = ("--preset", "smoke", "--configs", "relu-relu-relu", "--seeds", "1", "--epochs", "1")
    run(*argv, "--out", tmp_path / "out")
    (made,) = records_in(tmp_path / "out")["relu-relu-relu"].meta["runs"]
    assert (made["preset"], made["changed"]) == ("smoke", {})
    assert made["cut"] == {"configs": ["relu-relu-relu"], "seeds": "1", "epochs": 1}
