"""The planar classifier of the Coursera course Neural Networks and Deep Learning (week 3): points and protocol.

`points` has the data sets, `variants` the activations (the catalogue's, and a wrong derivative), `network` the network
and its cost, `descent` the training. Importing this package loads NumPy only.
"""

from jaxact.classics.planar.points import DATASETS, Points, load
from jaxact.classics.planar.variants import WRONG_SIGMOID, activation

__all__ = ["DATASETS", "WRONG_SIGMOID", "Points", "activation", "load"]
