"""What a convolutional network does with feature maps [..., height, width, channels]: patches, pooling, flattening."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxact.architectures import CONVOLUTIONS, KERNEL, POOL, Shape


def convolve(x: Float[Array, "*batch h w inputs"], kernel: Float[Array, "k k inputs units"]) -> Array:
    """Σ_ab x[i + a, j + b] W[a, b], as one matrix product with the patches of `x`.

    On a CPU, and for several networks at once, that is faster than XLA's convolution, whose gradients are slow there.
    """
    height, width = (size - KERNEL + 1 for size in x.shape[-3:-1])
    rows = [x[..., a : a + height, b : b + width, :] for a in range(KERNEL) for b in range(KERNEL)]
    return jnp.concatenate(rows, axis=-1) @ kernel.reshape(-1, kernel.shape[-1])


def window_parts(x: Float[Array, "*batch h w units"]) -> list[Array]:
    """The four entries of every 2x2 window, row by row; an odd last row or column is in none."""
    *batch, height, width, units = x.shape
    rows, columns = height // POOL, width // POOL
    cut = x[..., : POOL * rows, : POOL * columns, :].reshape(*batch, rows, POOL, columns, POOL, units)
    return [cut[..., :, a, :, b, :] for a in range(POOL) for b in range(POOL)]


def max_pool(x: Float[Array, "*batch h w units"]) -> Float[Array, "*batch _ _ units"]:
    """The largest entry of every 2x2 window; of equal ones the first gets the gradient, and NaN wins, as in PyTorch."""
    largest, *others = window_parts(x)
    for other in others:
        largest = jnp.where((other > largest) | jnp.isnan(other), other, largest)
    return largest


def feature_map(images: Float[Array, "*batch features"], shape: Shape) -> Float[Array, "*batch h w channels"]:
    """Flat images, channel by channel as `jaxact.data` has them, as [height, width, channels].

    Raises:
        ValueError: another number of features than the shape has.
    """
    height, width, channels = shape
    if images.shape[-1] != height * width * channels:
        raise ValueError(f"{images.shape[-1]} features, images of {shape} have {height * width * channels}")
    return jnp.moveaxis(images.reshape(*images.shape[:-1], channels, height, width), -3, -1)


def after_activation(x: Array, layer: int) -> Array:
    """What a LeNet does behind the activation of a layer: pooling, and flattening behind the last convolution."""
    x = max_pool(x) if layer <= CONVOLUTIONS else x
    return x.reshape(*x.shape[:-3], -1) if layer == CONVOLUTIONS else x
