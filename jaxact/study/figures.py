"""The figures of `experiments.explain`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxact.report import figures
from jaxact.report.palette import COLOURS
from jaxact.study import interventions_report
from jaxact.study.evidence import FAILING, Case, ladder
from jaxact.study.interventions_report import Effect


def draw(cases: Mapping[str, Case], effects: Sequence[Effect], out: Path) -> None:
    """Write every figure that there are runs for."""
    pictures = {"ladder": _ladder(cases), "theory": _theory(cases), "epochs": _epochs(cases)}
    if effects:
        pictures["effects"] = interventions_report.figure(effects)
    for name, figure in pictures.items():
        figure.savefig(out / f"{name}.png", dpi=110)


def _figure(columns: int, width: float, height: float) -> tuple[Any, Any]:
    figure = figures.figure(width, height)
    return figure, figure.subplots(1, columns, squeeze=False)[0]


def _ladder(cases: Mapping[str, Case]) -> Any:
    figure, (axes,) = _figure(1, 7, 4.4)
    own = [c for c in cases.values() if c.record.config.activations[-1] == "relu"]
    counts = own[0].record.arrays["test_predicted"]
    classes = counts.shape[-1]
    for step in ladder(own, [int(counts[0, 0].sum()) // classes] * classes):
        axes.plot([step.dead - 0.4, step.dead + 0.4], [step.low] * 2, color="0.75", lw=6, zorder=1)
    rng = np.random.default_rng(0)
    others = [c for c in own if c.name not in FAILING]
    groups = [(name, [cases[name]]) for name in FAILING if name in cases] + [("other ReLU outputs", others)]
    for color, (name, members) in zip(COLOURS, groups, strict=False):
        for i, c in enumerate(members):
            x = c.never + rng.uniform(-0.25, 0.25, len(c.never))
            axes.plot(x, c.accuracy, "o", ms=4, alpha=0.7, color=color, label=None if i else name, zorder=2)
    axes.set(xlabel="classes never predicted", ylabel="test accuracy, %", xticks=range(classes + 1))
    axes.set_title("One run per dot; grey: the best run less the share of the lost classes", fontsize=9)
    axes.legend(fontsize=8, frameon=False)
    return figure


def _theory(cases: Mapping[str, Case]) -> Any:
    figure, (left, right) = _figure(2, 10, 4.2)
    outputs = list(dict.fromkeys(c.record.config.activations[-1] for c in cases.values()))
    for color, output in zip(COLOURS, outputs, strict=False):
        own = [c for c in cases.values() if c.record.config.activations[-1] == output]
        c = [max(1 - one.predicted_correlation, 1e-6) for one in own]
        accuracy = [one.accuracy.mean() for one in own]
        left.plot(c, accuracy, "o", ms=5, alpha=0.8, color=color, label=f"{output} output")
        if output == "relu":
            measured = [one.dead[:, 0].mean() for one in own]
            right.plot([one.predicted_dead for one in own], measured, "o", ms=5, color=color)
    left.set(xlabel="1 − predicted correlation of the output pre-activations", ylabel="mean test accuracy, %")
    left.set(xscale="log", ylim=(0, 101))
    left.legend(fontsize=8, frameon=False)
    largest = max(5.0, *right.get_xlim(), *right.get_ylim())
    right.plot([0, largest], [0, largest], color="0.6", lw=0.8)
    right.set(xlabel="predicted dead outputs at initialisation", ylabel="measured, mean over seeds")
    right.set_title("ReLU outputs", fontsize=9)
    return figure


def _epochs(cases: Mapping[str, Case]) -> Any:
    figure, (left, right) = _figure(2, 10, 3.8)
    for color, name in zip(COLOURS, (name for name in FAILING if name in cases), strict=False):
        dead, saturated = cases[name].dead, cases[name].saturated
        times = np.arange(dead.shape[1])
        left.plot(times, dead.T, color=color, alpha=0.12, lw=0.8)
        left.plot(times, dead.mean(0), color=color, lw=2, label=name)
        left.plot(times, cases[name].lost_by_epoch, color=color, lw=1.5, ls="--")
        right.plot(times, 100 * saturated, color=color, lw=2, label=name)
    left.set_title("Dead outputs: every seed, and the mean; dashed: classes never predicted, mean", fontsize=9)
    left.set(xlabel="epoch", ylabel="outputs, classes")
    right.set_title("Saturated pre-activations of the last hidden layer, mean", fontsize=9)
    right.set(xlabel="epoch", ylabel="%")
    right.set_ylim(0, max(5.0, right.get_ylim()[1]))
    right.legend(fontsize=8, frameon=False)
    return figure
