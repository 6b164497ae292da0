"""Reliability and Brier score against scikit-learn, the calibration error against a loop and exact cases."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from jaxact.statistics import calibration


@pytest.fixture(scope="module")
def sample():
    rng = np.random.default_rng(0)
    confidence = np.round(rng.random(500), 2)  # many lie on the edges of bins
    return confidence, rng.random(500) < confidence**2


@pytest.mark.parametrize("bins", [1, 5, 10, 15])
def test_the_diagram_equals_scikit_learn(sample, bins):
    found = calibration.reliability(*sample, bins=bins)
    right, sure = calibration_curve(sample[1], sample[0], n_bins=bins)
    full = found.examples > 0
    np.testing.assert_allclose(found.accuracy[full], right, rtol=1e-12)
    np.testing.assert_allclose(found.confidence[full], sure, rtol=1e-12)
    assert found.examples.sum() == 500 and len(found.edges) == bins + 1
    assert np.isnan(found.accuracy[~full]).all()


def test_the_error_equals_a_loop(sample):
    confidence, correct = sample
    total = 0.0
    for low in range(8):
        inside = (confidence > low / 8) & (confidence <= (low + 1) / 8) | ((low == 0) & (confidence == 0))
        if inside.any():
            total += inside.sum() * abs(correct[inside].mean() - confidence[inside].mean())
    found = calibration.expected_calibration_error(calibration.reliability(*sample, bins=8))
    assert found == pytest.approx(total / 500, rel=1e-12)


@pytest.mark.parametrize(("confidence", "right", "error"), [(0.75, 6, 0.0), (1.0, 6, 0.25), (0.25, 8, 0.75)])
def test_the_error_of_eight_equal_confidences(confidence, right, error):
    diagram = calibration.reliability(np.full(8, confidence), np.arange(8) < right)
    assert calibration.expected_calibration_error(diagram) == pytest.approx(error, abs=1e-15)


def test_sure_answers_have_a_bin():
    diagram = calibration.reliability(
        np.array([0.0, 0.1, 0.1000001, 1.0]), np.array([False, True, True, True]), bins=10
    )
    np.testing.assert_array_equal(diagram.examples, [2, 1, 0, 0, 0, 0, 0, 0, 0, 1])


def test_the_brier_score_equals_scikit_learn_and_its_ends():
    rng = np.random.default_rng(0)
    p, labels = rng.dirichlet(np.ones(4), 60), rng.integers(0, 4, 60)
    expected = brier_score_loss(labels, p, labels=range(4), scale_by_half=False)
    assert calibration.brier(p, labels) == pytest.approx(expected, rel=1e-12)
    sure = np.eye(4)[labels]
    assert calibration.brier(sure, labels) == 0 and calibration.brier(sure, (labels + 1) % 4) == 2


@pytest.mark.parametrize(
    ("confidence", "bins", "shown"),
    [
        ([0.5, 1.2], 15, "1.2 is outside"),
        ([-0.1], 15, "-0.1"),
        ([np.nan], 15, "nan"),
        ([], 15, "0 ex"),
        ([1], 0, "0 b"),
    ],
)
def test_what_is_no_confidence_is_refused_in_one_line(confidence, bins, shown):
    with pytest.raises(ValueError, match=shown) as error:
        calibration.reliability(np.array(confidence, float), np.ones(len(confidence), bool), bins)
    assert "\n" not in str(error.value)
