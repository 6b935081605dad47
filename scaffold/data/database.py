"""The database that a service runs, read from its image and environment, and what can be asked of one.

Importing this loads no driver; `login` loads the one it needs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from urllib.parse import quote

from scaffold.data.model import Attempt, Command, Database, Kind, NotYet, OneOff, Ready, Refused
from scaffold.data.mongo import Mongo
from scaffold.data.postgres import Postgres
from scaffold.errors import NotReady, ProjectError
from scaffold.stack.desired import Service
from scaffold.stack.secrets import MASK

POLL = 0.015
"""Seconds between two tries; there is no event for "it listens"."""
TRY = 3.0
"""Seconds that one try may take: a live server answers sooner, a hung one must not hold up Ctrl-C."""

KINDS: tuple[Kind, ...] = (Postgres(), Mongo())


def database_of(service: Service) -> Database | None:
    """Return the database that this service runs by its image's name, None when it is something else."""
    name, tag = _split(service.image)
    image = name.rsplit("/", 1)[-1]
    kind = next((kind for kind in KINDS if image in kind.images), None)
    command = _words(service.body, "Cmd")
    if kind is None or not _serves(kind, _words(service.body, "Entrypoint"), command):
        return None
    return kind.configured(service, command, tag)


def database_in(service: Service, config: Mapping[str, object]) -> Database | None:
    """Return the database that a container or image with this configuration runs; None when it is none.

    `config` is the engine's own. An image that was built upon a database's has its variables and its server.
    """
    found = database_of(service)
    if found:
        return found
    environment = dict(entry.partition("=")[::2] for entry in _words(config, "Env"))
    command = _words(service.body, "Cmd") or _words(config, "Cmd")
    entrypoint = _words(service.body, "Entrypoint") or _words(config, "Entrypoint")
    for kind in KINDS:
        version = environment.get(kind.layout.version_variable)
        if version and entrypoint and command and _serves(kind, entrypoint, command):
            merged = {**environment, **dict(service.environment)}
            return kind.configured(
                replace(service, environment=tuple(sorted(merged.items()))), command, version
            )
    return None


def _serves(kind: Kind, entrypoint: Sequence[str], command: Sequence[str]) -> bool:
    """Return whether the server is what these words start; nothing stands for what the image itself says.

    As the images' entrypoints do it: anything but the server or its flags is another program.
    """
    if command and command[0] != kind.server and not command[0].startswith("-"):
        return False
    return not entrypoint or any(
        word.endswith(("docker-entrypoint.sh", "docker-entrypoint.py")) for word in entrypoint
    )


def mount_path(database: Database) -> str:
    """Return where the image of this version keeps what has to survive."""
    return database.kind.mount_path(database)


def url(database: Database, host: str, port: int, *, mask: bool) -> str:
    """Return the connection URL, its password masked with `mask`."""
    login = ""
    if database.user:
        login = quote(database.user, safe="")
        if database.password:
            login += ":" + (MASK if mask else quote(database.password, safe=""))
        login += "@"
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return database.kind.url(database, login, place)


def login(database: Database, host: str, port: int, timeout: float) -> Attempt:
    """Try once to log in with the real credentials to the real database."""
    return database.kind.login(database, host, port, timeout)


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
    return database.kind.client_command(database, arguments, terminal=terminal)


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
    return database.kind.set_password(database, database.user, database.password)


def _split(image: str) -> tuple[str, str]:
    """Split `registry:5000/name:tag@digest` into the name and the tag."""
    name = image.split("@", 1)[0]
    before, colon, tag = name.rpartition(":")
    # A colon before a slash belongs to the registry's port.
    return (before, tag) if colon and "/" not in tag else (name, "")


def _words(config: Mapping[str, object], key: str) -> tuple[str, ...]:
    words = config.get(key)
    return tuple(map(str, words)) if isinstance(words, (list, tuple)) else ()
