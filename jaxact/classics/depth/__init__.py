"""Stacks of equal layers, 1 to hundreds deep: what depth does to gradients, to training and to ReLU units."""
