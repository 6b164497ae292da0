"""What can change a number besides its configuration and seed: pinned where training runs, or told and not mixed.

A record's digest stands for float32 networks whose keys are threefry's, each a function of its seed alone. `pinned`
holds every global setting to that which decides it, where JAX lets a program do so. `settings` tells the others, those
of the compiler above all: they stand in the records, and `check_alike` refuses to mix runs that differ in one.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxtyping import Array, Int, Key

IMPLEMENTATION = "threefry2x32"
OPTIONS = {
    "jax_disable_most_optimizations": False,
    "jax_exec_time_optimization_effort": 0.0,
    "jax_memory_fitting_effort": 0.0,
    "jax_memory_fitting_level": "O2",
    "jax_optimization_level": "UNKNOWN",
    "jax_use_direct_linearize": True,
}
"""Options of JAX that may change the rounding and that no program can hold, with their defaults."""
VARIABLES = ("NVIDIA_TF32_OVERRIDE", "LIBTPU_INIT_ARGS")
"""Variables of the environment that do, unset by default."""
HARMLESS_FLAGS = ("--xla_force_host_platform_device_count", "--xla_dump_", "--xla_cpu_multi_thread_eigen=false")
"""Flags of XLA that change where work runs or what is written about it; the last is what entry points set."""


def key(seed: "Int[Array, ''] | int") -> "Key[Array, '']":
    """The typed key of a seed from 0 to 2³¹ − 1, the same under every setting.

    It is `jax.random.key(seed, impl="threefry2x32")`, put together by hand: that function adds JAX_RANDOM_SEED_OFFSET.
    """
    import jax

    words = jax.numpy.stack([jax.numpy.zeros((), "uint32"), jax.numpy.asarray(seed).astype("uint32")])
    return jax.random.wrap_key_data(words, impl=IMPLEMENTATION)


@contextmanager
def pinned() -> Iterator[None]:
    """Hold the global settings of JAX and Flax to those that records are made under; also a decorator, `@pinned()`.

    Float32 whatever JAX_ENABLE_X64 says, products in the device's default precision; threefry in its partitionable
    form; Flax's rule for the keys of layers; and NaN is a result, for a diverged network is one.
    """
    import flax
    import jax

    with (
        jax.enable_x64(False),
        jax.default_matmul_precision(None),
        jax.numpy_dtype_promotion("standard"),
        jax.softmax_custom_jvp(False),
        jax.default_prng_impl(IMPLEMENTATION),
        jax.threefry_partitionable(True),
        jax.disable_jit(False),
        jax.debug_nans(False),
        jax.debug_infs(False),
        flax.config.temp_flip_flag("fix_rng_separator", False),
    ):
        yield


def settings() -> dict[str, Any]:
    """The settings that `pinned` does not hold and that differ from their defaults, by name; empty for most runs."""
    import jax

    options = {name: _plain(jax.config.values.get(name, default)) for name, default in OPTIONS.items()}
    changed = {name: value for name, value in options.items() if value != OPTIONS[name]}
    variables = {name: os.environ[name] for name in VARIABLES if os.environ.get(name)}
    return changed | _flags(os.environ.get("XLA_FLAGS", "")) | variables


def _plain(value: Any) -> Any:
    return value if isinstance(value, bool | float) else getattr(value, "name", str(value))


def _flags(text: str) -> dict[str, Any]:
    """Those of XLA's flags that may change numbers."""
    flags = sorted(flag for flag in text.split() if not flag.startswith(HARMLESS_FLAGS))
    return {"XLA_FLAGS": " ".join(flags)} if flags else {}


def check_alike(runs: Sequence[dict[str, Any]], where: str) -> None:
    """Refuse runs of different settings.

    Args:
        runs: what records say of their runs; one without `settings` is of a version that told XLA's flags alone.
        where: what holds them, for the message.

    Raises:
        ValueError: two runs differ in a setting.
    """
    told = [run.get("settings", _flags(run.get("xla_flags", ""))) for run in runs]
    for other in told[1:]:
        for name in sorted(told[0].keys() | other.keys()):
            if told[0].get(name) != other.get(name):
                raise ValueError(
                    f"{where}: runs with {name} {_shown(told[0], name)} and {_shown(other, name)} do not mix, "
                    "for their numbers differ: set it alike, or use another folder"
                )


def _shown(settings: dict[str, Any], name: str) -> str:
    return repr(settings[name]) if name in settings else "at its default"
