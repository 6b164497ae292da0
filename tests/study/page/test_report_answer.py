"""The sentences of the first screen follow from the numbers and claim no more than the records hold."""

from dataclasses import replace

import numpy as np
import pytest
from oracles.report_examples import COUNTS, record, small_set, study
from test_report_records import FEW, material

from jaxact.commands.interventions import INTERVENTIONS
from jaxact.study.page import effects
from jaxact.study.page.answer import answer, pattern
from jaxact.study.page.outcome import outcome
from jaxact.study.page.records import main_grid

ALL = [f"{a}-{b}-{c}" for a in ("relu", "tanh") for b in ("relu", "tanh") for c in ("relu", "tanh")]


def answered(tmp_path, made, *more):
    found = material(tmp_path, made, *more)
    grid = main_grid(found)
    judged = outcome(grid)
    return answer(grid, judged, effects.effects(found, grid)), grid, judged


@pytest.mark.parametrize(
    ("failing", "said"),
    [
        (("relu-tanh-relu", "tanh-tanh-relu"), ": exactly those that end in (tanh, relu)"),
        (
            ("relu-relu-relu", "relu-tanh-relu", "tanh-relu-relu", "tanh-tanh-relu"),
            ": exactly those with a relu output",
        ),
        (("relu-tanh-relu", "relu-tanh-tanh"), ": exactly those with relu in layer 1 and tanh in layer 2"),
        (("relu-tanh-relu", "tanh-tanh-relu", "relu-relu-tanh"), ": both that end in (tanh, relu), and relu-relu-tanh"),
        (("relu-tanh-relu",), ""),
        (
            ("relu-tanh-relu", "tanh-tanh-relu", "relu-relu-relu", "relu-relu-tanh"),
            ": exactly those that end in (tanh, relu), and those with relu in layer 1 and relu in layer 2",
        ),
        (
            ("relu-tanh-relu", "tanh-tanh-relu", "relu-relu-tanh", "tanh-relu-tanh", "relu-relu-relu"),
            ": both that end in (relu, tanh), both that end in (tanh, relu), and relu-relu-relu",
        ),
        (("relu-tanh-relu", "tanh-relu-tanh"), ""),
        (ALL, ""),
    ],
)
def test_what_failing_combinations_have_in_common(tmp_path, failing, said):
    made = [record(study(name, **FEW), (8, 8) if name in failing else (0, 0)) for name in ALL]
    if failing is ALL:
        made = [record(study(name), (8, 8)) for name in ALL]  # mnist: the limit is not relative
    _, grid, judged = answered(tmp_path, made)
    assert {row.name for row in judged.failing} == set(failing) and pattern(grid, judged.failing) == said


def test_nothing_fails(tmp_path):
    one, _, _ = answered(tmp_path, [record(study(name, **FEW)) for name in ALL])
    assert one.headline == "None of the 8 combinations fails on digits" and one.table is None
    assert one.often == "0 of 32 runs fail." and "no failure to explain" in one.why[0]


def test_one_configuration_alone(tmp_path):
    one, _, _ = answered(tmp_path, [record(study("relu-sigmoid-relu"), (5, 6))])
    assert one.headline == "relu-sigmoid-relu fails on MNIST"
    assert one.often.startswith("2 of their 2 runs fail (100 %). Their seeds reach from 40.7 to 50.4 %.")


def test_dead_outputs_are_the_reason_only_where_they_are_dead(tmp_path):
    dead, _, _ = answered(tmp_path / "a", small_set())
    assert any(w.startswith("**Their output units are dead**: 100 % of the lost") for w in dead.why)
    alive = small_set()
    for one in alive:
        one.arrays["probe_dead"][:] = False
    other, _, _ = answered(tmp_path / "b", alive)
    assert any(w.startswith("Dead output units are a part of it: 0 % of the lost") for w in other.why)
    assert not any("units are dead" in w for w in other.why)


@pytest.mark.parametrize(("alive", "said"), [(1, "**Their output units are dead**: 90 %"), (2, "a part of it: 80 %")])
def test_nine_of_ten_lost_classes_make_dead_outputs_the_reason(tmp_path, alive, said):
    made = record(study("relu-sigmoid-relu"), (5, 5))
    made.arrays["probe_dead"][0, :, -alive:] = False
    one, _, _ = answered(tmp_path, [made])
    assert any(said in why for why in one.why)


def test_dead_before_the_first_step_is_counted_apart(tmp_path):
    made = [record(study("relu-sigmoid-relu"), (4, 6), born_dead=(1, 2)), record(study("relu-relu-relu"), (0, 0))]
    one, _, _ = answered(tmp_path, made)
    assert any("100 % of the lost classes have" in w and "30 % had one that was dead before" in w for w in one.why)


def test_failure_without_lost_classes_is_not_explained_by_them(tmp_path):
    made = [record(study("relu-relu-relu"), healthy=0.5), record(study("relu-relu-tanh"))]
    one, _, _ = answered(tmp_path, made)
    assert one.why[0] == "They predict every class: whatever fails here, it is not dead outputs."
    assert not any("units are dead" in w for w in one.why)


def test_the_gradient_is_cleared_only_by_a_control_attenuated_as_much(tmp_path):
    one, _, _ = answered(tmp_path / "a", small_set())
    assert any("**A vanishing gradient does not explain it**" in w and "reaches 97.8" in w for w in one.why)
    unlike = small_set()
    for made in unlike:
        if made.config.name.endswith("sigmoid"):
            made.arrays["probe_gradient_layers"][..., 0] *= 5
    other, _, _ = answered(tmp_path / "b", unlike)
    assert not any("vanishing gradient" in w for w in other.why)
    assert any(w.startswith("Behind the same hidden layers another output reaches 97.8") for w in other.why)
    some = [one for one in small_set() if one.config.name != "sigmoid-sigmoid-sigmoid"]
    part, _, _ = answered(tmp_path / "d", some)
    assert any("not explain it**" in w and "(1 of the 2 have such a control)" in w for w in part.why)
    none, _, _ = answered(tmp_path / "c", [one for one in small_set() if one.config.name.endswith("relu")])
    assert not any("same hidden layers" in w for w in none.why)


def test_cause_is_claimed_only_with_interventions(tmp_path):
    base = small_set()
    changed = [record(INTERVENTIONS["linear"].change(one.config)) for one in base if "sigmoid-relu" in one.config.name]
    changed += [
        record(replace(one.config, learning_rate=0.001), (2, 5, 3, 4))
        for one in base
        if one.config.name == "relu-sigmoid-relu"
    ]
    without, _, _ = answered(tmp_path / "a", base)
    assert without.why[-1].startswith("No intervention is among these records")
    one, _, _ = answered(tmp_path / "b", base, changed)
    first = {n: 98 * (1 - COUNTS[10 - n :].sum() / 10_000) for n in (2, 3, 4, 5, 8, 9)}
    before = np.mean([first[n] for n in (2, 5, 3, 4, 9, 9, 8, 9)])
    assert "endings in (sigmoid, relu): linear output (2 combinations: " in one.why[-1]
    shown = float(one.why[-1].split("linear output (2 combinations: ")[1].split(" →")[0])
    assert shown == pytest.approx(before, abs=0.15) and "→ 98.0 %)" in one.why[-1]
    alone = np.mean([first[n] for n in (2, 5, 3, 4)])
    shown = one.why[-1].split("learning rate / 10 (relu-sigmoid-relu: ")[1].split(" %)")[0]  # not one of the two
    np.testing.assert_allclose([float(x) for x in shown.split(" → ")], [alone, alone], atol=0.15)


def test_a_pattern_of_less_than_half_of_what_fails_is_not_told(tmp_path):
    names = [f"{a}-{b}-{c}" for a in ("relu", "tanh", "selu") for b in ("relu", "tanh") for c in ("relu", "tanh")]
    alone = {"relu-relu-relu", "relu-relu-tanh", "relu-tanh-relu", "tanh-relu-relu"}
    made = [record(study(name, **FEW), (8, 8) if name in alone else (0, 0)) for name in names]
    one, _, _ = answered(tmp_path / "a", made)
    assert one.headline.endswith("both with relu in layer 1 and relu in layer 3, and relu-relu-tanh and tanh-relu-relu")
    scattered = {"relu-relu-relu", "relu-relu-tanh", "relu-tanh-relu", "tanh-relu-relu", "selu-tanh-tanh"}
    made = [record(study(name, **FEW), (8, 8) if name in scattered else (0, 0)) for name in names]
    two, _, _ = answered(tmp_path / "b", made)
    assert two.headline == "5 of 12 combinations fail on digits"


def test_the_table_of_failing_ones(tmp_path):
    one, _, _ = answered(tmp_path, small_set())
    assert one.table
    rows = {row[0]: row for row in one.table.rows}
    assert list(rows) == ["sigmoid-sigmoid-relu", "relu-sigmoid-relu"]
    # Clopper and Pearson, 4 of 4: lower end (0.025)^(1/4) = 0.398
    assert rows["relu-sigmoid-relu"][2:5] == ["4 of 4", "40–100 %", "3.5"]
    assert rows["relu-sigmoid-relu"][6:] == ["1.5", "3.5"]
