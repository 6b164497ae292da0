"""TensorBoard's files, read back by their framing, hold the numbers of the records, each once."""

from collections import Counter
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles.event_files import events
from oracles.record_examples import CONFIG, make
from tensorboardX import SummaryWriter

from jaxact import data, records, training
from jaxact.commands import grid
from jaxact.config import Config
from jaxact.execution import tensorboard, tensorboard_watch
from jaxact.report import tensorboard as event_writer
from jaxact.study import run

ARGV = ["--dataset", "digits", "--widths", "6", "5", "10", "--epochs", "2", "--limit-train", "200", "--lr", "0.1"]
ARGV += ["--configs", "relu-sigmoid-relu", "tanh-relu-relu"]


def read(folder: Path) -> tuple[dict[tuple[str, int], float], dict[tuple[str, int], Any]]:
    """The scalars and the histograms of one run by tag and step; nothing may be there twice."""
    (path,) = folder.glob("events*")
    values = [(value, event.step) for event in events(path) for value in event.summary.value]
    assert max(Counter((value.tag, step) for value, step in values).values()) == 1
    scalars = {(value.tag, step): value.simple_value for value, step in values if not value.HasField("histo")}
    return scalars, {(value.tag, step): value.histo for value, step in values if value.HasField("histo")}


@pytest.fixture(autouse=True)
def no_configuration(monkeypatch):
    """JAX is running: what a script sets before it starts would reach other tests."""
    monkeypatch.setattr(grid.runtime, "configure", lambda *_: None)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """Two configurations from two seeds, then from a third; in `board` beside them, a run that had been killed."""
    place = tmp_path_factory.mktemp("grid")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grid.runtime, "configure", lambda *_: None)
        argv = [*ARGV, "--out", str(place / "out"), "--tensorboard", str(place / "board")]
        config = grid.plan_from(grid.parser(), argv)[0][0].configs[0]
        with SummaryWriter(str(tensorboard.run_folder(place / "board", config, 1))) as writer:
            writer.add_scalar("accuracy/test", 12.5, 0)
        assert grid.main([*argv, "--seeds", "2"]) == 0
        assert grid.main([*argv, "--seeds", "3"]) == 0
    return place


def expected(config: Config, arrays: dict[str, np.ndarray], i: int) -> dict[tuple[str, int], float]:
    """The scalars of row `i` of a record, worked from its arrays alone."""
    found = {}
    for epoch in range(config.epochs + 1):
        right, said = arrays["test_correct"][i, epoch], arrays["test_predicted"][i, epoch]
        found["accuracy/test", epoch] = 100 * right.sum() / said.sum()
        found["classes_never_predicted/test", epoch] = sum(int(n) == 0 for n in said)
        found["loss/test", epoch] = arrays["test_loss"][i, epoch]
        found["largest_singular_value/end_to_end", epoch] = arrays["probe_singular_values"][i, epoch].max()
        units = np.split(arrays["probe_dead"][i, epoch], np.cumsum(config.widths)[:-1])
        for layer, dead in enumerate(units, start=1):
            found[f"dead_units/layer{layer}", epoch] = dead.sum() / len(dead)
            for tag, name in tensorboard.PER_LAYER.items():
                found[f"{tag}/layer{layer}", epoch] = arrays[f"probe_{name}"][i, epoch, layer - 1]
        if epoch:
            found["loss/train", epoch] = arrays["train_loss"][i, epoch - 1]
            found["accuracy/train", epoch] = 100 * arrays["train_accuracy"][i, epoch - 1]
    return found


def assert_equal(ours: dict[Any, float], theirs: dict[Any, float]) -> None:
    assert ours.keys() == theirs.keys()
    for key, value in theirs.items():
        np.testing.assert_allclose(ours[key], value, rtol=1e-6, err_msg=str(key))


def test_the_scalars_are_those_of_the_records(trained):
    found = [record for record in records.read_all(trained / "out") if isinstance(record, records.Record)]
    assert len(found) == 2
    for record in found:
        for i, seed in enumerate(record.seeds.tolist()):
            scalars, _ = read(tensorboard.run_folder(trained / "board", record.config, seed))
            assert_equal(scalars, expected(record.config, record.arrays, i))
    assert len(list((trained / "board").rglob("events*"))) == 6


def test_the_histograms_are_of_the_pre_activations_of_test_examples(trained):
    """At initialisation against the network made by hand from the seed; afterwards they are other numbers."""
    config = grid.plan_from(grid.parser(), [*ARGV, "--out", str(trained / "out")])[0][0].configs[1]
    digits, choices = data.load("digits", limit_train=200), config.activations
    images = jnp.asarray(digits.test_images[: tensorboard_watch.EXAMPLES])
    model, which = training.make_model(config, choices), jnp.array(training.which_of(config, choices))
    variables = model.init(training.seed_key(2, training.INIT), jnp.asarray(digits.train_images[0]), which)
    _, histograms = read(tensorboard.run_folder(trained / "board", config, 2))
    layers = model.apply(variables, images, which)[1]
    assert set(histograms) == {(f"pre_activations/{name}", epoch) for name in layers for epoch in range(3)}
    for name, h in layers.items():
        first, last = (histograms[f"pre_activations/{name}", epoch] for epoch in (0, 2))
        assert first.num == h.size == sum(first.bucket)
        np.testing.assert_allclose([first.min, first.max, first.sum], [h.min(), h.max(), h.sum()], rtol=1e-3)
        counts, edges = np.histogram(np.asarray(h, float), tensorboard_watch.BINS)
        np.testing.assert_allclose(np.interp(edges, first.bucket_limit, np.cumsum(first.bucket)),
                                   np.r_[0, np.cumsum(counts)], atol=2)  # fmt: skip
        assert last.sum != first.sum


def test_records_made_without_are_written_afterwards_and_once(trained, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(run, "train", lambda *_: pytest.fail("everything is trained"))
    argv = [*ARGV, "--seeds", "3", "--out", str(trained / "out"), "--tensorboard", str(tmp_path / "board")]
    for _ in range(2):
        assert grid.main(argv) == 0
        assert "nothing to train" in capsys.readouterr().out
        for record in records.read_all(trained / "out"):
            assert isinstance(record, records.Record)
            for i, seed in enumerate(record.seeds.tolist()):
                scalars, histograms = read(tensorboard.run_folder(tmp_path / "board", record.config, seed))
                assert_equal(scalars, expected(record.config, record.arrays, i))
                assert not histograms


def test_a_diverged_seed_shows_as_nan_without_a_warning(tmp_path, capsys):
    record = make([4])
    record.arrays["test_loss"][0, -1] = np.nan
    tensorboard.backfill(tmp_path, [record])
    scalars, _ = read(tensorboard.run_folder(tmp_path, CONFIG, 4))
    assert np.isnan(scalars["loss/test", CONFIG.epochs]) and np.isnan(scalars["accuracy/test", CONFIG.epochs])
    assert np.isfinite(scalars["loss/test", 0]) and capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("folder", "shown"),
    [("{tmp}/file", "--tensorboard {tmp}/file: {tmp}/file is not a directory"), ("{tmp}/file/below", "not a directory"),
     ("/proc/board", "--tensorboard /proc/board: cannot write in /proc"), ("", "--tensorboard is empty")],
)  # fmt: skip
def test_a_folder_that_cannot_be_written_is_one_line_and_status_2(tmp_path, monkeypatch, capsys, folder, shown):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setattr(run, "train", lambda *_: pytest.fail("trained"))
    with pytest.raises(SystemExit) as stop:
        grid.main([*ARGV, "--out", str(tmp_path / "out"), "--tensorboard", folder.format(tmp=tmp_path)])
    error = capsys.readouterr().err
    assert stop.value.code == 2 and error.count("\n") == 1 and shown.format(tmp=tmp_path) in error
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_missing_package_is_one_line_and_status_2(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(event_writer, "find_spec", lambda _: None)
    with pytest.raises(SystemExit) as stop:
        grid.main([*ARGV, "--out", str(tmp_path / "out"), "--tensorboard", str(tmp_path / "board")])
    error = capsys.readouterr().err
    assert stop.value.code == 2 and error.count("\n") == 1 and "pip install 'jaxact[tensorboard]'" in error
    assert not list(tmp_path.iterdir())


def test_the_ensemble_shows_the_state_it_started_from_and_every_one_after():
    """Against a network initialised from the same seed; the last state is the one its evaluation saw."""
    from jaxact.training.ensemble import Ensemble

    config = Config(activations=("relu", "tanh"), dataset="digits", widths=(4, 10), epochs=2, limit_train=64)
    digits, seen = data.load("digits", limit_train=64), []
    machine = Ensemble(config, ("relu", "tanh"), digits, devices=1)
    machine.run([(config, 5)], on_state=lambda number, state: seen.append((number, jax.device_get(state.params))))
    assert [number for number, _ in seen] == [0, 1, 2]
    model, which = training.make_model(config, ("relu", "tanh")), jnp.array([0, 1])
    start = model.init(training.seed_key(5, training.INIT), jnp.asarray(digits.train_images[0]), which)["params"]
    jax.tree.map(lambda ours, theirs: np.testing.assert_allclose(ours[0], theirs, atol=1e-6), seen[0][1], start)
    assert not np.array_equal(seen[1][1]["dense1"]["kernel"], seen[2][1]["dense1"]["kernel"])
