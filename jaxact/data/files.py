"""Data sets as files in a folder of the user's: IDX files, or CIFAR-10's batches and archives."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxact.data import cifar, idx
from jaxact.data.raw import Raw, check_labels
from jaxact.data.specs import Spec

# Where a folder given for several data sets may keep each of them; torchvision's layout is among these.
SUBFOLDERS: dict[str, tuple[str, ...]] = {
    "mnist": ("mnist", "MNIST", "mnist/raw", "MNIST/raw"),
    "fashion_mnist": (
        *("fashion_mnist", "fashion-mnist", "FashionMNIST", "fashion"),
        *("fashion_mnist/raw", "fashion-mnist/raw", "FashionMNIST/raw"),
    ),
    "cifar10": tuple(
        f"{above}{below}"
        for above in ("", "cifar10/", "CIFAR10/", "cifar-10/")
        for below in ("cifar-10-batches-bin", "cifar-10-batches-py", "")
        if above or below
    ),
}


def wanted(spec: Spec) -> str:
    """What a folder must contain, for errors."""
    if spec.name == "cifar10":
        return "the folder cifar-10-batches-bin or cifar-10-batches-py, or " + " or ".join(cifar.ARCHIVES)
    return ", ".join(idx.file_names(part)[0] for part in idx.PARTS) + " (gzipped or not)"


def load_raw(spec: Spec, folder: Path) -> tuple[Raw, str] | None:
    """Read a data set from a folder or one of its usual subfolders.

    Args:
        spec: The data set.
        folder: The folder.

    Returns:
        The data set and one line naming the source, or None if there is no file of it.

    Raises:
        ValueError: If a file is missing, damaged, or of something else.
    """
    for candidate in (*(folder / name for name in SUBFOLDERS[spec.name]), folder, folder / "raw"):
        found = _load_cifar(spec, candidate) if spec.name == "cifar10" else _load_idx(spec, candidate)
        if found:
            return found
    return None


def _load_idx(spec: Spec, folder: Path) -> tuple[Raw, str] | None:
    """Read the four IDX files lying in `folder` itself."""
    found = [next((p for n in idx.file_names(part) if (p := folder / n).is_file()), None) for part in idx.PARTS]
    paths = [path for path in found if path]
    if not paths:
        return None
    if len(paths) < len(idx.PARTS):
        missing = [idx.file_names(part)[0] for part, path in zip(idx.PARTS, found, strict=True) if not path]
        raise ValueError(f"{folder}: {', '.join(missing)} missing (gzipped or not); {spec.name} needs all four files")
    return read_idx_files(paths, spec), f"IDX files in {folder}"


def read_idx_files(paths: Sequence[Path], spec: Spec) -> Raw:
    """Read the four files of a data set.

    Args:
        paths: Train images, train labels, test images, test labels.
        spec: The data set.

    Returns:
        The data set in the order of the files.

    Raises:
        ValueError: Naming the file that is not what it should be.
    """
    height, width, _ = spec.shape
    arrays: list[np.ndarray] = []
    for path, size, rank in zip(paths, [spec.train_size] * 2 + [spec.test_size] * 2, (3, 1, 3, 1), strict=True):
        values = idx.read(path, (size, height, width) if rank == 3 else (size,))
        if rank == 1:
            check_labels(values, spec, str(path))
        arrays.append(values[..., None] if rank == 3 else values)
    return Raw(*arrays)


def _load_cifar(spec: Spec, folder: Path) -> tuple[Raw, str] | None:
    """Read CIFAR-10 from batches or from an archive lying in `folder` itself."""
    for files, form in ((cifar.BINARY_FILES, "binary"), (cifar.PYTHON_FILES, "python")):
        if any((folder / name).is_file() for name in files):
            return cifar.read_folder(folder, files, spec), f"CIFAR-10 {form} batches in {folder}"
    for archive, files in cifar.ARCHIVES.items():
        if (folder / archive).is_file():
            return cifar.read_archive(folder / archive, files, spec), f"CIFAR-10 archive {folder / archive}"
    return None
