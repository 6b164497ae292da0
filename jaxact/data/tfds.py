"""TensorFlow Datasets without TensorFlow: its download, its checksums and its builders.

TFDS needs TensorFlow only to open files and to compress images. The builders made here are TFDS's own, except that they
read the original files with this package and compress with Pillow; what they prepare is what TFDS would have prepared.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from jaxact.data import cifar, idx
from jaxact.data.files import read_idx_files
from jaxact.data.network import why_unreachable
from jaxact.data.raw import Raw
from jaxact.data.specs import Spec
from jaxact.data.tfds_folder import find_prepared, first_line, quiet, read_prepared


def load_raw(spec: Spec, root: Path, offline: bool = False) -> tuple[Raw, str]:
    """Let TFDS download and prepare a data set, and read it.

    Args:
        spec: The data set.
        root: TFDS's data directory, made if need be. Original files lying in its downloads/manual are used, after
            TFDS has checked their SHA-256, instead of a download.
        offline: Whether only files already there may be used.

    Returns:
        The data set in the order of its original files, and one line naming the source.

    Raises:
        ValueError: If the files are not there and cannot be fetched, or what was prepared is damaged.
    """
    if not (prepared := find_prepared(root, spec.name)):
        _prepare(spec, root, offline)
        prepared = find_prepared(root, spec.name)
    if not prepared:
        raise ValueError(f"TFDS prepared nothing in {root}")
    return read_prepared(prepared, spec), f"TFDS {spec.name}/{prepared.name}"


def _prepare(spec: Spec, root: Path, offline: bool) -> None:
    """Download and prepare, unless that would only end in TFDS's minutes of waiting."""
    manual = root / "downloads" / "manual"
    with quiet():
        import tensorflow_datasets.public_api as tfds
        from tensorflow_datasets.core.download.download_manager import NonMatchingChecksumError

        if not sys.stderr.isatty():
            tfds.disable_progress_bar()
        builder_class, urls = _builder_class(spec)
        missing = [url for url in urls if not (manual / url.rsplit("/", 1)[-1]).is_file()]
        if missing:
            if reason := "not asked, offline" if offline else why_unreachable(missing[0]):
                raise ValueError(f"TFDS: {reason}")
        try:
            builder = builder_class(data_dir=root, file_format="array_record")
            builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=manual))
        except (OSError, ImportError, tfds.download.DownloadError, NonMatchingChecksumError) as error:
            raise ValueError(f"TFDS: {first_line(error)}") from None


def _builder_class(spec: Spec) -> tuple[Any, list[str]]:
    """TFDS's builder that manages without TensorFlow, and the addresses of the original files."""
    from tensorflow_datasets.image_classification import cifar as tfds_cifar
    from tensorflow_datasets.image_classification import mnist as tfds_mnist

    bases: dict[str, Any] = {
        "mnist": tfds_mnist.MNIST,
        "fashion_mnist": tfds_mnist.FashionMNIST,
        "cifar10": tfds_cifar.Cifar10,
    }
    base = bases[spec.name]
    if spec.name == "cifar10":
        urls = ["https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"]
    else:
        urls = [base.URL + idx.file_names(part)[0] for part in idx.PARTS]

    def read_originals(paths: list[Any]) -> Raw:
        if spec.name == "cifar10":
            return cifar.read_archive(Path(paths[0]), cifar.BINARY_FILES, spec)
        return read_idx_files([Path(path) for path in paths], spec)

    class Builder(base, skip_registration=True):  # pyright: ignore[reportGeneralTypeIssues, reportCallIssue]
        # Without skip_registration it would replace TFDS's own builder.
        name = spec.name

        def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[Any]]:
            raw = read_originals(dl_manager.download(urls))
            if spec.name == "cifar10":
                self.info.features["label"].names = list(spec.class_names)
            return {
                "train": _examples(raw.train_images, raw.train_labels, spec, "train"),
                "test": _examples(raw.test_images, raw.test_labels, spec, "test"),
            }

    return Builder, urls


def _examples(images: np.ndarray, labels: np.ndarray, spec: Spec, split: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the examples with the keys and features that TFDS's builder gives them."""
    from PIL import Image

    for index, (image, label) in enumerate(zip(images, labels, strict=True)):
        # Pillow takes one channel only without its axis; TFDS has it compress the image to PNG.
        example = {"image": Image.fromarray(image.squeeze()), "label": int(label)}
        yield index, example | ({"id": f"{split}_{index:05d}"} if spec.name == "cifar10" else {})
