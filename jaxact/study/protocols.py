"""Accuracies of records by the protocol of the study that each was run at, as `jaxact.study.claims` wants them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from jaxact.config import Config
from jaxact.data.specs import spec
from jaxact.records import folders as record_folders
from jaxact.study.interventions_report import accuracies
from jaxact.study.presets import STUDY
from jaxact.study.published import CIFAR10_BATCH_SIZE_IN_TEXT

CIFAR10_BATCH_SIZE = 4
_OPTIMIZERS = {"rmsprop": "torch_rmsprop", "adagrad": "torch_adagrad", "adadelta": "torch_adadelta"}


def protocol_name(config: Config) -> str | None:
    """`mnist`, `cifar10_batch32_batchnorm`, … (see `jaxact.study.claims.Ours`); None for a run the study did not make.

    Full length, all examples, three layers of the study's widths with one of its four activations each.
    """
    if len(config.activations) != 3 or not set(config.activations) <= set(STUDY["activations"]):
        return None
    name = config.dataset
    plain = Config(activations=config.activations, dataset=name, widths=(500, 256, spec(name).classes))
    if name == "cifar10" and config.batch_size == CIFAR10_BATCH_SIZE:
        plain = replace(plain, batch_size=CIFAR10_BATCH_SIZE)
    elif name == "cifar10":
        name += f"_batch{CIFAR10_BATCH_SIZE_IN_TEXT}"
    for suffix, layers in (("batchnorm", (1, 2, 3)), ("batchnorm_last", (3,))):
        if config.batch_norm == layers:
            name, plain = f"{name}_{suffix}", replace(plain, batch_norm=layers)
    for suffix, optimizer in _OPTIMIZERS.items():
        if config.optimizer == optimizer:
            name, plain = f"{name}_{suffix}", replace(plain, optimizer=optimizer, momentum=0.0)
    return name if config == plain else None


def by_protocol(folders: Sequence[Path], left_out: list[str] | None = None) -> dict[str, dict[str, np.ndarray]]:
    """Percent per seed, by protocol and configuration, of all records below the folders.

    A diverged seed counts as chance, a seed that several folders hold as one.

    Args:
        folders: of records.
        left_out: gets a line for every file that cannot be read.
    """
    ours: dict[str, dict[str, np.ndarray]] = {}
    for config, record in record_folders.merged(folders, [] if left_out is None else left_out).items():
        if protocol := protocol_name(config):
            ours.setdefault(protocol, {})[config.name] = accuracies(record)
    return ours
