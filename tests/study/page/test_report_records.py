"""Reading and sorting records for the report."""

from dataclasses import replace

import numpy as np
import pytest
from oracles.report_examples import record, small_set, study

from jaxact import records
from jaxact.commands.interventions import INTERVENTIONS
from jaxact.study.page import records as report_records
from jaxact.study.page.records import complaints, load, main_grid

FEW = {"dataset": "digits", "epochs": 2, "widths": (6, 5, 10)}


def material(tmp_path, *groups):
    """Each group of records in a folder of its own, read together."""
    for i, group in enumerate(groups):
        for one in group:
            records.write(tmp_path / str(i), one)
    return load([tmp_path / str(i) for i in range(len(groups))], pytest.fail)


def test_seeds_of_several_folders_are_one_record(tmp_path):
    whole = record(study("relu-sigmoid-relu", **FEW), (1, 2, 3, 4))
    found = material(tmp_path, [whole.subset([0, 2])], [whole.subset([1, 2, 3])])
    (one,) = found.found.values()
    assert one.seeds.tolist() == [0, 1, 2, 3] and not found.conflicts and not found.damaged
    np.testing.assert_array_equal(one.arrays["test_correct"], whole.arrays["test_correct"])


def test_two_files_that_disagree_are_told_of(tmp_path):
    config = study("relu-sigmoid-relu", **FEW)
    found = material(tmp_path, [record(config, (1, 2))], [record(config, (1, 3))])
    (conflict,) = found.conflicts
    assert conflict == f"relu-sigmoid-relu-{config.digest}: two files differ in 1 of 2 seeds, the later one counts"
    assert (next(iter(found.found.values())).never_predicted()[:, -1] == [1, 3]).all()
    assert f"Records disagree: {conflict}." in complaints(found, main_grid(found))


def test_levels_are_in_the_order_of_the_study_and_gaps_are_named(tmp_path):
    names = ("selu-relu-relu", "relu-relu-relu", "relu-gelu-relu", "selu-tanh-relu")
    grid = main_grid(material(tmp_path, [record(study(name, **FEW)) for name in names]))
    assert grid.levels == (("relu", "selu"), ("relu", "tanh", "gelu"), ("relu",))
    assert list(grid.records) == ["relu-relu-relu", "relu-gelu-relu", "selu-relu-relu", "selu-tanh-relu"]
    assert grid.missing == ("relu-tanh-relu", "selu-gelu-relu")


def test_the_protocol_with_most_runs_is_the_grid(tmp_path):
    slow = [record(replace(one.config, learning_rate=0.001), (0, 0)) for one in small_set(**FEW)[:3]]
    norm = [record(replace(one.config, batch_norm=(3,)), (0, 0)) for one in small_set(**FEW)]
    grid = main_grid(material(tmp_path, [*slow, *small_set(**FEW), *norm]))
    assert grid.config.learning_rate == 0.01 and grid.config.batch_norm == () and len(grid.records) == 8
    assert len(grid.others) == 11 and not grid.changed and not grid.missing


def test_interventions_with_foreign_activations_are_no_part_of_the_grid(tmp_path):
    base = small_set(**FEW)
    failing = [one.config for one in base if one.config.name.endswith("sigmoid-relu")]
    linear = [record(INTERVENTIONS["linear"].change(config)) for config in failing]
    swapped = [record(INTERVENTIONS["centred"].change(config)) for config in failing]
    grid = main_grid(material(tmp_path, [*base, *linear, *swapped]))
    assert len(grid.records) == 8 and {r.config.name for r in grid.changed} == {
        *("relu-sigmoid-identity", "sigmoid-sigmoid-identity"),
        *("relu-centred_sigmoid-relu", "centred_sigmoid-centred_sigmoid-relu"),
    }
    everything = [record(study(f"identity-{name}-identity", **FEW)) for name in ("relu", "sigmoid")]
    wide = main_grid(material(tmp_path / "wide", [*base, *linear, *everything]))
    assert "identity" in wide.levels[2] and not wide.changed  # a grid of its own that has that activation


def test_what_an_intervention_changes_is_found_from_the_configuration(tmp_path):
    pairs = report_records.interventions_of(one.config for one in small_set(**FEW))
    assert {old.name for old, _, _ in pairs} == {"relu-sigmoid-relu", "sigmoid-sigmoid-relu"}
    assert {name for _, name, _ in pairs} == set(INTERVENTIONS)
    assert all(INTERVENTIONS[name].change(old) == new for old, name, new in pairs)


def test_a_cut_set_says_so_and_a_whole_one_has_no_complaint(tmp_path):
    whole = material(tmp_path / "a", small_set(**FEW))
    assert complaints(whole, main_grid(whole)) == []
    cut = material(tmp_path / "b", [record(study("relu-relu-relu", **FEW, limit_train=100))])
    assert complaints(cut, main_grid(cut)) == ["Cut: trained on 100 of 1,437 examples."]
