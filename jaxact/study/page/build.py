"""The report of some records, part by part."""

from datetime import timedelta

from jaxact.report.table import counted
from jaxact.study.outcome import machines
from jaxact.study.page import effects as report_effects
from jaxact.study.page import inside, outcome, published
from jaxact.study.page import layers as report_layers
from jaxact.study.page import runs as report_runs
from jaxact.study.page.answer import answer
from jaxact.study.page.heat import figures, views, why_not
from jaxact.study.page.outcome import Outcome
from jaxact.study.page.page import Report
from jaxact.study.page.records import Grid, Material, complaints, main_grid, protocol_line, title_of
from jaxact.study.page.shapes import Section


def build(material: Material, command: str, spectra: report_layers.Spectra | None = None) -> Report:
    """Evaluate the records.

    Args:
        material: the records.
        command: the command line that asked for the report.
        spectra: of single layers, from `experiments.jacobian`, if there are any.

    Returns:
        Everything that is shown.
    """
    grid = main_grid(material)
    found = outcome.outcome(grid)
    effects = report_effects.effects(material, grid)
    sections = [
        ("Runs", _runs(grid, found)),
        ("Inside", _inside(grid, found, spectra)),
        ("Repairs", report_effects.intervened(effects)),
        ("Layers", report_effects.interactions(grid, found)),
        ("Published", published.beside(grid)),
        ("Repeats", published.repeated()),
        ("Claims", published.audited(material)),
        ("Table", Section("table", "All combinations", (), (), [outcome.table(found)])),
    ]
    if others := report_effects.others(grid):
        sections.append(("Others", others))
    return Report(
        grid, found, answer(grid, found, effects), views(grid, found), figures(grid, found),
        complaints(material, grid) + ([reason] if (reason := why_not(grid)) else []), sections, run_line(grid),
        provenance(material, grid, command),
    )  # fmt: skip


def _runs(grid: Grid, found: Outcome) -> Section:
    drawn = [report_runs.seeds(grid, found), report_runs.steps(found), report_runs.curves(grid, found)]
    text = (
        []
        if drawn[1]
        else ["No run of a failing combination or of a ReLU output loses a class: there is no ladder to draw."]
    )
    return Section("runs", "Every run", text, [figure for figure in drawn if figure])


def _inside(grid: Grid, found: Outcome, spectra: report_layers.Spectra | None) -> Section:
    layers = report_layers.figure(spectra, grid) if spectra else None
    drawn = inside.pages(grid, found, layers)
    missing = ""
    if not any(figure.name == "theory" for figure in drawn):
        missing = (
            "No predictions: mean-field theory knows neither batch norm, nor layers of two halves, nor this data set."
        )
    return Section("inside", "Inside the networks", (), drawn, inside.verdicts(found), missing)


def run_line(grid: Grid) -> str:
    """What was run, in one line."""
    low, high = grid.seed_counts
    c, seeds = grid.config, counted(low, "seed") if low == high else f"{low} to {high} seeds"
    runs = counted(sum(len(record.seeds) for record in grid.records.values()), "network")
    parts = f"{counted(len(grid.records), 'combination')} × {seeds} = {runs}"
    return f"{title_of(c.dataset)} · {parts} · {counted(c.epochs, 'epoch')}"


def provenance(material: Material, grid: Grid, command: str) -> list[tuple[str, list[str]]]:
    """Protocol, commands, data, times and machines."""
    found = list(grid.records.values())
    runs = [run for record in found for run in record.meta["runs"]]
    commands = list(dict.fromkeys(run["command"] for run in runs if run.get("command")))
    seconds = sum(run.get("seconds", 0.0) for run in runs)
    started = sorted(run["started_utc"] for run in runs if run.get("started_utc"))
    times = f"between {started[0]} and {started[-1]}, " if started else ""
    return [
        ("This page", [command]),
        ("Records", [str(folder) for folder in material.folders]),
        ("Protocol", [protocol_line(grid)]),
        ("Trained by", commands or ["not recorded"]),
        ("Data", sorted({record.meta["data"]["source"] for record in found})),
        ("Time", [f"{times}{timedelta(seconds=round(seconds))} of training in all"]),
        ("Environment", machines(found)),
    ]
