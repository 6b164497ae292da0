"""Probability that units are dead at initialisation, from the correlation of their pre-activations.

A unit is dead on a set of inputs if its pre-activation is ≤ 0 for every one of them. The formula takes all pairs of
inputs as equally correlated; inputs in classes are more alike within a class, which is out of scope here.
"""

import math
from collections.abc import Callable, Iterable
from typing import SupportsFloat

import numpy as np
from jaxtyping import Float
from scipy.special import gammaln, log_ndtr, ndtri, xlog1py, xlogy

from jaxact.theory.checks import (
    check_correlation,
    check_count,
    check_finite,
    check_probability,
    check_variance,
    check_widths,
)
from jaxact.theory.quadrature import Value, converge, panel_rule

_REACH = 10.0


def dead_probability(c: SupportsFloat, inputs: int, mean: SupportsFloat = 0.0, variance: SupportsFloat = 1.0) -> float:
    """Compute the probability that a unit is dead on N inputs of equal correlation.

    P = ∫Dz Φ(−(m/√q + z√c)/√(1−c))^N, with the common part z√(cq) of the pre-activation drawn once per unit. At m = 0
    it is 1/(N+1) for c = ½ and ¼ + asin(c)/2π for N = 2. A random bias belongs to the common part: it raises c and q
    and needs no mean; a fixed bias is the mean m.

    Args:
        c: correlation of a unit's pre-activations on two inputs. Negative values for N ≤ 2 only.
        inputs: N, the number of inputs.
        mean: m, mean of the pre-activation over the initialisation.
        variance: q, variance of the pre-activation over the initialisation, > 0; it matters only with a mean.

    Returns:
        P, with a relative error below 1e-9; 0 where it underflows (use `log_dead_probability`).

    Raises:
        ValueError: c is not in [-1, 1], or negative with N > 2; N < 1; q is not positive; m is not finite.
    """
    return math.exp(log_dead_probability(c, inputs, mean, variance))


def log_dead_probability(
    c: SupportsFloat, inputs: int, mean: SupportsFloat = 0.0, variance: SupportsFloat = 1.0
) -> float:
    """Compute the natural logarithm of `dead_probability`, which takes the same arguments; −inf for probability 0."""
    c, n = check_correlation("c", c), check_count("inputs", inputs)
    shift = check_finite("mean", mean) / math.sqrt(check_variance("variance", variance, positive=True))
    if c == 0 or c == 1 or n == 1:
        return float(log_ndtr(-shift)) * (n if c == 0 else 1)
    if c < 0:
        if n > 2:
            raise ValueError(f"c = {c} < 0 for all pairs of {n} inputs is not supported: use c >= 0 or inputs <= 2")
        probability = _pair_probability(c, shift)
        return math.log(probability) if probability > 0 else -math.inf
    return _log_integral(c, n, shift)


def expected_dead(probability: SupportsFloat, units: int) -> float:
    """Compute the expected number of dead units, `units` · P (exact, whether or not the units are independent)."""
    return check_count("units", units) * check_probability("probability", probability)


def dead_distribution(probability: SupportsFloat, units: int) -> Float[np.ndarray, " counts"]:
    """Compute the distribution of the number of dead units, binomial(units, P).

    It assumes independent units, which holds given the last hidden layer: output units share its features but have
    independent weights. It fails at small width, where the features' correlation itself varies between networks.

    Args:
        probability: P of one unit.
        units: number of output units.

    Returns:
        Probability of 0, 1, …, `units` dead units. The last entry is that of a wholly dead output.

    Raises:
        ValueError: P is not in [0, 1], or there is no unit.
    """
    p, n = check_probability("probability", probability), check_count("units", units)
    k = np.arange(n + 1)
    log_choices = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    return np.exp(log_choices + xlogy(k, p) + xlog1py(n - k, -p))


def all_dead_probability(probability: SupportsFloat, units: int) -> float:
    """Compute the probability P^units that every unit is dead, for independent units (see `dead_distribution`)."""
    return check_probability("probability", probability) ** check_count("units", units)


def dying_relu_probability(widths: Iterable[int]) -> float:
    """Compute the probability that a ReLU network is dead for one input by its last hidden layer.

    1 − Π_l (1 − 2^(−N_l)), for symmetric weights and zero biases: a layer dies if all its N_l units do.

    Args:
        widths: N_l, the widths of the hidden layers.

    Raises:
        ValueError: there is no layer, or a width is below 1.

    Source: Lu, Shin, Su, Karniadakis 2019, "Dying ReLU and initialization" (arXiv:1903.06733).
    """
    return -math.expm1(math.fsum(math.log1p(-(2.0**-width)) for width in check_widths(widths, minimum=1)))


def sigmoid_attenuation_bound(layers: int, weight_bound: SupportsFloat = 1.0) -> float:
    """Compute (|w|/4)^r, the largest derivative through a chain of r logistic sigmoids, since σ' ≤ ¼.

    Args:
        layers: r.
        weight_bound: largest |w| in the chain (for layers, the largest spectral norm).

    Raises:
        ValueError: r < 0, or the bound is negative or not finite.
    """
    return (check_variance("weight_bound", weight_bound) / 4) ** check_count("layers", layers, minimum=0)


def _pair_probability(c: float, shift: float) -> float:
    """P(x1 ≤ −m, x2 ≤ −m) = Φ(−m)² + ∫_0^{asin c} exp(−m²/(1 + sin θ)) dθ/2π."""
    if shift == 0:
        return 0.25 + math.asin(c) / (2 * math.pi)

    def estimate(level: int, order: int) -> tuple[Value, Value]:
        theta, weights = panel_rule(np.linspace(math.asin(c), 0.0, 9), order, level)
        value = np.exp(-(shift**2) / (1 + np.sin(theta))) @ weights
        return value, value

    lost = float(converge(estimate, levels=5, what="P(dead)")) / (2 * math.pi)
    return max(0.0, math.exp(2 * float(log_ndtr(-shift))) - lost)


def _log_integral(c: float, n: int, shift: float) -> float:
    """Logarithm of ∫Dz Φ(t(z))^n, t = −(m + z√c)/√(1−c), around the peak of its log-concave integrand."""
    rate, offset = math.sqrt(c / (1 - c)), shift / math.sqrt(1 - c)

    def log_integrand(z: np.ndarray | float) -> Value:
        return n * log_ndtr(-offset - rate * z) - np.square(z) / 2

    def hazard(z: float) -> float:  # φ(t)/Φ(t)
        t = -offset - rate * z
        return math.exp(-t * t / 2 - math.log(2 * math.pi) / 2 - float(log_ndtr(t)))

    peak = _peak(lambda z: -z - n * rate * hazard(z))
    top, slope = float(log_integrand(peak)), hazard(peak)
    curvature = 1 + n * rate**2 * slope * max(slope - offset - rate * peak, 0.0)
    step = (float(ndtri(-math.expm1(-1 / n))) - offset) / rate  # where Φ(t)^n = 1/e
    spread = np.concatenate([-(2.0 ** np.arange(60))[::-1], [0.0], 2.0 ** np.arange(60)])
    marks = np.concatenate([peak + spread / math.sqrt(curvature), step + spread * 0.1 / rate])
    breaks = np.unique(np.clip(marks, peak - _REACH, peak + _REACH))  # the integrand is below e^−50 of its peak there

    def estimate(level: int, order: int) -> tuple[Value, Value]:
        z, weights = panel_rule(breaks, order, level)
        value = np.exp(log_integrand(z) - top) @ weights
        return value, value

    return top + math.log(float(converge(estimate, levels=5, what="P(dead)")) / math.sqrt(2 * math.pi))


def _peak(slope: Callable[[float], float]) -> float:
    """Zero of a decreasing function that is negative at 0, by bisection."""
    low = -1.0
    while slope(low) < 0:
        low *= 2
    high = 0.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) > 0 else (low, middle)
    return low
