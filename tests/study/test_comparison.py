"""Ours beside theirs: counts, tests and wording, checked with published figures and planted differences."""

from math import comb

import numpy as np
import pytest

from jaxact.study.comparison import compare, render
from jaxact.study.published import independent_runs, load_table

MNIST = load_table("mnist_mlp")
THEIRS = independent_runs(MNIST)


def shifted(name: str, by: float, seeds: int = 9) -> np.ndarray:
    """Seeds around the published mean of a healthy row, moved by a known amount."""
    return THEIRS[name].mean() + by + np.linspace(-0.1, 0.1, seeds)


def test_published_runs_compared_with_themselves_do_not_differ():
    rows = compare(THEIRS, MNIST)
    assert [row.configuration for row in rows] == list(MNIST.configurations)
    for row in rows:
        assert row.difference == 0 and row.p_value == row.p_holm == 1
        assert (row.theirs.n, row.published_runs) == (5, 9)


def test_planted_difference_is_found_among_sixty_four_rows():
    ours = {name: shifted(name, 0.0) for name in MNIST.configurations}
    ours["selu-selu-selu"] = shifted("selu-selu-selu", -3.0)
    found = {row.configuration: row for row in compare(ours, MNIST)}
    row = found.pop("selu-selu-selu")
    assert row.p_value == pytest.approx(1 / comb(14, 5))  # all 5 published above all 9 of ours: one split of 2002
    assert row.p_holm == pytest.approx(64 / comb(14, 5))
    assert row.verdict == "differs: ours 3.00 lower"
    assert {other.verdict for other in found.values()} == {"no difference found"}


def test_repeated_runs_do_not_enter_the_test():
    """Nine published values, of which five are distinct: with the repeats the p-value would be far too small."""
    (row,) = compare({"relu-relu-relu": np.full(9, 97.95) + np.linspace(0, 0.1, 9)}, MNIST)
    splits = comb(14, 5)
    assert row.p_value * splits == pytest.approx(round(row.p_value * splits))
    assert row.theirs.mean == pytest.approx((97.95 + 88.61 + 78.93 + 78.32 + 78.69) / 5)


def test_diverged_seeds_are_counted_and_left_out():
    values = np.append(shifted("relu-tanh-selu", 0.0), [np.nan, np.nan])
    (row,) = compare({"relu-tanh-selu": values}, MNIST)
    assert (row.ours.n, row.ours.n_nan) == (9, 2)
    assert row.p_value == compare({"relu-tanh-selu": values[:-2]}, MNIST)[0].p_value
    assert "9 + 2 NaN" in render((row,))


def test_configuration_whose_seeds_all_diverged_has_a_defined_row():
    (row, other) = compare({"relu-relu-relu": [np.nan] * 3, "relu-relu-tanh": shifted("relu-relu-tanh", 0.0)}, MNIST)
    assert row.verdict == "all our 3 seeds diverged" and np.isnan(row.p_value) and np.isnan(row.difference)
    assert other.p_holm == other.p_value  # a row without a test does not count as one


def test_single_published_run_is_placed_and_not_tested():
    table = load_table("cifar10_mlp")
    ours = {"relu-relu-relu": [50.0, 51.0, 52.0, 51.0], "relu-relu-tanh": [60.0, 60.1, 60.2, 60.1]}
    rows = compare(ours | {"relu-relu-sigmoid": [50.0, 51.0, 52.0], "relu-relu-selu": [10.0] * 8 + [50.0]}, table)
    assert all(np.isnan(row.p_value) and np.isnan(row.p_holm) for row in rows)
    # 51 ± 3.1824 · √(2/3) · √(5/4): Student's t with three degrees of freedom
    inside = "one published run: within our 4 seeds, inside their 95% prediction interval 48.09 to 53.91"
    assert rows[0].verdict == inside
    assert rows[1].verdict.startswith("one published run: below our 4 seeds, outside their 95% prediction interval")
    assert rows[2].verdict.endswith("our 3 seeds, too few for a prediction interval")
    assert rows[3].verdict.endswith("our 9 seeds, which are unlike a normal sample: no prediction interval")


def test_our_single_seed_is_placed_among_the_published():
    (row,) = compare({"relu-relu-relu": [99.0]}, MNIST)
    assert row.verdict.startswith("one seed of ours: above the published 5 runs, inside")
    (row,) = compare({"relu-relu-relu": [50.0]}, load_table("cifar10_mlp"))
    assert row.verdict == "one run each: no test"


def test_two_seeds_of_the_batchnorm_table_cannot_decide_sixty_four_tests():
    table = load_table("mnist_mlp_batchnorm")
    ours = {name: np.linspace(50, 51, 9) for name in table.configurations}
    rows = compare(ours, table)
    assert {(row.theirs.n, row.published_runs) for row in rows} == {(2, 10)}
    assert {row.verdict for row in rows} == {"undecided: 9 against 2 runs cannot pass 64 tests at 0.05"}


@pytest.mark.parametrize(("tests", "verdict"), [(6, "no difference found"), (7, "undecided: 5 against 5 runs")])
def test_five_against_five_can_pass_six_tests_and_not_seven(tests, verdict):
    """Two of the 252 splits separate groups of equal size: 6·2/252 < 0.05 < 7·2/252."""
    rows = compare({name: THEIRS[name] for name in MNIST.configurations[:tests]}, MNIST)
    assert all(row.verdict.startswith(verdict) for row in rows)


def test_lenet_rows_are_pooled_over_the_activation_it_ignores():
    table = load_table("cifar10_cnn_10runs")
    two, three = compare({"relu-tanh": [30.0, 40.0], "relu-tanh-selu": [30.0, 40.0]}, table)
    assert (two.theirs.n, two.published_runs) == (40, 40)
    assert two.theirs == three.theirs and two.p_value == three.p_value


def test_our_lenets_meet_the_rows_of_their_two_activations():
    table = load_table("cifar10_cnn_10runs")
    mine = {name: [30.0, 40.0] for name in ("relu-sigmoid-sigmoid-tanh-identity", "sigmoid-tanh")}
    (ours, short) = compare(mine, table)
    assert ours.theirs == short.theirs and ours.theirs.n == 40
    printed = [
        row for name, row in zip(table.configurations, table.accuracy, strict=True) if "sigmoid-tanh-" in name[:13]
    ]
    assert len(printed) == 4 and ours.theirs.mean == pytest.approx(np.mean(printed))
    others = (
        "tanh-tanh-tanh-tanh-identity",
        "relu-tanh-selu-tanh-identity",
        "relu-tanh-tanh-tanh-relu",
        "relu-mish-mish",
    )
    assert compare({name: [30.0, 40.0] for name in others}, table) == ()


def test_configurations_that_were_not_published_have_no_row():
    assert compare({"relu-mish-relu": [97.0, 98.0]}, MNIST) == ()
    assert "published" in render(())


@pytest.mark.parametrize("values", [[0.97, 0.98], [97.0, 101.0], [-1.0, 97.0]])
def test_accuracies_that_are_not_percent_are_refused(values):
    with pytest.raises(ValueError, match="relu-relu-relu.*not percent") as error:
        compare({"relu-relu-relu": values}, MNIST)
    assert "\n" not in str(error.value)


def test_rendered_table_is_aligned_markdown_with_every_row():
    ours = {"relu-relu-relu": [90.0, np.nan], "selu-selu-selu": shifted("selu-selu-selu", 0.0)}
    lines = render(compare(ours, MNIST)).splitlines()
    assert len(lines) == 4 and len({len(line) for line in lines}) == 1
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert {len(row) for row in cells} == {13}
    assert all(set(rule) <= {"-", ":"} and "-" in rule for rule in cells[1])
    assert cells[2][:3] == ["relu-relu-relu", "1 + 1 NaN", "90.00"] and cells[2][10] == "–"
