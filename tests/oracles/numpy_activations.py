"""Float64 NumPy activations with their derivatives, written independently of the catalogue."""

import numpy as np
from scipy.special import erf, expit

from jaxact.theory import Phi

SELU_SCALE, SELU_ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717


def leaky(slope):
    return Phi(lambda x: np.where(x > 0, x, slope * x), lambda x: np.where(x > 0, 1.0, slope), (0.0,))


def elu(alpha=1.0, scale=1.0):
    return Phi(
        lambda x: scale * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))),
        lambda x: scale * np.where(x > 0, 1.0, alpha * np.exp(np.minimum(x, 0))),
        (0.0,),
    )


def softplus(x):
    return np.logaddexp(0, x)


def mish_slope(x):
    t = np.tanh(softplus(x))
    return t + x * (1 - t * t) * expit(x)


def normal_cdf(x):
    return (1 + erf(x / np.sqrt(2))) / 2


PHIS = {
    "sigmoid": Phi(expit, lambda x: expit(x) * expit(-x)),
    "tanh": Phi(np.tanh, lambda x: 1 / np.cosh(np.clip(x, -300, 300)) ** 2),
    "relu": leaky(0.0),
    "leaky": leaky(0.01),
    "prelu": leaky(0.25),
    "elu": elu(),
    "selu": elu(SELU_ALPHA, SELU_SCALE),
    "silu": Phi(lambda x: x * expit(x), lambda x: expit(x) * (1 + x * expit(-x))),
    "gelu": Phi(lambda x: x * normal_cdf(x), lambda x: normal_cdf(x) + x * np.exp(-x * x / 2) / np.sqrt(2 * np.pi)),
    "softplus": Phi(softplus, expit),
    "mish": Phi(lambda x: x * np.tanh(softplus(x)), mish_slope),
    "softsign": Phi(lambda x: x / (1 + np.abs(x)), lambda x: 1 / (1 + np.abs(x)) ** 2),
    "erf": Phi(erf, lambda x: 2 / np.sqrt(np.pi) * np.exp(-x * x)),
    "hard_sigmoid": Phi(lambda x: np.clip(x / 6 + 0.5, 0, 1), lambda x: (np.abs(x) < 3) / 6, (-3.0, 3.0)),
    "identity": Phi(lambda x: x, np.ones_like),
}
