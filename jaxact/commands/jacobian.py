"""How signals and gradients pass through a named stack, before and during training, beside mean-field theory.

    python -m experiments.jacobian --config relu-sigmoid-relu                  MNIST, 9 seeds, 2 epochs: 2 minutes
    python -m experiments.jacobian --config relu-sigmoid-relu relu-relu-relu --epochs 0 --examples 1000
    python -m experiments.jacobian --config tanh-relu --dataset digits --widths 32 10 --batch-norm all --out DIR

Exact layer, layer-to-layer and input-output Jacobians with their spectra, gradient norms beside the bounds, dead and
saturated units. Times are for two cores. Writes layers.csv, jacobian.csv, spectra.csv, report.md and three figures.
Expected of relu-sigmoid-relu: 4 of 10 outputs are dead from the start, while as much gradient reaches layer 1 as in
relu-centred_sigmoid-relu, which trains. Needs matplotlib: pip install 'jaxact[figures]'.
"""

import os

from jaxact import data
from jaxact.execution import runtime
from jaxact.execution.checks import Parser, check_installed
from jaxact.study.jacobian.plan import plan_from

MODULE = "experiments.jacobian"


def parser() -> Parser:
    """The options."""
    p = Parser.of(MODULE, __doc__)
    p.add_argument("--config", nargs="+", required=True, metavar="NAME", help="such as relu-sigmoid-relu; several")
    p.add_argument("--dataset", default="mnist", help="mnist, fashion_mnist, cifar10 or digits (mnist)")
    p.add_argument("--widths", nargs="+", type=int, metavar="N", help="units per layer (3 layers: 500 256 10)")
    p.add_argument("--init", default="torch_default", help="lecun_normal, he_normal, … (torch_default)")
    p.add_argument("--batch-norm", default="none", metavar="LAYERS", help="none, all, last or numbers: 1,3 (none)")
    p.add_argument("--examples", type=int, default=200, metavar="N", help="training examples for Jacobians (200)")
    p.add_argument("--seeds", default="9", help="a count or a list such as 0,3,17-25 (9)")
    p.add_argument("--epochs", type=int, default=2, help="passes over the training set; 0: initialisation alone (2)")
    p.add_argument("--lr", type=float, default=0.01, help="learning rate of sgd with momentum 0.5 (0.01)")
    p.add_argument("--limit-train", type=int, metavar="N", help="train on the first N examples only")
    p.add_argument("--data-dir", help="a folder with the data set's files; otherwise jaxact finds or fetches them")
    p.add_argument("--out", default="runs/jacobian", help="folder to write to (runs/jacobian)")
    return p


def main(argv: list[str] | None = None) -> int:
    """Measure and write.

    Returns:
        Exit status: 0 done, 2 bad input (nothing written).
    """
    p = parser()
    options = p.parse_args(argv)
    with p.checked():
        check_installed(("matplotlib",), "the figures", "figures")
        plan = plan_from(options)
        arrays = data.load(plan.spec.name, plan.data_dir, limit_train=plan.configs[0].limit_train)
    print(f"data: {arrays.source}", flush=True)
    runtime.configure()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # JAX's SVD runs on SciPy's; devices already fill the cores
    from jaxact.study.jacobian.run import run

    print(run(plan, arrays, runtime.command(MODULE)))
    return 0
