"""The networks, as Flax linen modules whose `apply` returns (logits, {layer: pre-activation}).

Parameters are float32 whatever JAX_ENABLE_X64 says.

Which activation a layer uses is data: `which[i]` indexes `choices`, so that one compilation serves every combination.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.nn import initializers
from jaxtyping import Array, Float, Int, Key

from jaxact import activations as catalogue
from jaxact.architectures import CONVOLUTIONS, KERNEL, Shape, map_shapes
from jaxact.config import INITIALIZERS, closest
from jaxact.models.convolution import after_activation, convolve, feature_map

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


class MLP(nn.Module):
    """A multilayer perceptron: dense, optional batch norm, activation, in every layer, the output layer included.

    h_l = W_l φ_{l−1}(h_{l−1}) + b_l; the logits are φ_L(h_L), as in the study.

    Attributes:
        widths: units of every layer, the output layer included.
        choices: catalogue names that `which` indexes.
        batch_norm: numbers of the layers (from 1) with batch norm before the activation.
        initializer: name of the initialiser, see `initializers_for`.
        output_bias: added to the initial biases of the output layer.
    """

    widths: tuple[int, ...]
    choices: tuple[str, ...]
    batch_norm: tuple[int, ...] = ()
    initializer: str = "torch_default"
    output_bias: float = 0.0

    @nn.compact
    def __call__(
        self, x: Float[Array, "*batch features"], which: Int[Array, " layers *halves"], *, train: bool = False
    ) -> tuple[Float[Array, "*batch classes"], dict[str, Float[Array, "*batch _"]]]:
        """Forward pass.

        Args:
            x: standardised inputs; leading axes are batch axes.
            which: one index into `choices` per layer, or two, one for each half of its units.
            train: batch norm uses and updates batch statistics; random activations draw from the rng `noise`.

        Returns:
            logits (the activated output of the last layer) and the pre-activations `layer1`, `layer2`, … (what each
            activation receives, so after batch norm where there is one).
        """
        check_which(which, len(self.widths))
        pre_activations = {}
        for layer, width in enumerate(self.widths, start=1):
            kernel_init, bias_init = initializers_for(self.initializer, x.shape[-1])
            if self.output_bias and layer == len(self.widths):
                bias_init = shifted(bias_init, self.output_bias)
            h = nn.Dense(width, kernel_init=kernel_init, bias_init=bias_init, name=f"dense{layer}")(x)
            if layer in self.batch_norm:
                h = TorchBatchNorm(name=f"norm{layer}")(h, train=train)
            pre_activations[f"layer{layer}"] = h
            x = Activate(self.choices, name=f"activation{layer}")(h, which[layer - 1], train=train)
        return x, pre_activations


def first_product_given(product: Float[Array, "batch units"]) -> AbstractContextManager[Any]:
    """Let every `MLP` applied within take x W_1 from `product` instead of its inputs and kernel; the bias is added."""

    def interceptor(
        following: Callable[..., Any], args: Any, kwargs: Any, context: nn.module.InterceptorContext
    ) -> Any:
        if context.module.name != "dense1":
            return following(*args, **kwargs)
        return product + context.module.get_variable("params", "bias")[None]

    return nn.intercept_methods(interceptor)


def check_which(which: Int[Array, " layers *halves"], layers: int) -> None:
    """Check that `which` has one index per layer, or two.

    Raises:
        ValueError: it has another shape.
    """
    if which.shape not in ((layers,), (layers, 2)):
        raise ValueError(f"which has shape {which.shape}, the network {layers} layers: one index per layer, or two")


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


class LeNet(nn.Module):
    """The study's convolutional network: two convolutions of 5x5 with max-pool 2, then dense layers.

    In every layer: convolution or dense, optional batch norm (per channel), activation; then, after a convolution, the
    pooling. The last feature map is flattened position by position (height, width, channel) where PyTorch's `view` goes
    channel by channel: with the rows of the first dense kernel in that order the networks are the same.

    Attributes:
        shape: (height, width, channels) of the images.
        widths: channels of the convolutions, units of the dense layers, the output layer included.
        choices, batch_norm, initializer, output_bias: as of `MLP`; fan_in of a convolution is 25 · inputs.

    Source: LeCun et al. 1998, "Gradient-based learning applied to document recognition"; PyTorch's CIFAR-10 tutorial.
    """

    shape: Shape
    widths: tuple[int, ...]
    choices: tuple[str, ...]
    batch_norm: tuple[int, ...] = ()
    initializer: str = "torch_default"
    output_bias: float = 0.0

    @nn.compact
    def __call__(
        self, x: Float[Array, "*batch features"], which: Int[Array, " layers *halves"], *, train: bool = False
    ) -> tuple[Float[Array, "*batch classes"], dict[str, Float[Array, "..."]]]:
        """Forward pass of flat images, channel by channel; arguments and returns as of `MLP.__call__`.

        The pre-activations of convolutions are [..., height, width, channels].
        """
        check_which(which, len(self.widths))
        map_shapes(self.shape, self.widths)
        x, pre_activations = feature_map(x, self.shape), {}
        for layer, width in enumerate(self.widths, start=1):
            convolution = layer <= CONVOLUTIONS
            fan_in = x.shape[-1] * (KERNEL**2 if convolution else 1)
            kernel_init, bias_init = initializers_for(self.initializer, fan_in)
            if self.output_bias and layer == len(self.widths):
                bias_init = shifted(bias_init, self.output_bias)
            affine = Conv if convolution else nn.Dense
            h = affine(width, kernel_init=kernel_init, bias_init=bias_init, name=affine_name(self, layer))(x)
            if layer in self.batch_norm:
                h = TorchBatchNorm(name=f"norm{layer}")(h, train=train)
            pre_activations[f"layer{layer}"] = h
            x = Activate(self.choices, name=f"activation{layer}")(h, which[layer - 1], train=train)
            x = after_activation(x, layer)
        return x, pre_activations


def affine_name(model: MLP | LeNet, layer: int) -> str:
    """The name under which the parameters of layer number `layer` (from 1) have kernel and bias."""
    return f"conv{layer}" if isinstance(model, LeNet) and layer <= CONVOLUTIONS else f"dense{layer}"
