"""Records whose numbers follow from their seeds, for the tests of what reads and writes them."""

import numpy as np

from jaxact.config import Config
from jaxact.records import Record
from jaxact.records.fields import COUNTS, PROBES, SHARES

CONFIG = Config(activations=("relu", "tanh"), dataset="digits", widths=(3, 2), epochs=2)


RUN = {
    **{"started_utc": "2026-01-02T03:04:05+00:00", "processor": "abacus", "cores": 2, "backend": "cpu"},
    **{"device": "cpu", "devices": 2, "python": "3.11.7", "strategy": "map", "call_size": 2, "xla_flags": ""},
    **{"git_commit": None, "platform": "Linux", "packages": {"jax": "0.10.2", "jaxact": None}, "seconds": 1.5},
}


def make(seeds: list[int], config: Config = CONFIG, offset: float = 0.0) -> Record:
    """A record whose every number follows from its seed, so that a mixed-up row shows."""
    index = np.array(seeds)
    classes, epochs = config.widths[-1], config.epochs
    grid = index[:, None] + np.arange(epochs + 1)[None, :] / 8 + offset
    counts = np.stack([np.roll(np.arange(classes) * 10, int(s))[None].repeat(epochs + 1, 0) for s in seeds])
    probes = probe_arrays(config, grid)
    return Record(
        config,
        index,
        {
            "train_loss": grid[:, 1:].astype(np.float32),
            "train_accuracy": (1 / (1 + grid[:, 1:])).astype(np.float32),
            "test_loss": grid.astype(np.float32),
            "test_correct": (counts // 2).astype(np.int32),
            "test_predicted": counts.astype(np.int32),
            **probes,
        },
        {"data": {"source": "made up"}, "runs": [RUN | {"seeds": seeds, "offset": offset}]},
    )


def probe_arrays(config: Config, grid: np.ndarray) -> dict[str, np.ndarray]:
    """Probes whose every number follows from `grid` [seeds, times] and its place, each of the kind its field has."""
    classes, grid = config.widths[-1], np.nan_to_num(grid)
    sizes = {"layers": len(config.widths), "units": sum(config.widths), "classes": classes, "values": classes}
    probes = {}
    for number, (name, axes) in enumerate(PROBES.items()):
        shape = tuple(sizes[axis] for axis in axes)
        cells = grid.reshape(*grid.shape, *[1] * len(shape)) + np.arange(np.prod(shape)).reshape(shape)[None, None]
        values = (cells + number).astype(np.float32)
        if name == "dead":
            values = cells % 2 < 1
        elif f"probe_{name}" in SHARES or name == "correlation":
            values = values % 1
        elif f"probe_{name}" in COUNTS:
            values = (values % (np.array(config.widths) + 1)).astype(np.int32)
        probes[f"probe_{name}"] = values
    return probes


def assert_same(one: Record, other: Record) -> None:
    assert one.config == other.config and one.meta == other.meta
    np.testing.assert_array_equal(one.seeds, other.seeds)
    assert set(one.arrays) == set(other.arrays)
    for name, value in one.arrays.items():
        assert value.dtype == other.arrays[name].dtype
        np.testing.assert_array_equal(value, other.arrays[name])
