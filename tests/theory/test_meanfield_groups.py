"""Groups of inputs against the Gram matrix, closed forms, and samples of the Gaussian process with the true kernel."""

import math

import numpy as np
import pytest
from oracles.numpy_activations import PHIS

from jaxact import theory as mf

RELU = ((-math.inf, 0.0),)
LENGTHS = np.array([0.5, 1.0, 2.5])
SHARE = (0.6, 0.3, 0.1)


def unequal():
    """Three groups whose inputs are 0.5, 1 and 2.5 long, and as correlated as their lengths say."""
    product = 0.3 * np.outer(LENGTHS, LENGTHS) ** 0.5 + 0.2 * np.outer(LENGTHS - 1, LENGTHS - 1)
    square = tuple((LENGTHS**2).tolist())
    return mf.InputGroups(1.0, 0.3, SHARE, square, tuple(map(tuple, product.tolist())), 1.0)


def kernel(groups, inputs, init):
    """The covariance of the first layer's pre-activations on every pair of inputs, and where each input belongs."""
    member = np.repeat(np.arange(3), np.round(np.array(groups.share) * inputs).astype(int))
    gram = np.array(groups.product)[np.ix_(member, member)]
    np.fill_diagonal(gram, np.array(groups.square)[member])
    return init.weight_variance * gram + init.bias_variance, member


def relu_kernel(k):
    """E[relu(h_a) relu(h_b)], the arc-cosine kernel of Cho & Saul 2009."""
    scale = np.sqrt(np.outer(np.diag(k), np.diag(k)))
    angle = np.arccos(np.clip(k / scale, -1, 1))
    return scale / (2 * np.pi) * (np.sin(angle) + (np.pi - angle) * np.cos(angle))


def test_groups_are_those_of_the_gram_matrix():
    rng = np.random.default_rng(0)
    x = rng.normal(0.3, 1, (400, 7)) * rng.gamma(5, 0.2, (400, 1))
    found, order = mf.input_groups(x), np.argsort((x**2).sum(1))
    gram = x @ x.T / 7
    sizes = np.round(np.array(found.share) * 400).astype(int)
    assert sizes.sum() == 400 and sizes.min() >= 10 and len(sizes) == 6
    member = np.repeat(np.arange(6), sizes)
    for i in range(6):
        assert found.square[i] == pytest.approx(np.diag(gram)[order[member == i]].mean())
        for j in range(6):
            block = gram[np.ix_(order[member == i], order[member == j])]
            other = block[~np.eye(len(block), dtype=bool)] if i == j else block
            assert found.product[i][j] == pytest.approx(other.mean())
    assert found[:2] == pytest.approx(mf.input_statistics(x))


@pytest.mark.parametrize("copies", [1, 10])
def test_copies_count_once(copies):
    """n unlike inputs count as n, and as n still if each is there ten times; d is large, so all lengths are alike."""
    x = np.repeat(np.random.default_rng(1).normal(size=(300, 2000)), copies, axis=0)
    assert mf.input_groups(x).exponent == pytest.approx(math.log(300) / math.log(300 * copies), abs=0.02)


def test_few_inputs_make_one_group():
    x = np.random.default_rng(2).normal(size=(19, 5))
    found = mf.input_groups(x)
    assert found.share == (1.0,) and found.square[0] == pytest.approx(found.q)
    assert found.product[0][0] == pytest.approx(found.q * found.c)


@pytest.mark.parametrize("c", [0.2, 0.9, 0.999])
@pytest.mark.parametrize("n", [1, 100, 60_000])
def test_one_group_is_the_closed_formula(c, n):
    group = mf.InputGroups(1.0, c, (1.0,), (1.0,), ((c,),), 1.0)
    state = mf.first_state(group, mf.Init(1.0, 0.0))
    expected = mf.dead_probability(c, n)
    assert mf.group_dead_probability(RELU, state, group, n) == pytest.approx(expected, rel=2e-3, abs=1e-9)
    half = group._replace(exponent=0.5)
    assert mf.group_dead_probability(RELU, state, half, n * n) == pytest.approx(expected, rel=2e-3, abs=1e-9)


@pytest.mark.parametrize("name", ["relu", "sigmoid", "tanh", "softplus"])
def test_a_layer_of_one_group_is_the_exact_map(name):
    """The moments of one and of two inputs, each by the quadrature that splits at kinks."""
    group, init = mf.InputGroups(1.0, 0.4, (1.0,), (1.0,), ((0.4,),), 1.0), mf.Init(1.5, 0.1)
    state = mf.next_state(PHIS[name], mf.first_state(group, mf.Init(1.0, 0.0)), init)
    product = 1.5 * mf.pair_moments(PHIS[name], 1.0, 0.4).product + 0.1
    square = 1.5 * mf.moments(PHIS[name], 1.0).square + 0.1
    assert (state.common**2).sum() == pytest.approx(product, rel=1e-3)
    assert (state.common**2).sum() + state.own[0] == pytest.approx(square, rel=1e-3)


def test_a_layer_of_unequal_groups_is_the_arc_cosine_kernel():
    """To 1 %, as two of the three common directions are kept."""
    groups, first, second = unequal(), mf.Init(1.0, 0.05), mf.Init(2.0, 0.02)
    k, member = kernel(groups, 20, first)
    exact = second.weight_variance * relu_kernel(k) + second.bias_variance
    state = mf.next_state(PHIS["relu"], mf.first_state(groups, first), second)
    np.testing.assert_allclose((state.common**2).sum(1) + state.own, np.diag(exact)[[0, 13, 19]], rtol=2e-3)
    rows = [0, 13, 19]
    for i, j in [(0, 1), (0, 2), (1, 2)]:
        assert member[rows[i]] == i
        assert state.common[i] @ state.common[j] == pytest.approx(exact[rows[i], rows[j]], rel=1e-2)


@pytest.mark.parametrize("inputs", [20, 200])
@pytest.mark.parametrize("layers", [1, 2])
def test_dead_units_are_those_of_the_gaussian_process(inputs, layers):
    """Samples of all inputs at once with the true kernel, by its Cholesky factor; 4 standard errors."""
    groups, init, draws = unequal(), mf.Init(1.0, 2.0), 40_000
    k, _ = kernel(groups, inputs, init)
    state = mf.first_state(groups, init)
    for _ in range(layers - 1):
        k = init.weight_variance * relu_kernel(k) + init.bias_variance
        state = mf.next_state(PHIS["relu"], state, init)
    h = np.random.default_rng(3).normal(size=(draws, inputs)) @ np.linalg.cholesky(k).T
    dead = (h <= 0).all(1).mean()
    found = mf.group_dead_probability(RELU, state, groups, inputs)
    assert dead > 0.01
    assert abs(found - dead) < 4 * math.sqrt(dead * (1 - dead) / draws)


def test_lengths_matter():
    """One group of the same q and c is off by far more than the samples of the test before allow."""
    groups, init = unequal(), mf.Init(1.0, 2.0)
    state = mf.first_state(groups, init)
    q, product = np.array(SHARE) @ groups.square, np.array(SHARE) @ np.array(groups.product) @ np.array(SHARE)
    equal = mf.dead_probability((product + 2) / (q + 2), 200)
    assert abs(mf.group_dead_probability(RELU, state, groups, 200) / equal - 1) > 0.2


def test_where_nothing_varies_zero_decides():
    still = mf.GroupState(np.zeros((2, 2)), np.zeros(2))
    groups = mf.InputGroups(1.0, 0.0, (0.5, 0.5), (1.0, 1.0), ((0.0, 0.0), (0.0, 0.0)), 1.0)
    assert mf.group_dead_probability(RELU, still, groups, 9) == 1
    assert mf.group_dead_probability(((1.0, math.inf),), still, groups, 9) == 0
    assert mf.group_dead_probability((), still, groups, 9) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"square": (1.0,)}, "3 shares, 1 squares"),
        ({"product": ((1.0,),)}, r"a product of shape \(1, 1\) do not match"),
        ({"share": (0.5, 0.3, 0.1)}, "adds up to 0.9"),
        ({"square": (1.0, -1.0, 1.0)}, "square = -1.0"),
        ({"exponent": 1.2}, "exponent = 1.2"),
    ],
)
def test_bad_groups_are_refused_in_one_line(change, message):
    with pytest.raises(ValueError, match=message) as error:
        mf.first_state(unequal()._replace(**change), mf.Init(1.0, 0.0))
    assert "\n" not in str(error.value)
