"""One way to be parallel: an ensemble axis sharded over the devices, `vmap` or `lax.map` inside a shard."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, PartitionSpec

AXIS = "ensemble"
STRATEGIES = ("auto", "vmap", "map")
MEMORY_SHARE, COPIES = 0.8, 4
MEMBERS, SHARED = PartitionSpec(AXIS), PartitionSpec()


def make_mesh(devices: int | None = None) -> Mesh:
    """A mesh of the first `devices` devices of the default backend (all of them if None) along the ensemble axis.

    Raises:
        ValueError: fewer than one device, or more than there are.
    """
    present = jax.devices()
    if devices is not None and not 1 <= devices <= len(present):
        raise ValueError(f"{devices} devices asked for, {len(present)} present: use 1 to {len(present)}")
    return Mesh(np.array(present[:devices]), (AXIS,))


def resolve_strategy(strategy: str) -> str:
    """`auto` → `map` on a CPU (one network at a time per device: it stays in cache), `vmap` on accelerators.

    Raises:
        ValueError: an unknown strategy.
    """
    if strategy not in STRATEGIES:
        raise ValueError(f"unknown strategy {strategy!r}: use one of {', '.join(STRATEGIES)}")
    if strategy == "auto":
        return "map" if jax.default_backend() == "cpu" else "vmap"
    return strategy


def over_members(
    fn: Callable[..., Any], mesh: Mesh, strategy: str, shared: Sequence[bool], *, donate: tuple[int, ...] = ()
) -> Any:
    """Turn a function of one member into a jitted function of an ensemble, sharded over the mesh.

    Args:
        fn: arrays of one member in, arrays of one member out.
        mesh: from `make_mesh`.
        strategy: `vmap` or `map`.
        shared: per argument, whether all members share it (True) or it has a leading ensemble axis (False).
        donate: positions of arguments whose buffers the result may reuse.

    Returns:
        A jitted function of the same arguments; leading axes are multiples of the number of devices.
    """

    def one(shared_arguments: list[Any], own: tuple[Any, ...]) -> Any:
        common, rest = iter(shared_arguments), iter(own)
        return fn(*(next(common) if alone else next(rest) for alone in shared))

    def shard(*arguments: Any) -> Any:
        if strategy == "vmap":
            return jax.vmap(fn, in_axes=tuple(None if alone else 0 for alone in shared))(*arguments)
        common = [argument for argument, alone in zip(arguments, shared, strict=True) if alone]
        own = tuple(argument for argument, alone in zip(arguments, shared, strict=True) if not alone)
        return jax.lax.map(lambda member: one(common, member), own)

    specs = tuple(SHARED if alone else MEMBERS for alone in shared)
    mapped = jax.shard_map(shard, mesh=mesh, in_specs=specs, out_specs=MEMBERS, check_vma=False)
    return jax.jit(mapped, donate_argnums=donate)


def fitting_size(wanted: int, member_bytes: Callable[[], int], mesh: Mesh) -> int:
    """Members of one call: what is wanted, as far as the devices' memory holds it, a multiple of the device count.

    A member in training counts `COPIES` times its state (state, gradients, updates, temporaries), within `MEMORY_SHARE`
    of what the backend may still take. A backend that does not tell (the CPU's) is not limited.

    Args:
        wanted: members asked for.
        member_bytes: tells the bytes of one member's train state; asked only where there is a limit.
        mesh: from `make_mesh`.
    """
    stats = mesh.devices.flat[0].memory_stats() or {}
    per_device = -(-wanted // mesh.size)
    if "bytes_limit" in stats:
        free = stats["bytes_limit"] - stats.get("bytes_in_use", 0)
        per_device = max(1, min(per_device, int(MEMORY_SHARE * free / (COPIES * member_bytes()))))
    return per_device * mesh.size
