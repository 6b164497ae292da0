"""Networks as immutable Flax modules whose activations are data, for one network and a batch of examples."""

from jaxact.models.networks import (
    MLP,
    Activate,
    Conv,
    Initializer,
    LeNet,
    TorchBatchNorm,
    affine_name,
    check_which,
    first_product_given,
    initializers_for,
    shifted,
    uniform_fan_in,
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
    "first_product_given",
    "initializers_for",
    "shifted",
    "uniform_fan_in",
]
