"""The activation functions that `jax.nn` lacks, or has with another default or too narrow a range.

Every function keeps the floating dtype of x; elementwise unless it says otherwise.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

Point = Float[Array, "..."]
Scale = float | Float[Array, ""] | Float[Array, "..."]


def _at_least_float32(x: Point) -> Point:
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def centred_sigmoid(x: Point) -> Point:
    """φ(x) = σ(x) − ½, written as ½ tanh(x/2) because the difference loses its digits near 0."""
    return 0.5 * jnp.tanh(0.5 * x)


def lecun_tanh(x: Point) -> Point:
    """φ(x) = 1.7159 tanh(2x/3) (LeCun 1989)."""
    return 1.7159 * jnp.tanh(2 / 3 * x)


def sine(x: Point, frequency: Scale = 1.0) -> Point:
    """φ(x) = sin(frequency · x); SIREN (Sitzmann et al. 2020) uses frequency 30."""
    return jnp.sin(frequency * x)


def gaussian(x: Point) -> Point:
    """φ(x) = exp(−x²)."""
    return jnp.exp(-jnp.square(x))


def gelu(x: Point) -> Point:
    """φ(x) = x Φ(x), the erf form (Hendrycks & Gimpel 2016); `jax.nn.gelu` defaults to the tanh form."""
    return jax.nn.gelu(x, approximate=False)


def gelu_tanh(x: Point) -> Point:
    """The tanh approximation of x Φ(x); in float32 for 16-bit inputs, because x³ overflows float16."""
    return jax.nn.gelu(_at_least_float32(x), approximate=True).astype(x.dtype)


def squareplus(x: Point, b: Scale = 4.0) -> Point:
    """φ(x) = (x + √(x² + b))/2 (Barron 2021); in float32 for 16-bit inputs, because x² overflows float16."""
    return jax.nn.squareplus(_at_least_float32(x), b).astype(x.dtype)


def swish(x: Point, beta: Scale = 1.0) -> Point:
    """φ(x) = x σ(βx) (Ramachandran et al. 2017); β a scalar or one value per element."""
    return x * jax.nn.sigmoid(beta * x)


def lisht(x: Point) -> Point:
    """φ(x) = x tanh(x) (Roy et al. 2019); in float32 for 16-bit inputs, whose φ'(-1e4) is rounding noise."""
    wide = _at_least_float32(x)
    return (wide * jnp.tanh(wide)).astype(x.dtype)


def tanhshrink(x: Point) -> Point:
    """φ(x) = x − tanh(x)."""
    return x - jnp.tanh(x)


def hardshrink(x: Point, lambd: Scale = 0.5) -> Point:
    """φ(x) = x where |x| > lambd, else 0 (Donoho & Johnstone 1994); φ'(±lambd) = 0."""
    return jnp.where(jnp.abs(x) <= lambd, 0, x)  # so that NaN stays NaN


def softshrink(x: Point, lambd: Scale = 0.5) -> Point:
    """φ(x) = sign(x) max(|x| − lambd, 0) (Donoho & Johnstone 1994); φ'(±lambd) = 0."""
    return jnp.where(jnp.abs(x) <= lambd, 0, x - jnp.sign(x) * lambd)


def threshold(x: Point, threshold: Scale = 1.0, value: Scale = 0.0) -> Point:
    """φ(x) = x where x > threshold, else value (Konda et al. 2014); φ'(threshold) = 0."""
    return jnp.where(x <= threshold, value, x)


def rrelu(x: Point, lower: float = 1 / 8, upper: float = 1 / 3, key: Key[Array, ""] | None = None) -> Point:
    """Randomised leaky ReLU (Xu et al. 2015): x for x ≥ 0, else a x.

    Args:
        x: Any shape.
        lower: Smallest slope a.
        upper: Largest slope a.
        key: Training: a ~ U(lower, upper), drawn for each element. None, for testing: a = (lower + upper)/2, that is
            11/48 by default (PyTorch's choice; the paper's is 1/5.5).

    Returns:
        The shape and dtype of x.
    """
    if key is None:
        return jax.nn.leaky_relu(x, (lower + upper) / 2)
    return jax.nn.leaky_relu(x, jax.random.uniform(key, x.shape, x.dtype, lower, upper))


def maxout(x: Float[Array, "*batch inputs"], pieces: float = 2) -> Float[Array, "*batch outputs"]:
    """The largest of each `pieces` consecutive inputs along the last axis (Goodfellow et al. 2013)."""
    return x.reshape(*x.shape[:-1], -1, int(pieces)).max(axis=-1)


def bilinear(x: Float[Array, "*batch inputs"]) -> Float[Array, "*batch outputs"]:
    """φ([a, b]) = a · b on the two halves of the last axis (Mnih & Hinton 2007)."""
    value, gate = jnp.split(x, 2, axis=-1)
    return value * gate


def reglu(x: Float[Array, "*batch inputs"]) -> Float[Array, "*batch outputs"]:
    """φ([a, b]) = a · relu(b) on the two halves of the last axis (Shazeer 2020)."""
    value, gate = jnp.split(x, 2, axis=-1)
    return value * jax.nn.relu(gate)


def geglu(x: Float[Array, "*batch inputs"]) -> Float[Array, "*batch outputs"]:
    """φ([a, b]) = a · gelu(b), the erf form, on the two halves of the last axis (Shazeer 2020)."""
    value, gate = jnp.split(x, 2, axis=-1)
    return value * gelu(gate)


def swiglu(x: Float[Array, "*batch inputs"]) -> Float[Array, "*batch outputs"]:
    """φ([a, b]) = a · silu(b) on the two halves of the last axis (Shazeer 2020)."""
    value, gate = jnp.split(x, 2, axis=-1)
    return value * jax.nn.silu(gate)
