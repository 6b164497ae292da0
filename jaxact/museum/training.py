"""Weights, inputs, derivatives and learning rates with which training stands still or breaks."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxact.museum.exhibit import Exhibit, Specimen
from jaxact.museum.networks import CLASSES, FEATURES, LECUN, classifier, clusters, cross_entropy, dense, draw

SIGMOID_WIDTHS = (FEATURES, 16, CLASSES)


def constant_weights() -> Exhibit:
    """All weights 0.1."""
    x, y = clusters(0)
    healthy = Specimen(classifier, draw(0), x, y, cross_entropy)
    equal = jax.tree.map(lambda leaf: jnp.full_like(leaf, 0.1) if leaf.ndim == 2 else leaf, healthy.variables)

    def cure(specimen: Specimen) -> Specimen:
        return specimen._replace(variables=draw(7))

    return Exhibit(
        "constant-weights",
        "The network learns no better than one with a single hidden unit, whatever its width.",
        "equal weights",
        "Dense_0",
        "Units with equal weights get equal gradients: after every step they are copies of one another.",
        "weights drawn at random",
        healthy._replace(variables=equal),
        cure,
        healthy._replace(variables=draw(1)),
    )


@jax.custom_vjp
def wrong_sigmoid(h: Array) -> Array:
    """The logistic sigmoid with a backward pass that takes its input for its output."""
    return 1 / (1 + jnp.exp(-h))


def _forward(h: Array) -> tuple[Array, Array]:
    value = 1 / (1 + jnp.exp(-h))
    return value, value


def _backward(value: Array, cotangent: Array) -> tuple[Array]:
    return (cotangent * value * (1 - value),)


# x(1 - x) is right for x = sigmoid(h): here it is given h.
wrong_sigmoid.defvjp(lambda h: (_forward(h)[0], h), _backward)


@jax.custom_vjp
def right_sigmoid(h: Array) -> Array:
    """The logistic sigmoid with its backward pass s(1 − s)."""
    return 1 / (1 + jnp.exp(-h))


right_sigmoid.defvjp(_forward, _backward)


def with_wrong_sigmoid(variables: dict, x: Array) -> Array:
    """A hidden layer with `wrong_sigmoid`; logits."""
    return dense(variables["Dense_1"], wrong_sigmoid(dense(variables["Dense_0"], x)))


def with_right_sigmoid(variables: dict, x: Array) -> Array:
    """A hidden layer with `right_sigmoid`; logits."""
    return dense(variables["Dense_1"], right_sigmoid(dense(variables["Dense_0"], x)))


def wrong_derivative() -> Exhibit:
    """A hand-written backward pass, x(1 − x) at the input instead of the output."""
    x, y = clusters(0)
    ill = Specimen(with_wrong_sigmoid, draw(0, SIGMOID_WIDTHS, LECUN), x, y, cross_entropy)

    def cure(specimen: Specimen) -> Specimen:
        return specimen._replace(apply_fn=with_right_sigmoid)

    return Exhibit(
        "wrong-sigmoid-derivative",
        "The loss of a network with a hand-written sigmoid rises or is NaN, at learning rates that suit any other.",
        "wrong derivative",
        "Dense_0",
        "x(1 - x) is the sigmoid's derivative for x = sigmoid(h). The backward pass takes x = h: it states the slope "
        "-20 at h = -4, where the sigmoid's is 0.018.",
        "the backward pass s(1 - s) at s = sigmoid(h)",
        ill,
        cure,
        cure(ill)._replace(variables=draw(1, SIGMOID_WIDTHS, LECUN)),
    )


def raw_bytes() -> Exhibit:
    """Inputs as bytes."""
    x, y = clusters(0)
    healthy = Specimen(classifier, draw(0), x, y, cross_entropy)

    def cure(specimen: Specimen) -> Specimen:
        """Subtract the mean of every feature, divide by its standard deviation."""
        return specimen._replace(batch=_standardised(specimen.batch))

    return Exhibit(
        "inputs-not-standardised",
        "The loss starts in the hundreds and jumps about.",
        "unscaled inputs",
        "",
        "Bytes around 128 with a standard deviation of 60 have a root mean square of 141: so are logits.",
        "inputs of mean 0 and standard deviation 1",
        healthy._replace(batch=128 + 60 * x),
        cure,
        healthy._replace(variables=draw(1)),
    )


def off_centre() -> Exhibit:
    """Inputs of the right spread, far from 0."""
    x, y = clusters(0)
    healthy = Specimen(classifier, draw(0), x, y, cross_entropy)

    def cure(specimen: Specimen) -> Specimen:
        return specimen._replace(batch=_standardised(specimen.batch))

    return Exhibit(
        "inputs-not-centred",
        "The loss starts far above ln 10 and takes long to fall, though the inputs are small numbers.",
        "unscaled inputs",
        "",
        "Features lie 8 standard deviations from 0: a unit sees their mean, and is on for all examples or off for all.",
        "inputs of mean 0 and standard deviation 1",
        healthy._replace(batch=x + 8.0),
        cure,
        healthy._replace(variables=draw(1)),
    )


def first_step_kills() -> Exhibit:
    """A learning rate with which the first step kills most of a layer."""
    x, y = clusters(0)
    healthy = Specimen(classifier, draw(0), jnp.abs(x), y, cross_entropy, told=True)

    def cure(specimen: Specimen) -> Specimen:
        return specimen._replace(rate=0.1)

    return Exhibit(
        "first-step-kills",
        "The loss explodes in the first step and stays at about ln 10 or above from then on.",
        "large step",
        "Dense_1",
        "At the rate 10 one step changes kernels by more than their size and leaves most units off for every example.",
        "a learning rate of 0.1",
        healthy._replace(rate=10.0),
        cure,
        healthy._replace(variables=draw(1)),
    )


def stuck_at_guessing() -> Exhibit:
    """The loss stays at ln K."""
    x, y = clusters(0)
    healthy = Specimen(classifier, draw(0), x, y, cross_entropy)
    small = jax.tree.map(lambda leaf: 0.004 * leaf, healthy.variables)

    def cure(specimen: Specimen) -> Specimen:
        """Kernels by He's rule: a standard deviation of √(2/fan-in)."""

        def scaled(leaf: Array) -> Array:
            return leaf * ((2 / leaf.shape[0]) ** 0.5 / jnp.std(leaf)) if leaf.ndim == 2 else leaf

        return specimen._replace(variables=jax.tree.map(scaled, specimen.variables))

    return Exhibit(
        "stuck-at-ln-k",
        "The loss is 2.303 and stays there.",
        "vanishing",
        "Dense_0",
        "2.303 is ln 10, the loss of a guess. Kernels around 0.001 pass on half a percent of the signal per layer: all "
        "examples get the same outputs.",
        "kernels by He's rule",
        healthy._replace(variables=small),
        cure,
        healthy._replace(variables=draw(1)),
    )


def _standardised(x: Array) -> Array:
    rows = np.asarray(x, np.float64)
    return jnp.asarray((rows - rows.mean(0)) / rows.std(0), jnp.float32)
