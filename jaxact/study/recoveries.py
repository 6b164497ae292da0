"""Sudden recoveries in learning curves: rises of the accuracy, the classes that come back and their outputs."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxact.records import Record
from jaxact.report.table import aligned

RISE = 5.0
FIRST = 3
"""A recovery is a rise of the test accuracy by at least `RISE` points in epoch `FIRST` or later."""
MOST_TIES = 6


class Recovery(NamedTuple):
    """One sudden rise of one seed.

    Attributes:
        label: the configuration.
        seed, epoch: where.
        before, after: test accuracy in percent, after the epoch before and after this one.
        regained: the classes that were never predicted before and are now.
        lost_since: [regained] the first epoch of those in which each of them was never predicted until now.
        active_before, active_after: [regained] share of the test set, in percent, with a positive output
            pre-activation for each of these classes.
        dead: how many of these outputs were dead before.
        tied: classes that are predicted again although their output is the same for every image, dead and never
            positive: no other output is above it there, so that the first of equal ones counts.
    """

    label: str
    seed: int
    epoch: int
    before: float
    after: float
    regained: np.ndarray
    lost_since: np.ndarray
    active_before: np.ndarray
    active_after: np.ndarray
    dead: int
    tied: np.ndarray


def recoveries(record: Record, label: str) -> list[Recovery]:
    """Every rise of at least `RISE` points in one epoch from epoch `FIRST` on."""
    accuracy, predicted = record.test_accuracy(), record.arrays["test_predicted"]
    dead, active = record.dead(len(record.config.widths)), 100 * (1 - record.arrays["probe_output_negative"])
    found = []
    for i, epoch in np.argwhere(np.diff(accuracy, axis=1) >= RISE):
        epoch = int(epoch) + 1
        if epoch >= FIRST:
            now, then = (i, epoch), (i, epoch - 1)
            again = (predicted[then] == 0) & (predicted[now] > 0)
            still_off = dead[now] & (active[now] == 0)
            regained = np.flatnonzero(again & ~still_off)
            found.append(
                Recovery(
                    label,
                    int(record.seeds[i]),
                    epoch,
                    float(accuracy[then]),
                    float(accuracy[now]),
                    regained,
                    _lost_since(predicted[i, :epoch, regained]),
                    active[then][regained],
                    active[now][regained],
                    int(dead[then][regained].sum()),
                    np.flatnonzero(again & still_off),
                )  # fmt: skip
            )
    return found


def _lost_since(predicted: np.ndarray) -> np.ndarray:
    """[classes] first of the last epochs without a prediction, from [classes, epochs] counts that end with 0."""
    return predicted.shape[1] - (np.cumsum(predicted[:, ::-1], axis=1) == 0).sum(1)


def recovered(found: Sequence[Record], names: Sequence[str]) -> str:
    """The section on recoveries: a table, and what the outputs' health says of them."""
    own = [one for record, name in zip(found, names, strict=True) for one in recoveries(record, name)]
    rule = f"Test accuracy rises by at least {RISE:g} points within one epoch, from epoch {FIRST} on"
    if not own:
        return f"## Sudden recoveries\n\n{rule}: none."
    rows = [["configuration", "seed", "epoch", "before", "after", "classes regained", "lost since epoch"]]
    rows[0] += ["of these outputs dead before", "active before, %", "active after, %"]
    for one in own:
        row = [one.label, str(one.seed), str(one.epoch), f"{one.before:.2f}", f"{one.after:.2f}"]
        row += [" ".join(map(str, one.regained.tolist())) or "none", " ".join(map(str, one.lost_since.tolist())) or "–"]
        row += [str(one.dead)]
        rows.append(
            row + [" ".join(f"{x:.2g}" for x in share) or "–" for share in (one.active_before, one.active_after)]
        )
    with_class = sum(len(one.regained) > 0 for one in own)
    return (
        f"## Sudden recoveries\n\n{rule}: {len(own)} times, {with_class} of them with a class that was never predicted "
        "and then is. Active: share of the test images for which that class's output pre-activation is positive.\n\n"
        f"{aligned(rows)}\n\n{_explained(own)}{_ties(own)}"
    )


def _explained(own: Sequence[Recovery]) -> str:
    """What the health of the outputs before a recovery says of its cause."""
    dead, every = sum(one.dead for one in own), sum(len(one.regained) for one in own)
    if not every:
        return "No class came back: these rises are not outputs that revive."
    shares = np.concatenate([one.active_before for one in own])
    told = []
    if dead:
        told.append(
            f"{dead} had no slope on any test image before: no gradient reached their own weights, so that only the "
            "layers below can have moved an image across their threshold"
        )
    if some := shares[shares > 0].tolist():
        told.append(
            f"{len(some)} still fired, for {min(some):.2g} to {max(some):.2g} % of the images: never the largest "
            "output, but with a gradient to grow by"
        )
    if (rest := every - dead - len(some)) > 0:
        told.append(f"{rest} fired for no image, with a slope there all the same")
    return f"Of the {every} outputs that came back: {'; '.join(told)}."


def _ties(own: Sequence[Recovery]) -> str:
    """What is said of classes that no output brought back; empty where there is none."""
    tied = [f"class {c} of seed {one.seed} in epoch {one.epoch}" for one in own for c in one.tied.tolist()]
    if not tied:
        return ""
    shown = ", ".join(tied[:MOST_TIES]) + (" …" if len(tied) > MOST_TIES else "")
    return (
        " Not counted as regained, because the output is still off: "
        f"{shown}. Where every output is 0, the first class wins the tie."
    )
