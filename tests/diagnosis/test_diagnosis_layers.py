"""Which layers and activations are found in the traces of foreign networks; nothing is compiled here."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxact.diagnosis import axes
from jaxact.diagnosis.adapters import form_of, traced
from jaxact.diagnosis.graph import check_deterministic, trace
from jaxact.diagnosis.names import layer_names


def found(body, *shape):
    """(name, activation, kinds of the operations that make it up) of every layer of a compact module."""

    class Foreign(nn.Module):
        @nn.compact
        def __call__(self, x):
            return body(x)

    x = jnp.zeros((3, *shape))
    shapes = jax.eval_shape(Foreign().init, jax.random.key(0), x)
    variables = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    form, _ = form_of(variables, x)
    subject = traced(Foreign().apply, form, {}).subject
    shapes = [subject.graph.shapes[layer.slot] for layer in subject.layers]
    return [(layer.name, layer.activation) for layer in subject.layers], shapes


def norm():
    return nn.BatchNorm(use_running_average=True)


@jax.custom_vjp
def straight(h):
    return jnp.sign(h)


straight.defvjp(lambda h: (jnp.sign(h), None), lambda _, g: (g,))


@pytest.mark.parametrize(
    ("phi", "name"),
    [
        (nn.relu, "relu"),
        (nn.silu, "silu"),
        (nn.tanh, "tanh"),
        (nn.sigmoid, "logistic"),
        (nn.elu, "elu"),
        (nn.softplus, "softplus"),
        (nn.leaky_relu, "leaky_relu"),
        (nn.hard_tanh, "hard_tanh"),
        (nn.softmax, "?"),
        (nn.gelu, "gelu"),
        (lambda h: nn.gelu(h, approximate=False), "gelu"),
        (lambda h: nn.gelu((h - 2).astype(jnp.bfloat16)), "gelu"),
        (lambda h: h**3 + nn.tanh(h), "integer_pow+tanh"),
        (straight, "straight"),
        (lambda h: 3 * h + 1, "linear"),
        (lambda h: jnp.sin(30 * h), "sin"),
    ],
)
def test_activations_are_recognised(phi, name):
    layers, _ = found(lambda x: nn.Dense(2)(phi(nn.Dense(4)(x))), 5)
    assert [activation for _, activation in layers] == [name, "linear"]


def test_bias_batch_norm_and_pooling_before_the_activation_belong_to_the_layer():
    def body(x):
        x = nn.relu(nn.max_pool(norm()(nn.Conv(4, (3, 3))(x)), (2, 2), (2, 2)))
        x = nn.sigmoid(nn.avg_pool(nn.ConvTranspose(6, (2, 2))(x), (2, 2), (2, 2)))
        return nn.Dense(2)(x.reshape(len(x), -1))

    layers, shapes = found(body, 8, 8, 1)
    assert layers == [("Conv_0", "relu"), ("ConvTranspose_0", "logistic"), ("Dense_0", "linear")]
    assert shapes == [(1, 4, 4, 4), (1, 2, 2, 6), (1, 2)]


def test_a_residual_before_the_activation_shifts_it_and_one_after_it_ends_it():
    def body(x):
        x = nn.relu(nn.Dense(4)(x))
        x = nn.relu(x + nn.Dense(4)(nn.tanh(nn.Dense(4)(x))))
        return x + nn.gelu(nn.Dense(4)(x))

    layers, _ = found(body, 4)
    assert [name for name, _ in layers] == ["Dense_0", "Dense_2", "Dense_1", "Dense_3"]
    assert [activation for _, activation in layers][:3] == ["relu", "tanh", "relu"]
    assert layers[3][1] not in ("linear", "?")


def test_a_normalisation_after_a_sum_or_across_units_is_a_layer_of_its_own():
    def body(x):
        x = nn.Dense(4)(x)
        x = x + nn.Dense(4)(nn.relu(norm()(x + 0 * x.sum(1, keepdims=True))))
        return nn.Dense(2)(nn.silu(nn.LayerNorm()(x)) + nn.tanh(nn.RMSNorm()(x)))

    layers, _ = found(body, 5)
    wanted = [("Dense_0", "linear"), ("BatchNorm_0", "relu"), ("Dense_1", "linear")]
    assert layers[:3] == wanted and dict(layers[3:]) == {
        "LayerNorm_0": "silu",
        "RMSNorm_0": "tanh",
        "Dense_2": "linear",
    }


def test_a_learned_slope_is_part_of_the_activation_and_gates_are_not():
    layers, _ = found(lambda x: nn.Dense(2, name="last")(nn.PReLU()(nn.Dense(4)(x))), 5)
    assert [name for name, _ in layers] == ["Dense_0", "last"] and layers[0][1] not in ("linear", "?")
    layers, _ = found(lambda x: nn.Dense(2)(nn.silu(nn.Dense(4, name="gate")(x)) * nn.Dense(4, name="value")(x)), 5)
    assert dict(layers) == {"gate": "silu", "value": "linear", "Dense_0": "linear"}


def test_layers_inside_jit_and_remat_are_seen_and_shared_ones_numbered():
    def body(x):
        dense = nn.Dense(5)
        x = nn.relu(dense(nn.relu(dense(x))))
        return nn.remat(nn.Dense)(2, name="inner")(nn.jit(nn.Dense)(3, name="compiled")(x))

    layers, _ = found(body, 5)
    assert layers == [("Dense_0", "relu"), ("Dense_0#2", "relu"), ("compiled", "linear"), ("inner", "linear")]


def test_names_keep_all_but_the_collection_the_box_and_the_parameters_own_name():
    def names(*paths):
        return layer_names([tuple(path.split("/")) for path in paths])

    plain = names("params/attn/value/kernel", "params/attn/query/kernel", "params/mean/kernel", "params/enc/var/bias")
    assert plain == ["attn/value", "attn/query", "mean", "enc/var"]
    assert names("attn/value", "attn/query", "value", "kernel") == ["attn/value", "attn/query", "value", "kernel"]
    boxed = names("attn/value/kernel/value", "attn/value/bias/value", "w/value", "d/rngs/count/value")
    assert boxed == ["attn/value", "attn/value", "w", "d/rngs/count"]


@pytest.mark.parametrize(
    ("move", "shape", "along"),
    [
        (lambda h: h.transpose(0, 3, 1, 2), (1, 4, 5, 3), (3,)),
        (lambda h: h.reshape(1, -1), (1, 4, 5, 3), (3,)),
        (lambda h: h.reshape(1, 20, 3), (1, 4, 5, 3), (3,)),
        (lambda h: h.reshape(1, 5, 2, 3), (1, 5, 6), (2,)),
        (lambda h: h.reshape(1, 5, 6), (1, 5, 2, 3), (2, 3)),
        (lambda h: h.reshape(1, 8, 4), (1, 8, 2, 2), (1,)),
        (lambda h: h.squeeze(0), (1, 8, 4), (1,)),
        (lambda h: jax.lax.broadcast_in_dim(h, (2, 3, 4), (2,)), (4,), (0,)),
        (lambda h: jax.lax.reduce_window(h, 0, jax.lax.add, (1, 1, 2), (1, 1, 2), "VALID"), (1, 3, 6), (1,)),
    ],
)
def test_axes_of_units_follow_every_move(move, shape, along):
    """Against numbers that name the unit: an axis is one of units where they differ along it."""
    graph = trace(lambda _, x: move(x), [], jax.ShapeDtypeStruct(shape, jnp.float32))
    (operation,) = graph.operations
    after = axes.after(operation, along, shape, graph.shapes[graph.output])
    numbers = np.arange(axes.units(along, shape)).reshape([n if i in along else 1 for i, n in enumerate(shape)])
    moved = np.asarray(move(jnp.asarray(np.broadcast_to(numbers, shape), jnp.float32)))
    assert after == tuple(axis for axis in range(moved.ndim) if np.ptp(moved, axis=axis).any())


def test_group_normalisation_is_one_layer_with_its_activation():
    layers, shapes = found(lambda x: nn.Dense(2)(nn.relu(nn.GroupNorm(2)(nn.Conv(6, (2, 2))(x))).mean((1, 2))), 4, 4, 3)
    assert layers == [("Conv_0", "linear"), ("GroupNorm_0", "relu"), ("Dense_0", "linear")]
    assert shapes[1] == (1, 4, 4, 6)


def graph_of(fn, *weights):
    return trace(lambda leaves, x: fn(x, *leaves), [jnp.ones(shape) for shape in weights], jnp.ones((1, 4)))


def dropped(x, key):
    return jnp.where(jax.random.bernoulli(key, 0.5, x.shape), 2 * x, 0)


@pytest.mark.parametrize(
    "draw",
    [
        lambda x, w: nn.Dropout(0.5, deterministic=False).apply({}, x @ w, rngs={"dropout": jax.random.key(0)}),
        lambda x, w: dropped(x @ w, jax.random.PRNGKey(1)),
        lambda x, w: jax.lax.scan(lambda x, key: (dropped(x, key), None), x @ w, jax.random.split(jax.random.key(0)))[
            0
        ],
        lambda x, w: x @ w + 0.1 * jax.random.normal(jax.random.key(0, impl="rbg"), (1, 4)),
        lambda x, w: x @ w + jax.lax.rng_uniform(0.0, 1.0, (1, 4)),
    ],
)
def test_random_numbers_are_refused(draw):
    with pytest.raises(ValueError, match="draws random numbers .*evaluation mode"):
        check_deterministic(graph_of(draw, (4, 4)))


def test_keys_that_nothing_is_drawn_from_are_not_refused():
    def unused(x, w):
        keys = jax.random.split(jax.random.key(0), 3)
        dropped(x, keys[0])
        return jax.lax.scan(lambda x, key: (jnp.tanh(x), None), x @ w, keys)[0]

    check_deterministic(graph_of(unused, (4, 4)))
