"""The writer of TensorBoard's event files, from the optional package tensorboardX."""

import logging
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tensorboardX import SummaryWriter


def check_tensorboard(option: str) -> None:
    """Raises a ValueError, which names the option that needs it, where tensorboardX is missing."""
    if find_spec("tensorboardX") is None:
        raise ValueError(f"{option} needs tensorboardX: pip install 'jaxact[tensorboard]'")


def writer_of(path: Path) -> "SummaryWriter":
    """What writes the event file of a run; a context that closes it."""
    from tensorboardX import SummaryWriter  # of an optional extra

    logging.getLogger("tensorboardX").setLevel(logging.ERROR)  # a diverged seed's NaN is a result, not a warning
    return SummaryWriter(str(path))
