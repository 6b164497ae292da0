"""One self-describing `.npz` per configuration, seeds as leading axis; the only module that writes results.

A record is plain arrays plus a JSON `meta`, read without pickle, written to a temporary name and moved into place.
Seeds can be added to a record later: a seed's numbers depend on that seed alone.
"""

import json
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from jaxact import files, numerics
from jaxact.config import Config
from jaxact.console import one_line
from jaxact.records import fields as record_fields
from jaxact.records.archive import MAX_BYTES, MAX_SEEDS, Archive, Header, checksum, pack
from jaxact.records.fields import ARRAYS
from jaxact.records.record import Record

SCHEMA = 2


class RecordError(ValueError):
    """A file that is not a record this version can read."""


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

    Raises:
        ValueError: `read` would refuse the record.
    """
    path = path_of(out, record.config)
    own = {"schema": SCHEMA, "config": record.config.as_dict(), "digest": record.config.digest}
    arrays = {"seeds": record.seeds, **{name: np.asarray(record.arrays[name]) for name in ARRAYS}}
    headers = {name: Header(value.shape, False, value.dtype) for name, value in arrays.items()}
    if problem := _form_problem(headers, record.config) or _content_problem(record):
        raise ValueError(f"{path} is not written: {problem}, which no reader takes: mend the record")
    files.replace(path, pack(own | record.meta, arrays))
    return path


def add(out: Path, record: Record) -> Record:
    """Add the seeds of a record to what `out` holds of its configuration, while other processes wait.

    Returns:
        The record written; a seed in both has the new numbers.

    Raises:
        SchemaError: another version wrote what is there.
        OSError: it cannot be read, or nothing can be written; what is there stays as it is.
    """
    with files.locked(path_of(out, record.config).parent):
        whole = merge(find(out, record.config), record)
        write(out, whole)
    return whole


def tidy(out: Path, dataset: str) -> None:
    """Remove what dead processes left beside the records: to be called before a run and after it."""
    for folder in (out, out / dataset):
        files.tidy(folder)


def read(path: Path) -> Record:
    """Read and check a record; no code that it names is imported.

    Raises:
        RecordError: no record, one that contradicts itself or its checksum, or one of another schema.
    """
    try:
        return _read(path)
    except OSError as error:
        raise RecordError(f"{path}: cannot be read ({error.strerror or error}): make it readable") from error


def _read(path: Path) -> Record:
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("error")
            record, problem = _unpack(path)
    except (OSError, SchemaError):
        raise
    except Exception as error:  # whatever the readers of archives, arrays and JSON raise at bytes of any kind
        reason = one_line(str(error) or type(error).__name__)[:200]
        raise RecordError(f"{path}: not a jaxact record ({reason}): move it away or train it again") from error
    if problem:
        raise RecordError(f"{path}: {one_line(problem)}: move it away or train it again")
    return record


def _unpack(path: Path) -> tuple[Record, str | None]:
    """The record and what is wrong with it; any error for what is no record."""
    archive = Archive(path)
    meta = json.loads(archive.text("meta"))
    schema, digest, told = meta.pop("schema"), meta.pop("digest"), meta.pop("checksum", None)
    if isinstance(schema, int) and schema != SCHEMA:
        what = f"schema {schema:.6g}, this version reads {SCHEMA}: train it again in another --out"
        raise SchemaError(f"{path}: {what}")
    config = Config.from_dict(fields := meta.pop("config"))
    members = {name: archive.member(name) for name in ("seeds", *ARRAYS)}
    problem = _form_problem({name: member.header for name, member in members.items()}, config)
    if problem is None and digest != config.digest:
        problem = f"digest {digest!s:.40} where its configuration has {config.digest}"
    if problem:
        return Record(config, np.zeros(0, int), {}, meta), problem
    arrays = {name: member.array() for name, member in members.items()}
    own = {"schema": schema, "config": fields, "digest": digest}
    changed = told is not None and told != checksum(own | meta, arrays)
    record = Record(config, arrays.pop("seeds"), arrays, meta)
    problem = _content_problem(record)
    return record, "its checksum is that of other numbers" if changed and not problem else problem


def _form_problem(headers: dict[str, Header], config: Config) -> str | None:
    """What is wrong with types and shapes: to be known before anything large is unpacked."""
    seeds = headers["seeds"]
    if len(seeds.shape) != 1 or not 0 < seeds.shape[0] <= MAX_SEEDS:
        return f"no seeds, or more than {MAX_SEEDS}"
    for name, header in headers.items():
        if problem := record_fields.kind_problem(name, header.dtype):
            return problem
        if name != "seeds" and (problem := record_fields.shape_problem(name, header.shape, config, seeds.shape[0])):
            return problem
    size = sum(header.size for header in headers.values())
    return f"arrays of {size} bytes, at most {MAX_BYTES} are read" if size > MAX_BYTES else None


def _content_problem(record: Record) -> str | None:
    """What is wrong with values and metadata."""
    if not record_fields.is_plain_name(record.config.dataset):
        return f"a data set called {record.config.dataset!r:.40}"
    problem = record_fields.seeds_problem(record.seeds) or record_fields.meta_problem(record.meta, record.seeds)
    return problem or record_fields.values_problem(record.arrays, record.config, record.meta["data"].get("test"))


def find(out: Path, config: Config) -> Record | None:
    """The record of `config` under `out`: None if there is none, or if what is there is damaged (see `read`).

    Raises:
        SchemaError: another version wrote it.
        OSError: it is there and cannot be read, so that it may be whole.
    """
    path = path_of(out, config)
    try:
        record = _read(path) if path.is_file() else None
    except SchemaError:
        raise
    except (RecordError, FileNotFoundError):  # damaged, or moved away meanwhile
        return None
    return record if record is not None and record.config == config else None


def read_all(out: Path) -> Iterator[Record | RecordError]:
    """Every record below `out`, sorted by path; one that cannot be read is yielded as its error."""
    for path in sorted(out.rglob("*.npz")):
        try:
            yield read(path)
        except RecordError as error:
            yield error


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically."""
    files.replace(path, content)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, in UTF-8."""
    files.replace(path, text.encode("utf-8", "backslashreplace"))
