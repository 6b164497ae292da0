"""The factorial decomposition against least squares on dummy variables, known tables, and simulation."""

from itertools import combinations, product

import numpy as np
import pytest

from jaxact.statistics import decompose

FACTORS = ("layer1", "layer2", "layer3")


def sums_of_squares(cells: np.ndarray) -> dict[str, float]:
    """Mean square of each effect by projecting on dummy variables: what a set adds to all its subsets."""
    levels = cells.shape
    index = np.array(list(product(*map(range, levels))))

    def fitted(subset: tuple[int, ...]) -> np.ndarray:
        groups = np.unique(index[:, subset], axis=0, return_inverse=True)[1] if subset else np.zeros(len(index), int)
        dummies = np.eye(groups.max() + 1)[groups.ravel()]
        return dummies @ np.linalg.lstsq(dummies, cells.ravel(), rcond=None)[0]

    found = {}
    for order in range(1, len(levels) + 1):
        for subset in combinations(range(len(levels)), order):
            inner = [s for k in range(order) for s in combinations(subset, k)]
            effect = sum((-1) ** (order - len(s)) * fitted(s) for s in [*inner, subset])
            found[":".join(f"layer{i + 1}" for i in subset)] = float(np.mean(effect**2))
    return found


def test_single_table_equals_least_squares():
    cells = np.random.default_rng(0).normal(size=(4, 3, 2))
    result = decompose(cells[None], FACTORS)
    expected = sums_of_squares(cells)
    assert [c.name for c in result.components] == list(expected)
    np.testing.assert_allclose([c.variance for c in result.components], list(expected.values()), rtol=1e-10)
    assert sum(c.share for c in result.components) == pytest.approx(1)
    assert sum(c.share for c in result.orders) == pytest.approx(1)
    assert result.variance == pytest.approx(cells.var()) and np.isnan(result.seed_variance)
    assert np.isnan(result.components[0].low)


def test_effects_sum_to_zero_and_rebuild_the_table():
    seeds = np.arange(24.0).reshape(4, 3, 2) ** 2 + np.random.default_rng(1).normal(size=(5, 4, 3, 2))
    result = decompose(seeds, FACTORS)
    e = result.effects
    for effect in e.values():
        for axis in range(effect.ndim):
            np.testing.assert_allclose(effect.sum(axis=axis), 0, atol=1e-12)
    rebuilt = result.mean + e["layer1"][:, None, None] + e["layer2"][:, None] + e["layer3"] + e["layer2:layer3"]
    rebuilt = rebuilt + e["layer1:layer2"][:, :, None] + e["layer1:layer3"][:, None] + e["layer1:layer2:layer3"]
    np.testing.assert_allclose(rebuilt, seeds.mean(axis=0), rtol=1e-12)


def test_additive_table_has_no_interaction_and_exclusive_or_nothing_else():
    rows, columns = np.array([0.0, 1, 5]), np.array([2.0, -3, 4, 1])
    additive = decompose((rows[:, None] + columns)[None], ("a", "b"))
    variances = {c.name: c.variance for c in additive.components}
    assert variances == pytest.approx({"a": rows.var(), "b": columns.var(), "a:b": 0.0}, abs=1e-12)
    exclusive_or = decompose(np.array([[[0.0, 1.0], [1.0, 0.0]]]), ("a", "b"))
    assert [round(c.share, 12) for c in exclusive_or.orders] == [0, 1]


def noisy_tables(truth: np.ndarray, seeds: int, repeats: int, rng: np.random.Generator) -> np.ndarray:
    """Seeds with unequal noise: cells that fail vary a hundred times more, and every seed shifts all its cells."""
    scale = np.where(truth > 0, 0.1, 5.0)
    own = scale * rng.normal(size=(repeats, seeds, *truth.shape))
    shared = rng.normal(size=(repeats, seeds, truth.shape[0], *(1,) * (truth.ndim - 1)))
    return truth + own + shared


def test_variances_are_unbiased_under_unequal_and_shared_noise():
    rng = np.random.default_rng(2)
    truth = 8 * rng.normal(size=(3, 2, 2))
    expected = np.array(list(sums_of_squares(truth).values()))
    found, plain = [], []
    for table in noisy_tables(truth, seeds=4, repeats=600, rng=rng):
        found.append([c.variance for c in decompose(table, FACTORS).components])
        plain.append([c.variance for c in decompose(table.mean(axis=0)[None], FACTORS).components])
    error = np.std(found, axis=0) / np.sqrt(len(found))
    assert np.all(np.abs(np.mean(found, axis=0) - expected) < 4 * error)
    # Without the correction every effect of the table of means is too large, most of them by far.
    assert np.all(np.mean(plain, axis=0) > expected) and np.max((np.mean(plain, axis=0) - expected) / error) > 10


@pytest.mark.parametrize("seeds", [9, 32])
def test_intervals_cover_the_true_shares(seeds):
    rng = np.random.default_rng(3)
    truth = 10 * rng.normal(size=(3, 3))
    squares = np.array(list(sums_of_squares(truth).values()))
    expected = squares / squares.sum()
    covered = [
        [c.low <= share <= c.high for c, share in zip(result.components, expected, strict=True)]
        for table in noisy_tables(truth, seeds=seeds, repeats=400, rng=rng)
        for result in [decompose(table, ("layer1", "layer2"))]
    ]
    coverage = np.mean(covered, axis=0)
    assert np.all(coverage >= 0.92) and np.all(coverage <= 0.98)  # a bootstrap over the seeds: 90 to 93 % at 9


def test_order_shares_are_the_sums_of_their_components():
    table = noisy_tables(np.arange(8.0).reshape(2, 2, 2), 9, 1, np.random.default_rng(4))[0]
    result = decompose(table, FACTORS)
    main = sum(c.variance for c in result.components if ":" not in c.name)
    assert [o.name for o in result.orders] == ["order 1", "order 2", "order 3"]
    assert result.orders[0].variance == pytest.approx(main)
    assert result.orders[0].low < result.orders[0].share < result.orders[0].high
    assert np.isnan(decompose(table[:8], FACTORS).orders[0].low)  # eight seeds are too few


@pytest.mark.parametrize(
    ("table", "factors", "message"),
    [
        (np.zeros((3, 2, 2)), ("a",), "do not fit a table"),
        (np.zeros((3, 2, 2)), ("a", "a"), "do not fit"),
        (np.zeros((3, 2, 1)), ("a", "b"), "2 levels or more"),
        (np.array([[[1.0, np.nan], [1.0, 2.0]]]), ("a", "b"), "1 of 4 values are NaN"),
        (np.ones((3, 2, 2)), ("a", "b"), "nothing to decompose"),
    ],
)
def test_bad_tables_are_refused_in_one_line(table, factors, message):
    with pytest.raises(ValueError, match=message) as error:
        decompose(table, factors)
    assert "\n" not in str(error.value)
