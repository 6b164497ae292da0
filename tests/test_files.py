"""Files that several processes write, and what a killed one leaves: real processes and real signals."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from oracles.record_examples import CONFIG, assert_same, make

from jaxact import files, records

ROOT = Path(__file__).resolve().parent.parent
ADDING = """
import sys
from pathlib import Path
from oracles.record_examples import make
from jaxact import records
out, first, step, last = Path(sys.argv[1]), *map(int, sys.argv[2:])
for seed in range(first, last, step):
    records.add(out, make([seed]))
"""
KILLED = """
import os, signal, sys
from pathlib import Path
from oracles.record_examples import make
from jaxact import files, records
os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
"""

PATHS = os.pathsep.join(map(str, (ROOT, ROOT / "tests", ROOT / "tests" / "data")))


def start(code: str, *argv: object, **options) -> subprocess.Popen:
    command = [sys.executable, "-c", code, *map(str, argv)]
    environment = os.environ | {"PYTHONPATH": PATHS}
    return subprocess.Popen(command, env=environment, text=True, **options)


@pytest.mark.parametrize("processes", [2, 3])
def test_processes_that_add_different_seeds_lose_none(tmp_path, processes):
    """Back to back: without a lock, of two that find the same record only the later one's seeds stay."""
    running = [start(ADDING, tmp_path, first, processes, 30) for first in range(processes)]
    assert [process.wait(60) for process in running] == [0] * processes
    record = records.read(records.path_of(tmp_path, CONFIG))
    assert_same(record, make(list(range(30)))._replace(meta=record.meta))


def test_processes_that_add_the_same_seeds_leave_one_run_of_each(tmp_path):
    running = [start(ADDING, tmp_path, 0, 1, 10) for _ in range(2)]
    assert [process.wait(60) for process in running] == [0, 0]
    record = records.read(records.path_of(tmp_path, CONFIG))
    assert_same(record, make(list(range(10)))._replace(meta=record.meta))
    assert [run["seeds"] for run in record.meta["runs"]].count([3]) == 1


def test_the_lock_of_a_killed_process_is_free_again(tmp_path):
    code = "import sys, time\nfrom pathlib import Path\nfrom jaxact import files\n"
    code += "with files.locked(Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(60)"
    with start(code, tmp_path, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        process.kill()
    with files.locked(tmp_path):
        pass


def test_a_lock_that_another_process_keeps_is_an_error_that_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "LOCK_SECONDS", 0.2)
    code = "import sys\nfrom pathlib import Path\nfrom jaxact import files\n"
    code += "with files.locked(Path(sys.argv[1])):\n    print('held', flush=True)\n    input()"
    folder = tmp_path / CONFIG.dataset
    with start(code, folder, stdout=subprocess.PIPE, stdin=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        with pytest.raises(TimeoutError, match="locked by another process for 0.2 s: stop that process"):
            records.add(tmp_path, make([0]))
        process.communicate("\n")
    assert records.add(tmp_path, make([0])).seeds.tolist() == [0]


def test_nothing_is_lost_where_the_file_system_has_no_locks(tmp_path, monkeypatch):
    import filelock

    def none(*_, **__):
        raise OSError(files._NO_LOCKS[0], "No locks available")

    monkeypatch.setattr(filelock.FileLock, "acquire", none)
    records.add(tmp_path, make([0]))
    assert records.add(tmp_path, make([1])).seeds.tolist() == [0, 1]


WRITERS = {
    "a record": (CONFIG.dataset, "records.write(Path(sys.argv[1]), make([0]))"),
    "a summary": ("", "records.write_summary(Path(sys.argv[1]) / 'summary.csv', records.summary([make([0])]))"),
    "a report": ("", "records.write_text(Path(sys.argv[1]) / 'report.md', 'text')"),
    "a data set": (
        "",
        "from test_data_cache import SPEC, example\nfrom jaxact.data import cache\n"
        "cache.write(example(), 'there', SPEC, Path(sys.argv[1]))",
    ),
}


@pytest.mark.parametrize(("folder", "code"), WRITERS.values(), ids=WRITERS)
def test_what_a_killed_process_left_goes_with_the_next_write(tmp_path, folder, code):
    with start(KILLED + code, tmp_path) as process:
        assert process.wait(60) == -signal.SIGKILL
    (left,) = (tmp_path / folder).glob("*.tmp")
    assert left.stat().st_size > 0
    again = subprocess.run([sys.executable, "-c", KILLED.replace("os.fsync", "_") + code, tmp_path],
                           env=os.environ | {"PYTHONPATH": PATHS})  # fmt: skip
    assert again.returncode == 0
    assert len(list((tmp_path / folder).glob("[!.]*"))) == 1 and not list(tmp_path.rglob("*.tmp"))


def test_only_what_is_left_for_good_is_removed(tmp_path):
    """Of a living process, of another host a minute and two days old, of a user's own program."""
    mine, host = tmp_path / f".jaxact-{files._host()}-{os.getpid()}-abcdefgh.tmp", "elsewhere_pid_1"
    young, old = (tmp_path / f".jaxact-{host}-1-{word}.tmp" for word in ("young", "old"))
    earlier, theirs = tmp_path / ".relu-tanh.npz.a1b2c3d4.tmp", tmp_path / ".notes.tmp"
    for path in (mine, young, old, earlier, theirs):
        path.write_text("x")
    for path in (old, earlier, theirs):
        os.utime(path, (0, time.time() - 2 * files.STALE_SECONDS))
    files.replace(tmp_path / "file", b"content")
    assert {path.name for path in tmp_path.iterdir()} == {mine.name, young.name, theirs.name, "file"}
