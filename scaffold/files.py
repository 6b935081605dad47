"""Read small files of this machine without waiting: a pipe or a device may stand in their place."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

LARGEST = 8 * 2**20
"""Bytes: what is larger is none of the files that a person or this program writes."""
_KINDS = (
    (stat.S_ISDIR, errno.EISDIR, "it is a folder"),
    (stat.S_ISFIFO, errno.EINVAL, "it is a named pipe, not a file"),
    (stat.S_ISCHR, errno.EINVAL, "it is a device, not a file"),
    (stat.S_ISBLK, errno.EINVAL, "it is a device, not a file"),
    (stat.S_ISSOCK, errno.EINVAL, "it is a socket, not a file"),
)


def read(path: Path | str) -> bytes:
    """Return what a file holds. Raises OSError for what is no file, or holds too much."""
    # Opening a pipe would wait for its writer, and reading a terminal for a person.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    with os.fdopen(handle, "rb", buffering=0) as file:
        refuse(os.fstat(handle), path)
        content = file.read(LARGEST + 1) or b""
        # One call may return less than there is.
        while len(content) <= LARGEST and (more := file.read(LARGEST + 1 - len(content))):
            content += more
    if len(content) > LARGEST:
        raise OSError(errno.EFBIG, f"it is larger than {LARGEST // 2**20} MB", str(path))
    return content


def text(path: Path | str) -> str:
    """Return the text of a file. Raises UnicodeDecodeError as well."""
    return read(path).decode()


def refuse(status: os.stat_result, path: Path | str) -> None:
    """Raise OSError for what is no regular file."""
    for is_one, number, said in _KINDS:
        if is_one(status.st_mode):
            raise OSError(number, said, str(path))
