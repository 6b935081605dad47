"""Remember the volumes whose database nobody has logged in to yet. No Docker.

A first start that was cut short leaves a volume that looks like one with somebody's rows in it. What tells
them apart is a file in the state folder: written once this project has made the volume, before anything is
started on it, and removed at the first login that works. Without the file the volume is somebody's.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from scaffold.errors import ScaffoldError
from scaffold.project import private
from scaffold.project.state import state_folder

MOST = 4096
"""Bytes of a file that is one of ours."""


@dataclass(frozen=True)
class Pending:
    """A volume that a first start has been made on, or is about to be."""

    volume: str
    created: datetime
    """As the engine says it: a volume of the same name that was made later is another one."""
    aside: str = ""
    """Where what was in it is being set aside to, while that goes on."""


def begin(volume: str, created: datetime) -> None:
    """Remember a volume that has just been made."""
    keep(Pending(volume, created))


def keep(pending: Pending) -> None:
    """Write down how far a volume is."""
    document = {"volume": pending.volume, "created": pending.created.isoformat(), "aside": pending.aside}
    file = _file(pending.volume)
    try:
        file.parent.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise ScaffoldError(f"{file.parent} cannot be made: {error.strerror}.") from error
    private.write(file, json.dumps(document, indent=1))


def find(volume: str, created: datetime) -> Pending | None:
    """Return what is remembered of this very volume; None where there is the slightest doubt."""
    file = _file(volume)
    try:
        if not file.is_file():
            return None
        with file.open("rb") as opened:
            document = json.loads(opened.read(MOST))
        found = Pending(
            str(document["volume"]), datetime.fromisoformat(document["created"]), str(document["aside"])
        )
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return found if (found.volume, found.created) == (volume, created) else None


def forget(volume: str) -> None:
    """Forget a volume: from now on there may be rows in it."""
    try:
        _file(volume).unlink(missing_ok=True)
    except OSError as error:
        raise ScaffoldError(f"{_file(volume)} cannot be removed: {error.strerror}.") from error


def _file(volume: str) -> Path:
    digest = hashlib.sha256(volume.encode()).hexdigest()[:32]
    return state_folder() / "first-starts" / f"{digest}.json"
