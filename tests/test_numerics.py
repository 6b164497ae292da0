"""A run's numbers under other global settings of JAX, Flax and the environment, and records that do not mix."""

import os
import subprocess
import sys
from pathlib import Path

import flax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles import record_examples
from oracles.lenet_examples import CONFIG as LENET

from jaxact import data, numerics, records, training
from jaxact.commands import curves, grid, report
from jaxact.config import Config

ROOT = Path(__file__).resolve().parent.parent
TINY = ["--dataset", "digits", "--layers", "2", "--widths", "6", "10", "--epochs", "1", "--limit-train", "200"]
RUNS = """
import sys, numpy as np
from jaxact import data, ensemble, heads
from jaxact.config import Config
from jaxact.classics.planar import descent, points, variants

digits = data.load("digits", limit_train=64)
common = {"dataset": "digits", "widths": (6, 10), "batch_norm": (1,), "epochs": 1, "limit_train": 64}
history = ensemble.train_seeds(Config(activations=("rrelu", "prelu"), **common), digits, [0, 3])
runs = {name: column for name, column in history._asdict().items() if column is not None}

config = Config(activations=("rrelu", "tanh"), **common)
program = heads.over_seeds(heads.make_program(config, heads.squared_error_head("tanh")))
inputs, targets = digits.train_images[:64], np.eye(10, dtype=np.float32)[digits.train_labels[:64]]
seeds = np.array([0, 3])
state = program.initialise(seeds, inputs[0])
state, runs["head_loss"] = program.epoch(state, seeds, np.int32(0), inputs, targets)

plane = points.Points(np.linspace(-1, 1, 20).reshape(10, 2), np.arange(10) % 2)
rrelu = variants.activation("rrelu")
flat = descent.train(rrelu, (4,), plane, seeds=[0, 3], rates=[0.5, 1e38], steps=3)
runs |= {f"planar_{name}": column for name, column in flat._asdict().items() if name != "params"}
np.savez(sys.argv[1], **runs)
"""
SETTINGS = {
    "JAX_DEFAULT_PRNG_IMPL": "rbg",
    "JAX_THREEFRY_PARTITIONABLE": "0",
    "JAX_RANDOM_SEED_OFFSET": "7",
    "JAX_ENABLE_X64": "1",
    "JAX_NUMPY_DTYPE_PROMOTION": "strict",
    "JAX_DEFAULT_MATMUL_PRECISION": "BF16_BF16_F32",
    "JAX_SOFTMAX_CUSTOM_JVP": "1",
    "JAX_DEBUG_NANS": "1",
    "FLAX_FIX_RNG_SEPARATOR": "1",
}


@pytest.mark.slow
def test_runs_are_the_same_under_other_settings(tmp_path):
    """Noise, batch norm and learnable slopes in a network and in a head, and a planar run that diverges."""
    keep = {name: value for name, value in os.environ.items() if not name.startswith(("JAX", "XLA", "FLAX"))}
    keep |= {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--xla_backend_optimization_level=0"}
    keep |= {"JAX_COMPILATION_CACHE_DIR": str(tmp_path / "xla"), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    for name, settings in (("plain", {}), ("other", SETTINGS)):
        command = [sys.executable, "-c", RUNS, str(tmp_path / f"{name}.npz")]
        done = subprocess.run(command, env=keep | settings, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "plain.npz") as plain, np.load(tmp_path / "other.npz") as other:
        assert plain.files == other.files and len(plain.files) >= 8
        assert not np.isfinite(plain["planar_costs"][1]).all() and np.isfinite(plain["head_loss"]).all()
        for column in plain.files:
            assert plain[column].dtype == other[column].dtype, column
            np.testing.assert_array_equal(plain[column], other[column], err_msg=column)


FLAX = flax.config.temp_flip_flag
CONTEXTS = {
    "rbg": lambda: jax.default_prng_impl("rbg"),
    "unsafe_rbg": lambda: jax.default_prng_impl("unsafe_rbg"),
    "threefry in its old form": lambda: jax.threefry_partitionable(False),
    "64 bits": lambda: jax.enable_x64(True),
    "products in bfloat16": lambda: jax.default_matmul_precision("BF16_BF16_F32"),
    "products in float32": lambda: jax.default_matmul_precision("highest"),
    "strict promotion": lambda: jax.numpy_dtype_promotion("strict"),
    "softmax": lambda: jax.softmax_custom_jvp(True),
    "uncompiled": lambda: jax.disable_jit(True),
    "keys of layers": lambda: FLAX("fix_rng_separator", True),
}


def what_settings_change():
    """Bits of keys and draws, the program of a step, and types; each context above changes something of it."""

    def step(x):
        return jax.grad(lambda x: jax.nn.softmax(x @ x)[0].sum() + jnp.ones(3).sum())(x)

    key = training.seed_key(3, training.SHUFFLE, 1)
    dense = flax.linen.Dense(3)
    return (
        jax.random.key_data(jax.random.key(1)).tolist(),
        jax.random.key_data(key).tolist(),
        np.asarray(jax.random.permutation(key, 9)).tolist(),
        np.asarray(jax.random.uniform(key, (3, 3), jnp.float32)).tolist(),
        jax.jit(step).lower(jax.ShapeDtypeStruct((3, 3), "float32")).as_text(),
        np.asarray(dense.init(numerics.key(0), np.ones(2, np.float32))["params"]["kernel"]).tolist(),
        (jnp.ones(2).dtype, jax.config.jax_numpy_dtype_promotion, jax.config.jax_disable_jit),
    )


@pytest.mark.parametrize("name", CONTEXTS)
def test_pinned_holds(name):
    plain = what_settings_change()
    with CONTEXTS[name]():
        if name != "uncompiled":
            assert what_settings_change() != plain
        with numerics.pinned():
            assert what_settings_change() == plain


def test_keys_are_those_of_jax():
    """Against `jax.random.key` by default, for the smallest and the largest seed, compiled and mapped as well."""
    seeds = jnp.array([0, 1, 42, 2**31 - 1], jnp.int32)
    expected = [jax.random.key_data(jax.random.key(int(seed), impl="threefry2x32")).tolist() for seed in seeds]
    for keys in (jax.vmap(numerics.key), jax.jit(jax.vmap(numerics.key))):
        assert jax.random.key_data(keys(seeds)).tolist() == expected
    assert jax.random.key_data(numerics.key(2**31 - 1)).tolist() == expected[-1]


@pytest.mark.parametrize(
    "config",
    [
        Config(activations=("relu", "prelu"), dataset="digits", widths=(4, 10), batch_norm=(1, 2)),
        Config(activations=("swish+swish", "relu+tanh"), dataset="digits", widths=(4, 10)),
        Config(activations=("relu", "elu", "prelu", "relu", "identity"), **LENET.options),
        Config(activations=("tanh", "sigmoid"), dataset="digits", widths=(4, 10), optimizer="torch_rmsprop"),
    ],
    ids=lambda config: config.name,
)
def test_states_are_float32_also_with_64_bits(config):
    images = LENET.data.train_images if config.architecture == "lenet" else np.ones((2, 64), np.float32)
    choices = tuple(dict.fromkeys(half for layer in config.activations for half in layer.split("+")))
    program = training.make_program(config, choices)
    which = np.array(training.which_of(config, choices), np.int32)
    with jax.enable_x64(True):
        state = jax.eval_shape(program.initialise, np.int32(0), which, images[0])
    floats = [leaf.dtype for leaf in jax.tree.leaves(state) if jnp.issubdtype(leaf.dtype, jnp.floating)]
    assert floats and set(floats) == {jnp.dtype("float32")}


FAST = "--xla_cpu_enable_fast_math=true"
OTHERS = {
    "XLA_FLAGS": FAST,
    "NVIDIA_TF32_OVERRIDE": "0",
    "LIBTPU_INIT_ARGS": "--xla_tpu_something=1",
    "jax_exec_time_optimization_effort": 0.5,
    "jax_disable_most_optimizations": True,
    "jax_use_direct_linearize": False,
}
ONE = Config(activations=("relu", "relu"), dataset="digits", widths=(6, 10), epochs=1, limit_train=200)
TWO = Config(activations=("tanh", "relu"), dataset="digits", widths=(6, 10), epochs=1, limit_train=200)


KNOWN = [name for name in OTHERS if not name.startswith("jax_") or name in jax.config.values]
"""Some options come and go with JAX's versions; what a version lacks has its default."""


@pytest.fixture(params=KNOWN)
def other(request, monkeypatch):
    """The name of a setting that this process has unlike the default."""
    name, value = request.param, OTHERS[request.param]
    if not name.startswith("jax_"):
        monkeypatch.setenv(name, value)
        yield name
        return
    before = jax.config.values[name]
    jax.config.update(name, value)
    yield name
    jax.config.update(name, before)


@pytest.fixture(autouse=True)
def default_flags(monkeypatch, tmp_path):
    """No flag of XLA, and nothing that an entry point sets in the environment outlives a test."""
    for name in ("XLA_FLAGS", "TF_CPP_MIN_LOG_LEVEL", "JAX_COMPILATION_CACHE_MAX_SIZE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "xla"))


def write(out, config=ONE, seeds=(0,), **run):
    """A record of made-up numbers of the real data."""
    runs = [record_examples.RUN | {"seeds": list(seeds)} | run]
    meta = {"data": {"source": data.load("digits").source}, "runs": runs}
    records.write(out, record_examples.make(list(seeds), config)._replace(meta=meta))


def refusal(capsys, main, *argv):
    """The one line with which a command refuses, with status 2."""
    with pytest.raises(SystemExit) as stop:
        main([*map(str, argv)])
    error = capsys.readouterr().err.strip()
    assert stop.value.code == 2 and error.count("\n") == 0
    return error


@pytest.mark.parametrize("config", [ONE, TWO], ids=["its own record", "another's record"])
def test_a_grid_adds_nothing_under_other_settings(tmp_path, capsys, default_flags, other, config):
    out = tmp_path / "runs"
    write(out, config)
    before = {path: path.read_bytes() for path in out.rglob("*.*")}
    error = refusal(capsys, grid.main, *TINY, "--activations", "relu", "--seeds", "2", "--out", out)
    assert other in error and "at its default" in error and "another folder" in error
    assert {path: path.read_bytes() for path in out.rglob("*.*")} == before


def test_nor_under_the_defaults_to_runs_of_other_settings(tmp_path, capsys):
    write(tmp_path / "told", settings={"jax_optimization_level": "O0"})
    write(tmp_path / "older", xla_flags=f"--xla_cpu_multi_thread_eigen=false {FAST}")  # before settings were told
    for name, words in (("told", "jax_optimization_level 'O0'"), ("older", f"XLA_FLAGS {FAST!r}")):
        options = [*TINY, "--activations", "relu", "--seeds", "2", "--out", tmp_path / name]
        assert words in refusal(capsys, grid.main, *options)


@pytest.mark.parametrize("main", [curves.main, report.main], ids=["curves", "report"])
def test_readers_join_no_runs_of_different_settings(tmp_path, capsys, main):
    write(tmp_path / "a")
    write(tmp_path / "b", seeds=(1,), settings={"XLA_FLAGS": FAST})
    error = refusal(capsys, main, tmp_path / "a", tmp_path / "b", "--out", tmp_path / "out")
    assert FAST in error and ONE.digest in error


def test_what_is_replaced_does_not_stand_in_the_way():
    old, new = record_examples.make([0, 1]), record_examples.make([0, 1, 2])
    old.meta["runs"][0]["settings"] = {"XLA_FLAGS": FAST}
    assert records.merge(old, new).meta["runs"] == new.meta["runs"]
    with pytest.raises(ValueError, match="do not mix"):
        records.merge(old, record_examples.make([1, 2]))


def test_settings_told(monkeypatch, other):
    told = numerics.settings()
    assert told == {other: OTHERS[other]}
    numerics.check_alike([{"settings": told}, {"settings": dict(told)}], "here")
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false --xla_dump_to=here")
    assert numerics.settings() == {name: value for name, value in told.items() if name != "XLA_FLAGS"}
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=true")
    assert numerics.settings()["XLA_FLAGS"] == "--xla_cpu_multi_thread_eigen=true"
