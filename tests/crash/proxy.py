"""A socket between a program and the engine that cuts the program off at one chosen API call."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

CHUNK = 65536


class Cut(StrEnum):
    """When the program loses the engine."""

    BEFORE = "before"
    """The call does not reach the engine."""
    UNANSWERED = "unanswered"
    """The engine has the call, the program never learns what became of it."""


@dataclass
class Proxy:
    """Passes everything on, upgrades and streams included; at call `at` (from 1) everything ends."""

    path: Path
    upstream: str
    at: int = 0
    cut: Cut = Cut.BEFORE
    calls: list[str] = field(default_factory=list)
    """Method and path of every call, in the order in which they came."""

    def __post_init__(self) -> None:
        self._guard = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._listener = socket.socket(socket.AF_UNIX)
        self._over = False
        self._mute = threading.Event()

    @property
    def host(self) -> str:
        """Return the value for DOCKER_HOST."""
        return f"unix://{self.path}"

    def start(self) -> None:
        self._listener.bind(str(self.path))
        self._listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def end(self) -> None:
        """Close every connection, and refuse new ones."""
        with self._guard:
            self._over = True
            held = [*self._sockets, self._listener]
            self._sockets.clear()
        for item in held:
            with contextlib.suppress(OSError):
                item.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.path.unlink(missing_ok=True)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        engine = socket.socket(socket.AF_UNIX)
        with client, engine:
            with self._guard:
                if self._over:
                    return
                self._sockets |= {client, engine}
            with contextlib.suppress(OSError, EOFError):
                engine.connect(self.upstream)
                threading.Thread(target=self._answers, args=(engine, client), daemon=True).start()
                self._requests(client, engine)
            with self._guard:
                self._sockets -= {client, engine}

    def _answers(self, engine: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := engine.recv(CHUNK):
                if self._mute.is_set():
                    return
                client.sendall(data)
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_WR)

    def _requests(self, client: socket.socket, engine: socket.socket) -> None:
        """Pass requests on one by one; a client sends the next one once it has the answer."""
        rest = b""
        while True:
            while b"\r\n\r\n" not in rest:
                more = client.recv(CHUNK)
                if not more:
                    return
                rest += more
            head, _, rest = rest.partition(b"\r\n\r\n")
            lines = head.decode("latin-1").split("\r\n")
            headers = {
                name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])
            }
            with self._guard:
                self.calls.append(" ".join(lines[0].split(" ")[:2]))
                last = len(self.calls) == self.at
            if last and self.cut is Cut.BEFORE:
                self.end()
                return
            if last:
                self._mute.set()
            engine.sendall(head + b"\r\n\r\n")
            if "upgrade" in headers:
                if last:
                    self.end()
                    return
                engine.sendall(rest)
                _pump(client, engine)
                return
            if headers.get("transfer-encoding") == "chunked":
                rest = _pass_chunks(client, engine, rest)
            else:
                rest = _pass(client, engine, rest, int(headers.get("content-length", "0")))
            if last:
                self.end()
                return


def _pass(source: socket.socket, target: socket.socket, rest: bytes, length: int) -> bytes:
    """Pass `length` bytes on, those of `rest` first; return what lies behind them."""
    while len(rest) < length:
        target.sendall(rest)
        length -= len(rest)
        rest = source.recv(min(CHUNK, length))
        if not rest:
            raise EOFError
    target.sendall(rest[:length])
    return rest[length:]


def _pass_chunks(source: socket.socket, target: socket.socket, rest: bytes) -> bytes:
    while True:
        while b"\r\n" not in rest:
            more = source.recv(CHUNK)
            if not more:
                raise EOFError
            rest += more
        size, _, rest = rest.partition(b"\r\n")
        target.sendall(size + b"\r\n")
        rest = _pass(source, target, rest, int(size.split(b";")[0], 16) + 2)
        if int(size.split(b";")[0], 16) == 0:
            return rest


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(CHUNK):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def proxied(path: Path, upstream: str, at: int = 0, cut: Cut = Cut.BEFORE) -> Iterator[Proxy]:
    proxy = Proxy(path, upstream, at, cut)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.end()
