"""Where signal or gradient is lost, and where the gradient grows, along the edges of the layer graph.

The limits, and why a healthy network at a standard initialisation stays clear of them:

* `LOST` 1/200, of one layer: its kernel's size over the usual one (LeCun's, or Glorot's where that is smaller), and the
  spread of its pre-activations over the size of what it receives. PyTorch's rule gives 0.58; heads of policies start at
  0.01 on purpose. Both must be small: batch norm makes up for a small kernel.
* `SMALL` 1/10, the same two numbers as geometric means over the layers that nothing goes around, if there are at least
  2. N(0, 0.01²) with 363 inputs, AlexNet's first kernel, has 0.19.
* `SMALLEST_STEP` 1/1000, of the gradient's norm by h over that by the layers it feeds, where nothing goes around. The
  average over 56 × 56 positions alone gives 1/56, a sigmoid ¼ or less.
* `SMALLEST_GAIN` 1/1000, from the first such layer to the last, where every layer loses over half on average (`RATE`),
  or 1e-6 (`NO_GAIN`). Five layers of sigmoid reach it: the textbook's vanishing gradient. LeCun's rule with relu loses
  0.71 per layer and comes to 1/1000 after 20 layers, which still learn.
* `LARGEST_GAIN` 1000, and `LARGEST_STEP` 30 from the layers fed to one: initialisations by fan-in give at most √2, a
  pooling of 3 × 3 gives 3. A kernel is to blame for a step if it is over `LARGE` 3 times as large as usual, for growth
  over the depth if it is over `SHRINKABLE` ½. One below `SMALL` before a normalisation is to be enlarged instead.

A gradient of exactly 0 has a cause of its own, dead units or a parameter that is 0, and is not called vanishing.
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np

from jaxact.diagnosis.edges import OUTPUT, Edges, reachable
from jaxact.diagnosis.verdicts import (
    LARGEST_STEP,
    LOST,
    REMEDIES,
    SATURATED_SHARE,
    LayerReport,
    Verdict,
    finding,
    listed,
)

SMALL = 0.1
SMALLEST_STEP, SMALLEST_GAIN, RATE, NO_GAIN = 1e-3, 1e-3, 0.5, 1e-6
LARGEST_GAIN, LARGE, SHRINKABLE = 1e3, 3.0, 0.5


def signal_findings(layers: Sequence[LayerReport], edges: Edges) -> list[Verdict]:
    """What grows and what is lost, growth first; one finding for a layer."""
    growing, lost = growing_gradients(layers, edges), lost_signals(layers, edges)
    if lost:  # growth is then that of a normalisation that makes up for it, unless a kernel is large
        own = REMEDIES["exploding"]
        growing = [verdict for verdict in growing if verdict.remedy == own and verdict.limit == LARGEST_STEP]
    return [*growing, *lost] or lost_gradients(layers, edges)


def lost_signals(layers: Sequence[LayerReport], edges: Edges) -> list[Verdict]:
    """Kernels that are far too small: single ones, or all that nothing goes around."""
    found = []
    for layer in layers:
        if 0 < layer.kernel_scale < LOST and layer.passed < LOST:
            text = f"{layer.name} passes on {layer.passed:.2g} of what it receives: {kernel_words(layer)}"
            found.append(finding("vanishing", layer.name, layer.passed, LOST, text))
    own = [layers[index] for index in sorted(edges.essential) if layers[index].kernel_scale > 0]
    if found or len(own) < 2:
        return found
    scale, passed = (_mean([getattr(layer, field) for layer in own]) for field in ("kernel_scale", "passed"))
    if scale < SMALL and passed < SMALL:
        least = min(own, key=lambda layer: layer.kernel_scale)
        first = next(layer for layer in own if layer.kernel_scale < 2 * least.kernel_scale)
        text = f"the layers {listed([layer.name for layer in own])} pass on {passed:.2g} of what they receive, each on "
        text += f"average: {kernel_words(first)} at {first.name}"
        found.append(finding("vanishing", first.name, passed, SMALL, text))
    return found


def growing_gradients(layers: Sequence[LayerReport], edges: Edges) -> list[Verdict]:
    """The largest growth of the gradient from layers to one that feeds them, or else over the whole depth."""
    saturated = {layer.name for layer in layers if layer.saturates and layer.saturated > SATURATED_SHARE}
    # The kernel that saturates a layer also enlarges the step into it: one finding, not two.
    fed = {
        index: [layers[later] for later in sorted(after) if later != OUTPUT]
        for index, after in edges.successors.items()
        if index >= 0
    }
    steps = [index for index, after in fed.items() if after and not all(layer.name in saturated for layer in after)]
    largest = max(steps, key=lambda index: _or_zero(layers[index].attenuation), default=-1)
    if largest >= 0 and LARGEST_STEP < layers[largest].attenuation < math.inf:
        layer, after = layers[largest], fed[largest]
        text = f"the gradient grows {layer.attenuation:.3g} times on its way back from "
        text += f"{listed([later.name for later in after])} to {layer.name}"
        return _growth(layers, edges, largest, after, layer.attenuation, LARGEST_STEP, text)
    most = max(range(len(layers)), key=lambda index: _or_zero(layers[index].gain))
    if LARGEST_GAIN < layers[most].gain < math.inf:
        text = f"the gradient is {layers[most].gain:.3g} times as large at {layers[most].name} as at the last layer"
        later = [layers[index] for index in reachable(edges.successors, most) - {most} if index >= 0]
        return _growth(layers, edges, most, later, layers[most].gain, LARGEST_GAIN, text)
    return []


def lost_gradients(layers: Sequence[LayerReport], edges: Edges) -> list[Verdict]:
    """Where the gradient is lost at one layer that nothing goes around, or else over the whole depth."""
    own = [layers[index] for index in sorted(edges.essential)]
    if not own:
        return []
    worst = min(own, key=lambda layer: layer.attenuation if layer.attenuation > 0 else math.inf)
    if 0 < worst.attenuation < SMALLEST_STEP:
        text = f"the gradient at {worst.name} ({worst.activation}) is {worst.attenuation:.2g} of that at the layers it "
        after = [layers[later] for later in edges.successors[layers.index(worst)] if layers[later].kernel_scale > 0]
        small = min(after, key=lambda layer: layer.kernel_scale, default=worst)
        if small is worst or small.kernel_scale >= SMALL:
            return [finding("vanishing", worst.name, worst.attenuation, SMALLEST_STEP, text + "feeds")]
        text += f"feeds; {small.name}: {kernel_words(small)}"
        return [finding("vanishing", small.name, worst.attenuation, SMALLEST_STEP, text)]
    first, rate = own[0], own[0].gain ** (1 / max(1, len(own) - 1))
    limit = SMALLEST_GAIN if rate < RATE else NO_GAIN
    if not 0 < first.gain < limit:
        return []
    alone = worst.attenuation**2 < first.gain  # it loses more than all others together
    text = f"the gradient at {first.name} is {first.gain:.2g} of that at the last layer, {rate:.2g} per layer; "
    text += f"the least is {worst.attenuation:.2g} at {worst.name} ({worst.activation})"
    return [finding("vanishing", worst.name if alone else first.name, first.gain, limit, text)]


def signal_notes(layers: Sequence[LayerReport], edges: Edges, verdicts: Sequence[Verdict]) -> list[str]:
    """What is small and may well be meant so: single kernels, and branches that something goes around."""
    notes, lost = list[str](), {verdict.layer for verdict in verdicts if verdict.kind == "vanishing"}
    small = [layer for layer in layers if 0 < layer.kernel_scale < SMALL]
    if small and not lost:
        sizes = "; ".join(f"{layer.name}: {kernel_words(layer)}" for layer in small[:4])
        notes.append(f"{len(small)} of the kernels are small ({sizes})")
    closed = [
        layer
        for index, layer in enumerate(layers)
        if index not in edges.essential and 0 < layer.gain < SMALLEST_GAIN and layer.name not in lost
    ]
    if closed:
        most = max(layer.gain for layer in closed)
        names = listed([layer.name for layer in closed])
        notes.append(
            f"{names} get {most:.2g} of the gradient or less, as behind a small layer scale, and a path goes around"
        )
    return notes


def kernel_words(layer: LayerReport) -> str:
    """Size of a layer's kernel beside He's."""
    return f"kernel standard deviation {layer.kernel_deviation:.2g}, He {layer.kernel_he:.2g}"


def _growth(
    layers: Sequence[LayerReport],
    edges: Edges,
    index: int,
    after: Sequence[LayerReport],
    number: float,
    limit: float,
    text: str,
) -> list[Verdict]:
    """A gradient that grows: because of a large kernel behind, of a small one before a normalisation, or otherwise."""
    large = max(after, key=lambda layer: _or_zero(layer.kernel_scale), default=layers[index])
    words = f"{text}; {large.name}: {kernel_words(large)}"
    if large.kernel_scale > LARGE:
        return [finding("exploding", layers[index].name, number, limit, words)]
    # A branch that something goes around gives little to what is normalised.
    before = edges.upstream(frozenset({index})) & (edges.essential | {index})
    kernels = [layers[node] for node in sorted(before) if layers[node].kernel_scale > 0]
    small = min(kernels, key=lambda layer: layer.kernel_scale, default=layers[index])
    if small.kernel_scale < SMALL:
        text += f", where what is normalised is small; {small.name}: {kernel_words(small)}"
        return [finding("vanishing", small.name, 1 / number, 1 / limit, text)]
    if limit == LARGEST_GAIN and large.kernel_scale > SHRINKABLE:
        return [finding("exploding", layers[index].name, number, limit, words)]
    return [finding("exploding", layers[index].name, number, limit, text, "growth")]


def _mean(numbers: Iterable[float]) -> float:
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.exp(np.mean(np.log(list(numbers)))))


def _or_zero(number: float) -> float:
    return 0.0 if math.isnan(number) else number
