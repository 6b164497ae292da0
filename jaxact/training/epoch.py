"""Training of one network from one seed, as pure functions of arrays; `ensemble` runs many of them at once.

A seed's random stream is a function of that seed alone: `numerics.key(seed)`, folded with a constant per purpose, the
epoch and the step. The same seed therefore starts from the same kernels and sees the same batches in every combination.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key

from jaxact import activations as catalogue
from jaxact import metrics, numerics
from jaxact.config import Config, halves_of
from jaxact.data.specs import spec
from jaxact.models import MLP, LeNet
from jaxact.training import optimizers
from jaxact.training.lowrank import Blocks, HeavyBall

INIT, SHUFFLE, NOISE = range(3)
EVALUATION_BATCH = 500
MAPS_BATCH = 50
"""Examples at a time in the evaluation of a `LeNet`: the patches of one are 24 times its pixels."""


class TrainState(NamedTuple):
    """Everything one member carries from step to step: arrays only."""

    params: Any
    batch_stats: Any
    opt_state: Any


class TrainInfo(NamedTuple):
    """Means over the examples of one epoch, each batch scored before its own update."""

    loss: Float[Array, "*ensemble"]
    accuracy: Float[Array, "*ensemble"]


class Evaluation(NamedTuple):
    """Scores of one network on a whole set: mean loss (nats), and counts per class."""

    loss: Float[Array, "*ensemble"]
    correct: Int[Array, "*ensemble classes"]
    predicted: Int[Array, "*ensemble classes"]


class Program(NamedTuple):
    """The functions of one member, for one architecture and one set of choices.

    Attributes:
        initialise: (seed, which, features) → state.
        epoch: (state, seed, which, epoch, images, labels) → (state, info).
        evaluate: (state, which, images, labels) → evaluation.
    """

    initialise: Callable[..., TrainState]
    epoch: Callable[..., tuple[TrainState, TrainInfo]]
    evaluate: Callable[..., Evaluation]


def seed_key(seed: Int[Array, ""] | int, purpose: int, *folds: Int[Array, ""] | int) -> Key[Array, ""]:
    """The key of `seed` for one purpose (`INIT`, `SHUFFLE`, `NOISE`), then folded with `folds` (epoch, step)."""
    key = jax.random.fold_in(numerics.key(seed), purpose)
    for fold in folds:
        key = jax.random.fold_in(key, fold)
    return key


def make_optimizer(config: Config) -> optax.GradientTransformation:
    """The optimiser that `config` names.

    SGD with momentum is v ← μ v + g, w ← w − η v (no dampening, no Nesterov), as PyTorch's and the study's.
    """
    return optimizers.make(config.optimizer, config.learning_rate, config.momentum)


def make_model(config: Config, choices: tuple[str, ...]) -> MLP | LeNet:
    """The network of `config`, able to use any of `choices` in any layer."""
    if config.architecture == "mlp":
        return make_mlp(config, choices)
    shape = spec(config.dataset).shape
    return LeNet(shape, config.widths, choices, config.batch_norm, config.init, config.output_bias)


def make_mlp(config: Config, choices: tuple[str, ...]) -> MLP:
    """The dense stack of `config`, for analyses that hold for dense stacks only."""
    return MLP(config.widths, choices, config.batch_norm, config.init, config.output_bias)


def which_of(config: Config, choices: tuple[str, ...]) -> list[Any]:
    """The index into `choices` of every layer's activation; of both halves', a pair per layer, where it has two."""
    indices = [[choices.index(half) for half in halves_of(name)] for name in config.activations]
    return indices if config.paired else [index for (index,) in indices]


def classification(logits: Float[Array, " classes"], label: Int[Array, ""]) -> tuple[Array, Array]:
    """The scores of one example: cross-entropy in nats, and whether the largest logit is the label's."""
    return metrics.cross_entropy(logits, label), metrics.is_correct(logits, label)


def make_objective(model: MLP | LeNet, score: Callable[..., Any], *, noise: bool) -> Callable[..., Any]:
    """What a step descends, in training mode.

    Args:
        model: the architecture.
        score: (outputs, target) of one example → (loss, right).
        noise: whether an activation draws random numbers.

    Returns:
        (params, batch_stats, which, inputs, targets, key) → (mean loss, (batch_stats, sum of losses, sum of right)).
    """

    def objective(params: Any, batch_stats: Any, which: Array, inputs: Array, targets: Array, key: Array) -> Any:
        (outputs, _), updated = model.apply(
            {"params": params, "batch_stats": batch_stats},
            inputs,
            which,
            train=True,
            mutable=["batch_stats"],
            rngs={"noise": key} if noise else {},
        )
        losses, right = jax.vmap(score)(outputs, targets)
        return losses.mean(), (updated.get("batch_stats", {}), losses.sum(), right.sum())

    return objective


def make_step(
    model: MLP | LeNet,
    optimizer: optax.GradientTransformation,
    *,
    noise: bool,
    score: Callable[..., Any] = classification,
) -> Callable[..., Any]:
    """One optimiser step: (state, which, inputs, targets, key) → (state, (sum of losses, sum of right))."""
    gradient = jax.grad(make_objective(model, score, noise=noise), has_aux=True)

    def step(state: TrainState, which: Array, inputs: Array, targets: Array, key: Array) -> tuple[TrainState, Any]:
        gradients, (batch_stats, loss, right) = gradient(state.params, state.batch_stats, which, inputs, targets, key)
        updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        return TrainState(params, batch_stats, opt_state), (loss, right)

    return step


def make_epoch(
    step: Callable[..., Any], batch_size: int, blocks: Blocks | None = None
) -> Callable[..., tuple[TrainState, TrainInfo]]:
    """One pass over the training set: (state, seed, which, epoch, images, labels) → (state, info).

    The set is reshuffled every epoch, once, from the seed's own stream. A last batch of n mod batch_size examples is a
    step of its own, with its own mean (what PyTorch's DataLoader does by default).

    Args:
        step: of `make_step`.
        batch_size: examples per step.
        blocks: the same steps, many at once (`jaxact.training.lowrank`), used where they are faster.
    """

    def epoch_of(
        state: TrainState, seed: Array, which: Array, epoch: Array, images: Array, labels: Array
    ) -> tuple[TrainState, TrainInfo]:
        n = len(images)
        full, rest = divmod(n, batch_size)
        order = jax.random.permutation(seed_key(seed, SHUFFLE, epoch), n)
        noise = seed_key(seed, NOISE, epoch)

        def body(state: TrainState, batch: tuple[Array, Array]) -> tuple[TrainState, Any]:
            index, rows = batch
            return step(state, which, images[rows], labels[rows], jax.random.fold_in(noise, index))

        rows, steps = order[: full * batch_size].reshape(full, batch_size), jnp.arange(full)
        at_once = blocks.steps(state, batch_size, full) if blocks else 0
        loss_sum = correct_sum = jnp.zeros((), jnp.promote_types(images.dtype, jnp.float32))
        if blocks and at_once:
            keys = jax.vmap(jax.random.fold_in, (None, 0))(noise, steps[:at_once])
            state, (losses, correct) = blocks.run(state, which, images, labels, rows[:at_once], keys)
            loss_sum, correct_sum = loss_sum + metrics.total(losses), correct_sum + correct.sum()
        if at_once < full:
            state, (losses, correct) = jax.lax.scan(body, state, (steps[at_once:], rows[at_once:]))
            loss_sum, correct_sum = loss_sum + metrics.total(losses), correct_sum + correct.sum()
        if rest:
            state, (loss, right) = body(state, (jnp.asarray(full), order[full * batch_size :]))
            loss_sum, correct_sum = loss_sum + loss, correct_sum + right
        return state, TrainInfo(loss_sum / n, correct_sum / n)

    return epoch_of


def make_evaluate(model: MLP | LeNet, classes: int) -> Callable[..., Evaluation]:
    """Scores on a whole set, in evaluation mode: (state, which, images, labels) → evaluation."""

    def evaluate(state: TrainState, which: Array, images: Array, labels: Array) -> Evaluation:
        variables = {"params": state.params, "batch_stats": state.batch_stats}

        def score(example: tuple[Array, Array]) -> tuple[Array, Array]:
            image, label = example
            logits, _ = model.apply(variables, image, which)
            return metrics.cross_entropy(logits, label), metrics.prediction(logits)

        batch = MAPS_BATCH if isinstance(model, LeNet) else EVALUATION_BATCH
        losses, predictions = jax.lax.map(score, (images, labels), batch_size=min(batch, len(images)))
        return Evaluation(metrics.total(losses) / len(losses), *count_classes(predictions, labels, classes))

    return evaluate


def count_classes(
    predictions: Int[Array, " n"], labels: Int[Array, " n"], classes: int
) -> tuple[Int[Array, " classes"], Int[Array, " classes"]]:
    """How many examples of each class are assigned to it, and how many of any class are."""
    every_class = jnp.arange(classes)[None, :]
    correct = ((predictions == labels)[:, None] & (labels[:, None] == every_class)).sum(0)
    return correct, (predictions[:, None] == every_class).sum(0)


def evaluation_sums(logits: Float[Array, "n classes"], labels: Int[Array, " n"]) -> Evaluation:
    """The scores of some examples whose logits are known, with the sum of their losses in place of the mean."""
    predictions = jax.vmap(metrics.prediction)(logits)
    losses = jax.vmap(metrics.cross_entropy)(logits, labels)
    return Evaluation(metrics.total(losses), *count_classes(predictions, labels, logits.shape[-1]))


def make_program(config: Config, choices: tuple[str, ...]) -> Program:
    """The functions of one member for the architecture of `config`, whose own activations are ignored.

    Args:
        config: widths, batch norm, initialiser, optimiser and batch size.
        choices: the catalogue names that `which` indexes.
    """
    model, optimizer = make_model(config, choices), make_optimizer(config)
    noise = any(catalogue.get(name).stochastic for name in choices)
    step, blocks = make_step(model, optimizer, noise=noise), None
    if isinstance(model, MLP) and config.optimizer == "sgd":
        heavy = HeavyBall(config.learning_rate, config.momentum)
        blocks = Blocks(make_objective(model, classification, noise=noise), optimizer, heavy)

    def initialise(seed: Array, which: Array, example: Array) -> TrainState:
        variables = model.init(seed_key(seed, INIT), example, which)
        params = variables["params"]
        return TrainState(params, variables.get("batch_stats", {}), optimizer.init(params))

    return Program(initialise, make_epoch(step, config.batch_size, blocks), make_evaluate(model, config.widths[-1]))
