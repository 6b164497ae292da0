"""Damage to the contents of a file, drawn at random, for the tests of every reader."""

import numpy as np

EXTREMES = (
    b"\xff" * 8,
    b"\x7f" + b"\xff" * 7,
    bytes(8),
    b"99999999",
    b"\xff\xff\xff\x7f",
    b"\x00\x00\x00\x40",
    b"((((",
    b"\n",
)


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """The content with one to four kinds of damage."""
    for _ in range(rng.integers(1, 5)):
        at, length = int(rng.integers(len(content) + 1)), int(rng.integers(1, 50))
        extreme = EXTREMES[rng.integers(len(EXTREMES))]
        before, after = content[:at], content[at:]
        flipped = bytes([(after or bytes(1))[0] ^ 1 << rng.integers(8)])
        kinds = [
            before + flipped + after[1:],
            before + bytes([rng.integers(256)]) + after[1:],
            before + after[length:],
            before + after[:length] + after,
            before + extreme + after[len(extreme) :],
            before + extreme + after,
            before,
        ]
        content = kinds[rng.choice(len(kinds), p=[0.3, 0.2, 0.1, 0.1, 0.17, 0.1, 0.03])]
    return content
