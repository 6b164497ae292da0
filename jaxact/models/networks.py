"""The networks, as Flax linen modules whose `apply` returns (logits, {layer: pre-activation}).

Which activation a layer uses is data: `which[i]` indexes `choices`, so that one compilation serves every combination.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import flax.linen as nn
from jaxtyping import Array, Float, Int

from jaxact.architectures import CONVOLUTIONS, KERNEL, Shape, map_shapes
from jaxact.models.convolution import after_activation, feature_map
from jaxact.models.layers import Activate, Conv, TorchBatchNorm, initializers_for, shifted


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
        return _all_layers(self, x, which, train)


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
        map_shapes(self.shape, self.widths)
        return _all_layers(self, feature_map(x, self.shape), which, train)


def _all_layers(model: MLP | LeNet, x: Array, which: Array, train: bool) -> tuple[Array, dict[str, Array]]:
    """The layers of a network, called from within it: affine map, batch norm, activation, and a LeNet's pooling."""
    check_which(which, len(model.widths))
    maps, pre_activations = convolutions(model), {}
    for layer, width in enumerate(model.widths, start=1):
        fan_in = x.shape[-1] * (KERNEL**2 if layer <= maps else 1)
        kernel_init, bias_init = initializers_for(model.initializer, fan_in)
        if model.output_bias and layer == len(model.widths):
            bias_init = shifted(bias_init, model.output_bias)
        affine = Conv if layer <= maps else nn.Dense
        h = affine(width, kernel_init=kernel_init, bias_init=bias_init, name=affine_name(model, layer))(x)
        if layer in model.batch_norm:
            h = TorchBatchNorm(name=f"norm{layer}")(h, train=train)
        pre_activations[f"layer{layer}"] = h
        x = Activate(model.choices, name=f"activation{layer}")(h, which[layer - 1], train=train)
        x = after_activation(x, layer) if maps else x
    return x, pre_activations


def convolutions(model: MLP | LeNet) -> int:
    """How many layers of a network, its first ones, are convolutions."""
    return CONVOLUTIONS if isinstance(model, LeNet) else 0


def affine_name(model: MLP | LeNet, layer: int) -> str:
    """The name under which the parameters of layer number `layer` (from 1) have kernel and bias."""
    return f"conv{layer}" if layer <= convolutions(model) else f"dense{layer}"
