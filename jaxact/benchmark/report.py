"""What `experiments.benchmark` says: the table, the verdicts on its targets, the JSON, the report and the figure."""

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from jaxact.benchmark.measure import Measured, Point, Results
from jaxact.benchmark.rows import ROWS
from jaxact.benchmark.task import BATCH, WIDTHS, state_bytes, step_flops
from jaxact.report.figures import figure, save
from jaxact.report.markdown import document, environment_list, image
from jaxact.report.palette import BLACK, BLUE, GREEN, PURPLE, VERMILION
from jaxact.report.table import aligned

REFERENCES = {"torch": VERMILION, "torch-per-core": PURPLE, "loop": GREEN, "floor": BLACK}
MOST_COLD, MOST_DRIFT, MOST_OTHERS = 10.0, 0.15, 0.1
FLAT_FROM, FLAT_TO = 8, 128
TARGETS = (
    ("torch", 2.0, "faster than PyTorch eager in one process"),
    ("torch", 3.0, "faster than PyTorch eager in one process (the goal)"),
    ("torch-per-core", 1.5, "faster than PyTorch in one single-threaded process per core"),
    ("floor", 0.5, "of the floor's rate"),
    ("floor", 0.75, "of the floor's rate (the goal)"),
)


def times(measured: Measured) -> list[float]:
    """Milliseconds per model-step, by round."""
    return [sample.ms for sample in measured.samples]


def ratio(row: Measured, base: Measured) -> float:
    """Median over the rounds of the row's time over the base's in the same round, which a drifting machine spares."""
    return median(a / b for a, b in zip(times(row), times(base), strict=True))


def _ran(rows: dict[str, Measured], name: str) -> bool:
    return name in rows and bool(rows[name].samples)


def table(rows: dict[str, Measured]) -> str:
    """One line per row: median, smallest and largest ms per model-step, and how often jaxact's time that is."""
    lines = [["row", "ms per model-step, median", "min", "max", "× jaxact's time", "core-ms", "model-steps per s"]]
    for name, row in rows.items():
        title = ROWS[name].title
        if not row.samples:
            lines.append([f"{title}: not run: {row.not_run}", *["–"] * 6])
            continue
        taken = times(row)
        middle = median(taken)
        best = next((s.best for s in row.samples if s.ms == min(taken)), None)
        numbers = [f"{value:.3f}" for value in (middle, min(taken), max(taken))]
        against = f"{ratio(row, rows['jaxact']):.2f}" if _ran(rows, "jaxact") else "–"
        core = "–" if best else f"{median(s.core_ms or 0.0 for s in row.samples):.3f}"
        lines.append([f"{title} ({best})" if best else title, *numbers, against, core, f"{1e3 / middle:.0f}"])
    return aligned(lines)


def sweep_table(sweep: Sequence[Point]) -> str | None:
    """One line per seed count; None without a sweep."""
    ran = [point for point in sweep if point.measured.samples]
    if not ran:
        return None
    lines = [["seeds in one call", "ms per model-step, median", "min", "max", "model-steps per s", "peak memory MB"]]
    for point in ran:
        taken, peak = times(point.measured), peak_mb(point)
        numbers = [f"{value:.3f}" for value in (median(taken), min(taken), max(taken))]
        memory = "–" if peak is None else f"{peak:.0f}"
        lines.append([str(point.seeds), *numbers, f"{1e3 / median(taken):.0f}", memory])
    return aligned(lines)


def peak_mb(point: Point) -> float | None:
    """Largest resident size of the worker, MB of 10⁶ bytes."""
    peak = point.measured.samples[-1].peak_bytes
    return None if peak is None else peak / 1e6


def others(results: Results) -> float | None:
    """Cores that other work took while the rows ran, median over all repeats; None where the system does not tell."""
    found = [sample.others for row in results.rows.values() for sample in row.samples]
    return median(other for other in found if other is not None) if found and None not in found else None


def verdicts(results: Results) -> list[str]:
    """One line per target: the measured number, and whether it was reached; a busy machine settles nothing."""
    lines = _verdicts(results)
    if (taken := others(results)) is not None and taken > MOST_OTHERS:
        return [f"{line} in this run, on a busy machine" if line.endswith("reached") else line for line in lines]
    return lines


def _verdicts(results: Results) -> list[str]:
    lines = []
    for name, target, what in TARGETS:
        wanted = f"at least {target:g} × {what}" if target > 1 else f"at least {100 * target:g} % {what}"
        missing = next((other for other in ("jaxact", name) if not _ran(results.rows, other)), None)
        if missing:
            why = results.rows[missing].not_run if missing in results.rows else "left out by --rows"
            lines.append(f"{wanted}: not measured: {ROWS[missing].title}: {why}")
            continue
        reached = ratio(results.rows[name], results.rows["jaxact"])
        shown = f"{reached:.2f} ×" if target > 1 else f"{100 * reached:.0f} %"
        lines.append(f"{wanted}: {shown}: {_said(reached >= target)}")
    return [*lines, *_compile_verdicts(results.compile), *_sweep_verdicts(results.sweep)]


def _said(reached: bool) -> str:
    return "reached" if reached else "not reached"


def _compile_verdicts(found: dict[str, list[dict[str, float]]]) -> list[str]:
    if not found.get("cold") or not found.get("cached"):
        return []
    cold, cached = (median(t["compile_seconds"] for t in found[name]) for name in ("cold", "cached"))
    lines = [f"compilation of the whole grid under {MOST_COLD:g} s: {cold:.1f} s: {_said(cold < MOST_COLD)}"]
    return [*lines, f"a second start takes it from the cache: {cached:.1f} s: {_said(cached < cold / 2)}"]


def _sweep_verdicts(sweep: Sequence[Point]) -> list[str]:
    if not sweep:
        return []
    ends = [next((p for p in sweep if p.seeds == n and p.measured.samples), None) for n in (FLAT_FROM, FLAT_TO)]
    first, last = ends
    name = f"cost per model from {FLAT_FROM} to {FLAT_TO} seeds within {100 * MOST_DRIFT:g} %"
    if first is None or last is None:
        return [f"{name}: not measured: the sweep has {', '.join(str(p.seeds) for p in sweep)} seeds"]
    drift = ratio(last.measured, first.measured) - 1
    lines = [f"{name}: {100 * drift:+.1f} %: {_said(abs(drift) < MOST_DRIFT)}"]
    low, high = peak_mb(first), peak_mb(last)
    if low is not None and high is not None:
        each = (high - low) / (last.seeds - first.seeds)
        need = state_bytes() / 1e6
        lines.append(
            f"memory per further network from {FLAT_FROM} to {FLAT_TO} seeds: {each:.2f} MB, {each / need:.2f} × "
            f"its parameters and momentum ({need:.2f} MB)"
        )
    return lines


def summary(results: Results) -> str:
    """The tables and the verdicts, as Markdown that reads well as plain text."""
    gflops = f"A model-step's matrix products are {step_flops() / 1e6:.1f} million floating point operations"
    if _ran(results.rows, "floor"):
        rate = step_flops() / median(times(results.rows["floor"])) / 1e6
        gflops += f"; the best sgemm rate of all cores is {rate:.1f} GFLOP/s"
    verdict = "\n".join(f"- {line}" for line in verdicts(results))
    parts = [disturbance(results), table(results.rows), f"{gflops}.", sweep_table(results.sweep), verdict]
    return "\n\n".join(part for part in parts if part)


def disturbance(results: Results) -> str | None:
    """How busy the machine was with other work."""
    taken = others(results)
    if taken is None:
        return None
    if taken <= MOST_OTHERS:
        return f"Other work took {taken:.2f} cores meanwhile."
    return (
        f"Other work took {taken:.2f} cores meanwhile: **these times settle nothing**, repeat the command on a quiet "
        "machine. The core-ms, processor time per model-step, suffer less."
    )


def as_json(results: Results, facts: dict[str, Any]) -> dict[str, Any]:
    """Everything measured as plain values.

    Args:
        results: the measurements.
        facts: command, protocol and environment.
    """

    def plain(row: Measured) -> dict[str, Any]:
        made: dict[str, Any] = {"info": row.info, "not_run": row.not_run, "ms_per_model_step": times(row)}
        return made | {"samples": [sample._asdict() for sample in row.samples]}

    rows = {name: {"title": ROWS[name].title} | plain(row) for name, row in results.rows.items()}
    sweep = [{"seeds": point.seeds} | plain(point.measured) for point in results.sweep]
    measured = {"rows": rows, "sweep": sweep, "compile": results.compile}
    return (
        facts
        | {"flops_per_model_step": step_flops(), "others_cores": others(results), "verdicts": verdicts(results)}
        | measured
    )


def report(results: Results, facts: dict[str, Any], file: str | None) -> str:
    """The Markdown report."""
    p = facts["protocol"]
    shape = "-".join(map(str, WIDTHS))
    text = [
        "# How fast is jaxact",
        f"`{facts['command']}`, {facts['started_utc']}",
        f"{p['activations']}, layers of {shape} units, {p['data']}, batch {BATCH}, SGD with learning rate 0.01 and "
        f"momentum 0.5, {p['precision']}. Every repeat trains fresh networks for {p['steps']} steps ({p['seeds']} "
        f"seeds for jaxact); {p['repeats']} rounds in which the rows take turns, after one that is not recorded. "
        "Milliseconds are wall time of the machine over the model-steps that the machine did in it; ratios are "
        "medians of the rounds' own; core-ms are processor time of all threads per model-step. jaxact's time includes "
        "initialisation and keeping loss and accuracy, PyTorch's neither.",
        summary(results),
        "The floor is the number of operations over the best rate of square single-precision products in any "
        "library at hand (NumPy, SciPy, XLA, PyTorch) with one single-threaded process per core; the row above it "
        "multiplies the model-step's own matrices that way.",
    ]
    if file:
        text.append(image(file, "throughput and memory against the number of seeds"))
    return document(*text, f"## Environment\n\n{environment_list(facts['environment'])}")


def draw(path: Path, results: Results) -> bool:
    """Throughput and peak memory against the number of seeds; False, and nothing drawn, without a sweep."""
    ran = [point for point in results.sweep if point.measured.samples]
    if not ran:
        return False
    drawn = figure(10, 4.4)
    left, right = drawn.subplots(1, 2)
    seeds, taken = [point.seeds for point in ran], [times(point.measured) for point in ran]
    middle = [1e3 / median(t) for t in taken]
    spread = [[m - 1e3 / max(t), 1e3 / min(t) - m] for m, t in zip(middle, taken, strict=True)]
    left.errorbar(
        seeds, middle, list(zip(*spread, strict=True)), color=BLUE, marker="o", capsize=3, label="jaxact, one call"
    )
    for name, colour in REFERENCES.items():
        if _ran(results.rows, name):
            rate = 1e3 / median(times(results.rows[name]))
            left.axhline(rate, color=colour, linestyle="--", linewidth=1.2, label=ROWS[name].title)
    left.set(xlabel="seeds", ylabel="model-steps per second", title="Throughput: median, smallest, largest")
    left.set_ylim(bottom=0)
    peaks = [peak for point in ran if (peak := peak_mb(point)) is not None]
    if len(peaks) == len(ran):
        need = state_bytes() / 1e6
        right.plot(seeds, peaks, "o-", color=BLUE, label="measured")
        needed = [peaks[0] + need * (n - seeds[0]) for n in seeds]
        right.plot(seeds, needed, "--", color=VERMILION, label="first point + parameters and momentum")
        right.legend(fontsize=8)
    right.set(xlabel="seeds", ylabel="MB", title="Peak resident memory of the process", ylim=(0, None))
    for axes in (left, right):
        axes.set_xscale("log", base=2)
        axes.set_xticks(seeds, [str(n) for n in seeds])
        axes.grid(alpha=0.3)
    handles, labels = left.get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=8)
    save(drawn, path)
    return True
