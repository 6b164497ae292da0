"""jaxact's own cache: one .npz of bytes per data set, verified whenever it is read."""

import io
import json
import os
import warnings
from pathlib import Path

import numpy as np

from jaxact import files
from jaxact.data.bounded import read_zip, reason
from jaxact.data.raw import Raw, check_raw, digests
from jaxact.data.specs import Spec

_SCHEMA = 1
_HEADER = 1 << 10  # bytes before an array's values; NumPy writes 128
_META = 1 << 14  # bytes of the text beside the arrays


def cache_root(cache_dir: str | os.PathLike[str] | None = None) -> Path:
    """The cache folder: `cache_dir`, else the environment's JAXACT_CACHE, else the platform's user cache folder.

    Raises:
        ValueError: the folder that was named is empty, no folder, or of a user who is not there.
    """
    chosen = os.environ.get("JAXACT_CACHE") or None if cache_dir is None else os.fspath(cache_dir)
    if chosen is None:
        from platformdirs import user_cache_path

        return user_cache_path("jaxact")
    try:
        root = Path(chosen).expanduser()
        if chosen and (not root.exists() or root.is_dir()):
            return root
        reason = "a file" if chosen else "empty"
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
    raise ValueError(f"cache directory {chosen!r} cannot be used ({reason}); name another or leave it out")


def write(raw: Raw, source: str, spec: Spec, root: Path) -> None:
    """Keep a data set: written under a temporary name, then renamed.

    A cache that cannot be written costs only time, so it is reported as a warning.

    Args:
        raw: The data set.
        source: One line saying where it came from.
        spec: What it is.
        root: The cache folder, made if need be.
    """
    meta = json.dumps({"schema": _SCHEMA, "name": spec.name, "source": source, "sha256": digests(raw)})
    try:
        with files.replacing(root / f"{spec.name}.npz") as file:
            np.savez(file, meta=np.array(meta), **raw._asdict())
    except OSError as error:
        warnings.warn(f"{root}: {spec.name} cannot be kept there ({error.strerror}); set JAXACT_CACHE", stacklevel=2)


def read(spec: Spec, root: Path) -> tuple[Raw, str, tuple[str, ...]] | None:
    """Return a kept data set, or None where there is none or only a damaged one.

    Args:
        spec: What is wanted.
        root: The cache folder.

    Returns:
        The data set, the line saying where it came from, and its verified `digests`. A damaged file is reported as a
        warning and left to be overwritten.
    """
    path = root / f"{spec.name}.npz"
    try:
        with open(path, "rb") as file:
            meta = json.loads(str(_array(read_zip(file, "meta.npy", _META))))
            if (meta["schema"], meta["name"]) != (_SCHEMA, spec.name):
                raise ValueError(f"it is {meta['name']} of schema {meta['schema']}")
            if not isinstance(meta["source"], str):
                raise ValueError("its source is no text")
            room = max(spec.train_size, spec.test_size) * spec.features + _HEADER
            raw = check_raw(
                Raw(*(_array(read_zip(file, f"{part}.npy", room)) for part in Raw._fields)), spec, str(path)
            )
        found = digests(raw)
        if list(found) != meta["sha256"]:
            raise ValueError("its contents differ from their SHA-256")
        return raw, meta["source"], found
    except FileNotFoundError:
        return None
    except Exception as error:  # json, NumPy and Python's parser raise many kinds over damaged text
        warnings.warn(f"{path} is damaged and will be made again ({reason(error)})", stacklevel=2)
        return None


def _array(content: bytes) -> np.ndarray:
    """Return the array of a .npy file."""
    return np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
