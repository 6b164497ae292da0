"""What `experiments.heads` writes: the three tables, and the report with the sentences that follow from the numbers."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxact import activations as catalogue
from jaxact.classics.heads.measure import SUM_TOLERANCE, Regressed, Results, Row
from jaxact.classics.heads.plan import LOGITS, HeadsPlan
from jaxact.classics.heads.tasks import SAMPLES
from jaxact.execution import runtime
from jaxact.report.markdown import command_line, document, environment_list, image
from jaxact.report.table import aligned, csv_text

NAMES = {"identity": "linear (identity)"}


def tables(results: Results) -> dict[str, str]:
    """File name → text of the tidy CSV of each part that ran."""
    parts = {
        "classification.csv": [row for found in results.classification.values() for row in found.rows],
        "regression.csv": [row for found in results.regression.values() for row in found.rows],
        "f1.csv": results.f1,
    }
    return {name: _csv(rows) for name, rows in parts.items() if rows}


def _csv(rows: Sequence[Row]) -> str:
    return csv_text([tuple(rows[0]), *([_fixed(name, value) for name, value in row.items()] for row in rows)])


def _fixed(name: str, value: Any) -> str:
    if value is None or not isinstance(value, float | np.floating):
        return "" if value is None else str(value)
    return f"{value:.4e}" if name.startswith("gradient") else f"{value:.6f}"


def summary(results: Results) -> str:
    """The tables of means and medians over seeds, as Markdown that reads well as plain text."""
    made = [classification_table(results), regression_table(results), f1_table(results), class_table(results)]
    return document(*made).rstrip()


def classification_table(results: Results) -> str | None:
    """One line per head, means over seeds."""
    if not results.classification:
        return None
    header = ["head", "accuracy %", "sd", "sum of outputs", "sums to 1 %", "in [0, 1] %", "ECE as emitted %"]
    lines = [[*header, "ECE normalised %", "confidence %", "Brier", "constant outputs", "never predicted"]]
    for name, found in results.classification.items():
        mean = {key: np.mean([row[key] for row in found.rows]) for key in found.rows[0] if key != "head"}
        accuracy = [row["accuracy"] for row in found.rows]
        low, high = (choose([row[key] for row in found.rows]) for choose, key in ((min, "sum_min"), (max, "sum_max")))
        numbers = [f"{mean['accuracy']:.2f}", f"{np.std(accuracy, ddof=1):.2f}" if len(accuracy) > 1 else "–"]
        numbers += [f"{low:.2f} to {high:.2f}"]
        shares = ("sums_to_one", "inside_0_1", "ece_outputs", "ece_probabilities", "confidence")
        numbers += [f"{mean[key]:.1f}" for key in shares]
        lines.append(
            [name, *numbers, *(f"{mean[key]:.3f}" for key in ("brier", "constant_outputs", "never_predicted"))]
        )
    return aligned(lines)


def regression_table(results: Results) -> str | None:
    """One line per task and output, medians over seeds."""
    if not results.regression:
        return None
    header = ["targets, output", "MSE median", "smallest", "largest", "floor", "R² median", "predictions"]
    lines = [[*header, "no gradient at start", "at the end"]]
    for (task, output), found in results.regression.items():
        mse, r2 = ([row[key] for row in found.rows] for key in ("test_mse", "r2"))
        low, high = np.min(found.predictions), np.max(found.predictions)
        lines.append(
            [
                f"{task}, {NAMES.get(output, output)}",
                *(f"{value:.4f}" for value in (np.median(mse), min(mse), max(mse), found.rows[0]["floor_mse"])),
                f"{np.median(r2):.3f}",
                f"{low + 0.0:.2f} to {high + 0.0:.2f}",
                *(f"{(found.gradients[:, when] == 0).sum()} of {len(mse)}" for when in (0, -1)),
            ]
        )
    return aligned(lines)


def _values(results: Results, task: str, predictor: str, measure: str) -> np.ndarray:
    rows = (r for r in results.f1 if (r["task"], r["predictor"], r["measure"]) == (task, predictor, measure))
    return np.array([row["value"] for row in rows])


def f1_table(results: Results) -> str | None:
    """One line per task and predictor, means over seeds, and how often micro-F1 is the accuracy to the last bit."""
    if not results.f1:
        return None
    measures = ("accuracy", "answers_right", "micro_f1", "macro_f1", "weighted_f1")
    lines = [["task, predictor", *(name.replace("_", " ") for name in measures), "micro-F1 = accuracy"]]
    for task, predictor in dict.fromkeys((row["task"], row["predictor"]) for row in results.f1):
        found = {name: _values(results, task, predictor, name) for name in measures}
        equal = found["micro_f1"] == found["accuracy"]
        numbers = [f"{values.mean():.4f}" for values in found.values()]
        lines.append([f"{task}, {predictor}", *numbers, f"{equal.sum()} of {len(equal)}"])
    return aligned(lines)


def per_class(results: Results, task: str, predictor: str = "network") -> dict[str, tuple[int, int, float]]:
    """Class → training examples, test examples, mean F1 over seeds."""
    rows = [r for r in results.f1 if (r["task"], r["predictor"], r["measure"]) == (task, predictor, "f1")]
    classes = dict.fromkeys(row["class"] for row in rows)
    members = {k: [row for row in rows if row["class"] == k] for k in classes}
    return {
        k: (own[0]["train_examples"], own[0]["test_examples"], float(np.mean([row["value"] for row in own])))
        for k, own in members.items()
    }


def class_table(results: Results) -> str | None:
    """F1 of every class of every task."""
    if not results.f1:
        return None
    lines = [["task, class", "training examples", "test examples", "F1"]]
    for task in dict.fromkeys(row["task"] for row in results.f1):
        for name, (train, test, value) in per_class(results, task).items():
            lines.append([f"{task}, {name}", str(train), str(test), f"{value:.4f}"])
    return aligned(lines)


def report(plan: HeadsPlan, results: Results, figures: dict[str, str], command: str) -> str:
    """The Markdown report."""
    first = next(iter(plan.heads.values()))
    hidden = "-".join(map(str, first.widths[:-1])) or "none"
    parts = [
        "# Which activation belongs on an output",
        command_line(command),
        f"Networks: hidden layers {hidden} {first.activations[0]}, {first.init}, {first.optimizer} "
        f"lr {first.learning_rate:g}, batch {first.batch_size}, {len(plan.seeds)} seeds; digits {first.epochs} epochs, "
        f"regression {next(iter(plan.outputs.values())).epochs}; F1 on digits with noise of sd {plan.noise:g} on "
        f"the standardised pixels, imbalance {plan.imbalance:g}.",
        "Environment:\n\n" + environment_list(runtime.environment()),
        findings(results),
    ]
    parts += _section("Classification", classification_table(results), figures.get("classification"), CLASSIFICATION)
    parts += _section("Regression", regression_table(results), figures.get("regression"), REGRESSION)
    scores = "\n\n".join(table for table in (f1_table(results), class_table(results)) if table)
    parts += _section("F1", scores or None, figures.get("f1"), F1)
    return document(*parts)


CLASSIFICATION = (
    "Digits, 360 test examples. Outputs as emitted: the softmax, the sigmoids, the linear outputs, or for "
    f"*-logits what the activation emits. Sums to 1: within {SUM_TOLERANCE:g}. ECE in 15 bins, the largest output "
    "taken as confidence, as emitted (clipped to [0, 1]) and as normalised: softmax for logits, sigmoids divided by "
    "their sum, linear outputs moved to the nearest probability vector; confidence and Brier score are those of the "
    "normalised. Constant outputs do not change over the training set: dead. Means over seeds; sums over all."
)
REGRESSION = (
    f"A shifted sine with noise; {SAMPLES} points to train on, as many to test on. Floor: the least error that any "
    "network with this output can have, the mean squared distance of the targets from the activation's range. No "
    "gradient: seeds whose gradient is exactly 0 in every parameter. Why a ReLU fails below 0: the loss (φ(h) − y)² "
    "has the slope 2 (φ(h) − y) φ′(h) in h; with y < 0 it is above 0 wherever h > 0, so every step lowers h, and "
    "exactly 0 once h ≤ 0, so nothing raises it again and the prediction stays 0, the best a ReLU can do there anyway. "
    "Softplus has the same floor but a slope that never vanishes; a ReLU whose h starts below 0 never learns even what "
    "its range can hold."
)
F1 = (
    "accuracy: all of an example's answers right; answers right: share of single yes/no answers. Most frequent: always "
    "the class (or, per attribute, the answer) most frequent in training. Imbalanced digits thin out from 0 to 9, in "
    "training and test. Attributes: several may hold of one digit. Micro-F1 = accuracy: to the last bit."
)


def _section(title: str, table: str | None, figure: str | None, text: str) -> list[str]:
    if table is None:
        return []
    return [f"## {title}", text, table, *([image(figure, title)] if figure else [])]


def findings(results: Results) -> str:
    """Sentences made from the numbers."""
    return " ".join([*_about_classes(results), *_about_ranges(results), *_about_f1(results)])


def _about_classes(results: Results) -> list[str]:
    if not results.classification:
        return []
    mean = {
        name: {key: float(np.mean([row[key] for row in found.rows])) for key in found.rows[0] if key != "head"}
        for name, found in results.classification.items()
    }
    summing = [name for name, row in mean.items() if row["sums_to_one"] == 100 and row["inside_0_1"] == 100]
    best, worst = (choose(mean, key=lambda name: mean[name]["accuracy"]) for choose in (max, min))
    text = [
        f"Outputs that are probabilities as emitted (all in [0, 1], every sum 1): {', '.join(summing) or 'none'}.",
        f"Accuracy runs from {mean[worst]['accuracy']:.1f} % ({worst}) to {mean[best]['accuracy']:.1f} % ({best}).",
    ]
    if dead := {name: row["constant_outputs"] for name, row in mean.items() if row["constant_outputs"]}:
        lost = ", ".join(f"{value:.1f} of 10 ({name})" for name, value in dead.items())
        text.append(
            f"Outputs that are constant on the whole training set, so that their class is never learned: {lost}."
        )
    caps = {name: cap for name in mean if (cap := confidence_cap(name)) < 1}
    if caps:
        shown = (f"{n} at {100 * c:.1f} % (mean {mean[n]['confidence']:.1f} %)" for n, c in caps.items())
        text.append(f"Bounded logits cap the confidence of their softmax: {', '.join(shown)}.")
    return text


def confidence_cap(head: str, classes: int = 10) -> float:
    """Largest softmax probability that logits in the activation's range [low, high] allow, 1/(1 + (K − 1)e^(low−high)).

    1 for a head whose logits are not bounded, or that is none of the `-logits`.
    """
    bounds = catalogue.get(head.removesuffix(LOGITS)).range if head.endswith(LOGITS) else None
    low, high = bounds or (-math.inf, math.inf)
    return 1 / (1 + (classes - 1) * math.exp(low - high))


def _about_ranges(results: Results) -> list[str]:
    text = []
    for (task, output), found in results.regression.items():
        seeds, dead = len(found.rows), (found.gradients[:, -1] == 0)
        if not dead.any():
            if floor := _at_floor(found):
                text.append(f"{output} on {task} targets: all {seeds} seeds keep a gradient{floor}.")
            continue
        values = np.unique(found.predictions[dead])
        constant = f"the constant {values[0] + 0.0:g}" if len(values) == 1 else "no longer moving"
        started = (found.gradients[:, 0] == 0).sum()
        text.append(
            f"{output} on {task} targets: {dead.sum()} of {seeds} seeds end with a gradient of exactly 0 in every "
            f"parameter ({started} started so), their prediction {constant}{_at_floor(found)}."
        )
    return text


def _at_floor(found: Regressed) -> str:
    mse, least = np.median([row["test_mse"] for row in found.rows]), found.rows[0]["floor_mse"]
    return f" and the median error at the floor of its range, {least:.3f}" if least and mse < 1.001 * least else ""


def _about_f1(results: Results) -> list[str]:
    text = []
    for task in dict.fromkeys(row["task"] for row in results.f1):
        measures = ("accuracy", "answers_right", "micro_f1", "macro_f1", "weighted_f1")
        accuracy, answers, micro, macro, weighted = (_values(results, task, "network", name) for name in measures)
        if (micro == accuracy).all():
            said = f"micro-F1 equals the accuracy bit for bit in all {len(micro)} seeds ({micro.mean():.4f})"
            said += f", macro-F1 is {macro.mean():.4f}, weighted {weighted.mean():.4f}"
        else:
            said = f"micro-F1 is {micro.mean():.4f}, the share of examples all right {accuracy.mean():.4f}, "
            said += f"that of answers right {answers.mean():.4f}"
        text.append(f"F1, {task}: {said}.")
    if results.f1:
        pairs = (
            (name, [_values(results, t, "network", m).mean() for t in ("balanced", "imbalanced")])
            for name, m in (("the accuracy", "accuracy"), ("macro-F1", "macro_f1"))
        )
        moves = " and ".join(f"{name} {'rises' if b > a else 'falls'} by {abs(b - a):.3f}" for name, (a, b) in pairs)
        text.append(f"Where the digits become imbalanced, {moves}.")
    return text
