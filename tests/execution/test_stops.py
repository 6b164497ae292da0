"""Signals that arrive while a grid saves or while Python loads it: real processes that get real signals."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from jaxact import records
from jaxact.execution import stops

ROOT = Path(__file__).resolve().parents[2]
PATH = os.pathsep.join(map(str, (ROOT, ROOT / "tests", ROOT / "tests" / "commands", ROOT / "tests" / "study")))

GRID = """
import os, signal, sys, time
from pathlib import Path
from types import SimpleNamespace
from oracles.record_examples import RUN
from test_grid_saving import Machine, plan_of
from jaxact.commands import grid
from jaxact.execution import runtime
from jaxact.study import outcome, run

# JAX, which takes seconds to load, is not needed to save what a stand-in has trained.
sys.modules["jaxact.training.ensemble"] = SimpleNamespace(plan_calls=lambda todo, *_: [[job] for job in todo])
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job's children ignore it
out, first, second, wait = Path(sys.argv[1]), sys.argv[2], sys.argv[3], float(sys.argv[4])
fsync = os.fsync


def slow_disk(file):
    time.sleep(wait)
    os.kill(os.getpid(), signal.Signals[second])
    time.sleep(0.05)
    fsync(file)


class Stopped(Machine):
    def run(self, call, _):
        if self.left == 1:
            os.fsync = slow_disk
            os.kill(os.getpid(), signal.Signals[first])
        return super().run(call, _)


def main():
    plan = plan_of(out)
    run.SAVE_SECONDS = 1e9
    run.train(plan, run.Prepared(Stopped([0.0], 5), {"source": "made up"}, RUN), outcome.pending(plan))
    return 0


runtime.run(main)
"""


@pytest.mark.parametrize(
    ("first", "second", "wait", "status"),
    [
        ("SIGINT", "SIGINT", 1.2, 130),
        ("SIGINT", "SIGTERM", 0.0, 130),
        ("SIGTERM", "SIGTERM", 1.2, 143),
        ("SIGHUP", "SIGINT", 0.0, 129),
    ],
)
def test_a_second_signal_during_the_save_loses_no_finished_seed(tmp_path, first, second, wait, status):
    """The first comes before the fifth of nine seeds, the second while the other four are being written."""
    done = subprocess.run(
        [sys.executable, "-c", GRID, tmp_path, first, second, str(wait)],
        env=os.environ | {"PYTHONPATH": PATH}, capture_output=True, text=True,
    )  # fmt: skip
    (record,) = records.read_all(tmp_path)
    assert isinstance(record, records.Record) and record.seeds.tolist() == [0, 1, 2, 3], done.stderr
    assert done.stderr.strip() == "stopped" and not list(tmp_path.rglob("*.tmp"))
    assert done.returncode == status


@pytest.mark.parametrize("number", stops.SIGNALS)
def test_a_signal_waits_for_the_end_of_the_block_and_is_not_lost(number):
    seen, inside = [], []
    old = signal.signal(number, lambda *_: seen.append(number))
    try:
        with stops.held_back():
            os.kill(os.getpid(), number)
            inside += seen
        assert (inside, seen) == ([], [number])
        signal.signal(number, signal.SIG_IGN)
        with stops.held_back():
            os.kill(os.getpid(), number)
        assert seen == [number] and signal.getsignal(number) == signal.SIG_IGN
    finally:
        signal.signal(number, old)


STOPPING = """
import os, signal, sys

class Stop:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["STOP_AT"]:
            sys.meta_path.remove(self)
            signal.raise_signal(signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Stop())
"""


@pytest.mark.parametrize(
    ("module", "name"),
    [
        *(("experiments.grid", name) for name in ("experiments.grid", "argparse", "jaxact.config", "numpy")),
        ("experiments.curves", "jaxact.records.folders"),
        ("experiments.explain", "jaxact.activations.catalogue"),
        ("experiments.report", "jaxact.console"),
        ("jaxact.data", "numpy.linalg"),
    ],
)
def test_ctrl_c_while_python_loads_a_command_is_one_line(tmp_path, module, name):
    """Python itself imports what stands here, which stops it as it looks for the module of that name."""
    (tmp_path / "sitecustomize.py").write_text(STOPPING)
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}", "STOP_AT": name}
    done = subprocess.run(
        [sys.executable, "-m", module, *(["--dry-run"] if module == "experiments.grid" else [])],
        env=environment, cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stderr.strip() == "stopped" and done.stdout == ""
    assert done.returncode in (130, -signal.SIGINT)


def test_other_programs_that_import_jaxact_keep_their_tracebacks(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "__init__.py").write_text("import jaxact")
    (tmp_path / "mine" / "run.py").write_text("import sys; print(sys.excepthook is sys.__excepthook__)")
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-m", "mine.run"], env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout == "True\n"
