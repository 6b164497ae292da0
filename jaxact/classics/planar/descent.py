"""Full-batch gradient descent on the planar network, over seeds and learning rates at once."""

from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int, Shaped

from jaxact import numerics
from jaxact.activations import Activation
from jaxact.classics.planar.network import Params, cost, draw_params, logits
from jaxact.classics.planar.plan import DTYPES
from jaxact.classics.planar.points import Points
from jaxact.training.ensemble import make_mesh, over_members, resolve_strategy

BOUNCE = 0.01
"""A step bounces if it raises the cost by more than this share of it."""


class Descent(NamedTuple):
    """What a descent leaves; `train` puts the axes [rates, seeds] in front of all of it.

    Attributes:
        params: after the last step.
        costs: [steps + 1], nats, before each step and after the last.
        logits: [points] after the last step, test mode.
        fresh_logits: the same on points that were not trained on.
    """

    params: Params
    costs: Float[Any, "*ensemble costs"]
    logits: Float[Any, "*ensemble points"]
    fresh_logits: Float[Any, "*ensemble fresh"]


def descend(
    params: Params,
    rate: Float[Array, ""],
    seed: Int[Array, ""],
    inputs: Float[Array, "points 2"],
    labels: Int[Array, " points"],
    fresh: Float[Array, "fresh 2"],
    *,
    activation: Activation,
    steps: int,
) -> Descent:
    """One network: p ← p − η ∇cost(p), `steps` times, on all points at once.

    Args:
        params: where it starts.
        rate: learning rate η.
        seed: for random activations only.
        inputs: the points trained on.
        labels: their classes.
        fresh: other points to evaluate at the end.
        activation: φ of the hidden units.
        steps: gradient steps (the course's iterations).

    Returns:
        The trained network.
    """
    noise = numerics.key(seed) if activation.stochastic else None

    def step(params: Params, index: Int[Array, ""]) -> tuple[Params, Float[Array, ""]]:
        key = None if noise is None else jax.random.fold_in(noise, index)
        value, gradient = jax.value_and_grad(cost)(params, activation, inputs, labels, key)
        return jax.tree.map(lambda p, g: p - rate * g, params, gradient), value

    params, costs = jax.lax.scan(step, params, jnp.arange(steps))
    last = cost(params, activation, inputs, labels)
    ends = (logits(params, activation, x) for x in (inputs, fresh))
    return Descent(params, jnp.append(costs, last), *ends)


@numerics.pinned()
def train(
    activation: Activation,
    hidden: tuple[int, ...],
    points: Points,
    *,
    seeds: Sequence[int],
    rates: Sequence[float],
    steps: int,
    fresh: Points | None = None,
    init: str = "course",
    dtype: str = "float32",
    strategy: str = "auto",
) -> Descent:
    """Train one architecture from every seed at every learning rate, in one compiled call.

    Args:
        activation: φ of the hidden units, see `jaxact.classics.planar.activation`.
        hidden: units of each hidden layer; (4,) is the course's network, (4, 4) has two hidden layers.
        points: what to train on.
        seeds: of the initial weights; each one's result depends on that seed alone. The course's is 2.
        rates: learning rates; the course's is 1.2.
        steps: gradient steps.
        fresh: other points to evaluate at the end; those of `points` if None.
        init: see `draw_params`.
        dtype: `float32`, or `float64` as NumPy would compute (also where JAX's 64-bit mode is off).
        strategy: `vmap`, `map` or `auto`, inside a device; the members are sharded over all devices.

    Returns:
        NumPy arrays with leading axes [rates, seeds].

    Raises:
        ValueError: no seed or rate, a rate that is not positive, fewer than one step, an unknown dtype.
    """
    _check(seeds, rates, steps, dtype)
    strategy, mesh = resolve_strategy(strategy), make_mesh()
    members = [(rate, seed) for rate in rates for seed in seeds]
    padded = members + members[-1:] * (-len(members) % mesh.size)
    starts = {seed: draw_params(seed, hidden, activation, init) for seed in seeds}

    def stack(*leaves: np.ndarray) -> np.ndarray:
        return np.stack(leaves).astype(dtype)

    params = jax.tree.map(stack, *(starts[seed] for _, seed in padded))
    with jax.enable_x64(dtype == "float64"):
        run = _compiled(activation, steps, mesh, strategy)
        own = np.array([rate for rate, _ in padded], dtype), np.array([seed for _, seed in padded], np.int32)
        shared = points.inputs.astype(dtype), points.labels.astype(np.int32), (fresh or points).inputs.astype(dtype)
        done = jax.device_get(run(params, *own, *shared))
    shape = len(rates), len(seeds)
    return jax.tree.map(lambda leaf: leaf[: len(members)].reshape(*shape, *leaf.shape[1:]), done)


@lru_cache(maxsize=16)
def _compiled(activation: Activation, steps: int, mesh: Mesh, strategy: str) -> Any:
    """One jitted function per protocol, so that calls of the same shapes share a compilation."""
    member = partial(descend, activation=activation, steps=steps)
    return over_members(member, mesh, strategy, (False, False, False, True, True, True))


def _check(seeds: Sequence[int], rates: Sequence[float], steps: int, dtype: str) -> None:
    if not len(seeds) or not len(rates):
        raise ValueError(f"got {len(seeds)} seeds and {len(rates)} learning rates: give at least one of each")
    for rate in rates:
        if not 0 < rate < np.inf:
            raise ValueError(f"learning rates must be positive and finite, got {rate:g}")
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    if dtype not in DTYPES:
        raise ValueError(f"dtype must be {' or '.join(DTYPES)}, got {dtype!r}")


def accuracy(
    logits: Shaped[np.ndarray, "*ensemble points"], labels: Int[np.ndarray, " points"]
) -> Float[np.ndarray, "*ensemble"]:
    """Percent of the points whose class is z > 0; NaN where a logit is not finite, because the network has diverged."""
    right = ((logits > 0) == (labels == 1)).mean(axis=-1)
    return np.where(np.isfinite(logits).all(axis=-1), 100 * right, np.nan)


def bouncing(costs: Float[np.ndarray, "*ensemble costs"]) -> Float[np.ndarray, "*ensemble"]:
    """Percent of the steps of the second half that raise the cost by more than `BOUNCE` of it.

    Small enough a learning rate makes full-batch descent monotone, so this is 0; NaN where a cost is not finite.
    """
    late = costs[..., costs.shape[-1] // 2 :]
    with np.errstate(invalid="ignore"):  # inf − inf, once diverged
        up = (np.diff(late) > BOUNCE * late[..., :-1]).mean(axis=-1)
    return np.where(np.isfinite(late).all(axis=-1), 100 * up, np.nan)


def swing(costs: Float[np.ndarray, "*ensemble costs"]) -> Float[np.ndarray, "*ensemble"]:
    """Highest minus lowest cost of the last tenth, in nats: how much depends on when one stops; NaN once diverged."""
    late = costs[..., -(costs.shape[-1] // 10 + 1) :]
    with np.errstate(invalid="ignore"):  # inf − inf, once diverged
        spread = np.ptp(late, axis=-1)
    return np.where(np.isfinite(spread), spread, np.nan)
