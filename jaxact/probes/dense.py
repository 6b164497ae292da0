"""How the fields of `jaxact.probes.Probe` are made for an `MLP`: in closed form, from one forward pass."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxact import metrics
from jaxact.models import MLP
from jaxact.probes.certificate import gradient_coherence
from jaxact.probes.chain import Chain, input_output
from jaxact.probes.dimension import participation_ratio
from jaxact.probes.network import Affine, Layer, Nonlinearity, kernels_of, mlp_affine
from jaxact.probes.partial_norms import chain_apjn

CHUNK = 1000
"""Test examples at a time."""


def looks(
    model: MLP, variables: Any, which: Array, affine: tuple[Affine, ...], phis: list[Nonlinearity], jacobians: int
) -> tuple[Callable[[Array], list[Layer]], Callable[[Array, Array], dict[str, Array]]]:
    """A function from a batch of images to its layers, and one from training examples to fields of a `Probe`.

    Args:
        model: the architecture.
        variables: of one network.
        which: one index into `model.choices` per layer, or two.
        affine: of `mlp_affine`.
        phis: of `mlp_nonlinearities`, first layer first.
        jacobians: of how many of the training examples the Jacobians are made.
    """

    def forward(x: Array) -> list[Layer]:
        layers = []
        for (kernel, bias), phi in zip(affine, phis, strict=True):
            h = x @ kernel + bias[None, :]
            layers.append(Layer(h, *phi.value_and_slope(h)))
            x = layers[-1].value
        return layers

    def look(images: Array, labels: Array) -> dict[str, Array]:
        layers = forward(images)
        gradients = _gradients(model, variables, layers, images, labels)
        dimension = jnp.stack([_dimension(layer.value) for layer in layers])
        return gradients | {"dimension": dimension} | _jacobians(affine, layers, jacobians)

    return forward, look


def _gradients(model: MLP, variables: Any, layers: list[Layer], images: Array, labels: Array) -> dict[str, Array]:
    affine, pull = jax.vjp(lambda params: mlp_affine(model, {**variables, "params": params}), variables["params"])
    delta = jax.vmap(jax.grad(metrics.cross_entropy))(layers[-1].value, labels) * layers[-1].slope
    deltas = [delta]
    for (kernel, _), layer in zip(affine[:0:-1], layers[-2::-1], strict=True):
        deltas.insert(0, deltas[0] @ kernel.T * layer.slope)
    inputs = [images, *(layer.value for layer in layers)]
    by_affine = tuple(
        Affine(x.T @ delta / len(images), delta.mean(0)) for x, delta in zip(inputs[:-1], deltas, strict=True)
    )
    kernels = kernels_of(model, pull(by_affine)[0])
    return {
        "gradient_layers": jnp.stack([jnp.sqrt(jnp.sum(delta**2) / len(images)) for delta in deltas]),
        "gradient_kernels": jnp.stack([jnp.sqrt(jnp.sum(kernel**2)) for kernel in kernels]),
        "coherence": gradient_coherence(kernels[-1]),
    }


def _dimension(outputs: Float[Array, "examples units"]) -> Float[Array, ""]:
    centred = outputs - outputs.mean(0)[None, :]
    return participation_ratio(centred.T @ centred / len(outputs))


def _jacobians(affine: tuple[Affine, ...], layers: list[Layer], examples: int) -> dict[str, Array]:
    kernels = tuple(kernel for kernel, _ in affine)

    def of_example(slopes: tuple[Array, ...]) -> tuple[Array, Array]:
        chain = Chain(kernels, slopes)
        values = jnp.linalg.svd(input_output(chain), compute_uv=False)
        return chain_apjn(chain), values

    apjn, values = jax.lax.map(of_example, tuple(layer.slope[:examples] for layer in layers))
    return {"apjn": apjn.mean(0), "singular_values": jnp.median(values, axis=0)}
