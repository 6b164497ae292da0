"""Exact Jacobians of any network for one example; batch them over examples, seeds and epochs with `vmap`.

Every Jacobian is a matrix [outputs, inputs]; outputs and inputs with more axes (feature maps) are flattened.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxact.probes.network import Network, check_layers, layer_shapes, no_perturbation


def jacobian(
    fn: Callable[[Array], Array], x: Float[Array, "..."], *, chunk: int | None = None, backward: bool = False
) -> Float[Array, "outputs inputs"]:
    """∂fn/∂x as a matrix, by rows (reverse mode) or columns (forward mode), whichever are fewer.

    Works for whole networks and for single layers, dense or convolutional: `jacobian(lambda x: net(x, {})[0], image)`.

    Args:
        fn: a function of one array.
        x: where to take the derivative; any shape.
        chunk: rows or columns computed at a time; all at once if None. It bounds the intermediate results, which the
            feature maps of a convolution make large, not the matrix itself.
        backward: by rows in any case, for functions that have no derivative in forward mode (`jax.custom_vjp`).
    """
    if not backward and x.size < jax.eval_shape(fn, x).size:
        _, push = jax.linearize(fn, x)
        return _map(lambda i: push(_unit(i, x)).ravel(), x.size, chunk).T
    y, pull = jax.vjp(fn, x)
    return _map(lambda i: pull(_unit(i, y))[0].ravel(), y.size, chunk)


def _unit(index: Array, like: Array) -> Array:
    """The unit vector of one entry, made when needed: the identity of a feature map would not fit in memory."""
    return jnp.zeros(like.size, like.dtype).at[index].set(1).reshape(like.shape)


def _map(fn: Callable[[Array], Array], count: int, chunk: int | None) -> Array:
    return jax.lax.map(fn, jnp.arange(count), batch_size=min(count, chunk or count))


def input_jacobians(
    network: Network, x: Float[Array, "..."], *, chunk: int | None = None
) -> tuple[Float[Array, "classes inputs"], dict[str, Float[Array, "_ inputs"]]]:
    """∂logits/∂x and, by layer name, ∂h^l/∂x of any network, for one example.

    Args:
        network: (x, perturbations) → (logits, pre-activations); a function without perturbations can be given as
            `lambda x, _: fn(x)`.
        x: one example.
        chunk: see `jacobian`.
    """
    layers = {
        name: jacobian(lambda x, name=name: network(x, {})[1][name], x, chunk=chunk)
        for name in layer_shapes(network, x)
    }
    return jacobian(lambda x: network(x, {})[0], x, chunk=chunk), layers


def partial_jacobian(
    network: Network, x: Float[Array, "..."], later: str, earlier: str, *, chunk: int | None = None
) -> Float[Array, "later earlier"]:
    """∂h^later/∂h^earlier of any network, for one example.

    Args:
        network: (x, perturbations) → (logits, pre-activations).
        x: one example.
        later: name of the layer whose pre-activation is differentiated, or "logits".
        earlier: name of the layer by whose pre-activation it is; the identity if both are the same.
        chunk: see `jacobian`.

    Raises:
        ValueError: an unknown layer.

    Source: Doshi, He & Gromov 2023, "Critical initialization of wide and deep neural networks using partial
    Jacobians".
    """
    zeros = no_perturbation(network, x)
    check_layers([earlier], zeros)
    check_layers([later], [*zeros, "logits"])

    def shifted(perturbation: Array) -> Array:
        logits, hidden = network(x, {earlier: perturbation})
        return logits if later == "logits" else hidden[later]

    return jacobian(shifted, zeros[earlier], chunk=chunk)
