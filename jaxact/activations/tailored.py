"""Names such as `dks(sigmoid)`: an activation inside γ(φ(αx + β) + δ), with constants that meet a target.

`dks(sigmoid)` alone is made for three layers, the output's included, as the study's networks have, and for
pre-activations of variance 1. `dks(sigmoid):layers=8` is for eight layers; `jaxact.tailor` writes the name for a
stack. The constants are found when `jaxact.activations.get` is called; that loads JAX, importing this module does not.
"""

import dataclasses
import math
import re
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from jaxact.activations.entry import Activation, Parameter, resolve
from jaxact.activations.measured import curves

if TYPE_CHECKING:
    import jax

PATTERN = re.compile(r"(\w+)\((.*)\)(:[^()]*)?", re.DOTALL)
FORMS = ("alive", "dks", "tat")
LEAKY = ("leaky_relu", "prelu")

_LAYERS = Parameter("layers", 3.0, 1.0, 1e5)
_VARIANCE = Parameter("variance", 1.0, 1e-6, 1e6)
_SLOPE = Parameter("slope", 1.5, 1.0, 1e6)
_CURVATURE = Parameter("curvature", 0.3, 1e-6, 1e6)
_CORRELATION = Parameter("correlation", 0.9, 0.0, 1.0)
_SHARE = Parameter("share", 1.0, 0.0, 1.0)
_SOURCES = {
    "alive": "jaxact: the mean taken off, so that inputs share less",
    "dks": "Martens et al. 2021, Rapid training of deep neural networks without skip connections or normalization "
    "layers using deep kernel shaping",
    "tat": "Zhang, Botev & Martens 2022, Deep learning without shortcuts: shaping the kernel with tailored rectifiers",
}


@dataclasses.dataclass(frozen=True)
class _Transformed:
    """γ(φ(αx + β) + δ), as the target of an entry."""

    inner: Activation

    def __call__(
        self,
        x: "jax.Array",
        input_scale: float,
        input_shift: float,
        output_shift: float,
        output_scale: float,
        **learned: Any,
    ) -> "jax.Array":
        own = {p.name: p.value for p in self.inner.parameters} | learned
        return output_scale * (self.inner.fn(input_scale * x + input_shift, **own) + output_shift)


def options(form: str, entry: Activation) -> tuple[Parameter, ...]:
    """The options that a name takes after the colon, at their defaults.

    Args:
        form: One of `FORMS`.
        entry: The activation inside.
    """
    if form == "alive":
        return _SHARE, _VARIANCE
    if form == "dks":
        return _LAYERS, _SLOPE, _VARIANCE
    return _LAYERS, _CORRELATION if entry.name in LEAKY else _CURVATURE, _VARIANCE


def build(form: str, entry: Activation, values: Mapping[str, float]) -> Activation:
    """The entry of a transformed activation.

    Args:
        form: One of `FORMS`.
        entry: The activation inside, its facts complete.
        values: Options that differ from their defaults.

    Returns:
        The entry; its parameters are α, β, δ and γ, and what the activation inside learns.

    Raises:
        ValueError: An option is out of range, or the activation cannot meet the target.
    """
    known = tuple(dataclasses.replace(p, value=values.get(p.name, p.value)) for p in options(form, entry))
    defaults = options(form, entry)
    changed = [
        f"{p.name}={repr(p.value).removesuffix('.0')}"
        for p, default in zip(known, defaults, strict=True)
        if p != default
    ]
    chosen = {p.name: p.value for p in known}
    if chosen.get("layers", 1.0) % 1:
        raise ValueError(f"layers={chosen['layers']:g} must be a whole number: round it")
    _check(form, entry)
    inner, constants = _solve(form, entry, tuple(chosen.items()))
    name = f"{form}({entry.spec})"
    return _entry(f"{form}({entry.name})", form, inner, constants, name + ":" * bool(changed) + ",".join(changed))


def _check(form: str, entry: Activation) -> None:
    if entry.kind != "elementwise":
        raise ValueError(f"{entry.name} acts along an axis: a transformed activation must be elementwise")
    if entry.stochastic:
        raise ValueError(f"{entry.name} is random in training, where no fixed constants hold: use prelu or leaky_relu")
    if form != "alive" and entry.name == "identity":
        raise ValueError("identity is linear, and so it stays whatever is around it: use alive, or another activation")
    if form == "tat" and entry.name == "relu":
        raise ValueError("relu has no slope on the left that could be tailored: use leaky_relu or prelu")
    if form != "alive" and entry.name in LEAKY and entry.spec != entry.name:
        raise ValueError(f"{form} finds the slope of {entry.name} itself: leave it out")


@cache
def _solve(form: str, entry: Activation, chosen: tuple[tuple[str, float], ...]) -> tuple[Activation, Any]:
    """The activation inside, with its slope on the left found where it has one, and the constants around it."""
    return resolve("jaxact.theory.constants:find")(form, entry, dict(chosen))


def _entry(name: str, form: str, inner: Activation, constants: Any, spec: str) -> Activation:
    alpha, beta, delta, gamma = constants
    lowest, highest = inner.range or (-math.inf, math.inf)
    mirrored = {"left": "right", "right": "left"} if alpha < 0 else {}
    saturates = inner.saturates or "no"
    _, slope, _ = curves(inner)([beta])
    learned = tuple(p for p in inner.parameters if p.learnable)
    around = tuple(Parameter(n, float(v), -math.inf, math.inf) for n, v in constants._asdict().items())
    return Activation(
        name,
        _Transformed(inner),
        formula=f"{gamma:.5g} (f({alpha:.5g} x {beta:+.5g}) {delta:+.5g}), f(x) = {inner.formula}",
        latex=rf"{gamma:.5g} \left(\varphi({alpha:.5g} x {beta:+.5g}) {delta:+.5g}\right)",
        range=(gamma * (lowest + delta), gamma * (highest + delta)),
        source=_SOURCES[form],
        parameters=around + learned,
        derivative_at_zero=gamma * alpha * float(slope[0]),
        lipschitz=None if inner.lipschitz is None else gamma * abs(alpha) * inner.lipschitz,
        kinks=tuple(sorted((kink - beta) / alpha for kink in inner.kinks or ())),
        can_die=inner.can_die,
        saturates=mirrored.get(saturates, saturates),  # pyright: ignore[reportArgumentType]
        notes="For pre-activations whose variance is that of the name (1 if it has none): weights as lecun_normal's.",
        spec=spec,
    )
