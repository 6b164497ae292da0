"""How large the gradient of the loss is in every layer, and how much of it each layer loses."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxact import metrics
from jaxact.probes.chunks import sum_over_chunks
from jaxact.probes.network import Network, no_perturbation, wide

Loss = Callable[[Array, Array], Array]


class Gradients(NamedTuple):
    """Gradients of the loss ℓ over a data set.

    Attributes:
        loss: mean loss (nats for the cross-entropy).
        layers: per layer, in the network's own order, √mean_n ‖∂ℓ_n/∂h_n^l‖², the root mean square over the examples
            of the norm of the gradient by the pre-activations.
        params: the gradient of the mean loss by the parameters, in their own structure; in float32 at least.
    """

    loss: Float[Array, ""]
    layers: Float[Array, " layers"]
    params: Any


class Attenuation(NamedTuple):
    """Loss of gradient on the way back from the output layer L; NaN where there is none at L (a dead output).

    Attributes:
        total: ‖∂ℓ/∂h^l‖ / ‖∂ℓ/∂h^L‖, 1 for the last layer.
        step: ‖∂ℓ/∂h^l‖ / ‖∂ℓ/∂h^(l+1)‖, for all layers but the last.
        slope_bound: Π sup|φ_k'| over l ≤ k < L: 0.25^r for r sigmoids, the textbook's bound. It holds for weights
            whose spectral norms do not exceed 1.
        bound: the same with the spectral norms of the kernels, Π sup|φ_k'| ‖W^(k+1)‖₂, which `total` never exceeds.
    """

    total: Float[Array, " layers"]
    step: Float[Array, " steps"]
    slope_bound: Float[Array, " layers"]
    bound: Float[Array, " layers"]


def loss_gradients(
    network_of: Callable[[Any], Network],
    params: Any,
    images: Any,
    labels: Int[Array, " labels"],
    *,
    chunk: int = 1000,
    loss: Loss = metrics.cross_entropy,
) -> Gradients:
    """Gradients by the pre-activations of every layer and by the parameters, over a set, in chunks.

    The derivative by a pre-activation is that by a zero added to it. Where examples influence one another (an
    `mlp_network` with train=True and batch norm), ∂ℓ_n stands for the gradient of the sum of the losses of its chunk,
    with the statistics of that chunk; with chunk = len(images) this is the gradient of a full-batch training step.

    Args:
        network_of: parameters → network of a batch of examples, for instance
            `lambda params: mlp_network(model, {"params": params, "batch_stats": stats}, which)`; a network of one
            example is made one of a batch by `batched`.
        params: the parameters.
        images: the examples, an array [examples, ...] or a pytree of such arrays.
        labels: their classes.
        chunk: examples at a time.
        loss: (logits of one example, label) → scalar.

    Raises:
        ValueError: no examples, or as many labels as images are not there.
    """
    examples = len(jax.tree.leaves(images)[0])
    if len(labels) != examples:
        raise ValueError(f"{examples} images but {len(labels)} labels: give one label per image")

    def total(params: Any, shift: dict[str, Array], rows: tuple[Any, Array]) -> Array:
        logits, _ = network_of(params)(rows[0], shift)
        return jax.vmap(loss)(wide(logits), rows[1]).sum()

    def of_chunk(rows: tuple[Any, Array]) -> Any:
        zeros = no_perturbation(network_of(params), rows[0])
        value, (by_params, by_layer) = jax.value_and_grad(total, argnums=(0, 1))(params, zeros, rows)
        return value, jnp.stack([jnp.sum(wide(by_layer[name]) ** 2) for name in zeros]), jax.tree.map(wide, by_params)

    value, squares, by_params = sum_over_chunks(of_chunk, (images, labels), chunk)
    mean = jax.tree.map(lambda leaf: leaf / examples, by_params)
    return Gradients(value / examples, jnp.sqrt(squares / examples), mean)


def norms(tree: Any) -> Any:
    """The Frobenius norm of every leaf: of the gradient of every kernel and bias."""
    return jax.tree.map(lambda leaf: jnp.sqrt(jnp.sum(wide(leaf) ** 2)), tree)


def spectral_norm(kernel: Float[Array, "inputs units"]) -> Float[Array, ""]:
    """‖W‖₂, the largest singular value."""
    return jnp.linalg.norm(kernel, 2)


def attenuation(
    layers: Float[Array, " layers"], steepest: Float[Array, " layers"], spectral_norms: Float[Array, " layers"]
) -> Attenuation:
    """Compare gradient norms along the layers with what the activations and kernels allow.

    Args:
        layers: gradient norm per layer, first layer first (`Gradients.layers`, or those of one example).
        steepest: sup |φ'| per layer (`Nonlinearity.steepest`); the last one does not enter.
        spectral_norms: ‖W‖₂ per layer, batch norm folded in; the first one does not enter.
    """
    factor = steepest[:-1]
    return Attenuation(
        total=layers / layers[-1],
        step=layers[:-1] / layers[1:],
        slope_bound=_products_to_the_end(factor),
        bound=_products_to_the_end(factor * spectral_norms[1:]),
    )


def _products_to_the_end(factor: Array) -> Array:
    return jnp.concatenate([jnp.cumprod(factor[::-1])[::-1], jnp.ones(1, factor.dtype)])
