"""Where signal is lost and where gradients grow: planted faults, healthy networks, and every limit from both sides."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles.signal_networks import (
    CLASSES,
    GELU,
    NETWORKS,
    RELU,
    SIGMOID,
    SILU,
    TANH,
    WIDTH,
    Probe,
    X,
    chain,
    chain_shapes,
    kernels,
    layer_norm,
    report,
)

from jaxact.diagnosis import signals
from jaxact.diagnosis.edges import INPUT, OUTPUT, Edges
from jaxact.diagnosis.signals import signal_findings, signal_notes

FAST = {"layer norm before, relu", "gated, no way around, layer norm", "chain, layer norm"}


def slow_unless(fast, cases):
    return [case if case in fast else pytest.param(case, marks=pytest.mark.slow) for case in cases]


def scaled(weights, factor, name=None):
    return {key: value * factor if name in (None, key) else value for key, value in weights.items()}


@pytest.mark.parametrize("name", slow_unless(FAST, NETWORKS))
def test_the_advice_for_kernels_that_are_too_small_is_never_to_shrink_them(name):
    """21 residual, gated and normalised networks: healthy as they are, then with all kernels or one too small."""
    network, shapes = NETWORKS[name]
    probe, weights = Probe(network, kernels(shapes)), kernels(shapes)
    for rule in ("he", "lecun", "glorot", "torch"):
        assert not probe.findings(kernels(shapes, rule)) and not probe.notes(kernels(shapes, rule)), rule
    for factor in (0.05, 0.01):
        (found,) = probe.findings(scaled(weights, factor))
        assert found.kind == "vanishing" and "enlarge" in found.remedy and "shrink" not in found.remedy
    for kernel in shapes:
        (found,) = probe.findings(scaled(weights, 1e-3, kernel))
        assert (found.kind, found.layer) == ("vanishing", kernel) and "enlarge" in found.remedy
        deviation, he = np.std(1e-3 * np.asarray(weights[kernel], np.float64)), math.sqrt(2 / shapes[kernel][0])
        assert f"kernel standard deviation {deviation:.2g}, He {he:.2g}" in found.text


PHIS = {"relu": RELU, "tanh": TANH, "gelu": GELU, "selu": jax.nn.selu, "silu": SILU}
CHAINS = [(phi, depth) for phi in PHIS for depth in (1, 2, 5, 20)]


@pytest.mark.parametrize("case", slow_unless({("relu", 2), ("tanh", 5), ("gelu", 20)}, CHAINS))
def test_plain_stacks_are_healthy_until_kernels_are_too_small_and_the_layer_is_named(case):
    phi, depth = case
    shapes = chain_shapes(depth)
    probe, weights = Probe(chain(PHIS[phi]), kernels(shapes)), kernels(shapes)
    for rule in ("he", "lecun", "glorot", *(["torch"] if depth <= 5 else [])):
        assert not probe.findings(kernels(shapes, rule)) and not probe.notes(kernels(shapes, rule)), rule
    names = sorted(shapes)
    for kernel in {names[0], names[depth // 2], names[-1]}:
        (found,) = probe.findings(scaled(weights, 1e-3, kernel))
        assert (found.kind, found.layer, found.limit) == ("vanishing", kernel, signals.LOST)
    (found,) = probe.findings(scaled(weights, 0.05))
    assert (found.kind, found.layer, found.limit) == ("vanishing", names[0], signals.SMALL)
    # kernels that the others make up for are no finding, but a note
    assert not probe.findings(scaled(weights, 0.05, names[-1]))
    (note,) = probe.notes(scaled(weights, 0.05, names[-1]))
    assert note.startswith(f"1 of the kernels are small ({names[-1]}: kernel standard deviation")


def test_pytorchs_rule_loses_the_gradient_of_a_deep_stack_layer_by_layer():
    """0.58·√½ per layer of relu: (1/6)^(20/2) = 2e-8, and no layer is to blame more than the others."""
    probe = Probe(chain(RELU), kernels(chain_shapes(20)))
    (found,) = probe.findings(kernels(chain_shapes(20), "torch"))
    assert (found.kind, found.layer) == ("vanishing", "w00") and "0.41 per layer" in found.text
    assert found.number == pytest.approx((1 / 6) ** (19 / 2), rel=1.5)


@pytest.mark.slow
def test_sigmoids_vanish_from_five_layers_on():
    for depth, rules in ((1, ("he", "lecun", "torch")), (2, ("he", "lecun", "torch")), (5, ())):
        probe = Probe(chain(SIGMOID), kernels(chain_shapes(depth)))
        assert not any(probe.findings(kernels(chain_shapes(depth), rule)) for rule in rules)
    (found,) = probe.findings(kernels(chain_shapes(5), "lecun"))
    assert found.kind == "vanishing" and "per layer" in found.text and "(logistic)" in found.text


@pytest.mark.slow
def test_branches_of_a_sum_do_not_feed_one_another():
    def two(factor):
        return lambda weights, x: TANH(x @ weights["a"]) @ weights["b"] + factor * (x @ weights["c"])

    weights = kernels({"a": (20, WIDTH), "b": (WIDTH, CLASSES), "c": (20, CLASSES)})
    for factor in (1.0, 0.01, 1e-6):
        probe = Probe(two(factor), weights)
        assert not probe.findings(weights)
        gains = {layer.name: layer.gain for layer in probe.reports(weights)}
        assert gains["c"] / gains["b"] == pytest.approx(factor, rel=1e-5)
        assert [note.startswith("c get ") for note in probe.notes(weights)] == [True] * (factor < 1e-3)


def test_a_small_layer_scale_is_noted_and_nothing_explodes():
    def convnext(weights, x):
        x = x @ weights["stem"]
        for block in range(3):
            branch = GELU(layer_norm(x) @ weights[f"{block}_in"]) @ weights[f"{block}_out"]
            x = x + weights[f"{block}_scale"][None] * branch
        return layer_norm(x) @ weights["head"]

    shapes = {f"{b}_{part}": pair for b in range(3) for part, pair in (("in", (32, 64)), ("out", (64, 32)))}
    weights = kernels({"stem": (20, 32), **shapes, "head": (32, CLASSES)})
    scales = {f"{block}_scale": jnp.full(32, 1e-6) for block in range(3)}
    probe = Probe(convnext, weights | scales)
    assert not probe.findings(weights | scales)
    (note,) = probe.notes(weights | scales)
    assert note.startswith("0_in, 1_in, 2_in get ") and "layer scale" in note
    (found,) = probe.findings(scaled(weights, 0.05) | scales)
    assert found.kind == "vanishing" and "enlarge" in found.remedy
    # a scale of 0, as of a branch that starts closed, is no loss of the gradient
    assert not probe.findings(weights | {name: 0 * scale for name, scale in scales.items()})


def test_batch_norm_in_evaluation_mode_makes_up_for_a_small_kernel():
    def network(weights, x):
        h = (x @ weights["a"] - weights["mean"][None]) * jax.lax.rsqrt(weights["var"] + 1e-12)[None]
        return RELU(h * weights["scale"][None]) @ weights["b"]

    weights = kernels({"a": (20, WIDTH), "b": (WIDTH, CLASSES)})
    weights["a"] *= 1e-3
    h = np.asarray(X @ weights["a"])
    fitting = {"mean": jnp.asarray(h.mean(0)), "var": jnp.asarray(h.var(0)), "scale": jnp.ones(WIDTH)}
    probe = Probe(network, weights | fitting)
    assert not probe.findings(weights | fitting)
    (found,) = probe.findings(weights | fitting | {"var": jnp.ones(WIDTH)})
    assert (found.kind, found.layer) == ("vanishing", "a")


def test_signal_and_gradient_are_those_of_numpy():
    """Against float64: the spread of h, the size of what is received, the kernel, ‖∂y/∂h‖ from the closed form."""
    weights = kernels({"a": (20, WIDTH), "b": (WIDTH, CLASSES)})
    first, second = Probe(chain(TANH), weights).reports(weights)
    x, a, b = (np.asarray(part, np.float64) for part in (X, weights["a"], weights["b"]))
    h = x @ a
    assert first.spread == pytest.approx(math.sqrt(h.var(0).mean()), rel=1e-5)
    assert first.passed == pytest.approx(first.spread / math.sqrt((x**2).mean()), rel=1e-5)
    assert second.passed == pytest.approx(
        math.sqrt((np.tanh(h) @ b).var(0).mean() / (np.tanh(h) ** 2).mean()), rel=1e-4
    )
    assert first.kernel_deviation == pytest.approx(a.std(), rel=1e-5)
    assert first.kernel_scale == pytest.approx(math.sqrt((a**2).mean() / min(1 / 20, 2 / 52)), rel=1e-5)
    jacobian = (1 - np.tanh(h) ** 2)[:, :, None] * b[None]
    wanted = math.sqrt((jacobian**2).sum() / len(x) / CLASSES)
    assert abs(first.gain - wanted) < 4 * wanted * 0.05 and first.attenuation == pytest.approx(first.gain, rel=1e-6)


def line(**first):
    """Three layers one after the other, and the given numbers for the first."""
    edges = Edges(
        {INPUT: frozenset({0}), **{i: frozenset({i + 1}) for i in range(2)}, 2: frozenset({OUTPUT})},
        frozenset({0, 1, 2}),
    )
    rest = [report("second"), report("last", attenuation=math.nan)]
    return [report("first", **first), *rest], edges


@pytest.mark.parametrize(
    ("limit", "numbers", "inside", "beyond", "kind"),
    [
        (signals.LARGEST_STEP, lambda n: {"attenuation": n}, -1, 1, "exploding"),
        (signals.LARGEST_GAIN, lambda n: {"gain": n}, -1, 1, "exploding"),
        (signals.SMALLEST_STEP, lambda n: {"attenuation": n}, 1, -1, "vanishing"),
        (signals.SMALLEST_GAIN, lambda n: {"gain": n}, 1, -1, "vanishing"),
        (signals.LOST, lambda n: {"kernel_scale": n, "passed": 0.004}, 1, -1, "vanishing"),
        (signals.LOST, lambda n: {"kernel_scale": 0.004, "passed": n}, 1, -1, "vanishing"),
    ],
)
def test_every_limit_from_both_sides(limit, numbers, inside, beyond, kind):
    assert not signal_findings(*line(**numbers(limit * 1.01**inside)))
    (found,) = signal_findings(*line(**numbers(limit * 1.01**beyond)))
    assert (found.kind, found.layer, found.limit) == (kind, "first", limit)
    assert found.number == pytest.approx(limit * 1.01**beyond) or found.number == 0.004


@pytest.mark.parametrize("field", ["kernel_scale", "passed"])
def test_small_kernels_are_judged_by_their_geometric_mean(field):
    def layers(mean):
        both = {"kernel_scale": 0.05, "passed": 0.05}
        parts = [mean / 4, mean * 4]  # two that nothing goes around, and one that something does
        own = [report(str(number), **(both | {field: part})) for number, part in enumerate(parts)]
        return [*own, report("branch", kernel_scale=1e-2)], Edges(
            {0: frozenset({1}), 1: frozenset({OUTPUT}), 2: frozenset({OUTPUT}), INPUT: frozenset({0})},
            frozenset({0, 1}),
        )

    assert not signal_findings(*layers(signals.SMALL * 1.01))
    (found,) = signal_findings(*layers(signals.SMALL / 1.01))
    assert (found.kind, found.layer, found.limit) == ("vanishing", "0", signals.SMALL)


def test_a_loss_over_the_depth_counts_from_a_half_per_layer_or_a_million_in_all():
    def layers(rate, depth):
        last = depth - 1
        nodes = {node: frozenset({node + 1}) for node in range(-1, last)} | {last: frozenset({OUTPUT})}
        steps = [*[rate] * last, math.nan]
        parts = [report(str(i), gain=rate ** (last - i), attenuation=steps[i]) for i in range(depth)]
        return parts, Edges(nodes, frozenset(range(depth)))

    assert signal_findings(*layers(signals.RATE / 1.001, 16)) and not signal_findings(*layers(signals.RATE * 1.001, 16))
    assert not signal_findings(*layers(0.9 * signals.RATE, 9))  # 0.0017
    slowly = signals.NO_GAIN ** (1 / 30)
    assert signal_findings(*layers(slowly / 1.001, 31)) and not signal_findings(*layers(slowly * 1.001, 31))


def test_the_layer_that_loses_more_than_all_others_together_is_named():
    layers, edges = line(gain=5e-4, attenuation=0.2)
    layers[1] = layers[1]._replace(attenuation=2.4e-3, gain=2.5e-3, activation="hard")
    (found,) = signal_findings(layers, edges)
    assert found.layer == "second" and "0.0024 at second (hard)" in found.text
    layers[1] = layers[1]._replace(attenuation=0.03)
    (found,) = signal_findings(layers, edges)
    assert found.layer == "first"


def test_a_step_that_loses_nearly_all_is_that_of_the_small_kernel_behind_it():
    layers, edges = line(attenuation=5e-4)
    layers[1] = layers[1]._replace(kernel_scale=signals.SMALL / 1.01)
    assert [found.layer for found in signal_findings(layers, edges)] == ["second"]
    layers[1] = layers[1]._replace(kernel_scale=signals.SMALL * 1.01)
    assert [found.layer for found in signal_findings(layers, edges)] == ["first"]


def test_kernels_are_to_be_shrunk_only_where_they_are_large():
    def remedy(scale, before=1.4, **numbers):
        layers, edges = line(kernel_scale=before, **numbers)
        layers[1:] = [layer._replace(kernel_scale=scale) for layer in layers[1:]]
        (found,) = signal_findings(layers, edges)
        return found.kind, found.remedy.split(" ")[0]

    assert remedy(signals.LARGE * 1.01, attenuation=99.0) == ("exploding", "shrink")
    assert remedy(signals.LARGE / 1.01, attenuation=99.0) == ("exploding", "look")
    assert remedy(signals.LARGE / 1.01, before=signals.SMALL / 1.01, attenuation=99.0) == ("vanishing", "enlarge")
    assert remedy(signals.LARGE / 1.01, before=signals.SMALL * 1.01, attenuation=99.0) == ("exploding", "look")
    assert remedy(signals.SHRINKABLE * 1.01, gain=2e3) == ("exploding", "shrink")
    assert remedy(signals.SHRINKABLE / 1.01, gain=2e3) == ("exploding", "look")


def test_notes_on_what_is_small_and_may_be_meant_so():
    layers, edges = line(kernel_scale=signals.SMALL * 1.01)
    assert not signal_notes(layers, edges, [])
    layers, edges = line(kernel_scale=signals.SMALL / 1.01, kernel_deviation=0.0123, kernel_he=0.18)
    (note,) = signal_notes(layers, edges, [])
    assert note == "1 of the kernels are small (first: kernel standard deviation 0.012, He 0.18)"
    around = edges._replace(essential=frozenset({0, 2}))
    layers[1] = layers[1]._replace(gain=signals.SMALLEST_GAIN / 1.01)
    assert len(signal_notes(layers, around, [])) == 2 and len(signal_notes(layers, edges, [])) == 1
    layers[1] = layers[1]._replace(gain=signals.SMALLEST_GAIN * 1.01)
    assert len(signal_notes(layers, around, [])) == 1
