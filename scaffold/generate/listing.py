"""List what is in a folder, without following a link: every entry with its kind. Looks, never writes."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path


class Kind(Enum):
    """What an entry is; the value is the noun for it."""

    FILE = "file"
    FOLDER = "folder"
    LINK = "link"
    PIPE = "named pipe"
    SOCKET = "socket"
    DEVICE = "device file"


@dataclass(frozen=True)
class Entry:
    """One entry below a folder: its path with `/` between the parts, and what it is.

    `target` is what a link says, as it is written. `is_privileged`: it runs as its owner (setuid, setgid).
    """

    path: str
    kind: Kind = Kind.FILE
    target: str = ""
    is_privileged: bool = False


_KINDS = {
    stat.S_IFREG: Kind.FILE,
    stat.S_IFDIR: Kind.FOLDER,
    stat.S_IFLNK: Kind.LINK,
    stat.S_IFIFO: Kind.PIPE,
    stat.S_IFSOCK: Kind.SOCKET,
}


def of(folder: Path) -> tuple[Entry, ...]:
    """Everything below a folder, sorted by path; a folder that cannot be looked into is an OSError."""
    return tuple(sorted(_below(os.fspath(folder)), key=lambda entry: entry.path))


def readable(folder: Path, *, leaving_out: frozenset[str]) -> tuple[Entry, ...]:
    """What can be seen below a folder, sorted by path; `leaving_out` names entries at its top."""
    found = _below(os.fspath(folder), leaving_out, skip_unreadable=True)
    return tuple(sorted(found, key=lambda entry: entry.path))


def files(entries: tuple[Entry, ...]) -> tuple[str, ...]:
    """The paths of all that is no folder."""
    return tuple(entry.path for entry in entries if entry.kind is not Kind.FOLDER)


def _below(
    folder: str, leaving_out: frozenset[str] = frozenset(), *, skip_unreadable: bool = False
) -> Iterator[Entry]:
    # Folders wait in a list: 10,000 of them inside each other are no 10,000 calls.
    waiting = [(folder, "")]
    while waiting:
        place, before = waiting.pop()
        try:
            with os.scandir(place) as entries:
                found = [item for item in entries if before or item.name not in leaving_out]
        except OSError:
            if skip_unreadable:
                continue
            raise
        for item in found:
            entry = _entry(item, before + item.name)
            yield entry
            if entry.kind is Kind.FOLDER:
                waiting.append((item.path, entry.path + "/"))


def _entry(item: os.DirEntry[str], path: str) -> Entry:
    status = item.stat(follow_symlinks=False)
    kind = _KINDS.get(stat.S_IFMT(status.st_mode), Kind.DEVICE)
    return Entry(
        path,
        kind,
        target=os.readlink(item.path) if kind is Kind.LINK else "",  # noqa: PTH115 - text, with its slashes
        is_privileged=kind is Kind.FILE and bool(status.st_mode & (stat.S_ISUID | stat.S_ISGID)),
    )
