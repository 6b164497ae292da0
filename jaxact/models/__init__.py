"""Networks as immutable Flax modules whose activations are data, for one network and a batch of examples."""

from jaxact.models.layers import (
    Activate,
    Conv,
    Initializer,
    TorchBatchNorm,
    initializers_for,
    shifted,
    uniform_fan_in,
)
from jaxact.models.networks import (
    MLP,
    LeNet,
    affine_name,
    check_which,
    convolutions,
    first_product_given,
)

__all__ = [
    "Activate",
    "Conv",
    "Initializer",
    "LeNet",
    "MLP",
    "TorchBatchNorm",
    "affine_name",
    "check_which",
    "convolutions",
    "first_product_given",
    "initializers_for",
    "shifted",
    "uniform_fan_in",
]
