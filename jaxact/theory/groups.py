"""Inputs of unequal length: a data set as a few groups, their way through a layer, and units dead on all of them.

Inputs of one group count as equally long. Two inputs share the common part of their groups, which is Gaussian over
the initialisation; the rest of a pre-activation counts as each input's own. Images that are alike count as fewer
independent ones.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.special import log_ndtr, ndtr

from jaxact.theory.checks import check_count, check_probability, check_variance
from jaxact.theory.initialisers import Init
from jaxact.theory.quadrature import Phi, finite_values
from jaxact.theory.stack import input_statistics

SHARES = (0.25, 0.25, 0.25, 0.15, 0.07, 0.02, 0.008, 0.002)
"""Shares of the groups, shortest inputs first: narrow where they are long, as those decide who is alive."""
DIRECTIONS = 256
"""Random directions in which `input_groups` looks for the largest projection."""

_FEWEST = 10  # inputs of a group
_REACH = 7.0
_SPACING = (0.0035, 0.05)  # finest and coarsest of the grid along the first common direction
_SECOND = np.polynomial.hermite_e.hermegauss(15)
_OWN = np.linspace(-6, 6, 61)
_OWN_WEIGHTS = np.exp(-_OWN * _OWN / 2) / np.exp(-_OWN * _OWN / 2).sum()
_TINY = 1e-300


class InputGroups(NamedTuple):
    """A data set as the first layer sees it, in groups of about equally long inputs; plain numbers, no arrays.

    Attributes:
        q: mean of ‖x‖²/d over all inputs.
        c: mean over all pairs of different inputs of x_a·x_b/(d q).
        share: share of each group among the inputs.
        square: mean of ‖x‖²/d in each group, increasing.
        product: [groups][groups] mean of x_a·x_b/d over pairs of different inputs.
        exponent: N inputs leave a unit as many chances to be positive as N^exponent independent ones.
    """

    q: float
    c: float
    share: tuple[float, ...]
    square: tuple[float, ...]
    product: tuple[tuple[float, ...], ...]
    exponent: float


class GroupState(NamedTuple):
    """Pre-activations of a layer on inputs of each group, over the initialisation.

    Attributes:
        common: factor A of the covariance A Aᵀ of two different inputs, of rank 2.
        own: variance that an input does not share with the others.
    """

    common: Float[np.ndarray, "groups 2"]
    own: Float[np.ndarray, " groups"]


def input_groups(x: np.ndarray) -> InputGroups:
    """Measure the groups of a data set.

    Args:
        x: inputs [n, d] as the network receives them, n ≥ 2. Fewer than 20 make one group.

    Raises:
        ValueError: as `input_statistics`.
    """
    whole, (n, d) = input_statistics(x), np.shape(x)
    squares = np.einsum("nd,nd->n", x, x, dtype=np.float64)
    members = np.split(np.argsort(squares, kind="stable"), _ends(n))
    sizes = np.array([len(rows) for rows in members])
    sums = np.stack([x[rows].sum(0, dtype=np.float64) for rows in members])
    square = np.array([squares[rows].mean() for rows in members]) / d
    pairs = np.outer(sizes, sizes) - np.diag(sizes)
    product = (sums @ sums.T - np.diag(sizes * square * d)) / pairs / d
    own = np.sqrt(np.maximum(square - np.diag(product), _TINY))
    return InputGroups(
        whole.q,
        whole.c,
        tuple((sizes / n).tolist()),
        tuple(square.tolist()),
        tuple(map(tuple, product.tolist())),
        _exponent(x, members, sums / sizes[:, None], own),
    )


def check_groups(groups: InputGroups) -> None:
    """Refuse groups that no data set can have.

    Raises:
        ValueError: sizes that differ, shares that do not add up to 1, a negative square, or an exponent beyond [0, 1].
    """
    count, shape = len(groups.share), np.shape(groups.product)
    if not len(groups.square) == count >= 1 or shape != (count, count):
        raise ValueError(
            f"{count} shares, {len(groups.square)} squares and a product of shape {shape} do not match: "
            "give each group one share, one square and one row; input_groups does"
        )
    for value in groups.square:
        check_variance("square", value)
    check_probability("exponent", groups.exponent)
    if not math.isclose(total := math.fsum(groups.share), 1, abs_tol=1e-3) or min(groups.share) < 0:
        raise ValueError(f"share = {groups.share} adds up to {total:g}: shares must be >= 0 and add up to 1")


def first_state(groups: InputGroups, init: Init) -> GroupState:
    """The pre-activations of the first layer.

    Raises:
        ValueError: the groups do not fit together, or a number of theirs is out of range.
    """
    check_groups(groups)
    weight, bias = init
    return _state(weight * np.array(groups.product) + bias, weight * np.array(groups.square) + bias)


def next_state(phi: Phi, state: GroupState, init: Init) -> GroupState:
    """The pre-activations of the layer behind an activation.

    Args:
        phi: the activation.
        state: the pre-activations it sees.
        init: variances of the next layer's parameters.

    Raises:
        ValueError: the activation is not finite.
    """
    points, weights = _nodes(state)
    mean, variance = np.empty_like(points), np.empty_like(points)
    steps = np.linspace(0, 1, len(weights) // len(_SECOND[0]))[:, None]
    for k, own in enumerate(np.sqrt(state.own)):
        low, high = points[:, k].min(), points[:, k].max()
        grid = low + (high - low) * steps
        values = finite_values(phi.f, grid + own * _OWN)
        average = values @ _OWN_WEIGHTS
        spread = (values - average[:, None]) ** 2 @ _OWN_WEIGHTS
        mean[:, k] = np.interp(points[:, k], grid[:, 0], average)
        variance[:, k] = np.interp(points[:, k], grid[:, 0], spread)
    weight, bias = init
    product = weight * (mean.T * weights) @ mean + bias
    return _state(product, np.diag(product) + weight * weights @ variance)


def group_dead_probability(
    intervals: tuple[tuple[float, float], ...], state: GroupState, groups: InputGroups, inputs: int
) -> float:
    """Compute the probability that a unit's pre-activations on all inputs lie in given intervals.

    P = E_g Π_k P(h_k ∈ intervals | g_k)^(N_k) over the common part g of the groups, with N_k the share of group k in
    N^exponent independent inputs.

    Args:
        intervals: disjoint (left, right).
        state: the pre-activations.
        groups: the data.
        inputs: N.

    Returns:
        P; where all pre-activations are 0 it is 1 or 0, as 0 lies in an interval (its ends included) or not.

    Raises:
        ValueError: N < 1.
    """
    independent = check_count("inputs", inputs) ** groups.exponent
    if not intervals:
        return 0.0
    if not (state.own.any() or state.common.any()):
        return float(any(left <= 0 <= right for left, right in intervals))
    points, weights = _nodes(state)
    scale = np.sqrt(np.maximum(state.own, _TINY))
    inside = sum(ndtr((right - points) / scale) - ndtr((left - points) / scale) for left, right in intervals)
    with np.errstate(divide="ignore"):
        log = np.log(np.clip(inside, 0, 1))
    return float(np.exp(log @ (independent * np.array(groups.share))) @ weights)


def _ends(n: int) -> list[int]:
    """Where the sorted inputs are cut; a group that would be too small joins the one before it."""
    ends: list[int] = []
    for end in np.round(np.cumsum(SHARES)[:-1] * n).astype(int).tolist():
        if end - (ends[-1] if ends else 0) >= _FEWEST and n - end >= _FEWEST:
            ends.append(end)
    return ends


def _exponent(
    x: np.ndarray, members: list[np.ndarray], means: Float[np.ndarray, "groups d"], own: Float[np.ndarray, " groups"]
) -> float:
    """Ln N'/ln N, where N' independent normals have the largest value that N inputs have in a random direction.

    A group's mean is taken off its inputs, and what is left is divided by its standard deviation.
    """
    n, d = x.shape
    directions = np.random.default_rng(0).standard_normal((d, DIRECTIONS)).astype(np.float32) / math.sqrt(d)
    largest = np.full(DIRECTIONS, -np.inf)
    for rows, mean, scale in zip(members, means, own, strict=True):
        found = (np.asarray(x[rows], np.float32) @ directions).max(0) - mean @ directions
        largest = np.maximum(largest, found / scale)
    return min(1.0, max(0.0, _log_count(largest.mean()) / math.log(n)))


def _log_count(largest: float) -> float:
    """Ln n for which the largest of n independent normals has this mean, by bisection in ln n."""
    z = np.linspace(-10, 10, 4001)
    low, high = 0.0, 50.0
    for _ in range(40):
        middle = (low + high) / 2
        below = np.exp(math.exp(middle) * log_ndtr(z))
        low, high = (middle, high) if z[1:] @ np.diff(below) < largest else (low, middle)
    return low


def _state(product: Float[np.ndarray, "groups groups"], square: Float[np.ndarray, " groups"]) -> GroupState:
    """The two largest directions of the covariance are common; what lies in the others counts as own."""
    values, vectors = np.linalg.eigh(np.pad(product, (0, 1)))  # a row of zeros: one group has a second direction too
    common = vectors[:-1, :-3:-1] * np.sqrt(np.maximum(values[:-3:-1], 0))
    return GroupState(common, np.maximum(square - (common**2).sum(1), 0))


def _nodes(state: GroupState) -> tuple[Float[np.ndarray, "nodes groups"], Float[np.ndarray, " nodes"]]:
    """Values of the common part and their weights: a fine grid in the first direction, Gauss-Hermite in the second."""
    width = np.sqrt(state.own) / np.maximum(np.abs(state.common[:, 0]), _TINY)
    count = 1 + 2 * math.ceil(_REACH / np.clip(0.7 * width.min(), *_SPACING))
    first = np.linspace(-_REACH, _REACH, count)
    density = np.exp(-first * first / 2)
    second, second_weights = _SECOND
    points = first[:, None, None] * state.common[:, 0] + second[:, None] * state.common[:, 1]
    weights = np.outer(density / density.sum(), second_weights / second_weights.sum())
    return points.reshape(-1, len(state.own)), weights.ravel()
