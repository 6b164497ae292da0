"""`experiments.benchmark`: its rows against NumPy and counts, its arithmetic by hand, and as a user runs it."""

import inspect
import io
import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from pkgutil import resolve_name

import numpy as np
import pytest

from jaxact.benchmark import measure, products, rows, task, with_jax, with_torch, worker
from jaxact.benchmark.measure import Sample
from jaxact.commands import benchmark as script

ROOT = Path(__file__).resolve().parents[2]
TORCH = pytest.mark.skipif(find_spec("torch") is None, reason="torch is not installed")


@pytest.fixture
def data(tmp_path):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "images.npy", rng.standard_normal((64, 784), np.float32))
    np.save(tmp_path / "labels.npy", rng.integers(0, 10, 64).astype(np.int32))
    return task.Spec("jaxact", str(tmp_path), 2, 3, ("relu", "sigmoid", "relu"))


def test_operations_of_a_model_step_by_hand():
    weights = [784 * 500, 500 * 256, 256 * 10]
    assert task.step_flops() == 2 * 32 * (2 * weights[0] + 3 * weights[1] + 3 * weights[2])
    assert len(task.products()) == 8


def test_state_is_parameters_and_momentum_of_the_network_that_trains(data):
    import jax

    from jaxact import training

    program = training.make_program(data.config(), data.activations)
    state = jax.eval_shape(program.initialise, 0, np.zeros(3, np.int32), np.zeros(784, np.float32))
    assert task.state_bytes() == sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state))


@pytest.mark.parametrize("transposed", [(False, False), (True, False), (False, True)])
def test_every_library_multiplies_what_it_should(transposed):
    rng = np.random.default_rng(1)
    left, right = products._array(rng, 5, 7, transposed[0]), products._array(rng, 7, 3, transposed[1])
    expected = left.astype(float) @ right.astype(float)
    libraries = products._multipliers()
    assert {"numpy", "scipy", "xla"} <= set(libraries)
    for name, multiply in libraries.items():
        found = np.asarray(multiply(left, right)())
        np.testing.assert_allclose(found.T if name == "scipy" else found, expected, rtol=1e-5, atol=1e-5)


def test_rates_count_calls_per_second(monkeypatch):
    clock = [0.0]

    def work():
        clock[0] += 0.015

    monkeypatch.setattr(products.time, "monotonic", lambda: clock[0])
    assert products._rate(work) == pytest.approx(1 / 0.015)


def test_rates_of_square_products_are_in_model_steps(data, monkeypatch):
    monkeypatch.setattr(products, "_rate", lambda work: 10.0)
    rates = products.sgemm_rates(data, own_shapes=False)[0]().rates
    assert rates["numpy 512"] == pytest.approx(10 * 2 * 512**3 / task.step_flops())
    own = products.sgemm_rates(data, own_shapes=True)[0]().rates
    assert own["numpy"] == 10 and set(own) == {name.split()[0] for name in rates}


@TORCH
@pytest.mark.parametrize("loader", [False, True])
def test_torch_trains_every_example_once_with_the_studys_sgd(data, monkeypatch, loader):
    import torch

    seen, optimizers, built = [], [], torch.optim.SGD
    entropy = torch.nn.functional.cross_entropy
    monkeypatch.setattr(torch.nn.functional, "cross_entropy", lambda z, y: seen.append((z, y)) or entropy(z, y))
    monkeypatch.setattr(torch.optim, "SGD", lambda *a, **k: optimizers.append(built(*a, **k)) or optimizers[-1])
    run, info = with_torch.eager(data, loader=loader)
    repeat = run()
    assert repeat.model_steps == len(seen) == 2 and repeat.end > repeat.start and repeat.cpu > 0
    labels = np.load(Path(data.folder) / "labels.npy")
    assert sorted(np.concatenate([y.numpy() for _, y in seen])) == sorted(labels)
    assert all(z.shape == (32, 10) and float(z.detach().min()) >= 0 for z, _ in seen)  # the last layer's ReLU is there
    group = optimizers[0].param_groups[0]
    assert (group["lr"], group["momentum"]) == (0.01, 0.5)
    assert sum(p.numel() for p in group["params"]) * 8 == task.state_bytes()
    assert info["torch"] == torch.__version__


def test_the_jitted_loop_ends_at_numpys_weights(data, monkeypatch):
    import jax

    from jaxact import training

    monkeypatch.setattr(task, "WIDTHS", (8, 6, 10))
    rng, shapes = np.random.default_rng(2), [(784, 8), (8, 6), (6, 10)]
    params = {
        f"dense{i}": {"kernel": rng.normal(0, 0.1, shape).astype("f"), "bias": rng.normal(0, 0.1, shape[1]).astype("f")}
        for i, shape in enumerate(shapes, start=1)
    }
    optimizer = training.make_optimizer(data.config())
    drawn = training.TrainState(params, {}, optimizer.init(params))
    program = training.Program(lambda *_: drawn, None, None)
    monkeypatch.setattr(training, "make_program", lambda *_: program)
    kept, ready = [], jax.block_until_ready
    monkeypatch.setattr(jax, "block_until_ready", lambda x: kept.append(jax.tree.map(np.array, ready(x))) or x)
    run, _ = with_jax.jitted_loop(data._replace(activations=("relu", "relu", "relu")))
    assert run().model_steps == 2
    first, last = kept[0], kept[-1]
    layers = [first.params[f"dense{i}"] for i in (1, 2, 3)]
    weights = [(np.float64(layer["kernel"]), np.float64(layer["bias"])) for layer in layers]
    velocity = [tuple(np.zeros_like(w) for w in pair) for pair in weights]
    images, labels = data.data()
    for batch in np.random.default_rng(0).permutation(64).reshape(2, 32):
        inputs, hs = [images[batch].astype(float)], []
        for kernel, bias in weights:
            hs.append(inputs[-1] @ kernel + bias)
            inputs.append(np.maximum(hs[-1], 0))
        p = np.exp(inputs[-1] - inputs[-1].max(1, keepdims=True))
        delta = (p / p.sum(1, keepdims=True) - np.eye(10)[labels[batch]]) / 32
        for i in (2, 1, 0):
            delta = delta * (hs[i] > 0)
            gradient = inputs[i].T @ delta, delta.sum(0)
            delta = delta @ weights[i][0].T
            velocity[i] = tuple(0.5 * v + g for v, g in zip(velocity[i], gradient, strict=True))
        weights = [
            tuple(w - 0.01 * v for w, v in zip(*both, strict=True)) for both in zip(weights, velocity, strict=True)
        ]
    for i, (kernel, bias) in enumerate(weights, start=1):
        np.testing.assert_allclose(last.params[f"dense{i}"]["kernel"], kernel, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(last.params[f"dense{i}"]["bias"], bias, rtol=1e-4, atol=1e-6)
    assert isinstance(last, training.TrainState)


class Machine:
    """In place of the engine, one that notes what it is asked."""

    asked: list = []

    def __init__(self, config, choices, data, *, size, strategy):
        self.size, self.strategy, self.compile_seconds = size or 2, strategy, 1.5
        self.mesh = type("Mesh", (), {"size": 2})
        assert len(data.train_images) == 64 and config.epochs == 1 and choices == task.ACTIVATIONS

    def run(self, jobs):
        self.asked.append([seed for _, seed in jobs])


@pytest.mark.parametrize(
    ("strategy", "calls"),
    [("auto", [[0, 1], [2]]), ("map", [[0, 1], [2]]), ("vmap", [[0, 1, 2]]), ("one", [[0, 1, 2]])],
)
def test_jaxact_rows_make_the_grids_calls_and_the_sweep_one(data, monkeypatch, strategy, calls):
    from jaxact.training import ensemble

    monkeypatch.setattr(ensemble, "Ensemble", Machine)
    monkeypatch.setattr(Machine, "asked", [])
    run, info = with_jax.one_call(data) if strategy == "one" else with_jax.ensemble_calls(data, strategy)
    assert run().model_steps == 2 * 3 and Machine.asked == calls
    assert info["compile_seconds"] == 1.5 and info["strategy"] == {"vmap": "vmap"}.get(strategy, "map")


def test_processes_of_a_row_count_as_one_machine():
    answers = [
        {"start": 1.0, "end": 3.0, "cpu": 2.0, "model_steps": 10, "rates": {}, "peak_bytes": 5},
        {"start": 1.5, "end": 4.0, "cpu": 1.0, "model_steps": 10, "rates": {}, "peak_bytes": 6},
    ]
    assert measure.sample(answers) == Sample(1e3 * 3.0 / 20, 1e3 * 3.0 / 20, None, 11)
    rates = [{"rates": {"a": 3.0, "b": 1.0}, "peak_bytes": 1}, {"rates": {"a": 1.0, "b": 4.0}, "peak_bytes": None}]
    assert measure.sample(rates) == Sample(1e3 / 5, None, "b", None)


def test_a_worker_answers_line_by_line(data, monkeypatch):
    repeat = task.Repeat(1.0, 2.0, 0.5, 4)
    monkeypatch.setitem(rows.ROWS, "x", rows.Row("x", "some:function", {"more": 3}))
    monkeypatch.setattr(worker, "prepare", lambda row: None)
    make = lambda spec, more: (lambda: repeat, {"asked": spec.activations, "more": more})  # noqa: E731
    monkeypatch.setattr(worker, "resolve_name", {"some:function": make}.__getitem__)
    answers = io.StringIO()
    worker.serve(io.StringIO(json.dumps(data._replace(row="x")._asdict()) + "\n\n\n"), answers)
    built, *repeats = map(json.loads, answers.getvalue().splitlines())
    assert built["info"]["asked"] == ["relu", "sigmoid", "relu"] and built["info"]["ready_seconds"] >= 0
    assert built["info"]["more"] == 3
    assert [r["model_steps"] for r in repeats] == [4, 4]


@pytest.mark.parametrize("name", [*rows.ROWS, *rows.UNLISTED])
def test_every_row_names_a_function_that_takes_its_options(name):
    row = (rows.ROWS | rows.UNLISTED)[name]
    inspect.signature(resolve_name(row.make)).bind("spec", **row.options)


@pytest.mark.parametrize(
    ("name", "flags", "devices", "threads"),
    [("loop", "", "1", "true"), ("floor", "", "1", "false"), ("jaxact", "", "3", "false")]
    + [("loop", "--xla_cpu_multi_thread_eigen=false", "1", "false")],
)
def test_jax_has_the_devices_and_threads_of_its_row(name, flags, devices, threads, monkeypatch):
    """One device per core for jaxact, one for the others; a flag that the user has set wins."""
    for variable, value in {"XLA_FLAGS": flags, "JAX_NUM_CPU_DEVICES": "", "JAX_COMPILATION_CACHE_DIR": "x"}.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.delenv("JAX_NUM_CPU_DEVICES")
    monkeypatch.setattr(worker.runtime, "cores", lambda: 3)
    worker.prepare(rows.ROWS[name])
    assert os.environ["JAX_NUM_CPU_DEVICES"] == devices
    assert f"--xla_cpu_multi_thread_eigen={threads}" in os.environ["XLA_FLAGS"].split()


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
def test_peak_memory_counts_from_when_it_was_forgotten():
    code = (
        "import numpy as np; from jaxact.benchmark import worker as w; a = np.ones(25_000_000); b = w.peak_bytes()"
        "\ndel a; w.forget_peak(); c = w.peak_bytes(); a = np.ones(12_500_000); print(b, c, w.peak_bytes())"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    before, forgotten, after = map(int, run.stdout.split())
    assert before > 200e6
    if forgotten < 200e6:  # a container may forbid to forget
        assert 99e6 < after - forgotten < 110e6  # a few pages freed meanwhile are used again


def test_rows_take_turns_and_a_row_that_fails_is_told(monkeypatch, data):
    turns, said = [], []

    class Crew:
        def __init__(self, spec, processes, environment):
            self.name, self.single = spec.row, environment.get("OMP_NUM_THREADS") == "1"
            turns.append((self.name, processes, self.single))

        def info(self):
            return {}

        def repeat(self):
            turns.append(self.name)
            if self.name == "map" and turns.count("map") == 2:
                raise measure.WorkerError("it broke")
            return Sample(1.0, 1.0, None, None)

        def close(self):
            turns.append(f"closed {self.name}")

    monkeypatch.setattr(measure, "Crew", Crew)
    monkeypatch.setattr(measure, "find_spec", lambda name: None)
    monkeypatch.setattr(measure.runtime, "cores", lambda: 3)
    specs = {name: data._replace(row=name) for name in ("jaxact", "map", "torch", "floor")}
    found = measure.measure(specs, {}, 2, said.append)
    started = [("jaxact", 1, False), ("map", 1, False), ("floor", 3, True)]
    rounds = ["jaxact", "map", "floor"] * 2 + ["jaxact", "floor"]
    assert turns == [*started, *rounds, "closed floor", "closed map", "closed jaxact"]
    assert {name: len(row.samples) for name, row in found.items()} == {"jaxact": 2, "map": 0, "torch": 0, "floor": 2}
    assert found["map"].not_run == "it broke" and found["torch"].not_run == rows.NO_TORCH
    assert said == ["warm-up", "round 1 of 2", "round 2 of 2"]


def test_a_process_that_dies_tells_why(data):
    crew = measure.Crew(data._replace(row="unknown"), 1, measure.workers_environment())
    with pytest.raises(measure.WorkerError, match="KeyError: 'unknown'"):
        crew.info()
    crew.close()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--rows", "tourch"], "did you mean 'torch'?"),
        (["--rows", "map", "map"], "'map' twice"),
        (["--steps", "1876"], "--steps must be from 1 to 1875, got 1876"),
        (["--repeats", "0"], "--repeats must be from 1"),
        (["--max-seeds", "5000"], "--max-seeds must be from 1 to 4096"),
        (["--precision", "bfloat16"], "known: float32"),
        (["--config", "relu-relu"], "--config must be three of relu, tanh, sigmoid, selu"),
        (["--dataset", "cifar10"], "known: mnist, synthetic"),
        (["--data-dir", "/nowhere"], "/nowhere"),
    ],
)
def test_a_users_mistake_is_one_line(arguments, said, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    with pytest.raises(SystemExit) as stop:
        script.main([*arguments, "--out", str(tmp_path / "out")])
    error = capsys.readouterr().err
    assert stop.value.code == 2 and said in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_another_backend_is_refused(monkeypatch, capsys):
    monkeypatch.setenv("JAX_PLATFORMS", "cuda")
    with pytest.raises(SystemExit):
        script.main([])
    assert "JAX_PLATFORMS is 'cuda'" in capsys.readouterr().err


@pytest.mark.slow
def test_as_a_user_runs_it(tmp_path):
    arguments = ["--dataset", "synthetic", "--steps", "3", "--repeats", "2", "--max-seeds", "2", "--sweep-steps", "2"]
    out = tmp_path / "out"
    command = [sys.executable, "-m", "experiments.benchmark", *arguments, "--out", str(out)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    written = json.loads((out / "benchmark.json").read_text())
    missing = {"torch", "torch-per-core", "torch-loader"} if find_spec("torch") is None else set()
    assert {name for name, row in written["rows"].items() if row["not_run"]} == missing
    assert all(len(row["samples"]) == 2 for name, row in written["rows"].items() if name not in missing)
    assert [point["seeds"] for point in written["sweep"]] == [1, 2]
    assert written["compile"]["cold"] and "compilation of the whole grid" in run.stdout
