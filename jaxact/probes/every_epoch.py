"""What is looked at in every network at initialisation and after every epoch: unit health, gradients, Jacobians.

Pure functions of one member, run on the device between epochs like the evaluation; batch norm is in evaluation mode.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxact import activations as catalogue
from jaxact.models import MLP, LeNet
from jaxact.probes import dense, lenet
from jaxact.probes.certificate import interval_bounds
from jaxact.probes.chunks import sum_over_chunks
from jaxact.probes.network import Affine, Layer, kernels_of, mlp_affine, mlp_nonlinearities, per_unit
from jaxact.probes.units import SATURATION_SHARE, count_states, layer_health

GRADIENT_EXAMPLES, JACOBIAN_EXAMPLES = 1000, 16
Score = Callable[[Array, Any], Any]


class Probe(NamedTuple):
    """One network at one time. Layers are in order, first layer first; units of all layers lie one after another.

    `negative` to `correlation` are over the whole test set, `gradient_layers` to `dimension` over the first 1,000
    training examples and their mean cross-entropy ℓ, `apjn` and `singular_values` over the first 16 of these. What they
    mean for feature maps, where a unit is a channel, `jaxact.probes.lenet` says.

    Attributes:
        negative: share of negative pre-activations.
        saturated: share of pre-activations where |φ'| is below 5 % of its supremum.
        sparsity: share of outputs that are exactly 0.
        broken: share of pre-activations that are NaN or infinite.
        dead: per unit, φ' is exactly 0 for every example (ReLU: never positive).
        nearly_dead: number of units active for at most 1 % of the examples, but for some.
        never_positive: number of units whose pre-activation is never above 0, whatever the activation.
        output_negative: per output unit, share of negative pre-activations.
        mean_square: q = E[h²], over units and examples.
        correlation: c = Σ_i E[h_i]²/Σ_i E[h_i²], the mean over pairs of different examples of ⟨h, h'⟩/n, over q.
        gradient_layers: √E‖∂ℓ/∂h^l‖² over examples.
        gradient_kernels: ‖∂L/∂W^l‖_F of the mean loss L.
        coherence: per output unit, share of its weight gradients with the more frequent sign.
        dimension: participation ratio of the covariance of the layer's outputs.
        apjn: (1/n_L)‖∂h^L/∂h^l‖_F² at [L, l], mean over examples.
        singular_values: of ∂logits/∂x, largest first, median over examples.
        negative_weights: number of negative kernel entries.
        certified_dead: number of units that cannot be positive for any input within the range of the activation before
            (the first layer's inputs are unbounded, so none there).
    """

    negative: Float[Array, "*ensemble layers"]
    saturated: Float[Array, "*ensemble layers"]
    sparsity: Float[Array, "*ensemble layers"]
    broken: Float[Array, "*ensemble layers"]
    dead: Bool[Array, "*ensemble units"]
    nearly_dead: Int[Array, "*ensemble layers"]
    never_positive: Int[Array, "*ensemble layers"]
    output_negative: Float[Array, "*ensemble classes"]
    mean_square: Float[Array, "*ensemble layers"]
    correlation: Float[Array, "*ensemble layers"]
    gradient_layers: Float[Array, "*ensemble layers"]
    gradient_kernels: Float[Array, "*ensemble layers"]
    coherence: Float[Array, "*ensemble classes"]
    dimension: Float[Array, "*ensemble layers"]
    apjn: Float[Array, "*ensemble layers layers"]
    singular_values: Float[Array, "*ensemble values"]
    negative_weights: Int[Array, "*ensemble layers"]
    certified_dead: Int[Array, "*ensemble layers"]


def make_probe(model: MLP | LeNet, score: Score | None = None) -> Callable[..., Any]:
    """The probe of one member: (variables, which, test images, training images, training labels) → `Probe`.

    Args:
        model: the architecture; `variables` has its `params` and `batch_stats`.
        score: (outputs [n, classes], labels [n]) → sums over these examples, to be had from the same pass over the test
            set: the probe then takes the pair (test images, test labels) and returns (`Probe`, sums over the set).
    """
    ranges = np.array([catalogue.get(name).range or (-np.inf, np.inf) for name in model.choices], np.float32)
    if isinstance(model, LeNet):
        looks, chunk = partial(lenet.looks, model), lenet.CHUNK
    else:
        looks, chunk = partial(dense.looks, model), dense.CHUNK

    def probe(
        variables: Any,
        which: Int[Array, " layers *halves"],
        test: Any,
        images: Float[Array, "examples features"],
        labels: Int[Array, " examples"],
    ) -> Any:
        images, labels = images[:GRADIENT_EXAMPLES], labels[:GRADIENT_EXAMPLES]
        affine = mlp_affine(model, variables)
        phis = list(mlp_nonlinearities(model, variables, which).values())
        forward, look = looks(variables, which, affine, phis, JACOBIAN_EXAMPLES)
        thresholds = [SATURATION_SHARE * phi.steepest for phi in phis]
        states, scores = over_test_set(forward, thresholds, test, score, chunk)
        found = Probe(
            **states,
            **look(images, labels),
            negative_weights=jnp.stack([(kernel < 0).sum() for kernel in kernels_of(model, variables["params"])]),
            certified_dead=certified(affine, jnp.asarray(ranges)[which]),
        )
        return (found, scores) if score else found

    return probe


def over_test_set(
    forward: Callable[[Array], list[Layer]],
    thresholds: list[Any],
    test: Any,
    score: Score | None = None,
    chunk: int = dense.CHUNK,
) -> tuple[dict[str, Array], Any]:
    """The fields of a `Probe` from `negative` to `correlation`, and the sums of `score` (see `make_probe`) or None.

    Args:
        forward: a batch of images → its layers, first layer first.
        thresholds: per layer, the |φ'| below which a pre-activation is saturated.
        test: the images of the test set; with a score the pair of images and labels.
        score: see `make_probe`.
        chunk: examples at a time.
    """
    images, labels = test if score else (test, None)

    def of_chunk(rows: tuple[Array, Array | None]) -> Any:
        layers = forward(rows[0])
        cases = [Layer(*(part.reshape(-1, part.shape[-1]) for part in layer)) for layer in layers]
        counts = [count_states(*parts, limit) for parts, limit in zip(cases, thresholds, strict=True)]
        moments = [(layer.h.sum(0), (layer.h**2).sum(0)) for layer in layers]
        return counts, moments, score(layers[-1].value, rows[1]) if score else None

    counts, moments, scores = sum_over_chunks(of_chunk, (images, labels), chunk)
    layers = [layer_health(count) for count in counts]
    squares = jnp.stack([square.mean() for _, square in moments]) / len(images)
    common = jnp.stack([jnp.mean((total / len(images)) ** 2) for total, _ in moments])
    states = {
        "negative": jnp.stack([layer.negative for layer in layers]),
        "saturated": jnp.stack([layer.saturated for layer in layers]),
        "sparsity": jnp.stack([layer.sparsity for layer in layers]),
        "broken": jnp.stack([layer.broken for layer in layers]),
        "dead": jnp.concatenate([layer.dead for layer in layers]),
        "nearly_dead": jnp.stack([layer.nearly_dead.sum() for layer in layers]),
        "never_positive": jnp.stack([layer.never_positive.sum() for layer in layers]),
        "output_negative": counts[-1].negative / counts[-1].cases,
        "mean_square": squares,
        "correlation": common / jnp.where(squares == 0, 1, squares),
    }
    return states, scores


def certified(affine: tuple[Affine, ...], ranges: Float[Array, "layers *halves 2"]) -> Int[Array, " layers"]:
    """`Probe.certified_dead`; a window's inputs are taken position by position, each with the range of its channel."""
    counts = [jnp.asarray(0)]
    for (_, before), (kernel, bias), limits in zip(affine[:-1], affine[1:], ranges[:-1], strict=True):
        matrix = kernel.reshape(-1, len(bias))
        lower, upper = (_per_input(limits[..., end], len(before), len(matrix)) for end in (0, 1))
        _, highest = interval_bounds(matrix, bias, lower, upper)
        counts.append((highest <= 0).sum())
    return jnp.stack(counts)


def _per_input(limit: Float[Array, "*halves"], units: int, inputs: int) -> Float[Array, "*inputs"]:
    spread = per_unit(limit, units)
    return jnp.tile(spread, inputs // units) if spread.ndim else spread
