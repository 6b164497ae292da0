"""How well a stack of a given depth trains within a fixed budget, and its layers before and after."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxact import metrics
from jaxact.classics.depth.gradients import Profile, profile
from jaxact.classics.depth.stack import Phis, Stack, forward
from jaxact.training import TrainState, make_epoch


class TrainedStack(NamedTuple):
    """What a training leaves of one member.

    Attributes:
        loss: mean training loss per epoch, each batch before its own update, nats; not finite once diverged.
        train_accuracy: share of the training set classified rightly in the last epoch, likewise.
        test_accuracy: share of the test set classified rightly at the end.
        before, after: the layers on the probe examples.
    """

    loss: Float[Array, "*ensemble epochs"]
    train_accuracy: Float[Array, "*ensemble"]
    test_accuracy: Float[Array, "*ensemble"]
    before: Profile
    after: Profile


def make_member(phis: Phis, epochs: int, batch_size: int, probes: int) -> Callable[..., TrainedStack]:
    """The training of one stack by plain stochastic gradient descent.

    Args:
        phis: the activations.
        epochs: passes over the training set.
        batch_size: examples per step; a last, smaller batch is a step of its own.
        probes: number of training examples, the first ones, on which the layers are measured.

    Returns:
        (stack, which, learning_rate, seed, images, labels, test_images, test_labels) → what it leaves.
    """

    def losses_of(stack: Stack, which: Array, images: Array, labels: Array) -> tuple[Array, Array]:
        logits, _ = jax.vmap(lambda x: forward(stack, phis, which, x))(images)
        return jax.vmap(metrics.cross_entropy)(logits, labels), jax.vmap(metrics.is_correct)(logits, labels)

    def member(
        stack: Stack,
        which: Int[Array, ""],
        learning_rate: Float[Array, ""],
        seed: Int[Array, ""],
        images: Float[Array, "n features"],
        labels: Int[Array, " n"],
        test_images: Float[Array, "m features"],
        test_labels: Int[Array, " m"],
    ) -> TrainedStack:
        def objective(stack: Stack, which: Array, images: Array, labels: Array) -> tuple[Array, tuple[Array, Array]]:
            losses, correct = losses_of(stack, which, images, labels)
            return losses.mean(), (losses.sum(), correct.sum())

        def step(state: TrainState, which: Array, images: Array, labels: Array, key: Array) -> tuple[TrainState, tuple]:
            gradients, sums = jax.grad(objective, has_aux=True)(state.params, which, images, labels)
            moved = jax.tree.map(lambda p, g: p - learning_rate * g, state.params, gradients)
            return state._replace(params=moved), sums

        epoch = make_epoch(step, batch_size)
        look = images[:probes], labels[:probes]

        def pass_over(state: TrainState, number: Array) -> tuple[TrainState, tuple[Array, Array]]:
            state, info = epoch(state, seed, which, number, images, labels)
            return state, (info.loss, info.accuracy)

        end, (loss, accuracy) = jax.lax.scan(pass_over, TrainState(stack, (), ()), jnp.arange(epochs))
        _, correct = losses_of(end.params, which, test_images, test_labels)
        # Mapped rather than written twice, which would compile twice.
        both = jax.tree.map(lambda *leaves: jnp.stack(leaves), stack, end.params)
        profiles = jax.lax.map(lambda state: profile(state, phis, which, *look), both)
        before, after = (Profile(*(column[i] for column in profiles)) for i in (0, 1))
        return TrainedStack(loss, accuracy[-1], correct.mean(), before, after)

    return member
