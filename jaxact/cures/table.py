"""The table of a repair: dead units and APJN of every layer, before and after."""

import math
from collections.abc import Sequence

from jaxact.diagnosis import Diagnosis

LEGEND = (
    "dead: units that pass next to no gradient for any example; APJN: squared gradient norm by a layer's "
    "pre-activations over that by the layers it feeds."
)


def table(before: Diagnosis, after: Diagnosis, changed: Sequence[str], notes: Sequence[str]) -> str:
    """The table and, below it, what was changed and what could not be."""
    rows = [["layer", "activation", "units", "dead before", "after", "APJN before", "after"]]
    for old, new in zip(before.layers, after.layers, strict=True):
        dead = [str(round(layer.dead * layer.units)) for layer in (old, new)]
        apjn = ["-" if math.isnan(layer.attenuation) else f"{layer.attenuation**2:.3g}" for layer in (old, new)]
        rows.append([old.name, old.activation, str(old.units), *dead, *apjn])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [f"{before.main} before, {after.main} after; {after.examples} examples", ""]
    for row in rows:
        cells = [cell.ljust(width) if place < 2 else cell.rjust(width) for place, (cell, width) in _placed(row, widths)]
        lines.append("  ".join(cells).rstrip())
    lines += [LEGEND, "", *(f"changed: {line}." for line in changed or ["nothing"])]
    return "\n".join([*lines, *(f"note: {line}." for line in notes)])


def _placed(row: list[str], widths: list[int]) -> list[tuple[int, tuple[str, int]]]:
    return list(enumerate(zip(row, widths, strict=True)))
