"""Which layers and activations are found in the traces of foreign networks; nothing is compiled here."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from jaxact.diagnosis.adapters import form_of, traced


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
