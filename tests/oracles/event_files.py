"""TensorBoard's event files, read by their framing alone."""

import struct
from pathlib import Path

from tensorboardX.proto.event_pb2 import Event


def events(path: Path) -> list[Event]:
    """The events of one file: length (8 bytes), its checksum (4), the message, its checksum (4), and so on."""
    content, found = path.read_bytes(), []
    while content:
        (size,) = struct.unpack("<Q", content[:8])
        found.append(Event.FromString(content[12 : 12 + size]))
        content = content[16 + size :]
    return found


def scalars_of(folder: Path) -> dict[tuple[str, int], float]:
    """The scalars of the only run in a folder, by tag and step."""
    (path,) = folder.glob("events*")
    return {(value.tag, event.step): value.simple_value for event in events(path) for value in event.summary.value}
