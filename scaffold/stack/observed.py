"""What is on the engine for one project, as frozen values. engine.observe makes it, plan reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from scaffold.numbers import whole
from scaffold.stack import names
from scaffold.stack.look import Former


@dataclass(frozen=True)
class Container:
    """One container of the project as the engine describes it."""

    id: str
    name: str
    state: str
    """created, running, paused, restarting, removing, exited or dead"""
    image: str
    image_id: str
    labels: Mapping[str, str]
    created: datetime
    exit_code: int = 0
    health: str = ""
    """starting, healthy, unhealthy, or empty without a health check"""
    started: datetime | None = None
    networks: tuple[str, ...] = ()
    network_ids: tuple[str, ...] = ()
    address: str = ""
    """IP address on its first network, empty when it is not running."""
    ports: tuple[tuple[str, str, int], ...] = ()
    """(`8000/tcp`, host address, host port) of what is published now."""
    volumes: tuple[str, ...] = ()
    anonymous: tuple[tuple[str, str], ...] = ()
    """(volume, target) of volumes without a name of their own: nothing else will find them again."""
    restarts: int = 0
    body: Mapping[str, object] = field(default_factory=dict, compare=False)
    """The engine's inspect document, for explaining a difference."""

    @property
    def service(self) -> str:
        return self.labels.get(names.SERVICE, "")

    @property
    def number(self) -> int:
        number = whole(self.labels.get(names.NUMBER, "1"))
        return 1 if number is None else number

    @property
    def digest(self) -> str:
        return self.labels.get(names.DIGEST, "")

    @property
    def made_by_compose(self) -> bool:
        """Return whether Compose, or what does as it does, made it: its own hash alone tells of a change."""
        return not self.digest and names.CONFIG_HASH in self.labels and not self.one_off

    @property
    def one_off(self) -> bool:
        """Return whether it is a `docker compose run` container: nobody's business but its maker's."""
        return self.labels.get(names.ONE_OFF, "False") == "True"

    @property
    def config(self) -> Mapping[str, object]:
        """Return what it was made of, its image's part included, in the engine's words."""
        found = self.body.get("Config")
        return found if isinstance(found, Mapping) else {}

    def reachable(self, target: str) -> tuple[str, int] | None:
        """Return where this machine reaches a port such as `8000/tcp`, None when it is not published."""
        for port, host, number in self.ports:
            if port == target and ":" not in host:
                return ("127.0.0.1" if host in ("", "0.0.0.0") else host), number
        return None

    @property
    def path(self) -> str:
        return self.labels.get(names.PATH) or self.labels.get(names.WORKING_DIR, "")


@dataclass(frozen=True)
class Network:
    name: str
    id: str
    labels: Mapping[str, str]
    driver: str = "bridge"
    internal: bool = False
    attachable: bool = False
    ipv6: bool = False

    @property
    def project(self) -> str:
        return self.labels.get(names.PROJECT, "")


@dataclass(frozen=True)
class Volume:
    name: str
    created: datetime
    labels: Mapping[str, str]
    driver: str = "local"

    @property
    def project(self) -> str:
        return self.labels.get(names.PROJECT, "")


@dataclass(frozen=True)
class Image:
    reference: str
    id: str
    labels: Mapping[str, str]
    created: datetime
    size: int = 0
    """bytes"""
    environment: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    """The paths for which every container of it gets a volume."""
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    digest: str = ""
    """That of the build that made it; empty where this machine does not know it."""
    context: Mapping[str, str] = field(default_factory=dict, compare=False)
    """The files that it was built from, where this machine still knows them."""


@dataclass(frozen=True)
class Completion:
    """A one-shot that had come to its end when `down` removed its container; see stack.once."""

    service: str
    parts: tuple[tuple[str, str, str], ...]
    """(service, digest of its container, image id) of itself and of all that it depends on."""
    volumes: tuple[tuple[str, str], ...]
    """(name, time of creation) of the volumes behind it."""
    begun: str = ""
    """When it began, as an ISO time; empty where an earlier version remembered it."""


@dataclass(frozen=True)
class Stored:
    """What the storage of a database holds that is about to start."""

    service: str
    place: str
    """In words."""
    empty: bool = False
    born: datetime | None = None
    """When the database in it was made, where its files say so."""
    written: datetime | None = None
    """When its server wrote it last, where that is certain: none is at work on it."""


@dataclass(frozen=True)
class FirstStart:
    """A volume on which a database was started for the first time, and no login has worked since."""

    service: str
    volume: str
    created: datetime
    cut_short: bool
    """Its initialisation did not come to its end, and nobody's data can be in it."""
    doubt: str = ""
    """Why that cannot be said for certain; then it is left as it is."""
    directory: str = ""
    """Of the data, in the volume; empty where that is all of it."""
    aside: str = ""
    """Where what is left of it goes: another volume, or, where there is a directory, a folder of this one."""


@dataclass(frozen=True)
class Observed:
    """Everything of one project on one engine; images by the reference that a service uses."""

    containers: tuple[Container, ...] = ()
    networks: tuple[Network, ...] = ()
    volumes: tuple[Volume, ...] = ()
    images: Mapping[str, Image] = field(default_factory=dict)
    completions: tuple[Completion, ...] = ()
    first_starts: tuple[FirstStart, ...] = ()
    unproven: tuple[str, ...] = ()
    """Running containers of databases that have not accepted this login since they were started."""
    stored: tuple[Stored, ...] = ()
    """Only of databases that were looked at because they are about to start."""
    formers: tuple[Former, ...] = ()
    """Where databases were before; only when one is about to start, and only what is still there."""
    others: tuple[Container, ...] = ()
    """Containers with the project's name that were made from other compose files: none of ours."""

    @property
    def in_use(self) -> frozenset[str]:
        """Return the networks and volumes that those containers use."""
        return frozenset(name for item in self.others for name in (*item.networks, *item.volumes))

    def of_service(self, name: str) -> tuple[Container, ...]:
        """Return the service's containers by number, without one-off ones."""
        found = (item for item in self.containers if item.service == name and not item.one_off)
        return tuple(sorted(found, key=lambda item: (item.number, item.name)))

    def network(self, name: str) -> Network | None:
        return next((item for item in self.networks if item.name == name), None)

    def volume(self, name: str) -> Volume | None:
        return next((item for item in self.volumes if item.name == name), None)

    def container(self, name: str) -> Container | None:
        return next((item for item in self.containers if item.name == name), None)
