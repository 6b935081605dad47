"""The connection to the Docker engine: opened once, one client a thread, every vendor error translated."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Self

from scaffold.errors import EngineError, EngineUnavailable, PortTaken, ScaffoldError

if TYPE_CHECKING:
    from docker import APIClient

MINIMUM_API = (1, 44)
"""Engine 25: the first one with `start_interval` and several networks at creation."""


class Engine:
    """One engine; `api` is this thread's own client, since the SDK's sessions are not shared safely."""

    def __init__(self) -> None:
        self._local = threading.local()
        self._clients: list[APIClient] = []
        self._guard = threading.Lock()
        self._version: str | None = None
        self._version = self.api.api_version

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for client in self._clients:
            with contextlib.suppress(Exception):
                client.close()

    @property
    def api(self) -> APIClient:
        """Return this thread's client. Raises EngineUnavailable when the engine does not answer."""
        client: APIClient | None = getattr(self._local, "client", None)
        if client is None:
            client = _connect(self._version)
            self._local.client = client
            with self._guard:
                self._clients.append(client)
        return client

    @property
    def is_local(self) -> bool:
        """Return whether published ports and container addresses can be reached from here."""
        return self.api.base_url == "http+docker://localhost" or "127.0.0.1" in self.api.base_url


def _connect(version: str | None) -> APIClient:
    import docker
    from docker.errors import DockerException

    try:
        # Builds and pulls of our own have no limit; a single state call that takes a minute is a dead engine.
        client = docker.from_env(version=version or "auto", timeout=60).api
    except DockerException as error:
        raise _unavailable(error) from error
    # typeshed and the SDK disagree about where this lives; the SDK sets it in APIClient.__init__.
    found = str(client.api_version)
    if tuple(map(int, found.split("."))) < MINIMUM_API:
        needed = ".".join(map(str, MINIMUM_API))
        raise EngineUnavailable(
            f"The Docker engine is too old: it speaks API {found}, scaffold needs {needed} (Docker 25).",
            "Upgrade Docker: https://docs.docker.com/engine/install/",
        )
    return client


def endpoint() -> str:
    """Return where the engine is expected, for messages."""
    return os.environ.get("DOCKER_HOST") or (
        f"context {os.environ['DOCKER_CONTEXT']}"
        if os.environ.get("DOCKER_CONTEXT")
        else "/var/run/docker.sock"
    )


def _unavailable(error: BaseException) -> EngineUnavailable:
    """Say why there is no engine, from the operating system's own error number."""
    number = _errno(error)
    where = endpoint()
    if number in (errno.EACCES, errno.EPERM):
        return EngineUnavailable(
            f"No permission to use the Docker engine at {where}.",
            "Add yourself to its group: `sudo usermod -aG docker $USER`, then log in again.",
        )
    if number == errno.ENOENT and not shutil.which("docker"):
        return EngineUnavailable(
            "Docker is not installed: there is no docker command and no engine.",
            "Install it: https://docs.docker.com/engine/install/ (or run `scaffold doctor`).",
        )
    return EngineUnavailable(
        f"The Docker engine does not answer at {where}.",
        "Start Docker Desktop, or `sudo systemctl start docker`, and check with `docker version`.",
    )


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
    """Translate whatever the SDK raises; `what` names the thing that was worked on."""
    import requests
    import urllib3
    from docker.errors import APIError, DockerException

    try:
        yield
    except ScaffoldError:
        raise
    except APIError as error:
        raise _refused(what, error) from error
    except requests.exceptions.ReadTimeout as error:
        raise EngineUnavailable(
            f"{what}: the Docker engine has not answered for a minute.", "Check it with `docker version`."
        ) from error
    except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, ConnectionError) as error:
        raise EngineUnavailable(
            f"{what}: the Docker engine went away.",
            "Start it again, then repeat the command: it goes on where it stopped.",
        ) from error
    except DockerException as error:
        raise EngineError(f"{what}: {error}") from error


def _refused(what: str, error: object) -> EngineError:
    text = str(getattr(error, "explanation", "") or error).strip()
    # The engine answers 500 to these; there is no code to tell them apart.
    if "port is already allocated" in text or "address already in use" in text:
        return PortTaken(f"{what}: {_last_clause(text)}.", "Change the port in .env, or stop what holds it.")
    if "no space left on device" in text:
        return EngineError(f"{what}: the disk of the Docker engine is full.", "See `docker system df`.")
    return EngineError(f"{what}: {text}.".replace("..", "."))


def _last_clause(text: str) -> str:
    return text.rsplit("failed: ", 1)[-1].rstrip(".")
