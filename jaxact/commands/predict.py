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
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from jaxact.config import Config, canonical, combinations, split_name
from jaxact.data.specs import check_data_dir, spec
from jaxact.execution import runtime
from jaxact.execution.checks import Parser, check_out
from jaxact.report.markdown import environment_list
from jaxact.study.presets import HIDDEN_WIDTHS

if TYPE_CHECKING:
    from jaxact.theory.prediction import Prediction
    from jaxact.theory.text import Request

MODULE = "experiments.predict"
OWN_DATA = ("features", "q0", "c0", "inputs", "widths")
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
    with p.checked():
        out = check_out(options.out) if options.out is not None else None
        configs = configurations(options)
        # A few thousand points in float64: no accelerator is worth its start-up time.
        os.environ.setdefault("JAX_PLATFORMS", "cpu")
        runtime.configure(cpu_devices=1)
        request = statistics(options, configs)
        predictions = predict_all(request)
    from jaxact.theory import text

    print(text.rendered(request, predictions, grid=options.grid, as_json=options.json))
    if out is not None:
        write(out, request, predictions, grid=options.grid)
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


def statistics(options: argparse.Namespace, configs: list[Config]) -> "Request":
    """The request, with the statistics of a named data set or of the user's own.

    Raises:
        ValueError: unknown or incomplete data.
    """
    from jaxact.theory import InputStatistics, prediction
    from jaxact.theory.text import Request

    if any(getattr(options, name) is not None for name in ("features", "q0", "c0")):
        missing = [f"--{name}" for name in OWN_DATA if getattr(options, name) is None]
        if missing or options.dataset or options.measure:
            wrong = f"{', '.join(missing)} missing" if missing else "--dataset and --measure excluded"
            raise ValueError(f"your own data needs all of --{' --'.join(OWN_DATA)}: {wrong}")
        data = InputStatistics(options.q0, options.c0)
        return Request(configs, options.features, data, options.inputs, "your own data")
    facts = spec(options.dataset or "mnist")
    if options.measure:
        from jaxact import data as datasets
        from jaxact.theory import input_groups

        folder = check_data_dir(options.data_dir) if options.data_dir is not None else None
        known = input_groups(datasets.load(facts.name, folder).train_images)
    elif options.data_dir is not None:
        raise ValueError("--data-dir is read by --measure only: add --measure or drop it")
    elif facts.name not in prediction.STATISTICS:
        raise ValueError(f"q0 and c0 of {facts.name} are not known here: add --measure, which reads the data")
    else:
        known = prediction.STATISTICS[facts.name]
    inputs = facts.train_size if options.inputs is None else options.inputs
    return Request(configs, facts.features, known, inputs, facts.name)


def predict_all(request: "Request") -> "list[Prediction]":
    """One prediction per configuration, those with the most dead outputs first; a long list reports its progress."""
    from jaxact.theory import prediction

    found = []
    for i, config in enumerate(request.configs, start=1):
        found.append(prediction.predict(config, request.features, request.data, request.inputs))
        if i % 64 == 0 and len(request.configs) > 64:
            print(f"{i} of {len(request.configs)} combinations", file=sys.stderr, flush=True)
    return sorted(found, key=lambda p: (-p.expected_dead[-1], p.config.name))


def write(out: Path, request: "Request", predictions: "list[Prediction]", *, grid: bool) -> None:
    """Write `predictions.csv` (one row per configuration and layer) and `report.md`."""
    from jaxact.theory import text

    out.mkdir(parents=True, exist_ok=True)
    (out / "predictions.csv").write_text(text.tidy(predictions), encoding="utf-8")
    body = text.rendered(request, predictions, grid=grid)
    environment = environment_list(runtime.environment())
    parts = ["# Predicted dead outputs", f"Command: `{runtime.command(MODULE)}`", f"Environment:\n\n{environment}"]
    report = "\n\n".join([*parts, body if grid else f"```\n{body}\n```"])
    (out / "report.md").write_text(report + "\n", encoding="utf-8")
