"""How signals and gradients pass through a named stack, before and during training, beside mean-field theory.

    python -m experiments.jacobian --config relu-sigmoid-relu                  MNIST, 9 seeds, 2 epochs: 2 minutes
    python -m experiments.jacobian --config relu-sigmoid-relu relu-relu-relu --epochs 0 --examples 1000
    python -m experiments.jacobian --config tanh-relu --dataset digits --widths 32 10 --batch-norm all --out DIR

Exact layer, layer-to-layer and input-output Jacobians with their spectra, gradient norms beside the bounds, dead and
saturated units. Times are for two cores. Writes layers.csv, jacobian.csv, spectra.csv, report.md and three figures.
Expected of relu-sigmoid-relu: 4 of 10 outputs are dead from the start, while as much gradient reaches layer 1 as in
relu-centred_sigmoid-relu, which trains. Needs matplotlib: pip install 'jaxact[figures]'.
"""

from jaxact.commands.jacobian import main
from jaxact.execution import runtime

if __name__ == "__main__":
    runtime.run(main)
