"""What explain pools over combinations that share seeds, against plain loops, with intervals by seed."""

import numpy as np
import pytest
from test_explain import all_relu_outputs, record, study

from jaxact.study import pooled, registered
from jaxact.study.evidence import FAILING, case


def many(name, seeds=16):
    """Runs of several combinations that share seeds 9, 10, …: what is dead in one is dead in all."""
    made = record(study(name), lost=(2, 5, 3, 4))
    times = -(-seeds // 4)
    arrays = {key: np.concatenate([value] * times)[:seeds] for key, value in made.arrays.items()}
    arrays["probe_dead"][[0, 5], 0] = False
    return case(made._replace(seeds=np.arange(9, 9 + seeds), arrays=arrays))


def test_pooled_counts_against_plain_loops():
    own = [many(name) for name in FAILING]
    lost, dead = set(), set()
    for one in own:
        for i, seed in enumerate(one.record.seeds.tolist()):
            lost |= {(seed, k) for k in range(10) if one.record.arrays["test_predicted"][i, -1, k] == 0}
            dead |= {(seed, k) for k in range(10) if one.record.arrays["probe_dead"][i, 0, 756 + k]}
    assert pooled.distinct_lost(own) == len(lost) == 4 * 14
    assert pooled.distinct_dead(own) == len(dead) == 4 * 14 - 2 - 5
    assert sum(one.never.sum() for one in own) == 4 * len(lost)  # counted four times as classes of runs


def test_pooled_shares_do_not_gain_from_the_same_seed_seen_twice():
    own = [many(name) for name in FAILING]
    one, four = (pooled.pooled_share(cases_, "stayed", "never") for cases_ in (own[:1], own))
    assert tuple(one) == pytest.approx(tuple(four)) and one.low < one.value == 49 / 56 < one.high
    few = pooled.pooled_share([many(name, 12) for name in FAILING], "stayed", "never")
    assert np.isnan(few.low) and pooled.bracketed(few, ".2f") == ""
    assert pooled.bracketed(one, ".0f", 100).startswith(" [")
    nothing = [one._replace(never=0 * one.never) for one in own]
    assert np.isnan(pooled.pooled_share(nothing, "stayed", "never").value)
    assert np.isnan(pooled.lost_and_accuracy(nothing).value)
    fit = pooled.lost_and_accuracy(own)
    x, y = np.concatenate([c.never for c in own]), np.concatenate([c.accuracy for c in own])
    assert fit.value == pytest.approx(np.corrcoef(x, y)[0, 1] ** 2)


def test_too_few_seeds_leave_what_rests_on_intervals_undecided():
    three = {
        name: case(record(study(name), lost=(3, 4, 4, 4)).subset([9, 10, 11]))
        for name in all_relu_outputs(lambda _: ())
    }
    for id_ in ("d", "e3"):
        found = registered.EVALUATIONS[id_](registered.Runs(three, []))
        assert found.verdict == "undecided" and "too few for an interval" in found.numbers, id_


def test_an_output_that_cannot_die_has_no_interval_of_dead_ones():
    rng = np.random.default_rng(0)
    relu, selu = (pooled.dead_at_start(case(record(study(name))), rng) for name in ("relu-relu-relu", "relu-relu-selu"))
    assert relu.value == selu.value == 0 and np.isnan(selu.high)
    assert relu.high == pytest.approx(10 * (1 - 0.025 ** (1 / 4)), abs=0.15)  # four runs without one
