"""A configuration whose activations are transformed to γ(φ(αx + β) + δ), so that the stack meets a target.

    config = Config(activations=("sigmoid", "sigmoid", "relu"), init="lecun_normal")
    jaxact.tailor(config).config.name       dks(sigmoid)-dks(sigmoid)-relu

Targets: `dks` (the slope of the correlation map), `tat` (its curvature, or what leaky ReLU leaves of orthogonal inputs)
and `alive` (the probability that an output is dead). The new names work wherever names do.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq

from jaxact import activations as catalogue
from jaxact.activations import Activation
from jaxact.activations.tailored import FORMS, LEAKY
from jaxact.config import Config, closest
from jaxact.data.specs import spec
from jaxact.theory import prediction
from jaxact.theory.checks import check_variance
from jaxact.theory.constants import centre
from jaxact.theory.groups import InputGroups
from jaxact.theory.initialisers import Init, stack_inits
from jaxact.theory.maps import moments
from jaxact.theory.quadrature import Phi
from jaxact.theory.stack import InputStatistics, predict_stack
from jaxact.theory.transformed import Constants

DEFAULTS = {"dks": 1.5, "tat": 0.3, "alive": 0.01}
"""Largest slope ζ, curvature τ and P(an output is dead), the first two as Martens and Zhang et al. choose them."""
ETA = 0.9
"""TAT's correlation η of orthogonal inputs behind a stack of leaky ReLU (Zhang et al.)."""
STEPS = 100
"""The share of the mean that `alive` takes off is a multiple of 1/STEPS."""


class Tailoring(NamedTuple):
    """A configuration that meets a target.

    Attributes:
        config: the configuration with the new names.
        constants: α, β, δ and γ of each layer; None for a layer as it was.
    """

    config: Config
    constants: tuple[Constants | None, ...]


def tailor(
    config: Config,
    target: str = "dks",
    *,
    value: float | None = None,
    layers: Sequence[int] | None = None,
    data: InputGroups | InputStatistics | None = None,
    inputs: int | None = None,
) -> Tailoring:
    """Transform the activations of a stack so that it meets a target.

    `dks`: the correlation map of every run of layers has a slope of at most `value` at 1. Each of the L layers, the
    output's included, takes value^(1/L); a layer left as it is takes its own slope where that is larger. `tat`: the
    slope is 1 and the curvature at most `value`; a stack of leaky ReLU gets the slope on the left with which
    orthogonal inputs end at correlation `value`. `alive`: the hidden layers lose the smallest share of their mean, one
    for all, with which P(an output is dead) is below `value`. A configuration that is alive already comes back as it
    is.

    Args:
        config: the configuration. Its initialiser and widths give the variance of every layer's pre-activations.
        target: `dks`, `tat` or `alive`.
        value: ζ > 1 (1.5), τ > 0 (0.3; η = 0.9 for leaky ReLU) or a probability (0.01).
        layers: numbers of the layers to transform, from 1; all hidden layers by default.
        data: q⁰ and c⁰ or the groups of the inputs; those of the data set if they are known (`prediction.STATISTICS`).
        inputs: for `alive`: number of inputs that a dead output is dead on; those of the data set by default.

    Returns:
        The configuration and the constants.

    Raises:
        ValueError: an unknown target, a value or a layer out of range, a network that is no plain dense stack, an
            activation that is not elementwise or cannot be transformed, or a target that the stack cannot reach.
    """
    if target not in FORMS:
        raise closest(str(target), FORMS, "target")
    _check_stack(config)
    chosen = _chosen(config, layers)
    _check_plain(config, chosen)
    data = _data(config, data)
    inits = stack_inits(config.init, (spec(config.dataset).features, *config.widths))
    entries = [catalogue.get(name) for name in config.activations]
    if target == "alive":
        count = spec(config.dataset).train_size if inputs is None else inputs
        limit = DEFAULTS["alive"] if value is None else value
        options = _alive(entries, chosen, inits, data, count, limit)
        if options is None:
            return Tailoring(config, (None,) * len(entries))
    elif target == "dks":
        options = _dks(entries, chosen, inits, data, DEFAULTS["dks"] if value is None else value)
    else:
        options = _tat(entries, chosen, value)
    return _named(config, target, entries, chosen, options, _variances(entries, chosen, inits, data))


def _check_stack(config: Config) -> None:
    if config.architecture != "mlp" or config.batch_norm or config.paired:
        raise ValueError(
            f"{config.name} is no plain dense stack, for which alone there is a target: "
            "leave out batch norm, halves and other architectures"
        )


def _chosen(config: Config, layers: Sequence[int] | None) -> list[int]:
    """Indices of the layers to transform."""
    count = len(config.activations)
    if layers is None:
        if count == 1:
            raise ValueError(f"{config.name} has no hidden layer to transform: give layers=[1] for the output itself")
        return list(range(count - 1))
    if not len(layers) or len(set(layers)) < len(layers) or not set(layers) <= set(range(1, count + 1)):
        raise ValueError(f"layers = {list(layers)} must name layers from 1 to {count}, each once")
    return sorted(number - 1 for number in layers)


def _check_plain(config: Config, chosen: Sequence[int]) -> None:
    for i in chosen:
        if "(" in config.activations[i]:
            raise ValueError(f"layer {i + 1}, {config.activations[i]}, is transformed already: leave it out of layers")


def _data(config: Config, data: InputGroups | InputStatistics | None) -> InputGroups | InputStatistics:
    if data is not None:
        return data
    if config.dataset not in prediction.STATISTICS:
        known = ", ".join(prediction.STATISTICS)
        raise ValueError(f"the inputs of {config.dataset} are not known here ({known} are): give data=input_groups(x)")
    return prediction.STATISTICS[config.dataset]


def _variances(
    entries: Sequence[Activation], chosen: Sequence[int], inits: Sequence[Init], data: InputGroups | InputStatistics
) -> list[float]:
    """Variance of the pre-activations of each layer, to four digits; a transformed layer hands on a square of 1."""
    square, variances = check_variance("q0", data.q, positive=True), []
    for i, (entry, init) in enumerate(zip(entries, inits, strict=True)):
        q = float(f"{init.weight_variance * square + init.bias_variance:.4g}")
        variances.append(q)
        square = 1.0 if i in chosen else moments(prediction.phi(entry.spec), q).square
    return variances


def _dks(
    entries: Sequence[Activation],
    chosen: Sequence[int],
    inits: Sequence[Init],
    data: InputGroups | InputStatistics,
    zeta: float,
) -> list[dict[str, float]]:
    """Options of the transformed layers, for a maximal slope function Π max(ξ, slope of a layer as it is) = ζ."""
    kept = []
    for i, (entry, q) in enumerate(zip(entries, _variances(entries, chosen, inits, data), strict=True)):
        if i not in chosen:
            own = moments(prediction.phi(entry.spec), q)
            kept.append(q * own.slope_square / own.square)
    if not zeta > 1:
        raise ValueError(f"value = {zeta:g} must be above 1 for dks: only a linear stack has a slope of 1")

    def slope(xi: float) -> float:
        return xi ** len(chosen) * float(np.prod([max(xi, own) for own in kept]))

    if slope(1.0) >= zeta:
        raise ValueError(
            f"the layers left as they are have a slope of {slope(1.0):.4g} already, the target is {zeta:g}: "
            "raise value, or transform them too"
        )
    xi = zeta ** (1 / len(entries))
    if kept and max(kept) > xi:
        xi = float(brentq(lambda x: slope(x) - zeta, 1.0, zeta))  # pyright: ignore[reportArgumentType]
        zeta = float(f"{xi ** len(entries):.6g}")
    return [{"layers": float(len(entries)), "slope": zeta}] * len(chosen)


def _tat(entries: Sequence[Activation], chosen: Sequence[int], value: float | None) -> list[dict[str, float]]:
    hidden = range(len(entries) - 1)
    if not set(hidden) <= set(chosen):
        raise ValueError("tat needs every hidden layer, as a slope of 1 holds for all or for none: leave layers out")
    leaky = [entries[i].name for i in chosen if entries[i].name in LEAKY]
    if 0 < len(leaky) < len(chosen):
        raise ValueError(f"tat cannot mix {leaky[0]} with smooth activations, it aims at another quantity: use dks")
    option = "correlation" if leaky else "curvature"
    if value is None:
        value = ETA if leaky else DEFAULTS["tat"]
    return [{"layers": float(len(entries)), option: value}] * len(chosen)


def _alive(
    entries: Sequence[Activation],
    chosen: Sequence[int],
    inits: Sequence[Init],
    data: InputGroups | InputStatistics,
    inputs: int,
    limit: float,
) -> list[dict[str, float]] | None:
    """Options with the smallest share of the mean for which P(output dead) is below the limit; None if it is so now."""
    if not 0 < limit < 1:
        raise ValueError(f"value = {limit:g} must be a probability above 0 and below 1 for alive: 0.01")
    phis = [prediction.phi(entry.spec) for entry in entries]
    flat = [prediction.flat_intervals(entry) for entry in entries]
    variances = _variances(entries, chosen, inits, data)

    def dead(step: int) -> float:
        shifted = [
            _shifted(phi, q, step / STEPS) if i in chosen else phi
            for i, (phi, q) in enumerate(zip(phis, variances, strict=True))
        ]
        return _output_dead(shifted, flat, inits, data, inputs)

    if _output_dead(phis, flat, inits, data, inputs) < limit:
        return None
    if (least := dead(STEPS)) >= limit:
        raise ValueError(
            f"an output is dead with probability {least:.3g} even behind centred layers, the target is {limit:g}: "
            "raise value, name more layers, or take an output that cannot die"
        )
    low, high = -1, STEPS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if dead(middle) < limit else (middle, high)
    return [{"share": high / STEPS}] * len(chosen)


def _shifted(phi: Phi, q: float, share: float) -> Phi:
    _, _, delta, gamma = centre(phi.f, phi.kinks, q, share)
    return Phi(lambda x: gamma * (phi.f(x) + delta), lambda x: gamma * phi.df(x), phi.kinks)


def _output_dead(
    phis: Sequence[Phi],
    flat: Sequence[tuple[prediction.Interval, ...]],
    inits: Sequence[Init],
    data: InputGroups | InputStatistics,
    inputs: int,
) -> float:
    """P(an output is dead), as `prediction.predict` has it."""
    if not flat[-1]:
        return 0.0
    if isinstance(data, InputGroups):
        only_outputs = [()] * (len(flat) - 1) + [flat[-1]]
        return prediction.dead_on_groups(phis, only_outputs, inits, data, inputs)[-1]
    stack = predict_stack(phis, [1] * (len(phis) + 1), inits, data.q, data.c)
    return prediction.dead_probability(flat[-1], stack.q[-1], stack.c[-1], inputs)


def _named(
    config: Config,
    target: str,
    entries: Sequence[Activation],
    chosen: Sequence[int],
    options: Sequence[dict[str, float]],
    variances: Sequence[float],
) -> Tailoring:
    names, constants = list(config.activations), list[Constants | None]([None] * len(entries))
    for i, option in zip(chosen, options, strict=True):
        text = ",".join(f"{name}={value!r}" for name, value in (option | {"variance": variances[i]}).items())
        entry = catalogue.get(f"{target}({entries[i].spec}):{text}")
        names[i] = entry.spec
        values = {p.name: p.value for p in entry.parameters}
        constants[i] = Constants(*(values[field] for field in Constants._fields))
    return Tailoring(replace(config, activations=tuple(names)), tuple(constants))
