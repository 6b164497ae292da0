"""The figures of `experiments.heads`: reliability and sums, fits and gradients, F1 averages and F1 per class."""

from pathlib import Path
from typing import Any

import numpy as np

from jaxact.classics.heads import tasks
from jaxact.classics.heads.measure import Results
from jaxact.classics.heads.report import per_class
from jaxact.report.figures import Figure, figure, save
from jaxact.report.palette import COLOURS, GREY, MARKERS, PALE

PNG_COLOURS = 64
FEW = 10
SMALLEST = 1e-7


def draw(out: Path, results: Results) -> dict[str, str]:
    """Write one figure per part that ran.

    Returns:
        Part → file name.
    """
    figures = {}
    for part, paint in {"classification": _classification, "regression": _regression, "f1": _f1}.items():
        if getattr(results, part):
            save(paint(results), out / f"{part}.png", colours=PNG_COLOURS)
            figures[part] = f"{part}.png"
    return figures


def _style(number: int) -> dict[str, Any]:
    return {"color": COLOURS[number % len(COLOURS)], "marker": MARKERS[number % len(MARKERS)]}


def _classification(results: Results) -> Figure:
    drawn = figure(11, 4.6)
    left, right = drawn.subplots(1, 2, width_ratios=(1, 1.15))
    left.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1, label="calibrated")
    for number, (name, found) in enumerate(results.classification.items()):
        if found.diagram is None:
            continue
        shown = found.diagram.examples >= FEW
        left.plot(found.diagram.confidence[shown], found.diagram.accuracy[shown], label=name, **_style(number))
    left.set(xlabel="confidence (largest normalised output)", ylabel="share right", xlim=(0, 1.02), ylim=(0, 1.03))
    left.set_title(f"Reliability, all seeds, bins of at least {FEW}")
    left.legend(fontsize=8)
    names = list(results.classification)
    sums = [found.sums[np.isfinite(found.sums)] for found in results.classification.values()]
    boxes = right.boxplot(
        sums, orientation="horizontal", whis=(0, 100), widths=0.6, patch_artist=True, medianprops={"color": "black"}
    )
    for number, box in enumerate(boxes["boxes"]):
        box.set_facecolor(COLOURS[number % len(COLOURS)])
    right.axvline(1, color=GREY, linestyle="--", linewidth=1)
    right.set_yticks(range(1, len(names) + 1), names)
    right.invert_yaxis()
    right.set_xscale("symlog", linthresh=2)
    ticks = [t for t in (-30, -10, -5, -2, -1, 0, 1, 2, 5, 10, 30, 100) if _near(t, sums)]
    right.set_xticks(ticks, [str(t).replace("-", "−") for t in ticks])
    right.minorticks_off()
    right.set(xlabel="sum of the 10 outputs as emitted (linear to ±2, then logarithmic)")
    right.set_title("Sum of the outputs: box quartiles, whiskers all test examples")
    return drawn


def _near(tick: float, sums: list[np.ndarray]) -> bool:
    everything = np.concatenate([*sums, [0.0, 1.0]])
    low, high = everything.min(), everything.max()
    return bool(low - 0.2 * abs(low) <= tick <= high + 0.2 * abs(high))


def _regression(results: Results) -> Figure:
    kinds = list(dict.fromkeys(kind for kind, _ in results.regression))
    outputs = list(dict.fromkeys(output for _, output in results.regression))
    drawn = figure(10, 6)
    axes = drawn.subplots(2, len(kinds), squeeze=False)
    for top, bottom, kind in zip(*axes, kinds, strict=True):
        task = tasks.regression(tasks.SHIFTS[kind])
        top.scatter(task.test_inputs[::8], task.test_targets[::8], s=5, color=PALE, label="targets")
        for number, output in enumerate(outputs):
            found, colour = results.regression[kind, output], COLOURS[number % len(COLOURS)]
            line = {"color": colour, "linewidth": 0.8, "linestyle": ("-", "--", ":", "-.")[number % 4]}
            epochs = np.arange(found.gradients.shape[1])
            for seed, prediction in enumerate(found.predictions):
                label = f"{output}" if seed == 0 else None
                top.plot(task.test_inputs, prediction, label=label, **line)
                bottom.plot(epochs, found.gradients[seed], label=label, **line)
        top.set(title=f"{kind} targets", xlabel="x")
        bottom.set(xlabel="epochs")
        bottom.set_yscale("symlog", linthresh=SMALLEST, linscale=0.6)
        bottom.set_ylim(-SMALLEST / 3, 50)
        bottom.set_yticks([0, 1e-6, 1e-4, 1e-2, 1, 10], ["exactly 0", "1e−6", "1e−4", "0.01", "1", "10"])
        bottom.minorticks_off()
    axes[0, 0].set_ylabel("y; predictions, a line per seed")
    axes[1, 0].set_ylabel("norm of the whole gradient")
    handles = axes[0, 0].get_legend_handles_labels()
    drawn.legend(*handles, fontsize=9, loc="outside upper center", ncols=1 + len(outputs))
    return drawn


def _f1(results: Results) -> Figure:
    drawn = figure(11, 4.4)
    left, right = drawn.subplots(1, 2, width_ratios=(1.3, 1))
    measures = ("accuracy", "micro_f1", "weighted_f1", "macro_f1")
    groups = list(dict.fromkeys((row["task"], row["predictor"]) for row in results.f1))
    for number, measure in enumerate(measures):
        values = [
            np.mean([r["value"] for r in results.f1 if (r["task"], r["predictor"], r["measure"]) == (*group, measure)])
            for group in groups
        ]
        place = np.arange(len(groups)) + 0.2 * (number - 1.5)
        label = measure.replace("_f1", "-F1")
        bars = left.bar(place, values, 0.2, color=COLOURS[number], label=label)
        left.bar_label(bars, fmt="%.2f", fontsize=6, rotation=90, padding=2)
    left.set_xticks(range(len(groups)), [f"{task}\n{predictor}" for task, predictor in groups], fontsize=8)
    left.set(ylabel="score (1 = perfect)", ylim=(0, 1.35), title="Averages, mean over seeds")
    left.set_yticks(np.linspace(0, 1, 6))
    left.legend(fontsize=8, ncols=4, loc="upper center")
    for number, task in enumerate(("balanced", "imbalanced")):
        found = per_class(results, task)
        right.plot(list(found), [value for *_, value in found.values()], label=task, **_style(number))
    sizes = per_class(results, "imbalanced")
    right.set_xticks(range(len(sizes)), [f"{name}\n{train}\n{test}" for name, (train, test, _) in sizes.items()])
    right.set(xlabel="digit; training and test examples of it where imbalanced", ylabel="F1, mean over seeds")
    right.set_title("F1 per class")
    right.legend(fontsize=8)
    return drawn
