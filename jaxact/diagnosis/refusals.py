"""What a user's function raised, as one line that says what to change."""

from typing import Any

import jax
from flax import errors

EVALUATION = (
    "give apply_fn in evaluation mode, such as lambda variables, x: model.apply(variables, x, train=False), an NNX "
    "model after model.eval()"
)


def refusal(error: Exception, batch: Any) -> ValueError:
    """The error to raise instead of what `apply_fn` raised for a batch."""
    lines = str(error).split(" (https://flax")[0].splitlines()
    text = lines[0].rstrip(".") if lines else "no message"
    match error:
        case errors.ScopeParamShapeError():
            message = f"the batch {described(batch)} does not fit the variables ({text}): give inputs as at init"
        case errors.ModifyScopeVariableError():
            message = f"apply_fn updates its variables, as batch norm does in training mode ({text}): {EVALUATION}"
        case errors.InvalidRngError():
            message = f"apply_fn draws random numbers, as dropout does in training mode ({text}): {EVALUATION}"
        case errors.ScopeCollectionNotFound() | errors.ScopeParamNotFoundError() | errors.ScopeVariableNotFoundError():
            message = (
                f"the variables lack something ({text}): give all that model.init returned, such as "
                "{'params': …, 'batch_stats': …}"
            )
        case _:
            kind = type(error).__name__
            message = (
                f"apply_fn failed on the batch {described(batch)} with {kind}: {text}; check that it takes "
                "(variables, batch), and that both are as in training"
            )
    return ValueError(message)


def described(batch: Any) -> str:
    """The shapes and dtypes of a batch, with the names of its parts: "image [48, 8, 8, 1] float32, mask [48] bool"."""
    parts, _ = jax.tree_util.tree_flatten_with_path(batch)
    named = [(jax.tree_util.keystr(path, simple=True, separator="/"), leaf) for path, leaf in parts]
    return ", ".join(f"{name} {list(leaf.shape)} {leaf.dtype}".strip() for name, leaf in named)
