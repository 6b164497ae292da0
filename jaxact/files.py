"""Writing files so that nothing is lost: whole or not at all, one process at a time, and no litter.

A temporary name says which process on which host writes under it, so that those of dead processes can be told.
"""

import errno
import os
import re
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from filelock import FileLock, Timeout

LOCK = ".lock"
LOCK_SECONDS = 120.0
"""How long a process waits for another one's write, which takes milliseconds."""
STALE_SECONDS = 24 * 3600.0
"""Age of a temporary file of which nobody can say whether its process lives; a write takes seconds."""
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
_OWNERLESS = re.compile(r"\..+\.[a-z0-9_]{8}\.tmp")  # of version 0.1
_OWNED = re.compile(r"\.jaxact-(?P<host>.+)-(?P<pid>[0-9]+)-[^-]*\.tmp")


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file to write to, which takes the place of `path` at the end of the block, if that ends well.

    A reader sees the old file or the new one, never a part. What dead processes left beside it is removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    tidy(path.parent)
    prefix = f".jaxact-{_host()}-{os.getpid()}-"
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=prefix, suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        with suppress(OSError):  # some file systems know no permissions
            os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def replace(path: Path, content: bytes) -> None:
    """Write a file atomically, as `replacing` does."""
    with replacing(path) as file:
        file.write(content)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, which is made; other processes that ask for it wait.

    The system gives the lock back when its holder dies. Where a file system has no locks, this does nothing.
    The lock's file stays: to remove it would let two processes lock two files of one name.

    Raises:
        TimeoutError: another process holds it for longer than `LOCK_SECONDS`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK, timeout=LOCK_SECONDS, mode=0o666)  # whoever may write the folder may lock it
    try:
        lock.acquire()
    except Timeout:
        told = f"locked by another process for {LOCK_SECONDS:g} s: stop that process, or use another folder"
        raise TimeoutError(errno.ETIMEDOUT, told, str(folder / LOCK)) from None
    except NotImplementedError:  # older versions of filelock, where the system has no flock
        pass
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    try:
        yield
    finally:
        lock.release()


def tidy(folder: Path) -> None:
    """Remove the temporary files that dead processes left in a folder; one of another host when it is a day old."""
    for path in folder.glob(".*.tmp"):
        if _abandoned(path):
            with suppress(OSError):  # another user's, or removed by a process that starts at the same time
                path.unlink()


def _abandoned(path: Path) -> bool:
    owner = _OWNED.fullmatch(path.name)
    if not owner and not _OWNERLESS.fullmatch(path.name):
        return False
    if owner and owner["host"] == _host() and not _alive(int(owner["pid"])):
        return True
    try:
        return time.time() - path.stat().st_mtime > STALE_SECONDS
    except OSError:
        return False


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # another user's
        return True
    return True


def _host() -> str:
    """The host's name, and on Linux its space of process ids: containers may share the one and not the other."""
    try:
        space = os.readlink("/proc/self/ns/pid")
    except OSError:
        space = ""
    return re.sub(r"[^A-Za-z0-9]", "_", f"{socket.gethostname()[:40]}_{space}")
