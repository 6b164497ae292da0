"""Small networks written by hand that take a shift of every pre-activation, for `test_diagnosis_columns`.

A network calls `layer(name, h, phi, steepest, axes)` for every pre-activation, which returns φ(h + its shift).
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

EXAMPLES, CLASSES = 40, 3


class Case(NamedTuple):
    """A network, (parameters, batch, layer) → logits.

    `dead` are the shares of dead units that it was built with, `fed` the layers that a layer feeds where they are not
    just the next one.
    """

    forward: Callable[..., Any]
    params: Any
    x: Any
    kernels: dict[str, tuple[str, ...]]
    rtol: float = 1e-4
    dead: dict[str, float] = {}
    fed: dict[str, tuple[str, ...]] = {}


def normal(seed, *shape, scale=None, dtype=jnp.float32):
    scale = 1 / math.sqrt(math.prod(shape[:-1])) if scale is None else scale
    return jnp.asarray(scale * np.random.default_rng(seed).normal(size=shape), dtype)


def dense(seed, inputs, units, dtype=jnp.float32):
    return {
        "kernel": normal(seed, inputs, units, dtype=dtype),
        "bias": normal(seed + 50, units, scale=0.3, dtype=dtype),
    }


def apply_dense(params, x):
    return x @ params["kernel"] + params["bias"].reshape((1,) * (x.ndim - 1) + (-1,))


def linear(h):
    return h


def shuffled_names():
    def forward(p, x, layer):
        x = layer("z_first", x @ p["z_first"], jnp.tanh, 1)
        x = layer("m_second", x @ p["m_second"], jax.nn.relu, 1)
        return layer("a_last", x @ p["a_last"], linear, None)

    params = {"z_first": normal(1, 5, 7), "m_second": normal(2, 7, 6), "a_last": normal(3, 6, CLASSES)}
    return Case(forward, params, normal(0, EXAMPLES, 5, scale=1), {name: (name,) for name in params})


def eleven_dense():
    def forward(p, x, layer):
        for index in range(11):
            x = layer(f"Dense_{index}", apply_dense(p[f"Dense_{index}"], x), jnp.tanh, 1)
        return layer("Dense_11", apply_dense(p["Dense_11"], x), linear, None)

    params = {f"Dense_{index}": dense(index, 4, CLASSES if index == 11 else 4) for index in range(12)}
    return Case(forward, params, normal(0, EXAMPLES, 4, scale=1), {name: (name, "kernel") for name in params})


def normalise(h, axes, epsilon=1e-6):
    mean = h.mean(axes, keepdims=True)
    return (h - mean) * jax.lax.rsqrt(((h - mean) ** 2).mean(axes, keepdims=True) + epsilon)


def dense_and_layer_norm():
    def forward(p, x, layer):
        for index in range(2):
            x = layer(f"Dense_{index}", apply_dense(p[f"Dense_{index}"], x), linear, None)
            scale, bias = (p[f"LayerNorm_{index}"][part][None] for part in ("scale", "bias"))
            x = layer(f"LayerNorm_{index}", normalise(x, -1) * scale + bias, jax.nn.silu, 1.09984)
        return layer("Dense_2", apply_dense(p["Dense_2"], x), linear, None)

    params = {f"Dense_{index}": dense(index, 6, CLASSES if index == 2 else 6) for index in range(3)}
    norms = {
        f"LayerNorm_{index}": {"scale": normal(index, 6, scale=1), "bias": normal(index + 9, 6, scale=1)}
        for index in range(2)
    }
    kernels = {name: (name, "kernel") for name in params} | {name: (name, "scale") for name in norms}
    return Case(forward, params | norms, normal(0, EXAMPLES, 6, scale=1), kernels)


def convolution(x, kernel, layout):
    return jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=layout)


def channels_last():
    def forward(p, x, layer):
        h = convolution(x, p["stem"]["kernel"], ("NHWC", "HWIO", "NHWC")) + p["stem"]["bias"][None, None, None]
        x = layer("stem", h, jax.nn.relu, 1)
        x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
        return layer("head", apply_dense(p["head"], x.reshape(len(x), -1)), linear, None)

    stem = {"kernel": normal(1, 3, 3, 2, 5), "bias": jnp.array([-9.0, 0.2, -9, 0, -0.6])}
    params = {"stem": stem, "head": dense(2, 20, CLASSES)}
    kernels = {name: (name, "kernel") for name in params}
    return Case(forward, params, normal(0, EXAMPLES, 4, 4, 2, scale=1), kernels, dead={"stem": 2 / 5})


def channels_first():
    """7 of 8 channels are dead, which no column of the image's width shows."""

    def forward(p, x, layer):
        h = convolution(x, p["stem"]["kernel"], ("NCHW", "OIHW", "NCHW")) + p["stem"]["bias"][None, :, None, None]
        x = layer("stem", h, jax.nn.relu, 1, (1,))
        scale, bias = (p["alter"][part][None, :, None, None] for part in ("scale", "bias"))
        x = layer("alter", normalise(x, (1, 2, 3)) * scale + bias, jax.nn.sigmoid, 0.25, (1,))
        return layer("head", apply_dense(p["head"], x.mean((2, 3))), linear, None)

    kernel = jnp.moveaxis(normal(1, 3, 3, 2, 8), (0, 1, 2, 3), (2, 3, 1, 0))
    params = {
        "stem": {"kernel": kernel, "bias": jnp.full(8, -9.0).at[5].set(0.1)},
        "alter": {"scale": 6 * normal(5, 8, scale=1), "bias": normal(6, 8, scale=1)},
        "head": dense(2, 8, CLASSES),
    }
    kernels = {"stem": ("stem", "kernel"), "alter": ("alter", "scale"), "head": ("head", "kernel")}
    return Case(forward, params, normal(0, EXAMPLES, 2, 5, 4, scale=1), kernels, dead={"stem": 7 / 8})


def mixed_types():
    def forward(p, x, layer):
        x = layer("outer", apply_dense(p["outer"], x.astype(jnp.bfloat16)), jax.nn.relu, 1)
        x = layer("inner", apply_dense(p["inner"], x.astype(jnp.float32)), jnp.tanh, 1)
        return layer("head", apply_dense(p["head"], x.astype(jnp.float16)), linear, None)

    params = {
        "outer": dense(1, 5, 8, jnp.bfloat16),
        "inner": dense(2, 8, 6),
        "head": dense(3, 6, CLASSES, jnp.float16),
    }
    x = normal(0, EXAMPLES, 5, scale=1)
    return Case(forward, params, x, {name: (name, "kernel") for name in params}, rtol=0.01)


def nested_residual():
    """The sum before the ReLU shifts it."""

    def forward(p, x, layer):
        x = layer("input", apply_dense(p["input"], x), jnp.tanh, 1)
        y = layer("body/up", apply_dense(p["body"]["up"], x), jax.nn.softplus, 1)
        x = layer("body/down", apply_dense(p["body"]["down"], y), lambda h, x=x: jax.nn.relu(h + x), 1)
        return layer("classifier", apply_dense(p["classifier"], x), linear, None)

    body = {"up": dense(2, 6, 9), "down": dense(3, 9, 6)}
    params = {"input": dense(1, 5, 6), "body": body, "classifier": dense(4, 6, CLASSES)}
    kernels = {name: (*name.split("/"), "kernel") for name in ("input", "body/up", "body/down", "classifier")}
    fed = {"input": ("body/up", "classifier")}
    return Case(forward, params, normal(0, EXAMPLES, 5, scale=1), kernels, fed=fed)


def kernel_on_the_left():
    """Units by rows, as of layers that are written for one example and mapped."""

    def forward(p, x, layer):
        x = layer("second", jnp.einsum("oi,bti->bto", p["second"], x), jax.nn.elu, 1)
        x = layer("first", jnp.einsum("oi,bti->bot", p["first"], x), jax.nn.relu, 1, (1,))
        return layer("last", x.mean(2) @ p["last"], linear, None)

    params = {"second": normal(1, 7, 4), "first": normal(2, 6, 7), "last": normal(3, 6, CLASSES)}
    return Case(forward, params, normal(0, EXAMPLES, 3, 4, scale=1), {name: (name,) for name in params})


def heads():
    """A unit is an entry of a head; `value` names a layer, not the box of an array."""

    def forward(p, x, layer):
        h = jnp.einsum("bti,ihd->bthd", x, p["attn"]["value"]["kernel"])
        x = layer("attn/value", h, jax.nn.relu, 1, (2, 3))
        x = layer("attn/mix", jnp.einsum("bthd,hde->bthe", x, p["attn"]["mix"]["kernel"]), jnp.tanh, 1, (2, 3))
        return layer("head", jnp.einsum("bthe,heo->bto", x, p["head"]["kernel"]), linear, None).mean(1)

    attention = {"value": {"kernel": normal(1, 4, 2, 3)}, "mix": {"kernel": normal(2, 2, 3, 5)}}
    params = {"attn": attention, "head": {"kernel": normal(3, 2, 5, CLASSES)}}
    kernels = {name: (*name.split("/"), "kernel") for name in ("attn/value", "attn/mix", "head")}
    return Case(forward, params, normal(0, EXAMPLES, 3, 4, scale=1), kernels)


def group_norm():
    """Normalised in groups; half of its units are dead, and a reshape stands before the ReLU."""

    def forward(p, x, layer):
        x = layer("wide", apply_dense(p["wide"], x), linear, None)
        groups = normalise(x.reshape(*x.shape[:-1], 2, 3), (1, 3)).reshape(x.shape)
        h = groups * p["groups"]["scale"][None, None] + p["groups"]["bias"][None, None]
        x = layer("groups", h, lambda h: jax.nn.relu(h.reshape(-1, 6)).reshape(h.shape), 1)
        return layer("pick", apply_dense(p["pick"], x.mean(1)), linear, None)

    norm = {"scale": normal(5, 6, scale=1), "bias": jnp.array([-99.0, 0, -99, 0.5, -99, -0.1])}
    params = {"wide": dense(1, 4, 6), "groups": norm, "pick": dense(2, 6, CLASSES)}
    kernels = {"wide": ("wide", "kernel"), "groups": ("groups", "scale"), "pick": ("pick", "kernel")}
    return Case(forward, params, normal(0, EXAMPLES, 5, 4, scale=1), kernels, dead={"groups": 1 / 2})


CASES = {
    make.__name__: make
    for make in (
        shuffled_names,
        eleven_dense,
        dense_and_layer_norm,
        channels_last,
        channels_first,
        mixed_types,
        nested_residual,
        kernel_on_the_left,
        heads,
        group_norm,
    )
}
