"""Whether the units of a network are dead or saturated, and since when: pure functions of one network and one set.

Batch them over seeds and epochs with `jax.vmap`; whole sets are streamed in chunks.
"""

from jaxact.health.certificate import Certificate, gradient_coherence, interval_bounds, interval_certificate
from jaxact.health.dimension import covariances, intrinsic_dimensions, participation_ratio, two_nn
from jaxact.health.lifetimes import NEVER, Lifetimes, lifetimes
from jaxact.health.network import NetworkHealth, layer_outputs, network_health
from jaxact.health.units import (
    NEARLY_DEAD_SHARE,
    SATURATION_SHARE,
    LayerHealth,
    UnitCounts,
    count_states,
    count_units,
    layer_health,
)

__all__ = [
    "NEARLY_DEAD_SHARE",
    "NEVER",
    "SATURATION_SHARE",
    "Certificate",
    "LayerHealth",
    "Lifetimes",
    "NetworkHealth",
    "UnitCounts",
    "count_states",
    "count_units",
    "covariances",
    "gradient_coherence",
    "interval_bounds",
    "interval_certificate",
    "intrinsic_dimensions",
    "layer_health",
    "layer_outputs",
    "lifetimes",
    "network_health",
    "participation_ratio",
    "two_nn",
]
