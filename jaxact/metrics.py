"""Loss and scores: one example in, scalar out; batch them with `vmap`. Per-class scores take counts."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

ROW = 128
"""Numbers that are added one after the other in `total`."""


def cross_entropy(logits: Float[Array, " classes"], label: Int[Array, ""]) -> Float[Array, ""]:
    """Negative log-likelihood of `label` under softmax(logits), −log softmax(z)_y, in nats.

    Source: the study's log-softmax + NLL.
    """
    return -jnp.take(jax.nn.log_softmax(logits), label)


def total(losses: Float[Array, "..."]) -> Float[Array, ""]:
    """Σ losses, in rows of `ROW` whose sums are then added.

    A compiler may add in any order, and one running sum of 10,000 float32 numbers is off in the sixth digit. The
    barrier keeps the two sums apart.
    """
    rows = -(-losses.size // ROW)
    padded = jnp.pad(losses.ravel(), (0, rows * ROW - losses.size)).reshape(rows, ROW)
    return jax.lax.optimization_barrier(padded.sum(1)).sum()


def prediction(logits: Float[Array, " classes"]) -> Int[Array, ""]:
    """The class with the largest logit; ties, and a NaN anywhere, go to the lowest such index (0 for a dead net)."""
    return jnp.argmax(logits)


def is_correct(logits: Float[Array, " classes"], label: Int[Array, ""]) -> Bool[Array, ""]:
    """Whether the predicted class is the label."""
    return prediction(logits) == label


def recall(correct: Int[Array, "*batch classes"], support: Int[Array, " classes"]) -> Float[Array, "*batch classes"]:
    """Per-class recall, correctly predicted examples of a class / all examples of it; NaN for a class without any."""
    return correct / jnp.where(support > 0, support, jnp.nan).reshape((1,) * (correct.ndim - 1) + support.shape)
