"""What a finished grid leaves behind: `summary.csv` of all records in its folder, `report.md` of its protocol."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from jaxact import files, records
from jaxact.config import Config
from jaxact.records import Record, RecordError, folders
from jaxact.report.table import counted
from jaxact.study.outcome import beside_published, machines, protocol_text, ranked
from jaxact.study.plan import Plan


def finish(plans: Sequence[Plan], command: str) -> str:
    """Write `summary.csv` and `report.md`; return the tables of what the plans name as text.

    Both files hold earlier runs too, so that training a part of a folder's configurations or seeds again takes nothing
    away from them: the summary every record of the folder, the report those of the plans' protocols.
    """
    out = plans[0].out
    with files.locked(out):  # else a run that ends meanwhile may be left out by what was read before
        every, unreadable = stored(out)
        records.write_summary(out / "summary.csv", records.summary(every))
        _write_report([widened(plan, every) for plan in plans], every, command, unreadable)
    here = {record.config: record for record in every}
    asked = [_tables(plan, _of(plan, here), alone=len(plans) == 1) for plan in plans]
    notes = [f"not read: {error}" for error in unreadable]
    return "\n\n".join(["", *asked, *notes, f"records, summary.csv and report.md are in {out}"])


def stored(out: Path) -> tuple[list[Record], list[RecordError]]:
    """The records of this folder, not those of folders of runs within it, and what could not be read."""
    found, unreadable = [], []
    for path in sorted(out.glob("*/*.npz")):
        try:
            record = records.read(path)
        except RecordError as error:
            unreadable.append(error)
        else:
            if records.path_of(out, record.config) == path:
                found.append(record)
            else:
                unreadable.append(RecordError(folders.misplaced(path, record)))
    return found, unreadable


def widened(plan: Plan, every: Sequence[Record]) -> Plan:
    """The plan with all configurations and seeds of its protocol that the folder holds."""
    same = [record for record in every if _protocol(record.config) == _protocol(plan.configs[0])]
    configs = list(dict.fromkeys([*plan.configs, *(record.config for record in same)]))
    seeds = tuple(sorted({*plan.seeds, *(seed for record in same for seed in record.seeds.tolist())}))
    cut, changed = dict(plan.cut), dict(plan.changed)
    names, own = frozenset(config.activations for config in configs), frozenset(seeds)
    for name, wider, here, whole in (
        ("configs", len(configs) > len(plan.configs), names, plan.preset_names),
        ("seeds", len(seeds) > len(plan.seeds), own, plan.preset_seeds),
    ):
        if wider:  # what the command said of them is no longer so
            cut.pop(name, None)
            changed.pop(name, None)
            if whole - here:
                cut[name] = f"{len(whole & here)} of {len(whole)}"
            if whole and here - whole:
                changed[name] = f"{len(here - whole)} more"
    return plan._replace(configs=configs, seeds=seeds, cut=cut, changed=changed)


def _protocol(config: Config) -> tuple[Config, bool]:
    return replace(config, activations=("relu",) * len(config.activations)), config.paired


def _of(plan: Plan, here: dict[Config, Record]) -> list[Record]:
    found = [here[config].subset(plan.seeds) for config in plan.configs if config in here]
    return [record for record in found if len(record.seeds)]


def _tables(plan: Plan, found: Sequence[Record], *, alone: bool) -> str:
    parts = [] if alone else [f"# {protocol_text(plan)}"]
    return "\n\n".join([*parts, *(part for part in (ranked(found), beside_published(plan, found)) if part)])


def _write_report(plans: Sequence[Plan], every: Sequence[Record], command: str, unreadable: Sequence[object]) -> None:
    here, plan = {record.config: record for record in every}, plans[0]
    own = [_of(plan, here) for plan in plans]
    found = [record for part in own for record in part]
    runs = [run for record in found for run in record.meta["runs"]]
    rest = len(every) - len({record.config for record in found})
    protocols = [protocol_text(each, part) for each, part in zip(plans, own, strict=True)]
    lines = [
        f"# {plan.out.name}: {counted(len(found), 'configuration')}, {counted(_runs(found), 'run')}",
        f"Command: `{command}`",
        f"Protocol: {protocols[0]}." if len(plans) == 1 else "Protocols:\n\n" + "\n".join(f"- {p}." for p in protocols),
        f"Data: {'; '.join(sorted({record.meta['data']['source'] for record in found}))}.",
        f"Made between {min(r['started_utc'] for r in runs)} and {max(r['started_utc'] for r in runs)}; "
        f"{timedelta(seconds=round(sum(r['seconds'] for r in runs)))} of training in all.",
        *([f"`summary.csv` holds {counted(rest, 'configuration')} of other protocols besides."] if rest else []),
        *(f"Not read: {error}." for error in unreadable),
        "Environment:\n\n" + "\n".join(f"- {machine}" for machine in machines(found)),
        "Accuracies in percent on the test set after the last epoch; sd over seeds (ddof 1); at chance: the network "
        "assigns every test example to one class; never predicted: mean number of such classes.",
        *(_tables(plan, part, alone=len(plans) == 1) for plan, part in zip(plans, own, strict=True)),
    ]
    records.write_text(plan.out / "report.md", "\n\n".join(lines).rstrip() + "\n")


def _runs(found: Sequence[Record]) -> int:
    return sum(len(record.seeds) for record in found)
