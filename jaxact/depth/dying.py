"""ReLU networks that are dead from the start, by simulation."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key


def dead_by_depth(
    key: Key[Array, ""], inputs: Float[Array, "n features"], width: int, depth: int
) -> Bool[Array, "depth n"]:
    """Draw one ReLU network, symmetric normal weights and zero biases, and see by which layer it is dead for an input.

    It is dead from the first layer on in which no unit is positive. For one non-zero input the probability is
    `meanfield.dying_relu_probability`; that it is dead for all of several inputs is less likely.

    Args:
        key: typed PRNG key.
        inputs: the inputs, each with a non-zero feature.
        width: units of every layer.
        depth: number of layers.

    Returns:
        For every layer and input, whether all its units are 0.

    Source: Lu, Shin, Su, Karniadakis 2019, "Dying ReLU and initialization" (arXiv:1903.06733).
    """

    def activate(h: Array) -> Array:
        x = jnp.maximum(h, 0)
        # Death depends on signs only; without this narrow stacks would fall below the smallest float.
        return x / jnp.maximum(x.max(axis=1, keepdims=True), jnp.finfo(x.dtype).tiny)

    def layer(x: Array, key: Array) -> tuple[Array, Array]:
        x = activate(x @ jax.random.normal(key, (width, width)))
        return x, x.max(axis=1) == 0

    keys = jax.random.split(key, depth)
    first = activate(inputs @ jax.random.normal(keys[0], (inputs.shape[1], width)))
    _, rest = jax.lax.scan(layer, first, keys[1:])
    return jnp.concatenate([(first.max(axis=1) == 0)[None], rest])
