"""What counts as failed, the classes behind it, and the ladder, against hand arithmetic."""

import numpy as np
import pytest
from oracles.report_examples import COUNTS, record, study
from test_report_records import FEW, material

from jaxact.study.page import outcome as report_outcome
from jaxact.study.page.outcome import class_counts, laddered, outcome
from jaxact.study.page.records import main_grid


def judged(tmp_path, *made):
    return outcome(main_grid(material(tmp_path, made)))


def test_on_mnist_the_limit_is_the_claims(tmp_path):
    found = judged(
        tmp_path, record(study("relu-relu-relu"), (0, 1, 2, 3)), record(study("relu-tanh-relu"), (0, 0, 0, 3))
    )
    assert found.limit == 80.0
    # 98 % less the last classes' 1009, 1983 and 3011 of 10,000
    accuracy = [0.98 * (1 - gone) * 100 for gone in (0, 0.1009, 0.1983, 0.3011)]
    np.testing.assert_allclose(found.rows["relu-relu-relu"].accuracy, accuracy, atol=0.03)
    assert found.rows["relu-relu-relu"].failed.tolist() == [False, False, True, True]
    assert not found.rows["relu-relu-relu"].fails and found.failing == []  # means 83.3 and 90.6


def test_elsewhere_the_limit_is_relative_to_the_best(tmp_path):
    good, bad = record(study("relu-relu-relu", **FEW), healthy=0.5), record(study("relu-tanh-relu", **FEW), (4, 4))
    found = judged(tmp_path, good, bad)
    means = [row.summary.mean for row in found.rows.values()]
    assert found.limit == pytest.approx(0.8 * max(means)) and found.best == max(means)


def test_a_diverged_seed_fails_and_leaves_the_mean(tmp_path):
    (row,) = judged(tmp_path, record(study("relu-relu-relu"), (0, 0, 0), diverged=(1,))).rows.values()
    assert row.failed.tolist() == [False, True, False] and not row.fails
    assert np.isnan(row.accuracy[1]) and row.summary.mean == pytest.approx(98, abs=0.02)
    (lost,) = judged(tmp_path / "all", record(study("relu-relu-relu"), (0,), diverged=(0,))).rows.values()
    assert lost.fails and np.isnan(lost.summary.mean)


def test_lost_classes_whose_output_is_off(tmp_path):
    made = record(study("relu-sigmoid-relu"), (3, 4))
    made.arrays["probe_dead"][1] = False
    made.arrays["probe_output_negative"][1, -1, 6:8] = 0.995  # nearly dead counts for a ReLU
    (row,) = judged(tmp_path, made).rows.values()
    assert row.off.tolist() == [3, 2]
    other = record(study("relu-sigmoid-tanh"), (0, 4))
    other.arrays["probe_dead"][:] = False
    other.arrays["probe_output_negative"][1, -1, 6:] = 1.0  # a negative tanh is not off
    (row,) = judged(tmp_path / "b", other).rows.values()
    assert row.off.tolist() == [0, 0]


def test_class_counts_are_exact_where_some_run_had_each_class_right():
    ten = record(study("relu-relu-relu"), (0,) * 10)
    counts, exact = class_counts([ten])
    assert exact and counts.tolist() == COUNTS.tolist()
    counts, exact = class_counts([ten.subset(range(9))])
    assert not exact and counts.tolist() == [1000] * 10


def test_the_ladder_against_hand_arithmetic(tmp_path):
    lost = (0, 0, 2, 5, 9, 1, 3, 4, 6, 7)
    found = judged(tmp_path, record(study("relu-sigmoid-relu"), lost))
    measured, expected, fit = laddered(found, list(found.rows.values()))
    healthy = measured[:2].mean()
    by_hand = [healthy * (1 - COUNTS[10 - n :].sum() / 10_000 if n else 1) for n in lost]
    np.testing.assert_allclose(expected, by_hand)
    assert fit == pytest.approx(1 - ((measured - by_hand) ** 2).sum() / ((measured - measured.mean()) ** 2).sum())
    assert fit > 0.999
    same = judged(tmp_path / "same", record(study("relu-relu-relu")))
    assert laddered(same, list(same.rows.values())) is None


def test_without_theory_there_is_no_prediction(tmp_path):
    (normed,) = judged(tmp_path, record(study("relu-sigmoid-relu", batch_norm=(3,)))).rows.values()
    assert np.isnan(normed.case.predicted_dead) and report_outcome.cells(normed)[10] == "–"
    (plain,) = judged(tmp_path / "b", record(study("relu-sigmoid-relu"))).rows.values()
    # results/predict has 3.60 for the 60,000 training images; fewer images leave more units dead.
    assert 3.6 < plain.case.predicted_dead < 3.9
