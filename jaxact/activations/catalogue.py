"""The table of activations by family; `jaxact.activations` is the way in."""

from collections.abc import Callable

from jaxact.activations import rectified, sigmoidal, smooth, vector
from jaxact.activations.entry import Activation

ENTRIES: dict[str, Callable[..., Activation]] = sigmoidal.ENTRIES | rectified.ENTRIES | smooth.ENTRIES | vector.ENTRIES
"""Standard name → function of the entry's parameters that returns the entry."""

SYNONYMS = {
    "linear": "identity",
    "logistic": "sigmoid",
    "hard_swish": "hard_silu",
    "hardtanh": "hard_tanh",
    "hardsigmoid": "hard_sigmoid",
    "hardswish": "hard_silu",
    "soft_sign": "softsign",
    "logsigmoid": "log_sigmoid",
    "sin": "sine",
    "lrelu": "leaky_relu",
    "centered_sigmoid": "centred_sigmoid",
    "ramp": "relu",
    "thresholded_relu": "threshold",
}
"""Other libraries' names, for the hint in an error message only: one activation has one name in the records."""
