"""What does depth do to gradients and training, and can it be known beforehand?

    python -m experiments.depth                                  4 parts, about 3 minutes on two cores
    python -m experiments.depth --parts gradients --activations all
    python -m experiments.depth --parts training --activations tanh --inits critical --depths 10 50 100

theory: χ and depth scales of every elementwise activation and initialiser; chain: the textbook product of r factors w
φ'(h) beside (sup |φ'|)^r; gradients: partial Jacobian norms of wide stacks at initialisation beside mean-field
theory; training: accuracy after a fixed budget beside the depth scale ξ, gradients, saturation and sparsity by layer
before and after; dying: dead ReLU networks beside the closed form.
Expected: gradients through 50 layers lie within 0.15 decades of theory (gelu with he_normal does not); of the stacks
no deeper than 6 |ξ|, ξ = −1/ln χ, 145 of 155 train, of the deeper ones 8 of 61.
"""

import os
from collections.abc import Sequence

from jaxact.classics.depth.plan import INITS, PARTS, plan_from
from jaxact.execution import runtime
from jaxact.execution.checks import Parser, check_installed

MODULE = "experiments.depth"
ACTIVATIONS = ("sigmoid", "tanh", "relu", "elu", "selu", "gelu")


def parser() -> Parser:
    """The options."""
    p = Parser.of(MODULE, __doc__)
    p.add_argument("--parts", nargs="+", default=list(PARTS), metavar="PART", help=f"of {' '.join(PARTS)} (all)")
    p.add_argument(
        "--activations", nargs="+", default=list(ACTIVATIONS), metavar="NAME", help=f"or all ({' '.join(ACTIVATIONS)})"
    )
    p.add_argument(
        "--theory", nargs="+", default=["all"], metavar="NAME", help="more activations in the table of theory (all)"
    )
    p.add_argument("--inits", nargs="+", default=list(INITS), metavar="NAME", help=f"of {' '.join(INITS)} (all)")
    p.add_argument(
        "--depths",
        nargs="+",
        type=int,
        default=[1, 2, 5, 10, 20, 50],
        metavar="L",
        help="hidden layers (1 2 5 10 20 50)",
    )
    p.add_argument("--out", default="runs/depth", help="folder of the tables and figures (runs/depth)")
    start = p.add_argument_group("at initialisation")
    start.add_argument("--wide", type=int, default=128, help="width of the stacks of part gradients (128)")
    start.add_argument("--networks", type=int, default=16, help="networks of part gradients (16)")
    start.add_argument("--chains", type=int, default=4000, help="chains, and networks of part dying (4000)")
    training = p.add_argument_group("training, on scikit-learn's digits")
    training.add_argument("--width", type=int, default=64, help="width of the trained stacks (64)")
    training.add_argument("--seeds", default="2", help="a count or a list such as 0,3,17-25 (2)")
    training.add_argument("--epochs", type=int, default=5, help="the budget: passes over the training set (5)")
    training.add_argument("--batch-size", type=int, default=32, help="examples per step (32)")
    training.add_argument(
        "--lrs",
        nargs="+",
        type=float,
        default=[0.1, 0.01],
        metavar="LR",
        help="the one that trains best counts (.1 .01)",
    )
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run the parts.

    Returns:
        Exit status: 0 done, 2 bad input (nothing written), 130 stopped (the parts that were finished are written).
    """
    p = parser()
    options = p.parse_args(argv)
    runtime.configure()  # naming an activation may import JAX
    # JAX's QR runs on SciPy's OpenBLAS, loaded with JAX; its threads make small matrices 30 times slower (measured).
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    with p.checked():
        check_installed(("matplotlib",), "the figures", "figures")
        plan = plan_from(options)
    try:
        from jaxact.classics.depth.run import run

        print(run(plan, runtime.command(MODULE)))
    except KeyboardInterrupt as stop:
        return runtime.stopped(stop, f"the tables of the finished parts are in {plan.out}")
    return 0
