"""What a grid leaves in its folder: nothing of an earlier run is lost, and what cannot be read is named."""

import csv
from pathlib import Path

from test_outcome import TINY, make, plan_of

from jaxact import records
from jaxact.commands import grid
from jaxact.study import outcome, outcome_files


def rows_of(out: Path) -> list[str]:
    with (out / "summary.csv").open() as file:
        return [f"{row['configuration']} {row['seed']}" for row in csv.DictReader(file)]


def test_training_a_part_again_loses_no_row_of_the_folder(tmp_path):
    """Eight configurations of three seeds, then two of them asked for with two seeds: the tables shown are of these."""
    out = tmp_path / "out"
    for config in plan_of(out, *TINY).configs:
        records.write(out, make(config, [40, 50, 60], seeds=[0, 1, 5]))
    plan = plan_of(out, *TINY, "--seeds", "2", "--configs", "relu-relu-relu", "sigmoid-relu-relu")
    text = outcome_files.finish([plan], "python -m experiments.grid --seeds 2")
    names = sorted(config.name for config in plan_of(out, *TINY).configs)
    assert rows_of(out) == [f"{name} {seed}" for name in names for seed in (0, 1, 5)]
    assert "45.00" in text and "50.00" in text and "relu-sigmoid-relu" not in text and str(out) in text
    report = (out / "report.md").read_text()
    assert report.startswith("# out: 8 configurations, 24 runs\n") and report.count("| relu-sigmoid-relu ") == 1
    for part in ("`python -m experiments.grid --seeds 2`", "made up", "abacus", "jax 0.10.2", "| 50.00 |", "3 seeds"):
        assert part in report
    assert sorted(path.name for path in out.iterdir()) == ["digits", "report.md", "summary.csv"]


def test_a_run_at_another_protocol_keeps_the_rows_of_the_first(tmp_path):
    out = tmp_path / "out"
    first, second = (plan_of(out, *TINY, "--seeds", "1", "--lr", lr) for lr in ("0.1", "0.2"))
    for plan, level in ((first, 40.0), (second, 60.0)):
        for config in plan.configs[:2]:
            records.write(out, make(config, [level]))
        outcome_files.finish([plan], "command")
    assert rows_of(out) == sorted(2 * [f"{config.name} 0" for config in first.configs[:2]])
    report = (out / "report.md").read_text()
    assert "lr 0.2 " in report and "40.00" not in report
    assert "`summary.csv` holds 2 configurations of other protocols besides." in report


def test_runs_of_folders_below_are_not_taken_for_this_folders(tmp_path):
    plan = plan_of(tmp_path, *TINY, "--seeds", "1")
    records.write(tmp_path, make(plan.configs[0], [40.0]))
    records.write(tmp_path / "digits", make(plan.configs[1], [60.0]))
    outcome_files.finish([plan], "command")
    assert rows_of(tmp_path) == ["relu-relu-relu 0"]


def test_a_damaged_record_is_named(tmp_path):
    plan = plan_of(tmp_path, *TINY, "--seeds", "1")
    records.write(tmp_path, make(plan.configs[0], [40.0]))
    path = records.write(tmp_path, make(plan.configs[1], [60.0]))
    path.write_bytes(path.read_bytes()[:500])
    text = outcome_files.finish([plan], "command")
    assert rows_of(tmp_path) == ["relu-relu-relu 0"]
    assert f"not read: {path}" in text and f"Not read: {path}" in (tmp_path / "report.md").read_text()


def test_what_was_cut_in_the_last_command_only_is_not_said_of_the_folder(tmp_path):
    whole = plan_of(tmp_path, "--preset", "smoke")
    for config in whole.configs:
        records.write(tmp_path, make(config, [40.0, 50.0, 60.0]))
    part = plan_of(tmp_path, "--preset", "smoke", "--seeds", "2", "--configs", "relu-*-relu")
    every, _ = outcome_files.stored(tmp_path)
    wide = outcome_files.widened(part, every)
    assert (len(wide.configs), wide.seeds, wide.cut) == (64, (0, 1, 2), {})
    assert outcome_files.widened(part, []) == part and part.cut


def test_what_earlier_commands_left_out_stays_said_of_the_folder(tmp_path):
    """Twelve configurations of two of the three seeds and one more; a last command with one of them."""
    for config in plan_of(tmp_path, "--preset", "smoke", "--configs", "*-relu").configs[:12]:
        records.write(tmp_path, make(config, [40.0, 50.0, 60.0], seeds=[0, 1, 7]))
    part = plan_of(tmp_path, "--preset", "smoke", "--seeds", "1", "--configs", "relu-relu-relu")
    assert part.cut == {"configs": ["relu-relu-relu"], "seeds": "1"}
    wide = outcome_files.widened(part, outcome_files.stored(tmp_path)[0])
    assert wide.cut == {"configs": "12 of 64", "seeds": "2 of 3"} and wide.changed == {"seeds": "1 more"}
    assert "cut by configs=12 of 64, seeds=2 of 3; changed: seeds=1 more" in outcome.protocol_text(wide)


def test_several_protocols_are_reported_apart(tmp_path):
    plans, _ = grid.plan_from(grid.parser(), [*TINY, "--lr", "0.1", "0.2", "--out", str(tmp_path / "out")])
    for plan, level in zip(plans, (40.0, 60.0), strict=True):
        for config in plan.configs[:2]:
            records.write(plan.out, make(config, [level, level + 1]))
    text = outcome_files.finish([plan._replace(seeds=(0, 1)) for plan in plans], "command")
    first, second = text.split("# digits (")[1:]
    assert "lr 0.1 " in first and "40.50" in first and "60.50" not in first
    assert "lr 0.2 " in second and "60.50" in second and "40.50" not in second
    with (tmp_path / "out" / "summary.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {(row["learning_rate"], row["test_accuracy"]) for row in rows} == {
        *(("0.1", "40.00"), ("0.1", "41.00"), ("0.2", "60.00"), ("0.2", "61.00"))
    }
    assert {row["momentum"] for row in rows} == {"0.5"}  # a column though it is the same in all
    assert "in all" in outcome.describe(plans)
