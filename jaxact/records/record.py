"""The runs of one configuration, as arrays."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxact.config import Config


class Record(NamedTuple):
    """The runs of one configuration.

    Attributes:
        config: the configuration.
        seeds: [seeds], ascending.
        arrays: the columns of `jaxact.training.ensemble.History`, those of its probes as `probe_<name>`, seeds as
            leading axis.
        meta: data source and sizes, and `runs`: one entry per run that added seeds (seeds, versions, device, strategy,
            compile and run seconds, UTC start, git commit).
    """

    config: Config
    seeds: np.ndarray
    arrays: dict[str, np.ndarray]
    meta: dict[str, Any]

    @property
    def diverged(self) -> np.ndarray:
        """[seeds] whether the final test loss or the last epoch's training loss is not finite."""
        return ~(np.isfinite(self.arrays["test_loss"][:, -1]) & np.isfinite(self.arrays["train_loss"][:, -1]))

    def test_accuracy(self) -> np.ndarray:
        """[seeds, epochs + 1] test accuracy in percent, from initialisation on; NaN where the loss is not finite."""
        correct = self.arrays["test_correct"].sum(-1)
        accuracy = 100.0 * correct / self.arrays["test_predicted"].sum(-1)
        return np.where(np.isfinite(self.arrays["test_loss"]), accuracy, np.nan)

    def never_predicted(self) -> np.ndarray:
        """[seeds, epochs + 1] number of classes that no test example is assigned to."""
        return (self.arrays["test_predicted"] == 0).sum(-1)

    def dead(self, layer: int) -> np.ndarray:
        """[seeds, epochs + 1, units] whether each unit of layer number `layer` (from 1) is dead on the test set."""
        end = sum(self.config.widths[:layer])
        return self.arrays["probe_dead"][..., end - self.config.widths[layer - 1] : end]

    def subset(self, seeds: Sequence[int]) -> "Record":
        """The same record with only those seeds, in ascending order; absent ones are left out."""
        keep = np.isin(self.seeds, list(seeds))
        return self._replace(seeds=self.seeds[keep], arrays={name: value[keep] for name, value in self.arrays.items()})
