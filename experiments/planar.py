"""Does a planar classifier need tanh? The course's flower with any activation, size, learning rate and seed.

    python -m experiments.planar                                     everything: about 4 minutes on two cores
    python -m experiments.planar --datasets moons --hidden 4 20x20 --activations gelu prelu sine --thread-steps 0
    python -m experiments.planar --activations sigmoid package.module:function --seeds 25 --out DIR

The protocol is that of the Coursera course Neural Networks and Deep Learning, week 3: full-batch gradient descent,
weights 0.01 randn from NumPy's seed 2, sigmoid output, binary cross-entropy, learning rate 1.2. Two parts: thread, the
settings whose accuracies learners reported, in float64; sweep, every activation and size over learning rates.
Activations: any elementwise one of the catalogue, one of your own, or sigmoid_wrong_derivative, a learners' bug.
Expected: tanh 90 %, sigmoid 89 %, relu 85 to 87 % with 50 to 100 units, bouncing from rate 0.2 on; 4 sigmoids with the
wrong derivative stay at chance, and a derivative check shows why. Needs matplotlib: pip install 'jaxact[figures]'.
"""

from jaxact.commands.planar import main
from jaxact.execution import runtime

if __name__ == "__main__":
    runtime.run(main)
