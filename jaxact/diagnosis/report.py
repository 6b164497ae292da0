"""The result of a diagnosis as text, as a dictionary and as HTML for a notebook."""

import dataclasses
import html
import math
from typing import Any

from jaxact.diagnosis.verdicts import LayerReport, Verdict
from jaxact.report.table import tidy_csv

COLUMNS = {
    "layer": "name",
    "activation": "activation",
    "units": "units",
    "h<0": "negative",
    "dead": "dead",
    "nearly": "nearly_dead",
    "satur.": "saturated",
    "zeros": "sparsity",
    "gain": "gain",
    "step": "attenuation",
    "|dL/dh|": "gradient",
    "|dL/dW|": "kernel_gradient",
    "|dW|/|W|": "update",
}
SHARES = frozenset({"negative", "dead", "nearly_dead", "saturated", "sparsity"})
LEGEND = (
    "h<0, satur., zeros: share of cases; dead, nearly: share of units; gain: gradient norm relative to the last layer; "
    "step: relative to the layers fed."
)
SEEN = "units, saturation, signal, gradients by layer and by parameter group, weights, inputs"
WITH_LABELS = ", labels, loss"
WITH_OPTIMIZER, WITHOUT_OPTIMIZER = ", the first step", "learning rate, optimiser, "
UNSEEN = "order of the data, data augmentation, overfitting, whether labels are right"


@dataclasses.dataclass(frozen=True, eq=False)
class Diagnosis:
    """What `jaxact.diagnose` found; `print` it, show it in a notebook, or take `to_dict()` or `to_csv()`.

    In a test, `assert_healthy()` fails with the findings. It is true in an `if` where nothing wrong was found (`ok`).
    Two are equal if all their entries are; NaN equals NaN.

    Attributes:
        layers: the numbers of every layer, in the order in which they are computed.
        verdicts: findings, causes first; empty where nothing wrong was found in what was looked at.
        notes: what limits the diagnosis, and what may well be meant so.
        examples: size of the batch.
        singular_values: of ∂output/∂input, largest first, medians over the first 8 examples; empty if not computed.
        condition: median of largest over smallest; inf where outputs are locally dependent (softmax, dead outputs).
        effective_rank: median of exp(entropy of the singular values).
        loss: mean cross-entropy in nats; NaN without labels.
    """

    layers: tuple[LayerReport, ...]
    verdicts: tuple[Verdict, ...]
    notes: tuple[str, ...]
    examples: int
    singular_values: tuple[float, ...]
    condition: float
    effective_rank: float
    loss: float

    @property
    def main(self) -> str:
        """Kind of the first finding, "healthy" if there is none."""
        return self.verdicts[0].kind if self.verdicts else "healthy"

    @property
    def ok(self) -> bool:
        """Whether nothing wrong was found; `bool(diagnosis)` is the same."""
        return self.main == "healthy"

    def __bool__(self) -> bool:
        return self.ok

    def __eq__(self, other: object) -> bool:
        return _comparable(self) == _comparable(other) if isinstance(other, Diagnosis) else NotImplemented

    def __hash__(self) -> int:
        return hash(_comparable(self))

    def layer(self, name: str) -> LayerReport:
        """The numbers of one layer; an unknown name is a ValueError."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise ValueError(f"unknown layer {name!r}: the network has {', '.join(layer.name for layer in self.layers)}")

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers, strings and lists, ready for JSON: NaN becomes None, infinities "inf" and "-inf"."""
        result: dict[str, Any] = plain(dataclasses.asdict(self))
        result["layers"] = [plain(layer._asdict()) for layer in self.layers]
        result["verdicts"] = [plain(verdict._asdict()) for verdict in self.verdicts]
        return {"main": self.main, **result}

    def to_dict(self) -> dict[str, Any]:
        """`as_dict` under the name that pandas and others have."""
        return self.as_dict()

    def to_csv(self) -> str:
        """A line per layer with all its numbers in full, empty where one is not defined."""
        return tidy_csv([plain(layer._asdict()) for layer in self.layers])

    def assert_healthy(self) -> None:
        """For a test of a network.

        Raises:
            AssertionError: something wrong was found; its text has the findings and remedies.
        """
        if not self.ok:
            raise AssertionError("\n".join([f"not healthy: {self.main}", *self._verdict_lines()]))

    def __str__(self) -> str:
        rows = self._rows()
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = ["  ".join(_aligned(row, widths)).rstrip() for row in rows]
        return "\n".join([self._headline(), "", *lines, LEGEND, "", *self._findings()])

    def _repr_html_(self) -> str:
        head, *rows = self._rows()
        cells = ["".join(f"<th>{html.escape(cell)}</th>" for cell in head)]
        cells += ["".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in rows]
        table = "".join(f"<tr>{row}</tr>" for row in cells)
        findings = "".join(f"<li>{html.escape(line)}</li>" for line in self._findings())
        head_line, legend = html.escape(self._headline()), html.escape(LEGEND)
        return f"<div><p>{head_line}</p><table>{table}</table><p><small>{legend}</small></p><ul>{findings}</ul></div>"

    def _headline(self) -> str:
        parts = [f"{self.main}: {len(self.layers)} layers, {self.examples} examples"]
        if self.singular_values and self.singular_values[0] == 0:
            parts.append("d output/d input is 0")
        elif self.singular_values:
            largest, smallest = self.singular_values[0], self.singular_values[-1]
            parts.append(f"singular values of d output/d input {largest:.3g} to {smallest:.3g}")
            parts.append(f"condition {self.condition:.3g}, effective rank {self.effective_rank:.3g}")
        if not math.isnan(self.loss):
            parts.append(f"loss {self.loss:.4g}")
        return "; ".join(parts)

    def _rows(self) -> list[list[str]]:
        hidden = {"gradient", "kernel_gradient"} if math.isnan(self.loss) else set[str]()
        hidden |= set() if self._stepped() else {"update"}
        shown = {title: field for title, field in COLUMNS.items() if field not in hidden}
        return [[*shown], *([_cell(field, getattr(layer, field)) for field in shown.values()] for layer in self.layers)]

    def _findings(self) -> list[str]:
        lines = self._verdict_lines()
        notes = [f"note: {note}." for note in self.notes]
        return [*(lines or ["Nothing wrong was found in what was looked at."]), *notes, *self._scope()]

    def _verdict_lines(self) -> list[str]:
        lines = []
        for verdict in self.verdicts:
            reason = f" (because of {verdict.because})" if verdict.because else ""
            lines.append(f"{verdict.kind}: {verdict.text} (limit {verdict.limit:.3g}){reason}.")
            if not verdict.because:
                lines.append(f"remedy: {verdict.remedy}.")
        return lines

    def _stepped(self) -> bool:
        return any(not math.isnan(layer.update) for layer in self.layers)

    def _scope(self) -> list[str]:
        """What the findings are about: a network can fail for other reasons."""
        labelled = not math.isnan(self.loss)
        seen, unseen = (SEEN + WITH_LABELS, "") if labelled else (SEEN, "labels, loss, ")
        seen, unseen = (seen + WITH_OPTIMIZER, unseen) if self._stepped() else (seen, unseen + WITHOUT_OPTIMIZER)
        return [f"looked at: {seen}.", f"not looked at: {unseen}{UNSEEN}."]


def _cell(field: str, value: Any) -> str:
    if isinstance(value, str | int):
        return str(value)
    if math.isnan(value):
        return "-"
    return f"{value:.1%}" if field in SHARES else f"{value:.3g}"


def _aligned(row: list[str], widths: list[int]) -> list[str]:
    pairs = list(zip(row, widths, strict=True))
    return [cell.ljust(width) for cell, width in pairs[:2]] + [cell.rjust(width) for cell, width in pairs[2:]]


def _comparable(value: Any) -> Any:
    """Tuples, strings and numbers, with None for NaN, which is not equal to itself."""
    if isinstance(value, Diagnosis):
        return tuple(_comparable(getattr(value, field.name)) for field in dataclasses.fields(value))
    if isinstance(value, tuple):
        return tuple(map(_comparable, value))
    return None if isinstance(value, float) and math.isnan(value) else value


def plain(value: Any) -> Any:
    """Plain numbers, strings and lists, ready for JSON: NaN becomes None, infinities "inf" and "-inf"."""
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else "inf" if value > 0 else "-inf"
    return value
