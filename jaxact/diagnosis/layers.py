"""Where the layers of a foreign network are, and what its activations are, read off its trace.

A layer starts where data meet a parameter: in a matrix product or convolution, or in the scale and shift of a
normalisation. Everything affine that follows it with parameters alone belongs to it (bias, batch norm in evaluation
mode), and so does a pooling before the activation: its last value is the **pre-activation**, a unit an entry of the
last axis. Its **activation** is all that is then computed elementwise from it, operation by operation, up to where it
enters the next layer, a pooling or a sum; a residual added before the activation is part of it as an offset.
"""

from typing import Any, NamedTuple

from jax.extend import core

from jaxact.diagnosis.graph import GROUPS, Graph, Operation, shape_of, size

MIXING = frozenset({"dot_general", "conv_general_dilated"})
AFFINE = frozenset({"add", "sub", "mul", "div", "add_any"})
SAME = frozenset({"convert_element_type", "copy", "name", "reduce_precision", "optimization_barrier"})
RESHAPING = frozenset({"reshape", "squeeze"})
MOVING = SAME | RESHAPING | {"transpose", "reduce_window_max", "reduce_window_sum", "reduce_window"}
ELEMENTWISE = (
    AFFINE
    | SAME
    | frozenset(
        "abs acos acosh and asin asinh atan atan2 atanh cbrt ceil clamp cos cosh digamma eq erf erf_inv erfc exp "
        "exp2 expm1 floor ge gt integer_pow is_finite le lgamma log log1p logistic lt max min ne neg nextafter not or "
        "pow rem round rsqrt select_n sign sin sinh sqrt square stop_gradient tan tanh xor".split()
    )
)
WITH_OWN_DERIVATIVE = {"custom_jvp_call": "call_jaxpr", "custom_vjp_call": "call_jaxpr"}
OPAQUE = frozenset({"reduce_max", "reduce_min", "argmax", "argmin", "sort", "top_k", "cond", "while", "scan"})
UNNAMED = ("params", "batch_stats"), ("kernel", "bias", "scale", "value", "raw_value", "embedding", "mean", "var")


class Layer(NamedTuple):
    """One layer of a graph.

    Attributes:
        name: where its first parameter is in the variables, `block1/conv`.
        slot: its pre-activation.
        kernel: index of that parameter among the leaves.
        activation: what its activation is called in the program; "linear" where there is none, "?" where there is one
            that mixes units (softmax), whose slope is not a number per unit.
        steps: the operations of the activation.
        ends: the slots in which it results.
    """

    name: str
    slot: int
    kernel: int
    activation: str
    steps: tuple[Operation, ...]
    ends: tuple[int, ...]


class _Run:
    """An affine run while it grows."""

    def __init__(self, leaf: int, start: int, settled: bool) -> None:
        self.leaf, self.start, self.settled, self.count = leaf, start, settled, 0
        self.slot, self.operations = -1, set[int]()

    def extend(self, index: int, slot: int) -> None:
        self.slot, self.count = slot, self.count + 1
        self.operations.add(index)


def find_layers(graph: Graph, paths: list[tuple[str, ...]]) -> tuple[Layer, ...]:
    """The layers of a network in the order in which they are computed.

    Args:
        graph: its trace.
        paths: where each leaf is in the variables.
    """
    readers, data = graph.consumers(), graph.depending_on(graph.inputs)
    running = frozenset(index for index, path in enumerate(paths) if path[-1] in ("mean", "var"))
    runs = _runs(graph, readers, data, running)
    claimed = set().union(*(run.operations for run in runs))
    layers, taken = [], dict[str, int]()
    for run in runs:
        name = _name(paths[run.leaf])
        taken[name] = taken.get(name, 0) + 1
        name = name if taken[name] == 1 else f"{name}#{taken[name]}"
        layers.append(_activated(graph, readers, data, claimed, Layer(name, run.slot, run.leaf, "linear", (), ())))
    return tuple(layers)


def _runs(graph: Graph, readers: dict[int, list[Operation]], data: set[int], running: frozenset[int]) -> list[_Run]:
    """The affine runs; `running` are the leaves that hold running averages, after which no layer is called."""
    leaf_of = {slot: index for index, slot in enumerate(graph.variables)}
    runs: list[_Run] = []
    tail: dict[int, _Run] = {}
    alike: set[int] = set()  # slots that some layer determines elementwise
    for index, operation in enumerate(graph.operations):
        varying = [slot for slot in operation.inputs if slot in data]
        given = sorted((leaf_of[slot] for slot in operation.inputs if slot in leaf_of), key=running.__contains__)
        if given and not varying:
            leaf_of |= dict.fromkeys(operation.outputs, given[0])
        if not varying:
            continue
        out = operation.outputs[0]
        source = next((slot for slot in varying if slot not in leaf_of), varying[0])
        same_shape = graph.shapes[source] == graph.shapes[out]
        open_run = tail.get(source) if len(readers[source]) == 1 and source != graph.output else None
        if operation.kind in MIXING and given:
            runs.append(tail.setdefault(out, _Run(given[0], source, True)))
            runs[-1].extend(index, out)
        elif operation.kind in AFFINE and given and same_shape and operation.inputs.count(source) == 1:
            if open_run is None:
                # A data-dependent scale is a normalisation's, a single parameter on a layer's way an activation's own.
                scaled = any(slot in leaf_of for slot in varying)
                open_run = _Run(given[0], source, scaled or source not in alike)
                runs.append(open_run)
            open_run.extend(index, out)
            open_run.leaf = given[0] if open_run.leaf in running else open_run.leaf
            tail[out] = open_run
        elif operation.kind in AFFINE and given and not same_shape:
            leaf_of[out] = given[0]
        elif open_run and len(varying) == 1 and operation.kind in MOVING | AFFINE:
            tail[out] = open_run
        if operation.kind in MIXING or (_elementwise(operation) and not alike.isdisjoint(varying)):
            alike.add(out)
    return [run for run in runs if run.settled or run.count > 1]


def _activated(
    graph: Graph, readers: dict[int, list[Operation]], data: set[int], claimed: set[int], layer: Layer
) -> Layer:
    """The layer with its activation; where one follows a pooling, the pooled value is the pre-activation."""
    first = layer = _with_activation(graph, readers, data, claimed, layer)
    while layer.activation in ("linear", "?") and len(readers[layer.slot]) == 1:
        (reader,) = readers[layer.slot]
        after = graph.shapes[reader.outputs[0]]
        if reader.kind not in MOVING - SAME or after[-1:] != graph.shapes[layer.slot][-1:]:
            break
        layer = _with_activation(graph, readers, data, claimed, layer._replace(slot=reader.outputs[0]))
    return first if layer.activation == "linear" else layer


def _with_activation(
    graph: Graph, readers: dict[int, list[Operation]], data: set[int], claimed: set[int], layer: Layer
) -> Layer:
    shape, influenced = graph.shapes[layer.slot], {layer.slot}
    linear, steps = {layer.slot: True}, []
    for index, operation in enumerate(graph.operations):
        touched = {slot for slot in operation.inputs if slot in influenced}
        if not touched:
            continue
        influenced.update(operation.outputs)
        inside = touched & set(linear)
        shapes = {graph.shapes[slot] for slot in (*inside, *operation.outputs)}
        alone = all(size(some) == 1 for some in (shape, *shapes))  # a single value stays itself in any shape
        kept = _elementwise(operation) or (alone and operation.kind in RESHAPING)
        if inside != touched or index in claimed or not (alone or shapes == {shape}) or not kept:
            continue
        others = any(slot in data for slot in operation.inputs if slot not in touched)
        if others and not all(linear[slot] for slot in inside):
            continue  # a sum with another branch, or its gate
        still = all(linear[slot] for slot in inside) and _linear(operation, inside)
        linear |= dict.fromkeys(operation.outputs, still)
        steps.append(operation)
    own = {step.outputs for step in steps}
    ends = [slot for slot in linear if slot == graph.output or any(op.outputs not in own for op in readers[slot])]
    ends = [slot for slot in ends if not _compares(slot, steps)]
    if any(linear[slot] for slot in ends):
        opaque = any(reader.kind in OPAQUE or reader.kind in WITH_OWN_DERIVATIVE for reader in readers[layer.slot])
        return layer._replace(activation="?" if opaque else "linear", steps=tuple(steps), ends=tuple(ends))
    around = next(operation.scopes for operation in graph.operations if layer.slot in operation.outputs)
    label = _label([step for step in steps if not linear[step.outputs[0]]], around)
    return layer._replace(activation=label, steps=tuple(steps), ends=tuple(ends))


def _compares(slot: int, steps: list[Operation]) -> bool:
    """Whether a slot holds truth values, which have no slope."""
    return any(slot in step.outputs and step.kind in {"gt", "ge", "lt", "le", "eq", "ne"} for step in steps)


def _elementwise(operation: Operation) -> bool:
    return _equation_elementwise(operation.equation)


def _equation_elementwise(equation: core.JaxprEqn) -> bool:
    kind, parameters = equation.primitive.name, equation.params
    if kind == "cond":
        return all(_jaxpr_elementwise(branch) for branch in parameters["branches"])
    if kind in WITH_OWN_DERIVATIVE or kind in GROUPS:
        return _jaxpr_elementwise(parameters.get("call_jaxpr", parameters.get("jaxpr")))
    return kind in ELEMENTWISE or (kind == "broadcast_in_dim" and shape_of(equation.invars[0]) == ())


def _jaxpr_elementwise(jaxpr: Any) -> bool:
    return all(_equation_elementwise(equation) for equation in getattr(jaxpr, "jaxpr", jaxpr).eqns)


def _linear(operation: Operation, inside: set[int]) -> bool:
    """Whether the outputs are linear in the slots `inside`, if these are linear in the pre-activation."""
    where = [position for position, slot in enumerate(operation.inputs) if slot in inside]
    if operation.kind in {"mul", "div", "select_n"}:
        return (
            where == [0] if operation.kind == "div" else len(where) == 1 and (operation.kind == "mul" or where[0] > 0)
        )
    return operation.kind in AFFINE | SAME | RESHAPING | {"neg"}


def _label(bent: list[Operation], around: tuple[str, ...]) -> str:
    """The name of the function that the nonlinear steps were jitted in, or else of the steps."""
    names = list(dict.fromkeys(_own_name(step) for step in bent if step.kind not in AFFINE | MOVING)) or [bent[0].kind]
    common = bent[0].scopes
    for step in bent:
        common = tuple(a for a, b in zip(common, step.scopes, strict=False) if a == b)
    known = [scope for scope in common[len(around) :] if scope and not scope.startswith("_")]
    return known[-1] if known else "+".join(names[:3])


def _own_name(step: Operation) -> str:
    inner = step.equation.params.get(WITH_OWN_DERIVATIVE.get(step.kind, ""))
    equations = getattr(getattr(inner, "jaxpr", None), "eqns", ())
    return str(equations[0].params.get("name", step.kind)) if equations else step.kind


def _name(path: tuple[str, ...]) -> str:
    first, last = UNNAMED
    parts = path[1:] if path[0] in first and len(path) > 1 else path
    while len(parts) > 1 and parts[-1] in last:
        parts = parts[:-1]
    return "/".join(parts)
