"""Units that are dead: ReLUs that are off for every example, and what put them there."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxact.museum.exhibit import Exhibit, Specimen
from jaxact.museum.networks import (
    EXAMPLES,
    LECUN,
    changed,
    classifier,
    clusters,
    cross_entropy,
    draw,
    rectified_regressor,
    regressor,
    squared_error,
)

SIXTEEN = (16, 8, 1)
MEMBERS = 5
DEAD_SEED, LIVING_SEED = 10, 0
"""Seeds of NumPy from which the rectified regressor of 16 features starts dead, and alive."""


def sixteen_features() -> Exhibit:
    """A small network whose gradients are all 0 from some seeds."""
    x, y = fractions(0, 16)

    def start(seed: int) -> Specimen:
        return Specimen(rectified_regressor, draw(seed, SIXTEEN, LECUN), x, y, squared_error)

    return Exhibit(
        "sixteen-features",
        "All gradients are exactly 0, from some seeds and not from others; one more input feature 'repairs' it.",
        "dead outputs",
        "Dense_1",
        "The only output ends in a ReLU and is negative for every example: by chance of the draw, which a feature more "
        "changes. Slope 0 for all examples makes every gradient 0.",
        "a linear output",
        start(DEAD_SEED),
        _linear,
        start(LIVING_SEED),
    )


def relu_output_below_zero() -> Exhibit:
    """Targets below 0 behind a ReLU: training itself kills the output."""
    x, y = fractions(0, 16)
    targets = y - 3.0
    healthy = Specimen(rectified_regressor, draw(LIVING_SEED, SIXTEEN, LECUN), x, targets, squared_error)
    ill = healthy._replace(variables=healthy.train(100)[0])
    return Exhibit(
        "relu-output-targets-below-0",
        "The regression learns for a few steps and then predicts 0 for everything.",
        "dead outputs",
        "Dense_1",
        "Targets below 0 push a ReLU output down until it is off for every example; nothing brings it back.",
        "a linear output",
        ill,
        _linear,
        _linear(healthy)._replace(variables=draw(2, SIXTEEN, LECUN)),
    )


def relu_output_first_step() -> Exhibit:
    """Raw targets: one step overshoots."""
    x, y = fractions(0, 16)
    healthy = Specimen(rectified_regressor, draw(LIVING_SEED, SIXTEEN, LECUN), x, 300 * y, squared_error)
    ill = healthy._replace(variables=healthy.train(2)[0])

    def cure(specimen: Specimen) -> Specimen:
        """Targets of size 1, and a fresh start."""
        return specimen._replace(variables=healthy.variables, labels=specimen.labels / 300)

    return Exhibit(
        "relu-output-raw-targets",
        "From the second step on the regression predicts only zeros.",
        "dead",
        "Dense_0",
        "Targets of size 300 give gradients as much larger: two steps at the rate 0.1 turn off every hidden unit, and "
        "the output, whose ReLU then stands at its negative bias.",
        "targets scaled to size 1, and a new start",
        ill,
        cure,
        cure(ill)._replace(variables=draw(3, SIXTEEN, LECUN)),
    )


def relu_output_zero_weights() -> Exhibit:
    """A kernel of zeros behind which a ReLU waits."""
    x, y = fractions(0, 16)
    healthy = Specimen(rectified_regressor, draw(LIVING_SEED, SIXTEEN, LECUN), x, y, squared_error)
    ill = healthy._replace(variables=changed(healthy.variables, "Dense_1", "kernel", jnp.zeros_like))
    return Exhibit(
        "relu-output-zero-kernel",
        "The regression predicts exactly 0 from the start and forever.",
        "dead outputs",
        "Dense_1",
        "With a kernel and a bias of 0 the output is max(0, 0), where the slope of a ReLU is 0.",
        "a linear output, for which a kernel of 0 is harmless",
        ill,
        _linear,
        healthy,
    )


def bias_kills() -> Exhibit:
    """Biases that start far below 0."""
    x, y = clusters(0)
    healthy = Specimen(classifier, draw(0), x, y, cross_entropy)
    ill = healthy._replace(variables=changed(healthy.variables, "Dense_0", "bias", lambda bias: bias - 10.0))

    def cure(specimen: Specimen) -> Specimen:
        return specimen._replace(variables=changed(specimen.variables, "Dense_0", "bias", jnp.zeros_like))

    return Exhibit(
        "biases-that-kill",
        "The loss never moves; hidden outputs are all 0.",
        "dead",
        "Dense_0",
        "Pre-activations have a standard deviation of about 1.4, biases of -10 put all of them below 0.",
        "biases of 0",
        ill,
        cure,
        healthy._replace(variables=draw(1)),
    )


def zero_kernel_behind_relu() -> Exhibit:
    """A hidden kernel of zeros with a ReLU behind it; a head of zeros is no fault."""
    x, y = clusters(0)
    healthy = Specimen(classifier, draw(0), x, y, cross_entropy)
    ill = healthy._replace(variables=changed(healthy.variables, "Dense_1", "kernel", jnp.zeros_like))

    def cure(specimen: Specimen) -> Specimen:
        return specimen._replace(variables=specimen.variables | {"Dense_1": draw(5)["Dense_1"]})

    twin = healthy._replace(variables=changed(healthy.variables, "Dense_2", "kernel", jnp.zeros_like))
    return Exhibit(
        "zero-kernel-behind-relu",
        "Zero initialisation is harmless in one layer and stops all learning in another.",
        "equal weights",
        "Dense_1",
        "Behind a kernel of 0 every ReLU stands at 0, where its slope is 0: no step ever reaches it. The twin's "
        "kernel of 0 has no ReLU behind it and moves in the first step.",
        "weights drawn at random",
        ill,
        cure,
        twin,
    )


def dead_ensemble() -> Exhibit:
    """A vmapped ensemble of which no member lives."""
    x, y = fractions(0, 16)
    members = [draw(seed, SIXTEEN, LECUN) for seed in range(2 * MEMBERS)]

    def start(first: int) -> Specimen:
        variables = jax.tree.map(lambda *leaves: jnp.stack(leaves), *members[first : first + MEMBERS])
        return Specimen(ensemble, variables, x, y, _ensemble_error, rate=0.1 * MEMBERS)

    def cure(specimen: Specimen) -> Specimen:
        return specimen._replace(variables=changed(specimen.variables, "Dense_0", "bias", jnp.zeros_like))

    healthy = start(0)
    ill = healthy._replace(variables=changed(healthy.variables, "Dense_0", "bias", lambda bias: bias - 5.0))
    return Exhibit(
        "dead-ensemble",
        "All members of a vmapped ensemble give the same, for every input, though their seeds differ.",
        "dead",
        "Dense_0",
        "Every hidden unit of every member is off: what is left of each is its output bias.",
        "hidden biases of 0",
        ill,
        cure,
        start(MEMBERS),
    )


def ensemble(variables: dict, x: Array) -> Array:
    """The outputs of all members, [examples, members]."""
    return jax.vmap(regressor, in_axes=(0, None), out_axes=1)(variables, x)[..., 0]


def _ensemble_error(outputs: Array, targets: Array) -> Array:
    return jnp.mean((outputs - targets[:, None]) ** 2)


def fractions(seed: int, features: int) -> tuple[Array, Array]:
    """Inputs uniform in [0, 1] and targets in about the same range."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(size=(EXAMPLES, features))
    y = x[:, 0] * x[:, 1] + 0.5 * x[:, 2]
    return jnp.asarray(x, jnp.float32), jnp.asarray(y, jnp.float32)


def _linear(specimen: Specimen) -> Specimen:
    return specimen._replace(apply_fn=regressor)
