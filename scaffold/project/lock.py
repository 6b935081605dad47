"""One command at a time changes a project: the lock of a checkout, and who holds it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from scaffold import files
from scaffold.errors import Locked
from scaffold.interrupt import ended_by_sigterm
from scaffold.project.checkout import Checkout
from scaffold.project.state import state_errors, state_folder
from scaffold.stack import names

_LINE = 400
"""Bytes of a lock file that are read."""
UNSETTLED = "after a command that did not come to its end"


@contextlib.contextmanager
def lock(checkout: Checkout, command: str, *, wait: bool, waiting: Callable[[str], None]) -> Iterator[None]:
    """Hold the project while its state changes; the kernel drops the lock when its owner dies.

    Raises Locked when somebody else holds it and `wait` is False; otherwise tells `waiting` who, once.
    """
    path = _lock_file(checkout)
    with contextlib.ExitStack() as stack:
        with state_errors(path):
            file = stack.enter_context(files.kept(path))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in (errno.EAGAIN, errno.EACCES):
                    raise
                holder = _holder(file)
                if not wait:
                    said = f"{checkout.path} is in use by {holder}."
                    raise Locked(said, "Wait for it, or stop it.") from error
                with ended_by_sigterm():
                    waiting(holder)
                    fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            left = file.read(_LINE).strip()
            file.truncate(0)
            file.seek(0)
            since = time.strftime("%H:%M:%S")
            said = f"`scaffold {command}` (pid {os.getpid()}, since {since})\n{UNSETTLED if left else ''}"
            file.write(said.encode())
        yield
        # Whoever fails or is killed leaves its line: the next one looks more closely at what goes on.
        with state_errors(path):
            file.truncate(0)


def _holder(file: IO[bytes]) -> str:
    """Return who holds a lock, as its file says; whatever stands there, one short line."""
    file.seek(0)
    line = file.read(_LINE).partition(b"\n")[0].decode(errors="replace").strip()
    return line if line.isprintable() and line.startswith("`scaffold ") else "another scaffold"


def is_unsettled(checkout: Checkout) -> bool:
    """Return whether the command before this one did not come to its end; for whoever holds the lock."""
    try:
        return UNSETTLED.encode() in files.begin(_lock_file(checkout), _LINE)
    except OSError:
        return False


def _lock_file(checkout: Checkout) -> Path:
    return state_folder() / f"{names.checkout_hash(str(checkout.path))}.lock"
