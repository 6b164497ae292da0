"""Averaged partial Jacobian norms, J^{L,l} = (1/n_L) ‖∂h^L/∂h^l‖_F², for one example and all pairs of layers.

Entry [L, l] of every matrix here, rows and columns in the network's own order: 1 on the diagonal, 0 above it, as in
`meanfield.StackPrediction.apjn`. Average over examples and seeds.

Source: Doshi, He & Gromov 2023, "Critical initialization of wide and deep neural networks using partial Jacobians".
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from jaxact.probes.chain import Chain, backward_products
from jaxact.probes.jacobians import partial_jacobian
from jaxact.probes.network import Network, layer_shapes, no_perturbation, wide


class Estimate(NamedTuple):
    """A random estimate and the standard error of its randomness alone (examples and weights are given)."""

    value: Float[Array, "*batch layers layers"]
    standard_error: Float[Array, "*batch layers layers"]


def apjn(network: Network, x: Float[Array, "..."], *, chunk: int | None = None) -> Float[Array, "layers layers"]:
    """The exact matrix of any network, from its Jacobians; for an `MLP`, `chain_apjn` is cheaper.

    Args:
        network: (x, perturbations) → (logits, pre-activations), layers in the order in which they are computed.
        x: one example.
        chunk: rows or columns of a Jacobian computed at a time (see `jacobian`).
    """
    shapes = layer_shapes(network, x)
    names = list(shapes)

    def entry(later: int, earlier: int) -> Array:
        part = partial_jacobian(network, x, names[later], names[earlier], chunk=chunk)
        return jnp.sum(part**2) / part.shape[0]

    rows = [[entry(later, earlier) for earlier in range(later)] for later in range(len(names))]
    return _triangle(rows, shapes[names[-1]].dtype)


def chain_apjn(chain: Chain) -> Float[Array, "layers layers"]:
    """The exact matrix of an `MLP` in closed form."""
    rows = []
    for later in range(1, len(chain.kernels) + 1):
        products = backward_products(chain, later)
        rows.append([jnp.sum(product**2) / product.shape[0] for product in products][::-1])
    return _triangle(rows, chain.slopes[-1].dtype)


def _triangle(rows: list[list[Array]], dtype: Any) -> Array:
    """A square matrix from its entries below the diagonal."""
    one, zero = jnp.ones((), dtype), jnp.zeros((), dtype)
    return jnp.stack([jnp.stack([*row, one, *[zero] * (len(rows) - len(row) - 1)]) for row in rows])


def hutchinson_apjn(network: Network, x: Float[Array, "..."], key: Key[Array, ""], probes: int = 32) -> Estimate:
    """An unbiased estimate of the matrix without any Jacobian: E_v ‖vᵀ ∂h^L/∂h^l‖² = ‖∂h^L/∂h^l‖_F².

    v has independent entries ±1, and one backward pass from layer L serves every l.

    Args:
        network: (x, perturbations) → (logits, pre-activations).
        x: one example.
        key: a key of this example's own.
        probes: number of random vectors v, at least 2; the standard error falls as 1/√probes.

    Returns:
        The mean over the probes and its standard error.

    Raises:
        ValueError: fewer than 2 probes.

    Source: Hutchinson 1990, "A stochastic estimator of the trace of the influence matrix".
    """
    if probes < 2:
        raise ValueError(f"{probes} probe has no standard error: use at least 2 probes")
    zeros = no_perturbation(network, x)
    names = list(zeros)

    def probe(key: Key[Array, ""]) -> Array:
        _, pull = jax.vjp(lambda shift: network(x, shift)[1], zeros)

        def row(later: int) -> Array:
            like = zeros[names[later]]
            v = jax.random.rademacher(jax.random.fold_in(key, later), like.shape, like.dtype)
            gradients = pull(zeros | {names[later]: v})[0]
            return jnp.stack([jnp.sum(wide(gradients[name]) ** 2) / like.size for name in names])

        return jnp.stack([row(later) for later in range(len(names))])

    samples = jax.vmap(probe)(jax.random.split(key, probes))
    return Estimate(samples.mean(0), samples.std(0, ddof=1) / probes**0.5)


def average(estimates: Estimate) -> Estimate:
    """The mean of independent estimates (one per example, leading axis) with its standard error √(Σ s²)/N."""
    count = len(estimates.value)
    return Estimate(estimates.value.mean(0), jnp.sqrt((estimates.standard_error**2).sum(0)) / count)
