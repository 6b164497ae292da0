"""Whether the derivative that back-propagation uses is that of the function, where a program brings its own.

Derivatives of JAX's functions are right; a `custom_vjp` or `custom_jvp` is as right as its author. What is stated is
compared with fourth-order differences of the function, at points where the function is curved and up to a factor: a
straight-through estimator stands in on purpose for a slope that is 0 or constant, and gradients are reversed, scaled,
clipped or stopped on purpose too. A point counts where differences over two distances agree: not at a kink or a jump,
and nowhere on a quantised function. In half precision the differences are too coarse.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxact.diagnosis.batches import alone, first
from jaxact.diagnosis.graph import Operation, run_all
from jaxact.diagnosis.layers import WITH_OWN_DERIVATIVE, Layer
from jaxact.diagnosis.measure import Subject
from jaxact.diagnosis.units import value_and_slope
from jaxact.diagnosis.verdicts import Verdict, finding

FAR, POINTS, STEP = 4.0, 64, 1 / 16
COTANGENT = 1e-3
"""Between ±4, so that kinks at whole numbers and halves lie between the points."""
COARSE = 1e-5
"""A relative rounding that leaves too little of a difference over `STEP`."""
CURVED, CURVED_SHARE = 1e-2, 0.25
WRONG, WRONG_SHARE, AGREED = 0.05, 0.5, 0.02
"""Relative to the largest slopes: a curvature above `CURVED` at a quarter of the points, and of these half wrong by
more than 5 %, `AGREED` 2 % for the two distances."""


class Compared(NamedTuple):
    """Slopes of one layer's activation on the grid of points.

    Attributes:
        stated: by back-propagation.
        measured: differences over `STEP`.
        farther: the same over twice that distance.
        curvature: second differences.
    """

    stated: Float[Array, " points"]
    measured: Float[Array, " points"]
    farther: Float[Array, " points"]
    curvature: Float[Array, " points"]


def with_own_derivative(subject: Subject) -> tuple[Layer, ...]:
    """The layers whose activation has a derivative that its program states."""
    return tuple(
        layer
        for layer in subject.layers
        if layer.name not in subject.hints and len(layer.ends) == 1 and any(map(_stated, layer.steps)) and _fine(layer)
    )


def compare(subject: Subject, leaves: list[Array], images: Any, layers: tuple[Layer, ...]) -> tuple[Compared, ...]:
    """Stated and measured slopes, one pre-activation at a time, all else as for the first example."""
    x = jax.tree.map(lambda rows: rows[0], first(images, 1))
    values = run_all(subject.graph, leaves, alone(x), {})
    points = jnp.linspace(-FAR, FAR, POINTS)

    def of_layer(layer: Layer) -> Compared:
        def at(point: Array) -> tuple[Array, Array]:
            value, slope = value_and_slope(subject, layer, values, jnp.full_like(values[layer.slot], point), COTANGENT)
            return value.ravel()[0].astype(jnp.float32), slope.ravel()[0].astype(jnp.float32)

        shifted = points[:, None] + STEP * jnp.asarray([-4, -2, -1, 0, 1, 2, 4])[None]
        value, slope = jax.lax.map(at, shifted.ravel())
        low4, low2, low, middle, high, high2, high4 = value.reshape(shifted.shape).T
        measured = (8 * (high - low) - (high2 - low2)) / (12 * STEP)
        farther = (8 * (high2 - low2) - (high4 - low4)) / (24 * STEP)
        return Compared(slope.reshape(shifted.shape)[:, 3], measured, farther, (high - 2 * middle + low) / STEP**2)

    return tuple(of_layer(layer) for layer in layers)


def derivative_checks(layers: tuple[Layer, ...], found: tuple[Compared, ...]) -> list[Verdict]:
    """Layers whose stated derivative is wrong at half of the points where the function is curved."""
    verdicts = []
    for layer, (stated, measured, farther, curvature) in zip(layers, jax.device_get(found), strict=True):
        if not stated.any() or not measured.any():
            continue
        largest = abs(measured).max()
        curved = (abs(curvature) > CURVED * largest) & (abs(measured - farther) < AGREED * largest)
        factor = (stated @ measured) / (measured @ measured)
        error = abs(stated - factor * measured) / abs(stated).max()
        if curved.mean() >= CURVED_SHARE and (error[curved] > WRONG).mean() >= WRONG_SHARE:
            worst = int((error * curved).argmax())
            point = -FAR + 2 * FAR * worst / (POINTS - 1)
            text = f"the backward pass of {layer.activation} at {layer.name} states the slope {stated[worst]:.3g} at "
            text += f"h = {point:.3g}, where the function's own is {measured[worst]:.3g}"
            verdicts.append(finding("wrong derivative", layer.name, float(error[worst]), WRONG, text))
    return verdicts


def _fine(layer: Layer) -> bool:
    forms: list[Any] = [step.equation.outvars[0].aval for step in layer.steps if _stated(step)]
    return all(jnp.finfo(form.dtype).eps < COARSE for form in forms)


def _stated(operation: Operation) -> bool:
    """Whether an operation has a derivative of its own that is not one of JAX's, which are all in forward mode."""
    if operation.kind != "custom_jvp_call":
        return operation.kind in WITH_OWN_DERIVATIVE
    jaxpr = operation.equation.params[WITH_OWN_DERIVATIVE[operation.kind]]
    about = getattr(getattr(jaxpr, "jaxpr", jaxpr), "debug_info", None)
    return "jax/_src" not in str(getattr(about, "func_src_info", "")).replace("\\", "/")
