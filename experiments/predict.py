"""Predict by theory alone, before any training, which outputs will be dead and how gradients scale in each layer.

    python -m experiments.predict relu sigmoid relu                      the study's network on MNIST: under 2 s
    python -m experiments.predict relu-sigmoid-relu --widths 500 256 10 --init torch_default --json
    python -m experiments.predict --grid relu tanh sigmoid selu --out DIR    all 64 combinations, ranked: seconds
    python -m experiments.predict tanh relu --features 20 --q0 1 --c0 0.1 --inputs 500 --widths 64 3

A unit is dead if its slope is exactly 0 on every one of the N inputs. Expected on MNIST: 3.6 of 10 outputs dead for
relu-sigmoid-relu, 0.02 for relu-relu-relu. Mean-field theory at initialisation: it neglects fluctuations of order
1/width, takes inputs in groups of unequal length, and says so where it is known to be off. Nothing is written without
--out.
"""

from jaxact.commands.predict import main
from jaxact.execution import runtime

if __name__ == "__main__":
    runtime.run(main)
