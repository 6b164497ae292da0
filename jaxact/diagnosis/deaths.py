"""Units that die between two looks at a network in training, and what is said of them."""

from collections.abc import Sequence
from typing import NamedTuple

from jaxact.diagnosis.snapshots import LayerSnapshot, Snapshot

SHOWN = 10
"""Numbers of units that a text lists."""


class Death(NamedTuple):
    """Units of one layer that are dead for the first time.

    Attributes:
        step: of the look that found them.
        before: step of the look before; None at the first look.
        layer: its name.
        kind: "layer" where all its units are dead by now, "outputs" where its units are those, otherwise "units".
        units: the numbers of those that are new, from 0.
        dead: how many are dead in all.
        of: how many units the layer has.
    """

    step: int
    before: int | None
    layer: str
    kind: str
    units: tuple[int, ...]
    dead: int
    of: int

    def __str__(self) -> str:
        since = "at the first look" if self.before is None else f"and was not at step {self.before}"
        if self.kind == "layer":
            return f"layer {self.layer} is dead at step {self.step}, {since}: all {self.of} units pass no gradient"
        many = len(self.units) > 1
        noun = ("output" if self.kind == "outputs" else "unit") + ("s" if many else "")
        listed = ", ".join(map(str, self.units[:SHOWN]))
        listed += f" and {len(self.units) - SHOWN} more" if len(self.units) > SHOWN else ""
        verb, since = ("are", since.replace("was", "were")) if many else ("is", since)
        total = f"{self.dead} of {self.of} are dead by now"
        return f"{noun} {listed} of {self.layer} {verb} dead at step {self.step}, {since}; {total}"


class DeathWarning(UserWarning):
    """Units, outputs or a whole layer of a watched network died."""


class BrokenWarning(UserWarning):
    """A watched network has values or gradients that are NaN or infinite."""


def new_deaths(
    look: Snapshot, before: int | None, told: Sequence[set[int]], last: Sequence[int], able: Sequence[bool]
) -> tuple[Death, ...]:
    """The units that are dead in a look and were never dead before; they are added to `told`.

    Args:
        look: the look.
        before: step of the look before.
        told: by layer, the units that were dead in an earlier look.
        last: the layers whose units are outputs, with no path around them.
        able: by layer, whether its activation has a slope anywhere; where it has none, no unit can die.
    """
    found = []
    for index, layer in enumerate(look.layers):
        new = tuple(unit for unit in layer.dead if unit not in told[index])
        if new and able[index]:
            told[index].update(new)
            found.append(_death(look.step, before, layer, new, index in last))
    return tuple(found)


def broken_text(look: Snapshot, before: int | None, leaf: str, entries: int) -> str:
    """Where a network is broken, in words; "" where it is not.

    Args:
        look: the look.
        before: step of the look before.
        leaf: the first parameter with entries that are not finite.
        entries: how many it has.
    """
    seen = "the first look" if before is None else f"the look before was at step {before}"
    for field, what in (("broken", "pre-activations"), ("broken_gradient", "gradients")):
        for layer in look.layers:
            if share := getattr(layer, field):
                text = f"{layer.name} is broken at step {look.step} ({seen}): {share:.2%} of its {what} are NaN or "
                cause = f"so are {entries} entries of {leaf}" if entries else "all parameters are finite"
                return f"{text}infinite; {cause}"
    return ""


def _death(step: int, before: int | None, layer: LayerSnapshot, new: tuple[int, ...], is_last: bool) -> Death:
    kind = "layer" if len(layer.dead) == layer.units else "outputs" if is_last else "units"
    return Death(step, before, layer.name, kind, new, len(layer.dead), layer.units)
