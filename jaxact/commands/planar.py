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

from jaxact.classics.planar.plan import DTYPES, HIDDEN, INITS, plan_from
from jaxact.classics.planar.points import DATASETS
from jaxact.execution import runtime
from jaxact.execution.checks import Parser

MODULE = "experiments.planar"
ACTIVATIONS = ("tanh", "sigmoid", "relu", "sigmoid_wrong_derivative")
RATES = (0.1, 0.3, 1.2, 4.8)


def parser() -> Parser:
    """The options."""
    p = Parser.of(MODULE, __doc__)
    add = p.add_argument
    add("--datasets", nargs="+", default=DATASETS, metavar="NAME", help=f"{' '.join(DATASETS)} (all)")
    add("--activations", nargs="+", default=ACTIVATIONS, metavar="NAME", help=f"({' '.join(ACTIVATIONS)})")
    layers = f"units of the hidden layers, such as 4 or 20x20 (flower: {' '.join(HIDDEN)}; the others: 4)"
    add("--hidden", nargs="+", metavar="N", help=layers)
    inits = f"{', '.join(INITS)} (course; with several hidden layers lecun too)"
    add("--inits", nargs="+", default=(), choices=INITS, metavar="INIT", help=inits)
    add("--rates", nargs="+", type=float, default=RATES, metavar="R", help="learning rates (0.1 0.3 1.2 4.8)")
    add("--seeds", default="9", help="a count (9) or a list such as 0,3,17-25; the course's is 2")
    add("--steps", type=int, default=5000, help="gradient steps of the sweep (5000, as in the course)")
    add("--thread-steps", type=int, default=10000, metavar="N", help="of the reported settings; 0 skips them (10000)")
    add("--dtype", default="float32", choices=DTYPES, help="of the sweep (float32)")
    add("--no-figures", action="store_true", help="tables only; needs no matplotlib")
    add("--out", default="runs/planar", help="folder to write to (runs/planar)")
    return p


def main(argv: list[str] | None = None) -> int:
    """Run both parts and write `runs.csv`, `summary.csv`, `report.md` and the figures.

    Returns:
        Exit status: 0 done, 2 bad input (nothing written), 130 stopped (nothing written).
    """
    p = parser()
    options = p.parse_args(argv)
    runtime.configure()  # naming an activation may import JAX
    with p.checked():
        plan = plan_from(options)
    from jaxact.classics.planar.run import run

    try:
        print(run(plan, runtime.command(MODULE)))
    except KeyboardInterrupt as stop:
        return runtime.stopped(stop, "nothing was written")
    return 0
