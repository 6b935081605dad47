"""What every kind of database has in common: its types, and the protocol that each kind implements."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from scaffold.data.layout import Layout
from scaffold.errors import DataRefused
from scaffold.stack.desired import Service


@dataclass(frozen=True)
class Database:
    """A database server as compose.yaml configures it."""

    kind: Kind
    service: str
    port: int
    """Inside the container."""
    user: str | None
    """None when the server asks for no login."""
    password: str | None = field(repr=False)
    """None when there is none, or when only the container can read it (`…_PASSWORD_FILE`)."""
    name: str
    version: str
    """The image's tag, empty without one."""

    @property
    def title(self) -> str:
        return self.kind.title

    @property
    def major(self) -> int | None:
        """Return the major version in the tag, such as 17 for `17.2-alpine`, `pg17` or `latest-pg17`."""
        found = re.search(r"(?:^|-)pg(\d+)", self.version) or re.match(r"(\d+)", self.version)
        return int(found[1]) if found else None


@dataclass(frozen=True)
class Ready:
    """A login worked."""

    server_version: str


@dataclass(frozen=True)
class NotYet:
    """The server is not there, or says that it is still starting."""

    reason: str


@dataclass(frozen=True)
class Refused:
    """The server is up and said no; asking again changes nothing."""

    error: DataRefused


Attempt = Ready | NotYet | Refused


@dataclass(frozen=True)
class Command:
    """A command to run inside a container, with what it reads on standard input. No secret is in `argv`."""

    argv: tuple[str, ...]
    stdin: str = field(repr=False)


@dataclass(frozen=True)
class OneOff:
    """A container to run once on the same volume and image while the service is stopped, without a network.

    Start the image with `command` and the volume at `mount_path` and none of the service's environment;
    repeat `probe` in it until that exits with 0, run `script`, then stop it with SIGTERM.
    """

    command: tuple[str, ...]
    mount_path: str
    probe: Command
    script: Command


@dataclass(frozen=True)
class Place:
    """Where a server's data is, as far as its errors speak of it."""

    volume: str = ""
    """Its name on the engine; empty where it is no named volume."""
    image: str = ""
    """What reads it."""
    limits: tuple[str, ...] = ()
    """Sizes that compose.yaml sets, such as `size=64m of volume db-data`."""


class Stage(StrEnum):
    """How far the first start of a database came, as its files show it."""

    EMPTY = "empty"
    CUT_SHORT = "cut short"
    """The image's own initialisation did not come to its end, and nobody else has written there."""
    UNDERSTOOD = "understood"
    """A server can start on it, or will say why not; nothing has to be done before."""
    DOUBTFUL = "doubtful"


@dataclass(frozen=True)
class Contents:
    """What is in a directory in which an image keeps a database."""

    sizes: Mapping[str, int] = field(default_factory=dict)
    """Bytes of everything that is no folder, by its path in the directory."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """What stands in those of the kind's `telling` files that are there."""


class Kind(Protocol):
    """What differs between databases. Values and commands only: what has an effect is done by others.

    The one exception is `login`, the question that decides whether a database is ready.
    """

    @property
    def name(self) -> str:
        """As it stands in output, such as `postgres`."""

    @property
    def title(self) -> str:
        """As people write it, such as `PostgreSQL`."""

    @property
    def images(self) -> frozenset[str]:
        """The last parts of the names of the images that run it."""

    @property
    def server(self) -> str:
        """The program that the image runs when its command is none of another program."""

    @property
    def layout(self) -> Layout:
        """How its files lie in a volume."""

    def configured(self, service: Service, command: Sequence[str], version: str) -> Database:
        """Return the database that a service's environment and the words of its command describe."""

    @property
    def telling(self) -> tuple[str, ...]:
        """The small files that `stage` reads."""

    def directory(self, environment: Mapping[str, str]) -> str:
        """Return where a container with this environment keeps its files; empty when that is not known."""

    def stage(self, contents: Contents, *, scripts: bool) -> tuple[Stage, str]:
        """Return how far the first start on a directory came, and, where that is doubtful, why.

        `scripts` says whether the image runs any while it initialises, which may have made tables.
        """

    def mount_path(self, database: Database) -> str:
        """Return where the image of this version keeps what has to survive."""

    def url(self, database: Database, login: str, place: str) -> str:
        """Return the connection URL; `login` ends with `@` or is empty, `place` is host and port."""

    def login(self, database: Database, host: str, port: int, timeout: float) -> Attempt:
        """Try once to log in with the real credentials to the real database."""

    def client_command(
        self, database: Database, arguments: Sequence[str], *, terminal: bool
    ) -> tuple[str, ...]:
        """Return what to run inside the container to open its client, logged in."""

    def set_password(self, database: Database, user: str, password: str) -> Command | OneOff:
        """Return what gives an existing volume this password."""

    def objects(self, database: Database) -> tuple[str, ...] | None:
        """Return what prints how much of anybody's the database has, inside its container.

        None where an empty one says nothing: MongoDB makes a collection with the first document in it.
        """


def port_of(command: Sequence[str], default: int) -> int:
    """Return the port that the words of a server's command name."""
    found = re.search(r"(?:^| )(?:-p ?|-?-?port[ =])(\d+)(?: |$)", " ".join(command))
    return int(found[1]) if found else default
