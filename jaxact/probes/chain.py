"""The Jacobians of an `MLP` in closed form, for one example: products of diag(φ'(h)) and kernels.

Much cheaper than automatic differentiation where layers are wide: no matrix larger than asked for is ever formed.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxact.models import MLP
from jaxact.probes.network import mlp_affine, mlp_nonlinearities


class Chain(NamedTuple):
    """All that the Jacobians of one example are made of, first layer first; layers are counted from 1.

    Attributes:
        kernels: W^l [inputs, units], batch norm folded in.
        slopes: φ_l'(h^l) [units].
    """

    kernels: tuple[Float[Array, "_ _"], ...]
    slopes: tuple[Float[Array, " _"], ...]


def mlp_chain(model: MLP, variables: Any, which: Int[Array, " layers *halves"], x: Float[Array, " features"]) -> Chain:
    """The kernels and slopes of an `MLP` in evaluation mode at one example.

    Batch norm uses the statistics in `variables`, as constants: see `full_batch_statistics`.
    """
    phis, kernels, slopes = mlp_nonlinearities(model, variables, which), [], []
    for (kernel, bias), phi in zip(mlp_affine(model, variables), phis.values(), strict=True):
        x, slope = phi.value_and_slope(x @ kernel + bias)
        kernels.append(kernel)
        slopes.append(slope)
    return Chain(tuple(kernels), tuple(slopes))


def layer_jacobian(chain: Chain, layer: int) -> Float[Array, "units inputs"]:
    """∂x^l/∂x^(l−1) = diag(φ'(h^l)) W^l, with x^l = φ_l(h^l) and x^0 the input.

    Raises:
        ValueError: a layer that does not exist.
    """
    _check(chain, layer)
    return chain.slopes[layer - 1][:, None] * chain.kernels[layer - 1].T


def layer_norms(chain: Chain) -> Float[Array, " layers"]:
    """‖∂x^l/∂x^(l−1)‖_F² of every layer, Σ_i φ'(h_i)² ‖W_i‖², without forming the matrices.

    Mean-field theory expects n_l σ_w² E[φ'²] (`meanfield.StackPrediction.jacobian`).
    """
    pairs = zip(chain.kernels, chain.slopes, strict=True)
    return jnp.stack([jnp.sum(slopes**2 * (kernel**2).sum(0)) for kernel, slopes in pairs])


def input_output(chain: Chain) -> Float[Array, "classes features"]:
    """∂logits/∂x = J^L ⋯ J^1, multiplied from the output, where the matrices are small."""
    product = layer_jacobian(chain, len(chain.kernels))
    for kernel, slopes in zip(chain.kernels[-2::-1], chain.slopes[-2::-1], strict=True):
        product = (product * slopes[None, :]) @ kernel.T
    return product


def between(chain: Chain, later: int, earlier: int) -> Float[Array, "later earlier"]:
    """∂h^later/∂h^earlier = W^L diag(φ'(h^(L−1))) W^(L−1) ⋯ diag(φ'(h^l)).

    Returns:
        The matrix; the identity for a layer by itself, zeros for a layer by one after it.

    Raises:
        ValueError: a layer that does not exist.
    """
    _check(chain, later)
    _check(chain, earlier)
    rows, columns = chain.slopes[later - 1], chain.slopes[earlier - 1]
    if later <= earlier:
        return jnp.eye(rows.size, columns.size, dtype=rows.dtype) * (later == earlier)
    *_, product = backward_products(chain, later, earlier)
    return product


def backward_products(chain: Chain, later: int, earlier: int = 1) -> Iterator[Float[Array, "later _"]]:
    """∂h^later/∂h^l for l = later − 1 down to `earlier`, each made from the one before it."""
    product = None
    for layer in range(later - 1, earlier - 1, -1):
        kernel = chain.kernels[layer].T
        product = (kernel if product is None else product @ kernel) * chain.slopes[layer - 1][None, :]
        yield product


def _check(chain: Chain, layer: int) -> None:
    if not 1 <= layer <= len(chain.kernels):
        raise ValueError(f"layer {layer} does not exist: the network has layers 1 to {len(chain.kernels)}")
