"""What a grid says before it starts and of its records: the plan, the ranked table, the comparison."""

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np

from jaxact import architectures, records
from jaxact.config import TORCH_OPTIMIZERS, Config
from jaxact.execution.runtime import cores
from jaxact.records import Record
from jaxact.report.table import aligned, counted
from jaxact.statistics import summarize
from jaxact.study import comparison, published
from jaxact.study.plan import Plan
from jaxact.study.published import PublishedTable

OVER_PRODUCTS = {"mlp": 1.6, "lenet": 2.8}
"""Measured time of a training step over that of its matrix products alone (BUILD.md, performance notes)."""
MOST_NAMES = 4  # configurations that a line of text names at most
OPTIMIZERS = {"sgd": "sgd", **{name: name.removeprefix("torch_") for name in TORCH_OPTIMIZERS}}
"""Ours with the definitions of PyTorch, and what the published tables call them; optax's rmsprop is another one."""


def pending(plan: Plan) -> list[tuple[Config, int]]:
    """The (configuration, seed) jobs that no readable record holds yet."""
    jobs = []
    for config in plan.configs:
        record = records.find(plan.out, config)
        have = set(record.seeds.tolist()) if record else set()
        jobs += [(config, seed) for seed in plan.seeds if seed not in have]
    return jobs


def check_same_data(plan: Plan, source: str) -> None:
    """Refuse to add runs on one set of pixels to records made on another, such as a stand-in.

    Raises:
        ValueError: a record of the plan was made on other contents than `source` names.
    """
    for config in plan.configs:
        record = records.find(plan.out, config)
        if record and _contents(record.meta["data"]["source"]) != _contents(source):
            raise ValueError(
                f"the records in {plan.out} were made on {record.meta['data']['source']!r}, not on {source!r}: "
                "use the same data, or another --out"
            )


def _contents(source: str) -> str:
    return source.rpartition("contents ")[2].split()[0]


def opening(plan: Plan, todo: Sequence[tuple[Config, int]], *, alone: bool = True) -> str:
    """What is printed before training: what is done, what is to do, and the protocol where it is one of several."""
    return _opening(plan, todo) if alone else f"{protocol_text(plan)}: {_opening(plan, todo)}"


def _opening(plan: Plan, todo: Sequence[tuple[Config, int]]) -> str:
    total, left = len(plan.configs) * len(plan.seeds), len({config for config, _ in todo})
    if not todo:
        everything = f"{counted(len(plan.configs), 'configuration')} x {counted(len(plan.seeds), 'seed')}"
        return f"all done: {everything} in {plan.out}, nothing to train"
    skipped = f"; skipped: {counted(total - len(todo), 'run')} already in {plan.out}" if len(todo) < total else ""
    return f"{counted(len(todo), 'run')} of {counted(left, 'configuration')} to train, records in {plan.out}{skipped}"


def describe(plans: Sequence[Plan]) -> str:
    """The plan of a dry run: configurations, runs, model-steps, estimated time."""
    parts, total = [], 0.0
    for plan in plans:
        todo = pending(plan)
        steps = len(todo) * plan.configs[0].epochs * plan.steps_per_epoch
        step_ms, basis = _step_ms(plan)
        total += (seconds := steps * step_ms / 1e3)
        names = [config.name for config in plan.configs]
        shown = ", ".join(names if len(names) <= 8 else [*names[:4], "…", *names[-2:]])
        lines = [
            f"protocol        {protocol_text(plan)}",
            f"configurations  {len(names)}: {shown}",
            f"runs            {len(plan.configs) * len(plan.seeds)}, of which {len(todo)} to train",
            f"model-steps     {steps:,}",
            f"estimated time  {timedelta(seconds=round(seconds))} at {step_ms:.2f} ms per model-step ({basis})",
        ]
        parts.append("\n".join(lines))
    if len(plans) > 1:
        parts.append(f"in all          {timedelta(seconds=round(total))}")
    return "\n\n".join(parts) + f"\nrecords         {plans[0].out}"


def _step_ms(plan: Plan) -> tuple[float, str]:
    measured = [
        run["seconds"] * 1e3 / (len(run["seeds"]) * config.epochs * plan.steps_per_epoch)
        for config in plan.configs
        if (record := records.find(plan.out, config))
        for run in record.meta["runs"]
        if run["seeds"]
    ]
    if measured:
        return float(np.median(measured)), f"median of the records in {plan.out}"
    over = OVER_PRODUCTS[plan.configs[0].architecture]
    return _products_ms(plan) * over, f"matrix products timed on {cores()} cores x {over}"


def _products_ms(plan: Plan) -> float:
    """Milliseconds of one step's matrix products, were they spread evenly over all cores.

    Timed in one thread: BLAS threads that wait for a core others use made 200 ms of 1.5 on a busy machine.
    """
    from threadpoolctl import threadpool_limits

    config = plan.configs[0]
    sizes = architectures.products(config.architecture, config.dataset, config.widths, config.batch_size)
    rng = np.random.default_rng(0)
    layers = [(rng.random((n, a), np.float32), rng.random((a, b), np.float32)) for n, a, b in sizes]

    def step() -> None:
        for i, (x, w) in enumerate(layers):
            h = x @ w
            _ = x.T @ h
            if i:
                _ = h @ w.T

    times = []
    with threadpool_limits(1):
        step()
        for _ in range(20):
            started = time.perf_counter()
            step()
            times.append(time.perf_counter() - started)
    return 1e3 * min(times) / cores()


def protocol_text(plan: Plan, found: Sequence[Record] = ()) -> str:
    """The protocol in one line, what was cut or changed against the named preset included.

    Args:
        plan: the protocol, and the seeds it asks for.
        found: the records that are told of, where they may have fewer seeds than that.
    """
    c = plan.configs[0]
    n = c.limit_train or plan.spec.train_size
    least, most = (f([len(r.seeds) for r in found] or [len(plan.seeds)]) for f in (min, max))
    seeds = counted(most, "seed") if least == most else f"{least} to {most} seeds"
    text = (
        f"{c.dataset} ({n:,} of {plan.spec.train_size:,} training examples), "
        f"{architectures.describe(c.architecture, c.dataset, c.widths)}, batch norm {_layers(c)}, {c.init}, "
        f"{c.optimizer} lr {c.learning_rate:g} momentum {c.momentum:g}, batch {c.batch_size}, "
        f"{counted(c.epochs, 'epoch')}, {seeds}"
    )
    for said, part in (("cut by", plan.cut), ("changed:", plan.changed)):
        told = [f"{name}={_said(plan, name, value)}" for name, value in part.items()]
        text += f"; {said} {', '.join(told)}" if told else ""
    return text


def _said(plan: Plan, name: str, value: Any) -> str:
    """The value of an option in a line of text; of many configurations their number."""
    if name == "configs" and isinstance(value, list):
        few = len(value) <= MOST_NAMES or name in plan.changed
        return " ".join(value) if few else f"{len(plan.configs)} of {len(plan.preset_names)}"
    return str(value)


def _layers(config: Config) -> str:
    if len(config.batch_norm) == len(config.widths):
        return "on all layers"
    many = "s" * (len(config.batch_norm) > 1)
    return f"on layer{many} {', '.join(map(str, config.batch_norm))}" if config.batch_norm else "none"


def one_line(record: Record) -> str:
    """One finished configuration for the progress display."""
    row = ranked_row(record)
    return (
        f"{row[0]}: {row[2]} % ± {row[3]} over {counted(int(row[1]), 'seed')}, range {row[4]} to {row[5]}, "
        f"{row[6]} at chance" + (f", {row[8]} diverged" if row[8] != "0" else "")
    )


def ranked_row(record: Record) -> list[str]:
    """Configuration, seeds, mean, sd (ddof 1), min, max, seeds at chance, mean classes never predicted, diverged.

    A seed is at chance when its network assigns every test example to one class.
    """
    accuracy = np.where(record.diverged, np.nan, record.test_accuracy()[:, -1])
    never = record.never_predicted()[:, -1]
    at_chance = int(((never == record.config.widths[-1] - 1) & ~record.diverged).sum())
    s = summarize(accuracy)
    numbers = ["–" if np.isnan(x) else f"{x:.2f}" for x in (s.mean, s.sd, s.minimum, s.maximum)]
    healthy = never[~record.diverged]
    lost = f"{healthy.mean():.1f}" if len(healthy) else "–"
    return [record.config.name, str(len(accuracy)), *numbers, str(at_chance), lost, str(int(record.diverged.sum()))]


def ranked(found: Sequence[Record]) -> str:
    """The table of all configurations by mean accuracy, best first, as aligned Markdown."""
    header = ["configuration", "seeds", "mean", "sd", "min", "max", "at chance", "never predicted", "diverged"]
    rows = sorted((ranked_row(record) for record in found), key=lambda row: (row[2] == "–", -_float(row[2]), row[0]))
    return aligned([header, *rows])


def _float(text: str) -> float:
    return 0.0 if text == "–" else float(text)


def beside_published(plan: Plan, found: Sequence[Record]) -> str | None:
    """Ours beside the published figures of the same protocol, as text; None where none was published."""
    compared = compare_published(plan, found)
    if compared is None:
        return None
    note, rows = compared
    return f"## Ours beside the published figures\n\n{note}\n\n{comparison.render(rows)}"


def compare_published(plan: Plan, found: Sequence[Record]) -> tuple[str, tuple[comparison.ComparisonRow, ...]] | None:
    """What ours is set beside, and the rows; None where nothing of the protocol was published.

    A run of another length, on fewer examples or with the batch size of the text instead of that of the loaders is set
    beside the protocol it is nearest to, under a heading that says so; fewer configurations or seeds are said, too.
    """
    tables = [table for protocol in _near(plan) for table in published.find_tables(protocol)]
    if not tables:
        return None
    table = tables[0]
    accuracies = {r.config.name: np.where(r.diverged, np.nan, r.test_accuracy()[:, -1]) for r in found}
    rows = comparison.compare(accuracies, table, np.random.default_rng(0))
    whole = len(published.pool_architectures(table))
    parts = [
        _warning(plan, table.protocol, found),
        f"Published: `{table.name}`, {len(table.runs)} runs as printed; repeats of a run count once.",
        "Its rows that differ only in an activation that was never applied are runs of one network."
        * (table.applied_layers < len(table.configurations[0].split("-"))),
        _repeats(table),
        f"Of its {whole} configurations {len(rows)} are here." * (len(rows) < whole),
        f"Seeds: {len(plan.seeds)} of the preset's {len(plan.preset_seeds)}." * ("seeds" in plan.cut),
    ]
    return " ".join(part for part in parts if part), rows


def _near(plan: Plan) -> list[published.Protocol]:
    """The protocol of the plan, then those of other length, then those of the batch size that was really run."""
    c = plan.configs[0]
    norm = {(): "none", tuple(range(1, len(c.widths) + 1)): "all"}.get(c.batch_norm, "some")
    ours = published.Protocol(
        c.dataset, c.architecture, (plan.spec.features, *c.widths) if c.architecture == "mlp" else c.widths, norm,
        OPTIMIZERS.get(c.optimizer, f"optax's {c.optimizer}"), c.learning_rate, c.momentum, c.batch_size, c.epochs,
        1 + c.paired, c.init,
    )  # fmt: skip
    lengths = dict.fromkeys((c.epochs, *sorted({protocol.epochs for protocol in published.TABLES.values()})))
    batches = [c.batch_size]
    if c.batch_size == published.CIFAR10_BATCH_SIZE_IN_TEXT:  # the text's protocol, beside what was really run
        batches += sorted({protocol.batch_size for protocol in published.TABLES.values()} - {c.batch_size})
    return [ours._replace(epochs=epochs, batch_size=batch) for batch in batches for epochs in lengths]


def _warning(plan: Plan, theirs: published.Protocol, found: Sequence[Record]) -> str:
    """In what our runs are not those of the published protocol; empty if in nothing."""
    c, changed = plan.configs[0], []
    if c.epochs != theirs.epochs:
        changed.append(f"{c.epochs} {'of' if c.epochs < theirs.epochs else 'instead of'} {theirs.epochs} epochs")
    if c.limit_train:
        changed.append(f"{c.limit_train:,} of {plan.spec.train_size:,} examples")
    if c.batch_size != theirs.batch_size:
        changed.append(f"batch {c.batch_size} instead of {theirs.batch_size}")
    if any("NOT the original" in record.meta["data"]["source"] for record in found):
        changed.append(f"images that are NOT the original {c.dataset}")
    said = "cut to" if c.limit_train or c.epochs < theirs.epochs else "run with"
    return f"**Not the published protocol: {said} {', '.join(changed)}.**" if changed else ""


def _repeats(table: PublishedTable) -> str:
    """Other published tables of the same rows that most of this table's only run repeats, or is repeated by."""
    if len(table.runs) > 1:
        return ""
    others = (published.load_table(name) for name in published.TABLES if name != table.name)
    same = [
        f"`{other.name}`{f' run {pair.second}' * (len(other.runs) > 1)} in {pair.equal} of {pair.shared} rows"
        for other in others
        if other.configurations == table.configurations and other.protocol.dataset == table.protocol.dataset
        for pair in published.compare_runs(table, other)
        if pair.equal > pair.shared / 2
    ]
    return f"It equals {' and '.join(same)}: the same runs printed twice." if same else ""


def machines(found: Sequence[Record]) -> list[str]:
    """The environments that the runs of some records were made in, one line each."""
    return list(dict.fromkeys(_machine(run) for record in found for run in record.meta["runs"]))


def _machine(run: dict[str, Any]) -> str:
    keys = ("processor", "cores", "backend", "device", "devices", "python", "strategy", "call_size")
    keys += ("xla_flags", "git_commit")
    packages = " ".join(f"{name} {value}" for name, value in run["packages"].items() if value)
    return "; ".join([*(f"{key} {run[key]}" for key in keys), packages, f"platform {run['platform']}"])
