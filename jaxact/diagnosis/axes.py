"""Along which axes of a layer's values its units lie: the columns of its kernel, the channels of its convolution.

All other axes (examples, positions) are cases. Axes of size 1 are never listed, so a layer of one unit has none.
"""

import math
from collections.abc import Collection

import jax.numpy as jnp
from jaxtyping import Array

from jaxact.diagnosis.graph import Operation, shape_of

Axes = tuple[int, ...]
Shape = tuple[int, ...]


def of_product(operation: Operation, given: Collection[int], shape: Shape) -> Axes:
    """Axes of the result of a convolution or matrix product that come from its parameter.

    Args:
        operation: the convolution or product.
        given: slots that hold parameters.
        shape: of the result.
    """
    numbers = operation.equation.params["dimension_numbers"]
    if operation.kind == "conv_general_dilated":
        return _wide((numbers.out_spec[1],), shape)
    (contracted, _), (together, _) = numbers
    left = len(shape_of(operation.equation.invars[0])) - len(contracted) - len(together)
    batch, first = len(together), len(together) + left
    own = range(batch, first) if operation.inputs[0] in given else range(first, len(shape))
    return _wide((*range(batch), *own), shape)


def after(operation: Operation, axes: Axes, before: Shape, shape: Shape) -> Axes:
    """Where the axes of an input are in the result of an operation that moves, pools or repeats entries."""
    parameters = operation.equation.params
    if operation.kind == "transpose":
        moved = [parameters["permutation"].index(axis) for axis in axes]
    elif operation.kind == "broadcast_in_dim":
        moved = [parameters["broadcast_dimensions"][axis] for axis in axes]
    elif operation.kind in ("reshape", "squeeze"):
        moved = [new for new in range(len(shape)) if any(_overlap(before, old, shape, new) for old in axes)]
    else:
        moved = list(axes) if len(before) == len(shape) else list(range(len(shape)))
    return _wide(tuple(sorted(moved)), shape)


def everywhere(shape: Shape) -> Axes:
    """All axes of an array."""
    return _wide(tuple(range(len(shape))), shape)


def units(axes: Axes, shape: Shape) -> int:
    """How many units there are."""
    return math.prod(shape[axis] for axis in axes)


def by_unit(values: Array, axes: Axes) -> Array:
    """The values of a layer as [cases, units]."""
    count = units(axes, values.shape)
    return jnp.moveaxis(values, axes, range(-len(axes), 0)).reshape(-1, count)


def _overlap(before: Shape, old: int, shape: Shape, new: int) -> bool:
    """Whether two axes of an array before and after a reshape index the same digits of a flat position."""
    low = max(math.prod(before[old + 1 :]), math.prod(shape[new + 1 :]))
    return low < min(math.prod(before[old:]), math.prod(shape[new:]))


def _wide(axes: Axes, shape: Shape) -> Axes:
    return tuple(axis for axis in axes if shape[axis] > 1)
