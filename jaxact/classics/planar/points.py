"""The course's two-class sets of points in the plane: its own flower, and scikit-learn's as the course calls them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxact.config import closest


class Points(NamedTuple):
    """Labelled points, as NumPy arrays.

    Attributes:
        inputs: coordinates, no unit.
        labels: class 0 or 1.
    """

    inputs: Float[np.ndarray, "points 2"]
    labels: Int[np.ndarray, " points"]


def flower(draw: int = 0) -> Points:
    """Two classes of four-petalled roses, r = 4 sin 4t, class j on t in [3.12 j, 3.12 (j + 1)], 200 points each.

    Normal noise of standard deviation 0.2 on t and on r. Draw 0 is `load_planar_dataset` of the course, bit for bit
    (it seeds NumPy's global stream with 1; draw d uses a stream of its own, seeded 1 + d).

    Args:
        draw: which sample; 0 is the course's.

    Returns:
        400 points, class 0 first.
    """
    rng = np.random.RandomState(1 + draw)
    petals = []
    for j in range(2):
        angle = np.linspace(j * 3.12, (j + 1) * 3.12, 200) + rng.randn(200) * 0.2
        radius = 4 * np.sin(4 * angle) + rng.randn(200) * 0.2
        petals.append(np.c_[radius * np.sin(angle), radius * np.cos(angle)])
    return Points(np.concatenate(petals), np.repeat([0, 1], 200))


def _made(kind: str, **options: Any) -> Any:
    """What scikit-learn's `make_<kind>` returns; its stubs do not tell arrays from lists."""
    from sklearn import datasets  # slow to import

    return getattr(datasets, f"make_{kind}")(n_samples=200, **options)


def moons(draw: int = 0) -> Points:
    """Two interleaved half circles with noise 0.2, 200 points (`make_moons`, `random_state` 1 + draw)."""
    return Points(*_made("moons", noise=0.2, random_state=1 + draw))


def circles(draw: int = 0) -> Points:
    """Two circles of radius 1 and 0.5 with noise 0.3, 200 points (`make_circles`, `random_state` 1 + draw)."""
    return Points(*_made("circles", factor=0.5, noise=0.3, random_state=1 + draw))


def blobs(draw: int = 0) -> Points:
    """Six normal blobs in two classes, 200 points: `make_blobs(random_state=5, centers=6)`, labels modulo 2.

    Every draw has the centres of draw 0; draw 0 is the course's bit for bit.
    """
    inputs, labels, centres = _made("blobs", centers=6, random_state=5, return_centers=True)
    if draw:
        inputs, labels = _made("blobs", centers=centres, random_state=5 + draw)
    return Points(inputs, labels % 2)


def gaussian_quantiles(draw: int = 0) -> Points:
    """A normal blob of variance 0.5 as a disc and its outside, 200 points (`random_state` 1 + draw)."""
    return Points(*_made("gaussian_quantiles", cov=0.5, n_features=2, n_classes=2, random_state=1 + draw))


_MAKERS: dict[str, Callable[[int], Points]] = {
    "flower": flower,
    "moons": moons,
    "circles": circles,
    "blobs": blobs,
    "gaussian_quantiles": gaussian_quantiles,
}
DATASETS = tuple(_MAKERS)


def load(name: str, draw: int = 0) -> Points:
    """A set of points by name.

    The course draws the flower from seed 1 and the blobs from seed 5; the other sets it takes from wherever NumPy's
    global stream happens to be, so that their seed here, 1, is a choice.

    Args:
        name: one of `DATASETS`.
        draw: 0 for the course's sample, 1, 2, … for fresh samples of the same distribution.

    Returns:
        The points.

    Raises:
        ValueError: an unknown name, or a negative draw.
    """
    if name not in _MAKERS:
        raise closest(name, DATASETS, "planar data set")
    if draw < 0:
        raise ValueError(f"draw must be at least 0, got {draw}: 0 is the course's sample")
    return _MAKERS[name](draw)
