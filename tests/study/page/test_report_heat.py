"""The heat maps' tables for networks of any depth, their cells, and when there are none."""

import numpy as np
import pytest
from oracles.report_examples import record, small_set, study
from test_report_records import material

from jaxact.study.page.heat import blocks, figures, views, why_not
from jaxact.study.page.outcome import outcome
from jaxact.study.page.records import main_grid


def grid_of(tmp_path, made):
    return main_grid(material(tmp_path, made))


def deep(name, widths):
    return record(study(name, dataset="digits", epochs=1, widths=widths), (0, 3))


def test_three_layers_are_one_table_per_output(tmp_path):
    relu, sigmoid = blocks(grid_of(tmp_path, small_set()))
    assert (relu.title, sigmoid.title) == ("relu output", "sigmoid output")
    assert relu.rows == relu.columns == ("relu", "sigmoid")
    assert relu.names[0] == ["relu-relu-relu", "relu-sigmoid-relu"] and sigmoid.names[1][0] == "sigmoid-relu-sigmoid"


@pytest.mark.parametrize(
    ("widths", "names", "titles", "first"),
    [
        ((10,), ("relu", "tanh"), [""], [["relu", "tanh"]]),
        ((4, 10), ("relu-tanh", "tanh-tanh"), [""], [["relu-tanh"], ["tanh-tanh"]]),
        ((4, 4, 4, 10), ("relu-tanh-relu-selu", "tanh-tanh-relu-selu"),
         ["selu output, relu first", "selu output, tanh first"], [["relu-tanh-relu-selu"]]),
    ],
)  # fmt: skip
def test_other_depths(tmp_path, widths, names, titles, first):
    grid = grid_of(tmp_path, [deep(name, widths) for name in names])
    found = blocks(grid)
    assert [block.title for block in found] == titles and [list(row) for row in found[0].names] == first
    shown = views(grid, outcome(grid))
    assert {cell.name for _, rows in shown[0].blocks for row in rows for cell in row} == set(names)
    assert len(figures(grid, outcome(grid))) == len(shown)


def test_cells_hold_the_mean_the_spread_and_every_seed(tmp_path):
    grid = grid_of(tmp_path, small_set()[:7])
    found = outcome(grid)
    by_view = {v.key: {c.name: c for _, rows in v.blocks for row in rows for c in row} for v in views(grid, found)}
    row = found.rows["relu-sigmoid-relu"]
    mean, spread = (by_view[key]["relu-sigmoid-relu"] for key in ("mean", "spread"))
    assert mean.text == f"{row.accuracy.mean():.1f}" and spread.text == f"{row.accuracy.std(ddof=1):.1f}"
    assert mean.strip.count("M") == 4 and mean.strip.startswith(f"M{row.accuracy[0]:.1f} ")
    expected = 100 * (100 - row.accuracy.mean()) / (100 - 10)  # from all right to chance
    assert mean.heat == pytest.approx(expected, abs=0.06)
    assert "4 of 4 seeds fail" in mean.label
    assert by_view["mean"][""].label == "sigmoid-sigmoid-sigmoid: no record"
    assert max(cell.heat for cell in by_view["spread"].values()) == 100


def test_a_sparse_set_has_none_and_says_why(tmp_path):
    names = ("relu-tanh-selu", "tanh-selu-gelu", "selu-gelu-relu", "gelu-relu-tanh", "elu-elu-elu")
    grid = grid_of(tmp_path, [deep(name, (4, 4, 10)) for name in names])
    assert "are a small part of the 125 combinations" in why_not(grid) and views(grid, outcome(grid)) == []
    assert why_not(grid_of(tmp_path / "b", small_set())) == ""


def test_a_single_seed_has_no_spread(tmp_path):
    grid = grid_of(tmp_path, [one.subset([0]) for one in small_set()])
    assert "spread" not in {view.key for view in views(grid, outcome(grid))}
    assert np.isnan(outcome(grid).rows["relu-relu-relu"].summary.sd)


def test_the_lenets_of_the_study_have_two_factors(tmp_path):
    made = [
        record(study(f"relu-{a}-{a}-{b}-identity", dataset="cifar10", architecture="lenet", widths=(6, 16, 120, 84, 10),
                     batch_size=4, epochs=1))
        for a in ("relu", "tanh") for b in ("relu", "tanh")
    ]  # fmt: skip
    grid = grid_of(tmp_path, made)
    assert grid.factors == ((1, 2), (3,)) and grid.labels == ("layers 2 and 3", "layer 4") and not grid.missing
    (block,) = blocks(grid)
    assert block.names[1] == ["relu-tanh-tanh-relu-identity", "relu-tanh-tanh-tanh-identity"]
    assert main_grid(material(tmp_path / "b", made[:3])).missing == ("relu-tanh-tanh-tanh-identity",)
    assert np.isnan(outcome(grid).rows["relu-relu-relu-relu-identity"].case.predicted_dead)
