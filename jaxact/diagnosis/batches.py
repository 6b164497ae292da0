"""The batch and the labels of a diagnosis, as arrays that were looked at."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array


def check_values(*arguments: Any) -> None:
    """Raises a ValueError for arguments without values to look at: iterators, and all inside jit, grad or vmap."""
    for argument in arguments:
        if isinstance(argument, Iterator):
            raise ValueError(f"an argument is a {type(argument).__name__}: take one batch from it, next(…)")
    if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves((jnp.zeros(()), *arguments))):
        raise ValueError(
            "diagnose was called inside jit, grad or vmap, where arrays have no values yet: call it outside of them"
        )


def checked_batch(batch: Any, labels: Any) -> tuple[Any, Array | None]:
    """The batch as a pytree of arrays with one leading axis, and the labels as an array.

    Raises:
        ValueError: no examples, leaves that have different numbers of them, entries that are not finite numbers, or
            labels that are not one class per example.
    """
    if batch is None:
        raise ValueError("the batch is None: give inputs [examples, ...], or a dict or tuple of them")
    if isinstance(batch, list) or (isinstance(batch, tuple) and not _several(batch)):
        batch = as_array(batch, "batch")  # a list holds the examples
    inputs = jax.tree.map(lambda leaf: as_array(leaf, "batch"), batch)
    _check_inputs(jax.tree.leaves(inputs), single=jax.tree.structure(0) == jax.tree.structure(inputs))
    if labels is None:
        return inputs, None
    classes, examples = as_array(labels, "labels"), examples_of(inputs)
    if classes.shape != (examples,):
        raise ValueError(
            f"labels have shape {classes.shape}, the batch {examples} examples: give one per example, a class number"
        )
    if not jnp.issubdtype(classes.dtype, jnp.integer):
        raise ValueError(f"labels have dtype {classes.dtype}: give class numbers, integers from 0")
    return inputs, classes


def examples_of(batch: Any) -> int:
    """The number of examples in a batch."""
    return jax.tree.leaves(batch)[0].shape[0]


def alone(x: Any) -> Any:
    """One example as a batch."""
    return jax.tree.map(lambda leaf: leaf[None], x)


def first(images: Any, count: int) -> Any:
    """The first examples of a batch."""
    return images if examples_of(images) <= count else jax.tree.map(lambda rows: rows[:count], images)


def check_classes(labels: Array, output_shape: tuple[int, ...]) -> None:
    """Raises a ValueError unless outputs are one vector of logits per example and all labels are among its classes.

    Labels of all classes that are counted from 1 pass: they are a finding.
    """
    if len(output_shape) != 2:
        shape = output_shape[1:]
        raise ValueError(f"outputs have shape {shape} per example: labels need logits [classes], leave labels out")
    low, high = int(labels.min()), int(labels.max())
    if (low < 0 or high >= output_shape[1]) and not counted_from_one(low, high, output_shape[1]):
        raise ValueError(f"labels run from {low} to {high}, the network has classes 0 to {output_shape[1] - 1}")


def counted_from_one(low: int, high: int, classes: int) -> bool:
    """Whether labels from `low` to `high` are those of all classes, counted from 1."""
    return low == 1 and high == classes > 1


def as_array(value: Any, where: str) -> Array:
    """The array; numbers of several shapes, text and objects are a ValueError that says `where` they are."""
    try:
        return jnp.asarray(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"the {where} is a {type(value).__name__}, not numbers of one shape: give arrays") from error


def _several(batch: tuple[Any, ...]) -> bool:
    """Whether a tuple holds several inputs, not the numbers of one."""
    return any(np.ndim(leaf) > 0 for leaf in jax.tree.leaves(batch))


def _check_inputs(inputs: list[Array], *, single: bool) -> None:
    shapes = [leaf.shape for leaf in inputs]
    if not shapes:
        raise ValueError("the batch holds no array: give inputs [examples, ...]")
    if single and len(shapes[0]) < 2:
        raise ValueError(
            f"the batch has shape {shapes[0]}: give [examples, ...], one example as x[None]; are these the labels?"
        )
    counts = list(dict.fromkeys(shape[:1] for shape in shapes))
    if counts[1:] or () in counts:
        first = next(shape for shape in shapes if shape[:1] == counts[-1])
        raise ValueError(
            f"the batch holds shapes {shapes[0]} and {first}: every part needs the same first axis, the examples; are "
            "variables and batch exchanged?"
        )
    if not all(leaf.size for leaf in inputs):
        raise ValueError(f"the batch has shape {shapes[0]}: give [examples, ...] with at least 1 example")
    floating = [np.asarray(leaf) for leaf in inputs if jnp.issubdtype(leaf.dtype, jnp.inexact)]
    if wrong := sum(np.count_nonzero(~np.isfinite(leaf)) for leaf in floating):
        entries = sum(leaf.size for leaf in floating)
        raise ValueError(f"{wrong} of the {entries} entries of the batch are NaN or infinite: clean the data first")
