"""One process of `experiments.benchmark`: builds what it is told to, then runs one repeat per line of its input.

The first line of the input is a `Spec` as JSON, every answer is a line of JSON: what was built, then each repeat. It
ends with its input.
"""

import ctypes
import json
import os
import sys
import time
from collections.abc import Iterator
from io import TextIOBase
from pathlib import Path
from pkgutil import resolve_name

from jaxact.benchmark.rows import ROWS, UNLISTED, Row
from jaxact.benchmark.task import Spec
from jaxact.execution import runtime


def prepare(row: Row) -> None:
    """Set the environment of a row, before what it runs is loaded: JAX reads it on import."""
    flags = os.environ.get("XLA_FLAGS", "")
    if row.threads:
        os.environ["JAX_NUM_CPU_DEVICES"] = "1"
        if "xla_cpu_multi_thread_eigen" not in flags:
            os.environ["XLA_FLAGS"] = f"--xla_cpu_multi_thread_eigen=true {flags}".strip()  # XLA's default
    runtime.configure(row.devices)


def forget_peak() -> None:
    """Give back what compiling has left and start the peak anew, where the system can do either."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):
        pass
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    except OSError:
        pass


def peak_bytes() -> int | None:
    """The largest resident size since `forget_peak`; None where the system does not tell.

    Not `getrusage`: its figure starts at the parent's.
    """
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")), None)


def serve(lines: Iterator[str], answers: TextIOBase) -> None:
    """Build, answer with what was built, then one repeat per line."""
    values = json.loads(next(lines))
    spec = Spec(**values | {"activations": tuple(values["activations"])})
    row = (ROWS | UNLISTED)[spec.row]
    started = time.monotonic()
    prepare(row)
    runner, info = resolve_name(row.make)(spec, **row.options)
    forget_peak()
    ready = {"info": info | {"ready_seconds": time.monotonic() - started}}
    print(json.dumps(ready), file=answers, flush=True)
    for _ in lines:
        cpu = time.process_time()
        repeat = runner()
        rest = {"own_cpu": time.process_time() - cpu, "peak_bytes": peak_bytes()}
        print(json.dumps(repeat._asdict() | rest), file=answers, flush=True)


if __name__ == "__main__":
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as pipe:
        os.dup2(2, 1)  # what a library prints must not get between the answers
        try:
            serve(sys.stdin, pipe)
        except (KeyboardInterrupt, BrokenPipeError):
            sys.exit(130)
