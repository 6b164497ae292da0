"""Records with planted failures for the tests of the report, and a reader of its page that shares no code with it."""

import base64
import gzip
import itertools
import json
import re
from html.parser import HTMLParser

import numpy as np
from oracles.record_examples import probe_arrays

from jaxact.config import Config
from jaxact.records import Record

COUNTS = np.array([980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009])
META = dict.fromkeys(("processor", "cores", "backend", "device", "devices", "python", "strategy", "call_size"), "?")
META |= {"xla_flags": "", "git_commit": "", "platform": "", "packages": {}, "seconds": 2.0, "command": "made up"}
META |= {"started_utc": "2026-01-02T03:04:05+00:00"}
FAILING = {"relu-sigmoid-relu": (2, 5, 3, 4), "sigmoid-sigmoid-relu": (9, 9, 8, 9)}
"""Classes lost by the seeds 0 to 3 of the small set."""


def study(name, **fields):
    return Config(activations=tuple(name.split("-")), **fields)


def record(config, lost=(0, 0, 0, 0), *, healthy=0.98, diverged=(), first=0, shift=0, born_dead=None):
    """Seeds 0, 1, … that never predict their last so many classes from the first epoch on, as those outputs are dead.

    At the start run number r of all gives every image class r % 10, so that each class is once entirely right.
    """
    n, classes, times = len(lost), config.widths[-1], config.epochs + 1
    counts = COUNTS if classes == 10 else np.full(classes, 100)
    predicted = np.zeros((n, times, classes), np.int32)
    correct = np.zeros_like(predicted)
    probes = probe_arrays(config, np.arange(n)[:, None] / 8 + np.arange(times)[None, :] / 8)
    probes["probe_dead"][:] = False
    probes["probe_output_negative"][:] = 0.5
    probes["probe_saturated"][:] = 0.25
    probes["probe_gradient_layers"][:] = np.linspace(0.1, 1, len(config.widths))
    end = sum(config.widths)
    for seed, gone in enumerate(lost):
        alive = classes - gone
        predicted[seed, 0, (first + seed) % classes] = counts.sum()
        correct[seed, 0, (first + seed) % classes] = counts[(first + seed) % classes]
        predicted[seed, 1:, :alive] = counts[:alive]
        predicted[seed, 1:, 0] += counts[alive:].sum()
        correct[seed, 1:, :alive] = np.round(counts[:alive] * (healthy + shift * seed))
        born = gone if born_dead is None else born_dead[seed]
        probes["probe_dead"][seed, 1:, end - gone : end] = gone > 0
        probes["probe_dead"][seed, 0, end - born : end] = born > 0
    loss = np.ones((n, times), np.float32)
    loss[list(diverged), -1] = np.nan
    arrays = {"train_loss": loss[:, 1:], "train_accuracy": np.full((n, times - 1), 0.5, np.float32)}
    arrays |= {"test_loss": loss, "test_correct": correct, "test_predicted": predicted} | probes
    runs = [META | {"seeds": list(range(n))}]
    return Record(config, np.arange(n), arrays, {"data": {"source": "made up; contents 0123abcd"}, "runs": runs})


def small_set(**fields):
    """All 8 combinations of relu and sigmoid, 4 seeds: two fail as planted, relu-relu-relu loses a class in one run."""
    made = []
    for i, names in enumerate(itertools.product(("relu", "sigmoid"), repeat=3)):
        name = "-".join(names)
        lost = FAILING.get(name, (0, 1, 0, 0) if name == "relu-relu-relu" else (0, 0, 0, 0))
        born = tuple(max(0, n - 2) for n in lost)  # two of the lost ones die in training
        made.append(record(study(name, **fields), lost, first=4 * i, shift=-0.001, born_dead=born))
    return made


def full_set():
    """The size of the study, 64 combinations, 9 seeds, 10 epochs: endings in (sigmoid, relu) fail."""
    made = []
    for i, names in enumerate(itertools.product(("relu", "tanh", "sigmoid", "selu"), repeat=3)):
        name = "-".join(names)
        lost = tuple((seed * 5 + i) % 9 + 1 if name.endswith("sigmoid-relu") else 0 for seed in range(9))
        made.append(record(study(name), lost, first=9 * i, healthy=0.97 + 0.0001 * i, shift=-0.001))
    return made


class _Reader(HTMLParser):
    """Tables as lists of rows of texts, by their id or the label of what scrolls them; all text; what is linked."""

    def __init__(self):
        super().__init__()
        self.tables, self.text, self.links = {}, [], []
        self._label, self._rows, self._cell, self._skip = "", None, None, 0

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.links += [value for key, value in attrs.items() if key in ("href", "src", "srcset", "action", "data")]
        self._label = attrs.get("aria-label", self._label) if tag == "div" else self._label
        self._skip += tag in ("script", "style")
        if tag == "table":
            self._rows = self.tables.setdefault(attrs.get("id") or self._label, [])
        elif tag == "tr" and self._rows is not None:
            self._rows.append([])
        elif tag in ("td", "th"):
            self._cell = []

    def handle_endtag(self, tag):
        self._skip -= tag in ("script", "style")
        if tag in ("td", "th") and self._cell is not None:
            self._rows[-1].append("".join(self._cell).strip())
            self._cell = None

    def handle_data(self, data):
        if self._skip:
            return
        self.text.append(data)
        if self._cell is not None:
            self._cell.append(data)


class Page:
    """A parsed page: `tables`, `text`, `links`, `payload`."""

    def __init__(self, path):
        self.html = path.read_text(encoding="utf-8")
        reader = _Reader()
        reader.feed(self.html)
        self.tables, self.links = reader.tables, reader.links
        self.text = re.sub(r"\s+", " ", " ".join(reader.text))
        packed = re.search(r'<script[^>]*id="payload">([^<]*)</script>', self.html)
        assert packed
        self.payload = json.loads(gzip.decompress(base64.b64decode(packed[1])))
