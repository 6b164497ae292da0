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

import argparse
import os
from pathlib import Path

from jaxact.config import Config, canonical, combinations, split_name
from jaxact.data.specs import spec
from jaxact.execution import runtime
from jaxact.execution.checks import Parser, check_out
from jaxact.report.markdown import environment_list
from jaxact.study.presets import HIDDEN_WIDTHS

MODULE = "experiments.predict"
LARGEST_GRID = 10_000


def parser() -> Parser:
    """The options."""
    p = Parser.of(MODULE, __doc__)
    p.add_argument(
        "activations", nargs="+", metavar="NAME", help="one per layer, output included; or relu-sigmoid-relu"
    )
    p.add_argument("--grid", action="store_true", help="all combinations of the named activations, ranked")
    p.add_argument("--widths", nargs="+", type=int, metavar="N", help="units per layer (3 layers: 500 256 10)")
    p.add_argument("--init", default="torch_default", help="lecun_normal, he_normal, … (torch_default)")
    p.add_argument("--dataset", help="mnist, fashion_mnist or digits (mnist); others with --measure")
    p.add_argument("--inputs", type=int, metavar="N", help="inputs to be dead on (the size of the training set)")
    p.add_argument(
        "--measure", action="store_true", help="measure the inputs instead of using known numbers (shown by --json)"
    )
    p.add_argument("--data-dir", help="for --measure: a folder with the data set's files")
    own = p.add_argument_group("your own data, instead of --dataset")
    own.add_argument("--features", type=int, metavar="N", help="inputs of the first layer")
    own.add_argument("--q0", type=float, help="mean of |x|^2 / features")
    own.add_argument("--c0", type=float, help="mean of x_a.x_b / (features q0) over pairs of different inputs")
    p.add_argument("--json", action="store_true", help="print JSON")
    p.add_argument("--out", help="also write predictions.csv and report.md there")
    return p


def main(argv: list[str] | None = None) -> int:
    """Predict.

    Returns:
        Exit status: 0 done, 2 bad input (nothing written).
    """
    p = parser()
    options = p.parse_args(argv)
    # A few thousand points in float64: no accelerator is worth its start-up time.
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    runtime.configure(cpu_devices=1)  # naming an activation may import JAX
    with p.checked():
        out = check_out(options.out) if options.out is not None else None
        configs = configurations(options)
        from jaxact.theory import asked, text

        request = asked.statistics(options, configs)
        predictions = asked.predict_all(request)
    print(text.rendered(request, predictions, grid=options.grid, as_json=options.json))
    if out is not None:
        body = text.rendered(request, predictions, grid=options.grid)
        write(out, body if options.grid else f"```\n{body}\n```", text.tidy(predictions))
    return 0


def configurations(options: argparse.Namespace) -> list[Config]:
    """The configurations that the options name.

    Raises:
        ValueError: one line that shows the value, the limit and the remedy.
    """
    names = [name for text in options.activations for name in split_name(text)]
    layers = len(options.widths) if options.widths else 3 if options.grid else len(names)
    if options.widths is None and layers not in HIDDEN_WIDTHS:
        raise ValueError(f"{layers} layers have no default widths: give --widths, {layers} numbers")
    widths = options.widths or (*HIDDEN_WIDTHS[layers], spec(options.dataset or "mnist").classes)
    names = [canonical(name) for name in names]
    if not options.grid:
        return [Config(activations=tuple(names), widths=tuple(widths), init=options.init)]
    if len(set(names)) < len(names):
        raise ValueError(f"{' '.join(names)} names an activation twice: name each once")
    if (count := len(names) ** layers) > LARGEST_GRID:
        raise ValueError(f"{count} combinations are more than {LARGEST_GRID}: name fewer activations or layers")
    return [Config(activations=c, widths=tuple(widths), init=options.init) for c in combinations(names, layers)]


def write(out: Path, body: str, rows: str) -> None:
    """Write `predictions.csv` (one row per configuration and layer) and `report.md`."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "predictions.csv").write_text(rows, encoding="utf-8")
    environment = environment_list(runtime.environment())
    parts = [
        "# Predicted dead outputs",
        f"Command: `{runtime.command(MODULE)}`",
        f"Environment:\n\n{environment}",
        body,
    ]
    (out / "report.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
