"""What determines the numbers of a run: frozen, hashable, JSON-able, validated. Loads neither JAX nor Flax."""

import hashlib
import itertools
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any

from jaxact import architectures
from jaxact.layer_names import StoredName, canonical, halves_of, split_name

INITIALIZERS = ("torch_default", "lecun_normal", "he_normal", "glorot_uniform", "orthogonal")
OPTIMIZERS = (
    *("adabelief", "adadelta", "adagrad", "adam", "adamax", "adamw", "adan", "amsgrad", "fromage", "lamb", "lion"),
    *("nadam", "nadamw", "novograd", "radam", "rmsprop", "rprop", "sgd", "sign_sgd", "yogi"),
)
TORCH_OPTIMIZERS = ("torch_adadelta", "torch_adagrad", "torch_rmsprop")
MOMENTUM_OPTIMIZERS = ("rmsprop", "sgd", "torch_rmsprop")
DIGEST_SCHEMA = 1
LATER_FIELDS = ("output_bias", "architecture")
"""Fields added after the first records: left out of `as_dict` at their default, so that digests stay as they were."""
MAX_SEED = MAX_COUNT = 2**31 - 1
MAX_COMBINATIONS = 100_000
MAX_RATE = 1e30  # float32 ends at 3e38


def closest(value: str, known: Iterable[str], what: str) -> ValueError:
    """The error for an unknown name: what was given, the nearest known name, all known names."""
    known = sorted(known)
    near = get_close_matches(value, known, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return ValueError(f"unknown {what} {value!r}: {hint}known: {', '.join(known)}")


def _positive(name: str, value: Any, kind: type) -> None:
    number = isinstance(value, int if kind is int else int | float) and not isinstance(value, bool)
    low, high = (1, MAX_COUNT) if kind is int else (1 / MAX_RATE, MAX_RATE)
    if not number or not low <= value <= high:  # NaN fails too
        whole = f"a whole number of at least 1, at most {high}"
        limit = whole if kind is int else f"a finite number above 0, at most {high:g}"
        raise ValueError(f"{name} must be {limit}, got {value!r}")


@dataclass(frozen=True, kw_only=True)
class Config:
    """One configuration: everything that determines the numbers of a run, except the seeds.

    Attributes:
        dataset: name of the data set (see `jaxact.data.specs`).
        activations: one catalogue name per layer, the output layer included; or two joined by `+`, one for each half
            of the layer's units (the first ⌊n/2⌋, and the rest), in every layer.
        widths: units of every layer, the output layer included.
        batch_norm: numbers of the layers (from 1) with batch norm before their activation.
        init: name of the initialiser of kernels and biases.
        optimizer: name of an optax optimiser, or of one with PyTorch's definition (`TORCH_OPTIMIZERS`).
        learning_rate: step size.
        momentum: heavy-ball coefficient in [0, 1), for `sgd` and `rmsprop`; 0 for all others.
        batch_size: examples per step; the last, smaller batch of an epoch is a step of its own.
        epochs: passes over the training set.
        limit_train: train on the first this many examples only; None for all.
        output_bias: added to the initial biases of the output layer.
        architecture: `mlp`, or `lenet`, whose widths are channels and units (see `jaxact.architectures`).

    Raises:
        ValueError: a value out of its range, an unknown name, or lengths that do not agree.
    """

    activations: tuple[str, ...]
    dataset: str = "mnist"
    widths: tuple[int, ...] = (500, 256, 10)
    batch_norm: tuple[int, ...] = ()
    init: str = "torch_default"
    optimizer: str = "sgd"
    learning_rate: float = 0.01
    momentum: float = 0.5
    batch_size: int = 32
    epochs: int = 10
    limit_train: int | None = None
    output_bias: float = 0.0
    architecture: str = "mlp"

    def __post_init__(self) -> None:
        """Check every field; sequences become tuples so that equal configurations are equal values."""
        for name in ("activations", "widths", "batch_norm"):
            if isinstance(getattr(self, name), str) or not isinstance(getattr(self, name), Iterable):
                raise ValueError(f"{name} must be a sequence with one entry per layer, got {getattr(self, name)!r}")
            object.__setattr__(self, name, tuple(getattr(self, name)))
        self._check_layers()
        architectures.check(self.architecture, self.dataset, len(self.widths))
        if self.init not in INITIALIZERS:
            raise closest(str(self.init), INITIALIZERS, "initialiser")
        if self.optimizer not in OPTIMIZERS + TORCH_OPTIMIZERS:
            raise closest(str(self.optimizer), OPTIMIZERS + TORCH_OPTIMIZERS, "optimiser")
        _positive("learning_rate", self.learning_rate, float)
        for name in ("batch_size", "epochs"):
            _positive(name, getattr(self, name), int)
        if self.limit_train is not None:
            _positive("limit_train", self.limit_train, int)
        if not isinstance(self.momentum, int | float) or not 0 <= self.momentum < 1:
            raise ValueError(f"momentum must be at least 0 and below 1, got {self.momentum!r}")
        if isinstance(self.output_bias, bool) or not abs(self.output_bias) <= MAX_RATE:  # NaN fails too
            raise ValueError(f"output_bias must be a finite number, got {self.output_bias!r}")
        for name in ("learning_rate", "momentum", "output_bias"):  # 1 and 1.0 are one configuration, with one digest
            object.__setattr__(self, name, float(getattr(self, name)))
        if self.momentum and self.optimizer not in MOMENTUM_OPTIMIZERS:
            raise ValueError(
                f"momentum {self.momentum!r} has no meaning for {self.optimizer!r}: leave it 0 "
                f"(only {', '.join(MOMENTUM_OPTIMIZERS)} use it)"
            )

    def _check_layers(self) -> None:
        if not self.activations:
            raise ValueError("activations is empty: name one activation per layer, e.g. relu-sigmoid-relu")
        object.__setattr__(self, "activations", tuple(canonical(name) for name in self.activations))
        plain = [name for name in self.activations if len(halves_of(name)) == 1]
        if 0 < len(plain) < len(self.activations):
            raise ValueError(
                f"{self.name} mixes layers of one activation with layers of two halves: "
                f"write {plain[0]}+{plain[0]} for {plain[0]}"
            )
        for width in self.widths:
            _positive("each width", width, int)
        if len(self.widths) != len(self.activations):
            raise ValueError(
                f"{len(self.activations)} activations ({self.name}) but {len(self.widths)} widths {list(self.widths)}: "
                "give one width per layer, the output layer included"
            )
        layers = range(1, len(self.widths) + 1)
        if set(self.batch_norm) - set(layers) or len(set(self.batch_norm)) < len(self.batch_norm):
            raise ValueError(
                f"batch_norm must name layers from 1 to {len(self.widths)}, each once, got {list(self.batch_norm)}"
            )
        object.__setattr__(self, "batch_norm", tuple(sorted(map(int, self.batch_norm))))

    @property
    def paired(self) -> bool:
        """Whether the layers are split in two halves with an activation each (`relu+tanh`)."""
        return len(halves_of(self.activations[0])) == 2

    @property
    def name(self) -> str:
        """The activations joined by hyphens: `relu-sigmoid-relu`."""
        return "-".join(self.activations)

    @property
    def digest(self) -> str:
        """First 8 hex digits of the SHA-256 of the canonical JSON of all fields: equal configurations, equal digest."""
        text = json.dumps({"schema": DIGEST_SCHEMA} | self.as_dict(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    def as_dict(self) -> dict[str, Any]:
        """The fields as plain JSON values, without the later ones that have their default."""
        defaults = {field.name: field.default for field in fields(self) if field.name in LATER_FIELDS}
        items = [(key, value) for key, value in asdict(self).items() if key not in defaults or value != defaults[key]]
        return {key: list(value) if isinstance(value, tuple) else value for key, value in items}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Config":
        """The inverse of `as_dict`, for reading: no activation is looked up, so none is imported (see `StoredName`).

        Raises:
            ValueError: an unknown field, or a value out of its range.
        """
        unknown = set(values) - {field.name for field in fields(cls)}
        if unknown:
            what = ", ".join(sorted(unknown))
            raise ValueError(f"unknown field {what} in a configuration: written by a newer version?")
        fixed: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        names = fixed.get("activations")
        if isinstance(names, tuple):
            fixed["activations"] = tuple(StoredName(name) if isinstance(name, str) else name for name in names)
        return cls(**fixed)

    def steps_per_epoch(self, train_size: int) -> int:
        """Optimiser steps of one epoch over `train_size` examples, ⌈n / batch_size⌉.

        Raises:
            ValueError: the batch is larger than the data, or batch norm would meet a batch of one example.
        """
        n = min(train_size, self.limit_train or train_size)
        if self.batch_size > n:
            raise ValueError(f"batch size {self.batch_size} is larger than the {n} training examples: use at most {n}")
        if self.batch_norm and (self.batch_size == 1 or n % self.batch_size == 1):
            raise ValueError(
                f"batch size {self.batch_size} over {n} examples leaves a batch of one, whose variance batch norm "
                f"cannot estimate: choose a batch size that leaves a remainder other than 1"
            )
        return -(-n // self.batch_size)


def combinations(activations: Sequence[str], layers: int) -> list[tuple[str, ...]]:
    """All `len(activations) ** layers` combinations, the last layer varying fastest (the study's order).

    Raises:
        ValueError: there are more than `MAX_COMBINATIONS` of them.
    """
    if (count := len(activations) ** layers) > MAX_COMBINATIONS:
        raise ValueError(
            f"{len(activations)} activations in {layers} layers are {count} combinations, at most {MAX_COMBINATIONS} "
            "are laid out: name configurations in full, without *"
        )
    return list(itertools.product(activations, repeat=layers))


def select(
    patterns: Sequence[str], activations: Sequence[str], layers: int, every: Callable[..., Any] = combinations
) -> list[tuple[str, ...]]:
    """Combinations named by `patterns`, in order, without repeats.

    Args:
        patterns: names such as `relu-sigmoid-relu`, whose activations may be any of the catalogue, or patterns with
            `*` (any text) matched against the names of all combinations of `activations`.
        activations: the names that patterns are matched with.
        layers: number of layers.
        every: lays out the combinations that patterns are matched with.

    Raises:
        ValueError: a name with the wrong number of layers, given twice, or a pattern that matches nothing.
    """
    found: dict[tuple[str, ...], None] = {}
    named: set[tuple[str, ...]] = set()
    for pattern in patterns:
        if "*" in pattern:
            known = every(activations, layers)
            matches = [c for c in known if fnmatchcase("-".join(c), pattern)]
            if not matches:
                raise ValueError(f"configuration {pattern!r} matches none of the {len(known)} combinations")
            found |= dict.fromkeys(matches)
            continue
        names = tuple(canonical(name) for name in split_name(pattern))
        if len(names) != layers:
            raise ValueError(f"configuration {pattern!r} has {len(names)} activations, the network has {layers} layers")
        if names in named:
            raise ValueError(f"configuration {pattern!r} is named twice: name each once")
        named.add(names)
        found[names] = None
    return list(found)


def parse_batch_norm(text: str, layers: int) -> tuple[int, ...]:
    """`none`, `all`, `last` or layer numbers `1,3` → layer numbers."""
    named = {"none": (), "all": tuple(range(1, layers + 1)), "last": (layers,)}
    if text in named:
        return named[text]
    if not re.fullmatch(r"[0-9]{1,4}(,[0-9]{1,4})*", text):
        raise ValueError(f"batch norm must be none, all, last or layer numbers such as 1,3, got {text!r}")
    return tuple(int(part) for part in text.split(","))


def parse_seeds(text: str) -> tuple[int, ...]:
    """`9` → seeds 0…8; a list such as `0,3,17-25` or `4,` → those seeds.

    Raises:
        ValueError: nothing, a negative number, a backward range, a repeated seed, or a seed above 2³¹ − 1.
    """
    if re.fullmatch(r"[0-9]{1,10}", text):
        count = int(text)
        if not 1 <= count <= 100_000:
            raise ValueError(f"seeds must be a count from 1 to 100000 or a list such as 0,3,17-25, got {text!r}")
        return tuple(range(count))
    if not re.fullmatch(r"[0-9]{1,10}(-[0-9]{1,10})?(,[0-9]{1,10}(-[0-9]{1,10})?)*,?", text):
        raise ValueError(f"seeds must be a count of at least 1 or a list such as 0,3,17-25, got {text[:40]!r}")
    seeds: list[int] = []
    for part in text.strip(",").split(","):
        first, _, last = part.partition("-")
        low, high = int(first), int(last or first)
        if high < low or high > MAX_SEED or high - low >= 100_000:
            raise ValueError(
                f"seeds {part!r}: a range goes upwards, holds at most 100000 seeds and ends at most at {MAX_SEED}"
            )
        seeds.extend(range(low, high + 1))
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds {text!r} names a seed twice: name each once")
    return tuple(seeds)
