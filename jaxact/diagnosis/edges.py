"""How the layers of a traced network are joined: which one feeds which, which one nothing goes around, and each kernel.

The program's order says little: two branches of a sum come one after the other and neither feeds the other.
"""

from collections.abc import Mapping
from typing import NamedTuple

from jaxact.diagnosis.graph import Graph, Operation, size
from jaxact.diagnosis.layers import MIXING, Layer

INPUT, OUTPUT = -1, -2
"""Nodes of the layer graph beside the numbers of the layers."""


class Kernel(NamedTuple):
    """The kernel of a layer, as the matrix product or convolution takes it.

    Attributes:
        slot: its value.
        received: the slot of what it is multiplied by.
        outer: its axes that count units; the others are summed over.
        fan_in: entries of what one unit receives.
        fan_out: units (per position).
    """

    slot: int
    received: int
    outer: tuple[int, ...]
    fan_in: int
    fan_out: int

    def usual(self) -> float:
        """The smaller of LeCun's and Glorot's standard deviations."""
        return min(1 / self.fan_in, 2 / (self.fan_in + self.fan_out)) ** 0.5


class Edges(NamedTuple):
    """The layer graph.

    Attributes:
        successors: by layer, or INPUT: the layers, or OUTPUT, that its value reaches without passing another layer.
        essential: the layers that every path from the input to the output passes.
    """

    successors: Mapping[int, frozenset[int]]
    essential: frozenset[int]

    def sinks(self) -> tuple[int, ...]:
        """The layers whose value reaches the output without passing another layer."""
        return tuple(sorted(node for node, after in self.successors.items() if OUTPUT in after and node != INPUT))

    def upstream(self, targets: frozenset[int]) -> frozenset[int]:
        """The layers from which a path leads to one of `targets`, these included."""
        return frozenset(
            node for node in self.successors if node != INPUT and targets & reachable(self.successors, node)
        )

    def connected(self, layer: int) -> frozenset[int]:
        """The layers before and after one, itself included."""
        return self.upstream(frozenset({layer})) | reachable(self.successors, layer)


def find_edges(graph: Graph, layers: tuple[Layer, ...]) -> Edges:
    """The layer graph of a traced network."""
    layer_of = {layer.slot: index for index, layer in enumerate(layers)}
    arriving: dict[int, frozenset[int]] = {graph.x: frozenset({INPUT})}
    successors: dict[int, frozenset[int]] = dict.fromkeys((INPUT, *range(len(layers))), frozenset())

    def join(nodes: frozenset[int], later: int) -> None:
        for node in nodes:
            successors[node] |= {later}

    for operation in graph.operations:
        nodes = frozenset[int]().union(*(arriving.get(slot, frozenset()) for slot in operation.inputs))
        for slot in operation.outputs:
            if slot in layer_of:
                join(nodes, layer_of[slot])
                arriving[slot] = frozenset({layer_of[slot]})
            else:
                arriving[slot] = nodes
    join(arriving.get(graph.output, frozenset()), OUTPUT)
    around = {layer: OUTPUT in reachable(successors, INPUT, without=layer) for layer in range(len(layers))}
    return Edges(successors, frozenset(layer for layer, possible in around.items() if not possible))


def reachable(successors: Mapping[int, frozenset[int]], start: int, without: int | None = None) -> frozenset[int]:
    """The nodes on paths from `start` that avoid `without`, `start` included."""
    seen, waiting = {start}, [start]
    while waiting:
        for later in successors.get(waiting.pop(), frozenset()):
            if later not in seen and later != without:
                seen.add(later)
                waiting.append(later)
    return frozenset(seen)


def find_kernels(graph: Graph, layers: tuple[Layer, ...]) -> tuple[Kernel | None, ...]:
    """The kernel of every layer; None for a normalisation."""
    data = graph.depending_on([graph.x])
    maker = {slot: operation for operation in graph.operations for slot in operation.outputs}

    def of_layer(slot: int) -> Kernel | None:
        while slot in maker:
            operation = maker[slot]
            varying = [source for source in operation.inputs if source in data]
            if operation.kind in MIXING and len(varying) == 1:
                return _kernel(graph, operation, varying[0])
            if len(varying) != 1:
                return None
            slot = varying[0]
        return None

    return tuple(of_layer(layer.slot) for layer in layers)


def _kernel(graph: Graph, operation: Operation, received: int) -> Kernel:
    side = 1 - operation.inputs.index(received)
    slot, parameters = operation.inputs[side], operation.equation.params
    shape = graph.shapes[slot]
    if operation.kind == "dot_general":
        contracted, batched = parameters["dimension_numbers"]
        inner = {*contracted[side], *batched[side]}
        fan_in = size(tuple(shape[axis] for axis in contracted[side]))
        outer = tuple(axis for axis in range(len(shape)) if axis not in inner)
    else:
        outer = (parameters["dimension_numbers"].rhs_spec[0],)
        fan_in = size(shape) // shape[outer[0]]
    return Kernel(slot, received, outer, fan_in, size(tuple(shape[axis] for axis in outer)))
