"""The catalogue of activations: name → function and the facts about it; a user's own registers in one line.

Importing this package does not load JAX; calling an activation does.
"""

from jaxact.activations.lookup import (
    WRITTEN,
    Activation,
    DerivativeCheck,
    Parameter,
    as_numpy,
    check_derivative,
    derivative,
    get,
    known,
    names,
    register,
)

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
