"""Labels and outputs that do not fit each other: a softmax too many, and class numbers that are off by one."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxact.museum.exhibit import Exhibit, Specimen
from jaxact.museum.networks import CLASSES, classifier, clusters, cross_entropy, draw

STEPS = 200
"""Steps of training where a case starts from a trained network."""


def probabilities(variables: dict, x: Array) -> Array:
    """The classifier with a softmax at its end."""
    return jax.nn.softmax(classifier(variables, x))


def softmax_twice() -> Exhibit:
    """A softmax before the softmax cross-entropy."""
    x, y = clusters(0)
    ill = Specimen(probabilities, draw(0), x, y, cross_entropy)

    def cure(specimen: Specimen) -> Specimen:
        return specimen._replace(apply_fn=classifier)

    return Exhibit(
        "softmax-twice",
        "The accuracy grows, but the loss falls slowly and never below 1.46.",
        "double softmax",
        "Dense_2",
        "Probabilities lie in [0, 1], so a softmax of them gives the right class at most e/(e + 9) of ten: the loss "
        "can't fall below ln(e + 9) - 1 = 1.461.",
        "logits as outputs",
        ill,
        cure,
        cure(ill)._replace(variables=draw(1)),
    )


def labels_from_one() -> Exhibit:
    """Labels 1 to 10 for ten classes."""
    x, y = clusters(0)
    healthy = Specimen(classifier, draw(0), x, y, cross_entropy)

    def cure(specimen: Specimen) -> Specimen:
        return specimen._replace(labels=specimen.labels - 1)

    return Exhibit(
        "labels-from-1",
        "The loss looks good, but one class is never predicted; or the loss is NaN, by the library.",
        "labels off by one",
        "",
        "Classes are counted from 0. The one-hot row of label 10 of ten classes is all 0, so its examples add nothing "
        "to the loss; an index out of range gives NaN.",
        "labels minus 1",
        healthy._replace(labels=y + 1),
        cure,
        healthy._replace(variables=draw(1)),
    )


def labels_shifted() -> Exhibit:
    """A trained network beside labels that another program counted from 1."""
    x, y = clusters(0, CLASSES - 1)
    trained = _trained(0, x, y)

    def cure(specimen: Specimen) -> Specimen:
        return specimen._replace(labels=specimen.labels - 1)

    return Exhibit(
        "labels-shifted-by-1",
        "The training went well, the test accuracy is 0 %.",
        "labels off by one",
        "",
        "All answers are the label minus 1: the classes of the test were counted from 1.",
        "labels minus 1",
        trained._replace(labels=y + 1),
        cure,
        _trained(1, x, y),
    )


def labels_shuffled() -> Exhibit:
    """A trained network beside labels in another order than the inputs."""
    x, y = clusters(0)
    trained = _trained(0, x, y)
    order = np.random.default_rng(0).permutation(len(y))

    def cure(specimen: Specimen) -> Specimen:
        return specimen._replace(labels=specimen.labels[jnp.asarray(np.argsort(order))])

    return Exhibit(
        "labels-in-another-order",
        "The training went well, the test loss is far above ln 10 and the accuracy that of guessing.",
        "wrong labels",
        "",
        "The network is sure of its answers, and one in ten is right: inputs and labels were shuffled apart.",
        "the order of the inputs",
        trained._replace(labels=y[jnp.asarray(order)]),
        cure,
        _trained(1, x, y),
    )


def _trained(seed: int, x: Array, y: Array) -> Specimen:
    start = Specimen(classifier, draw(seed), x, y, cross_entropy)
    return start._replace(variables=start.train(STEPS)[0])
