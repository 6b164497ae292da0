"""F1 scores against scikit-learn and by hand; micro-F1 is the accuracy exactly where examples have one label."""

from fractions import Fraction

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from jaxact.statistics import scores

CLASSES = 4
LABELS = st.integers(1, 60).flatmap(
    lambda n: st.tuples(*[arrays.arrays(np.int64, n, elements=st.integers(0, CLASSES - 1))] * 2)
)
SETS = st.integers(1, 40).flatmap(lambda n: st.tuples(*[arrays.arrays(bool, (n, CLASSES))] * 2))


def rows_of(labels):
    return np.eye(CLASSES, dtype=bool)[labels]


def sklearn(truth, predicted, average):
    return f1_score(truth, predicted, labels=range(CLASSES), average=average, zero_division=np.nan)


@settings(deadline=None)
@given(LABELS)
def test_single_label_scores_equal_scikit_learn_and_micro_is_the_accuracy(pair):
    truth, predicted = pair
    found = scores.f1(*scores.count(rows_of(predicted), rows_of(truth)))
    np.testing.assert_allclose(found.per_class, sklearn(truth, predicted, None), rtol=1e-14)
    for name in ("micro", "macro", "weighted"):
        assert getattr(found, name) == pytest.approx(sklearn(truth, predicted, name), rel=1e-13)
    assert found.micro == (truth == predicted).mean()


@settings(deadline=None)
@given(SETS)
def test_multi_label_scores_equal_scikit_learn(pair):
    truth, predicted = pair
    found = scores.f1(*scores.count(predicted, truth))
    np.testing.assert_allclose(found.per_class, sklearn(truth, predicted, None), rtol=1e-14)
    if truth.any():
        for name in ("macro", "weighted"):
            assert getattr(found, name) == pytest.approx(sklearn(truth, predicted, name), rel=1e-13)
    if truth.any() or predicted.any():
        assert found.micro == pytest.approx(sklearn(truth, predicted, "micro"), rel=1e-13)
    else:
        assert np.isnan(found.micro)


def test_by_hand():
    """Of 3 of a class 2 are found, with 1 false alarm: F1 4/6; the other class 1 of 2, with 1 false alarm: 2/4."""
    found = scores.f1(np.array([2, 1]), np.array([3, 2]), np.array([3, 2]))
    np.testing.assert_array_equal(found.per_class, [4 / 6, 1 / 2])
    assert found.micro == Fraction(3, 5).__float__() and found.macro == (4 / 6 + 1 / 2) / 2
    assert found.weighted == pytest.approx(float((3 * Fraction(2, 3) + 2 * Fraction(1, 2)) / 5), rel=1e-15)


def test_with_several_labels_micro_f1_is_no_accuracy():
    """Truth {a, b}, {c}; predicted {a}, {c, d}: TP 2, FP 1, FN 1."""
    truth = np.array([[1, 1, 0, 0], [0, 0, 1, 0]], bool)
    predicted = np.array([[1, 0, 0, 0], [0, 0, 1, 1]], bool)
    micro = scores.f1(*scores.count(predicted, truth)).micro
    assert micro == pytest.approx(4 / 6, rel=1e-15)
    assert (predicted == truth).all(1).mean() == 0 and (predicted == truth).mean() == 0.75


def test_a_class_neither_present_nor_predicted_is_left_out():
    found = scores.f1(np.array([3, 0]), np.array([3, 0]), np.array([3, 0]))
    np.testing.assert_array_equal(found.per_class, [1, np.nan])
    assert found.micro == found.macro == found.weighted == 1


def test_leading_axes_are_batch_axes():
    rng = np.random.default_rng(0)
    support = np.array([50, 30, 20])
    predicted = rng.multinomial(100, [0.5, 0.3, 0.2], (2, 3))
    correct = rng.integers(0, np.minimum(predicted, support) + 1)
    found = scores.f1(correct, predicted, support)
    assert found.per_class.shape == (2, 3, 3) and found.micro.shape == (2, 3)
    for i in np.ndindex(2, 3):
        alone = scores.f1(correct[i], predicted[i], support)
        np.testing.assert_array_equal(found.per_class[i], alone.per_class)
        assert [found.micro[i], found.macro[i], found.weighted[i]] == [alone.micro, alone.macro, alone.weighted]
    truth, answers = rng.random((20, 3)) < 0.5, rng.random((4, 20, 3)) < 0.5
    counts = scores.count(answers, truth)
    assert [c.shape for c in counts] == [(4, 3)] * 3
    np.testing.assert_array_equal(counts.correct[2], (answers[2] & truth).sum(0))


@pytest.mark.parametrize(
    ("counts", "shown"), [(([3, 0], [2, 0], [3, 1]), "by 1"), (([3], [9], [1]), "by 2"), (([-1], [2], [2]), "-1")]
)
def test_impossible_counts_are_refused_in_one_line(counts, shown):
    with pytest.raises(ValueError, match=shown) as error:
        scores.f1(*map(np.array, counts))
    assert "\n" not in str(error.value)
