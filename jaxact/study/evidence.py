"""The numbers behind the verdict: per configuration what its records show, beside what mean-field theory predicts."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxact import activations, records
from jaxact.config import Config, halves_of
from jaxact.data.specs import spec
from jaxact.records import Record
from jaxact.records import folders as record_folders
from jaxact.study import published
from jaxact.study.interventions_report import accuracies
from jaxact.theory import prediction
from jaxact.theory.prediction import Prediction

FAILING = ("relu-sigmoid-relu", "tanh-sigmoid-relu", "sigmoid-sigmoid-relu", "selu-sigmoid-relu")
"""The endings in (sigmoid, relu) that the study found to fail."""


class Case(NamedTuple):
    """One configuration; arrays are [seeds] unless stated otherwise, counts are of the output units.

    Attributes:
        record: its runs.
        accuracy: percent after the last epoch, chance where a seed diverged.
        never: classes never predicted after the last epoch, 0 where a seed diverged.
        dead: [seeds, epochs + 1] outputs that are dead on the test set.
        inactive: [seeds, epochs + 1] outputs that are dead or nearly dead, active for at most 1 % of the test set.
        stayed: outputs dead at initialisation and after the last epoch.
        lost_dead: classes never predicted after the last epoch whose output is dead then.
        lost_inactive: the same for dead or nearly dead outputs.
        lost_at_start: classes never predicted after the last epoch whose output was dead at initialisation.
        lost_by_epoch: [epochs + 1] mean number of classes never predicted.
        saturated: [epochs + 1] share of the last hidden layer's pre-activations with a slope below 5 % of its maximum.
        attenuation: √E‖∂ℓ/∂h¹‖² over √E‖∂ℓ/∂h^L‖² at initialisation, NaN where no output passes a gradient.
        correlation: c of the output pre-activations at initialisation.
        predicted_dead, predicted_correlation: what theory expects of both, for as many inputs as the test set has.
        chi: [layers] of theory.
    """

    record: Record
    accuracy: np.ndarray
    never: np.ndarray
    dead: np.ndarray
    inactive: np.ndarray
    stayed: np.ndarray
    lost_dead: np.ndarray
    lost_inactive: np.ndarray
    lost_at_start: np.ndarray
    lost_by_epoch: np.ndarray
    saturated: np.ndarray
    attenuation: np.ndarray
    correlation: np.ndarray
    predicted_dead: float
    predicted_correlation: float
    chi: np.ndarray

    @property
    def name(self) -> str:
        """The activations joined by hyphens."""
        return self.record.config.name

    @property
    def dead_start(self) -> np.ndarray:
        """[seeds] outputs dead at initialisation."""
        return self.dead[:, 0]

    @property
    def agreement(self) -> np.ndarray:
        """[seeds] whether dead outputs and classes never predicted differ by at most one after the last epoch."""
        return np.abs(self.never - self.dead[:, -1]) <= 1


def study_records(folders: Sequence[Path], dataset: str) -> dict[str, Record]:
    """The records of the study's own protocol by name; of several lengths or sizes, the one with most examples seen.

    Raises:
        ValueError: a folder that does not exist, or none with a record of that protocol.
    """
    found: dict[str, Record] = {}
    left_out: list[str] = []
    for folder in folders:
        if not folder.is_dir():
            raise ValueError(
                f"{folder} is not a folder of records: run python -m experiments.grid --out {folder} first"
            )
    for record in record_folders.each(folders, left_out):
        if is_study(record.config, dataset):
            old = found.get(record.config.name)
            if old is None or _seen(record) > _seen(old):
                found[record.config.name] = record
            elif old.config == record.config:
                found[record.config.name] = records.merge(old, record)
    if not found and left_out:
        raise record_folders.none_left(folders, left_out)
    if not found:
        raise ValueError(
            f"{', '.join(map(str, folders))}: no records of the study's protocol on {dataset}: "
            f"run python -m experiments.grid --dataset {dataset} --out {folders[0]} first, or add --train"
        )
    return found


def _seen(record: Record) -> int:
    config = record.config
    return config.epochs * (config.limit_train or spec(config.dataset).train_size)


def is_study(config: Config, dataset: str) -> bool:
    """Whether a configuration has the study's protocol, whatever its activations, epochs and examples."""
    plain = (
        Config(
            activations=config.activations,
            dataset=dataset,
            widths=(500, 256, spec(dataset).classes),
            epochs=config.epochs,
            limit_train=config.limit_train,
        )
        if len(config.activations) == 3
        else None
    )
    return config == plain


def case(record: Record) -> Case:
    """What one record shows and what theory says of its configuration, which is nothing of functions of one's own."""
    if not in_catalogue(record.config):
        return measured(record)
    theory = predicted(record.config)
    return measured(record)._replace(
        predicted_dead=float(theory.expected_dead[-1]),
        predicted_correlation=float(theory.stack.c[-1]),
        chi=theory.stack.chi,
    )


def in_catalogue(config: Config) -> bool:
    """Whether every layer's activation can be looked up without importing what a record names."""
    entries = [activations.known(half) for name in config.activations for half in halves_of(name)]
    return all(entry is not None and entry.kind == "elementwise" for entry in entries)


@cache
def predicted(config: Config) -> Prediction:
    """What theory says of a configuration, for as many inputs as its test set has."""
    facts = spec(config.dataset)
    return prediction.predict(config, facts.features, prediction.STATISTICS[config.dataset], facts.test_size)


def measured(record: Record) -> Case:
    """What one record shows, with NaN for what theory says."""
    from jaxact.probes import NEARLY_DEAD_SHARE

    arrays, output = record.arrays, len(record.config.widths)
    dead, gradients = record.dead(output), arrays["probe_gradient_layers"][:, 0]
    passed = gradients[:, -1] > 0
    lost = record.lost()
    inactive = dead | (arrays["probe_output_negative"] >= 1 - NEARLY_DEAD_SHARE)
    return Case(
        record=record,
        accuracy=accuracies(record),
        never=lost[:, -1].sum(-1),
        dead=dead.sum(-1),
        inactive=inactive.sum(-1),
        stayed=(dead[:, 0] & dead[:, -1]).sum(-1),
        lost_dead=(dead & lost)[:, -1].sum(-1),
        lost_inactive=(inactive & lost)[:, -1].sum(-1),
        lost_at_start=(dead[:, 0] & lost[:, -1]).sum(-1),
        lost_by_epoch=lost.sum(-1).mean(0),
        saturated=arrays["probe_saturated"][..., output - 2].mean(0),
        attenuation=np.where(passed, gradients[:, 0] / np.where(passed, gradients[:, -1], 1), np.nan),
        correlation=arrays["probe_correlation"][:, 0, -1],
        predicted_dead=np.nan,
        predicted_correlation=np.nan,
        chi=np.full(output, np.nan),
    )


class Verdict(NamedTuple):
    """Which hypothesis the numbers of one failing configuration support, and those numbers.

    Attributes:
        name: the configuration.
        answer: `dead outputs`, `vanishing gradient`, `both` or `undecided`.
        inactive: share of the lost classes, over all runs, whose output is dead or nearly dead.
        strict: the same for outputs that are dead on every test image.
        lost: mean number of classes never predicted.
        saturated: largest mean share of saturated pre-activations of the last hidden layer over the epochs.
        control: the configuration with the same hidden layers and another output that does best, among those with as
            much attenuation if there are any.
        control_accuracy: its mean accuracy; NaN where none was run.
        attenuation, control_attenuation: median gradient at the first layer over that at the output, at initialisation.
        because: what the rule lacks where it is undecided; "" otherwise.
    """

    name: str
    answer: str
    inactive: float
    strict: float
    lost: float
    saturated: float
    control: str
    control_accuracy: float
    attenuation: float
    control_attenuation: float
    because: str = ""


LEAST_LOST, MOSTLY, TRAINS, SATURATED, ALIKE = 0.5, 0.95, 85.0, 0.5, 2.0
RULE = (
    f"dead outputs: at least {LEAST_LOST:g} classes are lost on average, at least {100 * MOSTLY:g} % of them have an "
    "output that is dead or nearly dead (active for at most 1 % of the test set), and a network with the same hidden "
    "layers and another output, whose gradient is attenuated as much (at most "
    f"{ALIKE:g} times as much of it reaches the first layer, in the median at initialisation), reaches {TRAINS:g} %. "
    f"Vanishing gradient: at least {100 * SATURATED:g} % of the last hidden layer's pre-activations are saturated at "
    "some epoch, or no other output trains behind the same hidden layers. Both, or undecided, otherwise. This rule was "
    "written after the first runs; the predictions below were not."
)


def judge(failing: Case, cases: Mapping[str, Case]) -> Verdict:
    """Apply `RULE` to one configuration."""
    hidden = failing.record.config.activations[:-1]
    others = [c for c in cases.values() if c.record.config.activations[:-1] == hidden and c.name != failing.name]
    own = _median(failing.attenuation)
    alike = [c for c in others if _median(c.attenuation) <= ALIKE * own]
    control = max(alike or others, key=lambda c: c.accuracy.mean(), default=None)
    level = control.accuracy.mean() if control else np.nan
    lost, saturated, classes = failing.never.mean(), failing.saturated.max(), max(int(failing.never.sum()), 1)
    inactive, strict = failing.lost_inactive.sum() / classes, failing.lost_dead.sum() / classes
    vanishing = saturated >= SATURATED or (bool(others) and max(c.accuracy.mean() for c in others) < TRAINS)
    lacking = _lacking(float(lost), float(inactive))
    if not lacking and not vanishing:
        lacking = _uncontrolled(bool(others), bool(alike), float(level))
    if vanishing:
        answer = "vanishing gradient" if lacking else "both"
    else:
        answer = "undecided" if lacking else "dead outputs"
    return Verdict(
        failing.name, answer, float(inactive), float(strict), float(lost), float(saturated),
        control.name if control else "–", float(level), own, _median(control.attenuation) if control else np.nan,
        lacking if answer == "undecided" else "",
    )  # fmt: skip


def _lacking(lost: float, inactive: float) -> str:
    """What speaks against dead outputs in the network itself."""
    if lost < LEAST_LOST:
        return f"only {lost:.2f} classes are lost on average"
    return "" if inactive >= MOSTLY else f"only {100 * inactive:.0f} % of the lost classes have their output off"


def _uncontrolled(others: bool, alike: bool, level: float) -> str:
    """What keeps attenuation from being ruled out as the cause."""
    if not others:
        return "no other output was run behind the same hidden layers"
    if not alike:
        return "no other output has a gradient that is known to be attenuated as much"
    return "" if level >= TRAINS else f"no output with as much attenuation reaches {TRAINS:g} %"


def _median(values: np.ndarray) -> float:
    return float(np.nanmedian(values)) if np.isfinite(values).any() else float("nan")


def ladder(cases: Sequence[Case], class_counts: Sequence[int]) -> tuple[published.DeadClassRange, ...]:
    """The accuracies that lost classes leave, from the best seed of the cases."""
    return published.dead_class_ranges(max(float(c.accuracy.max()) for c in cases), class_counts)
