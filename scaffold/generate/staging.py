"""Build a folder out of sight, beside its destination, and move it into place with one rename.

However the process ends, the destination either holds everything or does not exist. What a killed run left
behind is one hidden folder, which the next run in the same place removes: a lock that the kernel drops with
its process tells a dead owner from a living one, where a process id could have been given to somebody else.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

from scaffold.errors import Interrupted, ScaffoldError, UsageError
from scaffold.generate.destination import Destination

_LEFTOVER = re.compile(r"\..+\.scaffold-[a-z0-9_]{8}")
_ENDINGS = (signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Staging:
    """An unfinished project in `folder`, which has its final name already, since templates may ask for it.

    Parents of the destination that do not exist yet are built out of sight too: what is moved into `anchor`,
    the nearest folder that exists, is the topmost of them.
    """

    hidden: Path
    anchor: Path
    destination: Destination

    @property
    def folder(self) -> Path:
        return self.hidden / self.destination.path.relative_to(self.anchor)

    def publish(self) -> None:
        """Move the project into place, which must be free or an empty folder."""
        top = self.destination.path.relative_to(self.anchor).parts[0]
        try:
            (self.hidden / top).rename(self.anchor / top)
        except OSError as error:
            if error.errno in {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR}:
                raise UsageError(
                    f'"{self.anchor / top}" has been created by somebody else in the meantime.'
                ) from error
            if error.errno in {errno.EBUSY, errno.EXDEV}:
                raise UsageError(
                    f'"{self.destination.given}" is a mount point, which cannot be replaced.',
                    "Create the project in a folder inside it.",
                ) from error
            raise


@contextmanager
def staged(destination: Destination) -> Iterator[Staging]:
    """A hidden folder beside the destination; gone at the end, with whatever was not published from it."""
    anchor = next(folder for folder in destination.path.parents if folder.exists())
    with writing(destination), _terminations_unwind():
        _sweep(anchor)
        hidden, lock = _hidden_folder(anchor, destination.path.name)
        try:
            staging = Staging(hidden, anchor, destination)
            staging.folder.mkdir(parents=True)
            yield staging
        finally:
            with _uninterrupted():
                shutil.rmtree(hidden, ignore_errors=True)
                os.close(lock)


@contextmanager
def writing(destination: Destination) -> Iterator[None]:
    """Say in our words why the disk refused."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise ScaffoldError(
                f'No space left on the disk while writing "{destination.given}"; nothing was kept.',
                "Free some space (`df -h` shows the disks), then run the same command again.",
            ) from error
        where = f" ({error.filename})" if error.filename else ""
        raise ScaffoldError(
            f'"{destination.given}" could not be created: {error.strerror or error}{where}.'
        ) from error


def _hidden_folder(anchor: Path, name: str) -> tuple[Path, int]:
    while True:
        hidden = Path(tempfile.mkdtemp(prefix=f".{name[:40]}.scaffold-", dir=anchor))
        lock = os.open(hidden, os.O_RDONLY)
        if _is_locked_by_us(lock) is not False and hidden.exists():
            return hidden, lock
        os.close(lock)  # somebody swept it between its creation and its lock


def _sweep(anchor: Path) -> None:
    """Remove the hidden folders whose owners died."""
    with os.scandir(anchor) as entries:
        leftovers = [Path(entry) for entry in entries if _LEFTOVER.fullmatch(entry.name)]
    for leftover in leftovers:
        with suppress(OSError):
            if leftover.lstat().st_uid != os.geteuid():
                continue
            lock = os.open(leftover, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                if _is_locked_by_us(lock):
                    shutil.rmtree(leftover, ignore_errors=True)
            finally:
                os.close(lock)


def _is_locked_by_us(lock: int) -> bool | None:
    """Take the lock of a folder. False: somebody else has it. None: this file system has no locks."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


# ── signals ────────────────────────────────────────────────────────────────────────────────────────────


class _Terminated(BaseException):
    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def _terminations_unwind() -> Iterator[None]:
    """Run the clean-up at SIGTERM and SIGHUP too, which then end the process as they would have."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Python delivers signals to the main thread only
        return
    before = {number: signal.signal(number, _unwind) for number in _ENDINGS}
    try:
        yield
    except KeyboardInterrupt as error:
        raise Interrupted from error
    except _Terminated as ending:
        signal.signal(ending.number, signal.SIG_DFL)
        os.kill(os.getpid(), ending.number)
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _unwind(number: int, _frame: FrameType | None) -> NoReturn:
    raise _Terminated(number)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold back Ctrl-C and the like until the block is done."""
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, *_ENDINGS})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
