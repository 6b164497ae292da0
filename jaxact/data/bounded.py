"""Archives read within limits: whatever sizes a file claims, no more is read of it than there can be."""

import gzip
import io
import tarfile
import zipfile
from pathlib import Path
from typing import Any

_REASON = 160
_GZIP_MAGIC = b"\x1f\x8b"

TAR_HEADERS = 1 << 20  # bytes of headers read in all; an archive of six files has 4 KB of them
TAR_UNPACKED = 1 << 30
ZIP_DIRECTORY = 1 << 18  # bytes of the list of members and of the comment, which is looked for in the last 64 KB
ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # the others unpack whatever a member holds at once


class Refused(ValueError):
    """What a file holds is not admitted."""


def printable(line: str) -> str:
    """A line from a file that may hold anything, with a ? for what would not be seen."""
    return "".join(c if c.isprintable() else "?" for c in line)


def reason(error: BaseException) -> str:
    """An error's text in one printable line of at most 160 characters, or its type where it has none."""
    return printable(" ".join(str(error)[: 4 * _REASON].split())[:_REASON]) or type(error).__name__


def packed_room(limit: int) -> int:
    """The most bytes that `limit` bytes take when they are packed: a header, and blocks that did not shrink."""
    return limit + limit // 16 + (1 << 16)


class _Meter:
    """A file of which only so much can be read.

    tarfile reads a header, and zipfile a list of members, as long as the file says it is.
    """

    def __init__(self, file: io.BufferedIOBase, room: int):
        self.file, self.left = file, room

    def read(self, size: int = -1) -> bytes:
        content = self.file.read(self.left + 1 if size < 0 else min(size, self.left + 1))
        self.left -= len(content)
        if self.left < 0:
            raise Refused("its headers are longer than they can be")
        return content

    def seek(self, position: int, whence: int = 0) -> int:
        if position > TAR_UNPACKED:  # gzip unpacks all that lies before it
            raise Refused(f"it unpacks to more than {TAR_UNPACKED:,} bytes")
        return self.file.seek(position, whence)

    def tell(self) -> int:
        return self.file.tell()

    def seekable(self) -> bool:
        return True


def read_tar(path: Path, names: tuple[str, ...], limit: int) -> dict[str, bytes]:
    """Read files from a tar archive, gzipped or not, whatever its name says.

    Args:
        path: The archive; nothing is extracted.
        names: Names of the files, wherever in the archive they lie.
        limit: The most bytes to read of one of them.

    Returns:
        The contents of those that are there, by name: of the first of each name.

    Raises:
        ValueError: If the archive cannot be read.
    """
    contents: dict[str, bytes] = {}
    try:
        with open(path, "rb") as opened:
            packed = opened.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
            opened.seek(0)
            meter: Any = _Meter(gzip.open(opened) if packed else opened, TAR_HEADERS)
            with tarfile.open(fileobj=meter, mode="r:") as tar:
                for member in tar:
                    name = member.name.rsplit("/", 1)[-1]
                    if name in names and name not in contents and member.isfile():
                        size = max(0, min(member.size, limit))
                        meter.left += size
                        file = tar.extractfile(member)
                        contents[name] = file.read(size) if file else b""
    except Exception as error:  # tarfile, gzip and zlib raise many kinds
        raise ValueError(f"{path}: not a readable .tar.gz archive ({reason(error)}); fetch the file again") from None
    return contents


def read_zip(file: io.BufferedIOBase, name: str, limit: int) -> bytes:
    """Read one member of a zip archive.

    Args:
        file: The open archive.
        name: The member.
        limit: The most bytes that it may hold.

    Returns:
        Its contents, with their CRC verified.

    Raises:
        Refused: If the archive or the member cannot be read or is larger than it may be.
    """
    meter: Any = _Meter(file, ZIP_DIRECTORY)
    try:
        with zipfile.ZipFile(meter) as archive:
            member = archive.getinfo(name)
            if member.compress_type not in ZIP_METHODS:
                raise Refused(f"{name} is compressed by method {member.compress_type}, only deflate is read")
            if member.file_size > limit:
                raise Refused(f"{name} holds {member.file_size:,} bytes, at most {limit:,} are admitted")
            meter.left += packed_room(limit)
            with archive.open(member) as opened:
                return opened.read(member.file_size)  # without a size it would unpack a bomb first
    except Exception as error:  # zipfile and zlib raise many kinds
        raise Refused(reason(error)) from None
