"""The catalogue of activations: name → function and the facts about it; a user's own registers in one line.

Importing this package does not load JAX; calling an activation does.
"""

from jaxact.activations.entry import Activation, Parameter, as_numpy
from jaxact.activations.lookup import WRITTEN, get, known, names, register
from jaxact.activations.measured import DerivativeCheck, check_derivative
from jaxact.activations.pointwise import derivative

__all__ = [
    "Activation",
    "DerivativeCheck",
    "Parameter",
    "WRITTEN",
    "as_numpy",
    "check_derivative",
    "derivative",
    "get",
    "known",
    "names",
    "register",
]
