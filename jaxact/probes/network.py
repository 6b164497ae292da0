"""Networks as the analyses see them: functions that accept a perturbation of every pre-activation.

A `Network` maps (x, perturbations) to (logits, {layer: pre-activation}), where `perturbations[layer]`, if given, is
added to that layer's pre-activation; the derivative by it is the derivative by the pre-activation.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxact import activations as catalogue
from jaxact.config import closest
from jaxact.models import MLP, Activate, LeNet, TorchBatchNorm, affine_name
from jaxact.probes.chunks import sum_over_chunks

Network = Callable[[Array, Mapping[str, Array]], tuple[Array, dict[str, Array]]]


class Nonlinearity(NamedTuple):
    """The activation of one layer.

    Attributes:
        fn: φ, elementwise.
        steepest: sup |φ'|, as the catalogue states it (for learnable parameters at their start values); one value per
            unit where the layer's halves have activations of their own.
    """

    fn: Callable[[Array], Array]
    steepest: Float[Array, "*units"] | float

    def slope(self, h: Float[Array, "*batch units"]) -> Float[Array, "*batch units"]:
        """φ'(h)."""
        return self.value_and_slope(h)[1]

    def value_and_slope(self, h: Float[Array, "*batch units"]) -> tuple[Array, Array]:
        """φ(h) and φ'(h), in one evaluation."""
        value, pull = jax.vjp(self.fn, h)
        return value, pull(jnp.ones_like(value))[0]


class Affine(NamedTuple):
    """What one layer does before its activation, h = xᵀ·kernel + bias, batch norm folded in.

    The kernel of a convolution is [height, width, inputs, units].
    """

    kernel: Float[Array, "*window inputs units"]
    bias: Float[Array, " units"]


class Layer(NamedTuple):
    """One layer's part of a forward pass over a batch: pre-activation h, φ(h) and φ'(h)."""

    h: Float[Array, "batch *map units"]
    value: Float[Array, "batch *map units"]
    slope: Float[Array, "batch *map units"]


def nonlinearity(spec: str) -> Nonlinearity:
    """The activation that `catalogue.get(spec)` finds.

    Raises:
        ValueError: an unknown name, or an activation that is not elementwise.
    """
    entry = catalogue.get(spec)
    if entry.kind != "elementwise" or entry.lipschitz is None:
        known = ", ".join(catalogue.names("elementwise"))
        raise ValueError(f"activation {spec!r} is not elementwise, a layer needs one of: {known}")
    return Nonlinearity(entry, entry.lipschitz)


def mlp_nonlinearities(
    model: MLP | LeNet, variables: Any, which: Int[Array, " layers *halves"]
) -> dict[str, Nonlinearity]:
    """The activation of every layer of an `MLP` or a `LeNet`, by layer name; which one it is stays data."""
    steepest = jnp.array([nonlinearity(name).steepest for name in model.choices])

    def of_layer(layer: int) -> Nonlinearity:
        learned = variables["params"].get(f"activation{layer}")
        own = {} if learned is None else {"params": learned}
        index = which[layer - 1]

        def fn(h: Array) -> Any:
            return Activate(model.choices).apply(own, h, index)

        return Nonlinearity(fn, per_unit(steepest[index], model.widths[layer - 1]))

    return {f"layer{layer}": of_layer(layer) for layer in range(1, len(model.widths) + 1)}


def per_unit(values: Float[Array, "*halves"], units: int) -> Float[Array, "*units"]:
    """A value of a layer as it is; those of its two halves spread over its units."""
    if not values.ndim:
        return values
    return jnp.concatenate([jnp.full(units // 2, values[0]), jnp.full(units - units // 2, values[1])])


def mlp_network(model: MLP, variables: Any, which: Int[Array, " layers *halves"], *, train: bool = False) -> Network:
    """An `MLP` that accepts perturbations; without any it equals `model.apply`.

    Args:
        model: the architecture.
        variables: `params`, and `batch_stats` if the model has batch norm.
        which: one index into `model.choices` per layer.
        train: batch norm normalises with the statistics of the batch it is given, and derivatives run through them, as
            in training; otherwise with those in `variables`, which are constants. Running averages are never updated,
            and random activations are in test mode.
    """

    def affine(x: Array, layer: int) -> Array:
        return _normalise(variables, layer, _dense(variables, layer, x), layer in model.batch_norm, train)

    return layered(mlp_nonlinearities(model, variables, which), affine)


def layered(
    phis: Mapping[str, Nonlinearity],
    affine: Callable[[Array, int], Array],
    behind: Callable[[Array, int], Array] = lambda x, layer: x,
) -> Network:
    """A network of layers one after another, that accepts perturbations.

    Args:
        phis: the activation of every layer by name, first layer first.
        affine: (what layer number l receives, l from 1) → pre-activation.
        behind: (the activation of layer l, l) → what the next layer receives.
    """

    def network(x: Array, perturbations: Mapping[str, Array]) -> tuple[Array, dict[str, Array]]:
        check_layers(perturbations, phis)
        hidden = {}
        for layer, (name, phi) in enumerate(phis.items(), start=1):
            h = affine(x, layer)
            hidden[name] = h + perturbations[name] if name in perturbations else h
            x = behind(phi.fn(hidden[name]), layer)
        return x, hidden

    return network


def _dense(variables: Any, layer: int, x: Array) -> Array:
    dense = variables["params"][f"dense{layer}"]
    return x @ dense["kernel"] + dense["bias"].reshape((1,) * (x.ndim - 1) + (-1,))


def _normalise(variables: Any, layer: int, z: Array, present: bool, train: bool) -> Array:
    if not present:
        return z
    own = {"params": variables["params"][f"norm{layer}"], "batch_stats": variables["batch_stats"][f"norm{layer}"]}
    return TorchBatchNorm().apply(own, z, train=train, mutable=["batch_stats"])[0]


def mlp_affine(model: MLP | LeNet, variables: Any) -> tuple[Affine, ...]:
    """The affine map of every layer of a network in evaluation mode, batch norm folded in, first layer first.

    With g = γ/√(σ² + ε), batch norm after W x + b is (g W) x + g (b − μ) + β.
    """
    layers = []
    for layer in range(1, len(model.widths) + 1):
        kernel, bias = (variables["params"][affine_name(model, layer)][part] for part in ("kernel", "bias"))
        if layer in model.batch_norm:
            norm, running = variables["params"][f"norm{layer}"], variables["batch_stats"][f"norm{layer}"]
            gain = norm["scale"] * jax.lax.rsqrt(running["var"] + TorchBatchNorm.epsilon)
            kernel, bias = (
                kernel * gain.reshape((1,) * (kernel.ndim - 1) + (-1,)),
                gain * (bias - running["mean"]) + norm["bias"],
            )
        layers.append(Affine(kernel, bias))
    return tuple(layers)


def kernels_of(model: MLP | LeNet, params: Any) -> list[Array]:
    """The kernels of all layers, first layer first."""
    return [params[affine_name(model, layer)]["kernel"] for layer in range(1, len(model.widths) + 1)]


def full_batch_statistics(
    model: MLP,
    variables: Any,
    which: Int[Array, " layers *halves"],
    images: Float[Array, "examples features"],
    *,
    chunk: int = 1000,
) -> Any:
    """The variables with the batch-norm statistics of a whole data set in place of the running averages.

    Evaluation with them equals one training-mode pass over the whole set: every layer gets the exact mean and the
    biased variance of its inputs, given the normalised layers before it. Analyses of a network with batch norm then
    take these statistics as constants: Jacobians of one example leave out its own share, O(1/examples), in them.

    Args:
        model: the architecture; without batch norm the variables come back as they are.
        variables: `params` and `batch_stats`.
        which: one index into `model.choices` per layer.
        images: the whole set.
        chunk: examples at a time.

    Raises:
        ValueError: fewer than 2 examples.
    """
    examples = len(images)
    if model.batch_norm and examples < 2:
        raise ValueError(f"batch norm got {examples} example: it needs at least 2 to estimate a variance")
    for layer in model.batch_norm:
        inputs = _inputs_of(model, variables, which, layer)

        def total(rows: Array, inputs: Any = inputs, layer: int = layer, variables: Any = variables) -> Array:
            return _dense(variables, layer, inputs(rows)).sum(0)

        mean = sum_over_chunks(total, images, chunk) / examples

        def squares(rows: Array, inputs: Any = inputs, layer: int = layer, variables: Any = variables, mean=mean):
            return ((_dense(variables, layer, inputs(rows)) - mean[None, :]) ** 2).sum(0)

        var = sum_over_chunks(squares, images, chunk) / examples
        variables = {
            **variables,
            "batch_stats": {**variables["batch_stats"], f"norm{layer}": {"mean": mean, "var": var}},
        }
    return variables


def _inputs_of(model: MLP, variables: Any, which: Array, layer: int) -> Callable[[Array], Array]:
    """A function from images to what layer number `layer` receives."""
    before = MLP(model.widths[: layer - 1], model.choices, tuple(n for n in model.batch_norm if n < layer))
    network = mlp_network(before, variables, which)
    return lambda images: network(images, {})[0]


def batched(network: Network) -> Network:
    """A network of one example as one of a batch; `jax.vmap` alone would sort its layers by name."""

    def of_batch(x: Any, perturbations: Mapping[str, Array]) -> tuple[Array, dict[str, Array]]:
        names: list[str] = []

        def one(x: Any, shifts: Mapping[str, Array]) -> tuple[Array, list[Array]]:
            logits, hidden = network(x, shifts)
            names[:] = hidden
            return logits, list(hidden.values())

        logits, values = jax.vmap(one)(x, dict(perturbations))
        return logits, dict(zip(names, values, strict=True))

    return of_batch


def wide(x: Array) -> Array:
    """An array in float32 at least: sums, norms and singular values of half precision are taken there."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def layer_shapes(network: Network, x: Any) -> dict[str, jax.ShapeDtypeStruct]:
    """Names, in the network's own order, and shapes of the pre-activations for an input such as `x`; runs nothing.

    JAX sorts dictionary keys ("layer10" before "layer2"): the order of a network that `jax.jit` or `jax.vmap` made is
    lost, that of `batched` is kept.
    """
    names: list[str] = []

    def record(x: Any) -> dict[str, Array]:
        hidden = network(x, {})[1]
        names.extend(hidden)
        return hidden

    shapes = jax.eval_shape(record, x)
    return {name: shapes[name] for name in names}


def no_perturbation(network: Network, x: Any) -> dict[str, Array]:
    """Zeros in the shape of every pre-activation."""
    return {name: jnp.zeros(h.shape, h.dtype) for name, h in layer_shapes(network, x).items()}


def check_layers(names: Iterable[str], known: Iterable[str]) -> None:
    """Raises a ValueError for the first of `names` that is not `known`."""
    known = list(known)
    for name in names:
        if name not in known:
            raise closest(name, known, "layer")
