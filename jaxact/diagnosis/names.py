"""What a layer and its activation are called: by the path of its parameter, and by the functions of the program."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp

from jaxact.diagnosis.graph import Operation

COLLECTIONS = ("params", "batch_stats")
PARTS = ("kernel", "bias", "scale", "embedding", "mean", "var")
BOXES = ("value", "raw_value")
"""The last part of the path of every leaf of an NNX state."""


def layer_names(paths: Sequence[tuple[str, ...]]) -> list[str]:
    """The layer that each leaf belongs to: its path without the collection and without its own name, `block1/conv`."""
    boxed = all(len(path) > 1 and path[-1] in BOXES for path in paths)
    return [_layer_name(path[: len(path) - boxed]) for path in paths]


def _layer_name(path: tuple[str, ...]) -> str:
    parts = list(path)
    if len(parts) > 1 and parts[0] in COLLECTIONS:
        parts = parts[1:]
    if len(parts) > 1 and parts[-1] in PARTS:
        parts = parts[:-1]
    return "/".join(parts)


def activation_name(
    steps: Sequence[Operation], bent: Sequence[Operation], around: tuple[str, ...], dull: frozenset[str]
) -> str:
    """The function that the nonlinear steps were jitted in, or else a known one, or else the steps themselves.

    Args:
        steps: all operations of the activation.
        bent: those that are not linear.
        around: the jitted functions that the layer itself is in.
        dull: kinds of operations that name nothing.
    """
    common = bent[0].scopes
    for step in bent:
        common = tuple(a for a, b in zip(common, step.scopes, strict=False) if a == b)
    scopes = [scope for scope in common[len(around) :] if scope and not scope.startswith("_")]
    if scopes:
        return scopes[-1]
    kinds = _kinds([step.equation for step in steps])
    if any(kinds[start : start + len(known)] == known for known in _gelu() for start in range(len(kinds))):
        return "gelu"
    names = list(dict.fromkeys(_own_name(step) for step in bent if step.kind not in dull)) or [bent[0].kind]
    return "+".join(names[:3])


@lru_cache(maxsize=1)
def _gelu() -> list[list[str]]:
    """The operations of `jax.nn.gelu`, which is not jitted and so leaves no name, in both of its forms."""
    h = jax.ShapeDtypeStruct((1,), jnp.float32)
    forms = [jax.make_jaxpr(lambda h, tanh=tanh: jax.nn.gelu(h, approximate=tanh))(h) for tanh in (True, False)]
    return [_kinds(form.jaxpr.eqns) for form in forms]


def _kinds(equations: Sequence[Any]) -> list[str]:
    kinds = [equation.primitive.name for equation in equations]
    return [kind for kind in kinds if kind not in ("copy", "convert_element_type", "broadcast_in_dim")]


def _own_name(step: Operation) -> str:
    """A function with a derivative of its own is called by the jitted function in it, or else by its own name."""
    if step.kind not in ("custom_jvp_call", "custom_vjp_call"):
        return step.kind
    inner = step.equation.params["call_jaxpr"].jaxpr
    jitted = inner.eqns[0].params.get("name") if inner.eqns else None
    own = inner.debug_info.func_src_info.split(" ")[0]
    return str(jitted or (step.kind if own.startswith("<") else own))
