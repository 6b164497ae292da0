"""One self-describing `.npz` per configuration, seeds as leading axis; the only module that writes results.

A record is plain arrays plus a JSON `meta`, read without pickle, written to a temporary name and moved into place.
Seeds can be added to a record later: a seed's numbers depend on that seed alone.
"""

import csv
import io
import json
import os
import re
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxact import numerics
from jaxact.config import Config

SCHEMA = 2
HISTORY = {
    **dict.fromkeys(("train_loss", "train_accuracy"), ("epochs",)),
    "test_loss": ("times",),
    **dict.fromkeys(("test_correct", "test_predicted"), ("times", "classes")),
}
PROBES = {
    **dict.fromkeys(("negative", "saturated", "sparsity", "broken", "nearly_dead", "never_positive"), ("layers",)),
    **dict.fromkeys(("mean_square", "correlation", "gradient_layers", "gradient_kernels"), ("layers",)),
    **dict.fromkeys(("dimension", "negative_weights", "certified_dead"), ("layers",)),
    **dict.fromkeys(("output_negative", "coherence"), ("classes",)),
    **{"dead": ("units",), "apjn": ("layers", "layers"), "singular_values": ("values",)},
}
"""The fields of `jaxact.probes.Probe` and their axes after the seeds and the times."""
AXES = HISTORY | {f"probe_{name}": ("times", *axes) for name, axes in PROBES.items()}
"""Every array of a record and its axes after the seeds; times are initialisation and the end of every epoch."""
ARRAYS = tuple(AXES)
SCORES = ("test_accuracy", "test_loss", "train_loss", "train_accuracy", "classes_never_predicted", "diverged")
UNREADABLE = (
    *(OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile),
    *(zlib.error, RuntimeError, MemoryError),  # a flipped byte: deflate stream, flags and version, a size
)


class RecordError(ValueError):
    """A file that is not a record this version can read."""


class Record(NamedTuple):
    """The runs of one configuration.

    Attributes:
        config: the configuration.
        seeds: [seeds], ascending.
        arrays: the columns of `jaxact.ensemble.History`, those of its probes as `probe_<name>`, seeds as leading axis.
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


class SchemaError(RecordError):
    """A record that another version of jaxact wrote: not damaged, so never to be overwritten."""


def path_of(out: Path, config: Config) -> Path:
    """`<out>/<dataset>/<configuration>-<digest8>.npz`; characters that file systems dislike become `_`."""
    return out / config.dataset / f"{re.sub(r'[^A-Za-z0-9_.=+-]', '_', config.name)}-{config.digest}.npz"


def merge(old: Record | None, new: Record) -> Record:
    """The union of two records of one configuration; a seed in both keeps the new numbers and the new run alone.

    Raises:
        ValueError: the records belong to different configurations, or to runs of different settings.
    """
    if old is None:
        parts = [new]
    elif old.config != new.config:
        raise ValueError(
            f"cannot merge {old.config.name}-{old.config.digest} with {new.config.name}-{new.config.digest}"
        )
    else:
        parts = [old.subset([s for s in old.seeds.tolist() if s not in set(new.seeds.tolist())]), new]
    seeds = np.concatenate([part.seeds for part in parts])
    order = np.argsort(seeds)
    arrays = {name: np.concatenate([part.arrays[name] for part in parts])[order] for name in ARRAYS}
    again = set(new.seeds.tolist())
    kept = old.meta.get("runs", []) if old else []
    runs = [run for run in kept if not set(run["seeds"]) <= again] + new.meta.get("runs", [])
    numerics.check_alike(runs, f"{new.config.name}-{new.config.digest}")
    return Record(new.config, seeds[order], arrays, new.meta | {"runs": runs})


def write(out: Path, record: Record) -> Path:
    """Write a record atomically: a reader sees the old file or the new one, never a part.

    Returns:
        The path written.
    """
    path = path_of(out, record.config)
    meta = {"schema": SCHEMA, "config": record.config.as_dict(), "digest": record.config.digest, **record.meta}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, meta=np.array(json.dumps(meta)), seeds=record.seeds, **record.arrays)  # pyright: ignore[reportArgumentType]
    _replace(path, buffer.getvalue())
    return path


def _replace(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with suppress(OSError):  # some file systems know no permissions
            os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read(path: Path) -> Record:
    """Read and check a record.

    Raises:
        RecordError: not an `.npz` of plain arrays, another schema, a digest or shapes that do not agree.
    """
    try:
        # Through memory: np.load leaves a file that is no whole archive open.
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            content = {name: file[name] for name in file.files}
        meta = json.loads(str(content.pop("meta")))
        schema = meta.pop("schema")
        if schema != SCHEMA:
            raise SchemaError(f"{path}: schema {schema}, this version reads {SCHEMA}: train it again in another --out")
        config = Config.from_dict(meta.pop("config"))
        record = Record(config, content["seeds"], {name: content[name] for name in ARRAYS}, meta)
        problem = _problem(record, meta.pop("digest"))
    except RecordError:
        raise
    except UNREADABLE as error:
        raise RecordError(
            f"{path}: not a jaxact record ({type(error).__name__}): move it away or train it again"
        ) from error
    if problem:
        raise RecordError(f"{path}: {problem}: move it away or train it again")
    return record


def _problem(record: Record, digest: str) -> str | None:
    config, seeds = record.config, len(record.seeds)
    if digest != config.digest:
        return f"digest {digest} where its configuration has {config.digest}"
    sizes = {"epochs": config.epochs, "times": config.epochs + 1, "layers": len(config.widths)}
    sizes |= {"units": sum(config.widths), "classes": config.widths[-1]}
    for name, value in record.arrays.items():
        # min(features, classes) singular values: a record does not hold the number of features.
        expected = (seeds, *(sizes.get(axis, value.shape[-1] if value.ndim else 0) for axis in AXES[name]))
        if value.shape != expected:
            return f"{name} has shape {value.shape} where {expected} was expected"
    if len(set(record.seeds.tolist())) < seeds or not seeds:
        return "no seeds, or a seed twice"
    return None


def find(out: Path, config: Config) -> Record | None:
    """The record of `config` under `out`: None if there is none, or if what is there is damaged (see `read`).

    Raises:
        SchemaError: another version wrote it.
    """
    path = path_of(out, config)
    try:
        record = read(path) if path.is_file() else None
    except SchemaError:
        raise
    except RecordError:
        return None
    return record if record is not None and record.config == config else None


def read_all(out: Path) -> Iterator[Record | RecordError]:
    """Every record below `out`, sorted by path; one that cannot be read is yielded as its error."""
    for path in sorted(out.rglob("*.npz")):
        try:
            yield read(path)
        except RecordError as error:
            yield error


def summary(records: Iterable[Record]) -> list[dict[str, str]]:
    """Tidy rows, one per configuration and seed, sorted, in fixed formats, so that two runs compare with `diff`.

    Accuracies are in percent, losses in nats. `test_accuracy` is empty for a diverged seed. Fields of the protocol in
    which the records differ are columns of their own.
    """
    rows, records = [], list(records)
    protocols = [asdict(record.config) for record in records]
    differing = [
        name
        for name in (protocols[0] if protocols else ())
        if name not in ("activations", "dataset", "epochs") and len({protocol[name] for protocol in protocols}) > 1
    ]
    for record in sorted(records, key=lambda record: (record.config.dataset, record.config.name, record.config.digest)):
        config, never, diverged = record.config, record.never_predicted()[:, -1], record.diverged
        accuracy, arrays = record.test_accuracy()[:, -1], record.arrays
        head = {"dataset": config.dataset, "configuration": config.name}
        head |= {f"layer{i}": name for i, name in enumerate(config.activations, start=1)}
        for i, seed in enumerate(record.seeds.tolist()):
            rows.append(
                head
                | {"seed": str(seed), "epochs": str(config.epochs)}
                | {"test_accuracy": "" if diverged[i] else f"{accuracy[i]:.2f}"}
                | {"test_loss": f"{arrays['test_loss'][i, -1]:.5f}", "train_loss": f"{arrays['train_loss'][i, -1]:.5f}"}
                | {"train_accuracy": f"{100 * arrays['train_accuracy'][i, -1]:.3f}"}
                | {"classes_never_predicted": str(never[i]), "diverged": str(int(diverged[i])), "digest": config.digest}
                | {name: _cell(getattr(config, name)) for name in differing}
            )
    return rows


def _cell(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically."""
    _replace(path, content)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, in UTF-8."""
    _replace(path, text.encode("utf-8", "backslashreplace"))


def write_summary(path: Path, rows: Sequence[dict[str, str]]) -> None:
    """Write `summary.csv` atomically; the columns are the union of all rows', layers in order."""
    layers = sorted({key for row in rows for key in row if key.startswith("layer")}, key=lambda key: int(key[5:]))
    fixed = ["dataset", "configuration", *layers, "seed", "epochs", *SCORES, "digest"]
    differing = dict.fromkeys(key for row in rows for key in row if key not in fixed)
    columns = [*fixed[:-1], *differing, fixed[-1]]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())
