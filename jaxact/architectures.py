"""The architectures and what each fixes: layers, image sizes, the study's combinations. Loads neither JAX nor Flax.

`mlp` is the dense stack. `lenet` is the study's convolutional network (after LeCun et al. 1998): 6 channels by 5x5,
max-pool 2, 16 channels by 5x5, max-pool 2, dense 120, 84 and the classes. Its first convolution always has relu, its
output is linear; the first activation that the study names serves layers 2 and 3, the second layer 4, the third none.
"""

from collections.abc import Sequence
from itertools import pairwise, product

from jaxact.data.specs import spec

ARCHITECTURES = ("mlp", "lenet")
LENET_WIDTHS = (6, 16, 120, 84)
"""Channels and units of the study's LeNet before the output layer."""
LENET_LAYERS, CONVOLUTIONS = 5, 2
KERNEL, POOL = 5, 2
Shape = tuple[int, int, int]


def check(architecture: str, dataset: str, layers: int) -> None:
    """Check that an architecture exists, has so many layers, and takes the images of a data set.

    Raises:
        ValueError: it does not.
    """
    if architecture not in ARCHITECTURES:
        raise ValueError(f"unknown architecture {architecture!r}: use one of {', '.join(ARCHITECTURES)}")
    if architecture == "lenet":
        if layers != LENET_LAYERS:
            raise ValueError(
                f"lenet has {LENET_LAYERS} layers, 2 convolutions and 3 dense, got {layers}: name an activation for "
                "each, such as relu-tanh-tanh-selu-identity"
            )
        try:
            map_shapes(spec(dataset).shape, LENET_WIDTHS)
        except ValueError as error:
            raise ValueError(f"lenet on {dataset}: {error}") from None


def map_shapes(shape: Shape, widths: Sequence[int]) -> tuple[Shape, ...]:
    """(height, width, channels) of the pre-activations of LeNet's convolutions.

    Every convolution takes KERNEL − 1 from height and width, every pooling halves them, rounding down.

    Args:
        shape: (height, width, channels) of the images.
        widths: channels of the convolutions; what follows is not looked at.

    Raises:
        ValueError: the images are too small.
    """
    (height, width, _), maps = shape, []
    for channels in widths[:CONVOLUTIONS]:
        height, width = height - KERNEL + 1, width - KERNEL + 1
        if min(height, width) < POOL:
            raise ValueError(
                f"images of {shape[0]}x{shape[1]} are too small for {CONVOLUTIONS} convolutions of {KERNEL}x{KERNEL} "
                f"with pooling by {POOL}: at least 16x16 are needed"
            )
        maps.append((height, width, channels))
        height, width = height // POOL, width // POOL
    return tuple(maps)


def combinations(activations: Sequence[str], layers: int = LENET_LAYERS) -> list[tuple[str, ...]]:
    """The study's LeNets, relu-f1-f1-f2-identity for f1 and f2 of `activations`, f2 varying fastest.

    Raises:
        ValueError: another number of layers than LeNet's.
    """
    if layers != LENET_LAYERS:
        raise ValueError(f"lenet has {LENET_LAYERS} layers, got {layers}")
    return [("relu", first, first, second, "identity") for first, second in product(activations, repeat=2)]


def products(
    architecture: str, dataset: str, widths: Sequence[int], batch_size: int
) -> tuple[tuple[int, int, int], ...]:
    """(rows, inputs, units) of the matrix product of every layer, forward, for one batch."""
    facts = spec(dataset)
    if architecture == "mlp":
        return tuple((batch_size, a, b) for a, b in pairwise((facts.features, *widths)))
    found, channels, inputs = [], facts.shape[2], 0
    for height, width, units in map_shapes(facts.shape, widths):
        found.append((batch_size * height * width, KERNEL**2 * channels, units))
        channels, inputs = units, (height // POOL) * (width // POOL) * units
    dense = pairwise((inputs, *widths[CONVOLUTIONS:]))
    return (*found, *((batch_size, a, b) for a, b in dense))


def describe(architecture: str, dataset: str, widths: Sequence[int]) -> str:
    """`784-500-256-10`, or `LeNet 32x32x3, 6@5x5, 16@5x5, 120, 84, 10`."""
    facts = spec(dataset)
    if architecture == "mlp":
        return "-".join(map(str, (facts.features, *widths)))
    maps = [f"{channels}@{KERNEL}x{KERNEL}" for channels in widths[:CONVOLUTIONS]]
    return ", ".join(["LeNet " + "x".join(map(str, facts.shape)), *maps, *map(str, widths[CONVOLUTIONS:])])
