"""The planar experiment as a user runs it: real processes, their files, and the tables by hand-made results."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from jaxact.classics.planar import figures, measure, report, tables
from jaxact.classics.planar.measure import Cell, Measured
from jaxact.classics.planar.plan import plan_from
from jaxact.commands import planar

ROOT = Path(__file__).resolve().parents[2]
TINY = ["--datasets", "moons", "circles", "--hidden", "2", "2x2", "--activations", "tanh", "own:cube"]
TINY += ["--rates", "0.5", "1", "--seeds", "2,5", "--steps", "30", "--thread-steps", "0"]
PNG = b"\x89PNG"
LISTING_MODULES = """
import sys
from experiments import planar
try:
    status = planar.main()
except SystemExit as stop:
    status = stop.code
print("slow modules:", *sorted({"jax", "flax", "scipy", "sklearn", "matplotlib"} & set(sys.modules)))
sys.exit(status)
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Run the script as a process, in a folder of its own with a module of the user's."""
    cwd = tmp_path_factory.mktemp("cwd")
    (cwd / "own.py").write_text("def cube(x):\n    return x**3 / (1 + x * x)\n")
    keep = {name: value for name, value in os.environ.items() if not name.startswith(("JAX", "XLA"))}
    keep |= {"JAX_COMPILATION_CACHE_DIR": str(tmp_path_factory.mktemp("xla")), "JAX_PLATFORMS": "cpu"}
    keep |= {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    keep |= {"XLA_FLAGS": "--xla_backend_optimization_level=0"}  # half the time to compile
    keep |= {"PYTHONPATH": os.pathsep.join([str(ROOT), str(cwd)])}

    def run(*argv, start=("-m", "experiments.planar"), status=0):
        command = [sys.executable, *start, *map(str, argv)]
        done = subprocess.run(command, cwd=cwd, env=keep, capture_output=True, text=True)
        assert done.returncode == status, done.stderr
        assert [path.name for path in cwd.iterdir()] == ["own.py"]
        return done

    return run


@pytest.fixture(scope="module")
def tiny(run, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("tiny") / "out"
    done = run(*TINY, "--out", out)
    assert done.stdout.count("sweep: ") == 2 * 2 * (1 + 2)
    assert " left  sweep: " in done.stdout and "own:cube" in done.stdout
    return out


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def test_a_run_leaves_a_row_per_network(tiny):
    rows = rows_of(tiny / "runs.csv")
    assert len(rows) == 2 * 2 * (1 + 2) * 2 * 2
    keys = [(r["dataset"], r["activation"], r["hidden"], r["init"], r["rate"], r["seed"]) for r in rows]
    assert len(set(keys)) == len(keys)
    assert {key[2:4] for key in keys} == {("2", "course"), ("2x2", "course"), ("2x2", "lecun")}
    assert all(0 <= float(r["accuracy"]) <= 100 and 0 < float(r["cost"]) < 2 for r in rows)
    assert {r["dtype"] for r in rows} == {"float32"} and {r["steps"] for r in rows} == {"30"}


def test_the_rows_are_those_of_the_library(tiny):
    """One network again through `jaxact.classics.planar.descent`, in another batch."""
    from jaxact.classics.planar import activation, descent, load

    points, fresh = load("moons"), load("moons", 1)
    done = descent.train(activation("tanh"), (2,), points, seeds=[5], rates=[1.0], steps=30, fresh=fresh)
    wanted = {"dataset": "moons", "activation": "tanh", "hidden": "2", "rate": "1", "seed": "5"}
    row = next(r for r in rows_of(tiny / "runs.csv") if wanted.items() <= r.items())
    assert float(row["cost"]) == pytest.approx(done.costs[0, 0, -1], abs=2e-6)
    assert float(row["accuracy"]) == pytest.approx(descent.accuracy(done.logits, points.labels).item(), abs=0.51)
    assert float(row["fresh_accuracy"]) == pytest.approx(
        descent.accuracy(done.fresh_logits, fresh.labels).item(), abs=0.51
    )


def test_the_summary_is_over_the_seeds(tiny):
    runs, summary = rows_of(tiny / "runs.csv"), rows_of(tiny / "summary.csv")
    assert len(summary) == len(runs) / 2
    for row in summary:
        mine = [float(r["accuracy"]) for r in runs if all(r[name] == row[name] for name in tables.CELL)]
        assert len(mine) == int(row["seeds"]) == 2 and row["diverged"] == "0"
        assert float(row["accuracy"]) == pytest.approx(np.mean(mine), abs=0.006)
        assert float(row["sd"]) == pytest.approx(np.std(mine, ddof=1), abs=0.006)
        assert [float(row["min"]), float(row["max"])] == [min(mine), max(mine)]


def test_the_page_and_the_figures(tiny):
    page = (tiny / "report.md").read_text()
    names = ["boundaries.png", "sweep.png"]
    assert sorted(path.name for path in tiny.glob("*.png")) == names
    for name in names:
        content = (tiny / name).read_bytes()
        assert content.startswith(PNG) and 5_000 < len(content) < 150_000 and f"({name})" in page
    for part in ("python -m experiments.planar --datasets moons circles", "own:cube", "jax", "passed", "2x2", "cores"):
        assert part in page
    assert "reported in the thread" not in page


@pytest.mark.slow
def test_a_second_run_writes_the_same_tables(tiny, run, tmp_path):
    run(*TINY, "--no-figures", "--out", tmp_path / "again")
    assert sorted(path.name for path in (tmp_path / "again").iterdir()) == ["report.md", "runs.csv", "summary.csv"]
    for name in ("runs.csv", "summary.csv"):
        assert (tmp_path / "again" / name).read_bytes() == (tiny / name).read_bytes()


def test_help_loads_nothing_slow(run):
    done = run("--help", start=("-c", LISTING_MODULES))
    assert done.stdout.endswith("slow modules:\n") and "sigmoid_wrong_derivative" in done.stdout


def test_a_bad_name_is_told_before_anything_slow_is_loaded(run):
    done = run("--activations", "tanhh", start=("-c", LISTING_MODULES), status=2)
    assert done.stdout == "slow modules:\n" and "did you mean tanh" in done.stderr


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--datasets", "flowers"], "flower"),
        (["--datasets", "moons", "moons"], "twice"),
        (["--activations", "softmax"], "not elementwise"),
        (["--activations", "relu", "relu"], "twice"),
        (["--activations", "elu:alpha=-1"], "alpha"),
        (["--activations", "no_such_module_here:fn"], "no_such_module_here"),
        (["--hidden", "4x"], "'4x'"),
        (["--hidden", "0"], "'0'"),
        (["--hidden", "1001"], "1 to 1000"),
        (["--hidden", "x".join("2" * 11)], "11 layers"),
        (["--hidden", "4", "04"], "twice"),
        (["--inits", "he"], "he"),
        (["--rates", "0"], "above 0"),
        (["--rates", "-1", "1"], "above 0"),
        (["--rates", "nan"], "nan"),
        (["--rates", "1", "1.0"], "twice"),
        (["--rates", "fast"], "fast"),
        (["--seeds", "0"], "seeds"),
        (["--seeds", "3-1"], "upwards"),
        (["--steps", "0"], "--steps"),
        (["--thread-steps", "-1"], "--thread-steps"),
        (["--dtype", "float16"], "float16"),
        (["--out", __file__], "not a directory"),
        (["--no-such-option"], "--no-such-option"),
    ],
)
def test_bad_input_is_one_line_and_status_2(argv, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(planar.runtime, "configure", lambda: None)
    with pytest.raises(SystemExit) as stopped:
        planar.main(argv)
    shown = capsys.readouterr()
    assert stopped.value.code == 2 and not shown.out and shown.err.count("\n") == 1
    assert message in shown.err and not list(tmp_path.iterdir())


def test_without_matplotlib_the_extra_is_named(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        planar.main([])
    assert "pip install 'jaxact[figures]'" in capsys.readouterr().err


def test_the_default_plan_has_what_the_course_and_the_thread_tried():
    plan = plan_from(planar.parser().parse_args([]))
    cells = measure.cells(plan)
    flower = {c.hidden for c in cells if c.dataset == "flower" and c.part == "sweep"}
    assert {(n,) for n in (1, 2, 3, 4, 5, 20, 50, 100)} < flower and (4, 4) in flower
    assert {c.dataset for c in cells} == {"flower", "moons", "circles", "blobs", "gaussian_quantiles"}
    assert len(plan.seeds) >= 9 and 2 in plan.seeds and 1.2 in plan.rates and len(set(cells)) == len(cells)
    thread = {(c.activation, c.hidden, c.steps, c.dtype) for c in cells if c.part == "thread"}
    assert ("relu", (50,), 10_000, "float64") in thread and len(thread) == len(measure.REPORTED)


def measured(accuracy, *, activation="tanh", hidden=(4,), rates=(0.5, 1.2), seeds=(0, 2), **other) -> Measured:
    """A result with these accuracies [rates, seeds]."""
    accuracy = np.array(accuracy, float)
    cell = Cell(other.pop("part", "thread"), "flower", activation, hidden, "course", rates, 100, "float64")
    values = {
        "cost": accuracy / 100,
        "fresh": accuracy - 1,
        "bouncing": 0 * accuracy,
        "swing": 0 * accuracy,
        "params": None,
    } | other
    return Measured(
        cell, seeds, accuracy=accuracy, trace=np.zeros((*accuracy.shape, 2)), trace_steps=np.arange(2), **values
    )


def test_the_best_rate_has_the_highest_mean_and_never_diverges():
    assert measured([[90, 80], [84, 88]]).best == 1
    assert measured([[86, 86], [84, 88]]).best == 0
    assert measured([[50, 51], [99, np.nan]]).best == 0
    assert measured([[1, 2], [1, 2]]).shown == 1 and measured([[1, 2], [1, 2]], seeds=(7, 8)).shown == 0


def test_agreement_with_a_reported_percentage():
    done = measured([[88.0, 90.75], [89.0, 91.0], [70.0, 80.0], [90.5, 92.0]], rates=(1, 2, 3, 4))
    found = [report.agreement(90, done, rate) for rate in range(4)]
    assert found == ["same", "in range", "differs", "in range"]
    assert report.agreement(90, done._replace(seeds=(0, 1)), 0) == "in range"
    assert report.agreement(90, measured([[np.nan, np.nan]]), 0) == "differs"


def test_the_thread_section_tells_agreement_chance_and_bouncing():
    found = []
    for said in measure.REPORTED:
        rates = (said.rate,) if said.rate else (0.1, 0.2)
        level, cost = (said.percent or 50) + 0.25, 0.693 if said.percent is None else 0.2
        wild = np.full((len(rates), 2), 0.0)
        wild[1:] = 40.0
        options = {"rates": rates, "cost": np.full_like(wild, cost), "bouncing": wild, "swing": wild / 160}
        found.append(measured(np.full_like(wild, level), activation=said.activation, hidden=(said.units,), **options))
    text = report.thread(found)
    assert "tanh, 4 units, 90 % reported: same at rate 1.2 (seed 2 90.25 %, all 90.25 to 90.25)." in text
    assert "reported as hopeless: at chance (seed 2 50.25 %, all 50.25 to 50.25, cost 0.693)." in text
    assert (
        "same at rate 0.2 (seed 2 85.25 %, all 85.25 to 85.25). The cost bounces from rate 0.2 on" in text
        and "0.25 nats at 0.2;" in text
    )
    assert text.count("| same |") + text.count("|    same |") == 5
    assert report.thread([]) == ""


def test_the_courses_sizes_are_compared_only_in_its_own_setting():
    done = measured([[1, 2], [3, 90.5]])
    cell = done.cell._replace(part="sweep", steps=5000)
    other = done._replace(cell=cell._replace(hidden=(5,)))
    (text,) = report.course_sizes([done._replace(cell=cell), other])
    assert "met for 1 of 2: 4: 90.5 (90.5), 5: 90.5 (91.25). From 20" in text
    for change in ({"steps": 100}, {"activation": "relu"}, {"init": "lecun"}, {"rates": (0.5, 1.0)}, {"hidden": (7,)}):
        assert report.course_sizes([done._replace(cell=cell._replace(**change))]) == []
    assert report.course_sizes([done._replace(cell=cell, seeds=(0, 1))]) == []


def test_the_wrong_derivative_and_the_deeper_networks_are_told_by_size():
    part = [
        measured([[accuracy] * 2], activation=name, hidden=hidden, rates=(1.2,))
        for name, hidden, accuracy in (
            ("sigmoid", (4,), 90),
            ("sigmoid_wrong_derivative", (4,), 51),
            ("sigmoid", (5,), 89),
            ("tanh", (4, 4), 70),
        )
    ]
    part.append(part[-1]._replace(cell=part[-1].cell._replace(init="lecun"), accuracy=np.array([[91.0, 92.0]])))
    assert report.wrong_effect(part)[0].endswith("by hidden units: 4: 90.0 → 51.0.")
    assert report.deeper(part)[0].endswith("√fan-in: 4x4 tanh 70.0 → 91.5.")
    assert report.wrong_effect(part[:1]) == report.deeper(part[:4]) == []


def test_the_answer_names_the_best_rate_and_the_courses():
    done = measured([[70, 72], [60, 60]], rates=(0.5, 1.2), part="sweep")
    plan = plan_from(planar.parser().parse_args(["--datasets", "flower", "--activations", "tanh"]))
    text = report.answer(plan, [done])
    assert "flower, 4 hidden units" in text and text.endswith("tanh 71.0 ± 1.4 % (rate 0.5; 60.0 at the course's 1.2).")


def test_a_diverged_network_is_counted():
    rows = tables.summary([measured([[90, np.nan]], rates=(9.0,))])
    row = dict(zip(rows[0], rows[1], strict=True))
    assert row["diverged"] == 1 and row["seeds"] == 2 and row["accuracy"] == "nan"


def test_the_costs_figure_has_a_line_per_setting():
    thread = [measured([[90, 90]], rates=(1.2,)), measured([[1, 1]] * 3, activation="relu", rates=(1, 2, 3))]
    plan = plan_from(planar.parser().parse_args([]))
    left, right = figures.costs(plan, thread).axes
    assert len(left.get_lines()) == 1 and len(right.get_lines()) == 3
    assert [axes.get_xlabel() for axes in (left, right)] == ["gradient step"] * 2 and left.get_ylabel() == "cost (nats)"
