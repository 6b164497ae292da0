"""A traced function as a flat list of operations on numbered slots, so that the part between two layers can run alone.

Calls that only group operations (jit, remat) are opened; those with derivatives of their own (`jax.nn.relu` has slope 0
at 0) stay closed and keep them.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
from jax.extend import core
from jaxtyping import Array

DRAWS = frozenset({"random_bits", "random_gamma", "rng_bit_generator", "rng_uniform", "threefry2x32"})
GROUPS = frozenset({"jit", "pjit", "remat", "remat2", "checkpoint", "closed_call", "core_call", "core_closed_call"})


class Operation(NamedTuple):
    """One primitive applied to slots; `scopes` are the names of the jitted functions around it, outermost first."""

    equation: core.JaxprEqn
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    scopes: tuple[str, ...]

    @property
    def kind(self) -> str:
        """The primitive's name."""
        return self.equation.primitive.name


class Graph(NamedTuple):
    """What a function computes; values live in slots.

    Attributes:
        operations: those that the output depends on, in order.
        shapes: shape of every slot.
        constants: values of the slots that no argument determines.
        variables: slots of the leaves of the variables.
        x: slot of the input.
        output: slot of the output.
    """

    operations: tuple[Operation, ...]
    shapes: tuple[tuple[int, ...], ...]
    constants: dict[int, Any]
    variables: tuple[int, ...]
    x: int
    output: int

    def consumers(self) -> dict[int, list[Operation]]:
        """The operations that read each slot."""
        readers: dict[int, list[Operation]] = {slot: [] for slot in range(len(self.shapes))}
        for operation in self.operations:
            for slot in dict.fromkeys(operation.inputs):
                readers[slot].append(operation)
        return readers

    def depending_on(self, sources: Iterable[int]) -> set[int]:
        """The slots that the given ones influence, themselves included."""
        reached = set(sources)
        for operation in self.operations:
            if not reached.isdisjoint(operation.inputs):
                reached.update(operation.outputs)
        return reached


class _Builder:
    """Slots and operations while a jaxpr is opened."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self.shapes: list[tuple[int, ...]] = []
        self.constants: dict[int, Any] = {}

    def slot(self, shape: tuple[int, ...]) -> int:
        self.shapes.append(tuple(shape))
        return len(self.shapes) - 1

    def constant(self, value: Any) -> int:
        slot = self.slot(getattr(value, "shape", ()))
        self.constants[slot] = value
        return slot

    def open(self, jaxpr: Any, arguments: list[int], scopes: tuple[str, ...]) -> list[int]:
        """Add the operations of an open or closed jaxpr; returns the slots of its results."""
        constants = [self.constant(value) for value in getattr(jaxpr, "consts", ())]
        jaxpr = getattr(jaxpr, "jaxpr", jaxpr)
        slots = dict(zip(jaxpr.constvars, constants, strict=True)) | dict(zip(jaxpr.invars, arguments, strict=True))

        def read(atom: Any) -> int:
            return self.constant(atom.val) if isinstance(atom, core.Literal) else slots[atom]

        for equation in jaxpr.eqns:
            inputs = [read(atom) for atom in equation.invars]
            if equation.primitive.name in GROUPS:
                inner = equation.params.get("jaxpr", equation.params.get("call_jaxpr"))
                outputs = self.open(inner, inputs, (*scopes, str(equation.params.get("name", ""))))
            else:
                outputs = [self.slot(shape_of(var)) for var in equation.outvars]
                self.operations.append(Operation(equation, tuple(inputs), tuple(outputs), scopes))
            slots.update(zip(equation.outvars, outputs, strict=True))
        return [read(atom) for atom in jaxpr.outvars]


def trace(fn: Callable[[list[Array], Array], Array], leaves: Sequence[Any], x: Any) -> Graph:
    """Open what `fn` does with the leaves of the variables and one input; runs nothing."""
    closed = jax.make_jaxpr(fn)(list(leaves), x)
    builder = _Builder()
    arguments = [builder.slot(shape_of(var)) for var in closed.jaxpr.invars]
    (output,) = builder.open(closed, arguments, ())
    needed, operations = {output}, []
    for operation in reversed(builder.operations):
        if not needed.isdisjoint(operation.outputs):
            needed.update(operation.inputs)
            operations.append(operation)
    return Graph(
        tuple(reversed(operations)),
        tuple(builder.shapes),
        builder.constants,
        tuple(arguments[:-1]),
        arguments[-1],
        output,
    )


def kinds_within(graph: Graph) -> set[str]:
    """The names of all primitives that the output depends on, those inside loops and branches too."""
    found: set[str] = set()

    def look(equation: core.JaxprEqn) -> None:
        found.add(equation.primitive.name)
        for inner in core.jaxprs_in_params(equation.params):
            for part in inner.eqns:
                look(part)

    for operation in graph.operations:
        look(operation.equation)
    return found


def check_deterministic(graph: Graph) -> None:
    """Raises a ValueError for a network that draws random numbers.

    Its trace holds the numbers of one draw, so one dropout mask would serve all examples.
    """
    drawn = sorted(DRAWS & kinds_within(graph))
    if drawn:
        raise ValueError(
            f"apply_fn draws random numbers ({drawn[0]}; dropout in training mode?): give it in evaluation mode, such "
            "as lambda variables, x: model.apply(variables, x, train=False), or pass fixed numbers in the variables"
        )


def run(operations: Iterable[Operation], values: dict[int, Any], shifts: Mapping[int, Array]) -> None:
    """Compute the outputs of `operations` into `values`, each slot in `shifts` plus what is given for it."""
    for operation in operations:
        equation = operation.equation
        atoms = zip(equation.invars, operation.inputs, strict=True)
        arguments = {var: values[slot] for var, slot in atoms if not isinstance(var, core.Literal)}
        about = core.DebugInfo("operation", operation.kind, None, None)
        alone = core.Jaxpr((), [*arguments], equation.outvars, [equation], debug_info=about)
        # From JAX 0.12 on the two classes are one, and its stub no longer lists the older name.
        closed = core.ClosedJaxpr(alone, ())  # pyright: ignore[reportPrivateImportUsage]
        results = core.jaxpr_as_fun(closed)(*arguments.values())
        for slot, result in zip(operation.outputs, results, strict=True):
            values[slot] = result + shifts[slot] if slot in shifts else result


def run_all(graph: Graph, leaves: list[Array], x: Array, shifts: Mapping[int, Array]) -> dict[int, Any]:
    """The values of all slots."""
    values = dict(graph.constants) | dict(zip(graph.variables, leaves, strict=True)) | {graph.x: x}
    run(graph.operations, values, shifts)
    return values


def shape_of(atom: Any) -> tuple[int, ...]:
    """The shape of a variable or literal of a jaxpr."""
    return atom.aval.shape


def size(shape: tuple[int, ...]) -> int:
    """Number of entries."""
    return math.prod(shape)
