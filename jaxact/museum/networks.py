"""The networks and the data that the cases are made of: small, drawn by NumPy from a seed, offline."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

EXAMPLES, FEATURES, CLASSES = 128, 20, 10
WIDTHS = (FEATURES, 32, 32, CLASSES)
HE, LECUN = 2.0, 1.0


def dense(variables: Any, x: Array) -> Array:
    """The affine map x ↦ x W + b."""
    return x @ variables["kernel"] + variables["bias"][None]


def classifier(variables: Any, x: Array) -> Array:
    """Three dense layers, a ReLU behind the first two; logits."""
    for name in ("Dense_0", "Dense_1"):
        x = jax.nn.relu(dense(variables[name], x))
    return dense(variables["Dense_2"], x)


def regressor(variables: Any, x: Array) -> Array:
    """A hidden layer with ReLU and a linear output."""
    return dense(variables["Dense_1"], jax.nn.relu(dense(variables["Dense_0"], x)))


def rectified_regressor(variables: Any, x: Array) -> Array:
    """The same with a ReLU behind the output too."""
    return jax.nn.relu(regressor(variables, x))


def draw(seed: int, widths: Sequence[int] = WIDTHS, gain: float = HE) -> dict[str, Any]:
    """Kernels N(0, gain/fan-in) and biases 0, named as Flax names them."""
    rng = np.random.default_rng(seed)
    layers = {}
    for index, (inputs, units) in enumerate(zip(widths[:-1], widths[1:], strict=True)):
        kernel = rng.normal(size=(inputs, units)) * (gain / inputs) ** 0.5
        layers[f"Dense_{index}"] = {"kernel": jnp.asarray(kernel, jnp.float32), "bias": jnp.zeros(units)}
    return layers


def changed(variables: Any, layer: str, part: str, change: Callable[[Array], Array]) -> Any:
    """The variables with one parameter of one layer changed."""
    return variables | {layer: variables[layer] | {part: change(variables[layer][part])}}


def clusters(seed: int, classes: int = CLASSES) -> tuple[Float[Array, "examples features"], Int[Array, " examples"]]:
    """Standardised points around one centre per class, and the class numbers from 0."""
    rng = np.random.default_rng(seed)
    labels = np.arange(EXAMPLES) % classes
    points = rng.normal(size=(classes, FEATURES))[labels] + 0.5 * rng.normal(size=(EXAMPLES, FEATURES))
    points = (points - points.mean(0)) / points.std(0)
    return jnp.asarray(points, jnp.float32), jnp.asarray(labels)


def cross_entropy(outputs: Array, labels: Array) -> Array:
    """Mean softmax cross-entropy in nats through one-hot labels, which are all 0 for a number beyond the classes."""
    wanted = jax.nn.one_hot(labels, outputs.shape[-1])
    return -jnp.mean(jnp.sum(wanted * jax.nn.log_softmax(outputs), axis=-1))


def squared_error(outputs: Array, targets: Array) -> Array:
    """Mean squared error of one output."""
    return jnp.mean((outputs[:, 0] - targets) ** 2)
