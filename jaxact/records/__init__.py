"""What runs leave: one self-describing file per configuration, seeds as leading axis; summaries; folders of them."""

from jaxact.records.fields import ARRAYS, AXES, HISTORY, PROBES
from jaxact.records.record import Record
from jaxact.records.rows import SCORES, summary, write_summary
from jaxact.records.store import (
    SCHEMA,
    RecordError,
    SchemaError,
    add,
    find,
    merge,
    path_of,
    read,
    read_all,
    tidy,
    write,
    write_bytes,
    write_text,
)

__all__ = [
    "ARRAYS",
    "AXES",
    "HISTORY",
    "PROBES",
    "Record",
    "RecordError",
    "SCHEMA",
    "SCORES",
    "SchemaError",
    "add",
    "find",
    "merge",
    "path_of",
    "read",
    "read_all",
    "summary",
    "tidy",
    "write",
    "write_bytes",
    "write_summary",
    "write_text",
]
