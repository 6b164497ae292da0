"""The Jacobians of an `MLP` over a data set, reduced as they are made."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxact.models import MLP
from jaxact.probes.chain import input_output, layer_norms, mlp_chain
from jaxact.probes.chunks import check_examples
from jaxact.probes.partial_norms import chain_apjn


class Propagation(NamedTuple):
    """What is kept of the Jacobians of every example.

    Attributes:
        singular_values: of ∂logits/∂x, largest first (`summarise_spectrum` has condition and effective rank).
        layer_norms: ‖∂x^l/∂x^(l−1)‖_F² per layer.
        apjn: (1/n_L) ‖∂h^L/∂h^l‖_F² at [L, l].
    """

    singular_values: Float[Array, "examples values"]
    layer_norms: Float[Array, "examples layers"]
    apjn: Float[Array, "examples layers layers"]


def probe(
    model: MLP,
    variables: Any,
    which: Int[Array, " layers *halves"],
    images: Float[Array, "examples features"],
    *,
    chunk: int = 100,
) -> Propagation:
    """Exact Jacobians of one network at every example, `chunk` of them in memory at a time.

    Over seeds and epochs (variables with a leading axis): `lax.map` on a CPU, `vmap` on an accelerator. Batch norm
    uses the statistics in `variables`, as constants: see `full_batch_statistics`.

    Args:
        model: the architecture.
        variables: of one network.
        which: one index into `model.choices` per layer.
        images: the examples.
        chunk: examples at a time; the largest matrix of one of them is that between the two widest hidden layers.

    Raises:
        ValueError: no examples, or a chunk below 1.
    """
    examples = check_examples(images, chunk)

    def one(x: Array) -> tuple[Array, Array, Array]:
        chain = mlp_chain(model, variables, which, x)
        return input_output(chain), layer_norms(chain), chain_apjn(chain)

    matrices, norms, apjn = jax.lax.map(one, images, batch_size=min(chunk, examples))
    # One at a time on a CPU: LAPACK's batched form waits for the threads that other devices' batches hold (deadlock).
    together = 1 if jax.default_backend() == "cpu" else min(chunk, examples)
    values = jax.lax.map(lambda matrix: jnp.linalg.svd(matrix, compute_uv=False), matrices, batch_size=together)
    return Propagation(values, norms, apjn)
