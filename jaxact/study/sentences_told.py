"""The sentences of `experiments.sentences`, paragraph by paragraph as README and docs/answer.md have them."""

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from jaxact import records
from jaxact.records import Record
from jaxact.statistics import spearman
from jaxact.study import published, report
from jaxact.study import registered as explain_registered
from jaxact.study.answer import span
from jaxact.study.evidence import FAILING, Case
from jaxact.study.interventions import INTERVENTIONS
from jaxact.study.interventions_report import with_interval
from jaxact.study.page import records as report_records
from jaxact.study.registered import load as registered
from jaxact.study.sentences_answer import (
    FIRST,
    Material,
    all_combinations,
    answer,
    brief,
    effect,
    milder,
    number,
    relu_outputs,
    theory,
)

SHORT_EPOCHS = 2


def every(results: Path) -> list[list[str]]:
    """All paragraphs.

    Raises:
        ValueError: records that are not there.
    """
    main = results / "mnist-paper"
    options = Namespace(records=[str(main)], interventions=str(results / "interventions"), dataset="mnist")
    grid = report_records.main_grid(report_records.load([main], lambda _: None))
    behind = {name.rpartition("-")[0] for name in FAILING}
    needed = {n: r for n, r in grid.records.items() if n.endswith("-relu") or n.rpartition("-")[0] in behind}
    m = Material(results, report.gather(needed, options), grid)
    return [
        brief(m),
        answer(m),
        all_combinations(m),
        milder(m),
        theory(m),
        repairs(m),
        short(m),
        predictions(m),
        others(m),
        figures(),
    ]


def repairs(m: Material) -> list[str]:
    """The rows of the table of interventions, and how many seeds they have."""
    named = {"linear": "linear output", "centred": "centred sigmoid", "lr_tenth": "learning rate / 10"}
    found = {name: effect(m, name) for name in named}
    before = found["linear"].before
    head = f"accuracy after 10 epochs, {len(found['linear'].seeds)} seeds"
    rows = [f"| none | {before.accuracy:.1f} | | {before.dead_start:.1f} | {before.attenuation:.3f} |"]
    for name, text in named.items():
        after, difference = found[name].after, with_interval(found[name].difference).replace("-", "−")
        dead = f"{after.dead_start:.1f}" if after.dead_start else "0"
        rows.append(f"| {text} | {after.accuracy:.1f} | {difference} | {dead} | {after.attenuation:.3f} |")
    return [head, *rows]


def short(m: Material) -> list[str]:
    """The short interventions."""
    after = {(name, what): _short(m, name, what) for name in FAILING for what in
             ("batchnorm_last", "output_bias", "leaky", "wide", "lr_tenfold")}  # fmt: skip
    seeds = {len(record.seeds) for record in after.values()}
    mean = {key: record.test_accuracy()[:, -1].mean() for key, record in after.items()}
    repaired = [mean[FIRST, what] for what in ("batchnorm_last", "output_bias", "leaky")]
    killed = [mean[FIRST, what] for what in ("wide", "lr_tenfold")]
    return [
        f"After {SHORT_EPOCHS} epochs ({span(list(seeds), 'd')} seeds) batch norm before the output, an output bias of "
        f"1 and a leaky output take {FIRST} to {span(repaired, '.0f')} %.",
        f"The leaky output leaves sigmoid-sigmoid-relu at {mean['sigmoid-sigmoid-relu', 'leaky']:.1f} %.",
        f"A four times wider layer before the output or a tenfold learning rate kill {FIRST} altogether "
        f"({span(killed, '.1f')} %",
    ]


def _short(m: Material, name: str, what: str) -> Record:
    base = replace(m.evidence.cases[name].record.config, epochs=SHORT_EPOCHS)
    config = INTERVENTIONS[what].change(base)
    if (record := records.find(m.results / "interventions-short", config)) is None:
        raise ValueError(f"{m.results}/interventions-short has no runs of {what} on {name}: restore that folder")
    return record


def predictions(m: Material) -> list[str]:
    """The registered predictions that fail, by what they say in numbers."""
    seeds = registered()["seeds"]
    own = [report.case(c.record.subset(seeds)) for c in m.failing]
    agree = np.concatenate([c.agreement for c in own]).mean()
    nearly = sum(int((c.lost_inactive - c.lost_dead).sum()) for c in own)
    nearly /= sum(int((c.never - c.lost_dead).sum()) for c in own)
    stayed = sum(c.stayed.sum() for c in own) / sum(c.dead_start.sum() for c in own)
    centred = next(
        e for e in m.evidence.effects if e.intervention == "centred" and e.base.name == "sigmoid-sigmoid-relu"
    )
    part, whole = ([c.accuracy.mean() for c in cases] for cases in (_registered_relu(m, seeds), relu_outputs(m)))
    c = np.array([one.predicted_correlation for one in relu_outputs(m)])
    rho = [spearman(c, np.array(means), np.random.default_rng(0)).rho for means in (part, whole)]
    verdicts = _verdicts(m, seeds)
    fail = [verdict for verdict in verdicts if verdict.startswith("fails")]
    return [
        f"{number(len(verdicts))} predictions were [registered](../jaxact/study/registered.toml) before the seeds "
        f"{min(seeds)} to {max(seeds)} were trained.",
        f"{number(len(fail))} fail, {number(fail.count('fails so far')).lower()} of them on part of those seeds:",
        f"centring does not bring sigmoid-sigmoid-relu to 90 % ({centred.after.accuracy:.1f}: the biases stay a common "
        f"part, {centred.after.dead_start:.1f} outputs still start dead)",
        f"only {100 * agree:.0f} % of the runs have as many strictly dead outputs as lost classes, within one (of the "
        f"lost classes whose output is not strictly dead, {100 * nearly:.0f} % have one that fires for at most 1 % of "
        "the images)",
        f"{100 * stayed:.0f} %, not 90, of the outputs that start dead end dead",
        f"ranks accuracy with ρ = {_minus(rho[0])}, not −0.8 (over all seeds, which were not registered, "
        f"{_minus(rho[1])})",
    ]


def _verdicts(m: Material, seeds: Sequence[int]) -> list[str]:
    """What became of each of the registered predictions."""
    cases = {case.name: case for case in _registered_relu(m, seeds)}
    runs = explain_registered.Runs(cases, m.evidence.effects)
    return [explain_registered.evaluate(one["id"], runs, seeds).verdict for one in registered()["prediction"]]


def _minus(value: float) -> str:
    return f"{value:.3f}".replace("-", "−")


def _registered_relu(m: Material, seeds: Sequence[int]) -> list[Case]:
    return [report.case(c.record.subset(seeds)) for c in relu_outputs(m)]


def others(m: Material) -> list[str]:
    """Of the study's other tables."""
    found = [r for r in records.read_all(m.results / "optimizers") if isinstance(r, Record)]
    by_rule: dict[str, list[float]] = {}
    for record in found:
        by_rule.setdefault(record.config.optimizer, []).append(float(record.test_accuracy()[:, -1].mean()))
    rates = {record.config.learning_rate for record in found}
    lenets = [r for r in records.read_all(m.results / "cifar10-cnn-full") if isinstance(r, Record)]
    (tanh,) = [r for r in lenets if r.config.name == "relu-selu-selu-tanh-identity"]
    curve = tanh.test_accuracy()[0]
    both = max(*by_rule["torch_rmsprop"], *by_rule["torch_adagrad"])
    return [
        f"RMSprop and Adagrad repair nothing (means of at most {both:.0f} %), and neither does Adadelta at the study's "
        f"learning rate of {span(list(rates), 'g')} (at most {max(by_rule['torch_adadelta']):.0f} %); its default of 1 "
        "was not run.",
        f"a tanh before the linear output saturates wholly and the network falls from {curve.max():.0f} to "
        f"{curve[-1]:.0f} % ({number(len(tanh.seeds)).lower()} seed, CIFAR-10's stand-in).",
    ]


def figures() -> list[str]:
    """Of the published figures."""
    main, adadelta, adagrad = (published.load_table(f"mnist_mlp{part}") for part in ("", "_adadelta", "_adagrad"))
    pairs = published.duplicate_runs(main)
    assert all(pair.equal == pair.shared for pair in pairs)
    families = published.run_families(published.load_table("mnist_mlp_batchnorm"))
    first, second = (sorted(int(name(pair)) for pair in pairs) for name in (lambda p: p.first, lambda p: p.second))
    same = published.compare_runs(adadelta, adagrad)[0]
    return [
        f"the '{len(main.runs)} runs' of the MNIST table are {len(main.runs) - len(pairs)}, since runs "
        f"{second[0]}–{second[-1]} repeat runs {first[0]}–{first[-1]} digit for digit in all {pairs[0].shared} rows",
        f"the {number(sum(map(len, families))).lower()} batch-norm runs look like "
        f"{number(len(families)).lower()} seeds",
        f"Adagrad's column repeats Adadelta's in {same.equal} of {same.shared} rows",
    ]
