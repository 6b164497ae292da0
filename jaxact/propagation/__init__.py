"""How signals and gradients propagate: exact Jacobians, their spectra, partial Jacobian norms, gradient norms.

Functions are for one example and one network; `jax.vmap` them over examples, seeds and epochs. A network is any
function (x, perturbations) → (logits, {layer: pre-activation}) that adds each perturbation to its pre-activation;
`mlp_network` makes one of an `MLP`, for which there are closed forms as well.
"""

from jaxact.propagation.chain import Chain, between, input_output, layer_jacobian, layer_norms, mlp_chain
from jaxact.propagation.chunks import sum_over_chunks
from jaxact.propagation.gradients import Attenuation, Gradients, attenuation, loss_gradients, norms, spectral_norm
from jaxact.propagation.jacobians import input_jacobians, jacobian, partial_jacobian
from jaxact.propagation.lenet import lenet_apjn, lenet_network
from jaxact.propagation.network import (
    Affine,
    Network,
    Nonlinearity,
    batched,
    full_batch_statistics,
    layer_shapes,
    mlp_affine,
    mlp_network,
    mlp_nonlinearities,
    no_perturbation,
    nonlinearity,
    per_unit,
    wide,
)
from jaxact.propagation.partial_norms import Estimate, apjn, average, chain_apjn, hutchinson_apjn
from jaxact.propagation.spectra import Spectrum, spectrum, summarise_spectrum
from jaxact.propagation.sweep import Propagation, probe

__all__ = [
    "Affine",
    "Attenuation",
    "Chain",
    "Estimate",
    "Gradients",
    "Network",
    "Nonlinearity",
    "Propagation",
    "Spectrum",
    "apjn",
    "attenuation",
    "average",
    "batched",
    "between",
    "chain_apjn",
    "full_batch_statistics",
    "hutchinson_apjn",
    "input_jacobians",
    "input_output",
    "jacobian",
    "layer_jacobian",
    "layer_norms",
    "layer_shapes",
    "lenet_apjn",
    "lenet_network",
    "loss_gradients",
    "mlp_affine",
    "mlp_chain",
    "mlp_network",
    "mlp_nonlinearities",
    "no_perturbation",
    "nonlinearity",
    "norms",
    "partial_jacobian",
    "per_unit",
    "probe",
    "spectral_norm",
    "spectrum",
    "summarise_spectrum",
    "sum_over_chunks",
    "wide",
]
