"""The floor of `experiments.benchmark`: a model-step's matrix products alone, and the best rate of any such product."""

import time
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import jax
import numpy as np
from scipy.linalg import get_blas_funcs

from jaxact.benchmark.task import Made, Repeat, Spec, products, step_flops

SIZES = (256, 512, 1024)
SLICE_SECONDS = 0.04


def _multipliers() -> dict[str, Callable[[Any, Any], Callable[[], Any]]]:
    """By library: (left, right) float32 arrays, possibly transposed views → a function that multiplies them."""
    sgemm: Any = get_blas_funcs("gemm", dtype=np.float32)

    def with_numpy(left: np.ndarray, right: np.ndarray) -> Callable[[], Any]:
        out = np.empty((left.shape[0], right.shape[1]), np.float32)
        return lambda: np.matmul(left, right, out=out)

    def with_scipy(left: np.ndarray, right: np.ndarray) -> Callable[[], Any]:
        # BLAS is column-major: (A B)ᵀ = Bᵀ Aᵀ spares the copies that row-major arrays would cost.
        out = np.empty((right.shape[1], left.shape[0]), np.float32, order="F")
        a, b, flips = right.T, left.T, (not right.flags.c_contiguous, not left.flags.c_contiguous)
        a, b = (x.T if flip else x for x, flip in zip((a, b), flips, strict=True))
        return lambda: sgemm(1.0, a, b, c=out, trans_a=flips[0], trans_b=flips[1], overwrite_c=True)

    multiplied = jax.jit(lambda left, right: left @ right)
    transposed = jax.jit(lambda left, right: left.T @ right)
    by_transposed = jax.jit(lambda left, right: left @ right.T)

    def with_xla(left: np.ndarray, right: np.ndarray) -> Callable[[], Any]:
        # A transposed view would be copied on the way in: hand over its base, and transpose inside.
        if not left.flags.c_contiguous:
            a, b, function = left.T, right, transposed
        elif not right.flags.c_contiguous:
            a, b, function = left, right.T, by_transposed
        else:
            a, b, function = left, right, multiplied
        placed = jax.device_put((a, b))
        return lambda: function(*placed).block_until_ready()

    found: dict[str, Any] = {"numpy": with_numpy, "scipy": with_scipy, "xla": with_xla}
    if find_spec("torch"):
        torch = import_module("torch")
        torch.set_num_threads(1)

        def with_torch(left: np.ndarray, right: np.ndarray) -> Callable[[], Any]:
            a, b = torch.from_numpy(left), torch.from_numpy(right)
            out = torch.empty(a.shape[0], b.shape[1])
            return lambda: torch.mm(a, b, out=out)

        found["torch"] = with_torch
    return found


def _array(rng: np.random.Generator, rows: int, columns: int, transposed: bool) -> np.ndarray:
    made = rng.standard_normal((columns, rows) if transposed else (rows, columns), np.float32)
    return made.T if transposed else made


def _rate(work: Callable[[], Any]) -> float:
    """Calls per second, over a slice of time that is the same in every process, so that all cores stay busy."""
    work()
    calls, start = 0, time.monotonic()
    now = start
    while now - start < SLICE_SECONDS:
        work()
        calls, now = calls + 1, time.monotonic()
    return calls / (now - start)


def sgemm_rates(spec: Spec, *, own_shapes: bool) -> Made:
    """Matrix products alone, in every library at hand, as model-steps per second of this process.

    Args:
        spec: the task.
        own_shapes: the very products of a model-step; otherwise square ones, by their floating point operations.
    """
    rng, jobs = np.random.default_rng(spec.rank), {}
    for library, multiply in _multipliers().items():
        if own_shapes:
            pairs = [(_array(rng, m, k, left), _array(rng, k, n, right)) for m, k, n, left, right in products()]
            every = [multiply(*pair) for pair in pairs]
            jobs[library] = (lambda every=every: [work() for work in every]), 1.0
            continue
        for n in SIZES:
            work = multiply(_array(rng, n, n, False), _array(rng, n, n, False))
            jobs[f"{library} {n}"] = work, 2 * n**3 / step_flops()

    def run() -> Repeat:
        start, cpu = time.monotonic(), time.process_time()
        rates = {name: _rate(work) * model_steps for name, (work, model_steps) in jobs.items()}
        return Repeat(start, time.monotonic(), time.process_time() - cpu, 0, rates)

    return run, {}
