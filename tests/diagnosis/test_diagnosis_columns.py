"""Every column of diagnose's table against `jax.grad` by an added shift and plain loops."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles.columns_networks import CASES, CLASSES, EXAMPLES

import jaxact

LABELS = jnp.arange(EXAMPLES) % CLASSES


class Record:
    """The `layer` of a network: adds the shifts it is given, and keeps what it saw in the order of computation."""

    def __init__(self, shifts=None):
        self.shifts, self.h, self.about = shifts or {}, {}, {}

    def __call__(self, name, h, phi, steepest, axes=(-1,)):
        self.about[name] = phi, steepest, axes
        self.h[name] = h + self.shifts[name] if name in self.shifts else h
        return phi(self.h[name])


def cross_entropies(logits):
    logits = logits.astype(jnp.float32)
    return jax.nn.logsumexp(logits, axis=1) - logits[jnp.arange(EXAMPLES), LABELS]


def derivatives(case):
    """h, φ(h), φ'(h), ∂(sum of losses)/∂h, ∂(mean loss)/∂parameters and ∂output/∂h, of all layers and examples."""
    about = {}

    @jax.jit
    def everything(params, x):
        record = Record()
        logits = case.forward(params, x, record)
        about.update(record.about)
        zeros = {name: jnp.zeros_like(h) for name, h in record.h.items()}
        values = {name: record.about[name][0](h) for name, h in record.h.items()}
        slopes = {
            name: jax.grad(lambda h, phi=record.about[name][0]: phi(h).astype(jnp.float32).sum())(h)
            for name, h in record.h.items()
        }

        def of_loss(shifts, params):
            return cross_entropies(case.forward(params, x, Record(shifts))).sum()

        by_h, by_params = jax.grad(of_loss, argnums=(0, 1))(zeros, params)

        def of_output(output):
            return jax.grad(lambda shifts: case.forward(params, x, Record(shifts))[:, output].sum())(zeros)

        outer = [of_output(output) for output in range(CLASSES)]
        return record.h, values, slopes, by_h, by_params, outer, cross_entropies(logits).mean()

    # One forward pass outside of jit gives the order: dictionaries that leave a jitted function are sorted.
    order = Record()
    case.forward(case.params, case.x, order)
    return list(order.h), about, everything(case.params, case.x)


def squared(array):
    return float((np.asarray(array, np.float64) ** 2).sum())


def shares(h, value, slope, steepest, axes):
    """The columns of one layer by plain loops over units and cases."""
    h, value, slope = (
        np.moveaxis(np.asarray(part, np.float64), axes, range(-len(axes), 0)) for part in (h, value, slope)
    )
    units = math.prod(h.shape[-len(axes) :])
    h, value, slope = (part.reshape(-1, units) for part in (h, value, slope))
    counts = dict.fromkeys(("negative", "sparsity", "saturated", "dead", "nearly_dead", "broken"), 0)
    for unit in range(units):
        active = 0
        for case in range(len(h)):
            counts["negative"] += h[case, unit] < 0
            counts["sparsity"] += value[case, unit] == 0
            counts["broken"] += not math.isfinite(h[case, unit])
            counts["saturated"] += abs(slope[case, unit]) < 0.05 * (steepest or 1)
            active += abs(slope[case, unit]) >= 0.001 * (steepest or 1)
        counts["dead"] += active == 0
        counts["nearly_dead"] += 0 < active <= 0.01 * len(h)
    found = {field: count / (units if "dead" in field else len(h) * units) for field, count in counts.items()}
    return found | {"units": units} | ({"saturated": math.nan} if steepest is None else {})


FAST = ("shuffled_names", "channels_first", "mixed_types")


@pytest.mark.parametrize("name", [pytest.param(name, marks=[] if name in FAST else pytest.mark.slow) for name in CASES])
def test_every_column_is_that_of_plain_loops_and_of_gradients_by_a_shift(name):
    case = CASES[name]()
    order, about, (h, values, slopes, by_h, by_params, outer, loss) = derivatives(case)
    found = jaxact.diagnose(lambda params, x: case.forward(params, x, Record()), case.params, case.x, LABELS)
    assert [layer.name for layer in found.layers] == order
    np.testing.assert_allclose(found.loss, loss, rtol=1e-5)
    totals = {layer: sum(squared(output[layer][:16]) for output in outer) for layer in order}
    gains = [math.sqrt(totals[layer] / totals[order[-1]]) for layer in order]
    for index, layer in enumerate(found.layers):
        _, steepest, axes = about[layer.name]
        wanted = shares(h[layer.name], values[layer.name], slopes[layer.name], steepest, axes)
        for field, number in wanted.items():
            np.testing.assert_allclose(getattr(layer, field), number, rtol=1e-6, err_msg=f"{layer.name} {field}")
        gradient = math.sqrt(squared(by_h[layer.name]) / EXAMPLES)
        np.testing.assert_allclose(layer.gradient, gradient, rtol=case.rtol, err_msg=layer.name)
        kernel = by_params
        for part in case.kernels[layer.name]:
            kernel = kernel[part]
        wanted = math.sqrt(squared(kernel)) / EXAMPLES
        np.testing.assert_allclose(layer.kernel_gradient, wanted, rtol=case.rtol, err_msg=layer.name)
        assert abs(layer.gain - gains[index]) < 4 * layer.gain_error + case.rtol * gains[index], layer.name
        if index < len(order) - 1:
            fed = [found.layer(name).gain for name in case.fed.get(layer.name, (order[index + 1],))]
            np.testing.assert_allclose(layer.attenuation, layer.gain / math.hypot(*fed), rtol=1e-5)
    assert all(found.layer(layer).dead == pytest.approx(share) for layer, share in case.dead.items())
    assert math.isnan(found.layers[-1].attenuation) and all(layer.broken_gradient == 0 for layer in found.layers)
