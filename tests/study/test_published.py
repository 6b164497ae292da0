"""The published tables and their defects: the figures are compared with facts stated in the study's own files."""

import csv
from importlib.resources import files
from itertools import combinations, product

import numpy as np
import pytest
from scipy import stats

from jaxact.study import published
from jaxact.study.published import TABLES, load_rows, load_table

MNIST_TEST_COUNTS = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def values(name: str, run: int = 0) -> dict[str, float]:
    table = load_table(name)
    return dict(zip(table.configurations, table.accuracy[:, run].tolist(), strict=True))


@pytest.mark.parametrize(
    ("name", "rows", "runs", "missing"),
    [
        ("mnist_mlp", 64, 9, 0),
        ("mnist_mlp_batchnorm", 64, 10, 0),
        ("mnist_mlp_sgd", 64, 1, 0),
        ("mnist_mlp_rmsprop", 64, 1, 0),
        ("mnist_mlp_adadelta", 64, 1, 0),
        ("mnist_mlp_adagrad", 64, 1, 0),
        ("mnist_two_activations", 1000, 1, 0),
        ("cifar10_mlp", 64, 1, 0),
        ("cifar10_mlp_batchnorm", 64, 2, 63),
        ("cifar10_mlp_2layer", 16, 1, 0),
        ("cifar10_mlp_4layer", 16, 1, 0),
        ("cifar10_cnn", 64, 1, 0),
        ("cifar10_cnn_10runs", 64, 10, 0),
    ],
)
def test_every_table_is_a_full_factorial_of_percentages(name, rows, runs, missing):
    table = load_table(name)
    assert table.accuracy.shape == table.loss.shape == (rows, runs)
    assert np.isnan(table.accuracy).sum() == missing
    assert np.nanmin(table.accuracy) >= 8 and np.nanmax(table.accuracy) <= 100
    levels = [sorted(set(column)) for column in zip(*(c.split("-") for c in table.configurations), strict=True)]
    assert sorted(table.configurations) == sorted("-".join(layers) for layers in product(*levels))
    # lenet: two activations are applied, three named; mlp: one per weight layer.
    layers = {"mlp": len(table.protocol.widths) - 1, "lenet": 3}[table.protocol.model]
    assert len(levels) == layers
    assert len(load_rows(name)) == rows * runs - missing


def test_all_tables_are_covered_by_the_shapes_above():
    assert len(TABLES) == 13


def test_cells_equal_the_file_read_line_by_line():
    text = (files("jaxact.study.published") / "data" / "cifar10_cnn_10runs.csv").read_text(encoding="utf-8")
    table = load_table("cifar10_cnn_10runs")
    lines = list(csv.reader(text.splitlines()))[1:]
    for line in lines[:3] + lines[-3:]:
        i, j = table.configurations.index("-".join(line[:3])), table.runs.index(line[3])
        assert (table.accuracy[i, j], table.loss[i, j]) == (float(line[4]), float(line[5]))


def test_unknown_table_is_refused_in_one_line():
    with pytest.raises(ValueError, match="'nothing'.*mnist_mlp") as error:
        load_table("nothing")
    assert "\n" not in str(error.value)


def test_provenance_is_shipped_with_the_figures():
    text = (files("jaxact.study.published") / "data" / "README.md").read_text(encoding="utf-8")
    assert "nishnik/sherlocked" in text


def test_tables_are_found_by_their_protocol():
    protocol = TABLES["mnist_mlp"]
    assert [table.name for table in published.find_tables(protocol)] == ["mnist_mlp", "mnist_mlp_sgd"]
    assert [table.name for table in published.find_tables(TABLES["cifar10_cnn"])] == [
        "cifar10_cnn_10runs",
        "cifar10_cnn",
    ]
    assert published.find_tables(protocol._replace(epochs=2)) == ()
    assert published.protocol_differences(protocol._replace(epochs=2), protocol) == {"epochs": (2, 10)}


def test_mnist_runs_5_to_8_repeat_runs_1_to_4_in_64_of_64_rows():
    table = load_table("mnist_mlp")
    pairs = published.duplicate_runs(table)
    assert [(p.first, p.second) for p in pairs] == [("1", "5"), ("2", "6"), ("3", "7"), ("4", "8")]
    assert {(p.equal, p.shared) for p in pairs} == {(64, 64)}
    distinct = published.distinct_runs(table)
    assert {v.size for v in distinct.values()} == {5}
    # Dead networks of different seeds score the same; they are not repeats.
    assert distinct["sigmoid-sigmoid-relu"].tolist() == [9.8, 37.83, 9.8, 9.8, 9.8]


@pytest.mark.parametrize(
    ("name", "printed"),
    [("relu-relu-relu", 7.91643313496), ("relu-sigmoid-relu", 24.321630976), ("selu-selu-selu", 0.0357287448685)],
)
def test_printed_standard_deviation_is_the_population_one_over_nine_runs_with_repeats(name, printed):
    """Printed in the study's Activations_Results_multiple_iterations.md, column std.dev."""
    table = load_table("mnist_mlp")
    nine = table.accuracy[table.configurations.index(name)]
    assert nine.std(ddof=0) == pytest.approx(printed, rel=1e-10)
    assert published.distinct_runs(table)[name].std(ddof=1) > 1.05 * printed


def test_batchnorm_repeats_and_two_seeds():
    table = load_table("mnist_mlp_batchnorm")
    pairs = {(p.first, p.second) for p in published.duplicate_runs(table)}
    assert pairs == {("2", "3"), *combinations("4567", 2)}
    agreement = {(p.first, p.second): p.equal for p in published.compare_runs(table)}
    assert [agreement[pair] for pair in (("8", "9"), ("8", "10"), ("9", "10"))] == [62, 60, 60]
    counts = [len(set(row)) for row in table.accuracy.tolist()]
    assert (min(counts), max(counts)) == (2, 6)
    assert published.run_families(table) == (("1", "4", "5", "6", "7"), ("2", "3", "8", "9", "10"))
    two = published.independent_runs(table)["sigmoid-selu-relu"]
    np.testing.assert_allclose(two, [(86.16 + 86.19) / 2, (97.25 + 3 * 97.22) / 4], rtol=1e-12)


def test_batchnorm_families_also_follow_from_correlated_deviations():
    """Independent of the median rule: deviations from the row median correlate within a family, not between."""
    table = load_table("mnist_mlp_batchnorm")
    healthy = table.accuracy[table.accuracy.min(axis=1) > 90][:-4]  # the last rows were rerun, see runs 8 to 10
    ranks = stats.spearmanr(healthy - healthy.mean(axis=1, keepdims=True)).statistic
    family = np.array([0, 1, 1, 0, 0, 0, 0, 1, 1, 1])
    same = family[:, None] == family[None]
    assert ranks[same].min() > 0.5 and ranks[~same].max() < 0


@pytest.mark.parametrize("name", ["mnist_mlp", "cifar10_cnn_10runs"])
def test_runs_of_other_tables_are_different_seeds(name):
    table = load_table(name)
    assert len(published.run_families(table)) == len(table.runs) - len(published.duplicate_runs(table))


def test_optimizer_columns_are_copies():
    adagrad, adadelta = load_table("mnist_mlp_adagrad"), load_table("mnist_mlp_adadelta")
    (pair,) = published.compare_runs(adadelta, adagrad)
    assert (pair.equal, pair.shared) == (59, 64)
    theirs, copy = values("mnist_mlp_adadelta"), values("mnist_mlp_adagrad")
    changed = {name for name in theirs if theirs[name] != copy[name]}
    swapped = [("selu-tanh-tanh", "selu-tanh-sigmoid"), ("selu-sigmoid-tanh", "selu-sigmoid-sigmoid")]
    for a, b in swapped:
        assert (theirs[a], theirs[b]) == (copy[b], copy[a])
    assert changed == {name for pair in swapped for name in pair} | {"selu-sigmoid-relu"}
    assert (theirs["selu-sigmoid-relu"], copy["selu-sigmoid-relu"]) == (49.39, 98.01)


def test_sgd_column_is_run_1_of_the_main_table():
    pairs = published.compare_runs(load_table("mnist_mlp_sgd"), load_table("mnist_mlp"))
    assert {p.second: p.equal for p in pairs if p.equal == 64} == {"1": 64, "5": 64}


def test_single_cnn_table_is_run_1_of_the_ten():
    one, ten = load_table("cifar10_cnn"), load_table("cifar10_cnn_10runs")
    np.testing.assert_array_equal(one.accuracy[:, 0], ten.accuracy[:, 0])
    np.testing.assert_array_equal(one.loss[:, 0], ten.loss[:, 0])


def test_comparing_tables_of_other_rows_is_refused():
    with pytest.raises(ValueError, match="differ in their rows"):
        published.compare_runs(load_table("cifar10_mlp_2layer"), load_table("cifar10_mlp"))


def test_third_activation_of_the_cnn_makes_no_difference():
    table = load_table("cifar10_cnn_10runs")
    p = [published.layer_effect_p_value(table, layer, np.random.default_rng(0)) for layer in range(3)]
    assert p[0] == p[1] == 1 / 1000 and p[2] > 0.05
    pooled = published.pool_architectures(table)
    assert len(pooled) == 16 and {v.size for v in pooled.values()} == {40}
    # The test does see a third activation where there is one.
    assert published.layer_effect_p_value(load_table("mnist_mlp"), 2, np.random.default_rng(0)) == 1 / 1000


def test_layer_effect_agrees_with_analysis_of_variance_in_one_block():
    """With one block the statistic is monotone in F; its permutation p is near the F test's for normal values."""
    rng = np.random.default_rng(1)
    accuracy = 90 + rng.normal(size=(4, 30)) + np.array([0.0, 0.15, 0.3, 0.45])[:, None]
    base = load_table("cifar10_mlp_2layer")
    table = base._replace(configurations=base.configurations[:4], runs=tuple(map(str, range(30))), accuracy=accuracy)
    expected = stats.f_oneway(*accuracy).pvalue
    assert published.layer_effect_p_value(table, 1, rng, resamples=4999) == pytest.approx(expected, abs=0.02)


def test_layer_effect_of_quiet_blocks_is_seen_beside_a_loud_one():
    """Block relu varies by 30 points, the three others by 0.01 with an effect of 0.1: it must not drown them."""
    rng = np.random.default_rng(2)
    accuracy = 90 + 0.01 * rng.normal(size=(16, 5)) + 0.1 * np.tile(np.arange(4), 4)[:, None]
    accuracy[:4] = 50 + 30 * rng.normal(size=(4, 5))
    table = load_table("cifar10_mlp_2layer")._replace(runs=tuple("12345"), accuracy=accuracy)
    assert published.layer_effect_p_value(table, 1, rng) == 1 / 1000


def test_cifar10_text_contradicts_its_table():
    claim = published.cifar10_claim(load_table("cifar10_mlp"))
    assert (len(claim.endings), len(claim.others)) == (4, 60)
    assert claim.endings_above_ten == {"selu-sigmoid-relu": 36.89}
    assert claim.others_at_ten == {"sigmoid-selu-relu": 10.0}
    assert len(claim.others_below_fifty) == 42
    batches = {p.batch_size for p in TABLES.values() if p.dataset == "cifar10"}
    assert batches == {4} and published.CIFAR10_BATCH_SIZE_IN_TEXT == 32


def test_four_layer_networks_with_a_sigmoid_before_a_relu_output_are_dead():
    for name, accuracy in values("cifar10_mlp_4layer").items():
        dead = name.endswith("-relu") and "sigmoid" in name
        assert (accuracy == 10.0) == dead, name


def test_dead_class_ranges_equal_all_choices_by_brute_force():
    counts = [5, 1, 3, 2]
    for dead, low, high in published.dead_class_ranges(90.0, counts):
        every = [90 * (1 - sum(chosen) / 11) for chosen in combinations(counts, dead)]
        assert (low, high) == pytest.approx((min(every), max(every)))


def test_failing_relu_outputs_stand_on_the_ladder_of_dead_classes():
    """Rows whose first layer is not sigmoid: their healthy level is near 98 %, so the ladder has no free choice."""
    table = load_table("mnist_mlp")
    failing = np.concatenate(
        [
            row[row < 96]
            for name, row in published.distinct_runs(table).items()
            if name.endswith("-relu") and not name.startswith("sigmoid")
        ]
    )
    ladder = published.dead_class_ranges(98.0, MNIST_TEST_COUNTS)
    on = [any(r.low - 0.25 <= value <= r.high + 0.25 for r in ladder) for value in failing]
    grid = np.linspace(9.8, 96, 2000)
    by_chance = np.mean([any(r.low - 0.25 <= value <= r.high + 0.25 for r in ladder) for value in grid])
    assert len(on) == 23 and by_chance < 0.5
    assert sum(on) >= 20
    assert stats.binomtest(sum(on), len(on), float(by_chance), alternative="greater").pvalue < 1e-3
