"""Models that bring their own variables: NNX modules, train states, bound linen modules and callable pytrees."""

import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxact.diagnosis.adapters import plain_function

ARRAY = "an array of the variables"


class NnxCall(NamedTuple):
    """An NNX module as a function; equal for equal modules, so that a second diagnosis compiles nothing."""

    merge: Callable[..., Any]
    definition: Any

    def __call__(self, variables: Any, batch: Any) -> Any:
        """The module's outputs."""
        return self.merge(self.definition, variables)(batch)


class PytreeCall(NamedTuple):
    """A callable pytree as a function of its arrays.

    Attributes:
        structure: of the whole.
        parts: its leaves, with `ARRAY` in the place of each array.
        single: whether it takes one example, as Equinox's layers do, and not a batch.
    """

    structure: Any
    parts: tuple[Any, ...]
    single: bool

    def __call__(self, variables: Any, batch: Any) -> Any:
        """The model's outputs for a batch."""
        arrays = iter(jax.tree.leaves(variables))
        model = self.structure.unflatten([next(arrays) if part is ARRAY else part for part in self.parts])
        return (jax.vmap(model) if self.single else model)(batch)


def check_variables(apply_fn: Any, variables: Any, batch: Any) -> None:
    """Raises a ValueError for variables that are missing, or given beside a model that brings its own."""
    alone = _is_nnx(apply_fn) or _is_state(apply_fn)
    either = _is_bound(apply_fn) or _is_model(apply_fn)
    if variables is not None and (alone or (either and batch is None)):
        raise ValueError(
            f"a {type(apply_fn).__name__} brings its own variables: call diagnose(model, batch=…, labels=…) by name"
        )
    if not alone:
        plain_function(apply_fn)
    if variables is None and not alone and not either:
        raise ValueError(
            "variables is None: give the network's parameters, such as model.init(key, batch); only an NNX module, a "
            "train state, a bound module or a callable pytree brings its own"
        )


def brings_variables(model: Any) -> bool:
    """Whether it is a model that brings its own variables."""
    return _is_nnx(model) or _is_state(model) or _is_bound(model) or _is_model(model)


def opened(apply_fn: Any, variables: Any, batch: Any) -> tuple[Any, Any]:
    """The function (variables, batch) → outputs, and its variables, of what the user handed over.

    Args:
        apply_fn: as `jaxact.diagnose` takes it, after `check_variables`.
        variables: as `jaxact.diagnose` takes them.
        batch: the inputs as a pytree of arrays [examples, ...].
    """
    if _is_nnx(apply_fn):
        nnx = sys.modules["flax.nnx"]
        model = nnx.clone(apply_fn)
        model.eval()
        definition, state = nnx.split(model)
        return NnxCall(nnx.merge, definition), state
    if _is_state(apply_fn):
        return apply_fn.apply_fn, _state_variables(apply_fn)
    if variables is not None:
        return apply_fn, _state_variables(variables) if _is_state(variables) else variables
    return apply_fn.unbind() if _is_bound(apply_fn) else _pytree_call(apply_fn, batch)


def _is_nnx(thing: Any) -> bool:
    return _is_module(thing, "flax.nnx")


def _is_bound(thing: Any) -> bool:
    return _is_module(thing, "flax.linen") and thing.scope is not None


def _is_module(thing: Any, library: str) -> bool:
    loaded = sys.modules.get(library)  # it is loaded where there is such a module, and need not be elsewhere
    return loaded is not None and isinstance(thing, loaded.Module)


def _is_state(thing: Any) -> bool:
    return callable(getattr(thing, "apply_fn", None)) and hasattr(thing, "params")


def _state_variables(state: Any) -> Any:
    statistics = getattr(state, "batch_stats", None)
    bare = statistics is None or (isinstance(state.params, Mapping) and "params" in state.params)
    return state.params if bare else {"params": state.params, "batch_stats": statistics}


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array | np.ndarray)


def _is_model(thing: Any) -> bool:
    return callable(thing) and any(_is_array(leaf) and leaf is not thing for leaf in jax.tree.leaves(thing))


def _pytree_call(model: Any, batch: Any) -> tuple[PytreeCall, Any]:
    leaves, structure = jax.tree.flatten(model)
    parts = tuple(ARRAY if _is_array(leaf) else leaf for leaf in leaves)
    variables = structure.unflatten([leaf if _is_array(leaf) else None for leaf in leaves])
    whole = PytreeCall(structure, parts, single=False)
    # Two sizes: a matrix of one example's layer may happen to fit a batch of one size.
    single = not all(_takes(whole, variables, batch, examples) for examples in (2, 3))
    return whole._replace(single=single), variables


def _takes(call: PytreeCall, variables: Any, batch: Any, examples: int) -> bool:
    some = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((examples, *leaf.shape[1:]), leaf.dtype), batch)
    try:
        outputs = jax.tree.leaves(jax.eval_shape(call, variables, some))
    except Exception:  # whatever a model of one example raises
        return False
    return bool(outputs) and outputs[0].shape[:1] == (examples,)
