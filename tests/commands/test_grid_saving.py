"""What a grid has on disk at each moment, with a stand-in for the training and a clock that the test turns."""

import signal
import sys
from types import SimpleNamespace

import pytest
from oracles.record_examples import RUN, make

from jaxact import records
from jaxact.commands import grid
from jaxact.execution import runtime
from jaxact.records import store
from jaxact.study import outcome, run
from jaxact.study.plan import Plan

ARGV = ["--dataset", "digits", "--widths", "8", "6", "10", "--epochs", "2", "--configs", "relu-relu-relu"]


def plan_of(tmp_path) -> Plan:
    return grid.plan_from(grid.parser(), [*ARGV, "--out", str(tmp_path / "out")])[0][0]


def record_of(plan: Plan) -> records.Record:
    record = records.find(plan.out, plan.configs[0])
    assert record is not None
    return record


class Machine:
    """Stands in for an ensemble of one member per call: a seed's history is a constant, an epoch costs a second."""

    size, strategy = 1, "map"

    def __init__(self, clock: list[float], fail_after: int) -> None:
        self.clock, self.left = clock, fail_after

    def run(self, call, _):
        if not self.left:
            raise Killed
        self.left -= 1
        self.clock[0] += 25.0
        config, seed = call[0]
        made = make([seed], config).arrays
        return SimpleNamespace(arrays=lambda i: {name: value[i] for name, value in made.items()})


class Killed(BaseException):
    """SIGKILL: nothing that would run afterwards does."""


@pytest.mark.parametrize(("finished", "kept"), [(1, 0), (2, 2), (3, 2), (4, 4), (5, 4)])
def test_a_killed_run_loses_a_minute_at_most(monkeypatch, tmp_path, finished, kept):
    """Seeds of 25 s each: the second is saved since the third would end 75 s after the start."""
    clock = [0.0]
    monkeypatch.setattr(run.time, "perf_counter", lambda: clock[0])
    written, save = [], run.save

    def saving(plan, prepared, config, parts):
        if not sys.exc_info()[0]:  # not what a stop, as opposed to a kill, lets us write
            written.append([part.seed for part in parts])
        return save(plan, prepared, config, parts)

    monkeypatch.setattr(run, "save", saving)
    plan = plan_of(tmp_path)
    prepared = run.Prepared(Machine(clock, finished), {"source": "made up"}, RUN)  # pyright: ignore[reportArgumentType]
    with pytest.raises(Killed):
        run.train(plan, prepared, outcome.pending(plan))
    assert len(written[-1] if written else []) == kept
    record = record_of(plan)
    assert record.seeds.tolist() == list(range(finished))
    assert [run["seeds"] for run in record.meta["runs"]] == [list(range(finished))]
    assert [run["seconds"] for run in record.meta["runs"]] == [25.0 * finished]


def test_a_stop_in_the_middle_of_writing_loses_nothing(monkeypatch, tmp_path):
    """The last seed is done and its record half written when the signal comes."""
    plan = plan_of(tmp_path)
    write, calls = store.write, []

    def interrupted_once(*arguments):
        calls.append(arguments)
        if len(calls) == 1:
            raise runtime.Stop(signal.SIGTERM)
        return write(*arguments)

    monkeypatch.setattr(store, "write", interrupted_once)
    prepared = run.Prepared(Machine([0.0], 99), {"source": "made up"}, RUN)  # pyright: ignore[reportArgumentType]
    monkeypatch.setattr(run, "SAVE_SECONDS", 1e9)
    with pytest.raises(runtime.Stop):
        run.train(plan, prepared, outcome.pending(plan))
    assert record_of(plan).seeds.tolist() == list(range(9))
