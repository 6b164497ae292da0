"""Names of layers' activations, as configurations and records have them. Loads neither JAX nor Flax."""

import re

from jaxact import activations as catalogue

_STORED = re.compile(rf"{catalogue.WRITTEN}(\+{catalogue.WRITTEN})?")


class StoredName(str):
    """The name of a layer's activation as a record has it: taken as it stands and never looked up.

    Looking up `module:function` imports the module, which what a file says must never do. Training looks it up.
    """

    __slots__ = ()


def halves_of(name: str) -> tuple[str, ...]:
    """`relu+tanh` → ('relu', 'tanh'); a plain name → itself alone."""
    return tuple(re.split(r"\+(?=[A-Za-z])", name))


def canonical(name: str) -> str:
    """The name of a layer's activation, or of those of its two halves, as the catalogue writes it.

    A `StoredName` has been written so already; only its form is checked.

    Raises:
        ValueError: an unknown name, one that is not elementwise, or another number of halves than two.
    """
    if isinstance(name, StoredName):
        if not _STORED.fullmatch(name):
            raise ValueError(f"activation {name[:80]!r} is no name of one or two halves, such as relu or relu+tanh")
        return name
    halves = halves_of(name)
    if len(halves) > 2 or name[:1] == "+" or name[-1:] == "+":
        raise ValueError(f"activation {name!r} does not name one or two halves: write relu, or relu+tanh")
    entries = [catalogue.get(half) for half in halves]
    for half, entry in zip(halves, entries, strict=True):
        if entry.kind != "elementwise":
            known = ", ".join(catalogue.names("elementwise"))
            raise ValueError(f"activation {half!r} is not elementwise, a layer needs one of: {known}")
    return "+".join(entry.spec for entry in entries)


def split_name(name: str) -> tuple[str, ...]:
    """`relu-elu:alpha=0.5-relu` → ('relu', 'elu:alpha=0.5', 'relu'): a hyphen before a letter separates layers."""
    return tuple(re.split(r"-(?=[A-Za-z])", name))
