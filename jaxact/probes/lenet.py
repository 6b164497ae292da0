"""The probes of a `LeNet`: the fields of `jaxact.probes.Probe`, what they mean for feature maps, and how they are made.

A unit of a convolution is a channel, and every position of every example is a case: a channel is dead if φ' is exactly
0 at every position of every example, nearly dead if it is not at 1 % of them or fewer; shares are over units and cases.
`mean_square` is over all entries of a feature map; `correlation` compares feature maps position by position.
`gradient_layers` is the norm over the whole feature map, `gradient_kernels` that of the kernel that all positions
share. `dimension` is that of whole feature maps, flattened: a covariance of thousands of entries, whose eigenvalues
other than 0 are those of the matrix of scalar products of the examples, so it is below their number (1,000). `apjn` is
exact, its n_L the number of entries of the feature map. `certified_dead` holds for every input of the window.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxact.models import LeNet
from jaxact.probes.certificate import gradient_coherence
from jaxact.probes.dimension import participation_ratio
from jaxact.probes.gradients import loss_gradients
from jaxact.probes.jacobians import jacobian
from jaxact.probes.lenet_network import lenet_apjn, lenet_network
from jaxact.probes.network import Affine, Layer, Network, Nonlinearity, kernels_of

CHUNK = 50
"""Examples at a time: the patches of a chunk should stay in cache."""


def looks(
    model: LeNet, variables: Any, which: Array, affine: tuple[Affine, ...], phis: list[Nonlinearity], jacobians: int
) -> tuple[Callable[[Array], list[Layer]], Callable[[Array, Array], dict[str, Array]]]:
    """As of `dense.looks`; the images are flat."""

    def network_of(params: Any) -> Network:
        return lenet_network(model, {**variables, "params": params}, which)

    def forward(rows: Array) -> list[Layer]:
        hidden = network_of(variables["params"])(rows, {})[1]
        return [Layer(h, *phi.value_and_slope(h)) for h, phi in zip(hidden.values(), phis, strict=True)]

    def look(images: Array, labels: Array) -> dict[str, Array]:
        gradients = loss_gradients(network_of, variables["params"], images, labels, chunk=CHUNK)
        kernels = kernels_of(model, gradients.params)
        return {
            "gradient_layers": gradients.layers,
            "gradient_kernels": jnp.stack([jnp.sqrt(jnp.sum(kernel**2)) for kernel in kernels]),
            "coherence": gradient_coherence(kernels[-1]),
            "dimension": _dimensions(forward, images),
            **_jacobians(model, variables, which, images[:jacobians]),
        }

    return forward, look


def _dimensions(forward: Callable[[Array], list[Layer]], images: Array) -> Float[Array, " layers"]:
    def outputs(image: Array) -> list[Array]:
        return [layer.value.ravel() for layer in forward(image)]

    def of_layer(rows: Float[Array, "examples entries"]) -> Array:
        centred = rows - rows.mean(0)[None, :]
        small = centred.shape[1] < len(centred)
        products = centred.T @ centred if small else centred @ centred.T  # the same eigenvalues but for zeros
        return participation_ratio(products / len(rows))

    every = jax.lax.map(outputs, images, batch_size=min(CHUNK, len(images)))
    return jnp.stack([of_layer(rows) for rows in every])


def _jacobians(model: LeNet, variables: Any, which: Array, images: Array) -> dict[str, Array]:
    network = lenet_network(model, variables, which)

    def of_example(x: Array) -> tuple[Array, Array]:
        matrix = jacobian(lambda x: network(x, {})[0], x)
        values = jnp.linalg.svd(matrix, compute_uv=False)
        return lenet_apjn(model, variables, which, x), values

    apjn, values = jax.lax.map(of_example, images)
    return {"apjn": apjn.mean(0), "singular_values": jnp.median(values, axis=0)}
