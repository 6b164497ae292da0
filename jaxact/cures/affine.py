"""What lies between a layer's kernel and its pre-activation in a traced network: its bias, and batch norm.

`diagnosis.layers` says where layers are; this says which parameter moves a layer's units, and whether its kernel's size
means anything.
"""

from collections.abc import Sequence
from typing import NamedTuple

from jaxact.diagnosis.edges import Edges, Kernel
from jaxact.diagnosis.graph import Graph, Operation, size
from jaxact.diagnosis.layers import MIXING, Layer
from jaxact.diagnosis.reach import NOT_PARAMETERS

ADDITIONS = frozenset({"add", "add_any"})


class Handle(NamedTuple):
    """The parameters by which one layer can be repaired.

    Attributes:
        bias: index of the leaf that shifts every unit; None if there is none.
        kernel: index of the leaf whose size scales the pre-activations; None if there is none.
        without_bias: why there is no bias, in words.
        without_kernel: why there is no kernel, in words.
    """

    bias: int | None
    kernel: int | None
    without_bias: str
    without_kernel: str


def find_handles(
    graph: Graph,
    layers: Sequence[Layer],
    kernels: Sequence[Kernel | None],
    edges: Edges,
    paths: Sequence[tuple[str, ...]],
) -> tuple[Handle, ...]:
    """The handle of every layer.

    Args:
        graph: the trace.
        layers: what was found in it.
        kernels: of the layers, as from `diagnosis.edges.find_kernels`.
        edges: of the layers.
        paths: where each leaf is in the variables.
    """
    behind = _leaves_behind(graph)
    running = {index for index, path in enumerate(paths) if not NOT_PARAMETERS.isdisjoint(path[-2:])}
    found = [_affine(graph, behind, layer) for layer in layers]
    biases = [_bias(graph, behind, steps, layer, running) for steps, layer in zip(found, layers, strict=True)]
    handles = []
    for index, layer in enumerate(layers):
        bias, without_bias = biases[index], "it has no bias"
        if bias is not None and biases.count(bias) > 1:
            bias, without_bias = None, "its bias belongs to other layers too"
        kernel: int | None = layer.kernel
        without_kernel = ""
        leaves = set[int]().union(*(used for _, used in found[index]))
        after = edges.successors[index]
        if kernels[index] is None:
            kernel, without_kernel = None, "it is a normalisation, without a kernel"
        elif sum(other.kernel == layer.kernel for other in layers) > 1:
            kernel, without_kernel = None, "its kernel belongs to other layers too"
        elif leaves & running:
            kernel, without_kernel = None, "batch norm follows, which undoes any size in training"
        elif after and all(node >= 0 and kernels[node] is None for node in after):
            kernel, without_kernel = None, "a normalisation follows, which undoes any size"
        handles.append(Handle(bias, kernel, without_bias, without_kernel))
    return tuple(handles)


def _leaves_behind(graph: Graph) -> dict[int, frozenset[int]]:
    """By slot, the leaves that determine it."""
    behind = {slot: frozenset({index}) for index, slot in enumerate(graph.variables)}
    for operation in graph.operations:
        leaves = frozenset[int]().union(*(behind.get(slot, frozenset()) for slot in operation.inputs))
        behind |= dict.fromkeys(operation.outputs, leaves)
    return behind


def _affine(graph: Graph, behind: dict[int, frozenset[int]], layer: Layer) -> list[tuple[Operation, frozenset[int]]]:
    """The operations from the pre-activation back to the kernel, with the leaves that join in each."""
    data = graph.depending_on(graph.inputs)
    maker = {slot: operation for operation in graph.operations for slot in operation.outputs}
    slot, steps = layer.slot, []
    while slot in maker:
        operation = maker[slot]
        varying = [source for source in operation.inputs if source in data]
        if operation.kind in MIXING or len(varying) != 1:
            break
        given = [behind.get(source, frozenset()) for source in operation.inputs if source not in data]
        steps.append((operation, frozenset[int]().union(*given)))
        slot = varying[0]
    return steps


def _bias(
    graph: Graph,
    behind: dict[int, frozenset[int]],
    steps: Sequence[tuple[Operation, frozenset[int]]],
    layer: Layer,
    running: set[int],
) -> int | None:
    """The last parameter that is added, one number for each unit."""
    shape = graph.shapes[layer.slot]
    units = size(tuple(shape[axis] for axis in layer.axes))
    for operation, leaves in steps:
        own = leaves - running
        if operation.kind in ADDITIONS and len(own) == 1 == len(leaves):
            (leaf,) = own
            if size(graph.shapes[graph.variables[leaf]]) == units:
                return leaf
    return None
