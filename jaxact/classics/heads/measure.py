"""Trains the networks of `experiments.heads`, all seeds of one at once, and measures what their outputs are."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxact.classics.heads import outputs as heads
from jaxact.classics.heads import tasks
from jaxact.classics.heads.plan import LOGITS, HeadsPlan
from jaxact.config import Config
from jaxact.execution.progress import Progress
from jaxact.statistics import calibration, scores

Row = dict[str, Any]
SUM_TOLERANCE = 1e-3


class Classified(NamedTuple):
    """One classification head.

    Attributes:
        rows: one per seed, the columns of `classification.csv`.
        diagram: reliability of its probabilities, all seeds together; None if all diverged.
        sums: sum of the outputs per seed and test example, [seeds, n].
    """

    rows: list[Row]
    diagram: calibration.Reliability | None
    sums: np.ndarray


class Regressed(NamedTuple):
    """One output activation on one regression task.

    Attributes:
        rows: one per seed, the columns of `regression.csv`.
        gradients: norm of the gradient of all parameters before training and after every epoch, [seeds, epochs + 1].
        predictions: on the sorted test inputs, [seeds, n].
    """

    rows: list[Row]
    gradients: np.ndarray
    predictions: np.ndarray


class Results(NamedTuple):
    """What was measured; a part that was not asked for is empty.

    Attributes:
        classification: by head.
        regression: by (task, output).
        f1: rows of `f1.csv`.
    """

    classification: dict[str, Classified]
    regression: dict[tuple[str, str], Regressed]
    f1: list[Row]


class Trained(NamedTuple):
    """An ensemble after training: what it emits on the training and the test inputs, and its gradient norms."""

    train: np.ndarray
    test: np.ndarray
    gradients: np.ndarray


class Trainer:
    """Trains one configuration with one head on any task of the same shape, compiled once."""

    def __init__(self, config: Config, head: heads.Head, seeds: tuple[int, ...]) -> None:
        self.epochs, self.seeds = config.epochs, np.array(seeds)
        self.functions = heads.over_seeds(heads.make_program(config, head))

    def __call__(self, task: tasks.Task, bar: Progress, *, trace: bool = False) -> Trained:
        """Train from scratch; `trace` records the gradient norms."""
        f, data = self.functions, (task.inputs, task.targets)
        state = f.initialise(self.seeds, task.inputs[0])
        norms = [f.probe(state, *data)[1]] if trace else []
        for epoch in range(self.epochs):
            state, _ = f.epoch(state, self.seeds, np.int32(epoch), *data)
            norms += [f.probe(state, *data)[1]] if trace else []
            bar.advance(len(self.seeds))
        emitted = (np.asarray(f.emit(state, inputs)[0], float) for inputs in (task.inputs, task.test_inputs))
        return Trained(next(emitted), next(emitted), np.array(norms).T)


def measure(plan: HeadsPlan, bar: Progress) -> Results:
    """Run the parts of the plan."""
    results = Results({}, {}, [])
    if "classification" in plan.parts:
        task = tasks.digits()
        for name, config in plan.heads.items():
            results.classification[name] = classify(name, config, task, plan.seeds, bar)
            accuracy = np.mean([row["accuracy"] for row in results.classification[name].rows])
            bar.say(f"classification, {name}: accuracy {accuracy:.2f} %")
    for name, config in plan.outputs.items() if "regression" in plan.parts else ():
        trainer = Trainer(config, heads.squared_error_head(name), plan.seeds)
        for kind, shift in tasks.SHIFTS.items():
            found = regress(kind, name, trainer, tasks.regression(shift), bar)
            results.regression[kind, name] = found
            bar.say(f"regression, {kind} targets, {name}: MSE {np.median([r['test_mse'] for r in found.rows]):.4f}")
    if "f1" in plan.parts:
        results.f1.extend(f1_rows(plan, bar))
    return results


def head_of(name: str, config: Config) -> heads.Head:
    """The head of a command-line name, whose activation the configuration ends in."""
    losses = {"sigmoid": heads.sigmoid_head, "linear": heads.squared_error_head}
    return losses.get(name, heads.softmax_head)(config.activations[-1])


def classify(name: str, config: Config, task: tasks.Task, seeds: tuple[int, ...], bar: Progress) -> Classified:
    """Train one head on the digits.

    The outputs are what the network emits: softmax, sigmoids, the linear outputs or, where logits went through an
    activation, these logits. As confidences they are clipped to [0, 1]; the probabilities are `Head.probabilities`.
    """
    head = head_of(name, config)
    trained = Trainer(config, head, seeds)(task, bar)
    z = jnp.asarray(trained.test, jnp.float32)
    outputs = np.asarray(z if name.endswith(LOGITS) else jax.vmap(jax.vmap(head.output))(z), float)
    probabilities = np.asarray(jax.vmap(jax.vmap(head.probabilities))(z), float)
    right = outputs.argmax(2) == task.labels
    rows = [
        {"head": name, "seed": seed, "epochs": config.epochs}
        | _classified(outputs[i], probabilities[i], right[i], task.labels)
        | {"constant_outputs": int((np.ptp(trained.train[i], axis=0) == 0).sum())}
        for i, seed in enumerate(seeds)
    ]
    healthy = np.isfinite(probabilities).all((1, 2))
    sure = np.clip(probabilities[healthy].max(2), 0, 1).ravel()
    diagram = calibration.reliability(sure, right[healthy].ravel()) if healthy.any() else None
    return Classified(rows, diagram, outputs.sum(2))


def _classified(outputs: np.ndarray, probabilities: np.ndarray, right: np.ndarray, labels: np.ndarray) -> Row:
    sums = outputs.sum(1)
    return {
        "accuracy": 100 * right.mean(),
        "sum_min": sums.min(),
        "sum_mean": sums.mean(),
        "sum_max": sums.max(),
        "sums_to_one": 100 * (np.abs(sums - 1) <= SUM_TOLERANCE).mean(),
        "inside_0_1": 100 * ((outputs >= 0) & (outputs <= 1)).all(1).mean(),
        "confidence": 100 * probabilities.max(1).mean(),
        "ece_outputs": 100 * _ece(outputs, right),
        "ece_probabilities": 100 * _ece(probabilities, right),
        "brier": calibration.brier(probabilities, labels),
        "never_predicted": outputs.shape[1] - len(np.unique(outputs.argmax(1))),
    }


def _ece(outputs: np.ndarray, right: np.ndarray) -> float:
    if not np.isfinite(outputs).all():
        return np.nan
    confidence = np.clip(outputs.max(1), 0, 1)
    return calibration.expected_calibration_error(calibration.reliability(confidence, right))


def regress(kind: str, name: str, trainer: Trainer, task: tasks.Task, bar: Progress) -> Regressed:
    """Train one output activation on one regression task."""
    trained = trainer(task, bar, trace=True)
    predictions = trained.test[:, :, 0]
    y = task.test_targets[:, 0].astype(float)
    least = heads.floor(task.test_targets, name)
    rows = []
    for seed, prediction, norms in zip(trainer.seeds, predictions, trained.gradients, strict=True):
        mse = np.square(prediction - y).mean()
        moving = np.flatnonzero(norms != 0)
        still = moving[-1] + 1 if len(moving) else 0
        rows.append(
            {"task": kind, "output": name, "seed": int(seed), "epochs": trainer.epochs}
            | {"test_mse": mse, "floor_mse": least, "r2": 1 - mse / y.var()}
            | {"prediction_min": prediction.min(), "prediction_max": prediction.max()}
            | {"gradient_at_start": norms[0], "gradient_at_end": norms[-1]}
            | {"no_gradient_from_epoch": int(still) if still < len(norms) else None}
        )
    return Regressed(rows, trained.gradients, predictions)


def f1_rows(plan: HeadsPlan, bar: Progress) -> list[Row]:
    """Every F1 beside the accuracies, of networks and of a predictor that always says the most frequent answer."""
    digits = tasks.noisy(tasks.digits(), plan.noise)
    every = {
        "balanced": digits,
        "imbalanced": tasks.imbalanced(digits, plan.imbalance),
        "attributes": tasks.attributes(digits),
    }
    rows = []
    for name, task in every.items():
        several = name == "attributes"
        head = heads.sigmoid_head() if several else heads.softmax_head()
        z = Trainer(plan.f1[name], head, plan.seeds)(task, bar).test
        truth = task.test_targets.astype(bool)
        names = list(tasks.ATTRIBUTES) if several else [str(k) for k in range(tasks.CLASSES)]
        answers = {("network", str(seed)): decide(z[i], several) for i, seed in enumerate(plan.seeds)}
        usual = decide(task.targets.mean(0) - 0.5 * several, several)
        answers["most frequent", ""] = np.tile(usual, (len(truth), 1))
        for (predictor, seed), predicted in answers.items():
            start = {"task": name, "predictor": predictor, "seed": seed}
            rows += [start | row for row in score(predicted, truth, names, task.targets)]
        found = [row["value"] for row in rows if row["task"] == name and row["measure"] == "macro_f1" and row["seed"]]
        bar.say(f"f1, {name}: macro-F1 {np.mean(found):.4f}")
    return rows


def decide(z: np.ndarray, several: bool) -> np.ndarray:
    """Yes/no answers: the largest output (one label), or every output above 0, where its sigmoid is above a half."""
    return z > 0 if several else np.arange(z.shape[-1]) == z.argmax(-1)[..., None]


def score(predicted: np.ndarray, truth: np.ndarray, names: list[str], train_targets: np.ndarray) -> list[Row]:
    """Accuracies, F1 averages, and F1 per class with its numbers of training and test examples."""
    counts = scores.count(predicted, truth)
    f1 = scores.f1(*counts)
    n_train = train_targets.sum(0).astype(int)
    averages = {
        "accuracy": (predicted == truth).all(1).mean(),
        "answers_right": (predicted == truth).mean(),
        "micro_f1": f1.micro,
        "macro_f1": f1.macro,
        "weighted_f1": f1.weighted,
    }
    blank = {"class": "", "train_examples": "", "test_examples": ""}
    rows: list[Row] = [{"measure": name} | blank | {"value": float(value)} for name, value in averages.items()]
    for k, name in enumerate(names):
        sizes = {"train_examples": int(n_train[k]), "test_examples": int(counts.support[k])}
        rows.append({"measure": "f1", "class": name} | sizes | {"value": float(f1.per_class[k])})
    return rows
