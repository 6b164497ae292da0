"""Output heads: the activation of a network's last layer, its loss, and what the output claims to be.

A head works on z = φ(h), the activated output of the last layer of `jaxact.models.MLP`. Its functions take one example;
`make_program` trains the network of a configuration with the loss of a head, from one seed.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from jaxact import activations as catalogue
from jaxact import numerics, training
from jaxact.config import Config
from jaxact.training import INIT, NOISE, TrainState, seed_key

Outputs = Float[Array, " outputs"]


class Head(NamedTuple):
    """An output layer: φ, the loss that trains it, and two readings of z = φ(h).

    Attributes:
        activation: φ by its catalogue name; the last activation of the configuration.
        loss: (z, target) → scalar; class targets are one-hot or multi-hot.
        output: z → what the head emits.
        probabilities: z → a probability vector over classes that exclude each other.
    """

    activation: str
    loss: Callable[[Outputs, Outputs], Float[Array, ""]]
    output: Callable[[Outputs], Outputs]
    probabilities: Callable[[Outputs], Outputs]


def softmax_cross_entropy(z: Outputs, target: Outputs) -> Float[Array, ""]:
    """−Σ_k t_k log softmax(z)_k, in nats: one class of several."""
    return optax.softmax_cross_entropy(z, target)


def sigmoid_cross_entropy(z: Outputs, target: Outputs) -> Float[Array, ""]:
    """−Σ_k [t_k log σ(z_k) + (1 − t_k) log(1 − σ(z_k))], in nats: independent yes/no questions."""
    return optax.sigmoid_binary_cross_entropy(z, target).sum()


def squared_error(z: Outputs, target: Outputs) -> Float[Array, ""]:
    """Σ_k (z_k − t_k)²: regression, its minimiser the mean of the target given the input."""
    return jnp.square(z - target).sum()


def normalised_sigmoids(z: Outputs) -> Outputs:
    """σ(z_k) / Σ_j σ(z_j), as softmax(log σ(z)) so that it is defined where every sigmoid underflows."""
    return jax.nn.softmax(jax.nn.log_sigmoid(z))


def nearest_probabilities(z: Outputs) -> Outputs:
    """The probability vector nearest to z, argmin_p ‖z − p‖ over the simplex.

    Source: Duchi, Shalev-Shwartz, Singer & Chandra 2008, "Efficient projections onto the l1-ball".
    """
    return optax.projections.projection_simplex(z)


def softmax_head(activation: str = "identity") -> Head:
    """softmax(φ(h)) trained by cross-entropy; with `relu` the ReLU logits of the study."""
    return Head(catalogue.get(activation).spec, softmax_cross_entropy, jax.nn.softmax, jax.nn.softmax)


def sigmoid_head(activation: str = "identity") -> Head:
    """Independent sigmoids σ(φ(h)) trained by binary cross-entropy; right where several classes may hold at once."""
    return Head(catalogue.get(activation).spec, sigmoid_cross_entropy, jax.nn.sigmoid, normalised_sigmoids)


def squared_error_head(activation: str = "identity") -> Head:
    """φ(h) itself, trained by the squared error: regression, or classification on one-hot targets."""
    return Head(catalogue.get(activation).spec, squared_error, lambda z: z, nearest_probabilities)


def floor(targets: Float[np.ndarray, "..."], activation: str) -> float:
    """Least mean squared error that any network with output activation φ can have on these targets.

    mean of dist(y, range φ)²: 0 where the range covers them, E[y²] for a ReLU on negative targets, whose best
    prediction is the constant 0.

    Args:
        targets: any shape.
        activation: φ by its catalogue name.

    Raises:
        ValueError: an activation whose range is not known.
    """
    bounds = catalogue.get(activation).range
    if bounds is None:
        raise ValueError(f"activation {activation!r} states no range: register it with range=(low, high)")
    y = targets.astype(float)
    return float(np.square(y - np.clip(y, *bounds)).mean())


class Program(NamedTuple):
    """The functions of one member, for one configuration and one head.

    Attributes:
        initialise: (seed, inputs of one example) → state.
        epoch: (state, seed, epoch, inputs, targets) → (state, mean loss of the epoch's batches).
        emit: (state, inputs [n, features]) → (z, h), both [n, outputs].
        probe: (state, inputs, targets) → (mean loss, norm of the gradient of all parameters).
    """

    initialise: Callable[..., TrainState]
    epoch: Callable[..., tuple[TrainState, Array]]
    emit: Callable[..., tuple[Array, Array]]
    probe: Callable[..., tuple[Array, Array]]


def make_program(config: Config, head: Head) -> Program:
    """The functions that train the network of `config` with the loss of `head`.

    Args:
        config: the architecture and optimiser; its last activation is the head's.
        head: the output.

    Raises:
        ValueError: the configuration's last activation is another than the head's.
    """
    if config.activations[-1] != head.activation:
        raise ValueError(f"the head's activation is {head.activation!r}: end the configuration {config.name!r} in it")
    choices = tuple(dict.fromkeys(config.activations))
    which = jnp.array(training.which_of(config, choices))
    model, optimizer = training.make_model(config, choices), training.make_optimizer(config)
    noise = any(catalogue.get(name).stochastic for name in choices)
    score = _score_by(head)
    step = training.make_step(model, optimizer, noise=noise, score=score)
    one_epoch = training.make_epoch(step, config.batch_size)
    gradient = jax.value_and_grad(training.make_objective(model, score, noise=noise), has_aux=True)

    def initialise(seed: Array, example: Array) -> TrainState:
        variables = model.init(seed_key(seed, INIT), example, which)
        return TrainState(variables["params"], variables.get("batch_stats", {}), optimizer.init(variables["params"]))

    def epoch(state: TrainState, seed: Array, epoch: Array, inputs: Array, targets: Array) -> tuple[TrainState, Array]:
        state, info = one_epoch(state, seed, which, epoch, inputs, targets)
        return state, info.loss

    def emit(state: TrainState, inputs: Array) -> tuple[Any, Any]:
        variables = {"params": state.params, "batch_stats": state.batch_stats}
        z, pre_activations = model.apply(variables, inputs, which)
        return z, pre_activations[f"layer{len(config.widths)}"]

    def probe(state: TrainState, inputs: Array, targets: Array) -> tuple[Array, Array]:
        key = seed_key(0, NOISE)
        (loss, _), gradients = gradient(state.params, state.batch_stats, which, inputs, targets, key)
        return loss, optax.tree.norm(gradients)

    return Program(initialise, epoch, emit, probe)


def _score_by(head: Head) -> Callable[[Outputs, Outputs], tuple[Array, Array]]:
    """The score that `training.make_step` takes; what is right depends on the head's use, so nothing is counted."""
    return lambda z, target: (head.loss(z, target), jnp.zeros(()))


def over_seeds(program: Program) -> Program:
    """The same functions of many members: seeds, states and results get a leading axis, inputs and targets are shared.

    They hold the settings of `numerics.pinned`, so that a member's numbers depend on its seed alone. All but
    `initialise` are compiled: run eagerly, its random number generators, slow to compile, serve every head.
    """

    def initialise(seeds: ArrayLike, example: ArrayLike) -> TrainState:
        return jax.vmap(program.initialise, (0, None))(jnp.asarray(seeds), jnp.asarray(example))

    epoch = jax.jit(jax.vmap(program.epoch, (0, 0, None, None, None)))
    emit = jax.jit(jax.vmap(program.emit, (0, None)))
    probe = jax.jit(jax.vmap(program.probe, (0, None, None)))
    hold = numerics.pinned()
    return Program(hold(initialise), hold(epoch), hold(emit), hold(probe))
