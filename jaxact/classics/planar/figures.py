"""The figures of `experiments.planar`: sizes, learning rates, bouncing costs, decision boundaries."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from jaxact.classics.planar.measure import COURSE_RATE, Measured, network_of
from jaxact.classics.planar.network import logits
from jaxact.classics.planar.plan import PlanarPlan
from jaxact.classics.planar.points import load
from jaxact.classics.planar.variants import activation
from jaxact.report.figures import Axes, Figure, figure, save
from jaxact.report.palette import BLACK, BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILION, YELLOW

COLOURS = (BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY, YELLOW, BLACK)
"""An activation has one colour and one marker in all figures."""
MARKERS = "os^DvP*X"
SHADES = (BLACK, BLUE, SKY, GREEN, ORANGE, VERMILION)
CLASSES = (BLUE, VERMILION)
FILLS = ("#BFDBEC", "#F5D7BF")
GRID = 150
MOST = 8
RATE_SIZES = ("4", "20", "100")
DPI = 90


def draw(plan: PlanarPlan, found: Sequence[Measured]) -> list[str]:
    """Draw what the results allow into the plan's folder; return the file names."""
    parts = [[done for done in found if done.cell.part == part] for part in ("thread", "sweep")]
    figures = {"costs.png": costs(plan, parts[0])} if parts[0] else {}
    figures |= {"sweep.png": sweep(plan, parts[1]), "boundaries.png": boundaries(plan, parts[1])}
    for name, drawn in figures.items():
        save(drawn, plan.out / name, dpi=DPI)
    return list(figures)


def _style(plan: PlanarPlan, name: str) -> dict[str, Any]:
    i = plan.activations.index(name) % MOST
    return {"color": COLOURS[i], "marker": MARKERS[i], "markersize": 5, "label": name}


def sweep(plan: PlanarPlan, found: Sequence[Measured]) -> Figure:
    """On the first data set: accuracy by size, and by learning rate for up to three sizes."""
    mine = [done for done in found if done.cell.dataset == plan.datasets[0]]
    drawn = figure(11, 7.5)
    top, bottom = drawn.subfigures(2, 1, squeeze=False)[:, 0]
    axes = top.subplots()
    _sizes(axes, plan, mine)
    layers = list(dict.fromkeys(d.cell.layers for d in sorted(mine, key=lambda d: d.cell.hidden)))
    wanted = [name for name in RATE_SIZES if name in layers] or layers[:3]
    panels = bottom.subplots(1, len(wanted), sharey=True, squeeze=False)[0]
    for panel, name in zip(panels, wanted, strict=True):
        _rates(panel, plan, [d for d in mine if d.cell.layers == name])
    panels[0].set_ylabel(f"training accuracy (%), mean of {len(plan.seeds)} seeds")
    drawn.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    return drawn


def _sizes(axes: Axes, plan: PlanarPlan, found: Sequence[Measured]) -> None:
    """Accuracy of every size at its own best learning rate; bars from the lowest to the highest seed."""
    names = {(d.cell.hidden, d.cell.init): f"{d.cell.layers}\n{d.cell.init}" for d in found}
    order = sorted(names, key=lambda key: (len(key[0]), key[0], key[1]))
    for i, name in enumerate(plan.activations):
        mine = {(d.cell.hidden, d.cell.init): d.accuracy[d.best] for d in found if d.cell.activation == name}
        x = np.arange(len(order)) + (i - (len(plan.activations) - 1) / 2) * 0.6 / len(plan.activations)
        mean = np.array([mine[key].mean() for key in order])
        ends = [mean - [mine[key].min() for key in order], [mine[key].max() for key in order] - mean]
        axes.errorbar(x, mean, ends, linestyle="none", capsize=2, linewidth=1, **_style(plan, name))
    axes.set_xticks(range(len(order)), [names[key].removesuffix("\ncourse") for key in order])
    axes.set_xlabel("hidden units (weights 0.01 randn; 'lecun': randn/√fan-in)")
    axes.set_ylabel("training accuracy (%)")
    axes.set_title(
        f"{found[0].cell.dataset}: each network at its best learning rate, {len(plan.seeds)} seeds, min to max"
    )
    axes.grid(axis="y", alpha=0.3)


def _rates(axes: Axes, plan: PlanarPlan, found: Sequence[Measured]) -> None:
    """Accuracy of one size over the learning rate, with the first initial weights that were tried."""
    for done in (d for d in found if d.cell.init == found[0].cell.init):
        axes.plot(done.cell.rates, done.accuracy.mean(axis=1), **_style(plan, done.cell.activation))
    axes.set_xscale("log")
    axes.set_xticks(plan.rates, [f"{rate:g}" for rate in plan.rates])
    axes.minorticks_off()
    axes.axvline(COURSE_RATE, color="grey", linewidth=1, linestyle=":")
    axes.set_title(f"{found[0].cell.layers} hidden units")
    axes.set_xlabel("learning rate (dotted: the course's)")
    axes.grid(alpha=0.3)


def costs(plan: PlanarPlan, thread: Sequence[Measured]) -> Figure:
    """The cost over the steps in the reported settings: one panel for several learning rates, one for the rest."""
    drawn = figure(10.4, 3.8)
    panels = drawn.subplots(1, 2, squeeze=False, sharey=True)
    single = [done for done in thread if len(done.cell.rates) == 1]
    several = [done for done in thread if len(done.cell.rates) > 1]
    names = list(dict.fromkeys([*plan.activations, *(done.cell.activation for done in thread)]))
    for done in single:
        line = {"color": COLOURS[names.index(done.cell.activation) % MOST], "linewidth": 1.2}
        line |= {"label": f"{done.cell.activation}, {done.cell.layers} units, {done.cell.rates[0]:g}"}
        panels[0, 0].plot(done.trace_steps, done.trace[0, done.shown], **line)
    for done in several:
        for i, shade in zip(range(len(done.cell.rates)), SHADES, strict=False):
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
    return drawn


def boundaries(plan: PlanarPlan, found: Sequence[Measured]) -> Figure:
    """Where each network says class 0 and class 1, at its best learning rate, with the points it was trained on.

    Rows are activations; columns the sizes on the first data set, below them its deeper networks and the other sets.
    """
    columns: dict[tuple[Any, ...], dict[str, Measured]] = {}
    for done in sorted(found, key=lambda d: (plan.datasets.index(d.cell.dataset), len(d.cell.hidden), d.cell.hidden)):
        c = done.cell
        columns.setdefault((c.dataset, c.layers, c.init), {})[c.activation] = done
    sets = dict.fromkeys(key[0] for key in columns)
    of_first = [key for key in columns if key[0] == plan.datasets[0]]
    others = [next(key for key in columns if key[0] == name) for name in sets if name != plan.datasets[0]]
    shallow = [key for key in of_first if "x" not in key[1]]
    keys = [*shallow, *(key for key in of_first if key not in shallow), *others][: 2 * MOST]
    across, activations = min(MOST, len(keys)), plan.activations[:MOST]
    blocks = [keys[i : i + across] for i in range(0, len(keys), across)]
    drawn = figure(1.5 * across + 0.4, (1.7 * len(activations) + 0.4) * len(blocks) + 0.4)
    for part, block in zip(drawn.subfigures(len(blocks), 1, squeeze=False)[:, 0], blocks, strict=True):
        panels = part.subplots(len(activations), across, squeeze=False)
        for axes in panels.flat:
            axes.set_axis_off()
        for i, name in enumerate(activations):
            for axes, key in zip(panels[i], block, strict=False):
                heading = f"{key[0]}, {key[1]}" + (f"\n{key[2]} weights" if key[2] != "course" else "")
                _regions(axes, columns[key][name], heading if i == 0 else "")
            panels[i, 0].set_ylabel(name.replace("_", "\n", 1), fontsize=9)
    drawn.supxlabel("above each panel: learning rate, training accuracy; class 0 blue, 1 vermilion", fontsize=9)
    return drawn


def _regions(axes: Axes, done: Measured, heading: str) -> None:
    """One panel: the two regions, the points, the learning rate and the accuracy."""
    points, best = load(done.cell.dataset), done.best
    low, high = points.inputs.min(axis=0) - 0.5, points.inputs.max(axis=0) + 0.5
    x, y = (np.linspace(a, b, GRID) for a, b in zip(low, high, strict=True))
    plane = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    network, entry = network_of(done, best, done.shown), activation(done.cell.activation)
    z = jax.jit(logits, static_argnums=1)(network, entry, plane.astype(done.cell.dtype))
    axes.contourf(x, y, np.asarray(z).reshape(GRID, GRID) > 0, levels=[-0.5, 0.5, 1.5], colors=FILLS)
    for label, colour in enumerate(CLASSES):
        axes.scatter(*points.inputs[points.labels == label].T, s=1.5, color=colour, linewidths=0)
    axes.set_axis_on()
    axes.set_xticks([])
    axes.set_yticks([])
    own = f"{done.cell.rates[best]:g}, {done.accuracy[best, done.shown]:.1f} %"
    axes.set_title(f"{heading}\n{own}" if heading else own, fontsize=8)
