"""The engine's HTTP API as requests and answers, over a socket, TCP, TLS or ssh.

The docker SDK is not used for it: importing it takes 65 ms of CPU time, a quarter of a run with nothing to
do, each of its calls a millisecond more, and its time limits count from one received byte to the next. Here
a call has one deadline for all of it, and an answer a largest size: what answers may be anything.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import os
import select
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import unquote, urlencode, urlsplit

from scaffold.engine import answers
from scaffold.engine.endpoint import Endpoint
from scaffold.errors import EngineError, EngineUnavailable
from scaffold.numbers import whole

if TYPE_CHECKING:
    from scaffold.engine.ssh import Tunnel

LARGEST = 32 * 2**20
"""Bytes of an answer that is read whole: ten times what an engine with a thousand containers lists."""
LONGEST = 2**20
"""Bytes of one line of a stream."""
_PIECE = 2**16


def _patience() -> float:
    try:
        seconds = float(os.environ.get("SCAFFOLD_ENGINE_TIMEOUT") or 60)
    except ValueError:
        return 60.0
    return seconds if 0 < seconds < 86_400 else 60.0


TIMEOUT = _patience()
"""Seconds for one call, from its first byte to its last; whatever may take longer has a limit of its own."""


class Refused(EngineError):
    """The engine's answer was an error."""

    def __init__(self, status: int, explanation: str) -> None:
        super().__init__(f"The Docker engine refuses: {explanation}.")
        self.status = status
        self.explanation = explanation


class Unusable(EngineError):
    """The engine's answer was none that an engine gives."""

    def __init__(self, call: str, why: str) -> None:
        super().__init__(
            f"The Docker engine gave an answer to {call} that cannot be used: {why}.",
            "Look at what answers there with `docker version` and `scaffold doctor`; restart the engine.",
        )


class Lost(EngineUnavailable):
    """The engine went away, or does not answer; `engine_errors` adds what it was wanted for."""

    def __init__(self, error: Exception) -> None:
        if isinstance(error, TimeoutError):
            self.said = f"the Docker engine has not answered within {TIMEOUT:g} seconds."
            hint = "Check it with `docker version`."
        else:
            self.said = "the Docker engine went away."
            hint = "Start it again, then repeat the command: it goes on where it stopped."
        super().__init__(f"T{self.said[1:]}", hint)


def with_query(path: str, query: Mapping[str, object]) -> str:
    """Return the path with its query; what is None is left out, filters become JSON."""
    pairs = [(key, _word(value)) for key, value in query.items() if value is not None]
    return f"{path}?{urlencode(pairs)}" if pairs else path


def _word(value: object) -> str:
    if isinstance(value, dict | bool):
        return json.dumps(value)
    return str(value)


class Wire:
    """One connection for one call after the other, of one thread; streams have connections of their own."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._connection: _Connection | None = None

    def send(self, method: str, path: str, body: object, timeout: float) -> Any:
        """Return the answer's JSON, None for an empty one. Raises Refused for an error."""
        content = None if body is None else json.dumps(body).encode()
        return document(f"{method} {_shown(path)}", self.raw(method, path, timeout, content))

    def raw(
        self,
        method: str,
        path: str,
        timeout: float,
        body: bytes | Iterable[bytes] | None = None,
        kind: str = "application/json",
    ) -> bytes:
        """Return the answer as it is. Raises Refused for an error."""
        call = f"{method} {_shown(path)}"
        try:
            with _sense(call):
                connection = self._open(time.monotonic() + timeout)
                answer = _ask(connection, method, path, body, {} if body is None else {"Content-Type": kind})
                content = _content(call, answer)
        except BaseException:
            # What is half read cannot be used again.
            self.close()
            raise
        return _result(call, answer.status, answer.reason, content)

    def stream(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, timeout: float = TIMEOUT
    ) -> Stream:
        """Return an answer as it comes, over a connection of its own; only its beginning has a time limit."""
        call = f"{method} {_shown(path)}"
        with _sense(call):
            connection = _Connection(self._endpoint, time.monotonic() + timeout)
        try:
            with _sense(call):
                answer = _ask(connection, method, path, None, headers or {})
                if answer.status != http.HTTPStatus.OK:
                    _no_stream(call, answer)
        except BaseException:
            connection.hang_up()
            raise
        return Stream(call, connection, answer)

    def close(self) -> None:
        """End the connection, also under another thread that waits for its answer."""
        connection, self._connection = self._connection, None
        if connection:
            connection.hang_up()

    def _open(self, deadline: float) -> _Connection:
        connection = self._connection
        if connection is not None and connection.is_dropped():
            self.close()
            connection = None
        if connection is None:
            connection = self._connection = _Connection(self._endpoint, deadline)
        connection.line.deadline = deadline
        return connection


def _no_stream(call: str, answer: http.client.HTTPResponse) -> NoReturn:
    _result(call, answer.status, answer.reason, _content(call, answer))
    raise Unusable(call, f"a status of {answer.status}")


class Stream:
    """An answer that has no end of its own. Closing it ends the reader as well."""

    def __init__(self, call: str, connection: _Connection, answer: http.client.HTTPResponse) -> None:
        self._call = call
        self._connection = connection
        self._answer = answer
        self.is_closed = False
        self.kind = answer.headers.get("Content-Type", "")
        connection.line.deadline = None

    def documents(self, shape: answers.Shape, patience: float | None = None) -> Iterator[dict[str, Any]]:
        """Yield one JSON object a line; `patience` are the seconds that each may take."""
        with self._reading():
            while True:
                self._wait_at_most(patience)
                line = self._answer.readline(LONGEST + 1)
                if not line:
                    return
                if len(line) > LONGEST:
                    raise Unusable(self._call, f"a line of more than {LONGEST // 2**20} MB")
                if line.strip():
                    yield fitting(self._call, shape, document(self._call, line))

    def pieces(self, patience: float | None = None) -> Iterator[bytes]:
        """Yield bytes as they come; `patience` are the seconds to wait for each megabyte, or for the end."""
        left, count = patience, 0
        with self._reading():
            while True:
                self._wait_at_most(left)
                begun = time.monotonic()
                piece = self._answer.read1(_PIECE)
                if not piece:
                    return
                # What the receiver of a piece does with it meanwhile takes as long as it takes.
                left = None if left is None else left - (time.monotonic() - begun)
                count += len(piece)
                if count > 2**20:
                    left, count = patience, 0
                yield piece

    def _wait_at_most(self, seconds: float | None) -> None:
        self._connection.line.deadline = None if seconds is None else time.monotonic() + seconds

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            with _sense(self._call):
                yield
        except Exception:
            # Closed under the reader, http.client fails in several ways.
            if not self.is_closed:
                raise

    def close(self) -> None:
        self.is_closed = True
        self._connection.hang_up()


class _Line:
    """A socket as http.client takes one, whose reads and writes all end at one deadline."""

    def __init__(self, endpoint: Endpoint, deadline: float | None) -> None:
        self.deadline = deadline
        self._tunnel: Tunnel | None = None
        self._socket = self._opened(endpoint)

    def _opened(self, endpoint: Endpoint) -> socket.socket:
        if endpoint.socket:
            return self._local(endpoint.socket)
        if endpoint.host.startswith("ssh://"):
            return self._dug(endpoint.host)
        parts = urlsplit(endpoint.host)
        made = socket.create_connection((parts.hostname, parts.port), self._left())
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if endpoint.tls is None:
            return made
        from scaffold.engine import tls

        try:
            return tls.context(endpoint.tls).wrap_socket(made, server_hostname=parts.hostname)
        except BaseException:
            made.close()
            raise

    def _local(self, path: str) -> socket.socket:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            while True:
                made.settimeout(self._left())
                try:
                    made.connect(path)
                except BlockingIOError:  # more callers wait than the engine has room for
                    time.sleep(0.05)
                    continue
                return made
        except BaseException:
            made.close()
            raise

    def _dug(self, host: str) -> socket.socket:
        from scaffold.engine.ssh import Tunnel

        ours, theirs = socket.socketpair()
        with theirs:
            self._tunnel = Tunnel(host, theirs)
        return ours

    def _left(self) -> float | None:
        if self.deadline is None:
            return None
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def arm(self) -> None:
        self._socket.settimeout(self._left())

    def sendall(self, data: bytes) -> None:
        self.arm()
        self._socket.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self, self._socket.makefile("rb", buffering=0)))

    def is_readable(self) -> bool:
        # Not select(): that fails from the 1024th open file on.
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return bool(poll.poll(0))

    def hang_up(self) -> None:
        """End it under whoever waits for it in another thread: closing alone would not wake that one."""
        with contextlib.suppress(OSError):
            # TLS would first say good-bye, and wait.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
        self.close()

    def close(self) -> None:
        self._socket.close()
        if self._tunnel:
            self._tunnel.close()

    def failure(self) -> EngineError | None:
        """Return what ssh says of its end, if it has come to one."""
        return self._tunnel.failure() if self._tunnel else None


class _Reader(io.RawIOBase):
    """What arrives on a line, until its deadline."""

    def __init__(self, line: _Line, raw: socket.SocketIO) -> None:
        self._line = line
        self._raw = raw

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._line.arm()
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Connection(http.client.HTTPConnection):
    line: _Line

    def __init__(self, endpoint: Endpoint, deadline: float) -> None:
        super().__init__("localhost" if endpoint.socket else urlsplit(endpoint.host).hostname or "localhost")
        self._endpoint = endpoint
        self.line = _Line(endpoint, deadline)
        self.sock: Any = self.line

    def connect(self) -> None:
        """Connect once more: http.client has closed the line after an answer that said so."""
        self.sock = self.line = _Line(self._endpoint, self.line.deadline)

    def is_dropped(self) -> bool:
        """Return whether the engine has closed it: nothing else makes an idle connection readable."""
        return self.sock is not None and self.line.is_readable()

    def hang_up(self) -> None:
        self.line.hang_up()
        self.close()


def _ask(
    connection: _Connection,
    method: str,
    path: str,
    body: bytes | Iterable[bytes] | None,
    headers: Mapping[str, str],
) -> http.client.HTTPResponse:
    try:
        connection.request(method, path, body, dict(headers))
        return connection.getresponse()
    except (OSError, http.client.HTTPException):
        failure = connection.line.failure()
        if failure:
            raise failure from None
        raise


@contextlib.contextmanager
def _sense(call: str) -> Iterator[None]:
    """Say what is wrong with an answer: it is no HTTP, or it did not come, or not to its end."""
    try:
        yield
    except EngineError:
        raise
    except (OSError, http.client.IncompleteRead) as error:
        raise Lost(error) from error
    except (http.client.HTTPException, ValueError, OverflowError) as error:
        said = str(error).strip().rstrip(".") or type(error).__name__
        raise Unusable(call, f"{said[:100]!r} is no HTTP") from error


def _content(call: str, answer: http.client.HTTPResponse) -> bytes:
    """Return the whole body. Raises Unusable for one that is too large, or has no clear length."""
    said = answer.headers.get_all("Content-Length") or []
    chunked = answer.headers.get("Transfer-Encoding")
    if len(set(said)) > 1 or (said and chunked) or any(not _is_length(item) for item in said):
        raise Unusable(call, "its length is not clear")
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        raise Unusable(call, "it is compressed, which was not asked for")
    if answer.length is not None and answer.length > LARGEST:
        raise Unusable(call, f"it is larger than {LARGEST // 2**20} MB")
    if answer.length is not None:
        return answer.read()
    pieces: list[bytes] = []
    size = 0
    while piece := answer.read(_PIECE):
        pieces.append(piece)
        size += len(piece)
        if size > LARGEST:
            raise Unusable(call, f"it is larger than {LARGEST // 2**20} MB")
    return b"".join(pieces)


def _is_length(text: str) -> bool:
    return whole(text, 18) is not None


def document(call: str, content: bytes) -> Any:
    """Return an answer's JSON, None for an empty one. Raises Unusable for what is no JSON."""
    if not content.strip():
        return None
    try:
        value = json.loads(content, parse_constant=_no_number)
        # Half a character can be written nowhere, and a NUL is no part of a path; both are rare.
        if b"\\ud" in content or b"\\uD" in content or b"\\u0000" in content:
            value = _printable(value)
    except RecursionError:
        raise Unusable(call, "it is nested too deeply") from None
    except ValueError as error:
        begin = content[:60].decode(errors="replace")
        raise Unusable(call, f"it is no JSON, but begins with {begin!r}") from error
    return value


def fitting(call: str, shape: answers.Shape | None, answer: Any) -> Any:
    """Return an answer that has a shape. Raises Unusable for one that has not."""
    try:
        if shape:
            answers.fit(answer, shape, "")
    except answers.WrongShape as error:
        raise Unusable(call, str(error)) from error
    return answer


def unframed(call: str, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield what a container printed: without a terminal each part has a head of 8 bytes."""
    head = b""
    left = 0
    for piece in pieces:
        rest = piece
        while rest:
            if left:
                yield rest[:left]
                left, rest = max(0, left - len(rest)), rest[left:]
                continue
            missing = 8 - len(head)
            head, rest = head + rest[:missing], rest[missing:]
            if len(head) == 8:
                if head[0] > 3 or head[1:4] != b"\0\0\0":
                    raise Unusable(call, f"{head!r} begins no part of a container's output")
                left, head = int.from_bytes(head[4:], "big"), b""


def _no_number(text: str) -> object:
    raise ValueError(f"{text} is no number")


def _printable(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", "\ufffd")
    if isinstance(value, list):
        return [_printable(item) for item in value]
    if isinstance(value, dict):
        return {_printable(key): _printable(item) for key, item in value.items()}
    return value


def _result(call: str, status: int, reason: str, content: bytes) -> bytes:
    if 200 <= status < 300 or status == http.HTTPStatus.NOT_MODIFIED:
        return content
    if status < 400:
        raise Unusable(call, f"a status of {status}")
    try:
        said = json.loads(content)["message"]
        explanation = said if isinstance(said, str) else ""
    except (ValueError, KeyError, TypeError, RecursionError):
        explanation = ""
    text = content[:300].decode(errors="replace")
    raise Refused(status, explanation.strip() or text.strip() or reason or f"status {status}")


def _shown(path: str) -> str:
    """Return a call's path for messages: without the version and the query."""
    bare = unquote(path.partition("?")[0])
    text = "/" + bare.split("/", 2)[2] if bare.startswith("/v1.") else bare
    return text if text.isprintable() else ascii(text)
