"""Folders of records, read by one policy: what cannot be read is left out and named, and takes nothing else with it."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from jaxact.config import Config
from jaxact.data.specs import SPECS
from jaxact.records.store import Record, RecordError, merge, path_of, read, read_all


def each(folders: Iterable[Path], left_out: list[str]) -> Iterator[Record]:
    """Every record below the folders, those of a folder that is named twice once.

    Args:
        folders: of records; one that does not exist holds none.
        left_out: gets a line for every file that is no record, is damaged, or is of a data set that is unknown here.
    """
    for folder in {folder.resolve(): folder for folder in folders}.values():
        for record in read_all(folder):
            if isinstance(record, Record) and record.config.dataset in SPECS:
                yield record
            elif isinstance(record, Record):
                _note(left_out, f"{path_of(folder, record.config)}: its data set is none of {', '.join(SPECS)}")
            else:
                _note(left_out, str(record))


def merged(folders: Iterable[Path], left_out: list[str]) -> dict[Config, Record]:
    """By configuration, with all seeds that any of the folders holds; of a seed in two the later folder's run."""
    found: dict[Config, Record] = {}
    for record in each(folders, left_out):
        found[record.config] = merge(found.get(record.config), record)
    return found


def lookup(folders: Iterable[Path], config: Config, seeds: Sequence[int], left_out: list[str]) -> Record | None:
    """The runs of one configuration and of these seeds, in any of the folders; None if there is none."""
    whole = None
    for path in (path_of(folder, config) for folder in folders):
        try:
            record = read(path) if path.is_file() else None
        except RecordError as error:
            _note(left_out, str(error))
            continue
        if record is not None and record.config == config:
            whole = merge(whole, record)
        elif record is not None:
            _note(left_out, misplaced(path, record))
    whole = whole.subset(seeds) if whole is not None else None
    return whole if whole is not None and len(whole.seeds) else None


def misplaced(path: Path, record: Record) -> str:
    """What is to be said of a record under the name of another configuration."""
    own = path_of(path.parent.parent, record.config)
    return f"{path}: holds {record.config.name}-{record.config.digest}: move it to {own}"


def none_left(folders: Sequence[Path], left_out: Sequence[str]) -> ValueError:
    """The error where nothing can be read: what is wrong with the first file, or how to get one."""
    if left_out:
        return ValueError(f"none of the {len(left_out)} files can be read, the first: {left_out[0]}")
    return ValueError(
        f"{', '.join(map(str, folders))}: no records: run python -m experiments.grid --out {folders[0]} first"
    )


def _note(left_out: list[str], line: str) -> None:
    if line not in left_out:
        left_out.append(line)
