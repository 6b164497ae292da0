"""Sweeps in the report: every value is shown, and none is taken for an intervention; expected numbers by hand."""

from dataclasses import replace

import numpy as np
import pytest
from oracles.report_examples import COUNTS, record, study
from test_report_records import material

from jaxact.study.page import build, effects
from jaxact.study.page.records import complaints, main_grid
from jaxact.study.page.sweep import sections

ENDINGS = ("relu-sigmoid-relu", "tanh-sigmoid-relu", "sigmoid-sigmoid-relu", "selu-sigmoid-relu")


def swept(tmp_path, names, field, values, lost=lambda i, j: (i, j)):
    """Two seeds of every combination at every value; `lost` gives the classes they lose by places of both."""
    made = [
        record(replace(study(name), **{field: value}), lost(i, j))
        for i, name in enumerate(names)
        for j, value in enumerate(values)
    ]
    found = material(tmp_path, made)
    return found, main_grid(found)


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("learning_rate", (0.1, 0.01, 0.001)),
        ("learning_rate", (0.05, 0.5)),
        ("init", ("he_normal", "lecun_normal", "torch_default", "glorot_uniform")),
        ("batch_norm", ((), (1,), (3,))),
    ],
)
def test_no_value_of_a_sweep_is_an_intervention_and_every_value_is_shown(tmp_path, field, values):
    names = ("relu-relu-relu", "relu-sigmoid-relu") if field != "learning_rate" or 0.5 in values else ENDINGS
    found, grid = swept(tmp_path, names, field, values)
    assert effects.effects(found, grid) == []
    ((of, section),) = sections(grid)
    assert of == field and len(grid.swept) == (len(values) - 1) * len(names)
    (table,) = section.tables
    assert sorted(table.header[1:]) == sorted(
        (" ".join(map(str, v)) or "none") if isinstance(v, tuple) else str(v) for v in values
    )
    columns = {head: k for k, head in enumerate(table.header)}
    for row in table.rows:
        i = names.index(row[0])
        for j, value in enumerate(values):
            text = (" ".join(map(str, value)) or "none") if isinstance(value, tuple) else str(value)
            mean = np.mean([98 * (1 - COUNTS[10 - n :].sum() / 10_000 if n else 1) for n in (i, j)])
            shown, _, failed = row[columns[text]].partition(" ")
            assert float(shown) == pytest.approx(mean, abs=0.1)
            assert failed == f"({(i > 0) + (j > 0)} of 2 fail)"
    assert any(line.startswith(f"A sweep of the {field.replace('_', ' ')}") for line in complaints(found, grid))


def test_the_page_says_of_which_value_it_is(tmp_path):
    found, _ = swept(tmp_path, ENDINGS, "learning_rate", (0.1, 0.01, 0.001), lambda i, _: (i, i))
    report = build.build(found, "made up")
    shown = f"{report.grid.config.learning_rate:g}"
    assert report.answer.headline.startswith(f"3 of 4 combinations fail on MNIST at learning rate {shown}")
    names = [name for name, _ in report.sections]
    assert names.count("By learning rate") == 1
    (figure,) = [f for f in report.figures if f.name == "sweep-learning-rate"]
    lines = {mark.label: list(mark.x) for mark in figure.panels[0].marks if not mark.label.endswith("seeds")}
    assert lines == dict.fromkeys(ENDINGS, [0.001, 0.01, 0.1])
    assert not any("learning rate / 10" in line for line in report.answer.why)


def test_interventions_beside_a_grid_stay_interventions(tmp_path):
    """A tenth of the rate for the endings alone, and a stray run of another, make no sweep."""
    base = [record(study(name), (0, 3)) for name in (*ENDINGS, "relu-relu-relu", "relu-tanh-relu")]
    slow = [record(study(name, learning_rate=0.001), (0, 2)) for name in (*ENDINGS, "relu-relu-relu")]
    found = material(tmp_path, base, slow)
    grid = main_grid(found)
    assert grid.swept == () and sections(grid) == []
    assert [e.intervention for e in effects.effects(found, grid)] == ["lr_tenth"] * 4
