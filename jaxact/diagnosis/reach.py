"""Which parameters the diagnosis has seen, and which of them no gradient reaches.

A **parameter group** is the parameters of one module, `names.layer_names`: a layer's kernel and bias are one.
Running averages, counters and random keys are no parameters.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxact.diagnosis.graph import Graph, Operation, trace
from jaxact.diagnosis.layers import MIXING
from jaxact.diagnosis.names import layer_names

NOT_PARAMETERS = frozenset({"mean", "var", "count"})
REACH_EXAMPLES, STEPS, STEP_SIZE = 16, 3, 0.01
"""Three steps: one for a head that starts at 0, one for a branch that does behind it, one to spare."""
LOOPS = {"scan": "inside a scan", "while": "inside a while loop", "cond": "inside a cond"}


class Group(NamedTuple):
    """One parameter group.

    Attributes:
        name: its path.
        leaves: which of the leaves of the variables.
        unseen: why the diagnosis doesn't see it; "" if it does.
    """

    name: str
    leaves: tuple[int, ...]
    unseen: str


class Reached(NamedTuple):
    """Where the gradient of a random combination of all outputs arrives.

    Attributes:
        at_first: the leaves of which some entry gets a gradient.
        later: those of which it does then or after up to three small steps along it.
        inputs: whether the inputs do, at any of these times; True for inputs that have no gradient (tokens).
        gradients: the gradient by every leaf; None for whole numbers.
    """

    at_first: frozenset[int]
    later: frozenset[int]
    inputs: bool
    gradients: list[Array | None]


def every_output(function: Callable[..., Any], structure: Any) -> Callable[[list[Array], Any], list[Array]]:
    """All floating-point outputs of a network that have an entry per example, as a function of its leaves."""

    def outputs(leaves: list[Array], x: Any) -> list[Array]:
        found = jax.tree.leaves(function(structure.unflatten(leaves), x))
        examples = jax.tree.leaves(x)[0].shape[:1]
        arrays = [array for array in found if hasattr(array, "shape") and array.shape[:1] == examples]
        return [array for array in arrays if jnp.issubdtype(array.dtype, jnp.floating)]

    return outputs


def find_groups(
    graph: Graph, paths: list[tuple[str, ...]], forms: tuple[jax.ShapeDtypeStruct, ...], used: frozenset[int]
) -> tuple[Group, ...]:
    """The parameter groups of a network.

    Args:
        graph: the trace of the output that is diagnosed.
        paths: where each leaf is in the variables.
        forms: shapes and dtypes of the leaves.
        used: the leaves that any output depends on.
    """
    collected = any(path[0] == "params" and len(path) > 1 for path in paths)
    members: dict[str, list[int]] = {}
    for index, (path, form, name) in enumerate(zip(paths, forms, layer_names(paths), strict=True)):
        known = jnp.issubdtype(form.dtype, jnp.floating) and NOT_PARAMETERS.isdisjoint(path[-2:])
        if known and (path[0] == "params" or not collected):
            members.setdefault(name, []).append(index)
    meetings = _meetings(graph)
    groups = []
    for name, leaves in members.items():
        reasons = [_unseen(meetings[leaf], leaf in used) for leaf in leaves]
        groups.append(Group(name, tuple(leaves), "" if "" in reasons else reasons[0]))
    return tuple(groups)


def used_leaves(outputs: Callable[..., list[Array]], forms: tuple[Any, ...], x: Any) -> frozenset[int]:
    """The leaves that any output depends on."""

    def total(leaves: list[Array], x: Any) -> Array:
        return sum((jnp.sum(output).astype(jnp.float32) for output in outputs(leaves, x)), jnp.zeros(()))

    graph = trace(total, forms, x)
    read = {slot for operation in graph.operations for slot in operation.inputs}
    return frozenset(index for index, slot in enumerate(graph.variables) if slot in read)


def projected_gradient(
    outputs: Callable[..., list[Array]], leaves: list[Array], images: Any
) -> tuple[list[Array | None], list[Array]]:
    """The gradient of a random combination of all outputs by the leaves, None for whole numbers, and by the inputs."""
    inputs, structure = jax.tree.flatten(images)
    arguments = [*leaves, *inputs]
    where = [index for index, leaf in enumerate(arguments) if jnp.issubdtype(leaf.dtype, jnp.floating)]

    def projection(some: list[Array]) -> Array:
        every = list(arguments)
        for index, argument in zip(where, some, strict=True):
            every[index] = argument
        key = jax.random.key(0, impl="threefry2x32")
        total = jnp.zeros(())
        for number, output in enumerate(outputs(every[: len(leaves)], structure.unflatten(every[len(leaves) :]))):
            weights = jax.random.normal(jax.random.fold_in(key, number), output.shape)
            total += jnp.sum(weights * output.astype(jnp.float32))
        return total

    found: list[Array | None] = [None] * len(arguments)
    for index, gradient in zip(where, jax.grad(projection)([arguments[index] for index in where]), strict=True):
        found[index] = gradient
    return found[: len(leaves)], [gradient for gradient in found[len(leaves) :] if gradient is not None]


def reach(gradient: Callable[..., Any], leaves: list[Array], images: Any, parameters: frozenset[int]) -> Reached:
    """Where the gradient arrives, at first and after small steps of the parameters along it.

    A head that starts at 0 stops the gradient of all before it, until its first step: that is no fault.

    Args:
        gradient: `projected_gradient` of the outputs, compiled.
        leaves: the leaves of the variables.
        images: [examples, ...], all of which are taken.
        parameters: which of the leaves are parameters.
    """
    at_start, by_input = gradient(leaves, images)
    at_first = arrived = _arrived(at_start, parameters)
    inputs, current = not by_input or _any(by_input), at_start
    for _ in range(STEPS):
        if arrived == parameters and inputs:
            break
        moving = _arrived(current, parameters)
        leaves = [
            leaf + STEP_SIZE * slope / jnp.sqrt(jnp.mean(slope**2)) if index in moving else leaf
            for index, (leaf, slope) in enumerate(zip(leaves, current, strict=True))
        ]
        current, by_input = gradient(leaves, images)
        arrived |= _arrived(current, parameters)
        inputs |= _any(by_input)
    return Reached(at_first, arrived, inputs, at_start)


def _any(gradients: list[Array]) -> bool:
    return any(bool(jnp.any(gradient != 0)) for gradient in gradients)


def _arrived(gradients: list[Array | None], parameters: frozenset[int]) -> frozenset[int]:
    return frozenset(index for index in parameters if bool(jnp.any(gradients[index] != 0)))


def _meetings(graph: Graph) -> list[list[Operation]]:
    """By leaf, the operations in which it first meets the data, or in which it ends."""
    data = graph.depending_on(graph.inputs)
    found: list[list[Operation]] = []
    for variable in graph.variables:
        own, met = {variable}, []
        for operation in graph.operations:
            if own.isdisjoint(operation.inputs):
                continue
            if data.isdisjoint(operation.inputs):
                own.update(operation.outputs)
            else:
                met.append(operation)
        found.append(met)
    return found


def _unseen(meetings: list[Operation], used: bool) -> str:
    if not meetings:
        return "for another output" if used else "no output depends on it"
    closed = [operation for operation in meetings if _closed(operation)]
    if len(closed) < len(meetings):
        return ""
    return LOOPS.get(closed[0].kind, f"inside a {closed[0].kind}")


def _closed(operation: Operation) -> bool:
    """Whether an operation is a loop, or holds a matrix product where no layer is looked for."""
    inner = operation.equation.params.values()
    return operation.kind in ("scan", "while") or any(_mixes(part) for part in inner)


def _mixes(part: Any) -> bool:
    if isinstance(part, tuple):
        return any(_mixes(entry) for entry in part)
    equations = getattr(getattr(part, "jaxpr", part), "eqns", ())
    return any(
        equation.primitive.name in MIXING or any(_mixes(inner) for inner in equation.params.values())
        for equation in equations
    )
