"""What an entry point sets before JAX starts, and what it records of the machine. The library sets nothing."""

import errno
import os
import platform
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NoReturn

from platformdirs import user_cache_path

from jaxact import numerics
from jaxact.console import one_line, open_streams, program_of

CPU_FLAGS = {"--xla_cpu_multi_thread_eigen": "false"}
CACHE_LIMIT_BYTES = 1 << 30
STOPS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
ONE_STOP_SECONDS = 1.0
"""Signals within this time are one stop: a second one would cut short what the first makes us save."""
REMEDIES = {
    errno.ENOSPC: "make room on that disk",
    errno.EDQUOT: "make room below the quota",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f)",
    errno.EIO: "look after that disk",
    **dict.fromkeys((errno.EROFS, errno.EPERM, errno.EACCES), "make it writable"),
}
PACKAGES = ("jaxact", "jax", "jaxlib", "flax", "optax", "numpy", "tensorflow-datasets")


def cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def set_devices(cpu_devices: int | None = None) -> None:
    """Set the environment for one host device per core with one thread each, which only a CPU backend notices.

    To be called before JAX is imported, and so before a user's own activation is, which may import it. A variable or
    XLA flag that the user has set wins.

    Args:
        cpu_devices: host devices; one per core if None.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    ours = [f"{name}={value}" for name, value in CPU_FLAGS.items() if name not in flags]
    os.environ["XLA_FLAGS"] = " ".join([*ours, flags]).strip()
    if "xla_force_host_platform_device_count" not in flags:
        os.environ.setdefault("JAX_NUM_CPU_DEVICES", str(cpu_devices or cores()))
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def configure(cpu_devices: int | None = None) -> None:
    """Set the environment for many small networks: to be called before JAX starts its backend.

    `set_devices`, and a persistent compilation cache in the user's own cache folder (0700); a variable that the user
    has set wins.

    Args:
        cpu_devices: host devices; one per core if None.
    """
    set_devices(cpu_devices)
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        folder = user_cache_path("jaxact") / "xla"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)
        except OSError:
            return
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder)
        os.environ.setdefault("JAX_COMPILATION_CACHE_MAX_SIZE", str(CACHE_LIMIT_BYTES))


def environment() -> dict[str, Any]:
    """The machine and the versions, for the records; starts JAX."""
    import jax

    devices = jax.devices()
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": cores(),
        "backend": devices[0].platform,
        "device": devices[0].device_kind,
        "devices": len(devices),
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "settings": numerics.settings(),
        "packages": {name: _version(name) for name in PACKAGES},
        "git_commit": git_commit(),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def git_commit() -> str | None:
    """The commit of the checkout this file lies in, `+changes` if it has uncommitted ones; None outside a checkout."""
    here = Path(__file__).resolve().parents[2]
    if not (here / ".git").exists():
        return None

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", here, *arguments], capture_output=True, encoding="utf-8", errors="replace", check=True
        ).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "HEAD") + ("+changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


class Stop(KeyboardInterrupt):
    """SIGTERM or SIGHUP: stops a run as Ctrl-C does."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def _catch() -> None:
    """Let signals that stop a run raise, but for one that the process was started to ignore (`nohup`)."""
    for number in (signal.SIGINT, *STOPS):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _stop)


_last_stop = -ONE_STOP_SECONDS


def _stop(number: int, _: object) -> None:
    global _last_stop
    if time.monotonic() < _last_stop + ONE_STOP_SECONDS:
        return
    _last_stop = time.monotonic()
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    for other in STOPS:  # a closed terminal may send both
        if signal.getsignal(other) == _stop:
            signal.signal(other, lambda *_: None)
    raise Stop(number)


def stopped(stop: KeyboardInterrupt, text: str = "") -> int:
    """Say in one line that a run was stopped, if anyone still listens.

    Args:
        stop: the exception that Ctrl-C or a signal raised.
        text: what is left of the run.

    Returns:
        The exit status: 128 + the signal's number, as shells have it; 130 after Ctrl-C.
    """
    try:
        print(f"\nstopped{text and '; '}{text}", file=sys.stderr, flush=True)
    except OSError:  # the terminal was closed
        pass
    return 128 + (stop.number if isinstance(stop, Stop) else signal.SIGINT)


def failed(error: OSError) -> int:
    """Say in one line what could not be written or read after the start; the notes of the error say what is left.

    Returns:
        The exit status, 1.
    """
    what = error.strerror or str(error) or type(error).__name__
    where = f"{error.filename}: " if error.filename else ""
    kept = "; ".join(getattr(error, "__notes__", ())) or "what was written before is kept: give the command again"
    return _last_words(f"{where}{what}: {REMEDIES.get(error.errno or 0, 'put that right')}; {kept}", 1)


def platform_problem() -> str | None:
    """Why JAX has no device to run on where the user named the platform, in one line; None where it has one."""
    asked = os.environ.get("JAX_PLATFORMS")
    jax = sys.modules.get("jax")
    if not asked or jax is None:
        return None
    try:
        jax.devices()
    except Exception:  # an AssertionError without a word, a RuntimeError, …: whatever the platform's plugin raises
        return (
            f"JAX_PLATFORMS is {asked!r}, and JAX cannot start that here: unset it, or set it to cpu "
            "(a GPU needs pip install 'jaxact[cuda]')"
        )
    return None


def _last_words(text: str, status: int) -> int:
    try:
        print(f"{_program()}: {one_line(text)}", file=sys.stderr, flush=True)
        sys.stdout.flush()
    except OSError:  # what is full or gone may be the output itself; Python flushes once more at the end
        _discard_output()
    return status


def _program() -> str:
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return f"python -m {spec.name}" if spec else Path(sys.argv[0]).name


def _discard_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _insist(unraisable: "sys.UnraisableHookArgs") -> None:
    """The signal again where it was swallowed: JAX runs a callback at garbage collections, where errors are lost."""
    global _last_stop
    error = unraisable.exc_value
    if isinstance(error, KeyboardInterrupt):
        number = error.number if isinstance(error, Stop) else signal.SIGINT
        if isinstance(error, Stop):
            signal.signal(number, _stop)
        _last_stop = -ONE_STOP_SECONDS
        again = threading.Timer(0.05, os.kill, (os.getpid(), number))
        again.daemon = True
        again.start()
    else:
        sys.__unraisablehook__(unraisable)


def run(main: Callable[[], int]) -> NoReturn:
    """Exit with the status of `main`, or that of a signal; a reader that left early (`| head`) is no error.

    An I/O error is one line and status 1, a platform that JAX cannot start one line and status 2.
    """
    sys.unraisablehook = _insist
    open_streams()
    _catch()
    try:
        status = _status(main)
        sys.stdout.flush()
    except KeyboardInterrupt as stop:
        status = stopped(stop)
    except BrokenPipeError:
        _discard_output()
        status = 0
    except OSError as error:
        status = failed(error)
    except (AssertionError, RuntimeError):
        if (problem := platform_problem()) is None:
            raise
        status = _last_words(problem, 2)
    sys.exit(status)


def _status(main: Callable[[], int]) -> Any:
    """The status that `main` returns or exits with."""
    try:
        return main()
    except SystemExit as stop:  # of --help, whose output is still to be written, or of a refusal
        return stop.code


def command(module: str) -> str:
    """The command line as typed, for the records."""
    return f"{program_of(module)} {shlex.join(sys.argv[1:])}".strip()
