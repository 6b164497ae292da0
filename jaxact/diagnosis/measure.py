"""What is measured in every layer of a foreign network: unit health, gain of the gradient, gradients of a loss.

Functions of a `Subject`, the traced network; health and gradients are those of `jaxact.health` and
`jaxact.propagation`.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int

from jaxact import health, propagation
from jaxact.diagnosis.graph import Graph, run, run_all, size
from jaxact.diagnosis.layers import Layer
from jaxact.propagation import Network, Nonlinearity

REACH, POINTS, GRID_EXAMPLES = 8.0, 161, 4
"""φ' is searched for its largest value on this many points of [−8, 8], where sigmoid and tanh are flat at both ends."""
GAIN_EXAMPLES, PROBES = 16, 8
JACOBIAN_EXAMPLES, LARGEST_JACOBIAN = 8, 2**24
OUTPUT = "output of the network"


class Subject(NamedTuple):
    """A network under diagnosis.

    Attributes:
        graph: its trace for one example.
        layers: what was found in it.
        hints: activations that the caller named, by layer.
    """

    graph: Graph
    layers: tuple[Layer, ...]
    hints: dict[str, Nonlinearity]


class Slopes(NamedTuple):
    """What is known of the slope of one layer's activation.

    Attributes:
        steepest: sup |φ'|, the catalogue's for a hint, otherwise the largest on the grid; 1 without an activation.
        saturates: φ' is below 5 % of it at both ends of the grid but not at ±½: sigmoid and tanh, not ReLU, whose flat
            side is the rule and is counted by dead units.
        growing: φ' still grows at an end of the grid, so nothing is small in comparison: no saturation is counted.
    """

    steepest: Float[Array, ""]
    saturates: Bool[Array, ""]
    growing: Bool[Array, ""]


class Gains(NamedTuple):
    """Gradient by every pre-activation, relative to that by the last one.

    Attributes:
        gain: √(J^l/J^L) with J^l = E ‖∂output/∂h^l‖²_F, the mean over examples.
        error: its standard error from the random probes.
    """

    gain: Float[Array, " layers"]
    error: Float[Array, " layers"]


def network_of(subject: Subject, leaves: list[Array]) -> Network:
    """The network of one example, as `jaxact.propagation` takes it; pre-activations keep a leading batch axis of 1."""
    slots = {layer.name: layer.slot for layer in subject.layers}

    def network(x: Any, perturbations: Mapping[str, Array]) -> tuple[Array, dict[str, Array]]:
        shifts = {slots[name]: shift for name, shift in perturbations.items()}
        values = run_all(subject.graph, leaves, _alone(x), shifts)
        return values[subject.graph.output][0], {name: values[slot] for name, slot in slots.items()}

    return network


def _alone(x: Any) -> Any:
    """One example as a batch."""
    return jax.tree.map(lambda leaf: leaf[None], x)


def _first(images: Any, examples: int) -> Any:
    return jax.tree.map(lambda leaf: leaf[:examples], images)


def _value_and_slope(subject: Subject, layer: Layer, values: dict[int, Any], h: Array) -> tuple[Array, Array]:
    """φ and φ' at h, all else as in `values`; where φ has several results, the sums of their absolute values."""
    if layer.name in subject.hints:
        return subject.hints[layer.name].value_and_slope(h)
    if layer.activation in ("linear", "?"):
        return h, jnp.ones_like(h)

    def results(h: Array) -> list[Array]:
        local = values | {layer.slot: h}
        run(layer.steps, local, {})
        return [local[slot].reshape(h.shape) for slot in layer.ends]

    value, slope = jax.jvp(results, (h,), (jnp.ones_like(h),))  # elementwise, so the Jacobian is diagonal
    if len(value) == 1:
        return value[0], slope[0]
    return sum(map(jnp.abs, value), jnp.zeros_like(h)), sum(map(jnp.abs, slope), jnp.zeros_like(h))


def slopes(subject: Subject, leaves: list[Array], images: Any) -> dict[str, Slopes]:
    """Search φ' of every layer on the grid, at some examples (a residual shifts it)."""
    grid, share = jnp.linspace(-REACH, REACH, POINTS), health.SATURATION_SHARE
    middle, half, quarter = POINTS // 2, round(0.5 / (2 * REACH / (POINTS - 1))), POINTS // 4

    def of_example(x: Any) -> dict[str, Array]:
        values = run_all(subject.graph, leaves, _alone(x), {})

        def at(point: Array) -> dict[str, Array]:
            def largest(layer: Layer) -> Array:
                h = values[layer.slot]
                return jnp.abs(_value_and_slope(subject, layer, values, jnp.full_like(h, point))[1]).max()

            return {layer.name: largest(layer) for layer in subject.layers}

        return jax.lax.map(at, grid)

    profiles = jax.tree.map(lambda rows: rows.max(0), jax.lax.map(of_example, _first(images, GRID_EXAMPLES)))

    def summary(name: str, profile: Array) -> Slopes:
        steepest = jnp.asarray(subject.hints[name].steepest if name in subject.hints else profile.max())
        flat = profile < share * steepest
        saturates = flat[0] & flat[-1] & ~flat[middle - half] & ~flat[middle + half]
        inner = profile[quarter : POINTS - quarter].max()
        return Slopes(steepest, saturates, jnp.maximum(profile[0], profile[-1]) > 1.1 * inner)

    return {name: summary(name, profile) for name, profile in profiles.items()}


def unit_health(
    subject: Subject,
    leaves: list[Array],
    images: Any,
    known: dict[str, Slopes],
    chunk: int,
) -> dict[str, health.LayerHealth]:
    """Dead, nearly dead and saturated units of every layer.

    Where the slope of an activation is not a number per unit ("?"), that of a random combination of the outputs by the
    pre-activation stands for it: a unit is dead if no gradient reaches it for any example.
    """
    mixing = [layer.name for layer in subject.layers if layer.activation == "?" and layer.name not in subject.hints]
    network = network_of(subject, leaves)

    def of_example(x: Any) -> dict[str, tuple[Array, Array, Array]]:
        values = run_all(subject.graph, leaves, _alone(x), {})
        states = {
            layer.name: (values[layer.slot], *_value_and_slope(subject, layer, values, values[layer.slot]))
            for layer in subject.layers
        }
        if mixing:
            zeros = {name: jnp.zeros_like(states[name][0]) for name in mixing}
            output, pull = jax.vjp(lambda shift: network(x, shift)[0], zeros)
            (reached,) = pull(jax.random.normal(jax.random.key(0), output.shape, output.dtype))
            states |= {name: (*states[name][:2], reached[name]) for name in mixing}
        return {name: (h, value, relative(name, slope)) for name, (h, value, slope) in states.items()}

    def relative(name: str, slope: Array) -> Array:
        uncounted = known[name].growing | (name in mixing)
        return jnp.where(uncounted, (slope != 0).astype(slope.dtype), slope / known[name].steepest.astype(slope.dtype))

    # Layers with as many cases are counted side by side: compiling the counts of each would take most of the time.
    groups: dict[int, list[Layer]] = {}
    for layer in subject.layers:
        shape = subject.graph.shapes[layer.slot]
        groups.setdefault(size(shape[:-1]), []).append(layer)

    def of_chunk(rows: Any) -> list[health.UnitCounts]:
        states = jax.vmap(of_example)(rows)

        def count(group: list[Layer]) -> health.UnitCounts:
            parts = [[part.reshape(-1, part.shape[-1]) for part in states[layer.name]] for layer in group]
            h, value, slope = (jnp.concatenate(part, axis=1) for part in zip(*parts, strict=True))
            return health.count_states(h, value, slope, health.SATURATION_SHARE)

        return [count(group) for group in groups.values()]

    counts = propagation.sum_over_chunks(of_chunk, images, chunk)
    split = {}
    for group, count in zip(groups.values(), counts, strict=True):
        start = 0
        for layer in group:
            own = slice(start, start := start + subject.graph.shapes[layer.slot][-1])
            split[layer.name] = health.UnitCounts(count.cases, *(part[own] for part in count[1:]))
    return {name: health.layer_health(count) for name, count in split.items()}


def gains(subject: Subject, leaves: list[Array], images: Any) -> Gains:
    """How the gradient of the output grows or shrinks on its way back, by Hutchinson's estimator."""
    network, names = network_of(subject, leaves), [layer.name for layer in subject.layers]

    def output_only(x: Any, shifts: Mapping[str, Array]) -> tuple[Array, dict[str, Array]]:
        # All other layers are constants here, so that only the last row of the estimator's matrix costs anything.
        inner = {name: shift for name, shift in shifts.items() if name != OUTPUT}
        output, hidden = network(x, inner)
        return output, {name: jnp.zeros_like(h) for name, h in hidden.items()} | {OUTPUT: output}

    def of_example(x: Any, key: Array) -> propagation.Estimate:
        # The estimator differentiates by the shifts alone; its own x may only be a floating-point array.
        return propagation.hutchinson_apjn(lambda _, shifts: output_only(x, shifts), jnp.zeros(()), key, PROBES)

    images = _first(images, GAIN_EXAMPLES)
    examples = len(jax.tree.leaves(images)[0])
    keys = jax.random.split(jax.random.key(0, impl="unsafe_rbg"), examples)  # its signs compile in half the time
    rows = jax.vmap(of_example)(images, keys)
    mean = propagation.average(rows)
    squares, errors = mean.value[-1, : len(names)], mean.standard_error[-1, : len(names)]
    gain = jnp.sqrt(squares / squares[-1])
    return Gains(gain, gain * errors / (2 * jnp.where(squares > 0, squares, 1)))


def input_output(subject: Subject, leaves: list[Array], images: Any) -> propagation.Spectrum | None:
    """Spectra of ∂output/∂input at some examples; None where `without_jacobian` says why there are none."""
    if without_jacobian(subject, images):
        return None
    network = network_of(subject, leaves)

    def of_example(x: Any) -> propagation.Spectrum:
        parts, structure = jax.tree.flatten(x)
        vector, restore = ravel_pytree([part for part in parts if _floating(part)])

        def output(vector: Array) -> Array:
            floating = iter(restore(vector))
            return network(structure.unflatten([next(floating) if _floating(part) else part for part in parts]), {})[0]

        matrix = propagation.jacobian(output, vector, chunk=64).reshape(-1, vector.size)
        return propagation.spectrum(matrix.astype(jnp.promote_types(matrix.dtype, jnp.float32)))  # none in half width

    return jax.lax.map(of_example, _first(images, JACOBIAN_EXAMPLES))


def without_jacobian(subject: Subject, images: Any) -> str:
    """Why there is no matrix ∂output/∂input, in words; "" where there is one."""
    inputs = [leaf for leaf in jax.tree.leaves(images) if _floating(leaf)]
    if not inputs:
        dtypes = " and ".join(sorted({str(leaf.dtype) for leaf in jax.tree.leaves(images)}))
        return f"inputs of {dtypes} have no derivative: d output/d input was left out"
    columns = sum(size(leaf.shape[1:]) for leaf in inputs)
    if columns * size(subject.graph.shapes[subject.graph.output]) > LARGEST_JACOBIAN:
        return f"d output/d input has more than {LARGEST_JACOBIAN} entries and was left out"
    return ""


def _floating(leaf: Array) -> bool:
    return jnp.issubdtype(leaf.dtype, jnp.floating)


def loss_gradients(
    subject: Subject,
    leaves: list[Array],
    images: Any,
    labels: Int[Array, " labels"],
    chunk: int,
) -> tuple[propagation.Gradients, list[Float[Array, ""]]]:
    """Gradients of the mean cross-entropy by pre-activations, and the norm of that by each layer's kernel."""
    kernels = sorted({layer.kernel for layer in subject.layers})

    def batched(some: list[Array]) -> Network:
        every = list(leaves)
        for index, leaf in zip(kernels, some, strict=True):
            every[index] = leaf
        return jax.vmap(network_of(subject, every))

    some = [leaves[index] for index in kernels]
    found = propagation.loss_gradients(batched, some, images, labels, chunk=chunk)
    norm = dict(zip(kernels, propagation.norms(found.params), strict=True))
    return found, [norm[layer.kernel] for layer in subject.layers]
