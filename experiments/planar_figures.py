"""The figures of `experiments.planar`: sizes, learning rates, bouncing costs, decision boundaries."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.planar_measure import COURSE_RATE, Measured, network_of
from jaxact import planar

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from experiments.planar import Plan

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#F0E442", "#000000")
"""Okabe and Ito's palette, which colour-blind readers tell apart; an activation has one colour in all figures."""
MARKERS = "os^DvP*X"
CLASSES = ("#0072B2", "#D55E00")
FILLS = ("#BFDBEC", "#F5D7BF")
GRID = 150
MOST = 8
DPI = 90


def check_installed() -> None:
    """Raises ValueError if matplotlib is not installed, without importing it."""
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        raise ValueError("figures need matplotlib: pip install 'jaxact[figures]', or pass --no-figures")


def draw(plan: "Plan", found: Sequence[Measured]) -> list[str]:
    """Draw what the results allow into the plan's folder; return the file names."""
    first = [done for done in found if done.cell.part == "sweep" and done.cell.dataset == plan.datasets[0]]
    others = [done for done in found if done.cell.part == "sweep" and done.cell.dataset != plan.datasets[0]]
    thread = [done for done in found if done.cell.part == "thread"]
    figures = {"sizes.png": sizes(plan, first)}
    if len(plan.rates) > 1:
        figures["rates.png"] = rates(plan, first)
    if thread:
        figures["costs.png"] = costs(thread)
    shallow = [done for done in first if len(done.cell.hidden) == 1] or first
    figures["boundaries.png"] = boundaries(shallow, by_row="activation", by_column="layers")
    if others:
        figures["boundaries_others.png"] = boundaries(others, by_row="dataset", by_column="activation")
    for name, figure in figures.items():
        figure.savefig(plan.out / name, dpi=DPI)
    return list(figures)


def _figure(rows: int, columns: int, size: tuple[float, float], **options: Any) -> "tuple[Figure, np.ndarray]":
    """A figure of panels of a size in inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(columns * size[0], rows * size[1]), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def _style(plan: "Plan", activation: str) -> dict[str, Any]:
    i = plan.activations.index(activation) % MOST
    return {"color": COLOURS[i], "marker": MARKERS[i], "markersize": 5, "label": activation}


def sizes(plan: "Plan", found: Sequence[Measured]) -> "Figure":
    """Accuracy of every size at its own best learning rate; bars from the lowest to the highest seed."""
    names = {(d.cell.hidden, d.cell.init): f"{d.cell.layers}\n{d.cell.init}" for d in found}
    order = sorted(names, key=lambda key: (len(key[0]), key[0], key[1]))
    figure, panels = _figure(1, 1, (max(6.0, 0.8 * len(order) + 1), 4))
    axes = panels[0, 0]
    for i, activation in enumerate(plan.activations):
        mine = {(d.cell.hidden, d.cell.init): d.accuracy[d.best] for d in found if d.cell.activation == activation}
        x = np.arange(len(order)) + (i - (len(plan.activations) - 1) / 2) * 0.6 / len(plan.activations)
        mean = np.array([mine[key].mean() for key in order])
        ends = [mean - [mine[key].min() for key in order], [mine[key].max() for key in order] - mean]
        axes.errorbar(x, mean, ends, linestyle="none", capsize=2, linewidth=1, **_style(plan, activation))
    axes.set_xticks(range(len(order)), [names[key].removesuffix("\ncourse") for key in order])
    axes.set_xlabel("hidden units (weights 0.01 randn; 'lecun': randn/√fan-in)")
    axes.set_ylabel("training accuracy (%)")
    axes.set_title(
        f"{found[0].cell.dataset}: each network at its best learning rate, {len(plan.seeds)} seeds, min to max"
    )
    axes.grid(axis="y", alpha=0.3)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    return figure


def rates(plan: "Plan", found: Sequence[Measured]) -> "Figure":
    """Accuracy over the learning rate, mean of the seeds, for up to three sizes."""
    layers = list(dict.fromkeys(d.cell.layers for d in sorted(found, key=lambda d: d.cell.hidden)))
    wanted = [name for name in ("4", "20", "100") if name in layers] or layers[:3]
    figure, panels = _figure(1, len(wanted), (max(3.6, 6 / len(wanted)), 3.8), sharey=True)
    for axes, name in zip(panels[0], wanted, strict=True):
        for done in (d for d in found if d.cell.layers == name and d.cell.init == found[0].cell.init):
            axes.plot(done.cell.rates, done.accuracy.mean(axis=1), **_style(plan, done.cell.activation))
        axes.set_xscale("log")
        ticks = found[0].cell.rates
        axes.set_xticks(ticks, [f"{rate:g}" for rate in ticks])
        axes.minorticks_off()
        axes.axvline(COURSE_RATE, color="grey", linewidth=1, linestyle=":")
        axes.set_title(f"{found[0].cell.dataset}, {name} hidden units")
        axes.set_xlabel("learning rate (dotted: the course's)")
        axes.grid(alpha=0.3)
    panels[0, 0].set_ylabel(f"training accuracy (%), mean of {len(plan.seeds)} seeds")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    return figure


def costs(thread: Sequence[Measured]) -> "Figure":
    """The cost over the steps in the reported settings: one panel for several learning rates, one for the rest."""
    figure, panels = _figure(1, 2, (5.2, 3.8), sharey=True)
    single = [done for done in thread if len(done.cell.rates) == 1]
    several = [done for done in thread if len(done.cell.rates) > 1]
    shades = ("#000000", "#0072B2", "#56B4E9", "#009E73", "#E69F00", "#D55E00")
    for done, shade in zip(single, shades, strict=False):
        label = f"{done.cell.activation}, {done.cell.layers} units, {done.cell.rates[0]:g}"
        panels[0, 0].plot(done.trace_steps, done.trace[0, done.shown], color=shade, label=label, linewidth=1.2)
    for done in several:
        for i, shade in zip(range(len(done.cell.rates)), shades, strict=False):
            line = {"color": shade, "label": f"{done.cell.rates[i]:g}", "linewidth": 0.9}
            panels[0, 1].plot(done.trace_steps, done.trace[i, done.shown], **line)
        panels[0, 1].set_title(f"{done.cell.activation}, {done.cell.layers} units, by learning rate")
    panels[0, 0].set_title("activation, units, learning rate")
    panels[0, 0].set_ylabel("cost (nats)")
    for axes in panels[0]:
        axes.set_xlabel("gradient step")
        axes.set_ylim(0, 1)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8, ncols=2 if axes is panels[0, 1] else 1, loc="upper right")
    return figure


def boundaries(found: Sequence[Measured], *, by_row: str, by_column: str) -> "Figure":
    """Where each network says class 0 and class 1, at its best learning rate, with the points it was trained on."""
    ordered = sorted(found, key=lambda done: done.cell.hidden)
    table = {(getattr(d.cell, by_row), getattr(d.cell, by_column)): d for d in reversed(ordered)}
    rows = list(dict.fromkeys(getattr(d.cell, by_row) for d in found))[:MOST]
    columns = list(dict.fromkeys(getattr(d.cell, by_column) for d in ordered))[:MOST]
    figure, panels = _figure(len(rows), len(columns), (1.7, 1.8))
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            axes: Axes = panels[i, j]
            axes.set_xticks([])
            axes.set_yticks([])
            if (row, column) in table:
                _regions(axes, table[row, column])
    for axes, column in zip(panels[0], columns, strict=True):
        axes.set_title(
            f"{column} units\n{axes.get_title()}" if by_column == "layers" else f"{column}\n{axes.get_title()}"
        )
    for axes, row in zip(panels[:, 0], rows, strict=True):
        axes.set_ylabel(row.replace("_", "\n", 1))
    figure.supxlabel(
        "across $x_1$, up $x_2$; class 0 blue, 1 vermilion; above each panel its learning rate and training accuracy",
        fontsize=8,
    )
    return figure


def _regions(axes: "Axes", done: Measured) -> None:
    """One panel: the two regions, the points, the learning rate and the accuracy."""
    import jax.numpy as jnp

    from jaxact.planar.network import logits

    points, best = planar.load(done.cell.dataset), done.best
    low, high = points.inputs.min(axis=0) - 0.5, points.inputs.max(axis=0) + 0.5
    x, y = (np.linspace(a, b, GRID) for a, b in zip(low, high, strict=True))
    plane = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    z = logits(network_of(done, best, done.shown), planar.activation(done.cell.activation), jnp.asarray(plane))
    axes.contourf(x, y, np.asarray(z).reshape(GRID, GRID) > 0, levels=[-0.5, 0.5, 1.5], colors=FILLS)
    for label, colour in enumerate(CLASSES):
        axes.scatter(*points.inputs[points.labels == label].T, s=1.5, color=colour, linewidths=0)
    axes.set_title(f"{done.cell.rates[best]:g}, {done.accuracy[best, done.shown]:.1f} %", fontsize=8)
