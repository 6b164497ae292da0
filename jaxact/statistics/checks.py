"""What the statistics refuse, each in one line."""

import numpy as np
from jaxtyping import Float


def require_finite(values: Float[np.ndarray, "..."], least: int) -> None:
    """Raise ValueError unless there are `least` values or more and all are finite."""
    if values.size < least:
        raise ValueError(f"{values.size} values given, at least {least} needed: add seeds")
    bad = int(np.sum(~np.isfinite(values)))
    if bad:
        raise ValueError(f"{bad} of {values.size} values are NaN or infinite: leave out or replace the diverged seeds")


def require_level(level: float) -> None:
    """Raise ValueError unless the confidence level lies strictly between 0 and 1."""
    if not 0 < level < 1:
        raise ValueError(f"confidence level {level} is outside (0, 1): give a fraction such as 0.95")


def require_generator(rng: np.random.Generator | None, total: int, limit: int) -> np.random.Generator:
    """Return the generator, or raise ValueError if there is none although not everything can be enumerated."""
    if rng is None:
        raise ValueError(f"{total} arrangements exceed max_arrangements {limit}: pass rng to sample them")
    return rng
