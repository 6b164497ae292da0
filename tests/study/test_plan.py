"""From a command line to a plan: every mistake is one line and status 2 with nothing written; counts by hand."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from jaxact import activations, data
from jaxact.commands import grid
from jaxact.execution import runtime
from jaxact.execution.checks import check_out
from jaxact.study import presets
from jaxact.study.plan import Plan

TINY = ["--dataset", "digits", "--widths", "8", "6", "10"]


def plan_of(*argv: str) -> Plan:
    return grid.plan_from(grid.parser(), list(argv))[0][0]


BAD = [
    ("--dataset mnits", "'mnits' (did you mean 'mnist'"),
    ("--activations relu rleu", "'rleu': did you mean"),
    ("--activations relu elu:alhpa=1", "'alhpa': did you mean alpha"),
    ("--activations relu elu:alpha=nan", "alpha=nan"),
    ("--activations relu tanh relu", "relu tanh relu"),
    ("--activations relu elu elu:alpha=1.0", "elu elu"),
    ("--activations relu all", "names an activation twice"),
    ("--configs relu+-relu-relu", "'relu+' does not name one or two halves: write relu, or relu+tanh"),
    ("--configs relu+tanh+selu-relu-relu", "'relu+tanh+selu' does not name one or two halves"),
    ("--configs relu+tanh-relu-relu", "mixes layers of one activation with layers of two halves: write relu+relu"),
    ("--halves --configs relu+tnah-relu+relu-relu+relu", "'tnah': did you mean"),
    ("--halves --configs relu-sigmoid-relu", "has one activation per layer, --halves and its presets two: write relu+"),
    ("--preset two-activations --configs *-relu+relu tanh-tanh-tanh", "write tanh+tanh-tanh+tanh-tanh+tanh"),
    ("--preset two-activations --layers 2", "--layers 2 contradicts preset 'two-activations' (3)"),
    ("--preset cifar10 --batch-size 32", "--batch-size 32 contradicts preset 'cifar10' (4)"),
    ("--preset cifar10-2layer --configs relu-relu-relu", "'relu-relu-relu' has 3 activations, the network has 2"),
    ("--lr 0.1 0.2 0.1", "--lr 0.1 0.2 0.1 names a value twice"),
    ("--preset optimizers --optimizer sgd", "--optimizer sgd contradicts preset 'optimizers'"),
    ("--preset lr-sweep --lr 0.05", "--lr 0.05 contradicts preset 'lr-sweep'"),
    ("--activations softmax", "'softmax' is not elementwise"),
    ("--activations", "--activations"),
    ("--optimizer sdg", "'sdg': did you mean 'sgd'"),
    ("--init torch-default", "'torch-default': did you mean 'torch_default'"),
    ("--preset papper", "'papper'"),
    ("--strategy pmap", "'pmap'"),
    ("--devices 0", "1 to 1024, got 0"),
    ("--devices two", "'two'"),
    ("--seeds 0", "'0'"),
    ("--seeds -3", "'-3'"),
    ("--seeds 1.5", "'1.5'"),
    ("--seeds nine", "'nine'"),
    ("--seeds nan", "'nan'"),
    ("--seeds inf", "'inf'"),
    ("--seeds 5-2", "'5-2': a range goes upwards"),
    ("--seeds 0-4,3", "'0-4,3' names a seed twice"),
    ("--seeds 7,2147483648", "2147483647"),
    ("--seeds 100001", "'100001'"),
    ("--epochs 0", "got 0"),
    ("--epochs -2", "got -2"),
    ("--epochs 1.5", "'1.5'"),
    ("--epochs nan", "'nan'"),
    ("--batch-size 0", "got 0"),
    ("--batch-size -32", "got -32"),
    ("--batch-size inf", "'inf'"),
    ("--batch-size 60001", "60001 is larger than the 60000"),
    ("--batch-size 32 --limit-train 20", "32 is larger than the 20"),
    ("--lr 0", "got 0.0"),
    ("--lr -0.1", "got -0.1"),
    ("--lr nan", "got nan"),
    ("--lr inf", "got inf"),
    ("--lr fast", "'fast'"),
    ("--momentum 1", "below 1, got 1.0"),
    ("--momentum -0.1", "got -0.1"),
    ("--momentum nan", "got nan"),
    ("--momentum 0.9 --optimizer adam", "momentum 0.9 has no meaning for 'adam'"),
    ("--limit-train 0", "0 is outside 1..60000"),
    ("--limit-train 60001", "60001 is outside 1..60000"),
    ("--layers 0", "got 0"),
    ("--layers 5", "--layers 5 has no default widths"),
    ("--layers 3 --widths 500 10", "500 10"),
    ("--widths 500 256 9", "9, mnist has 10 classes"),
    ("--widths 500 0 10", "got 0"),
    ("--widths 500 -256 10", "got -256"),
    ("--widths 500 2.5 10", "'2.5'"),
    ("--widths" + " 9" * 8 + " 10", "262144 combinations"),
    ("--widths" + " 9" * 8 + " 10 --configs *-relu", "262144 combinations"),
    ("--batch-norm first", "'first'"),
    ("--batch-norm 1,", "'1,'"),
    ("--batch-norm 4", "1 to 3, each once, got [4]"),
    ("--batch-norm 1,1", "[1, 1]"),
    ("--batch-norm last --batch-size 1", "batch size 1 over 60000"),
    ("--dataset digits --batch-norm all --batch-size 4", "batch size 4 over 1437"),
    ("--configs relu-sigmoid-rule", "'rule'"),
    ("--configs relu-softmax-relu", "'softmax'"),
    ("--configs relu-relu", "'relu-relu' has 2"),
    ("--configs relu-relu-relu-relu", "'relu-relu-relu-relu' has 4"),
    ("--configs relu-relu-relu tanh-tanh-tanh relu-relu-relu", "'relu-relu-relu' is named twice"),
    ("--configs elu-relu-relu elu:alpha=1.0-relu-relu", "'elu:alpha=1.0-relu-relu' is named twice"),
    ("--configs *-elu-*", "'*-elu-*' matches none of the 64"),
    ("--architecture lenett", "'lenett': use one of mlp, lenet"),
    ("--architecture lenet --layers 3", "lenet has 5 layers"),
    ("--architecture lenet --widths 6 16 120 10", "lenet has 5 layers"),
    ("--architecture lenet --dataset digits", "lenet on digits: images of 8x8 are too small"),
    ("--architecture lenet --configs relu-tanh-relu", "'relu-tanh-relu' has 3 activations, the network has 5"),
    ("--architecture lenet --configs *-tanh-relu", "'*-tanh-relu' matches none of the 16"),
    ("--architecture lenet --batch-norm 6", "1 to 5, each once, got [6]"),
    ("--architecture lenet --halves", "--halves lays out dense stacks only"),
    ("--architecture lenet --configs relu-relu+tanh-relu-relu-identity", "write relu+relu"),
    ("--preset cifar10-cnn --architecture mlp", "mlp contradicts preset 'cifar10-cnn' (lenet)"),
    ("--preset cifar10-cnn --widths 6 16 120 85 10", "85 10 contradicts preset 'cifar10-cnn'"),
    ("--preset cifar10 --architecture lenet", "lenet contradicts preset 'cifar10' (mlp)"),
    ("--preset paper --dataset digits", "digits contradicts preset 'paper' (mnist)"),
    ("--preset quick --lr 0.1", "0.1 contradicts preset 'quick' (0.01)"),
    ("--preset smoke --batch-norm all", "all contradicts preset 'smoke' (none)"),
    ("--data-dir {tmp}/absent", "/absent' does not exist"),
    ("--data-dir {tmp}/file", "/file' is a file"),
    ("--data-dir ~nobody-of-that-name", "~nobody-of-that-name"),
    ("--data-dir {tmp}/empty", "no mnist in"),
    ("--dataset digits --data-dir {tmp}/empty", "digits comes with scikit-learn"),
    ("--out {tmp}/file", "/file is not a directory"),
    ("--out {tmp}/file/below/it", "/file is not a directory"),
    ("--out {tmp}/dangling", "/dangling is not a directory"),
    ("--dataset digits --out {tmp}/taken", "/taken/digits is not a directory"),
    ("--out /proc/jaxact", "cannot write in /proc"),
    ("--out {tmp}/" + "a" * 300, "a" * 300),
    ("--out ~nobody-of-that-name/runs", "~nobody-of-that-name"),
    ("--sedes 3", "--sedes"),
    ("relu-relu-relu", "relu-relu-relu"),
]


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """A folder with what bad options point to; the working directory is an empty folder in it."""
    for name in ("empty", "taken", "cwd"):
        (tmp_path / name).mkdir()
    (tmp_path / "file").write_text("not a folder\n")
    (tmp_path / "taken" / "digits").write_text("not a folder\n")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.setattr(runtime, "configure", lambda *_: None)
    load = data.load

    def load_from_a_folder_only(name, data_dir=None, **options):
        return load(name, data_dir, **options) if data_dir else pytest.fail("the command line was accepted")

    monkeypatch.setattr(data, "load", load_from_a_folder_only)
    return tmp_path


@pytest.mark.parametrize(("line", "shown"), BAD, ids=[line[:60] for line, _ in BAD])
def test_bad_command_line_is_one_line_and_status_2_with_nothing_written(place, capsys, line, shown):
    before = sorted(place.rglob("*"))
    with pytest.raises(SystemExit) as stop:
        grid.main(line.format(tmp=place).split())
    error = capsys.readouterr().err
    assert stop.value.code == 2
    assert error.count("\n") == 1 and error.endswith("\n"), error
    assert shown in error
    assert sorted(place.rglob("*")) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unreadable for root")
@pytest.mark.parametrize(("option", "shown"), [("--data-dir", "cannot be read"), ("--out", "cannot write in")])
def test_a_folder_without_permission_is_refused(place, capsys, option, shown):
    (place / "empty").chmod(0)
    with pytest.raises(SystemExit) as stop:
        grid.main([option, f"{place}/empty"])
    (place / "empty").chmod(0o700)
    error = capsys.readouterr().err
    assert stop.value.code == 2 and error.count("\n") == 1 and shown in error and f"{place}/empty" in error


def test_an_empty_out_is_refused(place, capsys):
    with pytest.raises(SystemExit) as stop:
        grid.main([*TINY, "--out", ""])
    assert stop.value.code == 2 and "--out" in capsys.readouterr().err


def test_a_pattern_and_a_name_it_covers_may_come_in_either_order():
    names = [
        [config.name for config in plan_of("--configs", *configs).configs]
        for configs in (["relu-tanh-relu", "*-tanh-relu"], ["*-tanh-relu", "relu-tanh-relu"])
    ]
    assert sorted(names[0]) == sorted(names[1]) and len(names[0]) == 4


def test_bare_is_the_whole_study():
    plan = plan_of()
    names = [config.name for config in plan.configs]
    assert len(set(names)) == len(names) == 4**3
    assert (names[0], names[1], names[-1]) == ("relu-relu-relu", "relu-relu-tanh", "selu-selu-selu")
    config = plan.configs[0]
    assert (config.dataset, config.widths, config.batch_norm, config.init) == (
        *("mnist", (500, 256, 10), ()),
        "torch_default",
    )
    assert (config.optimizer, config.learning_rate, config.momentum, config.batch_size) == ("sgd", 0.01, 0.5, 32)
    assert (config.epochs, config.limit_train, plan.seeds) == (10, None, tuple(range(9)))
    assert (plan.steps_per_epoch, plan.out, plan.cut) == (1875, Path("runs/mnist"), {})


@pytest.mark.parametrize(
    ("preset", "dataset"),
    [("paper", "mnist"), ("quick", "mnist"), ("smoke", "digits")],
    ids=["paper", "quick", "smoke"],
)
def test_a_preset_shortens_the_study_and_nothing_else(preset, dataset):
    plan, whole = plan_of("--preset", preset), plan_of("--dataset", dataset)
    assert plan.out == Path("runs") / preset and plan.cut == {}
    assert set(plan.seeds) <= set(whole.seeds) and len(plan.seeds) >= 3  # fewer give no spread to speak of
    length = {"epochs": 10, "limit_train": None}
    assert [replace(config, **length) for config in plan.configs] == whole.configs
    assert (plan.configs == whole.configs) == (preset == "paper")
    assert set(presets.PRESETS) == set(presets.SUMMARIES)


def test_the_lenets_of_the_study():
    plan = plan_of("--preset", "cifar10-cnn")
    assert len(plan.configs) == 16 and plan.choices == ("relu", "identity", "tanh", "sigmoid", "selu")
    assert [c.name for c in plan.configs[:2]] == ["relu-relu-relu-relu-identity", "relu-relu-relu-tanh-identity"]
    first = plan.configs[0]
    assert (first.architecture, first.widths, first.batch_size) == ("lenet", (6, 16, 120, 84, 10), 4)
    assert plan.steps_per_epoch == 12_500
    some = plan_of("--preset", "cifar10-cnn", "--configs", "*-sigmoid-relu-identity", "gelu-elu-relu-mish-tanh")
    assert [c.name for c in some.configs] == ["relu-sigmoid-sigmoid-relu-identity", "gelu-elu-relu-mish-tanh"]
    assert plan_of("--preset", "cifar10-cnn", "--layers", "5").configs == plan.configs


def test_wildcards_select_in_the_order_of_the_study():
    plan = plan_of("--configs", "*-sigmoid-relu", "selu-*-tanh")
    a = ["relu", "tanh", "sigmoid", "selu"]
    assert [c.name for c in plan.configs] == [f"{x}-sigmoid-relu" for x in a] + [f"selu-{x}-tanh" for x in a]
    assert plan.choices == ("relu", "sigmoid", "tanh", "selu")


def test_a_named_configuration_may_use_any_elementwise_activation():
    plan = plan_of("--configs", "gelu-elu:alpha=0.5-relu")
    assert [config.activations for config in plan.configs] == [("gelu", "elu:alpha=0.5", "relu")]


@pytest.mark.parametrize(
    ("text", "seeds"), [("3", (0, 1, 2)), ("0,3,17-19", (0, 3, 17, 18, 19)), ("4,", (4,)), ("9,2", (9, 2))]
)
def test_seeds_are_a_count_or_a_list(text, seeds):
    assert plan_of("--seeds", text).seeds == seeds


@pytest.mark.parametrize(
    ("options", "momentum"),
    [([], 0.5), (["--optimizer", "adam"], 0.0), (["--optimizer", "rmsprop"], 0.0), (["--momentum", "0"], 0.0)],
)
def test_momentum_defaults_to_the_studys_for_sgd_alone(options, momentum):
    assert plan_of(*options).configs[0].momentum == momentum


@pytest.mark.parametrize(("text", "layers"), [("none", ()), ("all", (1, 2, 3)), ("last", (3,)), ("3,1", (1, 3))])
def test_batch_norm_by_name_or_number(text, layers):
    assert plan_of("--batch-norm", text).configs[0].batch_norm == layers


def test_layers_alone_takes_the_studys_widths():
    assert plan_of("--dataset", "cifar10", "--layers", "4").configs[0].widths == (1000, 500, 256, 10)
    assert [c.name for c in plan_of("--layers", "1", "--activations", "relu", "tanh").configs] == ["relu", "tanh"]


def test_all_examples_by_number_are_the_same_configuration_as_no_limit():
    assert plan_of(*TINY, "--limit-train", "1437").configs == plan_of(*TINY).configs


@pytest.mark.parametrize(("batch", "limit", "steps"), [(32, 1437, 45), (1437, 1437, 1), (4, 1437, 360), (7, 70, 10)])
def test_steps_of_an_epoch_count_the_last_partial_batch(batch, limit, steps):
    assert plan_of(*TINY, "--batch-size", str(batch), "--limit-train", str(limit)).steps_per_epoch == steps


@pytest.mark.parametrize("out", [".", "new", "new/and/deep", "{tmp}/absolute"])
def test_a_usable_out_is_accepted_and_left_as_it_was(tmp_path, monkeypatch, out):
    monkeypatch.chdir(tmp_path)
    assert check_out(Path(out.format(tmp=tmp_path))) == Path(out.format(tmp=tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_all_stands_for_every_elementwise_activation():
    own = "experiments.interventions:half_tanh"
    plan = plan_of("--activations", "all", own, "--configs", "*-relu-relu", "relu-*-relu", "relu-relu-*")
    entries = {*activations.names("elementwise"), own}
    for layer in range(3):
        assert {config.activations[layer] for config in plan.configs} == entries
    assert len(plan.configs) == 3 * (len(entries) - 1) + 1  # relu-relu-relu once


def test_several_values_make_one_plan_per_combination():
    plans, _ = grid.plan_from(grid.parser(), [*TINY, "--lr", "0.1", "0.2", "--optimizer", "sgd", "torch_adagrad"])
    assert [(p.configs[0].optimizer, p.configs[0].learning_rate, p.configs[0].momentum) for p in plans] == [
        *(("sgd", rate, 0.5) for rate in (0.1, 0.2)),
        *(("torch_adagrad", rate, 0.0) for rate in (0.1, 0.2)),
    ]
    assert len({config.digest for plan in plans for config in plan.configs}) == 4 * 64
    assert len({plan.out for plan in plans}) == 1
