"""What can change a number besides its configuration and seed: pinned where training runs, or told and not mixed.

A record's digest stands for float32 networks whose keys are threefry's, each a function of its seed alone. `pinned`
holds every global setting to that which decides it. `settings` tells those that change the arithmetic and are left to
the user, because someone who sets them wants them: they stand in the records, and `check_same` refuses to mix them.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxtyping import Array, Int, Key

IMPLEMENTATION = "threefry2x32"
LEFT_TO_THE_USER = {
    "jax_default_matmul_precision": None,
    "jax_disable_most_optimizations": False,
    "jax_exec_time_optimization_effort": 0.0,
    "jax_optimization_level": "UNKNOWN",
    "jax_softmax_custom_jvp": False,
    "jax_use_direct_linearize": True,
}
"""Options of JAX that change the rounding, with the values that the published records were made under."""
VARIABLES = ("NVIDIA_TF32_OVERRIDE", "LIBTPU_INIT_ARGS")
"""Variables of the environment that do, unset by default."""
HARMLESS_FLAGS = ("--xla_force_host_platform_device_count", "--xla_dump_", "--xla_cpu_multi_thread_eigen")
"""Flags of XLA that change where work runs and what is written about it, not the arithmetic."""


def key(seed: "Int[Array, ''] | int") -> "Key[Array, '']":
    """The typed key of a seed from 0 to 2³¹ − 1, the same under every setting.

    It is `jax.random.key(seed, impl="threefry2x32")`, put together by hand: that function adds JAX_RANDOM_SEED_OFFSET.
    """
    import jax
    import jax.numpy as jnp

    words = jnp.stack([jnp.zeros((), jnp.uint32), jnp.asarray(seed).astype(jnp.uint32)])
    return jax.random.wrap_key_data(words, impl=IMPLEMENTATION)


@contextmanager
def pinned() -> Iterator[None]:
    """Hold the global settings of JAX and Flax to those that records are made under; also a decorator, `@pinned()`.

    Float32 whatever JAX_ENABLE_X64 says; threefry in its partitionable form; Flax's rule for the keys of layers; and
    compiled programs in which NaN is a result, for a diverged network is one.
    """
    import flax
    import jax

    with (
        jax.enable_x64(False),
        jax.default_prng_impl(IMPLEMENTATION),
        jax.threefry_partitionable(True),
        jax.numpy_dtype_promotion("standard"),
        jax.disable_jit(False),
        jax.debug_nans(False),
        jax.debug_infs(False),
        flax.config.temp_flip_flag("fix_rng_separator", False),
    ):
        yield


def settings() -> dict[str, Any]:
    """The settings left to the user that differ from their defaults, by name; empty for most runs."""
    import jax

    options = {name: getattr(jax.config, name, default) for name, default in LEFT_TO_THE_USER.items()}
    found = {name: _plain(value) for name, value in options.items()}
    found = {name: value for name, value in found.items() if value != LEFT_TO_THE_USER[name]}
    flags = sorted(flag for flag in os.environ.get("XLA_FLAGS", "").split() if not flag.startswith(HARMLESS_FLAGS))
    variables = {name: os.environ[name] for name in VARIABLES if os.environ.get(name)}
    return found | ({"XLA_FLAGS": " ".join(flags)} if flags else {}) | variables


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, (bool, float)) else getattr(value, "name", str(value))


def check_same(runs: Iterable[dict[str, Any]], where: str) -> None:
    """Refuse to add to runs that were made under other settings than this process has.

    Args:
        runs: what a record says of its runs; one without `settings` was made under the defaults.
        where: the folder or file that holds them.

    Raises:
        ValueError: a setting differs.
    """
    now = settings()
    for run in runs:
        then = run.get("settings", {})
        for name in sorted(then.keys() | now.keys()):
            if then.get(name) != now.get(name):
                raise ValueError(
                    f"the records in {where} were made with {name} {then.get(name, 'at its default')}, here it is "
                    f"{now.get(name, 'at its default')}: numbers would differ; set it alike, or use another --out"
                )
