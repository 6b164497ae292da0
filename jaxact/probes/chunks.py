"""Sums over a data set in chunks, so that only one chunk's intermediate results exist at a time."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


def sum_over_chunks(fn: Callable[..., Any], arrays: Any, chunk: int) -> Any:
    """Σ fn(chunk) over the leading axis.

    Args:
        fn: takes the rows of one chunk (one argument, of the structure of `arrays`), returns a pytree of sums over
            them.
        arrays: an array or a pytree of arrays with one leading axis.
        chunk: rows at a time; the last chunk holds the rest.

    Returns:
        The sums, in the structure that `fn` returns.

    Raises:
        ValueError: no rows, or a chunk below 1.
    """
    rows = check_examples(arrays, chunk)
    chunk = min(chunk, rows)
    full, rest = divmod(rows, chunk)

    def part(start: Any, size: int) -> Any:
        # Sliced from the whole: cutting it into [full, chunk, ...] would copy it whenever there is a rest.
        return fn(jax.tree.map(lambda array: jax.lax.dynamic_slice_in_dim(array, start, size), arrays))

    def body(total: Any, start: Any) -> tuple[Any, None]:
        return jax.tree.map(jnp.add, total, part(start, chunk)), None

    # From zeros where there is no rest, so that fn is compiled once.
    start = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(lambda: part(0, chunk)))
    total = part(full * chunk, rest) if rest else start
    return jax.lax.scan(body, total, chunk * jnp.arange(full))[0]


def check_examples(arrays: Any, chunk: int) -> int:
    """The number of rows, after a check that there are any and that `chunk` is at least 1."""
    rows = len(jax.tree.leaves(arrays)[0])
    if rows < 1:
        raise ValueError("the set holds 0 examples: give at least 1")
    if chunk < 1:
        raise ValueError(f"chunk must be at least 1 example, got {chunk}")
    return rows
