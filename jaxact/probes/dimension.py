"""In how many directions the outputs of a layer vary."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxact.probes.chunks import sum_over_chunks


def participation_ratio(covariance: Float[Array, "units units"]) -> Float[Array, ""]:
    """(Σ λ)²/Σ λ² = (tr C)²/tr C² over the eigenvalues λ of a covariance matrix.

    Between 1 (one direction) and the number of units (all alike); 0 where nothing varies.

    Source: Gao et al. 2017, "A theory of multineuronal dimensionality, dynamics and measurement".
    """
    largest = jnp.abs(covariance).max()
    scaled = covariance / jnp.where(largest == 0, 1, largest)  # squares of tiny variances would underflow
    trace, squares = jnp.trace(scaled), jnp.sum(scaled**2)
    return jnp.where(largest == 0, 0, trace**2 / jnp.where(largest == 0, 1, squares))


def covariances(features: Callable[[Array], Any], images: Float[Array, "examples ..."], *, chunk: int = 1000) -> Any:
    """Covariance matrices Σ (x − x̄)(x − x̄)ᵀ/N over a set, in two passes of chunks.

    Args:
        features: a batch of examples → pytree of [batch, ...] arrays (see `layer_outputs`), each flattened per example.
        images: the set.
        chunk: examples at a time.

    Returns:
        One [units, units] matrix per leaf.

    Raises:
        ValueError: no examples.
    """

    def flat(rows: Array) -> Any:
        return jax.tree.map(lambda leaf: leaf.reshape(len(leaf), -1), features(rows))

    examples = len(images)
    mean = jax.tree.map(
        lambda total: total / examples,
        sum_over_chunks(lambda rows: jax.tree.map(lambda leaf: leaf.sum(0), flat(rows)), images, chunk),
    )

    def scatter(rows: Array) -> Any:
        centred = jax.tree.map(lambda leaf, middle: leaf - middle[None, :], flat(rows), mean)
        return jax.tree.map(lambda leaf: leaf.T @ leaf, centred)

    return jax.tree.map(lambda total: total / examples, sum_over_chunks(scatter, images, chunk))


def intrinsic_dimensions(
    features: Callable[[Array], Any], images: Float[Array, "examples ..."], *, chunk: int = 1000
) -> Any:
    """The participation ratio of the covariance of every leaf of `features`; see `covariances` for the arguments."""
    return jax.tree.map(participation_ratio, covariances(features, images, chunk=chunk))


def two_nn(x: Float[Array, "examples features"]) -> Float[Array, ""]:
    """Intrinsic dimension from the ratios μ = r₂/r₁ of the distances to the two nearest neighbours.

    μ is Pareto distributed with the dimension d as exponent where the density is constant on that scale; this is its
    unbiased maximum-likelihood estimate d = (n − 1)/Σ ln μ, with relative standard error about 1/√n. Points with a
    duplicate (r₁ = 0) are left out; 0 where fewer than 2 points remain. Distances cost examples² · features
    operations: give it a sample of a few thousand.

    Raises:
        ValueError: fewer than 3 examples.

    Source: Facco, d'Errico, Rodriguez & Laio 2017, "Estimating the intrinsic dimension of datasets by a minimal
    neighborhood information".
    """
    examples = len(x)
    if examples < 3:
        raise ValueError(f"two nearest neighbours need at least 3 examples, got {examples}")

    def nearest(index: Array) -> Array:
        # Differences, not x·y products: these lose the small distances to rounding.
        squares = jnp.sum((x - x[index][None, :]) ** 2, axis=1).at[index].set(jnp.inf)
        return -jax.lax.top_k(-squares, 2)[0]

    first, second = jax.lax.map(nearest, jnp.arange(examples)).T
    usable = first > 0
    logs = jnp.where(usable, 0.5 * jnp.log(second / jnp.where(usable, first, 1)), 0)
    count, total = usable.sum(), logs.sum()
    return jnp.where(count > 1, (count - 1) / jnp.where(count > 1, total, 1), 0)
