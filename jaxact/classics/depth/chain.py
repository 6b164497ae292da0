"""The textbook chain: one unit per layer, whose gradient is a product of r factors w φ'(h)."""

import math
from typing import SupportsFloat

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from jaxact.classics.depth.stack import Phis, sample_layer
from jaxact.theory import Init

CHAIN_LAWS: dict[str, str | Init] = {
    "unit": "orthogonal",  # a 1 x 1 orthogonal matrix is ±1
    "unit_mean": Init(math.pi / 2, 0.0),
    "torch_default": "torch_default",
    "lecun_normal": "lecun_normal",
}
"""Laws of the one weight: |w| = 1; N(0, π/2), so that E|w| = 1; U(−1, 1) with such a bias; N(0, 1) cut at 2.27 sd."""


def draw_chain(
    key: Key[Array, ""], init: str | Init, depth: int
) -> tuple[Float[Array, " depth"], Float[Array, " depth"]]:
    """Draw the weights and biases of a chain.

    Args:
        key: typed PRNG key.
        init: as in `sample_layer`, with one input and one unit.
        depth: number of units, r.
    """
    keys = jax.vmap(lambda layer: jax.random.fold_in(key, layer))(jnp.arange(depth))
    weights, biases = jax.lax.map(lambda k: sample_layer(k, init, 1, 1), keys)
    return weights.reshape(depth), biases.reshape(depth)


def chain_log_gradients(
    weights: Float[Array, " depth"],
    biases: Float[Array, " depth"],
    phis: Phis,
    which: Int[Array, ""] | int,
    x: Float[Array, ""],
) -> Float[Array, " depth"]:
    """Compute ln |∂x^r/∂x^0| = Σ ln |w_l φ'(h_l)| for every r, with x^l = φ(w_l x^(l−1) + b_l).

    Args:
        weights: w_1 … w_r.
        biases: b_1 … b_r.
        phis: the activations.
        which: index of the one to use.
        x: the input x^0.

    Returns:
        The logarithms; −inf where the gradient is exactly 0.
    """

    def unit(carry: tuple[Array, Array], parameters: tuple[Array, Array]) -> tuple[tuple[Array, Array], Array]:
        value, log = carry
        weight, bias = parameters
        h = weight * value + bias
        log = log + jnp.log(jnp.abs(weight)) + jnp.log(jnp.abs(phis.slope(h, which)))
        return (phis(h, which), log), log

    return jax.lax.scan(unit, (x, jnp.zeros_like(x)), (weights, biases))[1]


def lipschitz_bound(slope: SupportsFloat, depth: int) -> float:
    """Compute (sup |φ'|)^r, the largest |∂x^r/∂x^0| of a chain with every |w| ≤ 1 (0.25^r for the sigmoid).

    With random weights independent of each other and of the input, E|w| = 1 gives E|∂x^r/∂x^0| ≤ the bound, while
    single chains may exceed it.

    Args:
        slope: sup |φ'|.
        depth: r ≥ 0.

    Raises:
        ValueError: a negative depth or slope.
    """
    number = float(slope)
    if depth < 0 or not number >= 0:
        raise ValueError(f"slope {number} and depth {depth} must both be at least 0: give sup |phi'| and the length")
    return number**depth
