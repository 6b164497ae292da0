"""The layer graph of a trace, and the kernels in it."""

import math

import jax
import jax.numpy as jnp
import pytest

from jaxact.diagnosis.adapters import form_of, traced
from jaxact.diagnosis.edges import INPUT, OUTPUT, find_edges, find_kernels


def found(network, shapes, x=(3, 6)):
    """Successors by name, the layers that nothing goes around, the sinks, and the kernels of a function's trace."""
    weights = {name: jnp.zeros(shape) for name, shape in shapes.items()}
    form, _ = form_of(weights, jnp.zeros(x))
    subject = traced(network, form, {}).subject
    names = {INPUT: "x", OUTPUT: "y"} | {index: layer.name for index, layer in enumerate(subject.layers)}
    edges = find_edges(subject.graph, subject.layers)
    after = {names[node]: "".join(sorted(names[later] for later in nodes)) for node, nodes in edges.successors.items()}
    essential, sinks = ("".join(sorted(names[node] for node in nodes)) for nodes in (edges.essential, edges.sinks()))
    upstream = {
        names[node]: "".join(sorted(names[n] for n in edges.upstream(frozenset({node})))) for node in names if node >= 0
    }
    kernels = dict(
        zip([names[i] for i in range(len(subject.layers))], find_kernels(subject.graph, subject.layers), strict=True)
    )
    return after, essential, sinks, upstream, kernels


SQUARE = {name: (6, 6) for name in "abcd"}


def test_a_chain():
    after, essential, sinks, upstream, _ = found(lambda w, x: jnp.tanh(jnp.tanh(x @ w["a"]) @ w["b"]) @ w["c"], SQUARE)
    assert after == {"x": "a", "a": "b", "b": "c", "c": "y"} and (essential, sinks) == ("abc", "c")
    assert upstream == {"a": "a", "b": "ab", "c": "abc"}


def test_branches_of_a_sum():
    after, essential, sinks, _, _ = found(lambda w, x: jnp.tanh(x @ w["a"]) @ w["b"] + x @ w["c"], SQUARE)
    assert after == {"x": "ac", "a": "b", "b": "y", "c": "y"} and (essential, sinks) == ("", "bc")


def test_residual_sums_are_gone_through():
    def network(w, x):
        x = x @ w["a"]
        x = x + jnp.tanh(x @ w["b"]) @ w["c"]
        return jnp.tanh(x) @ w["d"]

    after, essential, sinks, upstream, _ = found(network, SQUARE)
    assert after == {"x": "a", "a": "bd", "b": "c", "c": "d", "d": "y"} and (essential, sinks) == ("ad", "d")
    assert upstream["c"] == "abc" and upstream["b"] == "ab"


def test_gates_feed_what_takes_their_product():
    def network(w, x):
        return (jax.nn.sigmoid(x @ w["a"]) * (x @ w["b"])) @ w["c"]

    after, essential, _, _, _ = found(network, SQUARE)
    assert after == {"x": "ab", "a": "c", "b": "c", "c": "y"} and essential == "c"


def test_a_normalisation_with_parameters_is_a_node_and_one_without_is_passed():
    def network(w, x):
        h = x @ w["a"]
        h = (h - h.mean(-1, keepdims=True)) * (jax.lax.rsqrt(h.var(-1, keepdims=True) + 1e-6) * w["n"]["scale"][None])
        h = jnp.tanh(h + w["n"]["bias"][None]) @ w["b"]
        return jnp.tanh(h - h.mean(-1, keepdims=True)) @ w["c"]

    weights = {name: jnp.zeros((6, 6)) for name in "abc"} | {"n": {"scale": jnp.ones(6), "bias": jnp.ones(6)}}
    form, _ = form_of(weights, jnp.zeros((3, 6)))
    subject = traced(network, form, {}).subject
    assert [layer.name for layer in subject.layers] == ["a", "n", "b", "c"]
    edges = find_edges(subject.graph, subject.layers)
    assert edges.successors == {INPUT: {0}, 0: {1}, 1: {2}, 2: {3}, 3: {OUTPUT}}
    assert [kernel is None for kernel in find_kernels(subject.graph, subject.layers)] == [False, True, False, False]


@pytest.mark.parametrize(
    ("network", "shapes", "x", "fan_in", "fan_out"),
    [
        (lambda w, x: x @ w["a"], {"a": (6, 4)}, (3, 6), 6, 4),
        (lambda w, x: x @ w["a"].T, {"a": (4, 6)}, (3, 6), 6, 4),
        (lambda w, x: jnp.einsum("bi,ihk->bhk", x, w["a"]), {"a": (6, 2, 5)}, (3, 6), 6, 10),
        (lambda w, x: jnp.einsum("bhk,hko->bo", x, w["a"]), {"a": (2, 5, 4)}, (3, 2, 5), 10, 4),
        (
            lambda w, x: jax.lax.conv_general_dilated(
                x, w["a"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
            ),
            {"a": (3, 3, 2, 5)},
            (3, 8, 8, 2),
            18,
            5,
        ),
        (
            lambda w, x: jax.lax.conv_general_dilated(x, w["a"], (1, 1), "SAME"),
            {"a": (5, 2, 3, 3)},
            (3, 2, 8, 8),
            18,
            5,
        ),
        (
            lambda w, x: jax.lax.conv_general_dilated(
                x, w["a"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=4
            ),
            {"a": (3, 3, 1, 4)},
            (3, 8, 8, 4),
            9,
            4,
        ),
    ],
)
def test_fan_in_is_what_one_unit_receives(network, shapes, x, fan_in, fan_out):
    *_, kernels = found(network, shapes, x)
    assert (kernels["a"].fan_in, kernels["a"].fan_out) == (fan_in, fan_out)
    assert kernels["a"].usual() == pytest.approx(math.sqrt(min(1 / fan_in, 2 / (fan_in + fan_out))))
