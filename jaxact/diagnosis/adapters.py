"""From a user's function, variables and batch to a traced network of one example, with every check on the way."""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxact.config import closest
from jaxact.diagnosis.batches import as_array, examples_of
from jaxact.diagnosis.graph import Graph, trace
from jaxact.diagnosis.layers import find_layers
from jaxact.diagnosis.measure import Subject
from jaxact.diagnosis.refusals import EVALUATION, described, is_flax, refusal
from jaxact.probes import nonlinearity

COUPLED = 1e-2
"""Outputs of one example, alone and with others, differ by at most this share of the largest: above the rounding of
reduced-precision matrix products, below what batch statistics do."""


class Traced(NamedTuple):
    """A traced network, and its outputs for a batch as a jitted function of the leaves of its variables."""

    subject: Subject
    outputs: Callable[[list[Array], Any], Array]


class Form(NamedTuple):
    """All of the variables and the batch but their values."""

    structure: Any
    leaves: tuple[jax.ShapeDtypeStruct, ...]
    batch_structure: Any
    inputs: tuple[jax.ShapeDtypeStruct, ...]

    def batch(self, examples: int) -> Any:
        """The form of a batch of this many examples."""
        resized = [jax.ShapeDtypeStruct((examples, *leaf.shape[1:]), leaf.dtype) for leaf in self.inputs]
        return self.batch_structure.unflatten(resized)


def form_of(variables: Any, batch: Any) -> tuple[Form, list[Array]]:
    """The form of the arguments of a network, and the leaves of its variables.

    Args:
        variables: a pytree of arrays and numbers.
        batch: a pytree of arrays [examples, ...].

    Raises:
        ValueError: a leaf of the variables that is not numeric.
    """
    flat, structure = jax.tree.flatten(variables)
    paths = paths_of(structure)
    leaves = [as_array(leaf, f"variables at {'/'.join(path)}") for leaf, path in zip(flat, paths, strict=True)]
    inputs, batch_structure = jax.tree.flatten(batch)
    return Form(structure, _forms(leaves), batch_structure, _forms(inputs)), leaves


def paths_of(structure: Any) -> list[tuple[str, ...]]:
    """Where each leaf is in the variables."""
    flat, _ = jax.tree_util.tree_flatten_with_path(structure.unflatten([0] * structure.num_leaves))
    return [tuple(_key(key) for key in path) or ("variables",) for path, _ in flat]


def traced(apply_fn: Any, form: Form, activations: Mapping[str, str]) -> Traced:
    """Trace a network and find its layers.

    Raises:
        ValueError: outputs that are not [examples, ...], whatever `apply_fn` raises, no layers, or a hint for a layer
            or of a name that is unknown.
    """
    apply_fn = plain_function(apply_fn)

    def first_output(leaves: list[Array], batch: Any) -> Array:
        output = called(apply_fn, form.structure.unflatten(leaves), batch)
        return _checked_output(output[0] if isinstance(output, tuple | list) else output, batch)

    several = max(2, form.inputs[0].shape[0])
    shape = jax.eval_shape(first_output, list(form.leaves), form.batch(several)).shape
    if shape[:1] != (several,):
        raise _without_axis(shape, several)

    def outputs(leaves: list[Array], batch: Any) -> Array:
        output, examples = first_output(leaves, batch), examples_of(batch)
        if examples == 1 and output.size == math.prod(shape[1:]):
            return output.reshape(1, *shape[1:])  # a squeeze that spares larger batches took the axis of the examples
        if output.shape != (examples, *shape[1:]):
            raise _without_axis(output.shape, examples)
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
        what = "None" if apply_fn is None else f"a {type(apply_fn).__name__}"
        raise ValueError(f"apply_fn is {what}: give a function (variables, batch) → outputs, or a model")
    return apply_fn


def broken_leaf(leaves: list[Array], paths: list[tuple[str, ...]]) -> tuple[str, int]:
    """The first leaf with entries that are NaN or infinite, and how many."""
    for leaf, path in zip(leaves, paths, strict=True):
        if jnp.issubdtype(leaf.dtype, jnp.inexact) and (count := np.count_nonzero(~np.isfinite(np.asarray(leaf)))):
            return "/".join(path), int(count)
    return "", 0


def _key(key: Any) -> str:
    return str(next(getattr(key, part) for part in ("key", "name", "idx") if hasattr(key, part)))


def _graph(outputs: Callable[..., Array], form: Form) -> Graph:
    try:
        return trace(outputs, form.leaves, form.batch(1))
    except ValueError as error:
        several = form.inputs[0].shape[0]
        raise ValueError(
            f"apply_fn takes {several} examples but not 1 (training mode, or a squeeze without its axis?): {error}"
        ) from error


def called(apply_fn: Callable[..., Any], variables: Any, batch: Any) -> Any:
    """The outputs; Flax parameters without their collection are put into it, and failures become one line."""
    try:
        return apply_fn(variables, batch)
    except Exception as error:
        bare = isinstance(variables, Mapping) and "params" not in variables
        if bare and is_flax(error) and type(error).__name__ == "ScopeCollectionNotFound":
            return called(apply_fn, {"params": variables}, batch)
        if _exchanged(apply_fn, variables, batch):
            raise ValueError(
                f"apply_fn fails on the batch {described(batch)} and runs with variables and batch exchanged: call "
                "diagnose(apply_fn, variables, batch)"
            ) from None
        raise refusal(error, batch) from (None if is_flax(error) else error)


def _exchanged(apply_fn: Callable[..., Any], variables: Any, batch: Any) -> bool:
    try:
        jax.eval_shape(apply_fn, batch, variables)
    except Exception:  # it fails either way
        return False
    return True


def _checked_output(output: Any, batch: Any) -> Array:
    if not hasattr(output, "shape"):
        raise _without_axis(type(output).__name__, examples_of(batch))
    if not jnp.issubdtype(output.dtype, jnp.inexact):
        raise ValueError(f"apply_fn returned {output.dtype}, which has no gradient: return logits, not argmax of them")
    return output


def _without_axis(got: Any, examples: int) -> ValueError:
    return ValueError(f"apply_fn returned {got} for a batch of {examples}: it must return [examples, ...] outputs")


def _forms(arrays: list[Array]) -> tuple[jax.ShapeDtypeStruct, ...]:
    return tuple(jax.ShapeDtypeStruct(array.shape, array.dtype) for array in arrays)


def check_independent(network: Traced, leaves: list[Array], batch: Any) -> None:
    """Raises a ValueError if the output for the first example changes with its company."""

    def with_other(rows: Array) -> Array:
        return jnp.concatenate([rows[:1], rows[-1:] if len(rows) > 1 else jnp.zeros_like(rows)])

    first = jax.tree.map(lambda rows: rows[:1], batch)
    single, pair = (np.asarray(network.outputs(leaves, rows)[0]) for rows in (first, jax.tree.map(with_other, batch)))
    if np.all(np.isfinite(single)) and np.abs(single - pair).max() > COUPLED * np.abs(pair).max():
        cause = "batch norm in training mode?"
        raise ValueError(f"the output for one example changes with the others in its batch ({cause}): {EVALUATION}")
