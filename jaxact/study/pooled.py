"""Numbers pooled over combinations: with intervals over seeds, and counted as distinct units.

All combinations draw the same kernels from a seed, so their runs and units are not independent: an output unit that is
dead in four combinations is one random draw seen four times.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from jaxact import activations
from jaxact.config import halves_of
from jaxact.statistics import Estimate, bootstrap_mean, clustered_interval, r_squared
from jaxact.study.evidence import Case


def line_r_squared(x: np.ndarray, y: np.ndarray) -> float:
    """R² of the least-squares line of y on x."""
    return r_squared(y, np.polyval(np.polyfit(x, y, 1), x))


def pooled_share(cases: Sequence[Case], part: str, whole: str) -> Estimate:
    """Sum of one field of the cases over the sum of another, with its interval over seeds; NaN of nothing."""
    parts, wholes = (_pooled(cases, field) for field in (part, whole))
    if not wholes.any():
        return Estimate(np.nan, np.nan, np.nan)
    return clustered_interval(lambda kept: _ratio(parts[kept].sum(), wholes[kept].sum()), _seeds(cases))


def pooled_mean(cases: Sequence[Case], field: str) -> Estimate:
    """Share of the runs for which a field of truth values holds, with its interval over seeds."""
    values = _pooled(cases, field)
    return clustered_interval(lambda kept: float(values[kept].mean()), _seeds(cases))


def lost_and_accuracy(cases: Sequence[Case]) -> Estimate:
    """R² of the accuracy on the number of classes never predicted, with its interval over seeds; NaN without spread."""
    never, accuracy = _pooled(cases, "never"), _pooled(cases, "accuracy")

    def fit(kept: np.ndarray) -> float:
        x, y = never[kept], accuracy[kept]
        return line_r_squared(x, y) if np.ptp(x) and np.ptp(y) else np.nan

    return clustered_interval(fit, _seeds(cases))


def can_die(one: Case) -> bool:
    """Whether an output unit can have slope 0 on a whole test set.

    Of a function that the catalogue does not hold only the runs tell: it is not imported to ask.
    """
    entries = [activations.known(half) for half in halves_of(one.record.config.activations[-1])]
    return any(entry.can_die for entry in entries if entry) or (None in entries and bool(one.dead.any()))


def dead_at_start(one: Case, rng: np.random.Generator) -> Estimate:
    """Mean number of dead outputs at initialisation; without an interval where no output can die."""
    dead, config = one.dead_start.astype(float), one.record.config
    if len(dead) < 2 or not can_die(one):
        return Estimate(float(dead.mean()), np.nan, np.nan)
    return bootstrap_mean(dead, rng, bounds=(0, config.widths[-1]))


def distinct_lost(cases: Sequence[Case]) -> int:
    """Classes never predicted after the last epoch, one that several combinations lose with a seed counted once."""
    return _distinct((c, c.record.arrays["test_predicted"][:, -1] == 0) for c in cases)


def distinct_dead(cases: Sequence[Case]) -> int:
    """Outputs dead at initialisation, one that is dead in several combinations of a seed counted once."""
    return _distinct((c, c.record.dead(len(c.record.config.widths))[:, 0]) for c in cases)


def bracketed(found: Estimate, spec: str, scale: float = 1.0) -> str:
    """The interval as ` [0.99, 1.00]`, "" where there is none."""
    if np.isnan(found.low):
        return ""
    return f" [{format(scale * found.low, spec)}, {format(scale * found.high, spec)}]"


def _distinct(found: Iterable[tuple[Case, np.ndarray]]) -> int:
    units: set[tuple[int, int]] = set()
    for one, which in found:
        rows, columns = np.nonzero(which)
        units |= set(zip(one.record.seeds[rows].tolist(), columns.tolist(), strict=True))
    return len(units)


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else np.nan


def _pooled(cases: Sequence[Case], field: str) -> np.ndarray:
    return np.concatenate([getattr(c, field) for c in cases]).astype(float)


def _seeds(cases: Sequence[Case]) -> np.ndarray:
    return np.concatenate([c.record.seeds for c in cases])
