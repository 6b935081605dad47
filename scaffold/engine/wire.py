"""The engine's HTTP API as requests and answers, over its own socket where there is one.

The SDK is not used for it: importing it takes 65 ms of CPU time, a quarter of a run with nothing to do, and
each of its calls a millisecond more. An engine behind TCP or SSH is reached through the SDK all the same.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import select
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlencode

if TYPE_CHECKING:
    from docker import APIClient
    from requests import Response

DEFAULT_SOCKET = "/var/run/docker.sock"
TIMEOUT = 60.0
"""Seconds for one call; whatever may take longer has a limit of its own."""


class Refused(Exception):
    """The engine's answer was an error."""

    def __init__(self, status: int, explanation: str) -> None:
        super().__init__(explanation)
        self.status = status
        self.explanation = explanation


class Stream(Protocol):
    """An answer that has no end: one JSON document a line. Closing it ends the reader as well."""

    def __iter__(self) -> Iterator[Any]: ...

    def close(self) -> None: ...


class Wire(Protocol):
    """One connection; of one thread."""

    def send(self, method: str, path: str, body: object, timeout: float) -> Any:
        """Return the answer's JSON, None for an empty one. Raises Refused for an error."""

    def raw(self, method: str, path: str, timeout: float) -> bytes:
        """Return the answer as it is. Raises Refused for an error."""

    def stream(self, path: str) -> Stream:
        """Return the lines of an answer as they come, over a connection of its own."""

    def close(self) -> None: ...


def local_socket() -> str | None:
    """Return the path of the engine's socket as the docker command finds it; None when it is no local one."""
    if not hasattr(socket, "AF_UNIX"):
        return None
    found = host()
    return found.removeprefix("unix://") if found and found.startswith("unix:///") else None


def host() -> str | None:
    """Return the engine's address as the docker command finds it; None when its context cannot be read."""
    return os.environ.get("DOCKER_HOST") or _host_of_context()


def _context() -> str | None:
    """Return the name of the docker context that is chosen, None without a choice."""
    chosen = os.environ.get("DOCKER_CONTEXT")
    if chosen:
        return chosen
    try:
        settings = json.loads((_settings() / "config.json").read_bytes())
    except FileNotFoundError:
        return None
    return str(settings.get("currentContext") or "") or None


def _settings() -> Path:
    return Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")


def _host_of_context() -> str | None:
    try:
        name = _context()
        if name in (None, "default"):
            return f"unix://{DEFAULT_SOCKET}"
        digest = hashlib.sha256(str(name).encode()).hexdigest()
        described = json.loads((_settings() / "contexts" / "meta" / digest / "meta.json").read_bytes())
        return str(described["Endpoints"]["docker"]["Host"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def with_query(path: str, query: Mapping[str, object]) -> str:
    """Return the path with its query; what is None is left out, filters become JSON."""
    pairs = [(key, _word(value)) for key, value in query.items() if value is not None]
    return f"{path}?{urlencode(pairs)}" if pairs else path


def _word(value: object) -> str:
    if isinstance(value, dict | bool):
        return json.dumps(value)
    return str(value)


class SocketWire:
    """HTTP over a Unix socket, one connection for one call after the other."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._connection: _UnixConnection | None = None

    def send(self, method: str, path: str, body: object, timeout: float) -> Any:
        return _json(self._exchange(method, path, body, timeout))

    def raw(self, method: str, path: str, timeout: float) -> bytes:
        return self._exchange(method, path, None, timeout)

    def _exchange(self, method: str, path: str, body: object, timeout: float) -> bytes:
        connection = self._open(timeout)
        try:
            answer = _ask(connection, method, path, body)
            content = answer.read()
        except BaseException:
            # What is half read cannot be used again.
            self.close()
            raise
        return _result(answer.status, answer.reason, content)

    def stream(self, path: str) -> Stream:
        connection = _UnixConnection(self._path, TIMEOUT)
        answer = _ask(connection, "GET", path, None)
        if answer.status >= 400:
            content = answer.read()
            connection.close()
            _result(answer.status, answer.reason, content)
        return _SocketStream(connection, answer)

    def close(self) -> None:
        if self._connection:
            self._connection.close()
            self._connection = None

    def _open(self, timeout: float) -> _UnixConnection:
        connection = self._connection
        if connection is not None and connection.is_dropped():
            self.close()
            connection = None
        if connection is None:
            connection = self._connection = _UnixConnection(self._path, timeout)
        connection.set_timeout(timeout)
        return connection


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)

    def set_timeout(self, seconds: float | None) -> None:
        self.timeout = seconds
        if self.sock:
            self.sock.settimeout(seconds)

    def is_dropped(self) -> bool:
        """Return whether the engine has closed it: nothing else makes an idle connection readable."""
        if not self.sock:
            return False
        # Not select(): that fails from the 1024th open file on.
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        return bool(poll.poll(0))

    def hang_up(self) -> None:
        """Close it under whoever reads from it in another thread: closing alone would not wake that one."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self.close()


class _SocketStream:
    def __init__(self, connection: _UnixConnection, answer: http.client.HTTPResponse) -> None:
        self._connection = connection
        self._answer = answer
        self._is_closed = False
        connection.set_timeout(None)

    def __iter__(self) -> Iterator[Any]:
        try:
            while line := self._answer.readline():
                yield json.loads(line)
        except Exception:
            # Closed under the reader, http.client fails in several ways.
            if not self._is_closed:
                raise

    def close(self) -> None:
        self._is_closed = True
        self._connection.hang_up()


def _ask(
    connection: http.client.HTTPConnection, method: str, path: str, body: object
) -> http.client.HTTPResponse:
    headers = {} if body is None else {"Content-Type": "application/json"}
    connection.request(method, path, None if body is None else json.dumps(body).encode(), headers)
    return connection.getresponse()


def _json(content: bytes) -> Any:
    return json.loads(content) if content.strip() else None


def _result(status: int, reason: str, content: bytes) -> bytes:
    if status < 400:
        return content
    try:
        explanation = str(json.loads(content)["message"])
    except (ValueError, KeyError, TypeError):
        explanation = content.decode(errors="replace").strip() or reason
    raise Refused(status, explanation)


class SdkWire:
    """The same through the SDK's session, which knows TLS, SSH and Windows' pipes."""

    def __init__(self, client: APIClient) -> None:
        self._client = client

    def send(self, method: str, path: str, body: object, timeout: float) -> Any:
        url = f"{self._client.base_url}{path}"
        answer = self._client.request(method, url, json=body, timeout=timeout)
        return _json(_result(answer.status_code, answer.reason, answer.content))

    def raw(self, method: str, path: str, timeout: float) -> bytes:
        answer = self._client.request(method, f"{self._client.base_url}{path}", timeout=timeout)
        return _result(answer.status_code, answer.reason, answer.content)

    def stream(self, path: str) -> Stream:
        answer = self._client.get(f"{self._client.base_url}{path}", stream=True, timeout=None)
        if answer.status_code >= 400:
            _result(answer.status_code, answer.reason, answer.content)
        return _SdkStream(answer)

    def close(self) -> None:
        """Leave the client to whoever made it."""


class _SdkStream:
    def __init__(self, answer: Response) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[Any]:
        for line in self._answer.iter_lines():
            if line:
                yield json.loads(line)

    def close(self) -> None:
        self._answer.close()
