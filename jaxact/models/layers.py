"""What networks are made of, as Flax linen modules: initialisers, batch norm, convolution, activation.

Parameters are float32 whatever JAX_ENABLE_X64 says.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.nn import initializers
from jaxtyping import Array, Float, Int, Key

from jaxact import activations as catalogue
from jaxact.architectures import KERNEL
from jaxact.config import INITIALIZERS, closest
from jaxact.models.convolution import convolve

Initializer = Callable[..., Array]


def uniform_fan_in(fan_in: int) -> Initializer:
    """PyTorch's default for linear and convolution layers, U(−1/√fan_in, 1/√fan_in), for kernels and biases alike.

    Its variance is 1/(3·fan_in). Source: `torch.nn.Linear.reset_parameters` (LeCun et al. 1998, "Efficient BackProp").
    """
    bound = fan_in**-0.5

    def init(key: Key[Array, ""], shape: tuple[int, ...], dtype: Any = jnp.float32) -> Array:
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return init


def initializers_for(name: str, fan_in: int) -> tuple[Initializer, Initializer]:
    """Initialisers of a layer's kernel and bias.

    Args:
        name: `torch_default` (both U(±1/√fan_in)), or `lecun_normal`, `he_normal`, `glorot_uniform`, `orthogonal`
            (kernel as named, bias 0).
        fan_in: inputs of one unit.

    Raises:
        ValueError: an unknown name.
    """
    if name == "torch_default":
        return uniform_fan_in(fan_in), uniform_fan_in(fan_in)
    if name not in INITIALIZERS:
        raise closest(name, INITIALIZERS, "initialiser")
    return getattr(initializers, name)(), initializers.zeros


def shifted(init: Initializer, by: float) -> Initializer:
    """The initialiser `init`, plus a constant."""
    return lambda *arguments: init(*arguments) + by


class TorchBatchNorm(nn.Module):
    """Batch norm over the last axis, with PyTorch's semantics.

    Training normalises with the batch mean and the biased batch variance, y = γ(x − μ)/√(σ² + ε) + β, and moves the
    running averages r ← (1 − m) r + m·(batch value), the variance among them unbiased (n/(n − 1)). Evaluation
    normalises with the running averages. flax's own BatchNorm keeps the biased variance, hence this module.

    Attributes:
        momentum: PyTorch's m, the weight of the new batch (flax's `momentum` is 1 − m).
        epsilon: ε, added to the variance.

    Source: Ioffe & Szegedy 2015; `torch.nn.BatchNorm1d`.
    """

    momentum: float = 0.1
    epsilon: float = 1e-5

    @nn.compact
    def __call__(self, x: Float[Array, "*batch units"], *, train: bool = False) -> Float[Array, "*batch units"]:
        """Normalise `x` over every axis but the last; a batch of one example in training is a ValueError."""
        shape = x.shape[-1:]
        scale = self.param("scale", initializers.ones, shape, jnp.float32)
        bias = self.param("bias", initializers.zeros, shape, jnp.float32)
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, shape, jnp.float32)
        running_var = self.variable("batch_stats", "var", jnp.ones, shape, jnp.float32)
        mean, var = running_mean.value, running_var.value
        if train:
            axes, n = tuple(range(x.ndim - 1)), x.size // x.shape[-1]
            if n < 2:
                raise ValueError(f"batch norm in training got {n} example: it needs at least 2 to estimate a variance")
            mean, var = x.mean(axes), x.var(axes)
            if not self.is_initializing():
                running_mean.value += self.momentum * (mean - running_mean.value)
                running_var.value += self.momentum * (var * (n / (n - 1)) - running_var.value)
        spread = (1,) * (x.ndim - 1) + shape
        normed = (x - mean.reshape(spread)) * jax.lax.rsqrt(var + self.epsilon).reshape(spread)
        return normed * scale.reshape(spread) + bias.reshape(spread)


class Activate(nn.Module):
    """One activation out of `choices`, picked by an index that is data; holds the learnable parameters, if any.

    Attributes:
        choices: catalogue names, the branches of the switch.
    """

    choices: tuple[str, ...]

    @nn.compact
    def __call__(
        self, x: Float[Array, "*batch units"], which: Int[Array, "*halves"], *, train: bool = False
    ) -> Float[Array, "*batch units"]:
        """φ(x) for φ = choices[which]; of two indices, one for the first ⌊n/2⌋ units and one for the rest."""
        entries = [catalogue.get(name) for name in self.choices]
        theta = self._theta(entries, which)
        noise = any(entry.stochastic for entry in entries) and train and not self.is_initializing()
        key = self.make_rng("noise") if noise else None
        if not which.ndim:
            return self._evaluate(entries, x, which, theta, key)
        parts = jnp.split(x, [x.shape[-1] // 2], axis=-1)
        rows = [None, None] if theta is None else list(theta)
        keys = [None, None] if key is None else list(jax.random.split(key))
        halves = zip(parts, which, rows, keys, strict=True)
        return jnp.concatenate([self._evaluate(entries, *half) for half in halves], axis=-1)

    @staticmethod
    def _evaluate(entries: list[catalogue.Activation], x: Array, which: Array, theta: Any, key: Any) -> Array:
        def branch(entry: catalogue.Activation) -> Callable[[Array], Array]:
            count = len(entry.start)
            return lambda h: entry(
                h,
                theta[:count] if count and theta is not None else None,
                key if entry.stochastic else None,
            )

        branches = [branch(entry) for entry in entries]
        return branches[0](x) if len(branches) == 1 else jax.lax.switch(which, branches, x)

    def _theta(
        self, entries: list[catalogue.Activation], which: Int[Array, "*halves"]
    ) -> Float[Array, "*halves p"] | None:
        size = max(len(entry.start) for entry in entries)
        if not size:
            return None
        table = jnp.array([[*entry.start, *[0.0] * (size - len(entry.start))] for entry in entries], jnp.float32)
        return self.param("theta", lambda _: table[which])


class Conv(nn.Module):
    """Convolution without padding, h[i, j] = Σ_ab x[i + a, j + b] W[a, b] + bias: cross-correlation, as PyTorch's.

    Attributes:
        width: number of output channels.
        kernel_init: initialiser of the kernel [KERNEL, KERNEL, inputs, width].
        bias_init: initialiser of the biases [width].
    """

    width: int
    kernel_init: Initializer
    bias_init: Initializer

    @nn.compact
    def __call__(self, x: Float[Array, "*batch h w inputs"]) -> Float[Array, "*batch _ _ units"]:
        """The feature map of `x`."""
        kernel = self.param("kernel", self.kernel_init, (KERNEL, KERNEL, x.shape[-1], self.width), jnp.float32)
        h = convolve(x, kernel)
        return h + self.param("bias", self.bias_init, (self.width,), jnp.float32).reshape((1,) * (h.ndim - 1) + (-1,))
