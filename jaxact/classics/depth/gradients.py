"""Gradients by layer as logarithms, so that neither 1e-60 nor 1e60 leaves the range of float32; layers' health."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxact import metrics
from jaxact.classics.depth.stack import Phis, Stack, forward

SATURATED = 0.05
"""A unit is saturated for an input where |φ'| is below this share of sup |φ'|."""


class Profile(NamedTuple):
    """The state of a stack on a set of examples, layer by layer.

    Attributes:
        log_gradient: ln of the root mean square over examples of ‖∂loss/∂h^l‖; −inf where all are 0.
        log_kernel_gradient: the same of one example's ‖∂loss/∂W^l‖_F = ‖∂loss/∂h^l‖ ‖x^(l−1)‖.
        saturated: share of (example, unit) with |φ'(h)| < `SATURATED` · sup |φ'|.
        zero: share of (example, unit) with φ(h) exactly 0.
        dead: share of units with φ'(h) exactly 0 for every example.
    """

    log_gradient: Float[Array, "*ensemble depth"]
    log_kernel_gradient: Float[Array, "*ensemble depth"]
    saturated: Float[Array, "*ensemble depth"]
    zero: Float[Array, "*ensemble depth"]
    dead: Float[Array, "*ensemble depth"]


def pull_back(
    kernels: Float[Array, "rest units units"],
    slopes: Float[Array, "depth units"],
    starts: Float[Array, "rows units"],
    at: Int[Array, " rows"],
) -> Float[Array, "depth rows"]:
    """Propagate cotangents backwards, δ^(l−1) = φ'(h^(l−1)) ⊙ W^l δ^l, and return ln ‖δ^l‖ of each.

    Every cotangent is kept at length 1 beside its logarithm.

    Args:
        kernels: W^2 … W^L, each [inputs, units].
        slopes: φ'(h^1) … φ'(h^L).
        starts: cotangents of pre-activations.
        at: the layer (from 0) at which each of them starts.

    Returns:
        ln of the norms; −inf where the cotangent is 0, and in the layers above its start.
    """

    def normalise(delta: Array, logs: Array) -> tuple[Array, Array]:
        # Dividing by the largest entry first keeps the squares within range.
        peak = jnp.abs(delta).max(axis=1)
        delta = delta / jnp.where(peak > 0, peak, 1)[:, None]
        norm = jnp.sqrt(jnp.square(delta).sum(axis=1))
        return delta / jnp.where(norm > 0, norm, 1)[:, None], logs + jnp.log(peak) + jnp.log(norm)

    def enter(delta: Array, logs: Array, layer: Array) -> tuple[Array, Array]:
        here = at == layer
        return jnp.where(here[:, None], unit, delta), jnp.where(here, unit_log, logs)

    def step(carry: tuple[Array, Array], layer_below: tuple[Array, Array, Array]) -> tuple[tuple[Array, Array], Array]:
        layer, kernel, slope = layer_below
        delta, logs = normalise((carry[0] @ kernel.T) * slope[None, :], carry[1])
        delta, logs = enter(delta, logs, layer)
        return (delta, logs), logs

    unit, unit_log = normalise(starts, jnp.zeros(len(starts), starts.dtype))
    last = len(slopes) - 1
    empty = (jnp.zeros_like(unit), jnp.full_like(unit_log, -jnp.inf))
    carry = enter(*empty, jnp.asarray(last))
    _, below = jax.lax.scan(step, carry, (jnp.arange(last), kernels, slopes[:-1]), reverse=True)
    return jnp.concatenate([below, carry[1][None]])


def log_apjn(
    stack: Stack,
    phis: Phis,
    which: Int[Array, ""] | int,
    x: Float[Array, " features"],
    probe: Float[Array, " units"],
) -> Float[Array, "depth depth"]:
    """Estimate ln of the partial Jacobian norms J^{L,l} = ‖∂h^L/∂h^l‖_F²/n of every pair of layers from one probe.

    ‖vᵀ ∂h^L/∂h^l‖²/n is unbiased for v ~ N(0, 1): average the exponentials over probes, inputs and networks.

    Args:
        stack: the parameters.
        phis: the activations.
        which: index of the one to use.
        x: input.
        probe: v, the same for every L.

    Returns:
        The logarithms at [L, l]; −inf for L < l.

    Source: Doshi, He & Gromov 2023, "Critical initialization of wide and deep neural networks" (arXiv:2111.12143).
    """
    _, h = forward(stack, phis, which, x)
    depth, units = h.shape
    starts = jnp.broadcast_to(probe[None], (depth, units))
    logs = pull_back(stack.kernels, phis.slope(h, which), starts, jnp.arange(depth))
    return 2 * logs.T - jnp.log(jnp.asarray(units, logs.dtype))


def log_loss_gradients(
    stack: Stack, phis: Phis, which: Int[Array, ""] | int, x: Float[Array, " features"], label: Int[Array, ""]
) -> tuple[Float[Array, " depth"], Float[Array, "depth units"]]:
    """Compute ln ‖∂loss/∂h^l‖ of one example's cross-entropy, and the pre-activations.

    Args:
        stack: the parameters.
        phis: the activations.
        which: index of the one to use.
        x: input.
        label: class.

    Returns:
        The logarithms per layer, −inf for an exact 0, and h^1 … h^L.
    """
    logits, h = forward(stack, phis, which, x)
    slopes = phis.slope(h, which)
    start = slopes[-1] * (stack.head_kernel @ jax.grad(metrics.cross_entropy)(logits, label))
    last = jnp.asarray([len(slopes) - 1])
    return pull_back(stack.kernels, slopes, start[None], last)[:, 0], h


def profile(
    stack: Stack,
    phis: Phis,
    which: Int[Array, ""] | int,
    images: Float[Array, "n features"],
    labels: Int[Array, " n"],
) -> Profile:
    """Measure gradients, saturation, sparsity and dead units of every layer on a set of examples.

    Args:
        stack: the parameters.
        phis: the activations.
        which: index of the one to use.
        images: inputs.
        labels: classes.
    """
    logs, h = jax.vmap(lambda x, label: log_loss_gradients(stack, phis, which, x, label))(images, labels)
    values, slopes = phis(h, which), jnp.abs(phis.slope(h, which))
    inputs = jnp.concatenate(
        [jnp.linalg.norm(images, axis=1)[:, None], jnp.linalg.norm(values[:, :-1], axis=2)], axis=1
    )
    limit = SATURATED * phis.largest_slope(which)

    def root_mean_square(log_norms: Array) -> Array:
        return (jax.nn.logsumexp(2 * log_norms, axis=0) - jnp.log(jnp.asarray(len(images), logs.dtype))) / 2

    return Profile(
        root_mean_square(logs),
        root_mean_square(logs + jnp.log(inputs)),
        (slopes < limit).mean((0, 2)),
        (values == 0).mean((0, 2)),
        (slopes == 0).all(0).mean(1),
    )
