"""What intervals are simulated on: recorded runs drawn with replacement, alone, in pairs, or by whole seeds."""

import csv
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from jaxact.statistics import Estimate

CASES = Path(__file__).resolve().parents[2] / "results" / "explain" / "cases.csv"
PERCENT = (0.0, 100.0)
FAILING = ("relu-sigmoid-relu", "tanh-sigmoid-relu", "sigmoid-sigmoid-relu", "selu-sigmoid-relu")
RELU_OUTPUTS = 16


def recorded() -> dict[str, dict[int, dict[str, float]]]:
    """The committed runs of the study's protocol on MNIST: name, seed, column → number."""
    found: dict[str, dict[int, dict[str, float]]] = {}
    with CASES.open(encoding="utf-8") as rows:
        for row in csv.DictReader(rows):
            name, seed = row.pop("configuration"), int(row.pop("seed"))
            found.setdefault(name, {})[seed] = {key: float(value) for key, value in row.items()}
    return found


RUNS = recorded()


def accuracies(name: str) -> np.ndarray:
    return np.array([run["test_accuracy"] for run in RUNS[name].values()])


def repaired(name: str, control: str) -> np.ndarray:
    """Paired differences of two combinations over the seeds that both have."""
    shared = sorted(set(RUNS[name]) & set(RUNS[control]))
    return np.array([RUNS[control][s]["test_accuracy"] - RUNS[name][s]["test_accuracy"] for s in shared])


def share_covered(ends: Iterable[Estimate], truth: float) -> float:
    """How often an interval holds the truth; one that is absent does not."""
    return float(np.mean([found.low - 1e-9 <= truth <= found.high + 1e-9 for found in ends]))


def samples(population: np.ndarray, n: int, repeats: int, rng: np.random.Generator) -> np.ndarray:
    return population[rng.integers(len(population), size=(repeats, n))]


def draws_of_seeds(
    combinations: Iterable[str], n: int, rng: np.random.Generator
) -> Callable[[str], tuple[np.ndarray, np.ndarray]]:
    """Draw whole seeds that all combinations have: column → values of all runs, and the draw that each belongs to."""
    names = list(combinations)
    shared = sorted(set.intersection(*(set(RUNS[name]) for name in names)))
    drawn = np.array(shared)[rng.integers(len(shared), size=n)]
    labels = np.tile(np.arange(n), len(names))
    return lambda column: (np.array([RUNS[name][int(s)][column] for name in names for s in drawn]), labels)
