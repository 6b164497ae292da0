"""Where the layers of a foreign network are, and what its activations are, read off its trace.

A layer starts where data meet a parameter: in a matrix product or convolution, or in the scale and shift of a
normalisation. Everything affine that follows it with parameters alone belongs to it (bias, batch norm in evaluation
mode), and so does a pooling before the activation: its last value is the **pre-activation**. A **unit** is a column of
the kernel, a channel of the convolution or an entry of the normalisation's parameter (`diagnosis.axes`). Its
**activation** is all that is then computed elementwise from it, operation by operation, up to where it enters the next
layer, a pooling or a sum; a residual added before the activation is part of it as an offset.
"""

from typing import Any, NamedTuple

from jax.extend import core

from jaxact.diagnosis import axes as unit_axes
from jaxact.diagnosis.graph import GROUPS, Graph, Operation, shape_of
from jaxact.diagnosis.names import activation_name, layer_names

MIXING = frozenset({"dot_general", "conv_general_dilated"})
AFFINE = frozenset({"add", "sub", "mul", "div", "add_any"})
SAME = frozenset({"convert_element_type", "copy", "name", "reduce_precision", "optimization_barrier"})
MOVING = SAME | {"reshape", "squeeze", "transpose", "reduce_window_max", "reduce_window_sum", "reduce_window"}
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


class Layer(NamedTuple):
    """One layer of a graph.

    Attributes:
        name: where its first parameter is in the variables, `block1/conv`.
        slot: its pre-activation.
        axes: along which its units lie.
        kernel: index of that parameter among the leaves.
        activation: what its activation is called in the program; "linear" where there is none, "?" where there is one
            that mixes units (softmax), whose slope is not a number per unit.
        steps: the operations of the activation.
        ends: the slots in which it results.
    """

    name: str
    slot: int
    axes: unit_axes.Axes
    kernel: int
    activation: str
    steps: tuple[Operation, ...]
    ends: tuple[int, ...]


class _Run:
    """An affine run while it grows."""

    def __init__(self, leaf: int, start: int, settled: bool, mixes: bool = False) -> None:
        self.leaf, self.start, self.settled, self.mixes, self.count = leaf, start, settled, mixes, 0
        self.slot, self.axes, self.operations = -1, unit_axes.Axes(), set[int]()

    def extend(self, index: int, slot: int, axes: unit_axes.Axes) -> None:
        self.slot, self.axes, self.count = slot, axes, self.count + 1
        self.operations.add(index)


def find_layers(graph: Graph, paths: list[tuple[str, ...]]) -> tuple[Layer, ...]:
    """The layers of a network in the order in which they are computed.

    Args:
        graph: its trace.
        paths: where each leaf is in the variables.
    """
    readers, data = graph.consumers(), graph.depending_on([graph.x])
    running = frozenset(index for index, path in enumerate(paths) if path[-1] in ("mean", "var"))
    runs = _Search(graph, readers, data, running).runs()
    claimed = set().union(*(run.operations for run in runs))
    names = layer_names(paths)
    layers, taken = [], dict[str, int]()
    for run in runs:
        name = names[run.leaf]
        taken[name] = taken.get(name, 0) + 1
        name = name if taken[name] == 1 else f"{name}#{taken[name]}"
        layer = Layer(name, run.slot, run.axes, run.leaf, "linear", (), ())
        layers.append(_activated(graph, readers, data, claimed, layer))
    return tuple(layers)


class _Search:
    """One pass over the operations that finds the affine runs."""

    def __init__(
        self, graph: Graph, readers: dict[int, list[Operation]], data: set[int], running: frozenset[int]
    ) -> None:
        """`running` are the leaves that hold running averages, after which no layer is called."""
        self.graph, self.readers, self.data, self.running = graph, readers, data, running
        self.leaf_of = {slot: index for index, slot in enumerate(graph.variables)}
        self.axes = {slot: unit_axes.everywhere(graph.shapes[slot]) for slot in graph.variables}
        self.found: list[_Run] = []
        self.tail: dict[int, _Run] = {}
        self.alike: set[int] = set()  # slots that some layer determines elementwise

    def runs(self) -> list[_Run]:
        for index, operation in enumerate(self.graph.operations):
            varying = [slot for slot in operation.inputs if slot in self.data]
            if varying:
                self._of_data(index, operation, varying)
                if operation.kind in MIXING or (_elementwise(operation) and not self.alike.isdisjoint(varying)):
                    self.alike.add(operation.outputs[0])
            elif not self.leaf_of.keys().isdisjoint(operation.inputs):
                self._of_parameters(operation)
        return [run for run in self.found if run.settled or run.count > 1]

    def _given(self, operation: Operation) -> list[int]:
        """The inputs that parameters determine, running averages last."""
        given = [slot for slot in operation.inputs if slot in self.leaf_of]
        return sorted(given, key=lambda slot: self.leaf_of[slot] in self.running)

    def _of_parameters(self, operation: Operation) -> None:
        given = self._given(operation)
        for slot in operation.outputs:
            self.leaf_of[slot] = self.leaf_of[given[0]]
            self.axes[slot] = self._varying_along(operation, given, slot)

    def _varying_along(self, operation: Operation, given: list[int], out: int) -> unit_axes.Axes:
        shapes = self.graph.shapes
        parts = [unit_axes.after(operation, self.axes[slot], shapes[slot], shapes[out]) for slot in given]
        return tuple(sorted(set().union(*parts)))

    def _of_data(self, index: int, operation: Operation, varying: list[int]) -> None:
        self._demote_scales(operation, varying)
        shapes, given, out = self.graph.shapes, self._given(operation), operation.outputs[0]
        source = next((slot for slot in varying if slot not in self.leaf_of), varying[0])
        same_shape = shapes[source] == shapes[out]
        alone = len(self.readers[source]) == 1 and source != self.graph.output
        run = self.tail.get(source) if alone else None
        if operation.kind in MIXING and given:
            run = _Run(self.leaf_of[given[0]], source, settled=True, mixes=True)
            self.found.append(run)
            self._extend(run, index, out, unit_axes.of_product(operation, given, shapes[out]))
        elif operation.kind in AFFINE and given and same_shape and operation.inputs.count(source) == 1:
            along = self._varying_along(operation, given, out)
            if run is None:
                # A data-dependent scale is a normalisation's, a single parameter on a layer's way an activation's own.
                scaled = any(slot in self.leaf_of for slot in varying)
                run = _Run(self.leaf_of[given[0]], source, scaled or source not in self.alike)
                self.found.append(run)
                self.axes[source] = along or unit_axes.everywhere(shapes[out])[-1:]
            self._extend(run, index, out, self.axes[source])
            run.leaf = self.leaf_of[given[0]] if run.leaf in self.running else run.leaf
        elif operation.kind in AFFINE and given and not same_shape:
            self.leaf_of[out], self.axes[out] = self.leaf_of[given[0]], self._varying_along(operation, given, out)
        elif run and len(varying) == 1 and operation.kind in MOVING | AFFINE:
            self.tail[out] = run
            self.axes[out] = unit_axes.after(operation, self.axes[source], shapes[source], shapes[out])

    def _extend(self, run: _Run, index: int, out: int, axes: unit_axes.Axes) -> None:
        run.extend(index, out, axes)
        self.tail[out], self.axes[out] = run, axes

    def _demote_scales(self, operation: Operation, varying: list[int]) -> None:
        """A run that is spread over larger data is a scale by statistics, as of group norm, and no layer."""
        shapes, out = self.graph.shapes, operation.outputs[0]
        for slot in varying:
            run = self.tail.get(slot)
            spread = operation.kind in AFFINE and len(varying) > 1 and shapes[slot] != shapes[out]
            if run in self.found and spread and not run.mixes:
                self.found.remove(run)
                self.leaf_of[slot] = run.leaf


def _activated(
    graph: Graph, readers: dict[int, list[Operation]], data: set[int], claimed: set[int], layer: Layer
) -> Layer:
    """The layer with its activation; where one follows a pooling, the pooled value is the pre-activation."""
    first = layer = _with_activation(graph, readers, data, claimed, layer)
    while layer.activation in ("linear", "?") and len(readers[layer.slot]) == 1:
        (reader,) = readers[layer.slot]
        before, slot = graph.shapes[layer.slot], reader.outputs[0]
        if reader.kind not in MOVING - SAME:
            break
        axes = unit_axes.after(reader, layer.axes, before, graph.shapes[slot])
        if unit_axes.units(axes, graph.shapes[slot]) != unit_axes.units(layer.axes, before):
            break
        layer = _with_activation(graph, readers, data, claimed, layer._replace(slot=slot, axes=axes))
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
        if inside != touched or index in claimed or shapes != {shape} or not _elementwise(operation):
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
    bent = [step for step in steps if not linear[step.outputs[0]]]
    label = activation_name(steps, bent, around, AFFINE | SAME)
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
    return operation.kind in AFFINE | SAME | {"neg"}
