"""Activations that the catalogue lacks, to be named as `oracles.foreign_activations:bentid`."""

import jax.numpy as jnp


def bentid(x):
    """The bent identity, x + (√(x² + 1) − 1)/2."""
    return x + (jnp.sqrt(x * x + 1) - 1) / 2
