"""What the everyday commands show, as frozen values: images, containers, volumes, networks, usage, events.

Field names are the contract of `--json`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class ProjectImage:
    """One image that the project uses, or that was built for it and is no longer used."""

    id: str
    name: str | None
    """As its service asks for it, otherwise its first tag; None when it has lost its tags."""
    services: tuple[str, ...]
    built: bool
    """By this project; otherwise it was pulled."""
    used: bool
    """By a service, or by any container."""
    size: int
    """bytes, layers included that it shares with other images"""
    created: datetime
    tags: tuple[str, ...] = ()

    @property
    def short_id(self) -> str:
        return self.id.removeprefix("sha256:")[:12]


@dataclass(frozen=True)
class Attachment:
    """A container at a volume (`at` is the path inside) or on a network (`at` is its address)."""

    container: str
    service: str
    running: bool
    at: str = ""


@dataclass(frozen=True)
class ProjectVolume:
    name: str
    exists: bool
    declared: bool
    """It is in compose.yaml."""
    external: bool
    driver: str = "local"
    size: int | None = None
    """bytes"""
    created: datetime | None = None
    attached: tuple[Attachment, ...] = ()


@dataclass(frozen=True)
class ProjectNetwork:
    name: str
    exists: bool
    declared: bool
    external: bool
    driver: str = "bridge"
    subnets: tuple[str, ...] = ()
    created: datetime | None = None
    attached: tuple[Attachment, ...] = ()


@dataclass(frozen=True)
class Usage:
    """What one container uses now; the traffic counts since it was started."""

    container: str
    service: str
    cpu_percent: float
    """100 is one whole core."""
    memory: int
    """bytes, without what the kernel would give back at once"""
    memory_limit: int
    received: int
    sent: int
    read: int
    written: int
    processes: int
    measured: bool = True
    """False when the engine has no figures for a container that runs: then all of them are 0."""


@dataclass(frozen=True)
class Event:
    """Something that happened to a part of the project."""

    time: datetime
    kind: str
    """container, image, network or volume"""
    action: str
    name: str
    service: str = ""
    exit_code: int | None = None
    detail: str = ""
