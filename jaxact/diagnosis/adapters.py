"""From a user's function, variables and batch to a traced network of one example, with every check on the way."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxact.config import closest
from jaxact.diagnosis.graph import Graph, trace
from jaxact.diagnosis.layers import find_layers
from jaxact.diagnosis.measure import Subject
from jaxact.propagation import nonlinearity

COUPLED = 1e-2
"""Outputs of one example, alone and with others, differ by at most this share of the largest: above the rounding of
reduced-precision matrix products, below what batch statistics do."""


class Traced(NamedTuple):
    """A traced network, and its outputs for a batch as a jitted function of the leaves of its variables."""

    subject: Subject
    outputs: Callable[[list[Array], Array], Array]


class Form(NamedTuple):
    """All of the variables and the batch but their values."""

    structure: Any
    leaves: tuple[jax.ShapeDtypeStruct, ...]
    batch: jax.ShapeDtypeStruct


def form_of(variables: Any, images: Array) -> tuple[Form, list[Array]]:
    """The form of the arguments of a network, and the leaves of its variables."""
    flat, structure = jax.tree.flatten(variables)
    leaves = [jnp.asarray(leaf) for leaf in flat]
    forms = tuple(jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in leaves)
    return Form(structure, forms, jax.ShapeDtypeStruct(images.shape, images.dtype)), leaves


def paths_of(structure: Any) -> list[tuple[str, ...]]:
    """Where each leaf is in the variables."""
    flat, _ = jax.tree_util.tree_flatten_with_path(structure.unflatten([0] * structure.num_leaves))
    return [tuple(_key(key) for key in path) or ("variables",) for path, _ in flat]


def traced(apply_fn: Any, form: Form, activations: Mapping[str, str]) -> Traced:
    """Trace a network and find its layers.

    Raises:
        ValueError: outputs that are not [examples, ...], no layers, or a hint for a layer or of a name that is unknown.
    """
    apply_fn = plain_function(apply_fn)

    def outputs(leaves: list[Array], x: Array) -> Array:
        output = apply_fn(form.structure.unflatten(leaves), x)
        output = output[0] if isinstance(output, tuple | list) else output
        if not hasattr(output, "shape") or output.shape[:1] != x.shape[:1]:
            got = getattr(output, "shape", type(output).__name__)
            raise ValueError(f"apply_fn returned {got} for a batch of {len(x)}: it must return [examples, ...] outputs")
        return output

    graph = _graph(outputs, form)
    layers = find_layers(graph, paths_of(form.structure))
    if not layers:
        raise ValueError(
            "no layer was found: apply_fn(variables, batch) must multiply its batch by some of the variables, outside "
            "of loops (scan, while)"
        )
    names = [layer.name for layer in layers]
    for name in activations:
        if name not in names:
            raise closest(name, names, "layer")
    hints = {name: nonlinearity(spec) for name, spec in activations.items()}
    return Traced(Subject(graph, layers, hints), jax.jit(outputs))


def plain_function(apply_fn: Any) -> Callable[..., Any]:
    """The function to trace: a module's `apply`, and what is inside a `jax.jit`, which may hold an older trace."""
    apply_fn = getattr(apply_fn, "apply", apply_fn)
    while hasattr(apply_fn, "lower") and hasattr(apply_fn, "__wrapped__"):
        apply_fn = apply_fn.__wrapped__
    if not callable(apply_fn):
        raise ValueError(f"apply_fn is a {type(apply_fn).__name__}: give a function (variables, batch) → outputs")
    return apply_fn


def checked_batch(batch: Any, labels: Any) -> tuple[Array, Array | None]:
    """The batch and the labels as arrays.

    Raises:
        ValueError: no examples, entries that are not finite floating-point numbers, or labels that are not one class
            per example.
    """
    images = jnp.asarray(batch)
    if images.ndim < 2 or not images.size:
        raise ValueError(f"the batch has shape {images.shape}: give [examples, ...] with at least 1 example")
    if not jnp.issubdtype(images.dtype, jnp.floating):
        raise ValueError(f"the batch has dtype {images.dtype}: give floating-point inputs, as in training")
    if wrong := np.count_nonzero(~np.isfinite(np.asarray(images))):
        raise ValueError(f"{wrong} of the {images.size} entries of the batch are NaN or infinite: clean the data first")
    if labels is None:
        return images, None
    classes = jnp.asarray(labels)
    if classes.shape != images.shape[:1]:
        raise ValueError(f"labels have shape {classes.shape}, the batch {len(images)} examples: give one per example")
    if not jnp.issubdtype(classes.dtype, jnp.integer):
        raise ValueError(f"labels have dtype {classes.dtype}: give class numbers, integers from 0")
    return images, classes


def check_classes(labels: Array, output_shape: tuple[int, ...]) -> None:
    """Raises a ValueError unless outputs are one vector of logits per example and all labels are among its classes."""
    if len(output_shape) != 2:
        shape = output_shape[1:]
        raise ValueError(f"outputs have shape {shape} per example: labels need logits [classes], leave labels out")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= output_shape[1]:
        raise ValueError(f"labels run from {low} to {high}, the network has classes 0 to {output_shape[1] - 1}")


def broken_leaf(leaves: list[Array], paths: list[tuple[str, ...]]) -> tuple[str, int]:
    """The first leaf with entries that are NaN or infinite, and how many."""
    for leaf, path in zip(leaves, paths, strict=True):
        if jnp.issubdtype(leaf.dtype, jnp.inexact) and (count := np.count_nonzero(~np.isfinite(np.asarray(leaf)))):
            return "/".join(path), int(count)
    return "", 0


def _key(key: Any) -> str:
    return str(next(getattr(key, part) for part in ("key", "name", "idx") if hasattr(key, part)))


def _graph(outputs: Callable[..., Array], form: Form) -> Graph:
    examples, *shape = form.batch.shape
    jax.eval_shape(outputs, list(form.leaves), form.batch)
    try:
        return trace(outputs, form.leaves, jax.ShapeDtypeStruct((1, *shape), form.batch.dtype))
    except ValueError as error:
        if examples == 1:
            raise
        raise ValueError(f"apply_fn takes {examples} examples but not 1, is it in training mode? ({error})") from error


def check_independent(network: Traced, leaves: list[Array], images: Array) -> None:
    """Raises a ValueError if the output for the first example changes with its company."""
    other = images[-1:] if len(images) > 1 else jnp.zeros_like(images)
    single, pair = (
        np.asarray(network.outputs(leaves, rows)[0]) for rows in (images[:1], jnp.concatenate([images[:1], other]))
    )
    if np.all(np.isfinite(single)) and np.abs(single - pair).max() > COUPLED * np.abs(pair).max():
        raise ValueError(
            "the output for one example changes with the others in its batch (batch norm in training mode?): give "
            "apply_fn in evaluation mode, such as lambda variables, x: model.apply(variables, x, train=False)"
        )
