"""What `jaxact.watch` sees of a network at one step of its training, and the numbers of many such looks."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from jaxact.diagnosis.batches import examples_of
from jaxact.diagnosis.report import plain
from jaxact.diagnosis.tools import Tools
from jaxact.report.table import tidy_csv


class LayerSnapshot(NamedTuple):
    """One layer at one step; NaN where a number is not defined.

    Attributes:
        name: of the layer, as `jaxact.diagnose` calls it.
        activation: what follows it.
        units: their number.
        dead: the numbers of the dead ones, from 0.
        mean: of all pre-activations over the batch.
        deviation: their standard deviation.
        output_gradient: √E‖∂output/∂h‖² on up to 16 examples, with 8 vectors of random signs each.
        loss_gradient: √E‖∂loss/∂h‖² over the batch; NaN without labels.
        kernel_gradient: ‖∂loss/∂W‖ of the mean loss; NaN without labels.
        broken: share of pre-activations that are NaN or infinite.
        broken_gradient: share of gradients that are so though the pre-activation is finite.
    """

    name: str
    activation: str
    units: int
    dead: tuple[int, ...]
    mean: float
    deviation: float
    output_gradient: float
    loss_gradient: float
    kernel_gradient: float
    broken: float
    broken_gradient: float


class Snapshot(NamedTuple):
    """A network at one step.

    Attributes:
        step: its number.
        layers: in the order in which they are computed.
        loss: mean cross-entropy of the batch in nats; NaN without labels.
        info: the caller's own numbers.
    """

    step: int
    layers: tuple[LayerSnapshot, ...]
    loss: float
    info: dict[str, float]


class SnapshotArrays(NamedTuple):
    """The numbers of many looks; those of `LayerSnapshot` as [looks, layers].

    Attributes:
        layers: names.
        step: of every look.
        loss: of every look.
        dead: number of dead units.
        mean: of the pre-activations.
        deviation: of the pre-activations.
        output_gradient: by pre-activations.
        loss_gradient: by pre-activations.
        kernel_gradient: by kernels.
    """

    layers: tuple[str, ...]
    step: Int[np.ndarray, " looks"]
    loss: Float[np.ndarray, " looks"]
    dead: Int[np.ndarray, "looks layers"]
    mean: Float[np.ndarray, "looks layers"]
    deviation: Float[np.ndarray, "looks layers"]
    output_gradient: Float[np.ndarray, "looks layers"]
    loss_gradient: Float[np.ndarray, "looks layers"]
    kernel_gradient: Float[np.ndarray, "looks layers"]


def snapshot(
    tools: Tools,
    known: Any,
    leaves: list[Array],
    images: Any,
    labels: Array | None,
    step: int,
    info: Mapping[str, float],
) -> Snapshot:
    """Look at a network once.

    Args:
        tools: the network and its compiled measurements.
        known: of `tools.slopes`.
        leaves: of the variables.
        images: the batch.
        labels: its class numbers, or None.
        step: number of the step.
        info: the caller's own numbers.
    """
    gradients = None if labels is None else tools.gradients(leaves, images, labels)
    measured = tools.health(leaves, images, known), tools.flow(leaves, images), tools.sums(leaves, images), gradients
    health, flows, sums, gradients = jax.device_get(measured)
    squares, layers = np.square(np.asarray(flows.norms, np.float64)).mean((0, 1)), []
    for index, layer in enumerate(tools.network.subject.layers):
        mean, deviation = _moments(sums[index], examples_of(images))
        state = health[index].state
        layers.append(
            LayerSnapshot(
                name=layer.name,
                activation=layer.activation,
                units=len(state.dead),
                dead=tuple(np.flatnonzero(state.dead).tolist()),
                mean=mean,
                deviation=deviation,
                output_gradient=float(np.sqrt(squares[index])),
                loss_gradient=np.nan if gradients is None else float(gradients[0].layers[index]),
                kernel_gradient=np.nan if gradients is None else float(gradients[1][index]),
                broken=float(state.broken),
                broken_gradient=float(health[index].broken_gradient),
            )
        )
    return Snapshot(step, tuple(layers), np.nan if gradients is None else float(gradients[0].loss), dict(info))


def arrays(looks: Sequence[Snapshot]) -> SnapshotArrays:
    """The numbers of looks at one network."""

    def by_layer(field: str) -> np.ndarray:
        return np.array([[getattr(layer, field) for layer in look.layers] for look in looks], float)

    numbers = {field: by_layer(field) for field in SnapshotArrays._fields[4:]}
    return SnapshotArrays(
        layers=tuple(layer.name for layer in looks[0].layers) if looks else (),
        step=np.array([look.step for look in looks], int),
        loss=np.array([look.loss for look in looks], float),
        dead=np.array([[len(layer.dead) for layer in look.layers] for look in looks], int),
        **numbers,
    )


def rows(looks: Sequence[Snapshot]) -> list[dict[str, Any]]:
    """A row per look and layer; the caller's own numbers last, None where a look has none."""
    names = dict.fromkeys(name for look in looks for name in look.info)
    found = []
    for look in looks:
        for layer in look.layers:
            numbers = layer._asdict() | {"dead": len(layer.dead), "dead_units": " ".join(map(str, layer.dead))}
            row = {"step": look.step, "layer": numbers.pop("name"), **numbers, "loss": look.loss}
            found.append(plain(row | {name: look.info.get(name) for name in names}))
    return found


def csv(looks: Sequence[Snapshot]) -> str:
    """The rows as text, with a header; empty without a look."""
    found = rows(looks)
    return tidy_csv(found) if found else ""


def scalars(look: Snapshot) -> dict[str, float]:
    """What TensorBoard shows, by tag; `dead_units` is a share of the layer's units."""
    found = {f"info/{name}": value for name, value in look.info.items()}
    if not np.isnan(look.loss):
        found["loss/watched_batch"] = look.loss
    for layer in look.layers:
        numbers = {"dead_units": len(layer.dead) / layer.units}
        names = ["mean", "deviation", "output_gradient"]
        names += ["loss_gradient", "kernel_gradient"] if not np.isnan(look.loss) else []
        numbers |= {name: getattr(layer, name) for name in names}
        found |= {f"{name}/{layer.name}": value for name, value in numbers.items()}
    return found


def _moments(sums: Any, examples: int) -> tuple[float, float]:
    """Mean and standard deviation over features and examples."""
    entries = examples * sums.first.size
    if not np.isfinite(sums.square).all():
        return np.nan, np.nan
    mean = float(sums.first.sum(dtype=np.float64)) / entries
    square = float(sums.square.sum(dtype=np.float64)) / entries
    return mean, float(np.sqrt(max(square - mean**2, 0.0)))
