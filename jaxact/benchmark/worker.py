"""One process of `experiments.benchmark`: builds what it is told to, then runs one repeat per line of its input.

The first line of the input is a `Spec` as JSON, every answer is a line of JSON: what was built, then each repeat. It
ends with its input.
"""

import ctypes
import json
import os
import sys
import time
from pathlib import Path
from typing import TextIO

from jaxact.benchmark import rivals
from jaxact.benchmark.task import ACTIVATIONS, FEATURES, Made, Repeat, Spec

GRID_EXAMPLES = 60_000, 10_000


def grid_programs(spec: Spec) -> Made:
    """Compile what `experiments.grid` compiles for MNIST, at its sizes, on blank data; there is nothing to repeat."""
    import numpy as np

    from jaxact.execution import runtime

    runtime.configure()
    from jaxact.data import Dataset
    from jaxact.training.ensemble import Ensemble

    train, test = ((np.zeros((n, FEATURES), np.float32), np.zeros(n, np.int32)) for n in GRID_EXAMPLES)
    machine = Ensemble(spec.config(), ACTIVATIONS, Dataset(*train, *test, "blank"))
    now = time.monotonic()
    return lambda: Repeat(now, now, 0.0, 0), {"compile_seconds": machine.compile_seconds}


def one_call(spec: Spec) -> Made:
    """All seeds in one call of the engine, whose state then lies in memory at once."""
    return rivals.jaxact(spec, "auto", size=spec.seeds)


PROBES = {"compile": grid_programs, "sweep": one_call}
"""Besides the rows: what else a worker can build."""


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


def serve(lines: TextIO, answers: TextIO) -> None:
    """Build, answer with what was built, then one repeat per line."""
    values = json.loads(lines.readline())
    spec = Spec(**values | {"activations": tuple(values["activations"])})
    make = PROBES.get(spec.row) or rivals.ROWS[spec.row].make
    started = time.monotonic()
    runner, info = make(spec)
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
