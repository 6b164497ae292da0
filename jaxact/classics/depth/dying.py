"""ReLU networks that are dead from the start, by simulation."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key


def dead_by_depth(
    key: Key[Array, ""],
    inputs: Float[Array, "n features"],
    width: Int[Array, ""] | int,
    depth: int,
    drawn: int | None = None,
) -> Bool[Array, "depth n"]:
    """Draw one ReLU network, symmetric normal weights and zero biases, and see by which layer it is dead for an input.

    It is dead from the first layer on in which no unit is positive. For one non-zero input the probability is
    `meanfield.dying_relu_probability`; that it is dead for all of several inputs is less likely.

    Args:
        key: typed PRNG key.
        inputs: the inputs, each with a non-zero feature.
        width: units of every layer.
        depth: number of layers.
        drawn: units drawn per layer, of which the first `width` count, so that one program serves several widths;
            `width` if None.

    Returns:
        For every layer and input, whether all its units are 0.

    Source: Lu, Shin, Su, Karniadakis 2019, "Dying ReLU and initialization" (arXiv:1903.06733).
    """
    units = int(width) if drawn is None else drawn
    counts = jnp.arange(units) < width

    def activate(h: Array) -> Array:
        x = jnp.where(counts, jnp.maximum(h, 0), 0)
        # Death depends on signs only; without this narrow stacks would fall below the smallest float.
        return x / jnp.maximum(x.max(axis=1, keepdims=True), jnp.finfo(x.dtype).tiny)

    def layer(x: Array, key: Array) -> tuple[Array, Array]:
        x = activate(x @ jax.random.normal(key, (units, units)))
        return x, x.max(axis=1) == 0

    keys = jax.random.split(key, depth)
    first = activate(inputs @ jax.random.normal(keys[0], (inputs.shape[1], units)))
    _, rest = jax.lax.scan(layer, first, keys[1:])
    return jnp.concatenate([(first.max(axis=1) == 0)[None], rest])
