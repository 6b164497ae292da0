"""k steps of SGD at once for the first kernel of an MLP: the same numbers up to rounding, 1/k of the memory traffic.

A step on a small batch spends its time on reading and writing the first kernel W and its velocity V, not on arithmetic.
Both are sums of products of b-row matrices, g_i = x_iᵀ δ_i, and the momentum forgets: μᵏ < 2⁻²⁴ after k steps (2⁻⁵³
in float64). With c = η/(1 − μ) and U_t = W_t − c μ V_t the heavy ball is plain gradient descent in U,

    U_t = U_0 − c Σ_{i<t} g_i,   V_t = Σ_{i<t} μ^(t−1−i) g_i,   x_t W_t = x_t U_t + c μ x_t V_t,

so that within a block of k steps x_t W_t = x_t U_0 + Σ_i a_ti (x_t x_iᵀ) δ_i over the steps i of this block and the one
before: products with b·k rows instead of the kernel's fan-in. U itself moves once per block. Everything else in the
network takes its ordinary step. What it gains: BUILD.md, performance notes.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Key

from jaxact.models import first_product_given

FIRST, PAYS = "dense1", 8
"""The layer; how many times b·k the fan-in must be at least (measured)."""


class HeavyBall(NamedTuple):
    """SGD with momentum, v ← μ v + g, w ← w − η v: η, μ and the bits of a weight's significand."""

    rate: float
    momentum: float
    bits: int = 24

    @property
    def block(self) -> int:
        """Steps k per block: μᵏ is below the rounding of a weight."""
        return math.ceil(self.bits / -math.log2(self.momentum)) if self.momentum else self.bits

    @property
    def total(self) -> float:
        """What a unit of gradient moves a weight by in the end, c = η/(1 − μ)."""
        return self.rate / (1 - self.momentum)

    def decay(self, age: np.ndarray) -> np.ndarray:
        """μ^age, 0 where the age is negative."""
        return np.where(age >= 0, self.momentum ** np.maximum(age, 0.0), 0.0)

    def steps(self, batch_size: int, features: int, steps: int) -> int:
        """How many of an epoch's `steps` to take in blocks: all whole blocks where they are faster, else none."""
        k = self.block
        return steps // k * k if PAYS * k * batch_size <= features else 0

    def weights(self) -> np.ndarray:
        """[k, 2 k] a_ti: how much of g_i is in W_t beside U_0, for the steps i of the block before and of this one."""
        t, i = np.arange(self.block)[:, None], np.arange(-self.block, self.block)[None]
        return self.total * (self.momentum * self.decay(t - 1 - i) - ((i >= 0) & (i < t)))


class Carry(NamedTuple):
    """What goes from block to block: U, the state of everything else, the last block's inputs and output gradients.

    `start` is what the velocity from before the first block adds to that block's products; 0 afterwards.
    """

    u: Float[Array, "features units"]
    rest: Any
    inputs: Float[Array, "rows features"]
    deltas: Float[Array, "rows units"]
    start: Float[Array, "rows units"]


def split(state: Any) -> tuple[Array, Array, Any]:
    """(first kernel, its velocity, 0 where the optimiser keeps none, the state without both)."""

    def without(params: Any) -> Any:
        layer = {name: value for name, value in params[FIRST].items() if name != "kernel"}
        return {**params, FIRST: layer}

    trace = optax.tree_utils.tree_get(state.opt_state, "trace")
    opt_state = state.opt_state
    if trace is not None:
        opt_state = optax.tree_utils.tree_set(opt_state, trace=without(trace))
    rest = state._replace(params=without(state.params), opt_state=opt_state)
    kernel = state.params[FIRST]["kernel"]
    return kernel, jnp.zeros_like(kernel) if trace is None else trace[FIRST]["kernel"], rest


def join(kernel: Array, velocity: Array, rest: Any) -> Any:
    """The inverse of `split`."""

    def joined(params: Any, value: Array) -> Any:
        return {**params, FIRST: {**params[FIRST], "kernel": value}}

    opt_state = rest.opt_state
    if (trace := optax.tree_utils.tree_get(opt_state, "trace")) is not None:
        opt_state = optax.tree_utils.tree_set(opt_state, trace=joined(trace, velocity))
    return rest._replace(params=joined(rest.params, kernel), opt_state=opt_state)


class Blocks:
    """Training over whole blocks of steps."""

    def __init__(
        self, objective: Callable[..., Any], optimizer: optax.GradientTransformation, heavy: HeavyBall
    ) -> None:
        """Take an `MLP`'s objective (`training.make_objective`), and SGD with the rate and momentum of `heavy`."""
        self.optimizer, self.heavy = optimizer, heavy

        def given(product: Array, params: Any, *arguments: Any) -> Any:
            with first_product_given(product):
                return objective(params, *arguments)

        self._gradient = jax.grad(given, argnums=(0, 1), has_aux=True)

    def steps(self, state: Any, batch_size: int, steps: int) -> int:
        """How many of an epoch's `steps` to take in blocks, see `HeavyBall.steps`."""
        kernel = state.params[FIRST]["kernel"]
        return self._heavy(kernel).steps(batch_size, len(kernel), steps)

    def _heavy(self, kernel: Array) -> HeavyBall:
        return self.heavy._replace(bits=jnp.finfo(kernel.dtype).nmant + 1)

    def run(
        self,
        state: Any,
        which: Array,
        images: Float[Array, "examples features"],
        labels: Array,
        rows: Int[Array, "steps batch"],
        keys: Key[Array, " steps"],
    ) -> Any:
        """Take the steps, a multiple of k: (state, (sum of losses, sum of right)), the sums of each block's steps."""
        heavy, batch = self._heavy(state.params[FIRST]["kernel"]), rows.shape[1]
        k, c, mu = heavy.block, heavy.total, heavy.momentum
        rows = rows.reshape(-1, k, batch)
        weights = jnp.asarray(np.repeat(heavy.weights(), batch, axis=1), images.dtype)

        def aged(ages: np.ndarray) -> Float[Array, "rows 1"]:
            """μ^age per row of a block."""
            return jnp.asarray(np.repeat(heavy.decay(ages), batch)[:, None], images.dtype)

        def block(carry: Carry, part: tuple[Array, Array]) -> tuple[Carry, Any]:
            rows, keys = part
            x = images[rows.reshape(-1)]
            products = (x @ carry.u + carry.start).reshape(k, batch, -1)
            gram = (x @ jnp.concatenate([carry.inputs, x]).T).reshape(k, batch, -1) * weights[:, None]
            deltas = jnp.concatenate([carry.deltas, jnp.zeros_like(carry.deltas)])
            parts = (jnp.arange(k), products, gram, x.reshape(k, batch, -1), labels[rows], keys)
            step = functools.partial(self._step, k, which)
            (rest, deltas), scores = jax.lax.scan(step, (carry.rest, deltas), parts)
            last = deltas[k * batch :]
            return Carry(carry.u - c * (x.T @ last), rest, x, last, jnp.zeros_like(last)), scores

        kernel, velocity, rest = split(state)
        first = images[rows[0].reshape(-1)]
        nothing = jnp.zeros((k * batch, kernel.shape[1]), kernel.dtype)
        start = c * mu * aged(np.arange(k)) * (first @ velocity)
        carry = Carry(kernel - c * mu * velocity, rest, jnp.zeros_like(first), nothing, start)
        carry, scores = jax.lax.scan(block, carry, (rows, keys.reshape(-1, k)))
        velocity = (carry.inputs * aged(np.arange(k)[::-1])).T @ carry.deltas
        return join(carry.u + c * mu * velocity, velocity, carry.rest), scores

    def _step(self, k: int, which: Array, carry: tuple[Any, Array], part: Any) -> tuple[tuple[Any, Array], Any]:
        (rest, deltas), (t, product, gram, inputs, targets, key) = carry, part
        (delta, gradients), (stats, loss, right) = self._gradient(
            product + gram @ deltas, rest.params, rest.batch_stats, which, inputs, targets, key
        )
        updates, opt_state = self.optimizer.update(gradients, rest.opt_state, rest.params)
        rest = rest._replace(params=optax.apply_updates(rest.params, updates), batch_stats=stats, opt_state=opt_state)
        deltas = jax.lax.dynamic_update_slice(deltas, delta, ((k + t) * len(targets), 0))
        return (rest, deltas), (loss, right)
