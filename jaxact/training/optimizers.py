"""Optimisers by name: optax's own, and PyTorch's definitions under `torch_…` where the two differ.

| PyTorch                      | its update                                 | optax's differs in                       |
|------------------------------|--------------------------------------------|------------------------------------------|
| SGD(momentum=μ)              | v ← μ v + g, w ← w − η v                   | nothing                                  |
| RMSprop(alpha=.99, eps=1e-8) | s ← α s + (1 − α) g², w ← w − η g/(√s + ε) | α = .9, ε inside the root                |
| Adagrad(eps=1e-10)           | s ← s + g², w ← w − η g/(√s + ε)           | s starts at .1, ε = 1e-7 inside the root |
| Adadelta(rho=.9, eps=1e-6)   | see `torch_adadelta`                       | nothing but its default η of 1           |
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxact.config import TORCH_OPTIMIZERS


def make(name: str, learning_rate: float, momentum: float = 0.0) -> optax.GradientTransformation:
    """The optimiser called `name`.

    Args:
        name: one of `config.OPTIMIZERS` or `config.TORCH_OPTIMIZERS`.
        learning_rate: step size η.
        momentum: heavy-ball coefficient, for those that take one.
    """
    options = {"momentum": momentum} if momentum else {}
    return (globals() if name in TORCH_OPTIMIZERS else vars(optax))[name](learning_rate, **options)


def torch_rmsprop(learning_rate: float, momentum: float = 0.0) -> optax.GradientTransformation:
    """`torch.optim.RMSprop` with its defaults; with momentum, b ← μ b + g/(√s + ε), w ← w − η b.

    Source: Tieleman & Hinton 2012, lecture 6.5 of "Neural networks for machine learning".
    """
    return optax.rmsprop(learning_rate, decay=0.99, eps=1e-8, eps_in_sqrt=False, momentum=momentum or None)


def torch_adadelta(learning_rate: float) -> optax.GradientTransformation:
    """`torch.optim.Adadelta` with its defaults ρ = .9, ε = 1e-6.

    s ← ρ s + (1 − ρ) g², δ = √(u + ε)/√(s + ε)·g, u ← ρ u + (1 − ρ) δ², w ← w − η δ.

    Source: Zeiler 2012, "ADADELTA: an adaptive learning rate method", where η is 1.
    """
    return optax.adadelta(learning_rate, rho=0.9, eps=1e-6)


class SumOfSquares(NamedTuple):
    """The state of Adagrad: Σ g² of every parameter."""

    total: Any


def torch_adagrad(learning_rate: float, eps: float = 1e-10) -> optax.GradientTransformation:
    """`torch.optim.Adagrad` with its defaults: the sum starts at 0, so that a first step has length η whatever g is.

    Source: Duchi, Hazan & Singer 2011, "Adaptive subgradient methods for online learning and stochastic optimization".
    """

    def init(params: Any) -> SumOfSquares:
        return SumOfSquares(jax.tree.map(jnp.zeros_like, params))

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, SumOfSquares]:
        total = jax.tree.map(lambda s, g: s + g * g, state.total, updates)
        return jax.tree.map(lambda g, s: g / (jnp.sqrt(s) + eps), updates, total), SumOfSquares(total)

    return optax.chain(optax.GradientTransformation(init, update), optax.scale_by_learning_rate(learning_rate))
