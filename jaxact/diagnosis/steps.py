"""What one step of an optimiser on the batch does to the network: the learning rate that kills it.

The limits:

* A layer is killed if the step takes its share of dead units from at most ½ to more (0.9 for under 32 examples), the
  limits of `diagnosis.verdicts`.
* `RISE` 1 nat: the loss of the very batch, after the step, over what it was before or ln K, whichever is more. A step
  that is too long by half raises it by far less.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxact.diagnosis.measure import with_leaves
from jaxact.diagnosis.verdicts import CERTAINLY_DEAD, DEAD_SHARE, FEW_EXAMPLES, LayerReport, Verdict, finding

RISE = 1.0


class Stepped(NamedTuple):
    """A network after one step.

    Attributes:
        leaves: of its variables.
        ratios: ‖ΔW‖/‖W‖ of every leaf; NaN for what did not move, has no entries but 0 or is no parameter.
    """

    leaves: list[Array]
    ratios: list[float]


def check_optimizer(optimizer: Any, labels: Any) -> None:
    """Raises a ValueError for what is neither an optimiser nor a learning rate, and for one without labels."""
    if optimizer is None:
        return
    number = isinstance(optimizer, int | float) and not isinstance(optimizer, bool)
    known = number or all(callable(getattr(optimizer, part, None)) for part in ("init", "update"))
    if not known or (number and not 0 < optimizer < math.inf):
        raise ValueError(
            f"optimizer is {optimizer!r}: give an Optax optimiser, or the learning rate of gradient descent above 0"
        )
    if labels is None:
        raise ValueError("optimizer needs labels: its step is one of the cross-entropy, give labels or leave it out")


def loss_and_slopes(
    outputs: Callable[..., Array], parameters: tuple[int, ...], leaves: list[Array], images: Any, labels: Array
) -> tuple[Float[Array, ""], list[Array]]:
    """The mean cross-entropy of the batch and its gradient by the parameters, some of the leaves."""

    def loss(some: list[Array]) -> Array:
        logits = outputs(with_leaves(leaves, list(parameters), some), images)
        scores = jax.nn.log_softmax(logits.astype(jnp.float32))
        return -jnp.mean(jnp.take_along_axis(scores, labels[:, None], axis=1))

    return jax.value_and_grad(loss)([leaves[index] for index in parameters])


def stepped(
    optimizer: Any, structure: Any, parameters: tuple[int, ...], leaves: list[Array], slopes: list[Array]
) -> Stepped:
    """The leaves after one step of an optimiser from its first state, or of gradient descent at a rate.

    Args:
        optimizer: an Optax optimiser, or the rate.
        structure: of the variables, which an optimiser may tell apart by name.
        parameters: which of the leaves are parameters.
        leaves: of the variables.
        slopes: the gradient by the parameters.

    Raises:
        ValueError: the optimiser cannot take such a step.
    """
    some = [leaves[index] for index in parameters]

    def moves(slopes: list[Array], some: list[Array]) -> list[Array]:
        if isinstance(optimizer, int | float):
            return [-optimizer * slope for slope in slopes]
        every = with_leaves(list(map(jnp.zeros_like, leaves)), list(parameters), slopes)
        own = _collection(structure, with_leaves(leaves, list(parameters), some))
        moved = optimizer.update(_collection(structure, every), optimizer.init(own), own)[0]
        found = jax.tree.leaves(_with_collection(structure, every, moved))
        return [found[index] for index in parameters]

    try:
        changes = jax.jit(moves)(slopes, some)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        text = str(error).splitlines()[0]
        raise ValueError(f"the optimizer cannot take its first step ({text}): give another, or leave it out") from error
    ratios = [math.nan] * len(leaves)
    for index, leaf, change in zip(parameters, some, changes, strict=True):
        before, moved = (float(np.linalg.norm(np.asarray(array, np.float64))) for array in (leaf, change))
        ratios[index] = moved / before if before > 0 else math.nan
    return Stepped(with_leaves(leaves, list(parameters), [a + b for a, b in zip(some, changes, strict=True)]), ratios)


def step_checks(
    layers: Sequence[LayerReport],
    dead: Sequence[float],
    losses: tuple[float, float],
    classes: int,
    examples: int,
) -> list[Verdict]:
    """What one step kills or breaks.

    Args:
        layers: before the step, with `update`, the ratio of the step to the kernel.
        dead: share of dead units of each after it.
        losses: mean cross-entropy before and after it.
        classes: their number.
        examples: size of the batch.
    """
    limit = DEAD_SHARE if examples >= FEW_EXAMPLES else CERTAINLY_DEAD
    for layer, share in zip(layers, dead, strict=True):
        if layer.dead <= limit < share and not layer.saturates:
            text = (
                f"one step of the optimiser takes the dead units of {layer.name} from {layer.dead:.0%} to {share:.0%}"
            )
            return [finding("large step", layer.name, share, limit, f"{text}; {_words(layer)}")]
    most = max(layers, key=lambda layer: -math.inf if math.isnan(layer.update) else layer.update)
    limit = max(losses[0], math.log(classes)) + RISE
    if not losses[1] <= limit:  # NaN too
        text = f"one step of the optimiser takes the loss of its own batch from {losses[0]:.4g} to {losses[1]:.4g}"
        return [finding("large step", most.name, losses[1], limit, f"{text}; {_words(most)}")]
    return []


def _words(layer: LayerReport) -> str:
    if math.isnan(layer.update):
        return f"the kernel of {layer.name} was 0 before it"
    return f"it changes the kernel of {layer.name} by {layer.update:.2g} of its size, where 0.001 to 0.01 is usual"


def _collection(structure: Any, leaves: list[Array]) -> Any:
    """What an optimiser is given in training: the collection of parameters where there is one, else all variables."""
    variables = structure.unflatten(leaves)
    return variables["params"] if _collected(variables) else variables


def _with_collection(structure: Any, leaves: list[Array], some: Any) -> Any:
    variables = structure.unflatten(leaves)
    return {**variables, "params": some} if _collected(variables) else some


def _collected(variables: Any) -> bool:
    return isinstance(variables, Mapping) and "params" in variables
