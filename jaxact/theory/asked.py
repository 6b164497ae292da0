"""What `predict` was asked for: the statistics of the inputs, and the predictions for them."""

import argparse
import sys

from jaxact import data
from jaxact.config import Config
from jaxact.data.specs import check_data_dir, spec
from jaxact.theory import prediction
from jaxact.theory.groups import input_groups
from jaxact.theory.prediction import Prediction
from jaxact.theory.stack import InputStatistics
from jaxact.theory.text import Request

OWN_DATA = ("features", "q0", "c0", "inputs", "widths")


def statistics(options: argparse.Namespace, configs: list[Config]) -> Request:
    """The request, with the statistics of a named data set or of the user's own.

    Raises:
        ValueError: unknown or incomplete data.
    """
    if any(getattr(options, name) is not None for name in ("features", "q0", "c0")):
        missing = [f"--{name}" for name in OWN_DATA if getattr(options, name) is None]
        if missing or options.dataset or options.measure:
            wrong = f"{', '.join(missing)} missing" if missing else "--dataset and --measure excluded"
            raise ValueError(f"your own data needs all of --{' --'.join(OWN_DATA)}: {wrong}")
        own = InputStatistics(options.q0, options.c0)
        return Request(configs, options.features, own, options.inputs, "your own data")
    facts = spec(options.dataset or "mnist")
    if options.measure:
        folder = check_data_dir(options.data_dir) if options.data_dir is not None else None
        known = input_groups(data.load(facts.name, folder).train_images)
    elif options.data_dir is not None:
        raise ValueError("--data-dir is read by --measure only: add --measure or drop it")
    elif facts.name not in prediction.STATISTICS:
        raise ValueError(f"q0 and c0 of {facts.name} are not known here: add --measure, which reads the data")
    else:
        known = prediction.STATISTICS[facts.name]
    inputs = facts.train_size if options.inputs is None else options.inputs
    return Request(configs, facts.features, known, inputs, facts.name)


def predict_all(request: Request) -> list[Prediction]:
    """One prediction per configuration, those with the most dead outputs first; a long list reports its progress."""
    found = []
    for i, config in enumerate(request.configs, start=1):
        found.append(prediction.predict(config, request.features, request.data, request.inputs))
        if i % 64 == 0 and len(request.configs) > 64:
            print(f"{i} of {len(request.configs)} combinations", file=sys.stderr, flush=True)
    return sorted(found, key=lambda p: (-p.expected_dead[-1], p.config.name))
