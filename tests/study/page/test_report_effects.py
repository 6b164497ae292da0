"""Interventions, main effects and interactions in the report, against hand arithmetic and the statistics themselves."""

import itertools

import numpy as np
import pytest
from oracles.report_examples import record, small_set, study
from test_report_records import FEW, material

from jaxact.commands.interventions import INTERVENTIONS
from jaxact.statistics import bootstrap_mean, decompose
from jaxact.study.page import effects as report_effects
from jaxact.study.page.outcome import outcome
from jaxact.study.page.records import main_grid


def section(tmp_path, *groups):
    found = material(tmp_path, *groups)
    grid = main_grid(found)
    return report_effects.effects(found, grid), report_effects.interactions(grid, outcome(grid)), grid


def test_effects_are_paired_differences_over_shared_seeds(tmp_path):
    base = small_set()
    config = INTERVENTIONS["batchnorm_last"].change(study("relu-sigmoid-relu"))
    changed = record(config, (0, 1, 0)).subset([1, 2])
    (effect,), _, _ = section(tmp_path, base, [changed])
    before = next(one for one in base if one.config.name == "relu-sigmoid-relu").test_accuracy()[[1, 2], -1]
    assert effect.seeds == (1, 2) and effect.intervention == "batchnorm_last"
    assert effect.difference.value == pytest.approx((changed.test_accuracy()[:, -1] - before).mean())
    shown = report_effects.intervened([effect])
    (row,) = shown.tables[0].rows
    assert row[:3] == ["relu-sigmoid-relu", "batchnorm_last", "2"] and row[5] == f"{effect.difference.value:+.2f}"
    assert row[11] == "–" and "nan" not in row  # dead at the start, before batch norm has seen data
    (dots,) = (mark for mark in shown.figures[0].panels[0].marks if mark.label)
    assert (list(dots.x), list(dots.low)) == ([effect.difference.value], [effect.difference.low])


def test_one_shared_seed_is_no_effect(tmp_path):
    changed = record(INTERVENTIONS["linear"].change(study("relu-sigmoid-relu")), (0, 0)).subset([1])
    effects, _, _ = section(tmp_path, small_set(), [changed])
    assert effects == [] and report_effects.intervened(effects).missing.startswith("No intervention is among")


def test_the_shares_are_those_of_the_decomposition(tmp_path):
    _, shown, grid = section(tmp_path, small_set())
    table = np.stack([one.test_accuracy()[:, -1] for one in small_set()], 1).reshape(4, 2, 2, 2)
    split = decompose(table, ("a", "b", "c"), np.random.default_rng(0))
    rows = shown.tables[0].rows
    assert [row[0] for row in rows][:4] == ["layer 1", "layer 2", "layer 3", "layer 1 × layer 2"]
    np.testing.assert_allclose([float(row[1]) for row in rows], [100 * c.share for c in split.components], atol=0.0501)
    assert all(row[2:] == ["–", "–"] for row in rows)  # four seeds are too few
    effects = {mark.label: mark for mark in shown.figures[0].panels[1].marks if mark.label}
    per_seed = table.mean((1, 2)) - table.mean((1, 2, 3))[:, None]
    np.testing.assert_allclose(effects["layer 3"].x, per_seed.mean(0))
    heat = shown.figures[0].panels[2].marks[0]
    both = table.mean((0, 1))
    both = both - both.mean(0) - both.mean(1)[:, None] + both.mean()
    np.testing.assert_allclose(heat.z, both, atol=1e-9)
    assert heat.rows == grid.levels[1] and heat.columns == grid.levels[2]
    heats = [panel.marks[0] for panel in shown.figures[0].panels[2:]]
    most = max(np.abs(one.z).max() for one in heats)
    assert len(heats) == 3 and all((one.low, one.high) == (-most, most) for one in heats)  # one scale: comparable
    assert not any("-0.0" in text or "+0.0" in text for one in heats for row in one.text for text in row)


def test_nine_seeds_have_intervals_of_the_shares(tmp_path):
    made = []
    for i, one in enumerate(small_set()):
        lost = tuple((seed * 5 + i) % 7 if "sigmoid-relu" in one.config.name else 0 for seed in range(9))
        made.append(record(one.config, lost, first=i, shift=-0.001))
    _, shown, _ = section(tmp_path, made)
    table = np.stack([one.test_accuracy()[:, -1] for one in made], 1).reshape(9, 2, 2, 2)
    split = decompose(table, ("a", "b", "c"))
    for end, column in (("low", 2), ("high", 3)):
        expected = [100 * getattr(c, end) for c in split.components]
        np.testing.assert_allclose([float(row[column]) for row in shown.tables[0].rows], expected, atol=0.0501)


def test_effects_are_bounded_by_what_accuracies_allow():
    """Against all corners: an effect is linear in the cells, so its extremes lie at tables of 0 and 100."""
    corners = 100.0 * np.array(list(itertools.product((0, 1), repeat=6))).reshape(-1, 2, 3)
    for factors, levels in (((0,), (2,)), ((1,), (3,)), ((0, 1), (2, 3))):
        assert np.abs(report_effects._per_seed(corners, factors)).max() == pytest.approx(
            report_effects._largest(levels)
        )


def test_every_effect_has_its_interval_in_points(tmp_path):
    _, shown, grid = section(tmp_path, small_set())
    rows = shown.tables[1].rows
    assert len(rows) == 3 * 2 + 3 * 4
    table = np.stack([one.test_accuracy()[:, -1] for one in small_set()], 1).reshape(4, 2, 2, 2)
    per_seed = table.mean((1, 2))[:, 0] - table.mean((1, 2, 3))  # the output's relu
    (row,) = (row for row in rows if row[:2] == ["layer 3", "relu"])
    interval = bootstrap_mean(per_seed, np.random.default_rng(1), bounds=(-50, 50))  # other draws
    np.testing.assert_allclose([float(x) for x in row[2:]], [per_seed.mean(), interval.low, interval.high], rtol=0.1)
    assert all(float(row[3]) <= float(row[2]) <= float(row[4]) for row in rows)
    single = [one.subset([0]) for one in small_set()]
    _, shown, _ = section(tmp_path / "single", single)
    assert all(row[3:] == ["–", "–"] for row in shown.tables[1].rows)


def test_interventions_are_drawn_on_one_scale(tmp_path):
    base = small_set()
    changed = [record(INTERVENTIONS["linear"].change(one.config)) for one in base if "sigmoid-relu" in one.config.name]
    effects, _, _ = section(tmp_path, base, changed)
    panels = report_effects.intervened(effects).figures[0].panels
    assert len(panels) == 2 and panels[0].x_range == panels[1].x_range
    low, high = panels[0].x_range
    assert all(low < e.difference.low and e.difference.high < high for e in effects) and low < 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda made: made[1:], "1 is missing"),
        (lambda made: [one for one in made if one.config.name.endswith("relu")], "layer 3 with one activation only"),
        (lambda made: [made[0].subset([0, 1]), made[1].subset([2, 3]), *made[2:]], "seeds that all combinations share"),
        (lambda made: [record(made[0].config, diverged=(1,)), *made[1:]], "some diverged"),
        (lambda made: [record(one.config) for one in made], "nothing to decompose"),
    ],
)
def test_without_a_full_table_there_is_a_sentence(tmp_path, change, said):
    _, shown, _ = section(tmp_path, change(small_set(**FEW)))
    assert said in shown.missing and not shown.figures
