"""What a grid says and writes, from records with planted accuracies; numbers are worked by hand or by NumPy."""

import re

import numpy as np
import pytest
from oracles.record_examples import RUN, probe_arrays

from jaxact import records
from jaxact.commands import grid
from jaxact.config import Config
from jaxact.records import Record
from jaxact.study import outcome
from jaxact.study.plan import Plan


def plan_of(out, *argv: str) -> Plan:
    return grid.plan_from(grid.parser(), [*argv, "--out", str(out)])[0][0]


def make(config: Config, percent: list[float], *, seeds=None, dead=(), diverged=(), seconds: float = 3.0) -> Record:
    """A record with these final accuracies on 10,000 test examples; `dead` seeds predict one class only."""
    n, classes, shape = len(percent), config.widths[-1], (len(percent), config.epochs + 1)
    seeds = np.arange(n) if seeds is None else np.array(seeds)
    correct = np.zeros((*shape, classes), np.int32)
    predicted = np.full((*shape, classes), 10_000 // classes, np.int32)
    predicted[list(dead)] = [10_000] + [0] * (classes - 1)
    right = np.round(np.array(percent) * 100).astype(int)
    before = np.cumsum(predicted[:, -1], -1) - predicted[:, -1]
    correct[:, -1] = np.clip(right[:, None] - before, 0, predicted[:, -1])  # the first classes, until there are so many
    loss = np.ones(shape, np.float32)
    loss[list(diverged), -1] = np.nan
    arrays = {"train_loss": loss[:, 1:], "train_accuracy": np.ones((n, config.epochs), np.float32) / 2}
    arrays |= {"test_loss": loss, "test_correct": correct, "test_predicted": predicted}
    arrays |= probe_arrays(config, loss)
    run = RUN | {"seeds": seeds.tolist(), "seconds": seconds}
    return Record(config, seeds, arrays, {"data": {"source": "made up; contents 0123abcd"}, "runs": [run]})


TINY = ["--dataset", "digits", "--widths", "8", "6", "10", "--activations", "relu", "sigmoid", "--epochs", "4"]


def test_ranked_row_against_numpy(tmp_path):
    config = plan_of(tmp_path, *TINY).configs[0]
    percent = [50.0, 60.0, 10.0, 72.5]
    row = outcome.ranked_row(make(config, percent, dead=[2]))
    values = np.array(percent)
    assert row[:6] == [
        *("relu-relu-relu", "4", f"{values.mean():.2f}"),
        *(f"{np.sqrt(((values - values.mean()) ** 2).sum() / 3):.2f}", "10.00", "72.50"),
    ]
    assert row[6:] == ["1", f"{9 / 4:.1f}", "0"]  # nine classes lost by one of four seeds


def test_a_diverged_seed_is_counted_and_left_out_of_the_numbers(tmp_path):
    config = plan_of(tmp_path, *TINY).configs[0]
    row = outcome.ranked_row(make(config, [50.0, 60.0, 9.8], dead=[2], diverged=[2]))
    assert row == ["relu-relu-relu", "3", "55.00", f"{np.sqrt(50):.2f}", "50.00", "60.00", "0", "0.0", "1"]
    assert "1 diverged" in outcome.one_line(make(config, [50.0, 60.0, 9.8], diverged=[2]))
    assert "diverged" not in outcome.one_line(make(config, [50.0, 60.0, 9.8]))
    assert outcome.ranked_row(make(config, [9.8], diverged=[0]))[2:] == ["–"] * 4 + ["0", "–", "1"]


def test_ranking_is_by_mean_with_the_wholly_diverged_last(tmp_path):
    configs = plan_of(tmp_path, *TINY).configs[:4]
    found = [make(configs[0], [20, 30]), make(configs[1], [100, 100]), make(configs[2], [9, 9], diverged=[0, 1])]
    table = outcome.ranked([*found, make(configs[3], [9.8, 9.8], dead=[0, 1])])
    lines = table.splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == [configs[i].name for i in (1, 0, 3, 2)]
    assert len({len(line) for line in lines}) == 1  # aligned as plain text
    assert re.fullmatch(r"\|( -+:? \|)+", lines[1])


def test_pending_leaves_out_what_a_readable_record_holds(tmp_path):
    plan = plan_of(tmp_path, *TINY, "--seeds", "3")
    first, second, third, *_ = plan.configs
    records.write(tmp_path, make(first, [50] * 4, seeds=[0, 1, 2, 9]))
    records.write(tmp_path, make(second, [50], seeds=[1]))
    records.write(tmp_path, make(third, [50] * 3)).write_bytes(b"damaged")
    todo = outcome.pending(plan)
    assert todo == [(c, s) for c in plan.configs if c != first for s in range(3) if (c, s) != (second, 1)]
    line = outcome.opening(plan, todo)
    assert "\n" not in line
    assert [int(number) for number in re.findall(r"\b\d+\b", line.replace(str(tmp_path), ""))] == [20, 7, 4]


def test_opening_says_that_all_is_done(tmp_path):
    plan = plan_of(tmp_path, *TINY, "--seeds", "3")
    assert "8 configurations x 3 seeds" in outcome.opening(plan, [])
    assert "nothing to train" in outcome.opening(plan, [])


def numbers_of(description: str) -> dict[str, str]:
    return {key: value for key, value in (re.split(r"  +", line, maxsplit=1) for line in description.splitlines())}


def test_description_counts_what_will_be_trained(tmp_path):
    plan = plan_of(tmp_path, *TINY, "--seeds", "3", "--batch-size", "100")
    shown = numbers_of(outcome.describe([plan]))
    assert shown["configurations"].startswith("8: relu-relu-relu, ")
    assert shown["runs"] == "24, of which 24 to train"
    assert shown["model-steps"] == f"{24 * 4 * 15:,}"  # 1,437 examples: 14 full batches and one of 37
    assert shown["records"] == str(tmp_path) and list(tmp_path.iterdir()) == []


def test_estimate_comes_from_the_records_where_there_are_some(tmp_path):
    plan = plan_of(tmp_path, *TINY, "--seeds", "3")
    steps = 4 * 45
    for config, ms in zip(plan.configs, [2.0, 8.0, 5.0], strict=False):
        records.write(tmp_path, make(config, [50, 50], seconds=2 * steps * ms / 1e3))
    shown = numbers_of(outcome.describe([plan]))
    assert shown["runs"] == "24, of which 18 to train"
    assert "5.00 ms per model-step" in shown["estimated time"]
    assert shown["estimated time"].startswith("0:00:16")  # 18 x 180 steps x 5 ms = 16.2 s


def test_protocol_names_everything_that_changes_the_numbers(tmp_path):
    text = outcome.protocol_text(plan_of(tmp_path, *TINY, "--batch-norm", "1,3", "--lr", "0.2", "--limit-train", "700"))
    for part in ("digits", "700 of 1,437", "64-8-6-10", "layers 1, 3", "torch_default", "sgd lr 0.2 momentum 0.5"):
        assert part in text
    for part in ("batch 32", "4 epochs", "9 seeds"):
        assert part in text
    assert "cut" not in text and "changed" not in text
    few, many = ["relu-relu-*", "tanh-tanh-tanh"], ["relu-relu-*", "tanh-*", "sigmoid-*", "*-selu", "*-relu"]
    assert "cut by configs=relu-relu-* tanh-tanh-tanh" in outcome.protocol_text(
        plan_of(tmp_path, "--preset", "paper", "--configs", *few)
    )
    cut = plan_of(tmp_path, "--preset", "paper-batchnorm-last", "--configs", *many)
    assert outcome.protocol_text(cut).endswith(f"; cut by configs={len(cut.configs)} of 64")
    assert "batch norm on layer 3, " in outcome.protocol_text(cut)
    assert "cut by seeds=2" in outcome.protocol_text(plan_of(tmp_path, "--preset", "paper", "--seeds", "2"))


def test_one_of_a_kind_is_not_said_in_the_plural(tmp_path):
    plan = plan_of(tmp_path, *TINY, "--epochs", "1", "--seeds", "1", "--configs", "relu-relu-relu")
    assert outcome.protocol_text(plan).endswith(", 1 epoch, 1 seed")
    assert "1 run of 1 configuration to train" in outcome.opening(plan, outcome.pending(plan))
    assert "over 1 seed, " in outcome.one_line(make(plan.configs[0], [50.0]))
    records.write(tmp_path, make(plan.configs[0], [50.0]))
    assert "all of 1 configuration x 1 seed are in" not in outcome.opening(plan, [])
    assert outcome.opening(plan, []).startswith("all done: 1 configuration x 1 seed in ")


def test_records_of_fewer_seeds_than_planned_are_not_called_complete(tmp_path):
    plan = plan_of(tmp_path, *TINY, "--epochs", "1", "--seeds", "4")
    made = [make(plan.configs[0], [50.0, 60.0]), make(plan.configs[1], [50.0, 60.0, 70.0, 80.0])]
    assert outcome.protocol_text(plan, made).endswith(", 1 epoch, 2 to 4 seeds")
    assert outcome.protocol_text(plan, made[1:]).endswith(", 1 epoch, 4 seeds")


def test_a_preset_that_is_lengthened_is_not_called_cut(tmp_path):
    text = outcome.protocol_text(plan_of(tmp_path, "--preset", "quick", "--epochs", "20", "--seeds", "2"))
    assert text.endswith("; cut by seeds=2; changed: epochs=20")


def beside(tmp_path, *argv: str) -> str | None:
    plan = plan_of(tmp_path, *argv)
    found = [make(config, [97.0, 98.0, 99.0]) for config in plan.configs[:2]]
    return outcome.beside_published(plan, found)


def test_the_published_protocol_is_compared_without_a_warning(tmp_path):
    text = beside(tmp_path)
    assert text is not None and "`mnist_mlp`" in text and "Not the published protocol" not in text
    row = next(line for line in text.splitlines() if line.startswith("| relu-relu-relu "))
    cells = [cell.strip() for cell in row.split("|")]
    assert cells[2:7] == ["3", "98.00", "1.00", "97.00", "99.00"]
    assert cells[7] == "5 of 9"  # nine published runs, four of them repeats
    assert "`mnist_mlp_batchnorm`" in str(beside(tmp_path, "--batch-norm", "all"))


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--epochs", "9"], ["9 of 10 epochs"]),
        (["--epochs", "2", "--limit-train", "15000"], ["2 of 10 epochs", "15,000 of 60,000"]),
        (["--limit-train", "59999"], ["59,999 of 60,000"]),
    ],
)
def test_a_cut_protocol_is_compared_under_a_heading_that_says_so(tmp_path, argv, said):
    text = beside(tmp_path, *argv)
    assert text is not None
    warning = text.splitlines()[2]
    assert "Not the published protocol" in warning and "cut" in warning
    assert all(part in warning for part in said)


def test_fewer_configurations_and_seeds_are_said_beside_the_published(tmp_path):
    text = str(beside(tmp_path, "--preset", "paper", "--seeds", "3", "--configs", "relu-relu-*"))
    assert "Of its 64 configurations 2 are here. Seeds: 3 of the preset's 9." in text
    assert "Seeds" not in str(beside(tmp_path, "--preset", "paper"))
    assert "Of its 16 configurations 2 are here." in str(beside(tmp_path, "--preset", "cifar10-cnn"))


@pytest.mark.parametrize(("name", "twin"), [("adagrad", "adadelta"), ("adadelta", "adagrad")])
def test_a_column_that_repeats_another_is_said_to(tmp_path, name, twin):
    text = str(beside(tmp_path, "--optimizer", f"torch_{name}"))
    assert f"`mnist_mlp_{name}`" in text and f"It equals `mnist_mlp_{twin}` in 59 of 64 rows" in text
    assert "It equals" not in str(beside(tmp_path, "--optimizer", "torch_rmsprop"))


def test_a_stand_in_for_the_data_is_said_beside_the_published(tmp_path):
    plan = plan_of(tmp_path, "--preset", "cifar10")
    record = make(plan.configs[0], [40.0, 41.0])
    record = record._replace(
        meta=record.meta | {"data": {"source": "files; contents 0123abcd (NOT the original cifar10)"}}
    )
    text = str(outcome.beside_published(plan, [record]))
    assert "**Not the published protocol: run with images that are NOT the original cifar10.**" in text


def test_make_grids_preset_is_compared_under_such_a_heading(tmp_path):
    assert "Not the published protocol" in str(beside(tmp_path, "--preset", "quick"))


def test_a_longer_run_is_not_called_cut(tmp_path):
    text = beside(tmp_path, "--epochs", "20")
    if text is not None:
        warning = text.splitlines()[2]
        assert "Not the published protocol" in warning and "cut" not in warning and "20 of 10" not in warning


@pytest.mark.parametrize(
    "argv",
    [
        TINY,
        ["--lr", "0.1"],
        ["--batch-size", "64"],
        ["--batch-norm", "last"],
        ["--init", "he_normal"],
        ["--widths", "400", "256", "10"],
        ["--optimizer", "adam"],
        ["--optimizer", "rmsprop"],  # with PyTorch's definition it was published, with optax's it was not
        ["--optimizer", "adagrad"],
    ],
    ids=lambda argv: " ".join(argv[-2:]),
)
def test_a_protocol_that_was_never_published_is_compared_with_nothing(tmp_path, argv):
    assert beside(tmp_path, *argv) is None


def test_records_made_on_other_pixels_are_refused(tmp_path):
    plan = plan_of(tmp_path, *TINY)
    outcome.check_same_data(plan, "cache; contents ffff0000 (the original)")  # no records yet
    records.write(tmp_path, make(plan.configs[3], [50]))
    outcome.check_same_data(plan, "from elsewhere; contents 0123abcd (the original)")
    with pytest.raises(ValueError, match=r"contents 0123abcd.*contents ffff0000"):
        outcome.check_same_data(plan, "cache; contents ffff0000 (the original)")


def test_the_batch_size_of_the_text_is_compared_with_what_was_run(tmp_path):
    text = beside(tmp_path, "--dataset", "cifar10")
    assert "**Not the published protocol: run with batch 32 instead of 4.**" in text and "`cifar10_mlp`" in text
    assert "Not the published" not in beside(tmp_path, "--dataset", "cifar10", "--batch-size", "4")


def test_a_lenet_is_compared_with_all_rows_of_its_two_activations(tmp_path):
    text = str(beside(tmp_path, "--preset", "cifar10-cnn"))
    assert "`cifar10_cnn_10runs`" in text and "never applied are runs of one network" in text
    assert "Not the published" not in text
    row = next(line for line in text.splitlines() if line.startswith("| relu-relu-relu-tanh-identity "))
    assert [cell.strip() for cell in row.split("|")][7] == "40 of 40"
    cut = str(beside(tmp_path, "--preset", "cifar10-cnn", "--epochs", "2"))
    assert "**Not the published protocol: cut to 2 of 10 epochs.**" in cut
    plan = plan_of(tmp_path, "--preset", "cifar10-cnn")
    assert "LeNet 32x32x3, 6@5x5, 16@5x5, 120, 84, 10, batch norm none" in outcome.protocol_text(plan)
    assert "18,000,000" in outcome.describe([plan])
