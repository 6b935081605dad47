"""Open files of this machine without waiting: a pipe, a device or garbage may stand in their place."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import IO

LARGEST = 8 * 2**20
"""Bytes: what is larger is none of the files that a person or this program writes."""
_KINDS = (
    (stat.S_ISDIR, errno.EISDIR, "it is a folder, not a file"),
    (stat.S_ISFIFO, errno.EINVAL, "it is a named pipe, not a file"),
    (stat.S_ISCHR, errno.EINVAL, "it is a device, not a file"),
    (stat.S_ISBLK, errno.EINVAL, "it is a device, not a file"),
    (stat.S_ISSOCK, errno.EINVAL, "it is a socket, not a file"),
)
# Opening a pipe would wait for its writer, and reading a terminal for a person.
_AT_ONCE = os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def cache(kind: str) -> Path:
    """Return the folder of this user in which something is kept whose loss costs time and nothing else."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(home) if home.startswith("/") else Path.home() / ".cache"
    return base / "scaffold" / kind


def read(path: Path | str, largest: int = LARGEST) -> bytes:
    """Return what a file holds. Raises OSError for what is no file, or holds more."""
    content = begin(path, largest + 1)
    if len(content) > largest:
        raise OSError(errno.EFBIG, f"it is larger than {largest // 2**20} MB", str(path))
    return content


def begin(path: Path | str, size: int) -> bytes:
    """Return the first bytes of a file. Raises OSError for what is no file."""
    with _opened(path, os.O_RDONLY, "rb") as file:
        content = b""
        # One call may return less than there is.
        while len(content) < size and (more := file.read(size - len(content))):
            content += more
    return content


def text(path: Path | str) -> str:
    """Return the text of a file. Raises OSError for what is no text either, with the place."""
    content = read(path)
    if b"\0" in content:
        raise OSError(errno.EINVAL, "it is no text: there is a NUL in it", str(path))
    try:
        # As Python reads text: a line may end in \r\n.
        return content.decode().replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise OSError(errno.EINVAL, f"it is no text in UTF-8: line {line}", str(path)) from error


def kept(path: Path) -> IO[bytes]:
    """Open a file for reading and writing, made when missing. Raises OSError for what is no file."""
    return _opened(path, os.O_RDWR | os.O_CREAT, "r+b")


def _opened(path: Path | str, flags: int, mode: str) -> IO[bytes]:
    handle = os.open(path, flags | _AT_ONCE, 0o600)
    try:
        refuse(os.fstat(handle), path)
        return os.fdopen(handle, mode, buffering=0)
    except BaseException:
        os.close(handle)
        raise


def refuse(status: os.stat_result, path: Path | str) -> None:
    """Raise OSError for what is no regular file."""
    for is_one, number, said in _KINDS:
        if is_one(status.st_mode):
            raise OSError(number, said, str(path))


def why(error: Exception) -> str:
    """Return what is wrong with a file in a few words; of a full disk also whose it is."""
    if not isinstance(error, OSError):
        return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk of this machine is full"
    return error.strerror or str(error)
