"""The report of `experiments.depth`: what its tables show, in sentences and one table made from the numbers."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments import runtime
from experiments.depth_figures import SHOWN_DEPTH, mean_accuracy
from experiments.table import aligned

if TYPE_CHECKING:
    from experiments.depth import Plan

Rows = list[dict[str, Any]]
TRAINED = 0.5
SCALES = 6.0
"""Schoenholz et al. 2017 found networks trainable up to about 6 ξ."""
BEYOND = 1e6
"""A depth scale above it is shown as infinite: rounding keeps χ = 1 from being met exactly."""


def write(plan: "Plan", source: str, tables: dict[str, Rows], figures: dict[str, str], command: str) -> str:
    """Write `report.md`; return the findings and the table."""
    findings = [say(tables) for name, say in FINDINGS.items() if name in tables]
    text = "\n".join(f"- {finding}" for finding in findings)
    table = overview(plan, tables)
    environment = runtime.environment()
    packages = ", ".join(f"{name} {version}" for name, version in environment.pop("packages").items() if version)
    facts = [f"- {name}: {value}" for name, value in environment.items() if value != ""]
    parts = [
        "# Depth: gradients, training and dead units in stacks of equal layers",
        f"Command: `{command}`",
        protocol(plan, source),
        f"## What it shows\n\n{text}",
        f"## Theory, gradients and training\n\n{table}\n\n{NOTES}",
        f"## χ of every activation and initialiser\n\n{chi_table(plan, tables['theory'])}\n\n{MISSING}",
        "## Figures\n\n" + "\n\n".join(f"![{caption}]({name})\n\n{caption}" for name, caption in figures.items()),
        "## Environment\n\n" + "\n".join([*facts, f"- packages: {packages}"]),
    ]
    (plan.out / "report.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return f"{text}\n\n{table}"


NOTES = (
    "χ: growth of a squared gradient per layer at the deepest layer, by mean-field theory; ξ = −1/ln χ in layers, "
    "negative where gradients grow; ξ_c: the depth to which two inputs stay apart (– where the variance still moves); "
    "gradient: log₁₀ of ‖∂h^L/∂h^1‖ relative to the last layer, predicted, root mean square and median network; "
    "trained: the greatest depth from which, and up to which, the mean test accuracy is at least 50 %. For square "
    "hidden layers lecun_normal, glorot_uniform and orthogonal have the same χ; critical: σ_w², σ_b² of the edge of "
    "chaos at the smallest q* of 1, 2, 4, … that has one; where that q* is unstable (gelu) the variance drifts off and "
    "χ with it. Learnable slopes are held at their start, random ones at "
    "their mean. Stacks of more than 20 layers have every fifth layer in `gradients.csv` and `layers.csv`."
)


MISSING = (
    "χ at the deepest layer, by theory alone; `theory.csv` holds variances and depth scales. A –: no edge of chaos for "
    "any q* from 1 to 1024, or a variance so small that the activation loses its digits. Any of them is "
    "measured by name: `--activations NAME …`."
)


def chi_table(plan: "Plan", rows: Rows) -> str:
    """χ, one row per activation, one column per initialiser."""
    chi = {(row["activation"], row["init"]): f"{row['chi']:.4f}" for row in rows}
    names = dict.fromkeys(row["activation"] for row in rows)
    return aligned([["activation", *plan.inits], *([n, *(chi.get((n, i), "–") for i in plan.inits)] for n in names)])


def protocol(plan: "Plan", source: str) -> str:
    """What was computed, in one paragraph."""
    rates = ", ".join(f"{rate:g}" for rate in plan.learning_rates)
    return (
        f"Parts: {', '.join(plan.parts)}. At initialisation: {plan.networks} networks of width {plan.wide}, "
        f"{plan.chains} chains and ReLU networks. Training: width {plan.width}, {source}, plain SGD, batch "
        f"{plan.batch_size}, {plan.epochs} epochs, full batches only, {len(plan.seeds)} seeds; of the learning rates "
        f"{rates} the one with the best training accuracy counts. The linear read-out is lecun_normal throughout."
    )


def overview(plan: "Plan", tables: dict[str, Rows]) -> str:
    """One row per activation and initialiser: theory, gradient through the deepest stack, depth that trains."""
    ends = {
        (row["activation"], row["init"]): row
        for row in tables.get("gradients", [])
        if row["layer"] == 1 and row["depth"] == max(plan.depths)
    }
    reached = trained_depth(tables["training"]) if "training" in tables else {}
    header = ["activation", "init", "χ", "ξ", "ξ_c", "gradient predicted", "rms", "median", "trained"]
    lines = []
    for row in tables["theory"]:
        if row["activation"] not in plan.activations:
            continue
        key = row["activation"], row["init"]
        end = ends.get(key)
        columns = ("log10_predicted", "log10_rms", "log10_median")
        numbers = [f"{end[name]:.2f}" if end else "–" for name in columns]
        scales = [_scale(row["gradient_scale"]), _scale(row["correlation_scale"])]
        depth = str(reached[key] or "none") if key in reached else "–"
        lines.append([*key, f"{row['chi']:.4f}", *scales, *numbers, depth])
    return aligned([header, *lines])


def _scale(value: float | None) -> str:
    return "–" if value is None else "∞" if abs(value) > BEYOND else f"{value:.1f}"


def trained_depth(rows: Rows) -> dict[tuple[str, str], int]:
    """The greatest depth such that it and every smaller one reach `TRAINED`; 0 if the smallest does not."""
    reached: dict[tuple[str, str], int] = {}
    stopped: set[tuple[str, str]] = set()
    for (activation, init, depth), accuracy in sorted(mean_accuracy(rows).items(), key=lambda item: item[0][2]):
        key = activation, init
        reached.setdefault(key, 0)
        if accuracy < TRAINED:
            stopped.add(key)
        elif key not in stopped:
            reached[key] = depth
    return reached


def _chain(tables: dict[str, Rows]) -> str:
    rows = tables["chain"]
    name = rows[0]["activation"]
    length = min(10, max(row["length"] for row in rows))
    at = {row["law"]: row for row in rows if row["activation"] == name and row["length"] == length}
    one, mean = at["unit"], at["unit_mean"]
    violated = sum(row["share_above_bound"] > 0 for row in rows if row["law"] == "unit")
    return (
        f"A chain of {length} {name} units: the bound is {10 ** one['log10_bound']:.3g}; with |w| = 1 the gradient is "
        f"{10 ** one['log10_mean']:.3g} on average and no bound of any activation is exceeded at "
        f"{'any length' if not violated else f'all but {violated} lengths'}; with w ~ N(0, π/2), so that E|w| = 1, the "
        f"mean is {10 ** mean['log10_mean']:.3g}, the median {10 ** mean['log10_median']:.3g}, and "
        f"{100 * mean['share_above_bound']:.1f} % of the chains exceed the bound, which holds for |w| ≤ 1 (and for the "
        "mean) only."
    )


def _gradients(tables: dict[str, Rows]) -> str:
    rows = tables["gradients"]
    depth = max(row["depth"] for row in rows)
    ends = [row for row in rows if row["depth"] == depth and row["layer"] == 1]
    ends = [row for row in ends if np.isfinite(row["log10_rms"]) and np.isfinite(row["log10_predicted"])]
    error = np.array([row["log10_rms"] - row["log10_predicted"] for row in ends])
    worst = ends[int(np.argmax(np.abs(error)))]
    predicted = np.array([row["log10_predicted"] for row in ends])
    return (
        f"Through {depth} layers of width {worst['width']} the gradient changes by {predicted.min():.1f} to "
        f"{predicted.max():+.1f} decades depending on activation and initialiser; mean-field theory is off by "
        f"{np.median(np.abs(error)):.2f} decades in the median and {np.abs(error).max():.2f} at most "
        f"({worst['activation']}, {worst['init']}; its median network by "
        f"{abs(worst['log10_median'] - worst['log10_predicted']):.2f}). Theory neglects the finite width and takes "
        f"inputs as equally long. {_above_bound(ends)}"
    )


def _above_bound(ends: Rows) -> str:
    """Which wide stacks the bound of the chain does not hold for."""
    above = [row for row in ends if row["log10_rms"] > row["log10_chain_bound"] + 0.5]
    if not above:
        return "None of them exceeds (sup |φ'|)^(L−1), the bound of the chain, by half a decade."
    row = max(above, key=lambda row: row["log10_rms"] - row["log10_chain_bound"])
    return (
        f"The bound of the chain, (sup |φ'|)^(L−1), is none for wide layers, where Σ w² counts, not |w|: {len(above)} "
        f"of {len(ends)} exceed it by more than half a decade, most {row['activation']} {row['init']}, 10^"
        f"{row['log10_rms']:.1f} against 10^{row['log10_chain_bound']:.1f}."
    )


def _training(tables: dict[str, Rows]) -> str:
    scale = {(row["activation"], row["init"]): abs(row["gradient_scale"]) for row in tables["theory"]}
    cells = mean_accuracy(tables["training"])
    within = {cell: value for cell, value in cells.items() if cell[2] <= SCALES * scale[cell[:2]]}
    beyond = {cell: value for cell, value in cells.items() if cell not in within}
    failed = [cell for cell, value in within.items() if value < TRAINED]
    trained = [cell for cell, value in beyond.items() if value >= TRAINED]

    def shown(exceptions: list[tuple[str, str, int]]) -> str:
        return "; ".join(f"{name} {init} {depth}" for name, init, depth in sorted(exceptions)) or "none"

    return (
        f"Of the {len(within)} stacks no deeper than 6 |ξ|, {len(within) - len(failed)} reach {100 * TRAINED:.0f} % "
        f"within the budget; of the {len(beyond)} deeper ones {len(trained)} do. ξ comes from the initialisation "
        f"alone. No deeper, yet below: {shown(failed)}. Deeper, yet above: {shown(trained)}. What makes the exceptions "
        "was not measured: the theory is of infinite width, the budget short, the learning rates few."
    )


def _layers(tables: dict[str, Rows]) -> str:
    rows = tables["layers"]
    first = {
        (row["activation"], row["init"], row["depth"], row["stage"]): row["log10_gradient"]
        for row in rows
        if row["layer"] == 1 and row["depth"] == max(row["depth"] for row in rows)
    }
    moved = [(after - first[(*key[:3], "before")], key) for key, after in first.items() if key[3] == "after"]
    finite = [item for item in moved if math.isfinite(item[0])]
    if not finite:
        return "No stack of the greatest depth keeps a finite gradient in its first layer through training."
    change, (activation, init, depth, _) = max(finite)
    still = sum(abs(size) < 0.5 for size, _ in finite)
    return _health(rows) + (
        f" Training changes the first layer's gradient in {depth}-layer stacks by less than half a decade in {still} "
        f"of {len(moved)} cases; the largest growth is 10^{change:+.1f} ({activation}, {init})."
    )


def _health(rows: Rows) -> str:
    """The stacks with most saturated units and most exact zeros, means over layers."""
    depths = {row["depth"] for row in rows}
    shown = max([depth for depth in depths if depth <= SHOWN_DEPTH] or [min(depths)])
    means: dict[str, dict[tuple[str, str], dict[str, float]]] = {"saturated": {}, "zero": {}}
    for column, cells in means.items():
        for row in (row for row in rows if row["depth"] == shown):
            cell = cells.setdefault((row["activation"], row["init"]), {"before": 0.0, "after": 0.0})
            cell[row["stage"]] += 100 * row[column] / shown
    text = []
    for column, what in (("saturated", "saturated or off"), ("zero", "exactly 0")):
        (activation, init), share = max(means[column].items(), key=lambda item: item[1]["before"])
        text.append(
            f"{share['before']:.0f} % of the units are {what} for an input at initialisation, {share['after']:.0f} % "
            f"after training, with {activation}, {init}"
        )
    return (
        f"In stacks of {shown} layers at most {text[0]}, and at most {text[1]} (means over layers; saturated, or off "
        "for a relu: |φ'| below 5 % of its largest)."
    )


def _dying(tables: dict[str, Rows]) -> str:
    rows = [row for row in tables["dying"] if row["closed_form"] is not None]
    inside = sum(row["low"] <= row["closed_form"] <= row["high"] for row in rows)
    several = {(row["width"], row["depth"]): row for row in tables["dying"] if row["closed_form"] is None}
    gap, one = max(((r["share"] - several[r["width"], r["depth"]]["share"], r) for r in rows), key=lambda item: item[0])
    others = several[one["width"], one["depth"]]
    return (
        f"Dead ReLU networks with one input: the closed form lies inside the 95 % interval for {inside} of {len(rows)} "
        f"widths and depths (depths of one width share networks). It is an upper bound for several inputs, which die "
        f"together less often: the largest difference is {100 * gap:.0f} points, at width {one['width']} and depth "
        f"{one['depth']}, where {100 * one['share']:.0f} % are dead for one input and "
        f"{100 * others['share']:.0f} % for all of {others['inputs']}."
    )


FINDINGS = {"chain": _chain, "gradients": _gradients, "training": _training, "layers": _layers, "dying": _dying}
