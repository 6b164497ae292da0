"""Input checks of the mean-field functions: each returns the checked value or raises one clear line."""

import math
from collections.abc import Iterable
from typing import SupportsFloat


def check_variance(name: str, value: SupportsFloat, *, positive: bool = False) -> float:
    """Return `value` as a float if it is a finite variance.

    Args:
        name: what the value is called in the error.
        value: the variance.
        positive: whether zero is refused as well.

    Raises:
        ValueError: `value` is negative, infinite, NaN, or zero where it must be positive.
    """
    number = float(value)
    if math.isfinite(number) and (number > 0 or (number == 0 and not positive)):
        return number
    limit = "> 0" if positive else ">= 0"
    raise ValueError(f"{name} = {number} is no variance here: it must be finite and {limit}")


def check_correlation(name: str, value: SupportsFloat) -> float:
    """Return `value` as a float if it lies in [-1, 1].

    Raises:
        ValueError: `value` is outside [-1, 1] or NaN.
    """
    number = float(value)
    if -1 <= number <= 1:
        return number
    raise ValueError(f"{name} = {number} is no correlation: it must lie in [-1, 1]; divide the covariance by q")


def check_finite(name: str, value: SupportsFloat) -> float:
    """Return `value` as a float if it is finite.

    Raises:
        ValueError: `value` is infinite or NaN.
    """
    number = float(value)
    if math.isfinite(number):
        return number
    raise ValueError(f"{name} = {number} must be a finite number")


def check_probability(name: str, value: SupportsFloat) -> float:
    """Return `value` as a float if it lies in [0, 1].

    Raises:
        ValueError: `value` is outside [0, 1] or NaN.
    """
    number = float(value)
    if 0 <= number <= 1:
        return number
    raise ValueError(f"{name} = {number} is no probability: it must lie in [0, 1]")


def check_count(name: str, value: int, minimum: int = 1) -> int:
    """Return `value` if it is an integer of at least `minimum`.

    Raises:
        ValueError: `value` is smaller than `minimum` or not whole.
    """
    if value != value or value < minimum or int(value) != value:
        raise ValueError(f"{name} = {value} must be a whole number of at least {minimum}")
    return int(value)


def check_widths(widths: Iterable[int], minimum: int) -> tuple[int, ...]:
    """Return the layer widths as a tuple if there are at least `minimum` of them and each is a whole number >= 1.

    Raises:
        ValueError: too few widths, or one that is no whole number of at least 1.
    """
    checked = tuple(check_count(f"widths[{i}]", width) for i, width in enumerate(widths))
    if len(checked) < minimum:
        raise ValueError(f"widths = {checked} has {len(checked)} entries: at least {minimum} are needed")
    return checked
