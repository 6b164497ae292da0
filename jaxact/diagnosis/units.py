"""The units of a foreign network: dead, nearly dead, saturated, and gradients that are NaN or infinite.

Functions of a `Subject`, the traced network; the counts are those of `jaxact.probes`.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxact import numerics, probes
from jaxact.diagnosis import axes
from jaxact.diagnosis.batches import alone, examples_of, first
from jaxact.diagnosis.graph import run, run_all, size
from jaxact.diagnosis.layers import Layer
from jaxact.diagnosis.measure import Subject, network_of, with_leaves

REACH, POINTS, GRID_EXAMPLES = 8.0, 161, 4
"""φ' is searched for its largest value on this many points of [−8, 8], where sigmoid and tanh are flat at both ends,"""
FAR, FAR_POINTS, GROWTH = 32.0, 48, 0.8
"""and on this many more on either side up to ±32, for what a program shifts, as in silu(h − 20)."""
DEAD_SLOPE = 1e-3
"""A unit is dead where |φ'| is below this share of its supremum in every case: ReLU off, and as well gelu below −3.8,
silu below −8.9, elu, selu and softplus below −6.9. Three orders of magnitude less to learn from than its neighbours."""


class Slopes(NamedTuple):
    """What is known of the slope of one layer's activation.

    Attributes:
        steepest: sup |φ'|, the catalogue's for a hint, otherwise the largest on the grid, or where that is 0 the
            largest at the examples; 1 without an activation.
        saturates: φ' is below 5 % of it at ±8 but not at ±½: sigmoid and tanh, not ReLU, whose flat
            side is the rule and is counted by dead units.
        growing: φ' still grows at the far end of the grid or is infinite on it, so nothing is small in comparison: no
            saturation is counted, and a unit is dead only where φ' is exactly 0.
    """

    steepest: Float[Array, ""]
    saturates: Bool[Array, ""]
    growing: Bool[Array, ""]


class Health(NamedTuple):
    """The state of one layer over all examples.

    Attributes:
        state: its units.
        broken_gradient: share of the gradients by its pre-activations that are NaN or infinite though these are finite;
            where there are none, the share in the gradient by its kernel. Of a random combination of the outputs.
    """

    state: probes.LayerHealth
    broken_gradient: Float[Array, ""]


def value_and_slope(
    subject: Subject, layer: Layer, values: dict[int, Any], h: Array, cotangent: float = 1.0
) -> tuple[Array, Array]:
    """φ and φ' at h, all else as in `values`; where φ has several results, the sums of their absolute values.

    φ' is taken in reverse mode, as in training: 0 · inf behind a ReLU that is off is 0 there and NaN in forward mode.
    What comes back is `cotangent`, by which the slope is divided: a small one passes what clips gradients unchanged.
    """
    if layer.name in subject.hints:
        return subject.hints[layer.name].value_and_slope(h)
    if layer.activation in ("linear", "?"):
        return h, jnp.ones_like(h)

    def results(h: Array) -> list[Array]:
        local = values | {layer.slot: h}
        run(layer.steps, local, {})
        return [local[slot].reshape(h.shape) for slot in layer.ends if jnp.issubdtype(local[slot].dtype, jnp.inexact)]

    value, pull = jax.vjp(results, h)
    zeros = [jnp.zeros_like(part) for part in value]
    slope = [
        pull([*zeros[:end], jnp.full_like(part, cotangent), *zeros[end + 1 :]])[0] / cotangent
        for end, part in enumerate(value)
    ]
    if len(value) == 1:
        return value[0], slope[0]
    return sum(map(jnp.abs, value), jnp.zeros_like(h)), sum(map(jnp.abs, slope), jnp.zeros_like(h))


def slopes(subject: Subject, leaves: list[Array], images: Any) -> tuple[Slopes, ...]:
    """Search φ' of every layer on the grid, at some examples (a residual shifts it)."""
    near, far = jnp.linspace(-REACH, REACH, POINTS), jnp.linspace(REACH, FAR, FAR_POINTS + 1)[1:]
    grid, share = jnp.concatenate([near, far, -far]), probes.SATURATION_SHARE
    middle, half = POINTS // 2, round(0.5 / (2 * REACH / (POINTS - 1)))

    def of_example(x: Any) -> tuple[list[Array], list[Array]]:
        values = run_all(subject.graph, leaves, alone(x), {})

        def largest(layer: Layer, h: Array) -> Array:
            slope = probes.wide(jnp.abs(value_and_slope(subject, layer, values, h)[1]))
            return jnp.where(jnp.isnan(slope), 0, slope).max()

        def at(point: Array) -> list[Array]:
            shapes = [jnp.full_like(values[layer.slot], point) for layer in subject.layers]
            return [largest(layer, h) for layer, h in zip(subject.layers, shapes, strict=True)]

        return jax.lax.map(at, grid), [largest(layer, values[layer.slot]) for layer in subject.layers]

    profiles, seen = jax.tree.map(lambda rows: rows.max(0), jax.lax.map(of_example, first(images, GRID_EXAMPLES)))

    def summary(name: str, profile: Array, seen: Array) -> Slopes:
        known = jnp.where(profile.max() > 0, profile.max(), seen)
        steepest = jnp.asarray(subject.hints[name].steepest) if name in subject.hints else known
        flat = profile < share * steepest
        saturates = flat[0] & flat[POINTS - 1] & ~flat[middle - half] & ~flat[middle + half]
        inner = jnp.where(jnp.abs(grid) <= GROWTH * FAR, profile, 0).max()
        growing = (profile.max() > 1.1 * inner) | jnp.isinf(profile.max())
        return Slopes(steepest, saturates, growing)

    names = [layer.name for layer in subject.layers]
    return tuple(summary(*parts) for parts in zip(names, profiles, seen, strict=True))


def unit_health(
    subject: Subject,
    leaves: list[Array],
    images: Any,
    known: tuple[Slopes, ...],
    chunk: int,
) -> tuple[Health, ...]:
    """Dead, nearly dead and saturated units of every layer, and gradients that are NaN or infinite.

    Where the slope of an activation is not a number per unit ("?"), the gradient of a random combination of the outputs
    stands for it: a unit is dead if none reaches it for any example.
    """
    layers = subject.layers
    mixing = [layer.activation == "?" and layer.name not in subject.hints for layer in layers]

    def of_example(x: Any, reached: list[Array]) -> list[tuple[Array, Array, Array]]:
        values = run_all(subject.graph, leaves, alone(x), {})

        def state(index: int, layer: Layer) -> tuple[Array, Array, Array]:
            h = values[layer.slot]
            value, slope = value_and_slope(subject, layer, values, h)
            slope = reached[index] if mixing[index] else slope
            part = _relative(known[index], slope, counted=not mixing[index])
            return axes.by_unit(h, layer.axes), axes.by_unit(value, layer.axes), axes.by_unit(part, layer.axes)

        return [state(index, layer) for index, layer in enumerate(layers)]

    # Layers with as many cases are counted side by side: compiling the counts of each would take most of the time.
    groups: dict[int, list[int]] = {}
    for index, layer in enumerate(layers):
        groups.setdefault(size(subject.graph.shapes[layer.slot]) // _units(subject, layer), []).append(index)

    def of_chunk(rows: Any) -> tuple[list[probes.UnitCounts], list[Array]]:
        reached, broken = _random_gradients(subject, leaves, rows)
        states = jax.vmap(of_example)(rows, reached)

        def count(group: list[int]) -> probes.UnitCounts:
            parts = [[part.reshape(-1, part.shape[-1]) for part in states[index]] for index in group]
            h, value, slope = (jnp.concatenate(part, axis=1) for part in zip(*parts, strict=True))
            return probes.count_states(h, value, slope, probes.SATURATION_SHARE)

        return [count(group) for group in groups.values()], broken

    counts, broken = probes.sum_over_chunks(of_chunk, images, chunk)
    split: dict[int, probes.UnitCounts] = {}
    for group, count in zip(groups.values(), counts, strict=True):
        start = 0
        for index in group:
            own = slice(start, start := start + _units(subject, layers[index]))
            split[index] = probes.UnitCounts(count.cases, *(part[own] for part in count[1:]))
    return tuple(
        Health(probes.layer_health(split[index]), broken[index] / examples_of(images)) for index in range(len(layers))
    )


def _units(subject: Subject, layer: Layer) -> int:
    return axes.units(layer.axes, subject.graph.shapes[layer.slot])


def _relative(known: Slopes, slope: Array, counted: bool) -> Array:
    """|φ'| relative to its supremum, 0 where it is too small to learn from; without a supremum 1 where it is not 0."""
    slope, steepest = probes.wide(jnp.abs(slope)), probes.wide(known.steepest)
    alive = (slope != 0).astype(slope.dtype)
    share = jnp.where(steepest > 0, slope / jnp.where(steepest > 0, steepest, 1), alive)
    return jnp.where(known.growing | (not counted), alive, jnp.where(share < DEAD_SLOPE, 0, share))


def _random_gradients(subject: Subject, leaves: list[Array], rows: Any) -> tuple[list[Array], list[Array]]:
    """Gradients of a random combination of the outputs by every pre-activation, and how many are broken.

    Returns:
        The gradients, and per layer the number of examples that the share of broken entries amounts to.
    """
    layers, examples = subject.layers, examples_of(rows)
    kernels = sorted({layer.kernel for layer in layers})
    zeros = [jnp.zeros((examples, *values.shape), values.dtype) for values in _slot_values(subject, leaves, rows)]

    def outputs(some: list[Array], shifts: list[Array]) -> tuple[Array, list[Array]]:
        every = with_leaves(leaves, kernels, some)

        def one(x: Any, shift: list[Array]) -> tuple[Array, list[Array]]:
            slots = {layer.slot: part for layer, part in zip(layers, shift, strict=True)}
            values = run_all(subject.graph, every, alone(x), slots)
            return values[subject.graph.output][0], [values[layer.slot] for layer in layers]

        return jax.vmap(one)(rows, shifts)

    output, pull, hidden = jax.vjp(outputs, [leaves[index] for index in kernels], zeros, has_aux=True)
    weights = jax.random.normal(numerics.key(0), output.shape[1:], output.dtype)
    by_kernel, by_shift = pull(jnp.broadcast_to(weights, output.shape))
    of_kernel = dict(zip(kernels, by_kernel, strict=True))
    broken = []
    for layer, h, gradient in zip(layers, hidden, by_shift, strict=True):
        own = jnp.mean(~jnp.isfinite(of_kernel[layer.kernel]))
        here = jnp.mean(~jnp.isfinite(gradient) & jnp.isfinite(h))
        broken.append(examples * jnp.where(here > 0, here, own))
    return by_shift, broken


def _slot_values(subject: Subject, leaves: list[Array], rows: Any) -> list[jax.ShapeDtypeStruct]:
    """Shapes and types of all pre-activations of one example."""
    network = network_of(subject, leaves)
    shapes = jax.eval_shape(lambda x: network(x, {})[1], jax.tree.map(lambda leaf: leaf[0], rows))
    return [shapes[layer.name] for layer in subject.layers]
