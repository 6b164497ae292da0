"""What is set before JAX starts, and what is recorded of the machine."""

import json
import os
import platform
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import time

import jax
import pytest

from jaxact.execution import runtime

OURS = ("XLA_FLAGS", "JAX_NUM_CPU_DEVICES", "TF_CPP_MIN_LOG_LEVEL", "JAX_COMPILATION_CACHE_DIR")


@pytest.fixture
def clean(tmp_path, monkeypatch):
    """An environment in which the user has set nothing, with a home of its own; restored afterwards."""
    for name in (*OURS, "JAX_COMPILATION_CACHE_MAX_SIZE"):
        monkeypatch.setenv(name, "")  # so that monkeypatch puts back what was there
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return monkeypatch


def test_cores_are_those_the_process_may_use():
    assert 1 <= runtime.cores() <= (os.cpu_count() or 1)


def test_configure_sets_one_device_of_one_thread_per_core(clean):
    runtime.configure()
    assert os.environ["JAX_NUM_CPU_DEVICES"] == str(runtime.cores())
    assert os.environ["XLA_FLAGS"] == "--xla_cpu_multi_thread_eigen=false"


def test_configure_takes_a_number_of_devices(clean):
    runtime.configure(7)
    assert os.environ["JAX_NUM_CPU_DEVICES"] == "7"


def test_the_compilation_cache_is_the_users_own_and_bounded(clean):
    runtime.configure()
    folder = os.environ["JAX_COMPILATION_CACHE_DIR"]
    assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
    assert 0 < int(os.environ["JAX_COMPILATION_CACHE_MAX_SIZE"]) <= 2 << 30


def test_what_the_user_has_set_wins(clean, tmp_path):
    clean.setenv("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=true --xla_dump_to=there")
    clean.setenv("JAX_NUM_CPU_DEVICES", "3")
    clean.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "mine"))
    runtime.configure(5)
    assert os.environ["XLA_FLAGS"] == "--xla_cpu_multi_thread_eigen=true --xla_dump_to=there"
    assert os.environ["JAX_NUM_CPU_DEVICES"] == "3"
    assert os.environ["JAX_COMPILATION_CACHE_DIR"] == str(tmp_path / "mine") and not (tmp_path / "mine").exists()
    assert not (tmp_path / "cache").exists()


def test_other_flags_and_a_forced_device_count_are_kept(clean):
    clean.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=3")
    runtime.configure(5)
    assert set(os.environ["XLA_FLAGS"].split()) == {
        *("--xla_force_host_platform_device_count=3", "--xla_cpu_multi_thread_eigen=false")
    }
    assert "JAX_NUM_CPU_DEVICES" not in os.environ


def test_a_cache_folder_that_cannot_be_made_is_done_without(clean, tmp_path):
    (tmp_path / "cache").write_text("a file in the way")
    runtime.configure()
    assert "JAX_COMPILATION_CACHE_DIR" not in os.environ and "XLA_FLAGS" in os.environ


def test_environment_names_the_machine_and_the_versions():
    found = json.loads(json.dumps(runtime.environment()))
    assert found["packages"]["jax"] == jax.__version__ and set(found["packages"]) == set(runtime.PACKAGES)
    assert found["python"] == platform.python_version() and found["devices"] == len(jax.devices())
    assert found["backend"] == jax.default_backend() and found["cores"] == runtime.cores()


def test_a_package_that_is_not_installed_has_no_version(monkeypatch):
    monkeypatch.setattr(runtime, "PACKAGES", ("numpy", "no-such-package-anywhere"))
    assert runtime.environment()["packages"]["no-such-package-anywhere"] is None


def test_outside_a_checkout_there_is_no_commit(tmp_path, monkeypatch):
    monkeypatch.setattr(runtime, "__file__", str(tmp_path / "jaxact" / "execution" / "runtime.py"))
    assert runtime.git_commit() is None


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_the_commit_of_a_checkout_and_whether_it_was_changed(tmp_path, monkeypatch):
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):  # set where a commit hook runs the tests
        monkeypatch.delenv(name, raising=False)

    def git(*arguments: str) -> str:
        who = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
        return subprocess.run(
            ["git", "-C", tmp_path, *who, *arguments], check=True, capture_output=True, text=True
        ).stdout

    monkeypatch.setattr(runtime, "__file__", str(tmp_path / "jaxact" / "execution" / "runtime.py"))
    git("init", "-q")
    assert runtime.git_commit() is None  # no commit yet
    (tmp_path / "file").write_text("one")
    git("add", "file")
    git("commit", "-q", "-m", "one")
    commit = git("rev-parse", "HEAD").strip()
    assert runtime.git_commit() == commit and len(commit) >= 40
    (tmp_path / "untracked").write_text("results")
    assert runtime.git_commit() == commit
    (tmp_path / "file").write_text("two")
    assert runtime.git_commit() == f"{commit}+changes"


def test_command_can_be_typed_again(monkeypatch):
    monkeypatch.setattr("sys.argv", ["somewhere", "--configs", "*-sigmoid-relu", "--out", "a b"])
    line = runtime.command("experiments.grid")
    assert shlex.split(line) == ["python", "-m", "experiments.grid", "--configs", "*-sigmoid-relu", "--out", "a b"]


@pytest.fixture
def hook(monkeypatch):
    """`run` replaces the hook for exceptions that cannot be raised, and signal handlers; put pytest's back."""
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    handlers = {number: signal.getsignal(number) for number in runtime.STOPS}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("hook")
@pytest.mark.parametrize("status", [0, 2, 130])
def test_run_exits_with_the_status_of_main(status):
    with pytest.raises(SystemExit) as stop:
        runtime.run(lambda: status)
    assert stop.value.code == status


def test_a_reader_that_leaves_early_is_no_error():
    code = "from jaxact.execution import runtime\nruntime.run(lambda: print('x' * 100_000) or 0)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        error = process.stderr.read()
    assert process.returncode == 0 and error == b""


SWALLOWED = """
import gc, signal, time
from jaxact.execution import runtime

def callback(*_):
    gc.callbacks.remove(callback)
    signal.raise_signal(signal.SIGINT)

def main():
    gc.callbacks.append(callback)
    gc.collect()
    time.sleep(20)
    return 0

signal.signal(signal.SIGINT, signal.default_int_handler)
runtime.run(main)
"""


@pytest.mark.parametrize(("name", "status"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_stop_that_lands_in_a_garbage_collection_is_not_lost(name, status):
    """Python drops what such a callback raises, and JAX has one: a run would go on as if nothing had been pressed."""
    started = time.monotonic()
    code = SWALLOWED.replace("raise_signal(signal.SIGINT)", f"raise_signal(signal.{name})")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == status and time.monotonic() - started < 20
    assert done.stderr.strip() == "stopped"


SAVING = """
import os, signal, sys, time
from jaxact.execution import runtime

def main():
    try:
        os.kill(os.getpid(), signal.SIGHUP)
        time.sleep(20)
    finally:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.1)
        print("saved", flush=True)
    return 0

runtime.run(main)
"""


def test_a_second_signal_does_not_cut_short_what_the_first_makes_us_save():
    done = subprocess.run([sys.executable, "-c", SAVING], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr.strip()) == (129, "saved\n", "stopped")


def test_a_signal_that_the_process_was_started_to_ignore_stays_ignored():
    """As `nohup` does with SIGHUP."""
    code = "import os, signal, time\nfrom jaxact.execution import runtime\n"
    code += "runtime.run(lambda: os.kill(os.getpid(), signal.SIGHUP) or time.sleep(0.1) or print('went on') or 0)"
    done = subprocess.run(
        ["nohup", sys.executable, "-c", code], capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert (done.returncode, done.stdout) == (0, "went on\n")


def test_a_stop_is_no_error_where_the_terminal_is_gone(monkeypatch):
    class Gone:
        def write(self, _):
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(sys, "stderr", Gone())
    assert runtime.stopped(runtime.Stop(15), "text") == 143


@pytest.mark.usefixtures("hook")
def test_an_interrupt_at_any_moment_is_one_line_and_status_130(capsys):
    def interrupted() -> int:
        raise KeyboardInterrupt

    with pytest.raises((SystemExit, KeyboardInterrupt)) as stop:  # the second, let through, would end pytest itself
        runtime.run(interrupted)
    assert isinstance(stop.value, SystemExit) and stop.value.code == 130
    assert capsys.readouterr().err.strip() == "stopped"
