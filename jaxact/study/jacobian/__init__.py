"""Jacobians, gradients and unit health through a stack, measured beside theory."""
