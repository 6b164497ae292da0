"""Records: what is written is read back, parts merge to the whole, and summaries compare with `diff`."""

import csv
import math
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from oracles.record_examples import CONFIG, assert_same, make

from jaxact import records
from jaxact.config import Config
from jaxact.records import Record, RecordError


def test_what_is_written_is_read_back(tmp_path):
    record = make([0, 3, 17])
    path = records.write(tmp_path, record)
    assert path == tmp_path / "digits" / f"relu-tanh-{CONFIG.digest}.npz"
    assert_same(records.read(path), record)
    found = records.find(tmp_path, CONFIG)
    assert found is not None
    assert_same(found, record)


def test_nan_and_infinity_survive_the_round_trip(tmp_path):
    record = make([0, 1, 2])
    record.arrays["test_loss"][0] = np.nan
    record.arrays["train_loss"][1, -1] = np.inf
    assert_same(records.read(records.write(tmp_path, record)), record)


def test_file_name_has_no_character_that_file_systems_dislike(tmp_path):
    config = Config(activations=("elu:alpha=0.5", "relu"), dataset="digits", widths=(3, 2))
    path = records.path_of(tmp_path, config)
    assert path.name == f"elu_alpha=0.5-relu-{config.digest}.npz" and path.parent == tmp_path / "digits"


def test_a_crash_before_the_replacement_leaves_the_old_record_and_nothing_else(tmp_path, monkeypatch):
    path = records.write(tmp_path, make([0, 1]))
    before = path.read_bytes()

    def crash(*_):
        raise OSError("power cut")

    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(OSError, match="power cut"):
        records.write(tmp_path, make([0, 1, 2]))
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_an_interrupt_while_writing_leaves_no_temporary(tmp_path, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        records.write(tmp_path, make([0]))
    assert list((tmp_path / "digits").iterdir()) == []


def test_the_record_appears_under_its_name_only_when_complete(tmp_path, monkeypatch):
    sizes, replace = [], os.replace

    def watch(source, target):
        sizes.append((Path(target).exists(), records.read(Path(source)).seeds.tolist()))
        replace(source, target)

    monkeypatch.setattr(os, "replace", watch)
    records.write(tmp_path, make([4, 5]))
    assert sizes == [(False, [4, 5])]


def test_a_record_under_another_configurations_name_counts_as_absent(tmp_path):
    other = Config(activations=("tanh", "tanh"), dataset="digits", widths=(3, 2), epochs=2)
    records.write(tmp_path, make([0])).rename(records.path_of(tmp_path, other))
    assert records.find(tmp_path, other) is None
    assert records.find(tmp_path, CONFIG) is None


def test_read_all_yields_good_records_and_errors_in_order(tmp_path):
    other = Config(activations=("tanh", "tanh"), dataset="digits", widths=(3, 2), epochs=2)
    records.write(tmp_path, make([0]))
    records.write(tmp_path, make([0], other))
    (tmp_path / "digits" / "sigmoid.npz").write_text("nothing")
    (tmp_path / "digits" / ".relu.npz.x1.tmp").write_text("left by a kill")
    first, second, third = records.read_all(tmp_path)
    assert isinstance(first, Record) and first.config == CONFIG
    assert isinstance(second, RecordError) and "sigmoid.npz" in str(second)
    assert isinstance(third, Record) and third.config == other
    assert list(records.read_all(tmp_path / "absent")) == []


def test_merging_parts_in_any_order_gives_the_whole():
    whole = make([0, 1, 2, 5, 9])
    rng = np.random.default_rng(0)
    for _ in range(20):
        merged = None
        for seed in rng.permutation(whole.seeds).tolist():
            merged = records.merge(merged, make([seed]))
        assert merged is not None
        assert_same(merged._replace(meta=whole.meta), whole)
        assert sorted(s for run in merged.meta["runs"] for s in run["seeds"]) == whole.seeds.tolist()


def test_a_seed_in_both_keeps_the_new_numbers():
    merged = records.merge(make([0, 1, 2]), make([1, 4], offset=0.5))
    assert merged.seeds.tolist() == [0, 1, 2, 4]
    np.testing.assert_array_equal(merged.arrays["test_loss"][:, 0], np.array([0, 1.5, 2, 4.5], np.float32))


def test_a_run_that_no_seed_is_left_of_is_forgotten():
    merged = records.merge(make([0, 1]), make([0, 1], offset=0.5))
    assert [run["offset"] for run in merged.meta["runs"]] == [0.5]


def test_a_run_whose_seeds_were_saved_again_is_said_once():
    """A part of a run is saved before its end, beside seeds of an earlier one."""
    earlier, half, whole = make([7]), make([0, 1], offset=0.5), make([0, 1, 2], offset=0.5)
    merged = records.merge(records.merge(earlier, half), whole)
    assert [run["seeds"] for run in merged.meta["runs"]] == [[7], [0, 1, 2]]
    assert merged.seeds.tolist() == [0, 1, 2, 7]


def test_records_of_two_configurations_do_not_merge():
    other = Config(activations=("relu", "tanh"), dataset="digits", widths=(3, 2), epochs=3)
    with pytest.raises(ValueError, match=f"{CONFIG.digest}.*{other.digest}"):
        records.merge(make([0]), make([1], other))


def test_subset_keeps_the_rows_of_its_seeds():
    part = make([0, 2, 4, 6]).subset([6, 2, 5])
    assert part.seeds.tolist() == [2, 6]
    assert_same(part._replace(meta={}), make([2, 6])._replace(meta={}))


def test_accuracy_and_lost_classes_against_a_loop():
    config = Config(activations=("relu", "tanh"), dataset="digits", widths=(3, 4), epochs=1)
    record = make([0, 1, 2], config)
    for i in range(3):
        for epoch in range(2):
            correct = int(np.sum(record.arrays["test_correct"][i, epoch]))
            assert record.test_accuracy()[i, epoch] == pytest.approx(100 * correct / (0 + 10 + 20 + 30))
            assert record.never_predicted()[i, epoch] == 1  # class 0 rolled to some place


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def test_summary_against_numbers_worked_by_hand(tmp_path):
    records.write_summary(tmp_path / "summary.csv", records.summary([make([3, 1])]))
    one = next(row for row in rows_of(tmp_path / "summary.csv") if row["seed"] == "1")
    assert one == {
        **{"dataset": "digits", "configuration": "relu-tanh", "layer1": "relu", "layer2": "tanh"},
        **{"seed": "1", "epochs": "2", "test_accuracy": "50.00", "test_loss": "1.25000", "train_loss": "1.25000"},
        **{"train_accuracy": "44.444", "classes_never_predicted": "1", "diverged": "0", "digest": CONFIG.digest},
        **{"widths": "3 2", "batch_norm": "", "init": "torch_default", "optimizer": "sgd", "learning_rate": "0.01"},
        **{"momentum": "0.5", "batch_size": "32", "limit_train": "", "output_bias": "0.0", "architecture": "mlp"},
    }


def test_summary_does_not_depend_on_the_order_of_the_records(tmp_path):
    names = [("relu", "tanh"), ("tanh", "relu"), ("relu", "relu"), ("elu", "relu")]
    made = [make([0, 1], Config(activations=n, dataset=d, widths=(3, 2))) for n in names for d in ("mnist", "digits")]
    texts = set()
    for order in (made, made[::-1], [made[i] for i in np.random.default_rng(1).permutation(len(made))]):
        records.write_summary(tmp_path / "summary.csv", records.summary(order))
        texts.add((tmp_path / "summary.csv").read_bytes())
    assert len(texts) == 1
    keys = [(row["dataset"], row["configuration"], int(row["seed"])) for row in rows_of(tmp_path / "summary.csv")]
    assert keys == sorted(keys) and len(keys) == 16


def test_summary_holds_networks_of_different_depth(tmp_path):
    deep = Config(activations=("relu",) * 11, dataset="digits", widths=(3,) * 10 + (2,))
    records.write_summary(tmp_path / "summary.csv", records.summary([make([0], deep), make([0])]))
    shallow, other = sorted(rows_of(tmp_path / "summary.csv"), key=lambda row: len(row["configuration"]))
    assert [key for key in shallow if key.startswith("layer")] == [f"layer{i}" for i in range(1, 12)]
    assert (shallow["layer2"], shallow["layer3"], other["layer11"]) == ("tanh", "", "relu")


def test_a_diverged_seed_is_counted_and_its_neighbours_are_untouched():
    record = make([0, 1, 2, 3])
    record.arrays["test_loss"][1, -1] = np.nan
    record.arrays["train_loss"][2, -1] = np.inf
    record.arrays["test_loss"][3, 0] = np.nan  # before training: no divergence
    assert record.diverged.tolist() == [False, True, True, False]
    rows = records.summary([record])
    assert [row["diverged"] for row in rows] == ["0", "1", "1", "0"]
    assert [row["classes_never_predicted"] for row in rows] == ["1", "", "", "1"]
    assert [row["test_accuracy"] for row in rows] == ["50.00", "", "", "50.00"]
    assert (rows[1]["test_loss"], rows[2]["train_loss"]) == ("nan", "inf")
    accuracy = record.test_accuracy()
    assert np.isnan(accuracy[1, -1]) and np.isnan(accuracy[3, 0]) and not np.isnan(accuracy[0]).any()


def test_a_later_field_at_its_default_leaves_the_digest_as_it_was():
    assert "output_bias" not in CONFIG.as_dict()
    changed = replace(CONFIG, output_bias=1.0)
    assert changed.as_dict()["output_bias"] == 1.0 and Config.from_dict(changed.as_dict()) == changed
    for bad in (math.nan, math.inf):
        with pytest.raises(ValueError, match="output_bias must be a finite number"):
            replace(CONFIG, output_bias=bad)
