"""The activation functions that `jax.nn` lacks, or has with another default or too narrow a range.

Every function keeps the floating dtype of x; elementwise unless it says otherwise. An `Activation` calls them in
float32 at least. Their slopes keep their digits far out too, where 1 − tanh² and expm1 + 1 have lost them.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

Point = Float[Array, "..."]
Scale = float | Float[Array, ""] | Float[Array, "..."]


@jax.custom_jvp
def _tanh(x: Point) -> Point:
    """tanh(x), whose slope JAX takes as 1 − tanh²: 0 from x = 9 on in float32."""
    return jnp.tanh(x)


@_tanh.defjvp
def _tanh_jvp(primals: tuple[Point], tangents: tuple[Point]) -> tuple[Point, Point]:
    (x,), (dx,) = primals, tangents
    decay = jnp.exp(-2 * jnp.abs(x))
    return jnp.tanh(x), 4 * decay / jnp.square(1 + decay) * dx


@jax.custom_jvp
def _expm1(x: Point) -> Point:
    """exp(x) − 1, whose slope JAX takes as (exp(x) − 1) + 1: 0 from x = −17 on in float32."""
    return jnp.expm1(x)


@_expm1.defjvp
def _expm1_jvp(primals: tuple[Point], tangents: tuple[Point]) -> tuple[Point, Point]:
    (x,), (dx,) = primals, tangents
    return jnp.expm1(x), jnp.exp(x) * dx


def elu(x: Point, alpha: Scale = 1.0) -> Point:
    """φ(x) = x where x > 0, else alpha (exp(x) − 1) (Clevert et al. 2015); φ'(0) = alpha."""
    return jnp.where(x > 0, x, alpha * _expm1(jnp.where(x > 0, 0, x)))


def celu(x: Point, alpha: Scale = 1.0) -> Point:
    """φ(x) = x where x > 0, else alpha (exp(x/alpha) − 1) (Barron 2017)."""
    return jnp.where(x > 0, x, alpha * _expm1(jnp.where(x > 0, 0, x) / alpha))


@jax.custom_jvp
def softsign(x: Point) -> Point:
    """φ(x) = x/(1 + |x|) (Elliott 1993), φ'(x) = 1/(1 + |x|)²."""
    return x / (1 + jnp.abs(x))


@softsign.defjvp
def _softsign_jvp(primals: tuple[Point], tangents: tuple[Point]) -> tuple[Point, Point]:
    (x,), (dx,) = primals, tangents
    return softsign(x), dx / jnp.square(1 + jnp.abs(x))


def centred_sigmoid(x: Point) -> Point:
    """φ(x) = σ(x) − ½, written as ½ tanh(x/2) because the difference loses its digits near 0.

    Its slope is that of `jnp.tanh`, digits lost far out included: recorded runs hold it to the last bit.
    """
    return 0.5 * jnp.tanh(0.5 * x)


def half_tanh(x: Point) -> Point:
    """φ(x) = tanh(x/2)/2 = σ(x) − ½, written otherwise than `centred_sigmoid` so that rounding can be told apart."""
    return jnp.tanh(x / 2) / 2


def lecun_tanh(x: Point) -> Point:
    """φ(x) = 1.7159 tanh(2x/3) (LeCun 1989)."""
    return 1.7159 * _tanh(2 / 3 * x)


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
    """The tanh approximation of x Φ(x), as x σ(2u): 1 + tanh(u) loses its digits on the left, and is 0 from −5 on."""
    u = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
    return x * jax.nn.sigmoid(2 * u)


def squareplus(x: Point, b: Scale = 4.0) -> Point:
    """φ(x) = (x + √(x² + b))/2 (Barron 2021); on the left as b/(2(√(x² + b) − x)), where that sum loses its digits."""
    root = jnp.sqrt(jnp.square(x) + b)
    return jnp.where(x < 0, b / (2 * (root + jnp.abs(x))), (x + root) / 2)


def swish(x: Point, beta: Scale = 1.0) -> Point:
    """φ(x) = x σ(βx) (Ramachandran et al. 2017); β a scalar or one value per element."""
    return x * jax.nn.sigmoid(beta * x)


def mish(x: Point) -> Point:
    """φ(x) = x tanh(log(1 + eˣ)) (Misra 2019)."""
    return x * _tanh(jax.nn.softplus(x))


def lisht(x: Point) -> Point:
    """φ(x) = x tanh(x) (Roy et al. 2019)."""
    return x * _tanh(x)


@jax.custom_jvp
def tanhshrink(x: Point) -> Point:
    """φ(x) = x − tanh(x), φ'(x) = tanh²(x).

    With tanh(x) = x/(1 + c) for c = x²/(3 + x²/(5 + …)) (Lambert 1761) it is x c/(1 + c): near 0 the difference is all
    rounding error. Cut at 19, c is exact to 1e-16 for |x| < 1.
    """
    square, c = jnp.square(jnp.clip(x, -1, 1)), jnp.zeros_like(x)
    for odd in range(19, 1, -2):
        c = square / (odd + c)
    return jnp.where(jnp.abs(x) < 1, x * c / (1 + c), x - jnp.tanh(x))


@tanhshrink.defjvp
def _tanhshrink_jvp(primals: tuple[Point], tangents: tuple[Point]) -> tuple[Point, Point]:
    (x,), (dx,) = primals, tangents
    return tanhshrink(x), jnp.square(_tanh(x)) * dx


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
