"""The connection to the Docker engine: one a thread, every vendor error translated."""

from __future__ import annotations

import contextlib
import errno
import http.client
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from scaffold.engine.wire import (
    TIMEOUT,
    Refused,
    SdkWire,
    SocketWire,
    Stream,
    Wire,
    host,
    local_socket,
    with_query,
)
from scaffold.errors import EngineError, EngineUnavailable, PortTaken, ScaffoldError

if TYPE_CHECKING:
    from docker import APIClient

Connection = TypeVar("Connection", "APIClient", "Wire")

MINIMUM_API = (1, 44)
"""Engine 25: the first one with `start_interval` and several networks at creation."""


class Engine:
    """One engine: `get`, `post`, `delete` and `events` for its state, `api` for what only the SDK knows.

    Connections are not shared safely, so each thread has its own.
    """

    def __init__(self) -> None:
        self._local = threading.local()
        self._open: list[APIClient | Wire] = []
        self._guard = threading.Lock()
        self._socket = local_socket()
        self._version = self._negotiate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self._open:
            with contextlib.suppress(Exception):
                connection.close()

    def get(self, path: str, **query: object) -> Any:
        """Return what the engine answers to a GET. Raises Refused for an error, as the other two do."""
        return self._send("GET", path, None, TIMEOUT, query)

    def post(self, path: str, body: object = None, *, timeout: float = TIMEOUT, **query: object) -> Any:
        return self._send("POST", path, body, timeout, query)

    def delete(self, path: str, **query: object) -> None:
        self._send("DELETE", path, None, TIMEOUT, query)

    def past_events(self, since: float, **filters: list[str]) -> list[dict[str, Any]]:
        """Return the engine's events since a moment, in seconds since 1970, as far as it keeps them."""
        query: dict[str, object] = {
            "since": f"{since:.6f}",
            "until": f"{time.time():.6f}",
            "filters": filters,
        }
        said = self._wire.raw("GET", f"/v{self._version}{with_query('/events', query)}", TIMEOUT)
        return [json.loads(line) for line in said.splitlines() if line.strip()]

    def archive(self, container: str, path: str) -> bytes | None:
        """Return a tar of a path inside a container, running or not; None when there is no such path."""
        return self._archive("GET", container, path)

    def has(self, container: str, path: str) -> bool:
        """Return whether a container, running or not, has such a path."""
        return self._archive("HEAD", container, path) is not None

    def _archive(self, method: str, container: str, path: str) -> bytes | None:
        target = with_query(f"/containers/{container}/archive", {"path": path})
        try:
            return self._wire.raw(method, f"/v{self._version}{target}", TIMEOUT)
        except Refused as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            return None

    def events(self, **filters: list[str]) -> Stream:
        """Return the engine's events from now on, over a connection of their own."""
        return self._wire.stream(f"/v{self._version}{with_query('/events', {'filters': filters})}")

    def _send(self, method: str, path: str, body: object, timeout: float, query: dict[str, object]) -> Any:
        return self._wire.send(method, f"/v{self._version}{with_query(path, query)}", body, timeout)

    @property
    def _wire(self) -> Wire:
        wire: Wire | None = getattr(self._local, "wire", None)
        if wire is None:
            wire = SocketWire(self._socket) if self._socket else SdkWire(self.api)
            self._local.wire = self._kept(wire)
        return wire

    @property
    def api(self) -> APIClient:
        """Return this thread's SDK client. Raises EngineUnavailable when the engine does not answer."""
        client: APIClient | None = getattr(self._local, "client", None)
        if client is None:
            client = _connect(self._version)
            self._local.client = self._kept(client)
        return client

    def _kept(self, connection: Connection) -> Connection:
        with self._guard:
            self._open.append(connection)
        return connection

    @property
    def is_local(self) -> bool:
        """Return whether published ports and container addresses can be reached from here."""
        return self._socket is not None or "127.0.0.1" in self.api.base_url

    def _negotiate(self) -> str:
        """Return the API version that the engine speaks. Raises EngineUnavailable when it is too old."""
        self._version = ""
        if self._socket is None:
            found = str(self.api.api_version)
        else:
            try:
                found = str(self._wire.send("GET", "/version", None, TIMEOUT)["ApiVersion"])
            except (OSError, http.client.HTTPException, Refused, KeyError, TypeError) as error:
                raise _unavailable(error) from error
        if tuple(map(int, found.split("."))) < MINIMUM_API:
            needed = ".".join(map(str, MINIMUM_API))
            raise EngineUnavailable(
                f"The Docker engine is too old: it speaks API {found}, scaffold needs {needed} (Docker 25).",
                "Upgrade Docker: https://docs.docker.com/engine/install/",
            )
        return found


def _connect(version: str) -> APIClient:
    import docker
    from docker.errors import DockerException

    try:
        # Builds and pulls of our own have no limit; a single state call that takes a minute is a dead engine.
        return docker.from_env(version=version or "auto", timeout=60).api
    except DockerException as error:
        raise _unavailable(error) from error


def endpoint() -> str:
    """Return where the engine is expected, for messages."""
    chosen = os.environ.get("DOCKER_HOST") or local_socket() or host()
    return chosen or f"context {os.environ.get('DOCKER_CONTEXT') or 'of config.json'}"


def _unavailable(error: BaseException) -> EngineUnavailable:
    """Say why there is no engine, from the operating system's own error number."""
    number = _errno(error)
    where = endpoint()
    if number in (errno.EACCES, errno.EPERM):
        return EngineUnavailable(
            f"No permission to use the Docker engine at {where}.",
            f"Add yourself to its group: `sudo usermod -aG {socket_group()} $USER`, then log in again.",
        )
    if number == errno.ENOENT and not shutil.which("docker"):
        return EngineUnavailable(
            "Docker is not installed: there is no docker command and no engine.",
            "Install it with `scaffold doctor --fix`, or see https://docs.docker.com/engine/install/.",
        )
    return EngineUnavailable(
        f"The Docker engine does not answer at {where}.", f"{_way_to_start()} `scaffold doctor` looks closer."
    )


def start_command() -> str | None:
    """Return what starts the engine of this machine, None where only a person can."""
    if sys.platform == "darwin":
        return "open -a Docker"
    if Path("/run/systemd/system").is_dir():
        return "sudo systemctl start docker"
    return "sudo service docker start" if Path("/etc/init.d/docker").exists() else None


def _way_to_start() -> str:
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        if os.environ.get(name):
            return f"{name} says so: start that engine, or use this machine's own with `unset {name}`."
    command = start_command()
    return f"Start it with `{command}`." if command else "Start Docker Desktop, or `dockerd` as root."


def socket_path() -> Path | None:
    """Return the engine's socket, None when it is reached in another way."""
    found = local_socket()
    return Path(found) if found else None


def socket_group() -> str:
    """Return the group that may use the engine's socket."""
    import grp

    path = socket_path()
    try:
        number = path.stat().st_gid if path else 0
    except OSError:
        return "docker"
    if number == 0:
        return "docker"  # root's own group is one that nobody should join
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def _errno(error: BaseException | None) -> int | None:
    """Return the first error number in a chain of exceptions, the vendors' wrapped ones included."""
    seen: set[int] = set()
    queue: list[object] = [error]
    while queue:
        item = queue.pop(0)
        if not isinstance(item, BaseException) or id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, OSError) and isinstance(item.errno, int):
            return item.errno
        queue += [item.__cause__, item.__context__, *item.args, getattr(item, "reason", None)]
    return None


@contextlib.contextmanager
def engine_errors(what: str) -> Iterator[None]:
    """Translate whatever a connection raises; `what` names the thing that was worked on."""
    try:
        yield
    except ScaffoldError:
        raise
    except Refused as error:
        raise _refused(what, error) from error
    except Exception as error:
        translated = _translated(what, error)
        if translated is None:
            raise
        raise translated from error


def _translated(what: str, error: Exception) -> ScaffoldError | None:
    # Only an error needs the SDK's names; most runs never load it.
    import requests
    import urllib3
    from docker.errors import APIError, DockerException

    if isinstance(error, APIError):
        return _refused(what, error)
    if isinstance(error, TimeoutError | requests.exceptions.ReadTimeout):
        return EngineUnavailable(
            f"{what}: the Docker engine has not answered for a minute.", "Check it with `docker version`."
        )
    gone = (
        requests.exceptions.RequestException,
        urllib3.exceptions.HTTPError,
        http.client.HTTPException,
        ConnectionError,
        FileNotFoundError,  # the socket itself
    )
    if isinstance(error, gone):
        return EngineUnavailable(
            f"{what}: the Docker engine went away.",
            "Start it again, then repeat the command: it goes on where it stopped.",
        )
    return EngineError(f"{what}: {error}") if isinstance(error, DockerException) else None


def _refused(what: str, error: object) -> EngineError:
    text = str(getattr(error, "explanation", "") or error).strip()
    # The engine answers 500 to these; there is no code to tell them apart.
    if "port is already allocated" in text or "address already in use" in text:
        return PortTaken(f"{what}: {_last_clause(text)}.", "Change the port in .env, or stop what holds it.")
    from scaffold.engine import refusals

    verdict = refusals.explained(text)
    return EngineError(f"{what}: {verdict.message}.", verdict.hint or None)


def _last_clause(text: str) -> str:
    return text.rsplit("failed: ", 1)[-1].rstrip(".")
