"""A `LeNet` as the analyses see it, and its partial Jacobian norms in closed form where a matrix would be large."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxact.architectures import CONVOLUTIONS
from jaxact.models import LeNet
from jaxact.models.convolution import after_activation, convolve, feature_map, max_pool, window_parts
from jaxact.probes.network import Network, layered, mlp_affine, mlp_nonlinearities, no_perturbation


def lenet_network(model: LeNet, variables: Any, which: Int[Array, " layers *halves"]) -> Network:
    """A `LeNet` in evaluation mode that accepts perturbations; without any it equals `model.apply`.

    Args:
        model: the architecture.
        variables: `params`, and `batch_stats` if the model has batch norm, whose statistics are constants.
        which: one index into `model.choices` per layer, or two.
    """
    parts = mlp_affine(model, variables)

    def affine(x: Array, layer: int) -> Array:
        kernel, bias = parts[layer - 1]
        h = convolve(x, kernel) if layer <= CONVOLUTIONS else x @ kernel
        return h + bias.reshape((1,) * (h.ndim - 1) + (-1,))

    layers = layered(mlp_nonlinearities(model, variables, which), affine, after_activation)
    return lambda x, perturbations: layers(feature_map(x, model.shape), perturbations)


def lenet_apjn(
    model: LeNet, variables: Any, which: Int[Array, " layers *halves"], x: Float[Array, " features"]
) -> Float[Array, "layers layers"]:
    """The exact matrix (1/n_L) ‖∂h^L/∂h^l‖_F² of one example, n_L the number of entries of the feature map h^L.

    A dense layer's Jacobian is made row by row. The second convolution's, of thousands of rows and columns, is not
    made: a pooled output depends on one entry of h¹ alone, so its squared norm is the sum of the entries of the
    convolution of the pooled φ'² with the squared kernel.

    Args:
        model: the architecture.
        variables: of one network.
        which: one index into `model.choices` per layer, or two.
        x: one flat image.
    """
    network = lenet_network(model, variables, which)
    zeros = no_perturbation(network, x)
    names = list(zeros)
    hidden, pull = jax.vjp(lambda shift: network(x, shift)[1], zeros)

    ends = np.cumsum([zeros[name].size for name in names[CONVOLUTIONS:]])

    def squares(unit: Float[Array, " units"]) -> Float[Array, " layers"]:
        of_layer = dict(zip(names[CONVOLUTIONS:], jnp.split(unit, ends[:-1]), strict=True))
        gradients = pull(zeros | of_layer)[0]
        return jnp.stack([jnp.sum(gradients[name] ** 2) for name in names])

    rows = jnp.split(jax.vmap(squares)(jnp.eye(int(ends[-1]))), ends[:-1])  # all dense layers in one backward pass
    phi = mlp_nonlinearities(model, variables, which)[names[0]]
    pooled, pull_pool = jax.vjp(lambda h: max_pool(phi.fn(h)), hidden[names[0]])
    slopes = jnp.stack(window_parts(pull_pool(jnp.ones_like(pooled))[0] ** 2)).sum(0)
    second = hidden[names[1]]
    norm = convolve(slopes, mlp_affine(model, variables)[1].kernel ** 2).sum() / second.size
    first_rows = jnp.eye(2, len(names)).at[1, 0].set(norm)
    return jnp.concatenate([first_rows, jnp.stack([row.mean(0) for row in rows])])
