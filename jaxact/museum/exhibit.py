"""What a case of the museum is: a network that is ill, why, what cures it, and a healthy twin."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxact.diagnosis import Diagnosis, diagnose


class Specimen(NamedTuple):
    """A network with its data, ready to be diagnosed or trained.

    Attributes:
        apply_fn: (variables, batch) → outputs.
        variables: its parameters, {"Dense_0": {"kernel": …, "bias": …}, …}.
        batch: inputs [examples, features].
        labels: class numbers or targets [examples].
        loss: (outputs, labels) → number; what training lowers.
        rate: learning rate of gradient descent.
        told: whether the diagnosis is told that learning rate.
    """

    apply_fn: Callable[[Any, Array], Array]
    variables: Any
    batch: Array
    labels: Array
    loss: Callable[[Array, Array], Array]
    rate: float = 0.1
    told: bool = False

    def diagnose(self) -> Diagnosis:
        """What `jaxact.diagnose` says of it; labels are class numbers or stay away."""
        classes = self.labels if jnp.issubdtype(self.labels.dtype, jnp.integer) else None
        optimizer = self.rate if self.told else None
        return diagnose(self.apply_fn, self.variables, self.batch, classes, optimizer=optimizer)

    def train(self, steps: int) -> tuple[Any, Float[Array, " losses"]]:
        """Gradient descent on the whole batch; the variables after it and the loss before each step and at the end."""
        return descend(self.apply_fn, self.loss, steps)(self.variables, self.batch, self.labels, self.rate)


class Exhibit(NamedTuple):
    """One exhibit.

    Attributes:
        name: what it is called.
        symptom: what people saw.
        kind: kind of the verdict that is right.
        layer: its layer; "" where it is about none.
        reason: why, with the number behind it.
        remedy: what cures it.
        ill: the network.
        cure: what makes another specimen of an ill one, healthy.
        twin: a network like it that never was ill.
    """

    name: str
    symptom: str
    kind: str
    layer: str
    reason: str
    remedy: str
    ill: Specimen
    cure: Callable[[Specimen], Specimen]
    twin: Specimen


@lru_cache(maxsize=32)
def descend(apply_fn: Callable[..., Array], loss: Callable[[Array, Array], Array], steps: int) -> Callable[..., Any]:
    """Compiled gradient descent, (variables, batch, labels, rate) → (variables, losses [steps + 1])."""

    def of_batch(variables: Any, batch: Array, labels: Array) -> Array:
        return loss(apply_fn(variables, batch), labels)

    @jax.jit
    def run(variables: Any, batch: Array, labels: Array, rate: Array | float) -> tuple[Any, Array]:
        def step(variables: Any, _: None) -> tuple[Any, Array]:
            value, slope = jax.value_and_grad(of_batch)(variables, batch, labels)
            return jax.tree.map(lambda leaf, own: leaf - rate * own, variables, slope), value

        variables, losses = jax.lax.scan(step, variables, None, length=steps)
        return variables, jnp.append(losses, of_batch(variables, batch, labels))

    return run
