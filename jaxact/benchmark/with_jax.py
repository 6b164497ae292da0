"""The rows of `experiments.benchmark` that run on JAX: each function builds what trains once and tells the time.

A row is built once per process; each call is one repeat, from a fresh network. Only training is timed: networks,
optimisers and tensors are made before the clock starts, except jaxact's own, whose initialisation and final scoring of
ten examples count against it. No row but jaxact's keeps the loss or the accuracy.

"""

import time
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxact import numerics, training
from jaxact.benchmark.task import ACTIVATIONS, BATCH, FEATURES, Made, Repeat, Spec, timed
from jaxact.data import Dataset
from jaxact.training import ensemble

GRID_EXAMPLES = 60_000, 10_000


def ensemble_calls(spec: Spec, strategy: str, size: int | None = None) -> Made:
    """The ensemble engine, in calls as `experiments.grid` makes them.

    Args:
        spec: the task.
        strategy: as of `jaxact.training.ensemble.Ensemble`.
        size: members per call; the grid's choice if None.
    """
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
    return lambda: timed(train, spec.steps * spec.seeds), info | {"compile_seconds": machine.compile_seconds}


def one_call(spec: Spec) -> Made:
    """All seeds in one call of the engine, whose state then lies in memory at once."""
    return ensemble_calls(spec, "auto", size=spec.seeds)


def grid_programs(spec: Spec) -> Made:
    """Compile what `experiments.grid` compiles for MNIST, at its sizes, on blank data; there is nothing to repeat."""
    train, test = ((np.zeros((n, FEATURES), np.float32), np.zeros(n, np.int32)) for n in GRID_EXAMPLES)
    machine = ensemble.Ensemble(spec.config(), ACTIVATIONS, Dataset(*train, *test, "blank"))
    now = time.monotonic()
    return lambda: Repeat(now, now, 0.0, 0), {"compile_seconds": machine.compile_seconds}


def jitted_loop(spec: Spec) -> Made:
    """A Python loop over a jitted step of one network, on one device with as many threads as XLA takes by default."""
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

        return timed(train, spec.steps)

    return run, {}
