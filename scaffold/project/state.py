"""The folder of what this program remembers of this user, and what goes wrong with it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from scaffold import files
from scaffold.errors import Locked, ScaffoldError

_OTHER_STATE = "Set XDG_STATE_HOME to a folder that you may write to, or `scaffold doctor --fix`."
_PATIENCE = 60.0
"""Seconds to wait for another first run that chooses its ports."""


def state_folder() -> Path:
    """Return the folder for locks and port reservations of this user, made when missing."""
    base = os.environ.get("XDG_STATE_HOME", "")
    # One that is relative is invalid, the standard says: each folder would have locks of its own.
    base = base if base.startswith("/") else os.path.expanduser("~/.local/state")  # noqa: PTH111 - no error
    folder = Path(base) / "scaffold"
    try:
        if not folder.is_absolute():
            raise FileNotFoundError(errno.ENOENT, "this user has no home folder")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ScaffoldError(f"{folder} cannot be made: {files.why(error)}.", _OTHER_STATE) from error
    return folder


@contextlib.contextmanager
def state_errors(path: Path) -> Iterator[None]:
    """Say of what goes wrong with a file of the state folder which one it is, and whose disk is full."""
    try:
        yield
    except OSError as error:
        raise ScaffoldError(f"{path} cannot be used: {files.why(error)}.", _OTHER_STATE) from error


def hold(file: IO[bytes], path: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
        else:
            return
        if time.monotonic() > deadline:
            raise Locked(
                f"Another process has held {path} for {_PATIENCE:g} seconds.",
                f"`fuser {path}` names it; end it, or wait for it.",
            )
        time.sleep(0.02)
