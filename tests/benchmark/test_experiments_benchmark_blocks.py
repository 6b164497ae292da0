"""`experiments.benchmark_blocks`: its arithmetic, its refusals, and a small run of it."""

import numpy as np
import pytest

from jaxact.benchmark import blocks
from jaxact.commands import benchmark_blocks as script
from jaxact.training import lowrank


def test_the_ratio_is_that_of_the_rounds():
    row = blocks.BlocksRow(784, 4, [1.0, 2.0, 1.0], [3.0, 3.0, 4.0], chosen=True)
    assert row.ratio == 3.0
    table = blocks.report([row, row._replace(chosen=False)], "head", {"cores": 2})
    cells = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines() if line.startswith("| 784")
    ]
    assert cells[0] == ["784", "4", "1.000 (1.000 to 2.000)", "3.000 (3.000 to 4.000)", "3.00", "blocks"]
    assert cells[1][-1] == "steps" and "- cores: 2" in table


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--features", "784", "0"], "--features must be from 1 to 100,000, got 0"),
        (["--batches", "2000"], "--batches must be from 1 to 1,024, got 2000"),
        (["--rounds", "0"], "--rounds must be from 1 to 100, got 0"),
        (["--out", __file__], "is not a directory"),
    ],
)
def test_bad_input_is_one_line(argv, said, capsys):
    with pytest.raises(SystemExit) as stop:
        script.main(argv)
    error = capsys.readouterr().err
    assert stop.value.code == 2 and said in error and error.count("\n") == 1


@pytest.mark.slow
def test_a_run_times_both_ways_and_leaves_the_rule_as_it_was(monkeypatch):
    seen = []
    run = lowrank.Blocks.run
    monkeypatch.setattr(lowrank.Blocks, "run", lambda *arguments: seen.append(1) or run(*arguments))
    row = blocks.measure(20, 2, 24, 2)
    assert len(row.blocks) == len(row.steps) == 2 and np.all(np.array([row.blocks, row.steps]) > 0)
    assert seen == [1] and not row.chosen and lowrank.PAYS == 8
