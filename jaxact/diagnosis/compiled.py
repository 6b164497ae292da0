"""Compiled functions that equal ones share, so that a new lambda for the same network compiles nothing.

`jax.jit` knows a function by its identity. Here the compiled one of an earlier function is used if both are lowered to
the same program: what a function closes over is part of the program, so nothing is taken for equal that is not.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import jax

KEPT = 128
_known: OrderedDict[str, Callable[..., Any]] = OrderedDict()


def shared(fn: Callable[..., Any]) -> Callable[..., Any]:
    """`jax.jit(fn)`, or the jitted function of an earlier equal program."""
    # Without its unused arguments a program would not tell which of two arrays of one shape it uses.
    jitted = jax.jit(fn, keep_unused=True)
    chosen: dict[Any, Callable[..., Any]] = {}

    def call(*arguments: Any) -> Any:
        leaves, structure = jax.tree.flatten(arguments)
        form = structure, tuple((leaf.shape, leaf.dtype) for leaf in leaves)
        if form not in chosen:
            chosen[form] = _equal(jitted, arguments)
        return chosen[form](*arguments)

    return call


def _equal(jitted: Any, arguments: tuple[Any, ...]) -> Callable[..., Any]:
    lowered = jitted.lower(*arguments)
    digest = hashlib.sha256(f"{lowered.in_tree} {lowered.out_tree} {lowered.as_text()}".encode()).hexdigest()
    _known.setdefault(digest, jitted)
    _known.move_to_end(digest)
    while len(_known) > KEPT:
        _known.popitem(last=False)
    return _known[digest]
