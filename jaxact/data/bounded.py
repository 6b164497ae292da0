"""Archives read within limits: every size that a file claims is compared with what it may be before it is used."""

import gzip
import os
import struct
import tarfile
import zipfile
from pathlib import Path
from typing import BinaryIO

_REASON = 160
_GZIP_MAGIC = b"\x1f\x8b"

TAR_HEADERS = 1 << 20  # bytes of headers read in all; an archive of six files has 4 KB of them
TAR_UNPACKED = 1 << 30

ZIP_DIRECTORY = 1 << 16  # bytes of the list of members; ours have five, a wheel has some dozens
_ZIP_END, _ZIP_END_64 = b"PK\x05\x06", b"PK\x06\x07"
_ZIP_END_SIZE, _ZIP_END_64_SIZE, _ZIP_COMMENT = 22, 20, 0xFFFF
_ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class Refused(ValueError):
    """What a file holds is not admitted."""


def reason(error: BaseException) -> str:
    """An error's text in one printable line of at most 160 characters, or its type where it has none."""
    line = " ".join(str(error)[: 4 * _REASON].split())[:_REASON]
    return "".join(c if c.isprintable() else "?" for c in line) or type(error).__name__


class _Meter:
    """A file that tarfile reads through: it refuses what would be too much before it is read.

    tarfile reads a header as long as the header says it is, and unpacks whatever lies before the next one.
    """

    def __init__(self, file: BinaryIO):
        self.file, self.left = file, TAR_HEADERS

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= self.left:
            raise Refused(f"its headers hold more than {TAR_HEADERS:,} bytes")
        self.left -= size
        return self.file.read(size)

    def seek(self, position: int) -> int:
        if position > TAR_UNPACKED:
            raise Refused(f"it unpacks to more than {TAR_UNPACKED:,} bytes")
        return self.file.seek(position)

    def tell(self) -> int:
        return self.file.tell()


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
            meter = _Meter(gzip.open(opened) if packed else opened)
            with tarfile.open(fileobj=meter, mode="r:") as tar:  # pyright: ignore[reportArgumentType, reportCallIssue]
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


def read_zip(file: BinaryIO, name: str, limit: int) -> bytes:
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
    _check_directory(file)
    try:
        with zipfile.ZipFile(file) as archive:
            member = archive.getinfo(name)
            if member.compress_type not in _ZIP_METHODS:
                raise Refused(f"{name} is compressed by method {member.compress_type}, only deflate is read")
            if member.file_size > limit:
                raise Refused(f"{name} holds {member.file_size:,} bytes, at most {limit:,} are admitted")
            with archive.open(member) as opened:
                return opened.read(member.file_size)  # without a size it would unpack a bomb first
    except Exception as error:  # zipfile and zlib raise many kinds
        raise Refused(reason(error)) from None


def _check_directory(file: BinaryIO) -> None:
    """Refuse a zip archive whose list of members is too long, which zipfile would read as a whole."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _ZIP_END_64_SIZE - _ZIP_END_SIZE - _ZIP_COMMENT))
    tail = file.read()
    end = tail.rfind(_ZIP_END)
    if end < 0 or end + _ZIP_END_SIZE > len(tail):
        raise Refused("it is not a zip file, or a truncated one")
    (directory,) = struct.unpack_from("<I", tail, end + 12)
    if directory > ZIP_DIRECTORY or tail[max(0, end - _ZIP_END_64_SIZE) : end].startswith(_ZIP_END_64):
        raise Refused(f"its list of members is longer than {ZIP_DIRECTORY:,} bytes")
