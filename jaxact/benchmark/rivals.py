"""What `experiments.benchmark` measures: every row as a function that trains, or multiplies, once and tells the time.

A row is built once per process; each call is one repeat, from a fresh network. Only training is timed: networks,
optimisers and tensors are made before the clock starts, except jaxact's own, whose initialisation and final scoring of
ten examples count against it. No row but jaxact's keeps the loss or the accuracy.
"""

import os
import time
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from jaxact.benchmark.products import sgemm_rates
from jaxact.benchmark.task import ACTIVATIONS, BATCH, SHAPES, Made, Repeat, Spec

NO_TORCH = "torch is not installed, pip install .[bench]"
SINGLE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")} | {
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false"
}


class Row(NamedTuple):
    """One row of the table.

    Attributes:
        title: as printed.
        make: builds the repeat and what is to be recorded of it.
        per_core: one single-threaded process per core, all at the same time, instead of one process.
        needs_torch: not run without PyTorch.
    """

    title: str
    make: Callable[[Spec], Made]
    per_core: bool = False
    needs_torch: bool = False


def _timed(work: Callable[[], None], model_steps: int) -> Repeat:
    start, cpu = time.monotonic(), time.process_time()
    work()
    return Repeat(start, time.monotonic(), time.process_time() - cpu, model_steps)


def jaxact(spec: Spec, strategy: str, size: int | None = None) -> Made:
    """The ensemble engine, in calls as `experiments.grid` makes them.

    Args:
        spec: the task.
        strategy: as of `jaxact.training.ensemble.Ensemble`.
        size: members per call; the grid's choice if None.
    """
    from jaxact.execution import runtime

    runtime.configure()
    from jaxact.data import Dataset
    from jaxact.training import ensemble

    images, labels = spec.data()
    data = Dataset(images, labels, images[:10], labels[:10], "benchmark")
    resolved = ensemble.resolve_strategy(strategy)
    size = size or (spec.seeds if resolved == "vmap" else None)
    machine = ensemble.Ensemble(spec.config(), ACTIVATIONS, data, size=size, strategy=resolved)
    jobs = [(spec.config(), seed) for seed in range(spec.seeds)]

    def train() -> None:
        for call in ensemble.plan_calls(jobs, machine.size, machine.strategy):
            machine.run(call)

    info = {"strategy": resolved, "devices": machine.mesh.size, "call_size": machine.size}
    return lambda: _timed(train, spec.steps * spec.seeds), info | {"compile_seconds": machine.compile_seconds}


def jitted_loop(spec: Spec) -> Made:
    """A Python loop over a jitted step of one network, on one device with as many threads as XLA takes by default."""
    from jaxact.execution import runtime

    os.environ["JAX_NUM_CPU_DEVICES"] = "1"
    flags = os.environ.get("XLA_FLAGS", "")
    if "xla_cpu_multi_thread_eigen" not in flags:
        os.environ["XLA_FLAGS"] = f"--xla_cpu_multi_thread_eigen=true {flags}".strip()  # XLA's default
    runtime.configure(cpu_devices=1)
    import jax
    import jax.numpy as jnp

    from jaxact import numerics, training

    config, choices = spec.config(), tuple(dict.fromkeys(spec.activations))
    images, labels = map(jnp.asarray, spec.data())
    which, key = jnp.array(training.which_of(config, choices)), numerics.key(0)
    model, optimizer = training.make_model(config, choices), training.make_optimizer(config)
    update = training.make_step(model, optimizer, noise=False)
    initialise = jax.jit(training.make_program(config, choices).initialise)

    @partial(jax.jit, donate_argnums=0)
    def step(state: Any, rows: Any, images: Any, labels: Any) -> Any:
        return update(state, which, images[rows], labels[rows], key)[0]

    def run() -> Repeat:
        state = jax.block_until_ready(initialise(0, which, images[0]))

        def train() -> None:
            nonlocal state
            order = np.random.default_rng(0).permutation(len(images)).astype(np.int32)
            for rows in order.reshape(spec.steps, BATCH):
                state = step(state, rows, images, labels)
            jax.block_until_ready(state)

        return _timed(train, spec.steps)

    return run, {}


def torch_eager(spec: Spec, *, single: bool = False, loader: bool = False) -> Made:
    """PyTorch eager: `Linear` layers, cross-entropy, SGD in its fused form (the fastest of its three here).

    Args:
        spec: the task.
        single: one thread instead of all.
        loader: batches from a shuffling DataLoader in the same process; otherwise from tensors by a permutation.
    """
    torch = import_module("torch")
    if single:
        torch.set_num_threads(1)
    config, (images, labels) = spec.config(), map(torch.from_numpy, spec.data())
    labels = labels.long()
    activations = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh, "sigmoid": torch.nn.Sigmoid, "selu": torch.nn.SELU}
    tensors = torch.utils.data.TensorDataset(images, labels) if loader else None

    def batches() -> Any:
        if tensors is not None:
            yield from torch.utils.data.DataLoader(tensors, batch_size=BATCH, shuffle=True, num_workers=0)
            return
        for rows in torch.randperm(len(images)).split(BATCH):
            yield images[rows], labels[rows]

    def run() -> Repeat:
        torch.manual_seed(spec.rank)
        layers = [torch.nn.Linear(inputs, outputs) for inputs, outputs in SHAPES]
        pairs = zip(layers, (activations[name]() for name in spec.activations), strict=True)
        model = torch.nn.Sequential(*(module for pair in pairs for module in pair))
        optimizer = torch.optim.SGD(model.parameters(), lr=config.learning_rate, momentum=config.momentum, fused=True)

        def train() -> None:
            for x, y in batches():
                optimizer.zero_grad(set_to_none=True)
                torch.nn.functional.cross_entropy(model(x), y).backward()
                optimizer.step()

        return _timed(train, spec.steps)

    return run, {"torch": torch.__version__, "threads": torch.get_num_threads()}


ROWS = {
    "jaxact": Row("jaxact", partial(jaxact, strategy="auto")),
    "map": Row("jaxact, strategy map", partial(jaxact, strategy="map")),
    "vmap": Row("jaxact, strategy vmap", partial(jaxact, strategy="vmap")),
    "loop": Row("JAX, Python loop over a jitted step", jitted_loop),
    "torch": Row("PyTorch eager, all threads", torch_eager, needs_torch=True),
    "torch-per-core": Row(
        "PyTorch eager, a process per core", partial(torch_eager, single=True), per_core=True, needs_torch=True
    ),
    "torch-loader": Row(
        "PyTorch eager with DataLoader, all threads", partial(torch_eager, loader=True), needs_torch=True
    ),
    "products": Row("these products alone", partial(sgemm_rates, own_shapes=True), per_core=True),
    "floor": Row("floor: at the best sgemm rate", partial(sgemm_rates, own_shapes=False), per_core=True),
}
"""By the name of `--rows`, in the order of the table."""
