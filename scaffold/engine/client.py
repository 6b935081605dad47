"""The connection to the Docker engine: one a thread, every error of it in our words."""

from __future__ import annotations

import contextlib
import errno
import shutil
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from scaffold.engine import answers
from scaffold.engine.endpoint import Endpoint, chosen
from scaffold.engine.wire import TIMEOUT, Lost, Refused, Stream, Wire, document, fitting, unframed, with_query
from scaffold.errors import EngineError, EngineUnavailable, PortTaken

MINIMUM_API = (1, 44)
"""Engine 25: the first one with `start_interval` and several networks at creation."""


class Engine:
    """One engine: `get`, `post`, `put` and `delete` for its state, streams for what goes on.

    Connections are not shared safely, so each thread has its own. All raise Refused for an error of the
    engine, EngineUnavailable when it is not there, EngineError for an answer that cannot be used.
    """

    def __init__(self) -> None:
        self._local = threading.local()
        self._open: list[Wire | Stream] = []
        self._guard = threading.Lock()
        self._endpoint = chosen()
        self._most = float("inf")
        self._prefix = ""
        self._prefix = f"/v{self._negotiate()}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._guard:
            held = tuple(self._open)
        for connection in held:
            with contextlib.suppress(Exception):
                connection.close()

    def hurry(self, seconds: float) -> None:
        """Give every call from now on so much time at the most: the person has given up."""
        self._most = seconds

    def get(self, path: str, *, timeout: float = TIMEOUT, **query: object) -> Any:
        """Return what the engine answers to a GET, in the shape that `answers` knows for it."""
        return self._send("GET", path, None, timeout, query)

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
        said = self._raw("GET", with_query("/events", query))
        lines = (line for line in said.splitlines() if line.strip())
        return [fitting("GET /events", answers.EVENT, document("GET /events", line)) for line in lines]

    def archive(self, container: str, path: str) -> bytes | None:
        """Return a tar of a path inside a container, running or not; None when there is no such path."""
        return self._archive("GET", container, path)

    def beginning(self, container: str, path: str, limit: int, timeout: float) -> bytes | None:
        """Return the first bytes of what `archive` returns: a folder may hold any amount of data."""
        try:
            stream = self.stream("GET", f"/containers/{container}/archive", {"path": path}, timeout=timeout)
        except Refused as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            return None
        begin = b""
        try:
            for piece in stream.pieces(timeout):
                begin += piece
                if len(begin) > limit:
                    break
            return begin
        finally:
            stream.close()

    def has(self, container: str, path: str) -> bool:
        """Return whether a container, running or not, has such a path."""
        return self._archive("HEAD", container, path) is not None

    def _archive(self, method: str, container: str, path: str) -> bytes | None:
        try:
            return self._raw(method, with_query(f"/containers/{container}/archive", {"path": path}))
        except Refused as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            return None

    def unpack(self, container: str, archive: bytes) -> None:
        """Unpack a tar at the root of a container, running or not."""
        target = with_query(f"/containers/{container}/archive", {"path": "/"})
        self._raw("PUT", target, archive, "application/x-tar")

    def unpack_into(self, container: str, path: str, archive: Iterable[bytes], timeout: float) -> None:
        """Unpack a tar of any size in a folder of a container, as it comes."""
        target = with_query(f"/containers/{container}/archive", {"path": path})
        self._wire.raw("PUT", f"{self._prefix}{target}", timeout, archive, "application/x-tar")

    def printed(self, container: str, command: list[str]) -> bytes:
        """Return what a command inside a running container prints, on either stream."""
        asked = {"AttachStdout": True, "AttachStderr": True, "Cmd": command}
        made = self.post(f"/containers/{container}/exec", asked)
        call = f"/exec/{made['Id']}/start"
        raw = self._raw("POST", call, b'{"Detach": false, "Tty": false}')
        return b"".join(unframed(f"POST {call}", [raw]))

    def events(self, since: int | None = None, **filters: list[str]) -> Stream:
        """Return the engine's events from now on, or from a moment as far as it remembers."""
        return self.stream("GET", "/events", {"since": since, "filters": filters})

    def stream(
        self,
        method: str,
        path: str,
        query: Mapping[str, object],
        headers: Mapping[str, str] | None = None,
        timeout: float = TIMEOUT,
    ) -> Stream:
        """Return an answer that goes on, over a connection of its own; whoever asks for it closes it."""
        target = f"{self._prefix}{with_query(path, query)}"
        stream = Wire(self._endpoint).stream(method, target, headers, timeout)
        self._keep(stream)
        return stream

    def _send(self, method: str, path: str, body: object, timeout: float, query: dict[str, object]) -> Any:
        call = f"{method} {path.partition('?')[0]}"
        # A network's name may be anything; what is quoted already stays as it is.
        target = with_query(quote(path, safe="/:@?=&%+,~"), query)
        answer = self._wire.send(method, f"{self._prefix}{target}", body, min(timeout, self._most))
        return fitting(call, answers.shape_of(call), answer)

    def _raw(
        self, method: str, path: str, body: bytes | None = None, kind: str = "application/json"
    ) -> bytes:
        return self._wire.raw(method, f"{self._prefix}{path}", TIMEOUT, body, kind)

    @property
    def _wire(self) -> Wire:
        wire: Wire | None = getattr(self._local, "wire", None)
        if wire is None:
            wire = self._local.wire = Wire(self._endpoint)
            self._keep(wire)
        return wire

    def _keep(self, connection: Wire | Stream) -> None:
        with self._guard:
            self._open.append(connection)

    @property
    def is_local(self) -> bool:
        """Return whether published ports and container addresses can be reached from here."""
        return not self.machine

    @property
    def machine(self) -> str:
        """Return the machine that the engine is on, as far as its address says so; empty for this one."""
        return self._endpoint.machine

    def _negotiate(self) -> str:
        """Return the API version that the engine speaks. Raises EngineUnavailable when it is too old."""
        try:
            found = str(self.get("/version")["ApiVersion"])
        except (Lost, Refused) as error:
            raise _unavailable(error.__cause__ or error, self._endpoint) from error
        if tuple(map(int, found.split("."))) < MINIMUM_API:
            needed = ".".join(map(str, MINIMUM_API))
            raise EngineUnavailable(
                f"The Docker engine is too old: it speaks API {found}, scaffold needs {needed} (Docker 25).",
                "Upgrade Docker: https://docs.docker.com/engine/install/",
            )
        return found


def place() -> str:
    """Return where the engine is expected, for messages."""
    meant = chosen()
    return meant.socket or meant.host


def _unavailable(error: BaseException, meant: Endpoint) -> EngineUnavailable:
    """Say why there is no engine, from the operating system's own error number."""
    where = meant.socket or meant.host
    if isinstance(error, Refused):
        if "HTTP request to an HTTPS server" in error.explanation:
            return EngineUnavailable(
                f"The Docker engine at {where} wants TLS.",
                "Set DOCKER_TLS_VERIFY=1, and DOCKER_CERT_PATH to where ca.pem, cert.pem and key.pem are.",
            )
        return EngineUnavailable(
            f"What answers at {where} is no Docker engine, or a broken one: {error.explanation}.",
            _way_to_start(meant),
        )
    if not meant.socket:
        import ssl

        from scaffold.engine import tls

        if isinstance(error, ssl.SSLError):
            return tls.explained(error, meant)
    number = error.errno if isinstance(error, OSError) else None
    if meant.socket and number in (errno.EACCES, errno.EPERM):
        return EngineUnavailable(
            f"No permission to use the Docker engine at {where}.",
            f"Add yourself to its group: `sudo usermod -aG {socket_group()} $USER`, then log in again.",
        )
    if number == errno.ENOENT and not shutil.which("docker"):
        return EngineUnavailable(
            "Docker is not installed: there is no docker command and no engine.",
            "Install it with `scaffold doctor --fix`, or see https://docs.docker.com/engine/install/.",
        )
    said = error.strerror if meant.machine and isinstance(error, OSError) else ""
    why = f" ({said.lower()})" if said else ""
    return EngineUnavailable(
        f"The Docker engine does not answer at {where}{why}.",
        f"{_way_to_start(meant)} `scaffold doctor` looks closer.",
    )


def start_command() -> str | None:
    """Return what starts the engine of this machine, None where only a person can."""
    if sys.platform == "darwin":
        return "open -a Docker"
    if Path("/run/systemd/system").is_dir():
        return "sudo systemctl start docker"
    return "sudo service docker start" if Path("/etc/init.d/docker").exists() else None


def _way_to_start(meant: Endpoint) -> str:
    if meant.named_by:
        back = f"unset {meant.named_by}" if meant.named_by.isupper() else "docker context use default"
        return f"{meant.named_by} says so: start that engine, or use this machine's own with `{back}`."
    command = start_command()
    return f"Start it with `{command}`." if command else "Start Docker Desktop, or `dockerd` as root."


def socket_path() -> Path | None:
    """Return the engine's socket, None when it is reached in another way."""
    found = chosen().socket
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


@contextlib.contextmanager
def engine_errors(what: str) -> Iterator[None]:
    """Translate whatever a connection raises; `what` names the thing that was worked on."""
    try:
        yield
    except Refused as error:
        raise _refused(what, error) from error
    except Lost as error:
        raise EngineUnavailable(f"{what}: {error.said}", error.hint) from error


def _refused(what: str, error: Refused) -> EngineError:
    text = error.explanation
    # The engine answers 500 to these; there is no code to tell them apart.
    if "port is already allocated" in text or "address already in use" in text:
        return PortTaken(f"{what}: {_last_clause(text)}.", "Change the port in .env, or stop what holds it.")
    from scaffold.diagnose.engine import explained

    verdict = explained(text)
    return EngineError(f"{what}: {verdict.message}.", verdict.hint or None)


def _last_clause(text: str) -> str:
    return text.rsplit("failed: ", 1)[-1].rstrip(".")
