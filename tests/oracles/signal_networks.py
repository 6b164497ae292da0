"""Small networks as plain functions, and the findings of `diagnosis.signals` on them with everything else healthy."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxact.diagnosis.adapters import form_of, traced
from jaxact.diagnosis.edges import find_edges, find_kernels
from jaxact.diagnosis.flow import flow, transport
from jaxact.diagnosis.signals import signal_findings, signal_notes
from jaxact.diagnosis.verdicts import LayerReport

WIDTH, CLASSES = 32, 5
X = jnp.asarray(np.random.default_rng(1).normal(size=(16, 20)), jnp.float32)


def report(name, **numbers):
    """A layer in which nothing is wrong, but for the given numbers."""
    usual = {
        "activation": "relu", "units": WIDTH, "negative": 0.5, "saturated": 0.0, "sparsity": 0.5, "broken": 0.0,
        "dead": 0.0, "nearly_dead": 0.0, "gain": 1.0, "gain_error": 0.0, "attenuation": 0.7, "gradient": 1.0,
        "kernel_gradient": 1.0, "saturates": False, "kernel_deviation": 0.25, "kernel_he": 0.25, "kernel_scale": 1.4,
        "passed": 1.0, "spread": 1.0,
    }  # fmt: skip
    return LayerReport(name=name, **(usual | numbers))


def kernels(shapes, rule="he", seed=0):
    """Named kernels, drawn by NumPy with the usual standard deviation of a rule."""
    rng, drawn = np.random.default_rng(seed), {}
    for name, (fan_in, fan_out) in shapes.items():
        if rule == "torch":
            values = rng.uniform(-1, 1, (fan_in, fan_out)) / fan_in**0.5
        else:
            scale = {"he": 2 / fan_in, "lecun": 1 / fan_in, "glorot": 2 / (fan_in + fan_out)}[rule]
            values = rng.normal(size=(fan_in, fan_out)) * scale**0.5
        drawn[name] = jnp.asarray(values, jnp.float32)
    return drawn


class Probe:
    """A network whose signals are measured again for other weights without compiling again."""

    def __init__(self, network, weights, x=X):
        form, _ = form_of(weights, x)
        subject = traced(network, form, {}).subject
        self.x, self.layers = x, subject.layers
        self.edges, self.kernels = find_edges(subject.graph, self.layers), find_kernels(subject.graph, self.layers)
        self.flow = jax.jit(partial(flow, subject, kernels=self.kernels))

    def reports(self, weights):
        measured = jax.device_get(self.flow(jax.tree.leaves(weights), self.x))
        moved, found = transport(measured.norms, self.edges), []
        for index, (layer, kernel) in enumerate(zip(self.layers, self.kernels, strict=True)):
            he = np.nan if kernel is None else (2 / kernel.fan_in) ** 0.5
            usual = np.nan if kernel is None else kernel.usual()
            found.append(
                report(
                    layer.name,
                    activation=layer.activation,
                    gain=moved.gain[index],
                    attenuation=moved.step[index],
                    kernel_deviation=float(measured.deviation[index]),
                    spread=float(measured.spread[index]),
                    kernel_he=he,
                    kernel_scale=float(measured.size[index]) / usual,
                    passed=float(measured.spread[index]) / float(measured.received[index]),
                )
            )
        return found

    def findings(self, weights):
        return signal_findings(self.reports(weights), self.edges)

    def notes(self, weights):
        reports = self.reports(weights)
        return signal_notes(reports, self.edges, signal_findings(reports, self.edges))


def layer_norm(h):
    return (h - h.mean(-1, keepdims=True)) * jax.lax.rsqrt(h.var(-1, keepdims=True) + 1e-6)


def rms_norm(h):
    return h * jax.lax.rsqrt((h * h).mean(-1, keepdims=True) + 1e-6)


def same(h):
    return h


def chain(phi, before=same, after=same):
    """Layers in the order of their names: φ between them, and normalisations before and after it."""

    def network(weights, x):
        *hidden, last = sorted(weights)
        for name in hidden:
            x = after(phi(before(x @ weights[name])))
        return x @ weights[last]

    return network


def chain_shapes(depth, width=WIDTH):
    """Shapes of `depth` hidden layers and an output layer."""
    sizes = [X.shape[1], *[width] * depth, CLASSES]
    return {f"w{index:02}": pair for index, pair in enumerate(zip(sizes[:-1], sizes[1:], strict=True))}


def residual(phi, before=same, after=same, final=same, blocks=3):
    """Blocks x + W φ(W before(x)) between a stem and a head."""

    def network(weights, x):
        x = x @ weights["stem"]
        for block in range(blocks):
            x = after(x + phi(before(x) @ weights[f"{block}_in"]) @ weights[f"{block}_out"])
        return final(x) @ weights["head"]

    inner = {f"{block}_{part}": (WIDTH, WIDTH) for block in range(blocks) for part in ("in", "out")}
    return network, {"stem": (X.shape[1], WIDTH), **inner, "head": (WIDTH, CLASSES)}


def gated(phi, before=same, skip=True, blocks=2):
    """Blocks of φ(gate)·value, with or without a path around them."""

    def network(weights, x):
        x = x @ weights["stem"]
        for block in range(blocks):
            y = before(x)
            y = (phi(y @ weights[f"{block}_gate"]) * (y @ weights[f"{block}_value"])) @ weights[f"{block}_out"]
            x = x + y if skip else y
        return before(x) @ weights["head"]

    inner = {f"{block}_{part}": (WIDTH, WIDTH) for block in range(blocks) for part in ("gate", "value", "out")}
    return network, {"stem": (X.shape[1], WIDTH), **inner, "head": (WIDTH, CLASSES)}


RELU, GELU, SILU, SIGMOID, TANH = jax.nn.relu, jax.nn.gelu, jax.nn.silu, jax.nn.sigmoid, jnp.tanh
NETWORKS = {
    "residual relu": residual(RELU),
    "residual tanh": residual(TANH),
    "residual gelu": residual(GELU, blocks=5),
    "layer norm before, relu": residual(RELU, before=layer_norm, final=layer_norm),
    "layer norm before, gelu": residual(GELU, before=layer_norm),
    "layer norm before, tanh": residual(TANH, before=layer_norm, final=layer_norm, blocks=5),
    "layer norm after, relu": residual(RELU, after=layer_norm),
    "layer norm after, tanh": residual(TANH, after=layer_norm),
    "RMS norm before, silu": residual(SILU, before=rms_norm, final=rms_norm),
    "RMS norm after, gelu": residual(GELU, after=rms_norm),
    "gated": gated(SIGMOID),
    "gated silu": gated(SILU),
    "gated, layer norm": gated(SILU, before=layer_norm),
    "gated, RMS norm": gated(SIGMOID, before=rms_norm),
    "gated, no way around": gated(SIGMOID, skip=False),
    "gated, no way around, layer norm": gated(SILU, before=layer_norm, skip=False),
    "chain, layer norm": (chain(RELU, before=layer_norm), chain_shapes(4)),
    "chain, RMS norm": (chain(TANH, before=rms_norm), chain_shapes(4)),
    "chain, layer norm after": (chain(RELU, after=layer_norm), chain_shapes(4)),
    "chain, layer norm, gelu": (chain(GELU, before=layer_norm), chain_shapes(8)),
    "chain, RMS norm after": (chain(SILU, after=rms_norm), chain_shapes(3)),
}
"""Residual, gated and normalised networks, (network, shapes of its kernels)."""
