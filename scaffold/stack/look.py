"""What to look for in a volume or a folder of the engine's machine, and what was found there. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Medium(StrEnum):
    """What keeps a directory of a container."""

    VOLUME = "volume"
    BIND = "bind"
    MEMORY = "tmpfs"
    CONTAINER = "container"
    """The container's own layer, which goes with it."""


@dataclass(frozen=True)
class Source:
    """A volume or a folder of the engine's machine, as far as it can be looked into."""

    medium: Medium
    name: str


@dataclass(frozen=True)
class Former:
    """Where the database of a service had its files when it last let somebody in."""

    project: str
    """Under another name everything else is another one as well."""
    service: str
    medium: str
    """As in Medium; a volume or a folder."""
    source: str
    path: str


@dataclass(frozen=True)
class Contents:
    """What a look into one source found."""

    source: Source
    folder: str = ""
    """Where in it a database was expected."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Small files by their path in it: those that were asked for and are there."""
    entries: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The first names in some of its folders; () for one that is empty or not there."""
    failed: str = ""
    """Why nothing is certain, in words; empty when the look was made."""


def joined(*parts: str) -> str:
    """Return the path of these parts in a source; the root is empty."""
    return "/".join(part for part in parts if part)


@dataclass(frozen=True)
class Window:
    """A path inside a container that shows a source, from its root on."""

    container: str
    path: str


@dataclass(frozen=True)
class Glance:
    """What to look for in one source; paths are relative to its root."""

    source: Source
    folder: str
    """Where a database is expected."""
    marker: str
    """The file in it that says that there is one."""
    more: tuple[str, ...] = ()
    """Files that are read as well where the marker is there."""
    around: tuple[str, ...] = ()
    """Other folders of which the first names are wanted where it is not."""
    rest: tuple[str, ...] = ()
    """Files that are looked for then, unless all those folders are empty."""
    below: tuple[str, ...] = ()
    """The same in each folder of those."""
    windows: tuple[Window, ...] = ()
    """Running containers that show the source."""
