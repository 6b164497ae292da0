"""The figures of `experiments.depth`, drawn from its tables."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from jaxact.report.figures import Axes, Figure, panels, save
from jaxact.report.palette import BLACK, BLUE, GREEN, GREY, MARKERS, ORANGE, PURPLE, SKY, VERMILION, YELLOW

Rows = list[dict[str, Any]]
COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK, GREY, YELLOW)
PANELS = 9
PNG_COLOURS = 128
SHOWN_DEPTH = 20
SHOWN_INITS = ("torch_default", "he_normal", "critical")
LAWS = {
    "unit": "|w| = 1",
    "unit_mean": "N(0, π/2), E|w| = 1",
    "torch_default": "torch_default, U(−1, 1)",
    "lecun_normal": "lecun_normal, variance 1",
}
FLOOR = -60.0  # decades; an exact 0 is drawn at the lower edge


def draw(tables: dict[str, Rows], out: Path) -> dict[str, str]:
    """Draw what the tables hold; return file name → caption."""
    captions: dict[str, str] = {}
    for name, (needed, picture, caption) in PICTURES.items():
        if needed in tables:
            save(picture(tables), out / f"{name}.png", colours=PNG_COLOURS)
            captions[f"{name}.png"] = caption
    return captions


def _values(rows: Rows, column: str) -> np.ndarray:
    return np.array([np.nan if row[column] is None else row[column] for row in rows], float)


def _only(rows: Rows, **wanted: Any) -> Rows:
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def _distinct(rows: Rows, column: str) -> list[Any]:
    return list(dict.fromkeys(row[column] for row in rows))


def _finite(values: np.ndarray) -> np.ndarray:
    return np.where(values < FLOOR, np.nan, values)


def _legend(figure: Figure, axis: Axes, title: str) -> None:
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, title=title, fontsize=8, title_fontsize=8)


def _gradients(tables: dict[str, Rows]) -> Figure:
    """Measured and predicted gradient by layer of the deepest stack, one panel per activation."""
    rows = tables["gradients"]
    rows = _only(rows, depth=max(row["depth"] for row in rows))
    names = _distinct(rows, "activation")[:PANELS]
    inits = _distinct(rows, "init")
    figure, axes = panels(len(names), 3, 3.6, 2.8)
    for axis, name in zip(axes, names, strict=True):
        for i, init in enumerate(inits):
            some = _only(rows, activation=name, init=init)
            if not some:
                continue
            x, colour = _values(some, "layer"), COLOURS[i % len(COLOURS)]
            axis.plot(x, _finite(_values(some, "log10_predicted")), color=colour, lw=1.2)
            points = _finite(_values(some, "log10_rms"))
            axis.plot(x, points, MARKERS[i], color=colour, ms=6 - 0.6 * i, mfc="none", mew=0.9)
        span = axis.get_ylim()  # a bound far above what is measured would squeeze it
        some = _only(rows, activation=name, init=inits[0])
        axis.plot(_values(some, "layer"), _values(some, "log10_chain_bound"), "k--", lw=1)
        axis.set_ylim(span)
        axis.set(title=name, xlabel="layer", ylabel="log₁₀ ‖∂h^L/∂h^l‖")
        axis.grid(alpha=0.3)
    for i, init in enumerate(inits):
        axes[0].plot([], [], MARKERS[i] + "-", color=COLOURS[i % len(COLOURS)], mfc="none", label=init)
    axes[0].plot([], [], "k--", label="sup |φ′| per layer")
    _legend(figure, axes[0], "markers: measured (root mean square), lines: mean field")
    return figure


def _chain(tables: dict[str, Rows]) -> Figure:
    """The textbook chain for the first activation, and |w| = 1 for all of them."""
    rows = tables["chain"]
    names = _distinct(rows, "activation")
    figure, (left, right) = panels(2, 2, 4.6, 4.0)
    first = _only(rows, activation=names[0])
    bound = _only(first, law=first[0]["law"])
    left.plot(_values(bound, "length"), _values(bound, "log10_bound"), "k--", lw=1.5, label="bound (sup |φ′|)^r")
    for i, law in enumerate(_distinct(first, "law")):
        some, colour = _only(first, law=law), COLOURS[i]
        left.plot(_values(some, "length"), _finite(_values(some, "log10_mean")), color=colour, label=LAWS[law])
        left.plot(_values(some, "length"), _finite(_values(some, "log10_median")), ":", color=colour)
    for i, name in enumerate(names[:PANELS]):
        some = _only(rows, activation=name, law="unit")
        right.plot(_values(some, "length"), _finite(_values(some, "log10_mean")), color=COLOURS[i], label=name)
    left.set(
        title=f"{names[0]}; solid: mean over chains, dotted: median",
        ylabel="log₁₀ |∂x^r/∂x⁰|",
        xlabel="length r of the chain",
    )
    right.set(title="|w| = 1, mean over chains", xlabel="length r of the chain", ylabel="log₁₀ |∂x^r/∂x⁰|")
    for axis in (left, right):
        axis.legend(fontsize=7)
        axis.grid(alpha=0.3)
    return figure


def mean_accuracy(rows: Rows) -> dict[tuple[str, str, int], float]:
    """Mean test accuracy over seeds at the best learning rate, by activation, initialiser and depth."""
    cells: dict[tuple[str, str, int], list[float]] = {}
    for row in rows:
        if row["best_rate"]:
            cells.setdefault((row["activation"], row["init"], row["depth"]), []).append(row["test_accuracy"])
    return {cell: float(np.mean(values)) for cell, values in cells.items()}


def _training(tables: dict[str, Rows]) -> Figure:
    """Accuracy by initialiser and depth, one panel per activation, 6|ξ| drawn in."""
    rows = tables["training"]
    accuracy = mean_accuracy(rows)
    scale = {(row["activation"], row["init"]): abs(row["gradient_scale"]) for row in tables["theory"]}
    names = _distinct(rows, "activation")[:PANELS]
    inits, depths = _distinct(rows, "init"), sorted(_distinct(rows, "depth"))
    figure, axes = panels(len(names), 3, 4.0, 2.7)
    for axis, name in zip(axes, names, strict=True):
        grid = np.array([[accuracy.get((name, init, depth), np.nan) for depth in depths] for init in inits])
        axis.imshow(100 * grid, vmin=0, vmax=100, cmap="cividis", aspect="auto")
        for (i, j), value in np.ndenumerate(grid):
            colour = "black" if value > 0.55 else "white"
            axis.text(j, i, "–" if np.isnan(value) else f"{100 * value:.0f}", ha="center", va="center", color=colour)
        for i, init in enumerate(inits):
            if (name, init) in scale:
                edge = sum(depth <= 6 * scale[name, init] for depth in depths) - 0.5
                axis.plot([edge, edge], [i - 0.5, i + 0.5], color=VERMILION, lw=3, solid_capstyle="butt", clip_on=False)
        axis.set_xticks(range(len(depths)), depths)
        axis.set_yticks(range(len(inits)), inits, fontsize=7)
        axis.set(title=name, xlabel="hidden layers")
    figure.colorbar(axes[-1].images[0], ax=axes, label="test accuracy, %", shrink=0.7)
    return figure


def _scale(tables: dict[str, Rows]) -> Figure:
    """Accuracy against depth over |ξ|, one point per activation, initialiser and depth."""
    scale = {(row["activation"], row["init"]): row["gradient_scale"] for row in tables["theory"]}
    cells = mean_accuracy(tables["training"])
    names, depths = _distinct(tables["training"], "activation")[:PANELS], _distinct(tables["training"], "depth")
    figure, (axis,) = panels(1, 1, 7.0, 4.4)
    left, right = 1e-2, 1e3
    for i, name in enumerate(names):
        for sign, face in ((1, COLOURS[i]), (-1, "none")):
            some = [(d / abs(scale[n, k]), v) for (n, k, d), v in cells.items() if n == name and sign * scale[n, k] > 0]
            # Side by side at the edge.
            x, accuracy = np.clip([x for x, _ in some], left * 1.12**i, right), [100 * v for _, v in some]
            axis.plot(x, accuracy, MARKERS[i], color=COLOURS[i], mfc=face, ms=5, alpha=0.8, ls="none")
        axis.plot([], [], MARKERS[i], color=COLOURS[i], label=name)
    axis.axvline(6, color=VERMILION, lw=2)
    axis.text(6.6, 2, "6 |ξ|", color=VERMILION)
    axis.set(xscale="log", xlim=(left / 1.4, right * 1.4), ylim=(0, 103), ylabel="test accuracy, %")
    axis.set(
        xlabel=f"hidden layers ({min(depths)} to {max(depths)}) over |ξ|; at the left edge: below {left}, or ξ = ∞"
    )
    axis.set_title("filled: gradients shrink with depth (ξ > 0), open: they grow", fontsize=9)
    axis.grid(alpha=0.3)
    _legend(figure, axis, "")
    return figure


def _layers(tables: dict[str, Rows]) -> Figure:
    """Gradient, saturation and exact zeros by layer before (dashed) and after (solid) training."""
    rows = tables["layers"]
    depths = sorted(_distinct(rows, "depth"))
    rows = _only(rows, depth=max([depth for depth in depths if depth <= SHOWN_DEPTH] or depths[:1]))
    present = _distinct(rows, "init")
    inits = [init for init in SHOWN_INITS if init in present] or present[:3]
    quantities = {
        "log10_gradient": "log₁₀ ‖∂loss/∂h‖",
        "saturated": "saturated or off, share",
        "zero": "share of exact zeros",
    }
    figure, axes = panels(3 * len(inits), len(inits), 3.6, 2.4, sharex=True)
    for k, axis in enumerate(axes):
        column, label = list(quantities.items())[k // len(inits)]
        init = inits[k % len(inits)]
        for i, name in enumerate(_distinct(rows, "activation")[:PANELS]):
            for stage, style in (("before", "--"), ("after", "-")):
                some = _only(rows, activation=name, init=init, stage=stage)
                values = _finite(_values(some, column))
                axis.plot(_values(some, "layer"), values, style, color=COLOURS[i], lw=1.3)
            axis.plot([], [], color=COLOURS[i], label=name)
        axis.set(ylabel=label if k % len(inits) == 0 else "", title=init if k < len(inits) else "")
        axis.set(xlabel="layer" if k >= 2 * len(inits) else "")
        if column != "log10_gradient":
            axis.set_ylim(-0.04, 1.04)
        axis.grid(alpha=0.3)
    _legend(figure, axes[0], f"stacks of {rows[0]['depth']} layers; dashed: at initialisation, solid: after training")
    return figure


def _dying(tables: dict[str, Rows]) -> Figure:
    """Share of dead ReLU networks by depth and width, with the closed form for one input."""
    rows = tables["dying"]
    figure, (axis,) = panels(1, 1, 6.4, 4.6)
    for i, width in enumerate(_distinct(rows, "width")):
        for inputs, marker in zip(_distinct(rows, "inputs"), ("o", "x"), strict=False):
            some = _only(rows, width=width, inputs=inputs)
            x, share = _values(some, "depth"), _values(some, "share")
            every = slice(i % 3, None, max(1, len(x) // 16))
            error = np.abs(np.stack([_values(some, "low"), _values(some, "high")]) - share)[:, every]
            axis.errorbar(x[every], share[every], error, fmt=marker, color=COLOURS[i], ms=4, mfc="none", lw=1)
            if some[0]["closed_form"] is not None:
                axis.plot(x, _values(some, "closed_form"), color=COLOURS[i], label=f"width {width}")
    several = max(_distinct(rows, "inputs"))
    axis.set(xlabel="hidden layers", ylabel="share of networks dead at initialisation", ylim=(-0.02, 1.02))
    axis.set_title(f"lines: closed form, circles: one input, crosses: {several} inputs (95 % intervals)", fontsize=9)
    figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=5, fontsize=8)
    axis.grid(alpha=0.3)
    return figure


PICTURES: dict[str, tuple[str, Callable[[dict[str, Rows]], Figure], str]] = {
    "training": ("training", _training, "Test accuracy after the budget; left of the bar, depth is at most 6 |ξ|."),
    "scale": ("training", _scale, "Test accuracy after the budget against depth in units of the gradient scale ξ."),
    "gradients": ("gradients", _gradients, "Gradient by layer at initialisation, beside mean-field theory."),
    "chain": (
        "chain",
        _chain,
        "Gradient through a chain of single units, beside its bound; relu ends where every chain is dead.",
    ),
    "layers": ("layers", _layers, "Gradient, saturation and sparsity by layer, before and after training."),
    "dying": ("dying", _dying, "ReLU networks dead at initialisation, beside the closed form."),
}
