"""How much signal every layer passes on, and how much gradient comes back along the edges of the layer graph."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxact.diagnosis import axes
from jaxact.diagnosis.batches import alone, examples_of, first
from jaxact.diagnosis.edges import OUTPUT, Edges, Kernel
from jaxact.diagnosis.graph import run_all
from jaxact.diagnosis.measure import GAIN_EXAMPLES, SIGN_VECTORS, Subject


class Flow(NamedTuple):
    """What is measured of the signal and the gradient.

    Attributes:
        norms: ‖vᵀ ∂output/∂h^l‖ for random signs v; its mean square is ‖∂output/∂h^l‖²_F (Hutchinson's estimator).
        received: root mean square of what every layer's kernel multiplies; NaN without a kernel.
        spread: root mean square over the units of the standard deviation of h over the cases.
        centre: that of its mean over the cases.
        deviation: standard deviation of the kernel's entries; NaN without a kernel.
        size: their root mean square.
        alike: share of the kernel's units whose weights are those of the first unit; NaN for a single unit.
    """

    norms: Float[Array, "examples vectors layers"]
    received: Float[Array, " layers"]
    spread: Float[Array, " layers"]
    centre: Float[Array, " layers"]
    deviation: Float[Array, " layers"]
    size: Float[Array, " layers"]
    alike: Float[Array, " layers"]


def flow(subject: Subject, leaves: list[Array], images: Any, kernels: tuple[Kernel | None, ...]) -> Flow:
    """Measure signal and gradient on up to 16 examples, the gradient with 8 vectors of random signs each."""
    graph, slots = subject.graph, [layer.slot for layer in subject.layers]
    nothing = jnp.asarray(jnp.nan, jnp.float32)

    def of_example(x: Any, key: Array) -> tuple[Array, list[Array], list[Array]]:
        values = run_all(graph, leaves, alone(x), {})

        def output(shifts: list[Array]) -> Array:
            return run_all(graph, leaves, alone(x), dict(zip(slots, shifts, strict=True)))[graph.output]

        value, pull = jax.vjp(output, [jnp.zeros_like(values[slot]) for slot in slots])
        signs = jax.random.rademacher(key, (SIGN_VECTORS, *value.shape), value.dtype)
        norms = jax.vmap(lambda sign: jnp.stack([_norm(part) for part in pull(sign)[0]]))(signs)
        received = [nothing if kernel is None else _rms(values[kernel.received]) for kernel in kernels]
        return norms, received, [values[slot].astype(jnp.float32) for slot in slots]

    images = first(images, GAIN_EXAMPLES)
    keys = jax.random.split(jax.random.key(0, impl="unsafe_rbg"), examples_of(images))
    norms, received, hidden = jax.vmap(of_example)(images, keys)
    ours = [tuple(axis + 1 for axis in layer.axes) for layer in subject.layers]  # behind that of the examples
    cases = [axes.by_unit(h, own) for h, own in zip(hidden, ours, strict=True)]
    means = [rows.mean(0, keepdims=True) for rows in cases]
    spread = [_rms(rows - mean) for rows, mean in zip(cases, means, strict=True)]
    values = run_all(graph, leaves, first(images, 1), {})
    matrices = [None if kernel is None else _matrix(values[kernel.slot], kernel) for kernel in kernels]

    def of_kernels(statistic: Callable[[Array], Array]) -> Array:
        return jnp.stack([nothing if matrix is None else statistic(matrix) for matrix in matrices])

    return Flow(
        norms,
        jnp.stack([_rms(part) for part in received]),
        jnp.stack(spread),
        jnp.stack([_rms(mean) for mean in means]),
        of_kernels(jnp.std),
        of_kernels(_rms),
        of_kernels(_alike),
    )


class Transport(NamedTuple):
    """How the gradient changes on its way back, by layer.

    Attributes:
        gain: its norm by a pre-activation over that by the layers before the output, together.
        error: standard error of that from the random signs.
        step: its norm over that by the layer's successors, together; NaN before the output.
    """

    gain: list[float]
    error: list[float]
    step: list[float]


def transport(norms: Float[np.ndarray, "examples vectors layers"], edges: Edges) -> Transport:
    """Compare the gradients along the edges of the layer graph, in float64, where no square becomes 0."""
    samples = np.asarray(norms, np.float64) ** 2
    squares = samples.mean((0, 1))
    errors = np.sqrt((samples.var(1, ddof=1) / samples.shape[1]).sum(0)) / len(samples)
    reference = [squares[list(edges.sinks())].sum()] * len(squares)
    after = [sorted(edges.successors[layer]) for layer in range(len(squares))]
    following = [float("nan") if OUTPUT in nodes else squares[nodes].sum() for nodes in after]
    with np.errstate(divide="ignore", invalid="ignore"):
        gain, step = np.sqrt(squares / reference), np.sqrt(squares / following)
        error = np.where(squares > 0, gain * errors / (2 * squares), 0.0)
    return Transport(gain.tolist(), error.tolist(), step.tolist())


def _norm(array: Array) -> Array:
    """The norm, through the largest entry: the squares of a gradient of 1e-20 are 0 in float32."""
    largest = jnp.max(jnp.abs(array)).astype(jnp.float32)
    scaled = array.astype(jnp.float32) / jnp.where(largest > 0, largest, 1)
    return largest * jnp.sqrt(jnp.sum(scaled**2))


def _rms(array: Array) -> Array:
    return _norm(array) / array.size**0.5


def _alike(matrix: Array) -> Array:
    """A single unit, as of each member of a vmapped ensemble, is like no other."""
    if matrix.shape[1] < 2:
        return jnp.asarray(jnp.nan, matrix.dtype)
    return jnp.all(matrix == matrix[:, :1], axis=0).mean()


def _matrix(kernel: Array, form: Kernel) -> Array:
    """A kernel as [weights of a unit, units]."""
    last = range(kernel.ndim - len(form.outer), kernel.ndim)
    return jnp.moveaxis(kernel, form.outer, tuple(last)).reshape(-1, form.fan_out).astype(jnp.float32)
