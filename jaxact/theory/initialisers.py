"""Variances of real initialisers at finite fan-in and fan-out."""

from collections.abc import Sequence
from typing import NamedTuple

from jaxact.theory.checks import check_count, check_widths


class Init(NamedTuple):
    """Variances of a layer's initial parameters.

    Attributes:
        weight_variance: σ_w² = fan_in · Var(w).
        bias_variance: σ_b² = Var(b).
    """

    weight_variance: float
    bias_variance: float


def initialiser(name: str, fan_in: int, fan_out: int) -> Init:
    """Return σ_w² and σ_b² of a named initialiser for one layer.

    torch_default is PyTorch's Linear (weights and biases uniform on ±1/√fan_in): σ_w² = 1/3, σ_b² = 1/(3 fan_in). The
    others have zero biases: lecun_normal 1; he_normal 2; glorot_uniform 2 fan_in/(fan_in + fan_out); orthogonal
    min(1, fan_in/fan_out), the shorter side of the kernel being orthonormal. The orthogonal one has these variances
    but a narrower spectrum than independent weights.

    Args:
        name: one of `jaxact.config.INITIALIZERS`.
        fan_in: inputs of the layer.
        fan_out: units of the layer.

    Raises:
        ValueError: an unknown name, or a width below 1.
    """
    n_in, n_out = check_count("fan_in", fan_in), check_count("fan_out", fan_out)
    known = {
        "torch_default": Init(1 / 3, 1 / (3 * n_in)),
        "lecun_normal": Init(1.0, 0.0),
        "he_normal": Init(2.0, 0.0),
        "glorot_uniform": Init(2 * n_in / (n_in + n_out), 0.0),
        "orthogonal": Init(min(1.0, n_in / n_out), 0.0),
    }
    if name not in known:
        raise ValueError(f"initialiser {name!r} is unknown: choose one of {', '.join(known)}, or build an Init")
    return known[name]


def stack_inits(name: str, widths: Sequence[int]) -> tuple[Init, ...]:
    """Return one `Init` per layer of a stack.

    Args:
        name: one of `jaxact.config.INITIALIZERS`.
        widths: inputs, then units per layer: L + 1 numbers for L layers.

    Raises:
        ValueError: an unknown name, fewer than two widths, or a width below 1.
    """
    checked = check_widths(widths, minimum=2)
    return tuple(initialiser(name, n_in, n_out) for n_in, n_out in zip(checked[:-1], checked[1:], strict=True))
