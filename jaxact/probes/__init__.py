"""What is looked at inside a network: units, gradients, Jacobians, spectra.

Pure functions of one network and one example or set; batch them over seeds and epochs with `jax.vmap`. A network is any
function (x, perturbations) → (logits, {layer: pre-activation}) that adds each perturbation to its pre-activation;
`mlp_network` makes one of an `MLP`.
"""

from jaxact.probes.certificate import Certificate, gradient_coherence, interval_bounds, interval_certificate
from jaxact.probes.chain import Chain, between, input_output, layer_jacobian, layer_norms, mlp_chain
from jaxact.probes.chunks import sum_over_chunks
from jaxact.probes.dense import CHUNK
from jaxact.probes.dimension import covariances, intrinsic_dimensions, participation_ratio, two_nn
from jaxact.probes.every_epoch import (
    GRADIENT_EXAMPLES,
    JACOBIAN_EXAMPLES,
    Probe,
    Score,
    certified,
    make_probe,
    over_test_set,
)
from jaxact.probes.gradients import Attenuation, Gradients, attenuation, loss_gradients, norms, spectral_norm
from jaxact.probes.jacobians import input_jacobians, jacobian, partial_jacobian
from jaxact.probes.lenet_network import lenet_apjn, lenet_network
from jaxact.probes.lifetimes import NEVER, Lifetimes, lifetimes
from jaxact.probes.network import (
    Affine,
    Layer,
    Network,
    Nonlinearity,
    batched,
    full_batch_statistics,
    kernels_of,
    layer_shapes,
    mlp_affine,
    mlp_network,
    mlp_nonlinearities,
    no_perturbation,
    nonlinearity,
    per_unit,
    wide,
)
from jaxact.probes.partial_norms import Estimate, apjn, average, chain_apjn, hutchinson_apjn
from jaxact.probes.spectra import Spectrum, spectrum, summarise_spectrum
from jaxact.probes.sweep import Propagation, probe
from jaxact.probes.unit_health import NetworkHealth, layer_outputs, network_health
from jaxact.probes.units import (
    NEARLY_DEAD_SHARE,
    SATURATION_SHARE,
    LayerHealth,
    UnitCounts,
    count_states,
    count_units,
    layer_health,
)

make_lenet_probe = make_probe
"""The name in version 0.1 of what made the probe of a `LeNet`."""

__all__ = [
    "Affine",
    "Attenuation",
    "CHUNK",
    "Certificate",
    "Chain",
    "Estimate",
    "GRADIENT_EXAMPLES",
    "Gradients",
    "JACOBIAN_EXAMPLES",
    "Layer",
    "LayerHealth",
    "Lifetimes",
    "NEARLY_DEAD_SHARE",
    "NEVER",
    "Network",
    "NetworkHealth",
    "Nonlinearity",
    "Probe",
    "Propagation",
    "SATURATION_SHARE",
    "Score",
    "Spectrum",
    "UnitCounts",
    "apjn",
    "attenuation",
    "average",
    "batched",
    "between",
    "certified",
    "chain_apjn",
    "count_states",
    "count_units",
    "covariances",
    "full_batch_statistics",
    "gradient_coherence",
    "hutchinson_apjn",
    "input_jacobians",
    "input_output",
    "interval_bounds",
    "interval_certificate",
    "intrinsic_dimensions",
    "jacobian",
    "kernels_of",
    "layer_health",
    "layer_jacobian",
    "layer_norms",
    "layer_outputs",
    "layer_shapes",
    "lenet_apjn",
    "lenet_network",
    "lifetimes",
    "loss_gradients",
    "make_lenet_probe",
    "make_probe",
    "mlp_affine",
    "mlp_chain",
    "mlp_network",
    "mlp_nonlinearities",
    "network_health",
    "no_perturbation",
    "nonlinearity",
    "norms",
    "over_test_set",
    "partial_jacobian",
    "participation_ratio",
    "per_unit",
    "probe",
    "spectral_norm",
    "spectrum",
    "sum_over_chunks",
    "summarise_spectrum",
    "two_nn",
    "wide",
]
