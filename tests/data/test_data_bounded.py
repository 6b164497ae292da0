"""Archives that claim more than they hold, or unpack to more than they should: refused in little memory and time.

Memory is measured by tracemalloc, which counts what Python, NumPy and zlib's results take.
"""

import gzip
import io
import struct
import tarfile
import time
import tracemalloc
import zipfile

import pytest

from jaxact.data import bounded, idx

NAMES = ("batch",)
MEMORY = 30_000_000  # bytes; every bomb below holds a multiple of it
SECONDS = 20


@pytest.fixture
def within_limits():
    tracemalloc.start()
    start = time.monotonic()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < MEMORY
    assert time.monotonic() - start < SECONDS


def header(name: str, size: int, kind: bytes) -> bytes:
    member = tarfile.TarInfo(name)
    member.size, member.type = size, kind
    return member.tobuf(tarfile.GNU_FORMAT)


BATCH = header("batch", 5, tarfile.REGTYPE) + b"12345".ljust(512, b"\0")
HUGE = 100_000_000
ZEROS = bytes(HUGE)
TARS = {
    "a pax header": header("x", HUGE, tarfile.XHDTYPE) + ZEROS + BATCH,
    "a pax header for all members": header("x", HUGE, tarfile.XGLTYPE) + ZEROS + BATCH,
    "a long name": header("x", HUGE, tarfile.GNUTYPE_LONGNAME) + ZEROS + BATCH,
    "a long link": header("x", HUGE, tarfile.GNUTYPE_LONGLINK) + ZEROS + BATCH,
    "many members": header("x", 0, tarfile.REGTYPE) * 20_000 + BATCH,
}


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzipped"])
@pytest.mark.parametrize("content", TARS.values(), ids=TARS.keys())
def test_headers_that_are_too_long_are_refused(tmp_path, request, content, packed):
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(content, 1) if packed else content)
    request.getfixturevalue("within_limits")
    with pytest.raises(ValueError, match=r"a.tar.gz: not a readable .tar.gz archive \(its headers are longer"):
        bounded.read_tar(path, NAMES, 100)


def test_a_large_member_that_is_not_wanted_is_passed_over(tmp_path, request):
    path = tmp_path / "a.tar.gz"
    path.write_bytes(
        gzip.compress(header("x", HUGE // 512 * 512, tarfile.REGTYPE) + ZEROS[: HUGE // 512 * 512] + BATCH, 1)
    )
    request.getfixturevalue("within_limits")
    assert bounded.read_tar(path, NAMES, 100) == {"batch": b"12345"}


def test_no_more_is_unpacked_than_a_data_set_can_have(tmp_path, monkeypatch):
    monkeypatch.setattr(bounded, "TAR_UNPACKED", 1 << 20)
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(header("x", 1 << 21, tarfile.REGTYPE) + bytes(1 << 21) + BATCH))
    with pytest.raises(ValueError, match="it unpacks to more than 1,048,576 bytes"):
        bounded.read_tar(path, NAMES, 100)


def test_no_more_than_the_limit_is_read_of_a_member(tmp_path, request):
    """Also of a sparse one, which is made of nothing: GNU's old form, one block of 100 GB."""
    sparse = bytearray(header("batch", 0, tarfile.GNUTYPE_SPARSE))
    sparse[483:495] = b"\x80" + (100 << 30).to_bytes(11, "big")
    sparse[148:156] = b"%06o\0 " % (256 + sum(sparse[:148]) + sum(sparse[156:512]))
    for name, content in {"large": header("batch", HUGE, tarfile.REGTYPE) + ZEROS, "sparse": bytes(sparse)}.items():
        (tmp_path / name).write_bytes(content + bytes(1024))
    request.getfixturevalue("within_limits")
    for name in ("large", "sparse"):
        assert bounded.read_tar(tmp_path / name, NAMES, 100) == {"batch": bytes(100)}


def zipped(content: bytes, method: int = zipfile.ZIP_DEFLATED) -> bytearray:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("batch", content)
    return bytearray(file.getvalue())


def test_a_member_is_read():
    for method in bounded.ZIP_METHODS:
        for content in (b"", b"12345", bytes(range(256)) * 999):
            assert bounded.read_zip(io.BytesIO(zipped(content, method)), "batch", len(content)) == content


def bomb(claimed: int) -> bytes:
    """100 MB of zeros that claim to be fewer."""
    content = zipped(ZEROS)
    for mark, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<I", content, content.rindex(mark) + offset, claimed)
    return bytes(content)


def long_directory() -> bytes:
    """Nothing but a list of members, of 100 MB, and its end."""
    entry = struct.pack("<4s6H3I5H2I", b"PK\x01\x02", *[0] * 9, 1, *[0] * 6) + b"x"
    directory = entry * (HUGE // len(entry))
    return directory + struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 0, 0, len(directory), 0, 0)


ZIPS = {
    "more than admitted": (bytes(zipped(ZEROS)), "batch holds 100,000,000 bytes, at most 100 are admitted"),
    "more than claimed": (bomb(50), "Bad CRC-32"),
    "a list of members": (long_directory(), "its headers are longer"),
    "bzip2": (bytes(zipped(ZEROS, zipfile.ZIP_BZIP2)), "compressed by method 12"),
    "lzma": (bytes(zipped(ZEROS, zipfile.ZIP_LZMA)), "compressed by method 14"),
    "another member": (bytes(zipped(b"")).replace(b"batch", b"match"), "no item named 'batch'"),
    "text": (b"<html>", "not a zip"),
}


@pytest.mark.parametrize(("content", "reason"), ZIPS.values(), ids=ZIPS.keys())
def test_zip_files_are_refused_before_they_are_unpacked(request, content, reason):
    file = io.BytesIO(content)
    request.getfixturevalue("within_limits")
    with pytest.raises(bounded.Refused, match=reason):
        bounded.read_zip(file, "batch", 100)


def test_gzip_without_end_is_not_unpacked(tmp_path):
    """Members that hold nothing, one after the other, and a name in the header that is longer than any data."""
    for name, content in {"members": gzip.compress(b"") * 10_000, "name": b"\x1f\x8b\x08\x08" + b"x" * 200_000}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=rf"{name}: its 200,0\d\d gzipped bytes are more than 65,5\d\d; fetch"):
            idx.read(tmp_path / name, (3,))


def test_a_reason_is_one_printable_line():
    assert bounded.reason(ValueError("two\nlines\x1b[31m\x00 " + "x" * 999)) == "two lines?[31m? " + "x" * 144
    assert bounded.reason(KeyError()) == "KeyError"
