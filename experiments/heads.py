"""Which activation belongs on an output: are the outputs probabilities, can the range hold the targets, what F1 says.

    python -m experiments.heads                                   all three parts, 9 seeds: 2 minutes on two cores
    python -m experiments.heads --parts classification --heads softmax elu-logits
    python -m experiments.heads --parts regression --outputs identity relu leaky_relu --seeds 25 --out DIR

classification: digits with a softmax, independent sigmoids, linear outputs fitted to one-hot targets, and cross-entropy
on logits that went through an activation, ACTIVATION-logits. regression: a sine shifted above 0, across it and below
it, with outputs through any activation. f1: balanced and imbalanced digits, and attributes of digits (multi-label).
Expected: about 98 % for every head but relu-logits, which loses classes to dead outputs (65 %); only softmax sums to 1;
a ReLU output on negative targets ends at the constant 0 with gradient exactly 0 from every seed; micro-F1 equals the
accuracy bit for bit unless there are several labels per example. Needs matplotlib: pip install 'jaxact[figures]'.
"""

from jaxact.commands.heads import main
from jaxact.execution import runtime

if __name__ == "__main__":
    runtime.run(main)
