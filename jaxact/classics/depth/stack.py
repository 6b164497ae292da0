"""A stack of equally wide layers as arrays: parameters, initialisation and the forward pass, scanned over depth."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from jaxact import activations as catalogue
from jaxact.models import initializers_for
from jaxact.theory import Init

_HEAD = 2**31 - 1  # the read-out's fold, beyond every layer's


class Stack(NamedTuple):
    """Parameters; kernels are [inputs, units].

    h^1 = W^1 x + b^1, h^l = W^l φ(h^(l−1)) + b^l, logits = V φ(h^L) + c.

    Attributes:
        first_kernel, first_bias: W^1, b^1.
        kernels, biases: W^2 … W^L, b^2 … b^L, depth − 1 of them.
        head_kernel, head_bias: V, c, the linear read-out.
    """

    first_kernel: Float[Array, "*batch features units"]
    first_bias: Float[Array, "*batch units"]
    kernels: Float[Array, "*batch rest units units"]
    biases: Float[Array, "*batch rest units"]
    head_kernel: Float[Array, "*batch units classes"]
    head_bias: Float[Array, "*batch classes"]


class Phis:
    """Several elementwise activations, of which an index picks one: one compilation serves them all.

    Learnable parameters are held at their start values and random slopes at their mean.
    """

    def __init__(self, names: Sequence[str]) -> None:
        """Look the activations up.

        Args:
            names: catalogue names.

        Raises:
            ValueError: no name, an unknown one, or one that is not elementwise.
        """
        if not names:
            raise ValueError("names is empty: name at least one activation, e.g. relu")
        self.entries = [catalogue.get(name) for name in names]
        for entry in self.entries:
            if entry.kind != "elementwise":
                raise ValueError(f"activation {entry.spec!r} acts along an axis: a stack needs an elementwise one")

    def __call__(self, h: Float[Array, "..."], which: Int[Array, ""] | int) -> Float[Array, "..."]:
        """φ(h) of the chosen activation."""
        # Only h is kept for the backward pass, not the intermediates of every branch.
        return jax.checkpoint(self._switch)(h, jnp.asarray(which))

    def slope(self, h: Float[Array, "..."], which: Int[Array, ""] | int) -> Float[Array, "..."]:
        """φ'(h) of the chosen activation."""
        return catalogue.derivative(self._switch)(h, jnp.asarray(which))

    def largest_slope(self, which: Int[Array, ""] | int) -> Float[Array, ""]:
        """Supremum of |φ'| of the chosen activation."""
        return jnp.asarray([entry.lipschitz for entry in self.entries], dtype=float)[jnp.asarray(which)]

    def _switch(self, h: Float[Array, "..."], which: Int[Array, ""]) -> Float[Array, "..."]:
        if len(self.entries) == 1:
            return self.entries[0](h)
        return jax.lax.switch(which, [lambda x, entry=entry: entry(x) for entry in self.entries], h)


def sample_layer(
    key: Key[Array, ""], init: str | Init, fan_in: int, fan_out: int
) -> tuple[Float[Array, "inputs units"], Float[Array, " units"]]:
    """Draw a layer's kernel and bias.

    Args:
        key: typed PRNG key.
        init: an initialiser's name (`models.initializers_for`), or variances for normal ones: w ~ N(0, σ_w²/fan_in),
            b ~ N(0, σ_b²).
        fan_in: inputs.
        fan_out: units.

    Raises:
        ValueError: an unknown name.
    """
    kernel_key, bias_key = jax.random.split(key)
    if isinstance(init, str):
        kernel_init, bias_init = initializers_for(init, fan_in)
        return kernel_init(kernel_key, (fan_in, fan_out), float), bias_init(bias_key, (fan_out,), float)
    weight_sd, bias_sd = (init.weight_variance / fan_in) ** 0.5, init.bias_variance**0.5
    return weight_sd * jax.random.normal(kernel_key, (fan_in, fan_out)), bias_sd * jax.random.normal(
        bias_key, (fan_out,)
    )


def init_stack(key: Key[Array, ""], init: str | Init, features: int, units: int, depth: int, classes: int) -> Stack:
    """Draw a stack. Its read-out is always lecun_normal, so that stacks differ in their hidden layers only.

    Args:
        key: typed PRNG key.
        init: as in `sample_layer`, for every hidden layer.
        features: inputs of the first layer.
        units: width of every hidden layer.
        depth: number of hidden layers.
        classes: outputs.

    Raises:
        ValueError: an unknown name, or no layer.
    """
    _check_depth(depth)
    keys = jax.vmap(lambda layer: jax.random.fold_in(key, layer))(jnp.arange(depth))
    kernel, bias = sample_layer(keys[0], init, features, units)
    kernels, biases = jnp.zeros((0, units, units)), jnp.zeros((0, units))
    if depth > 1:
        kernels, biases = jax.lax.map(lambda k: sample_layer(k, init, units, units), keys[1:])
    head = sample_layer(jax.random.fold_in(key, _HEAD), "lecun_normal", units, classes)
    return Stack(kernel, bias, kernels, biases, *head)


def draw_stacks(
    keys: Key[Array, " networks"], init: str | Init, features: int, units: int, depth: int, classes: int
) -> Stack:
    """Draw the stack of every key, as `init_stack`, layer by layer: not to be traced.

    One small program per shape compiles in a tenth of the time of a whole stack, and serves every depth.

    Args:
        keys: typed PRNG keys, one per network.
        init: as in `sample_layer`, for every hidden layer.
        features: inputs of the first layer.
        units: width of every hidden layer.
        depth: number of hidden layers.
        classes: outputs.

    Raises:
        ValueError: an unknown name, or no layer.
    """
    _check_depth(depth)
    sample = _named_layer if isinstance(init, str) else _normal_layer

    def draw(key: Key[Array, ""]) -> Stack:
        first = sample(key, 0, init, features, units)
        rest = [sample(key, layer, init, units, units) for layer in range(1, depth)]
        head = _named_layer(key, _HEAD, "lecun_normal", units, classes)
        kernels, biases = zip(*jax.device_get(rest), strict=True) if rest else ((), ())
        kernels = np.array(kernels, first[0].dtype).reshape(-1, units, units)
        biases = np.array(biases, kernels.dtype).reshape(-1, units)
        return Stack(first[0], first[1], jnp.asarray(kernels), jnp.asarray(biases), head[0], head[1])

    return jax.tree.map(lambda *leaves: jnp.asarray(np.stack(leaves)), *map(draw, keys))


def _layer(
    key: Key[Array, ""], layer: Int[Array, ""] | int, init: str | Init, fan_in: int, fan_out: int
) -> tuple[Float[Array, "inputs units"], Float[Array, " units"]]:
    return sample_layer(jax.random.fold_in(key, layer), init, fan_in, fan_out)


_named_layer = jax.jit(_layer, static_argnums=(2, 3, 4))
_normal_layer = jax.jit(_layer, static_argnums=(3, 4))


def _check_depth(depth: int) -> None:
    if depth < 1:
        raise ValueError(f"depth must be at least 1, got {depth}: a stack has a hidden layer")


def prefix(stack: Stack, depth: int) -> Stack:
    """The stack's first `depth` hidden layers with its read-out; a batched stack keeps its leading axes.

    Raises:
        ValueError: the stack is not that deep, or no layer is asked for.
    """
    deepest = stack.biases.shape[-2] + 1
    if not 1 <= depth <= deepest:
        raise ValueError(f"depth {depth} is not in 1 to {deepest}, the depth of the stack: ask for fewer layers")
    return stack._replace(kernels=stack.kernels[..., : depth - 1, :, :], biases=stack.biases[..., : depth - 1, :])


def forward(
    stack: Stack, phis: Phis, which: Int[Array, ""] | int, x: Float[Array, " features"]
) -> tuple[Float[Array, " classes"], Float[Array, "depth units"]]:
    """Run one example through one stack.

    Args:
        stack: the parameters.
        phis: the activations.
        which: index of the one to use, in every layer.
        x: input.

    Returns:
        logits and the pre-activations h^1 … h^L.
    """
    first = x @ stack.first_kernel + stack.first_bias

    def layer(h: Array, parameters: tuple[Array, Array]) -> tuple[Array, Array]:
        kernel, bias = parameters
        h = phis(h, which) @ kernel + bias
        return h, h

    last, rest = jax.lax.scan(layer, first, (stack.kernels, stack.biases))
    return phis(last, which) @ stack.head_kernel + stack.head_bias, jnp.concatenate([first[None], rest])
