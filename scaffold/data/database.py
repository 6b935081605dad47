"""The database that a service runs, read from its image and environment, and what can be asked of one.

Importing this loads no driver; `login` loads the one it needs.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote

from scaffold.errors import DataRefused, NotReady, ProjectError
from scaffold.stack.desired import Service

POLL = 0.015
"""Seconds between two tries; there is no event for "it listens"."""
TRY = 3.0
"""Seconds that one try may take: a live server answers sooner, a hung one must not hold up Ctrl-C."""

Kind = Literal["postgres", "mongo"]

# By the last part of the name: the official images, and those built on them with the same entrypoint and
# variables. Bitnami's are called postgresql and mongodb, and differ.
_KINDS: dict[str, Kind] = {
    "postgres": "postgres",
    "postgis": "postgres",
    "pgvector": "postgres",
    "timescaledb": "postgres",
    "mongo": "mongo",
}


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
        return "PostgreSQL" if self.kind == "postgres" else "MongoDB"

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


def database_of(service: Service) -> Database | None:
    """Return the database that this service runs, None when it is something else."""
    name, tag = _split(service.image)
    kind = _KINDS.get(name.rsplit("/", 1)[-1])
    command = _words(service, "Cmd")
    server = {"postgres": "postgres", "mongo": "mongod"}.get(kind or "")
    # As the images' entrypoints do it: anything but the server or its flags is another program.
    if kind is None or (command and command[0] != server and not command[0].startswith("-")):
        return None
    entrypoint = _words(service, "Entrypoint")
    if entrypoint and not entrypoint[0].endswith(("docker-entrypoint.sh", "docker-entrypoint.py")):
        return None
    if kind == "mongo":
        user = service.env("MONGO_INITDB_ROOT_USERNAME") or None
        return Database(
            kind=kind,
            service=service.name,
            port=_port(command, 27017),
            user=user,
            password=service.env("MONGO_INITDB_ROOT_PASSWORD") or None if user else None,
            name=service.env("MONGO_INITDB_DATABASE") or "test",
            version=tag,
        )
    user = service.env("POSTGRES_USER") or "postgres"
    return Database(
        kind=kind,
        service=service.name,
        port=_port(command, int(service.env("PGPORT") or 5432)),
        user=user,
        password=service.env("POSTGRES_PASSWORD") or None,
        name=service.env("POSTGRES_DB") or user,
        version=tag,
    )


def mount_path(database: Database) -> str:
    """Return where the image of this version keeps what has to survive."""
    if database.kind == "mongo":
        return "/data/db"
    if database.major is not None and database.major < 18:
        return "/var/lib/postgresql/data"
    return "/var/lib/postgresql"


def url(database: Database, host: str, port: int, *, mask: bool) -> str:
    """Return the connection URL, its password replaced by `***` with `mask`."""
    login = ""
    if database.user:
        login = quote(database.user, safe="")
        if database.password:
            login += ":" + ("***" if mask else quote(database.password, safe=""))
        login += "@"
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if database.kind == "postgres":
        return f"postgresql://{login}{place}/{quote(database.name, safe='')}"
    query = "?authSource=admin" if login else ""
    return f"mongodb://{login}{place}/{quote(database.name, safe='')}{query}"


def login(database: Database, host: str, port: int, timeout: float) -> Attempt:
    """Try once to log in with the real credentials to the real database."""
    if database.kind == "postgres":
        from scaffold.data import postgres

        return postgres.login(database, host, port, timeout)
    from scaffold.data import mongo

    return mongo.login(database, host, port, timeout)


def wait_until_ready(
    database: Database, host: str, port: int, deadline: float, ended: threading.Event
) -> str:
    """Return the server's version once a login works; empty where only the container knows the password.

    `deadline` is on the monotonic clock, `ended` is set when the container ends or the person gave up.
    Raises DataRefused as soon as the server says no, NotReady when it ended or the time is up.
    """
    while True:
        attempt = login(database, host, port, max(0.1, min(TRY, deadline - time.monotonic())))
        match attempt:
            case Ready(version):
                return version
            case Refused(error):
                raise error
            case NotYet(reason):
                if ended.is_set():
                    raise NotReady(f"{database.service} ended before it accepted a login: {reason}.")
                if time.monotonic() >= deadline:
                    raise NotReady(f"{database.service} has not accepted a login in time: {reason}.")
                ended.wait(POLL)


def client_command(
    database: Database, arguments: Sequence[str] = (), *, terminal: bool = True
) -> tuple[str, ...]:
    """Return what to run inside the container to open psql or mongosh, logged in.

    Arguments such as `-c SQL` or `--eval CODE` go to the client as they are. Without any it reads commands
    from standard input: a `terminal`, or a script.
    """
    if database.kind == "postgres":
        from scaffold.data import postgres

        return postgres.client_command(database, arguments)
    from scaffold.data import mongo

    return mongo.client_command(database, arguments, terminal=terminal)


def set_password(database: Database) -> Command | OneOff:
    """Return what gives an existing volume the password that the project has now; nothing else in it changes.

    A Command runs inside the database's own container, which is up; a OneOff needs it stopped. For Postgres
    the user has to exist: which others there are, only the volume knows.
    """
    if database.user is None or database.password is None:
        raise ProjectError(
            f"services.{database.service}: compose.yaml names no password for {database.title}.",
            "Set it in the service's `environment`, from a variable of .env.",
        )
    if database.kind == "postgres":
        from scaffold.data import postgres

        return postgres.set_password(database, database.user, database.password)
    from scaffold.data import mongo

    return mongo.set_password(database, database.user, database.password)


def explain(database: Database, log: Sequence[str], limits: Sequence[str] = ()) -> DataRefused | None:
    """Return why the server does not start on its volume, read from its log; None when that does not say.

    Pass a few hundred lines: MongoDB prints some forty more after the one that counts. `limits` are the sizes
    that compose.yaml gives its volumes, such as `size=64m of volume db-data`.
    """
    from scaffold.data import verdict

    return verdict.explain(database, log, limits)


def _split(image: str) -> tuple[str, str]:
    """Split `registry:5000/name:tag@digest` into the name and the tag."""
    name = image.split("@", 1)[0]
    before, colon, tag = name.rpartition(":")
    # A colon before a slash belongs to the registry's port.
    return (before, tag) if colon and "/" not in tag else (name, "")


def _words(service: Service, key: str) -> tuple[str, ...]:
    words = service.body.get(key)
    return tuple(str(word) for word in words) if isinstance(words, (list, tuple)) else ()


def _port(command: Sequence[str], default: int) -> int:
    found = re.search(r"(?:^| )(?:-p ?|-?-?port[ =])(\d+)(?: |$)", " ".join(command))
    return int(found[1]) if found else default
