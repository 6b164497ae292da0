"""Mean-field prediction for a whole stack of layers with different activations.

Layer l computes h^l = W^l x^(l−1) + b^l and x^l = φ_l(h^l); x^0 is the input.
"""

from collections.abc import Sequence
from typing import NamedTuple, SupportsFloat

import numpy as np
from jaxtyping import Float

from jaxact.theory.checks import check_correlation, check_variance, check_widths
from jaxact.theory.initialisers import Init
from jaxact.theory.maps import Moments, PairMoments, moments, pair_moments
from jaxact.theory.quadrature import Phi


class InputStatistics(NamedTuple):
    """Second moments of a data set as the first layer sees them.

    Attributes:
        q: mean of ‖x‖²/d.
        c: mean over pairs of different inputs of x_a·x_b/(d q), so that q·c is the mean covariance.
    """

    q: float
    c: float


class StackPrediction(NamedTuple):
    """Predictions per layer, in the order of the layers.

    Attributes:
        q: variance of the pre-activations h^l over the initialisation.
        c: correlation of the pre-activations of two inputs.
        mean: E[x^l], mean activation.
        square: E[(x^l)²].
        chi: χ^l = σ_w² E[φ_l'(h^l)²] with the layer's own weights.
        chi_pair: the same for two inputs of correlation c: σ_w² E[φ'(h_1) φ'(h_2)].
        chi_product: χ^1 ⋯ χ^l = E‖∂x^l/∂x^0‖_F²/n_l.
        jacobian: E‖∂x^l/∂x^(l−1)‖_F² = n_l χ^l.
        apjn: J^{L,l} = E‖∂h^L/∂h^l‖_F²/n_L at [L, l], index 0 for the first layer; 0 for L < l (Doshi et al. 2023).
    """

    q: Float[np.ndarray, " layers"]
    c: Float[np.ndarray, " layers"]
    mean: Float[np.ndarray, " layers"]
    square: Float[np.ndarray, " layers"]
    chi: Float[np.ndarray, " layers"]
    chi_pair: Float[np.ndarray, " layers"]
    chi_product: Float[np.ndarray, " layers"]
    jacobian: Float[np.ndarray, " layers"]
    apjn: Float[np.ndarray, "layers layers"]


def input_statistics(x: np.ndarray) -> InputStatistics:
    """Compute q⁰ and c⁰ of a data set.

    Args:
        x: inputs [n, d] as the network receives them, n ≥ 2.

    Raises:
        ValueError: wrong shape, non-finite values, or all inputs zero.
    """
    x = np.asarray(x)
    if x.ndim != 2 or x.shape[0] < 2 or x.shape[1] < 1:
        raise ValueError(f"x has shape {x.shape}, not [n >= 2, d >= 1]: flatten each input, x.reshape(len(x), -1)")
    n, d = x.shape
    total = float(np.einsum("nd,nd->", x, x, dtype=np.float64))
    if not (np.isfinite(total) and total > 0):
        raise ValueError(f"the sum of squares of x is {total}: it must be finite and > 0; look for NaN or empty inputs")
    # Σ_{a≠b} x_a·x_b = ‖Σ x_a‖² − Σ ‖x_a‖², without the n × n Gram matrix.
    pairs = float(np.sum(np.sum(x, axis=0, dtype=np.float64) ** 2)) - total
    return InputStatistics(total / (n * d), min(1.0, pairs / ((n - 1) * total)))


def predict_stack(
    phis: Sequence[Phi],
    widths: Sequence[int],
    inits: Sequence[Init],
    q0: SupportsFloat,
    c0: SupportsFloat,
) -> StackPrediction:
    """Predict the state of a fully connected stack at initialisation.

    The widths enter through the initialisers and `jacobian`; fluctuations of order 1/width are neglected, and the
    inputs are taken as equally long.

    Args:
        phis: one activation per layer, the output layer included.
        widths: inputs, then units per layer: one more than `phis`.
        inits: one `Init` per layer (`stack_inits`).
        q0: mean of ‖x‖²/d of the inputs (`input_statistics`).
        c0: correlation of two inputs.

    Raises:
        ValueError: lengths do not match, or a variance or correlation is out of range.
    """
    shape = check_widths(widths, minimum=2)
    if not len(phis) == len(inits) == len(shape) - 1:
        raise ValueError(
            f"{len(phis)} activations, {len(inits)} inits and {len(shape)} widths do not match: "
            "give one activation and one init per layer, and one width more for the input"
        )
    square = check_variance("q0", q0)
    product = square * check_correlation("c0", c0)
    state: list[tuple[float, float, Moments, PairMoments]] = []
    for phi, (weight_variance, bias_variance) in zip(phis, inits, strict=True):
        weight_variance = check_variance("weight_variance", weight_variance)
        bias_variance = check_variance("bias_variance", bias_variance)
        q = weight_variance * square + bias_variance
        # Where q = 0 both pre-activations are the same constant.
        c = float(np.clip((weight_variance * product + bias_variance) / q, -1, 1)) if q > 0 else 1.0
        state.append((q, c, moments(phi, q), pair_moments(phi, q, c)))
        square, product = state[-1][2].square, state[-1][3].product
    return _summarise(state, np.array([init.weight_variance for init in inits], float), np.array(shape[1:], float))


def _summarise(
    state: list[tuple[float, float, Moments, PairMoments]],
    weight_variance: Float[np.ndarray, " layers"],
    units: Float[np.ndarray, " layers"],
) -> StackPrediction:
    slope_square = np.array([single.slope_square for _, _, single, _ in state])
    chi = weight_variance * slope_square
    return StackPrediction(
        q=np.array([q for q, _, _, _ in state]),
        c=np.array([c for _, c, _, _ in state]),
        mean=np.array([single.mean for _, _, single, _ in state]),
        square=np.array([single.square for _, _, single, _ in state]),
        chi=chi,
        chi_pair=weight_variance * np.array([pair.slope_product for _, _, _, pair in state]),
        chi_product=np.cumprod(chi),
        jacobian=units * chi,
        apjn=_apjn(weight_variance[1:] * slope_square[:-1]),
    )


def _apjn(growth: Float[np.ndarray, " steps"]) -> Float[np.ndarray, "layers layers"]:
    """Products of `growth` from layer l to layer L, where growth[l] = σ_w²(l + 1) E[φ_l'²] leads from l to l + 1."""
    layers = growth.size + 1
    apjn = np.zeros((layers, layers))
    for first in range(layers):
        apjn[first:, first] = np.cumprod(np.concatenate([[1.0], growth[first:]]))
    return apjn
