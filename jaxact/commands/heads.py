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

from jaxact.classics.heads.plan import LOSSES, PARTS, plan_from
from jaxact.execution import runtime
from jaxact.execution.checks import Parser, check_installed

MODULE = "experiments.heads"
HEADS = [*LOSSES, "relu-logits", "tanh-logits", "sigmoid-logits"]
OUTPUTS = ["identity", "relu", "softplus"]


def parser() -> Parser:
    """The options."""
    p = Parser.of(MODULE, __doc__)
    p.add_argument("--parts", nargs="+", default=list(PARTS), metavar="PART", help=f"{', '.join(PARTS)} (all)")
    p.add_argument("--heads", nargs="+", default=HEADS, metavar="HEAD", help=f"({' '.join(HEADS)})")
    p.add_argument("--outputs", nargs="+", default=OUTPUTS, metavar="NAME", help=f"({' '.join(OUTPUTS)})")
    p.add_argument("--hidden", default="relu", metavar="NAME", help="activation of the hidden layers (relu)")
    p.add_argument("--widths", nargs="+", type=int, default=[64, 64], metavar="N", help="hidden units (64 64)")
    p.add_argument("--seeds", default="9", help="a count (9) or a list such as 0,3,17-25")
    p.add_argument("--epochs", type=int, default=20, help="passes over the digits (20)")
    p.add_argument("--regression-epochs", type=int, default=50, metavar="N", help="passes over 1024 points (50)")
    p.add_argument("--optimizer", default="adam", help="an optax optimiser (adam)")
    p.add_argument("--lr", type=float, default=0.003, help="learning rate (0.003)")
    p.add_argument("--momentum", type=float, default=0.0, help="heavy-ball momentum, for sgd (0)")
    p.add_argument("--imbalance", type=float, default=0.1, metavar="R", help="rarest class over most frequent (0.1)")
    p.add_argument("--noise", type=float, default=1.5, metavar="SD", help="noise on f1's standardised digits (1.5)")
    p.add_argument("--out", default="runs/heads", help="folder to write to (runs/heads)")
    return p


def main(argv: list[str] | None = None) -> int:
    """Train, measure and write.

    Returns:
        Exit status: 0 done, 2 bad input (nothing written).
    """
    p = parser()
    options = p.parse_args(argv)
    with p.checked():
        check_installed(("matplotlib",), "the figures", "figures")
        plan = plan_from(options)
    runtime.configure(cpu_devices=1)
    from jaxact.classics.heads.run import run

    print(run(plan, runtime.command(MODULE)))
    return 0
