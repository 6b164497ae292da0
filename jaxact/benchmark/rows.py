"""The rows of `experiments.benchmark` by name: what each is called, and which function its processes run."""

from typing import Any, NamedTuple

NO_TORCH = "torch is not installed, pip install .[bench]"
SINGLE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")} | {
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false"
}


class Row(NamedTuple):
    """One row of the table.

    Attributes:
        title: as printed.
        make: `module:function` that takes a `Spec` and builds the repeat, loaded in the row's own processes.
        options: further arguments of it.
        per_core: one single-threaded process per core, all at the same time, instead of one process.
        needs_torch: not run without PyTorch.
        devices: host devices of JAX; one per core if None.
        threads: whether JAX has one device with as many threads as XLA takes by default.
    """

    title: str
    make: str
    options: dict[str, Any] = {}
    per_core: bool = False
    needs_torch: bool = False
    devices: int | None = 1
    threads: bool = False


ENSEMBLE, TORCH = "jaxact.benchmark.with_jax:ensemble_calls", "jaxact.benchmark.with_torch:eager"
PRODUCTS = "jaxact.benchmark.products:sgemm_rates"
ROWS = {
    "jaxact": Row("jaxact", ENSEMBLE, {"strategy": "auto"}, devices=None),
    "map": Row("jaxact, strategy map", ENSEMBLE, {"strategy": "map"}, devices=None),
    "vmap": Row("jaxact, strategy vmap", ENSEMBLE, {"strategy": "vmap"}, devices=None),
    "loop": Row("JAX, Python loop over a jitted step", "jaxact.benchmark.with_jax:jitted_loop", threads=True),
    "torch": Row("PyTorch eager, all threads", TORCH, needs_torch=True),
    "torch-per-core": Row(
        "PyTorch eager, a process per core", TORCH, {"single": True}, per_core=True, needs_torch=True
    ),
    "torch-loader": Row("PyTorch eager with DataLoader, all threads", TORCH, {"loader": True}, needs_torch=True),
    "products": Row("these products alone", PRODUCTS, {"own_shapes": True}, per_core=True),
    "floor": Row("floor: at the best sgemm rate", PRODUCTS, {"own_shapes": False}, per_core=True),
}
"""By the name of `--rows`, in the order of the table."""

UNLISTED = {
    "compile": Row("compilation of the grid", "jaxact.benchmark.with_jax:grid_programs", devices=None),
    "sweep": Row("all seeds in one call", "jaxact.benchmark.with_jax:one_call", devices=None),
}
"""Besides the rows: what else a worker can build."""
