"""What outputs say beside their labels: each limit from both sides, on outputs made for it, without a network."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles.signal_networks import report

from jaxact.diagnosis import answers
from jaxact.diagnosis.edges import INPUT, OUTPUT, Edges
from jaxact.diagnosis.signals import LARGE

EDGES = Edges({INPUT: frozenset({0}), 0: frozenset({OUTPUT})}, frozenset({0}))
LABELS = np.arange(60) % 6


def kinds(outputs, labels=LABELS, scale=1.0):
    found = answers.answer_checks(outputs, labels, 1.0, [report("last", kernel_scale=scale)], EDGES)
    return [(verdict.kind, verdict.layer) for verdict in found]


def sure_of(answers_given, classes=6, size=10.0):
    return size * np.eye(classes)[np.asarray(answers_given) % classes]


def test_probabilities_are_told_from_logits():
    logits = np.random.default_rng(0).normal(size=(60, 6))
    probabilities = np.asarray(jax.nn.softmax(logits))
    assert kinds(probabilities) == [("double softmax", "last")]
    rough = probabilities.astype(jnp.bfloat16)
    assert np.abs(rough.astype(float).sum(1) - 1).max() > answers.SUM and kinds(rough) == [("double softmax", "last")]
    assert not kinds(probabilities + 0.01 / 6) and not kinds(np.log(probabilities)) and not kinds(logits)
    one_negative = probabilities.copy()
    one_negative[0, :2] += (-1.0, 1.0)
    assert not kinds(one_negative)


@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_the_floor_is_the_loss_of_a_certain_and_right_answer(classes):
    """Against the cross-entropy of a softmax of a unit vector, in NumPy."""
    certain = np.eye(classes)[0]
    assert answers.softmax_floor(classes) == pytest.approx(-math.log(math.e / np.exp(certain).sum()))


def test_labels_off_by_one_in_both_directions():
    for shift in (1, -1):
        labels = np.clip(LABELS, 1, 4)
        assert kinds(sure_of(labels - shift), labels) == [("labels off by one", "")]
    assert not kinds(sure_of(LABELS)) and not kinds(sure_of(LABELS[:20] - 1), LABELS[:20])
    some = np.where(np.arange(60) < 60 * answers.SHIFTED - 1, 1, 0)  # a few too few
    labels = np.clip(LABELS, 1, 4)
    assert ("labels off by one", "") not in kinds(sure_of(labels - some), labels)


def test_sure_answers_that_are_right_by_chance():
    guesses = np.random.default_rng(1).permutation(LABELS)
    assert kinds(sure_of(guesses)) == [("wrong labels", "")]
    assert not kinds(sure_of(guesses, size=1.5)) and not kinds(sure_of(guesses), scale=1.01 * LARGE)
    drawn = np.random.default_rng(3).integers(0, 6, size=600)  # by another program, not a permutation
    assert kinds(sure_of(drawn), np.arange(600) % 6) == [("wrong labels", "")]
    uneven = np.where(guesses < 2, 5, guesses)  # as before training: some classes are never answered
    assert not kinds(sure_of(uneven))
    half = np.where(np.arange(60) % 2, LABELS, guesses)
    assert not kinds(sure_of(half))


def test_equal_outputs_are_found_unless_the_head_starts_at_zero():
    spread = np.random.default_rng(2).normal(size=(60, 6))
    spread *= answers.ALIKE / spread.std(0).max()
    assert kinds(0.99 * spread) == [("constant outputs", "last")] and not kinds(1.01 * spread)
    assert not kinds(0.99 * spread, scale=0.0)


def test_labels_from_one_to_the_number_of_classes():
    assert [verdict.kind for verdict in answers.off_by_one(LABELS + 1, 6)] == ["labels off by one"]
    assert not answers.off_by_one(LABELS, 6) and not answers.off_by_one(LABELS + 1, 7)
    assert not answers.off_by_one(np.ones(5, int), 1)
