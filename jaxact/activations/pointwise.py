"""Functions of one number: their derivatives, their values in float64, their Gaussian means.

JAX is loaded on the first call, not on import.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import jax

NumpyFunction = Callable[[Any], np.ndarray]
BLOCK = 4096
"""Points per evaluation: one compilation per activation instead of one per number of points."""


def derivative(activation: "Callable[..., jax.Array]") -> "Callable[..., jax.Array]":
    """The elementwise derivative φ' by reverse-mode differentiation.

    Args:
        activation: An elementwise function `φ(x, *rest)`, such as an `Activation`; `rest` (theta, key) is held fixed.

    Returns:
        A function with the same arguments that returns φ'(x), in the shape and dtype of x.
    """

    def dphi(x, *rest, **named):
        import jax

        value, pull = jax.vjp(lambda point: activation(point, *rest, **named), jax.numpy.asarray(x))
        return pull(jax.numpy.ones_like(value))[0]

    return dphi


def in_float64(fn: Callable[..., Any]) -> NumpyFunction:
    """A JAX function as a NumPy one in float64, whatever the global precision; compiled once per shape."""
    import jax

    compiled = jax.jit(fn)

    def call(x):
        # Evaluated at once even while a caller is being traced, so that facts can be looked up inside jit.
        with jax.ensure_compile_time_eval(), jax.enable_x64(True):
            return np.asarray(compiled(np.asarray(x, np.float64)))

    return call


def blockwise(fn: NumpyFunction) -> NumpyFunction:
    """The same elementwise function, called with `BLOCK` points at a time whatever the shape of its argument.

    Args:
        fn: From points [BLOCK] to values [..., BLOCK].

    Returns:
        A function from points of any shape to values [..., *shape].
    """

    def evaluate(x: Any) -> np.ndarray:
        points = np.asarray(x, np.float64)
        blocks = np.resize(points, (max(1, -(-points.size // BLOCK)), BLOCK))
        values = np.concatenate([fn(block) for block in blocks], axis=-1)[..., : points.size]
        return values.reshape((*values.shape[:-1], *points.shape))

    return evaluate


def gaussian_mean(fn: NumpyFunction, kinks: tuple[float, ...] = ()) -> float:
    """E[f(Z)] for Z ~ N(0, 1) by Gauss–Legendre panels split at the kinks and refined towards 0.

    Args:
        fn: Vectorised f, smooth between the kinks on scales of 1e-3 and more around 0.
        kinks: Points where f or a derivative jumps.

    Returns:
        The mean; the cut at |z| = 13 costs less than 1e-35 for a bounded f.
    """
    near = 2.0 ** np.arange(-10, 1)
    edges = np.concatenate([-near, [0.0], near, np.arange(-13.0, 14.0), [k for k in kinks if abs(k) < 13]])
    edges = np.unique(edges)
    nodes, weights = np.polynomial.legendre.leggauss(24)
    half, centre = np.diff(edges) / 2, (edges[1:] + edges[:-1]) / 2
    z = centre[:, None] + half[:, None] * nodes
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    return float(np.sum(half[:, None] * weights * density * fn(z)))
