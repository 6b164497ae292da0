"""How fast training is, beside rivals and the floor."""
