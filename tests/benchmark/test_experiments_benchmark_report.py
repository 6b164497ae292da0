"""What `experiments.benchmark` concludes and writes: ratios, targets and memory by hand, report and JSON alike."""

import json

import pytest

from jaxact.benchmark import report as reporting
from jaxact.benchmark import rows, run, task
from jaxact.benchmark.measure import Measured, Point, Results, Sample
from jaxact.benchmark.plan import plan_from
from jaxact.commands import benchmark as script

KNOWN = {"command": "python -m experiments.benchmark", "started_utc": "2026-01-01T00:00:00+00:00"}


def measured(*ms, **fields):
    return Measured([Sample(value, value, None, None)._replace(**fields) for value in ms], {})


def results(jaxact=(1.0, 2.0, 9.0), sweep=(), compiled=None, **rows):
    found = {"jaxact": measured(*jaxact)} | {name.replace("_", "-"): measured(*ms) for name, ms in rows.items()}
    return Results(found, list(sweep), compiled or {})


def test_ratios_are_taken_within_rounds():
    assert reporting.ratio(measured(2.0, 8.0, 90.0), measured(1.0, 2.0, 9.0)) == 4


def test_targets_are_reached_or_not():
    found = results(torch=(2.5, 5.0, 22.5), torch_per_core=(1.4, 2.8, 12.6), floor=(0.6, 1.2, 5.4))
    assert [line.rsplit(": ", 2)[1:] for line in reporting.verdicts(found)] == [
        ["2.50 ×", "reached"],
        ["2.50 ×", "not reached"],
        ["1.40 ×", "not reached"],
        ["60 %", "reached"],
        ["60 %", "not reached"],
    ]


def test_a_busy_machine_settles_nothing():
    found = results(torch=(2.5, 5.0, 22.5))
    rows = {name: Measured([s._replace(others=1.5) for s in row.samples], {}) for name, row in found.rows.items()}
    lines = reporting.verdicts(found._replace(rows=rows))
    assert lines[0].endswith("2.50 ×: reached in this run, on a busy machine")
    assert "took 1.50 cores meanwhile: **these times settle nothing**" in reporting.summary(found._replace(rows=rows))
    assert reporting.disturbance(found) is None


@pytest.mark.parametrize(("last", "said"), [(1.14, "+14.0 %: reached"), (1.2, "+20.0 %: not reached")])
def test_flatness_and_memory_per_network(last, said):
    points = [
        Point(8, measured(1.0, 2.0, peak_bytes=100_000_000)),
        Point(128, measured(last, 2 * last, peak_bytes=700_000_000)),
    ]
    flat, memory = reporting.verdicts(results(sweep=points))[-2:]
    assert flat.endswith(said)
    assert f"5.00 MB, {5e6 / task.state_bytes():.2f} × its parameters and momentum (4.19 MB)" in memory
    (missing,) = reporting.verdicts(results(sweep=points[:1]))[-1:]
    assert "not measured: the sweep has 8 seeds" in missing


def test_compilation_is_judged_cold_and_cached():
    cold, cached = ([{"compile_seconds": s} for s in seconds] for seconds in ((12.0, 9.0, 9.5), (1.0, 1.2, 5.0)))
    lines = reporting.verdicts(results(compiled={"cold": cold, "cached": cached}))[-2:]
    assert lines[0].endswith("under 10 s: 9.5 s: reached") and lines[1].endswith("1.2 s: reached")


def test_report_json_and_figure_say_the_same(tmp_path, monkeypatch):
    points = [Point(n, measured(1.0, 1.1, peak_bytes=int(1e8 + n * 5e6))) for n in (1, 2, 4)]
    absent = Measured([], {}, rows.NO_TORCH)
    found = results(floor=(0.6, 1.2, 5.4), sweep=points)
    found = found._replace(rows={"jaxact": found.rows["jaxact"], "torch": absent, "floor": found.rows["floor"]})
    plan = plan_from(script.parser().parse_args(["--out", str(tmp_path / "out")]))
    known = run.facts(plan, "somewhere", found)
    run.write(plan, found, KNOWN | known)
    written = json.loads((plan.out / "benchmark.json").read_text())
    report = (plan.out / "report.md").read_text()
    assert written["rows"]["jaxact"]["ms_per_model_step"] == [1.0, 2.0, 9.0]
    assert written["environment"]["cores"] >= 1 and written["protocol"]["steps"] == 400
    assert all(f"- {line}" in report for line in written["verdicts"])
    assert f"PyTorch eager, all threads: not run: {rows.NO_TORCH}" in report
    assert "| 2.000 | 1.000 | 9.000 |" in " ".join(report.split())
    assert (plan.out / "throughput.png").read_bytes()[:4] == b"\x89PNG" and "throughput.png" in report
