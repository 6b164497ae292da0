"""Records as a table: one tidy row per configuration and seed, with the same columns whatever is in the folder."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from jaxact import files
from jaxact.config import Config
from jaxact.records.record import Record

SCORES = ("test_accuracy", "test_loss", "train_loss", "train_accuracy", "classes_never_predicted", "diverged")
ELSEWHERE = ("activations", "dataset", "epochs")
PROTOCOL = tuple(field.name for field in fields(Config) if field.name not in ELSEWHERE)
"""The fields of a configuration that have a column of their own after the scores."""


def summary(records: Iterable[Record]) -> list[dict[str, str]]:
    """Tidy rows, one per configuration and seed, sorted, in fixed formats, so that two runs compare with `diff`.

    Accuracies are in percent, losses in nats. `test_accuracy` and `classes_never_predicted` are empty for a diverged
    seed, which predicts nothing. A field of the protocol without a value, such as `limit_train`, is empty too.
    """
    rows = []
    for record in sorted(records, key=lambda record: (record.config.dataset, record.config.name, record.config.digest)):
        config, diverged = record.config, record.diverged
        names = {f"layer{i}": name for i, name in enumerate(config.activations, start=1)}
        head = {"dataset": config.dataset, "configuration": config.name} | names
        protocol = {name: _cell(getattr(config, name)) for name in PROTOCOL} | {"digest": config.digest}
        accuracy, never = record.test_accuracy()[:, -1], record.never_predicted()[:, -1]
        for i, seed in enumerate(record.seeds.tolist()):
            run = {"seed": str(seed), "epochs": str(config.epochs)}
            scores = {
                "test_accuracy": "" if diverged[i] else f"{accuracy[i]:.2f}",
                "test_loss": f"{record.arrays['test_loss'][i, -1]:.5f}",
                "train_loss": f"{record.arrays['train_loss'][i, -1]:.5f}",
                "train_accuracy": f"{100 * record.arrays['train_accuracy'][i, -1]:.3f}",
                "classes_never_predicted": "" if diverged[i] else str(never[i]),
                "diverged": str(int(diverged[i])),
            }
            rows.append(head | run | scores | protocol)
    return rows


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def write_summary(path: Path, rows: Sequence[dict[str, str]]) -> None:
    """Write `summary.csv` atomically; only the number of layers' columns depends on the rows."""
    layers = sorted({key for row in rows for key in row if key.startswith("layer")}, key=lambda key: int(key[5:]))
    columns = ["dataset", "configuration", *layers, "seed", "epochs", *SCORES, *PROTOCOL, "digest"]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    files.replace(path, text.getvalue().encode("utf-8", "backslashreplace"))
