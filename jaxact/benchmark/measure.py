"""Workers of `experiments.benchmark`, and the rounds in which they take turns: one row computes at a time."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, NamedTuple

from jaxact.benchmark.rows import NO_TORCH, ROWS, SINGLE_THREAD
from jaxact.benchmark.task import Spec
from jaxact.execution import runtime

COMPILES = 3
Say = Callable[[str], None]


class Sample(NamedTuple):
    """One repeat of one row.

    Attributes:
        ms: wall milliseconds of the whole machine per model-step done by the whole machine.
        core_ms: milliseconds of processor time per model-step; None for rows of matrix products.
        best: for rows of matrix products, the library (and size) that was fastest.
        peak_bytes: largest resident size so far of the row's processes, summed; None where the system does not tell.
        others: cores that other work, or the host of a virtual machine, took meanwhile; None likewise.
    """

    ms: float
    core_ms: float | None
    best: str | None
    peak_bytes: int | None
    others: float | None = None


class Measured(NamedTuple):
    """A row's samples in order of rounds, and what its first process said of itself; or why it was not run."""

    samples: list[Sample]
    info: dict[str, Any]
    not_run: str | None = None


class Point(NamedTuple):
    """One seed count of the sweep."""

    seeds: int
    measured: Measured


class Results(NamedTuple):
    """Everything measured.

    Attributes:
        rows: by name, in the order of the table.
        sweep: by number of seeds, all in one call; empty if not asked.
        compile: `cold` and `cached`: seconds of compilation in fresh processes, and from importing to being ready.
    """

    rows: dict[str, Measured]
    sweep: list[Point]
    compile: dict[str, list[dict[str, float]]]


class WorkerError(Exception):
    """A worker ended early; the message is the last line of what it printed."""


class Crew:
    """The processes of one row, alive from the first round to the last."""

    def __init__(self, spec: Spec, processes: int, environment: dict[str, str]) -> None:
        """Start the processes; they build at the same time."""
        command = [sys.executable, "-m", "jaxact.benchmark.worker"]
        root = Path(__file__).resolve().parents[2]
        self.members: list[tuple[subprocess.Popen[str], IO[str]]] = []
        for rank in range(processes):
            errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                encoding="utf-8",
                env=environment,
                cwd=root,
            )
            self.members.append((process, errors))
            self._tell(process, json.dumps(spec._replace(rank=rank)._asdict()))

    def info(self) -> dict[str, Any]:
        """Wait until all are built; what the first one says of itself."""
        return self._answers()[0]["info"]

    def repeat(self) -> Sample:
        """One repeat in all processes at the same time."""
        start, busy = time.monotonic(), busy_seconds()
        for process, _ in self.members:
            self._tell(process, "")
        answers = self._answers()
        taken, wall = sample(answers), time.monotonic() - start
        if busy is None or (now := busy_seconds()) is None:
            return taken
        own = sum(answer["own_cpu"] for answer in answers)
        return taken._replace(others=max(0.0, (now - busy - own) / wall))

    @staticmethod
    def _tell(process: subprocess.Popen[str], line: str) -> None:
        assert process.stdin is not None
        try:
            process.stdin.write(line + "\n")
            process.stdin.flush()
        except BrokenPipeError:
            pass  # the answer, which is not there, tells

    def _answers(self) -> list[dict[str, Any]]:
        lines = [process.stdout.readline() for process, _ in self.members if process.stdout]
        for line, (process, errors) in zip(lines, self.members, strict=True):
            if not line:
                status = process.wait()
                errors.seek(0)
                said = errors.read().strip().splitlines()
                raise WorkerError(said[-1] if said else f"its process ended with status {status}")
        return [json.loads(line) for line in lines]

    def close(self) -> None:
        """End the processes."""
        for process, errors in self.members:
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    try:
                        pipe.close()
                    except BrokenPipeError:
                        pass
            process.terminate()
            process.wait()
            errors.close()


def sample(answers: Sequence[dict[str, Any]]) -> Sample:
    """Put the processes of one repeat together.

    Time is that from the first start to the last end, over the model-steps of all processes; rates of products add up,
    and the fastest library and size counts.
    """
    peaks = [answer["peak_bytes"] for answer in answers]
    peak = None if None in peaks else sum(peaks)
    if rates := answers[0]["rates"]:
        total = {name: sum(answer["rates"][name] for answer in answers) for name in rates}
        best = max(total, key=lambda name: total[name])
        return Sample(1e3 / total[best], None, best, peak)
    wall = max(answer["end"] for answer in answers) - min(answer["start"] for answer in answers)
    done, cpu = (sum(answer[name] for answer in answers) for name in ("model_steps", "cpu"))
    return Sample(1e3 * wall / done, 1e3 * cpu / done, None, peak)


def busy_seconds() -> float | None:
    """Processor time that all cores together have spent on anything since the start; None if it is not told."""
    try:
        user, nice, system, _, _, irq, softirq, steal, *_ = Path("/proc/stat").read_text(encoding="utf-8").split()[1:11]
    except (OSError, ValueError):
        return None
    return sum(map(int, (user, nice, system, irq, softirq, steal))) / os.sysconf("SC_CLK_TCK")


def measure(
    specs: dict[str, Spec], environment: dict[str, str], repeats: int, say: Say, *, warm_up: bool = True
) -> dict[str, Measured]:
    """Build one worker after the other, then let them take turns: one repeat of every row per round.

    Args:
        specs: by name of the result; each one's `row` says what is built.
        environment: of the workers.
        repeats: recorded rounds.
        say: told of every round.
        warm_up: whether a round goes before that is not recorded.
    """
    found: dict[str, Measured] = {}
    crews: dict[str, Crew] = {}
    with ExitStack() as stack:
        for name, spec in specs.items():
            row = ROWS.get(spec.row)
            if row is not None and row.needs_torch and find_spec("torch") is None:
                found[name] = Measured([], {}, NO_TORCH)
                continue
            alone = row is not None and row.per_core
            crew = Crew(spec, runtime.cores() if alone else 1, environment | (SINGLE_THREAD if alone else {}))
            stack.callback(crew.close)
            try:
                found[name], crews[name] = Measured([], crew.info()), crew
            except WorkerError as error:
                found[name] = Measured([], {}, str(error))
        for number in range(0 if warm_up else 1, repeats + 1):
            for name, crew in list(crews.items()):
                try:
                    taken = crew.repeat()
                except WorkerError as error:
                    found[name] = Measured([], {}, str(error))
                    del crews[name]
                    continue
                if number:
                    found[name].samples.append(taken)
            say(f"round {number} of {repeats}" if number else "warm-up")
    return found


def compile_times(spec: Spec, environment: dict[str, str], say: Say) -> dict[str, list[dict[str, float]]]:
    """Compile the grid's programs in fresh processes, each time into a new cache folder, then again from that cache."""
    found: dict[str, list[dict[str, float]]] = {"cold": [], "cached": []}
    for number in range(COMPILES):
        with tempfile.TemporaryDirectory() as cache:
            for name, times in found.items():
                crew = Crew(spec, 1, environment | {"JAX_COMPILATION_CACHE_DIR": cache})
                try:
                    times.append(crew.info())
                except WorkerError as error:
                    say(f"compilation, {name}: not run: {error}")
                finally:
                    crew.close()
        say(f"compilation {number + 1} of {COMPILES}")
    return found


def workers_environment() -> dict[str, str]:
    """This process's environment, for CPU programs."""
    return os.environ | {"JAX_PLATFORMS": "cpu"}
