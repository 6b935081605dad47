"""Decide where a new project can go. Looks, never writes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from scaffold.errors import UsageError


@dataclass(frozen=True)
class Destination:
    """A place for a project: `given` as typed, `path` absolute and free of symbolic links."""

    given: str
    path: Path

    @property
    def name(self) -> str:
        return Path(self.given).name


def check(given: str) -> Destination:
    """The destination that was typed, if a project can be put there."""
    # Path() would make "." of an empty name and drop the dot of "./", so the typed text is looked at.
    last = given.rstrip("/").rpartition("/")[2]
    if not given.strip():
        raise UsageError("The destination is empty.", "Name the folder to create: `scaffold new myapp`.")
    if last in {"", ".", ".."}:
        raise UsageError(
            f'"{given}" is not a name for a new folder.', "Name the folder to create: `scaffold new myapp`."
        )
    if not given.isprintable():
        raise UsageError(f"The destination {given!r} contains control characters.")
    try:
        path = Path(os.path.realpath(given))
        _check_free(given, path)
        _check_parent(given, path)
    except OSError as error:
        raise UsageError(f'"{shortened(given)}" cannot be used: {error.strerror}.') from error
    except ValueError as error:  # surrogates that the file system's encoding does not know
        raise UsageError(f"The destination {given!r} is not a valid name.") from error
    return Destination(given.rstrip("/"), path)


def _check_free(given: str, path: Path) -> None:
    if not _exists(path):
        return
    if not path.is_dir():
        raise UsageError(f'"{given}" exists and is a file.', "Choose another name, or move it away.")
    if path == Path.cwd():
        raise UsageError(f'"{given}" is the current folder.', "Go one level up first: `cd ..`.")
    if next(path.iterdir(), None) is not None:
        raise UsageError(f'"{given}" exists and is not empty.', "Choose another name, or move it away.")


def _check_parent(given: str, path: Path) -> None:
    parent = path.parent
    while not _exists(parent):
        parent = parent.parent
    if not parent.is_dir():
        raise UsageError(
            f'"{given}" cannot be created: {parent} is a file.',
            "Choose a place inside a folder, or move the file away.",
        )
    if not os.access(parent, os.W_OK | os.X_OK):
        raise UsageError(
            f'"{given}" cannot be created: no permission to write in {parent}.',
            "Choose a place inside a folder of your own.",
        )


def _exists(path: Path) -> bool:
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def shortened(text: str) -> str:
    """A name as an error shows it: whole, unless it is too long to read."""
    return text if len(text) <= 60 else f"{text[:40]}… ({len(text)} characters)"
