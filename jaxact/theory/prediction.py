"""What theory says about a configuration before it is trained: χ per layer, and which units will be dead.

The bridge between the catalogue, which knows φ, φ' and their kinks, and the mean-field theory. A unit is dead on a set
of inputs if φ' is exactly 0 at its pre-activation on every one of them: gradient descent then leaves it as it is. For
`relu` that means never positive. JAX is loaded when an activation is first evaluated, not on import.
"""

import math
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import NamedTuple, SupportsFloat

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr

from jaxact import activations as catalogue
from jaxact.activations import Activation
from jaxact.activations.pointwise import blockwise
from jaxact.config import Config
from jaxact.theory import dead
from jaxact.theory.checks import check_correlation, check_count, check_variance
from jaxact.theory.dead import dead_distribution
from jaxact.theory.groups import InputGroups, first_state, group_dead_probability, next_state
from jaxact.theory.initialisers import Init, stack_inits
from jaxact.theory.known import DIGITS, FASHION_MNIST, MNIST
from jaxact.theory.quadrature import Phi, Value, converge, expectation, panel_rule
from jaxact.theory.stack import InputStatistics, StackPrediction, predict_stack

STATISTICS = {"mnist": MNIST, "fashion_mnist": FASHION_MNIST, "digits": DIGITS}
"""The groups of all standardised training images, which include q⁰ and c⁰ (`meanfield.known`)."""

FEW_ACTIVE = 25
"""Fewer active units than this in a hidden layer, and the sum of the next layer is no longer nearly Gaussian."""

Interval = tuple[float, float]

_INSIDE = (1e-3, 0.1, 1.0, 10.0, 1e3)  # distances from the last kink at which a tail is looked at
_REACH = 10.0
_STEPS = np.concatenate([np.arange(-32, 33) / 4, 2.0 ** np.arange(4, 40), -(2.0 ** np.arange(4, 40))])


class Prediction(NamedTuple):
    """Mean-field theory of one configuration at initialisation; arrays are in the order of the layers.

    Attributes:
        config: the configuration.
        data: its inputs; q⁰ and c⁰ are `data.q` and `data.c`.
        inputs: N, the number of inputs a dead unit is dead on.
        stack: variance, correlation and χ of every layer.
        dead: probability that a unit of the layer is dead.
        active: units that carry the second moment of the layer's activations, n E[φ²]²/E[φ⁴]: about n times the share
            of inputs on which a unit is active, where most are on few.
    """

    config: Config
    data: InputGroups | InputStatistics
    inputs: int
    stack: StackPrediction
    dead: Float[np.ndarray, " layers"]
    active: Float[np.ndarray, " layers"]

    @property
    def expected_dead(self) -> Float[np.ndarray, " layers"]:
        """Expected number of dead units per layer."""
        return self.dead * np.array(self.config.widths)

    @property
    def dead_outputs(self) -> Float[np.ndarray, " counts"]:
        """Distribution of the number of dead outputs: probability of 0, 1, …, all (`meanfield.dead_distribution`)."""
        return dead_distribution(self.dead[-1], self.config.widths[-1])

    @property
    def sparsest(self) -> int | None:
        """Index of the hidden layer with the fewest active units, if below `FEW_ACTIVE`: `dead` is unsure then."""
        hidden = self.active[:-1]
        return int(hidden.argmin()) if hidden.size and hidden.min() < FEW_ACTIVE else None

    @property
    def mean_share(self) -> Float[np.ndarray, " layers"]:
        """E[x]²/E[x²] of each layer's activations: the share of the second moment that all inputs have in common."""
        square = self.stack.square
        return np.divide(self.stack.mean**2, square, out=np.zeros_like(square), where=square > 0)


def predict(config: Config, features: int, data: InputGroups | InputStatistics, inputs: int) -> Prediction:
    """Predict the state of a configuration at initialisation.

    Learnable activations are taken at their start values, random ones in test mode. Fluctuations of order 1/width are
    neglected. Variances, correlations and χ are those of inputs of mean length and equal correlation. Dead units are
    those of the groups where `data` has any; of q⁰ and c⁰ alone, all inputs count as equally long and independent.

    Held against counts of `tests/oracles/dead_simulation.py` for outputs of the study's widths: relu-X-relu and
    sigmoid-X-relu for every X of the catalogue on MNIST and digits, and the study's 16 also on Fashion-MNIST. Dead
    outputs are within 10 % or 0.1 of 10 wherever the hidden layers have `FEW_ACTIVE` or more units `active`. With fewer
    the largest errors are 2.04 for 3.71 (sigmoid-threshold-relu) and 0.83 for 0.30 (relu-threshold-relu), both on
    MNIST.

    Args:
        config: activations, widths and initialiser; the rest of it does not matter.
        features: inputs of the first layer.
        data: the groups (`meanfield.input_groups`, or one of `STATISTICS`), or only q⁰ and c⁰.
        inputs: N, the number of inputs, such as the size of the training set.

    Returns:
        The prediction.

    Raises:
        ValueError: the configuration is no dense stack or has batch norm, a number is out of range, or
            c⁰ < −1/(N − 1), which no N inputs can have.
    """
    if config.architecture != "mlp":
        raise ValueError(f"{config.architecture} has no theory here, which is for dense stacks: leave it out, or train")
    if config.batch_norm:
        raise ValueError(f"batch norm on layers {list(config.batch_norm)} has no theory here: leave it out, or train")
    if config.paired:
        raise ValueError(f"{config.name}: layers of two halves have no theory here: name one activation per layer")
    features, inputs = check_count("features", features), check_count("inputs", inputs)
    q0, c0 = check_variance("q0", data.q, positive=True), check_correlation("c0", data.c)
    if inputs > 1 and c0 < -1 / (inputs - 1):
        raise ValueError(f"c0 = {c0} is below -1/(inputs - 1) for {inputs} inputs: no set of so many is so correlated")
    entries = [catalogue.get(name) for name in config.activations]
    widths = (features, *config.widths)
    inits = stack_inits(config.init, widths)
    stack = predict_stack([_phi(entry) for entry in entries], widths, inits, q0, c0)
    if isinstance(data, InputGroups):
        flat = [flat_intervals(entry) for entry in entries]
        dead = dead_on_groups([_phi(entry) for entry in entries], flat, inits, data, inputs)
    else:
        data = InputStatistics(q0, c0)
        states = zip(entries, stack.q, stack.c, strict=True)
        dead = [dead_probability(flat_intervals(entry), q, c, inputs) for entry, q, c in states]
    active = [_active(_phi(entry), q, n) for entry, q, n in zip(entries, stack.q, config.widths, strict=True)]
    return Prediction(config, data, inputs, stack, np.array(dead), np.array(active))


def dead_on_groups(
    phis: Sequence[Phi],
    flat: Sequence[tuple[Interval, ...]],
    inits: Sequence[Init],
    data: InputGroups,
    inputs: int,
) -> list[float]:
    """Compute the probability that a unit of each layer is dead on groups of inputs.

    Args:
        phis: one activation per layer.
        flat: the intervals on which each has no slope (`flat_intervals`).
        inits: one `Init` per layer.
        data: the groups.
        inputs: N.

    Returns:
        P(dead) of each layer; 0 where it cannot die.

    Raises:
        ValueError: an activation is not finite, or N < 1.
    """
    last = max((i for i, intervals in enumerate(flat) if intervals), default=-1)
    dead, state = [0.0] * len(phis), None
    for i in range(last + 1):
        if state is None:
            state = first_state(data, inits[0])
        else:
            state = next_state(phis[i - 1], state, inits[i])
        dead[i] = group_dead_probability(flat[i], state, data, inputs)
    return dead


def _active(phi: Phi, q: float, units: int) -> float:
    powers = expectation(lambda x: phi.f(x) ** np.array([[2], [4]]), q, phi.kinks)
    square, fourth = np.atleast_1d(powers)
    return float(units * square**2 / fourth) if fourth > 0 else 0.0


def phi(spec: str) -> Phi:
    """The activation called `spec` as the mean-field functions take it, for arrays of any shape at one compilation.

    Args:
        spec: a name the catalogue knows, of an elementwise activation.

    Returns:
        φ, φ' and kinks, in float64.

    Raises:
        ValueError: an unknown name, or one that acts along an axis.
    """
    return _phi(catalogue.get(spec))


@cache
def _phi(entry: Activation) -> Phi:
    value, slope = catalogue.as_numpy(entry)
    return Phi(blockwise(value), blockwise(slope), entry.kinks or ())


def flat_intervals(entry: Activation) -> tuple[Interval, ...]:
    """The intervals between kinks on which φ' is exactly 0, where a unit learns nothing: (−inf, 0) for relu.

    Args:
        entry: an elementwise activation.

    Returns:
        The intervals (left, right) in increasing order, neighbours not joined.
    """
    if not entry.can_die:
        return ()
    slope = _phi(entry).df
    edges = [-math.inf, *sorted(entry.kinks or ()), math.inf]
    return tuple(piece for piece in pairwise(edges) if not slope(_inside(*piece)).any())


def _inside(left: float, right: float) -> np.ndarray:
    if math.isinf(left):
        return (right if math.isfinite(right) else 0.0) - np.array(_INSIDE)
    if math.isinf(right):
        return left + np.array(_INSIDE)
    return left + (right - left) * np.linspace(0.1, 0.9, 5)


def dead_probability(
    intervals: tuple[Interval, ...], variance: SupportsFloat, correlation: SupportsFloat, inputs: int
) -> float:
    """Compute the probability that a unit's pre-activations on N inputs all lie in given intervals.

    With the part z√(cq) that the inputs share drawn once per unit, P = ∫Dz P(h ∈ intervals | z)^N. One half-line is
    `meanfield.dead_probability` with a shifted mean; several pieces are integrated here.

    Args:
        intervals: disjoint (left, right), as from `flat_intervals`.
        variance: q, variance of the pre-activations.
        correlation: c of two inputs; slightly negative values, which N inputs can have down to −1/(N − 1), count as 0.
        inputs: N.

    Returns:
        P; at q = 0 it is 1 or 0, as 0 lies in an interval (its ends included) or not.

    Raises:
        ValueError: q is negative, c is no correlation, or N < 1.
    """
    q, c = check_variance("variance", variance), check_correlation("correlation", correlation)
    n = check_count("inputs", inputs)
    if not intervals:
        return 0.0
    if q == 0:
        return float(any(left <= 0 <= right for left, right in intervals))
    c = c if n <= 2 else max(c, 0.0)
    if len(intervals) == 1 and any(map(math.isinf, intervals[0])):
        left, right = intervals[0]
        mean = -right if math.isinf(left) else left
        return 1.0 if mean == -math.inf else dead.dead_probability(c, n, mean, q)
    return _integral(np.array(intervals), math.sqrt(q), max(c, 0.0), n)


def _integral(intervals: Float[np.ndarray, "pieces 2"], scale: float, c: float, n: int) -> float:
    """∫Dz P(h ∈ intervals | z)^n for 0 ≤ c ≤ 1, on panels that shrink towards the edges as the own part does."""
    ends = intervals / scale
    if c in (0, 1):
        return float(np.sum(ndtr(ends[:, 1]) - ndtr(ends[:, 0])) ** (n if c == 0 else 1))
    shared, own = math.sqrt(c), math.sqrt(1 - c)
    crossings = np.unique(ends[np.isfinite(ends)]) / shared
    marks = (crossings[:, None] + _STEPS * own / shared).ravel()
    breaks = np.unique(np.clip(np.concatenate([marks, np.linspace(-_REACH, _REACH, 21)]), -_REACH, _REACH))

    def estimate(level: int, order: int) -> tuple[Value, Value]:
        z, weights = panel_rule(breaks, order, level)
        inside = ndtr((ends[:, 1:] - shared * z) / own) - ndtr((ends[:, :1] - shared * z) / own)
        value = (np.clip(inside.sum(axis=0), 0, 1) ** n * np.exp(-z * z / 2)) @ weights
        return value, value

    return float(converge(estimate, levels=5, what="P(dead)")) / math.sqrt(2 * math.pi)
