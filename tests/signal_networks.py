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
            own = {} if kernel is None else {
                "kernel_he": (2 / kernel.fan_in) ** 0.5, "kernel_scale": measured.size[index] / kernel.usual(),
                "passed": measured.spread[index] / measured.received[index],
            }  # fmt: skip
            own = own or {"kernel_he": np.nan, "kernel_scale": np.nan, "passed": np.nan}
            found.append(
                report(
                    layer.name,
                    activation=layer.activation,
                    gain=moved.gain[index],
                    attenuation=moved.step[index],
                    kernel_deviation=float(measured.deviation[index]),
                    spread=float(measured.spread[index]),
                    **own,
                )
            )
        return found

    def findings(self, weights):
        return signal_findings(self.reports(weights), self.edges)

    def notes(self, weights):
        reports = self.reports(weights)
        return signal_notes(reports, self.edges, signal_findings(reports, self.edges))


def chain(phi, norm=None, out=CLASSES):
    """Layers in the order of their names, φ between them."""

    def network(weights, x):
        *hidden, last = sorted(weights)
        for name in hidden:
            h = x @ weights[name]
            x = phi(h if norm is None else norm(h))
        return x @ weights[last]

    return network


def chain_shapes(depth, width=WIDTH, out=CLASSES):
    """Shapes of `depth` hidden layers and an output layer."""
    sizes = [X.shape[1], *[width] * depth, out]
    return {f"w{index:02}": pair for index, pair in enumerate(zip(sizes[:-1], sizes[1:], strict=True))}
