"""The report of `experiments.explain`: sections made from the evidence, Markdown with figures."""

import argparse
import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from jaxact import records
from jaxact.config import Config
from jaxact.records import Record
from jaxact.records import folders as record_folders
from jaxact.report.table import aligned
from jaxact.statistics import spearman
from jaxact.study import claims, figures, interventions, interventions_report, registered
from jaxact.study.answer import Evidence, answered, span
from jaxact.study.evidence import FAILING, RULE, Case, case, judge
from jaxact.study.outcome import machines
from jaxact.study.pooled import bracketed, dead_at_start, lost_and_accuracy
from jaxact.study.protocols import by_protocol


def gather(found: Mapping[str, Record], options: argparse.Namespace) -> Evidence:
    """Evaluate the records, and the interventions if there are any."""
    cases = {name: case(record) for name, record in sorted(found.items())}
    verdicts = [judge(cases[name], cases) for name in FAILING if name in cases]
    return Evidence(cases, _effects(_study(cases, options), options), verdicts)


def _study(cases: Mapping[str, Case], options: argparse.Namespace) -> interventions.Study:
    base = [cases[name].record.config for name in FAILING if name in cases]
    changed = {
        name: [None if (new := one.change(old)) == old else new for old in base]
        for name, one in interventions.INTERVENTIONS.items()
    }
    seeds = sorted({seed for name in FAILING if name in cases for seed in cases[name].record.seeds.tolist()})
    return interventions.Study(base, changed, tuple(seeds), Path(options.interventions), Path(options.records[0]), None)


def _effects(study: interventions.Study, options: argparse.Namespace) -> list[interventions_report.Effect]:
    """The effects of runs that lie in any of the folders of records, or in that of the interventions."""
    folders = [folder for folder in map(Path, (*options.records, options.interventions)) if folder.is_dir()]

    def lookup(study: interventions.Study, config: Config) -> Record | None:
        return record_folders.lookup(folders, config, study.seeds, [])  # `_audit` reads them all and names the bad ones

    return interventions_report.effects(study, lookup)


def write(found: Mapping[str, Record], options: argparse.Namespace, out: Path, command: str) -> str:
    """Write `report.md`, `cases.csv`, `effects.csv` and the figures; return the answer as text.

    Raises:
        ValueError: none of the failing combinations is among the records.
    """
    evidence = gather(found, options)
    if not evidence.verdicts:
        raise ValueError(
            f"the records hold none of {', '.join(FAILING)}: train them with python -m experiments.grid "
            f"--dataset {options.dataset} --configs '*-sigmoid-relu' --out {options.records[0]}"
        )
    answer, left_out = answered(evidence), list[str]()
    audit = _audit(options, left_out)
    sections = [
        "# Why ReLU after sigmoid fails",
        answer,
        _setting(evidence, command),
        "\n".join(f"- Left out: {line}." for line in left_out),
        _verdicts(evidence),
        _ladder(evidence),
        _theory(evidence),
        _interventions(evidence),
        _registered(found, options),
        audit,
    ]
    out.mkdir(parents=True, exist_ok=True)
    figures.draw(evidence.cases, evidence.effects, out)
    _csv(out / "cases.csv", _case_rows(evidence.cases.values()))
    if evidence.effects:
        _csv(out / "effects.csv", interventions_report.tidy(evidence.effects))
    records.write_text(out / "report.md", "\n\n".join(section for section in sections if section) + "\n")
    told = "".join(f"left out: {line}\n" for line in left_out)
    return f"{answer}\n\n{told}report.md, its figures and tables are in {out}"


def _setting(evidence: Evidence, command: str) -> str:
    found = [c.record for c in evidence.cases.values()]
    lengths = sorted({(r.config.epochs, r.config.limit_train or 0) for r in found})
    sizes = "; ".join(f"{epochs} epochs of {f'{limit:,}' if limit else 'all'} examples" for epochs, limit in lengths)
    seeds = [len(c.accuracy) for c in evidence.cases.values()]
    return "\n\n".join(
        [
            f"Command: `{command}`",
            f"{len(found)} configurations, {span(seeds, 'd')} seeds each, {found[0].config.dataset}, the study's "
            f"protocol, {sizes}.",
            f"Data: {'; '.join(sorted({record.meta['data']['source'] for record in found}))}.",
            "Environment:\n\n" + "\n".join(f"- {machine}" for machine in machines(found)),
        ]
    )


def _verdicts(evidence: Evidence) -> str:
    head = ["configuration", "seeds", "accuracy ± sd", "lost classes", "dead at start", "predicted", "dead at end"]
    head += [
        "or nearly",
        "lost are dead",
        "are or nearly",
        "saturated %",
        "gradient 1/L",
        "control",
        "its accuracy",
        "its gradient 1/L",
        "verdict",
    ]
    rows = [head]
    for v in evidence.verdicts:
        c = evidence.cases[v.name]
        sd = f"{c.accuracy.std(ddof=1):.2f}" if len(c.accuracy) > 1 else "–"
        dead = (f"{c.dead[:, 0].mean():.2f}", f"{c.predicted_dead:.2f}", f"{c.dead[:, -1].mean():.2f}")
        dead += (f"{c.inactive[:, -1].mean():.2f}", f"{100 * v.strict:.0f} %")
        rows.append([v.name, str(len(c.accuracy)), f"{c.accuracy.mean():.2f} ± {sd}", f"{v.lost:.2f}", *dead])
        rows[-1] += [f"{100 * v.inactive:.0f} %", f"{100 * v.saturated:.2g}", _or_dash(v.attenuation, ".2g"), v.control]
        rows[-1] += [_or_dash(v.control_accuracy, ".2f"), _or_dash(v.control_attenuation, ".2g"), v.answer]
    note = (
        f"Rule: {RULE}\n\nLost classes: never predicted after the last epoch, of 10. Dead: outputs with slope 0 on the "
        "whole test set; predicted: by mean-field theory, before training; or nearly: active for at most 1 % of it. "
        "Lost are dead: share of the lost classes whose output is, after the last epoch. The reverse need not hold: "
        "where all outputs are 0, class 0 is predicted. "
        "Saturated: largest share over the epochs. Gradient 1/L: median over seeds of the gradient norm at the first "
        "layer's pre-activations over that at the output's, at initialisation."
    )
    return f"## Which hypothesis holds\n\n{note}\n\n{aligned(rows)}\n\n![Dead and saturated units](epochs.png)"


def _or_dash(value: float, form: str) -> str:
    return "–" if np.isnan(value) else format(value, form)


def _ladder(evidence: Evidence) -> str:
    own = [c for c in evidence.cases.values() if c.record.config.activations[-1] == "relu"]
    never, accuracy = (np.concatenate([getattr(c, field) for c in own]) for field in ("never", "accuracy"))
    found = lost_and_accuracy(own)
    fit = "no spread" if np.isnan(found.value) else f"R² = {found.value:.4f}{bracketed(found, '.4f')}"
    counts = {k: accuracy[never == k] for k in np.unique(never).tolist()}
    rows = [["classes lost", "runs", "mean accuracy", "min", "max"]]
    rows += [[str(k), str(len(a)), f"{a.mean():.2f}", f"{a.min():.2f}", f"{a.max():.2f}"] for k, a in counts.items()]
    return (
        f"## Lost classes and accuracy\n\nOver the {len(never)} runs of the {len(own)} combinations with a ReLU output "
        f"the number of classes never predicted explains the accuracy with {fit}.\n\n{aligned(rows)}\n\n"
        "![Lost classes and accuracy](ladder.png)"
    )


def _theory(evidence: Evidence) -> str:
    rng, lines = np.random.default_rng(0), []
    own = [c for c in evidence.cases.values() if c.record.config.activations[-1] == "relu"]
    if len(own) >= 5:
        c = np.array([one.predicted_correlation for one in own])
        found = spearman(c, np.array([one.accuracy.mean() for one in own]), rng)
        lines.append(
            f"Over the {len(own)} combinations with a ReLU output the predicted correlation of the output "
            f"pre-activations ranks the mean accuracy with Spearman's rho = {found.rho:.3f}. It has no "
            "interval: the combinations share their seeds, and none that was tried covers 95 %."
        )
    rows = [
        ["configuration", "seeds", "accuracy", "lost", "c predicted", "c measured", "dead predicted", "dead at start"]
    ]
    rows[0] += ["95 %", "dead at end", "chi product"]
    for one in sorted(evidence.cases.values(), key=lambda one: (-one.predicted_dead, one.name)):
        mean, low, high = dead_at_start(one, rng)
        rows.append([one.name, str(len(one.accuracy)), f"{one.accuracy.mean():.2f}", f"{one.never.mean():.2f}"])
        rows[-1] += [f"{one.predicted_correlation:.4f}", f"{one.correlation.mean():.4f}", f"{one.predicted_dead:.2g}"]
        rows[-1] += [
            f"{mean:.2f}",
            "–" if np.isnan(low) else f"{low:.2f}–{high:.2f}",
            f"{one.dead[:, -1].mean():.2f}",
            f"{one.chi.prod():.2g}",
        ]
    lines += [aligned(rows), "![Predicted and measured](theory.png)"]
    return "## Predicted against measured\n\n" + "\n\n".join(lines)


def _interventions(evidence: Evidence) -> str:
    if not evidence.effects:
        return "## Interventions\n\nNone was run: `python -m experiments.interventions`."
    names = dict.fromkeys(effect.intervention for effect in evidence.effects)
    listed = "\n".join(f"- {name}: {interventions.INTERVENTIONS[name].text}." for name in names)
    return (
        f"## Interventions\n\nOne thing changed, the same seeds.\n\n{listed}\n\n{interventions_report.COLUMNS}\n\n"
        f"{interventions_report.table(evidence.effects)}\n\n![Effects](effects.png)"
    )


def _registered(found: Mapping[str, Record], options: argparse.Namespace) -> str:
    content = registered.load()
    whole = [r.subset(content["seeds"]) for r in found.values() if _full(r.config)]
    cases = {r.config.name: case(r) for r in whole if len(r.seeds)}
    study = _study(cases, options)._replace(seeds=content["seeds"])
    runs = registered.Runs(cases, _effects(study, options))
    rows = [["id", "prediction", "holds if", "outcome", "numbers"]]
    for one in content["prediction"]:
        if options.dataset != "mnist":
            outcome = registered.Outcome("undecided", "registered for mnist")
        else:
            outcome = registered.evaluate(one["id"], runs, content["seeds"])
        rows.append([one["id"], one["statement"], one["holds"], outcome.verdict, outcome.numbers])
    return (
        f"## Registered predictions\n\nWritten down on {content['registered']} in jaxact/study/registered.toml "
        f"(SHA-256 {registered.SHA256[:12]}…), for seeds {min(content['seeds'])} to {max(content['seeds'])}"
        f"{registered.began([c.record for c in cases.values()], content['seeds'])}. Their text and limits are "
        f"as they were then; where runs are missing, the outcome says so.\n\n{_sentences(rows)}"
    )


def _sentences(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose cells are sentences: not padded."""
    lines = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _full(config: Config) -> bool:
    return config.epochs == 10 and config.limit_train is None


def _audit(options: argparse.Namespace, left_out: list[str]) -> str:
    ours = by_protocol([Path(folder) for folder in (*options.records, options.interventions)], left_out)
    rows = [["claim", "published figures", "numbers", "our runs", "our numbers"]]
    for a in claims.audit(ours):
        rows.append([a.claim.statement, a.published.verdict, a.published.numbers, a.ours.verdict, a.ours.numbers])
    return (
        "## The study's claims\n\nEach sentence as a predicate on the published figures (repeated runs counted once) "
        "and on our runs of the full protocol; undecided where an interval leaves both open, or nothing was run.\n\n"
        + _sentences(rows)
    )


def _case_rows(cases: Iterable[Case]) -> list[list[str]]:
    head = ["configuration", "seed", "test_accuracy", "never_predicted", "dead_start", "dead_end", "stayed_dead"]
    rows = [[*head, "correlation_start", "attenuation_start", "predicted_dead", "predicted_correlation"]]
    for one in cases:
        for i, seed in enumerate(one.record.seeds.tolist()):
            numbers = (one.never[i], one.dead[i, 0], one.dead[i, -1], one.stayed[i])
            rest = (one.correlation[i], one.attenuation[i], one.predicted_dead, one.predicted_correlation)
            rows.append(
                [one.name, str(seed), f"{one.accuracy[i]:.2f}", *map(str, numbers), *(f"{x:.6g}" for x in rest)]
            )
    return rows


def _csv(path: Path, rows: Sequence[Sequence[str]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    records.write_text(path, text.getvalue())
