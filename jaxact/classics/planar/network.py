"""The course's network as pure functions: hidden layers, one sigmoid output, binary cross-entropy."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from jaxact.activations import Activation
from jaxact.classics.planar.plan import INITS


class Params(NamedTuple):
    """What is learned.

    Attributes:
        weights: one [outputs, inputs] matrix per layer, the output layer last.
        biases: one [outputs] vector per layer.
        thetas: the learnable parameters of the activation, one vector per hidden layer (empty for most).
    """

    weights: Any
    biases: Any
    thetas: Any


@jax.custom_jvp
def sigmoid_wrong_derivative(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """σ(x) with the derivative σ(a)(1 − σ(a)) at a = σ(x): σ applied once too often; right is a(1 − a)."""
    return jax.nn.sigmoid(x)


@sigmoid_wrong_derivative.defjvp
def _wrong_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    a = jax.nn.sigmoid(primals[0])
    twice = jax.nn.sigmoid(a)
    return a, twice * (1 - twice) * tangents[0]


def draw_params(seed: int, hidden: tuple[int, ...], activation: Activation, init: str = "course") -> Params:
    """Initial parameters from NumPy's legacy stream, so that seed 2 gives the course's own to the last bit.

    Args:
        seed: of `numpy.random.RandomState`; the matrices are drawn from the first layer to the last.
        hidden: units of each hidden layer.
        activation: of the hidden units; its learnable parameters begin at their start values.
        init: weights 0.01·randn (`course`) or randn/√fan_in (`lecun`); biases are 0.

    Returns:
        Parameters as float64 NumPy arrays.

    Raises:
        ValueError: an unknown init, or a layer without units.
    """
    if init not in INITS:
        raise ValueError(f"init must be one of {', '.join(INITS)}, got {init!r}")
    if any(units < 1 for units in hidden):
        raise ValueError(f"hidden layers must have at least 1 unit, got {list(hidden)}")
    rng, sizes = np.random.RandomState(seed), (2, *hidden, 1)
    shapes = list(zip(sizes[1:], sizes[:-1], strict=True))
    scales = [0.01 if init == "course" else fan_in**-0.5 for _, fan_in in shapes]
    weights = tuple(rng.randn(*shape) * scale for shape, scale in zip(shapes, scales, strict=True))
    return Params(weights, tuple(np.zeros(n) for n in sizes[1:]), tuple(np.array(activation.start) for _ in hidden))


def logits(
    params: Params, activation: Activation, inputs: Float[Array, "points 2"], key: Key[Array, ""] | None = None
) -> Float[Array, " points"]:
    """The output before its sigmoid: z = w·φ(… φ(W₁x + b₁) …) + b.

    Args:
        params: of one network.
        activation: φ.
        inputs: the points.
        key: for random activations in training; None is test mode.

    Returns:
        Log-odds of class 1, in nats; the predicted class is z > 0.
    """
    x = inputs.T  # units by points: the long axis last is what the CPU's vector units like
    for layer, theta in enumerate(params.thetas):
        h = params.weights[layer] @ x + params.biases[layer][:, None]
        x = activation(h, theta, None if key is None else jax.random.fold_in(key, layer))
    return params.weights[-1][0] @ x + params.biases[-1][0]


def cost(
    params: Params,
    activation: Activation,
    inputs: Float[Array, "points 2"],
    labels: Int[Array, " points"],
    key: Key[Array, ""] | None = None,
) -> Float[Array, ""]:
    """Mean binary cross-entropy −[y log σ(z) + (1 − y) log(1 − σ(z))] = log(1 + eᶻ) − yz over the points, in nats.

    Args:
        params: of one network.
        activation: φ of the hidden units.
        inputs: the points.
        labels: class 0 or 1.
        key: as for `logits`.
    """
    z = logits(params, activation, inputs, key)
    return jnp.mean(jax.nn.softplus(z) - labels * z)
