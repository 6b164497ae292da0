"""What a user's function raised, as one line that says what to change.

Flax's errors are known by name, so that nothing here needs Flax.
"""

from typing import Any

import jax

EVALUATION = (
    "give apply_fn in evaluation mode, such as lambda variables, x: model.apply(variables, x, train=False), an NNX "
    "model after model.eval()"
)
MISSING = "the variables lack something ({text}): give all that model.init returned, 'params' and 'batch_stats' for one"
MEANINGS = {
    "ScopeParamShapeError": "the batch {batch} does not fit the variables ({text}): give inputs as at init",
    "ModifyScopeVariableError": "apply_fn updates its variables, as batch norm does in training mode ({text}): "
    + EVALUATION,
    "InvalidRngError": "apply_fn draws random numbers, as dropout does in training mode ({text}): " + EVALUATION,
    "ScopeCollectionNotFound": MISSING,
    "ScopeParamNotFoundError": MISSING,
    "ScopeVariableNotFoundError": MISSING,
}


def refusal(error: Exception, batch: Any) -> ValueError:
    """The error to raise instead of what `apply_fn` raised for a batch."""
    lines, name = str(error).split(" (https://flax")[0].splitlines(), type(error).__name__
    text = lines[0].rstrip(".") if lines else "no message"
    if is_flax(error) and name in MEANINGS:
        return ValueError(MEANINGS[name].format(text=text, batch=described(batch)))
    return ValueError(
        f"apply_fn failed on the batch {described(batch)} with {name}: {text}; check that it takes (variables, batch), "
        "and that both are as in training"
    )


def is_flax(error: Exception) -> bool:
    """Whether it is one of Flax's own errors."""
    return type(error).__module__ == "flax.errors"


def described(batch: Any) -> str:
    """The shapes and dtypes of a batch, with the names of its parts: "image [48, 8, 8, 1] float32, mask [48] bool"."""
    parts, _ = jax.tree_util.tree_flatten_with_path(batch)
    named = [(jax.tree_util.keystr(path, simple=True, separator="/"), leaf) for path, leaf in parts]
    return ", ".join(f"{name} {list(leaf.shape)} {leaf.dtype}".strip() for name, leaf in named)
