"""A server that speaks for an engine on a real socket, and lies from a chosen call on."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.lying import honest
from tests.lying.lies import Lie, plainly


@dataclass
class Liar:
    """Answers as `honest` does, and with the lie where `about` matches `METHOD /path`."""

    path: Path
    folder: Path
    lie: Lie | None = None
    about: str = r".* /(?!version\b)"
    calls: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._over = threading.Event()
        self.lied = threading.Event()
        self._listener = socket.socket(socket.AF_UNIX)

    @property
    def host(self) -> str:
        return f"unix://{self.path}"

    def start(self) -> None:
        self._listener.bind(str(self.path))
        self._listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def end(self) -> None:
        self._over.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.path.unlink(missing_ok=True)

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        with peer, contextlib.suppress(OSError, ValueError), peer.makefile("rb") as asked:
            while line := asked.readline():
                method, target, _ = line.decode("latin-1").split(" ", 2)
                length, chunked = 0, False
                while head := asked.readline().strip().lower():
                    if head.startswith(b"content-length:"):
                        length = int(head.split(b":")[1])
                    chunked = chunked or head == b"transfer-encoding: chunked"
                asked.read(length)
                while chunked and (size := int(asked.readline(), 16)) >= 0:
                    asked.read(size + 2)
                    if size == 0:
                        break
                if not self._tell(peer, method, target):
                    return

    def _tell(self, peer: socket.socket, method: str, target: str) -> bool:
        """Answer one call; return whether the connection goes on."""
        path = re.sub(r"^/v[\d.]+/", "/", target)
        self.calls.append(f"{method} {path}")
        truth = honest.answer(method, target, str(self.folder))
        if self.lie is None or not re.match(self.about, f"{method} {path}"):
            peer.sendall(plainly(truth))
            return True
        self.lied.set()
        for part in self.lie.tell(truth):
            if isinstance(part, bytes):
                peer.sendall(part)
            elif self._over.wait(part):
                return False
        return self.lie.goes_on


@contextlib.contextmanager
def lying(folder: Path, lie: Lie | None, about: str | None = None) -> Iterator[Liar]:
    """Yield a running liar whose socket is in `folder`, for the project there."""
    liar = Liar(folder / "engine.sock", folder, lie)
    if about is not None:
        liar.about = about
    liar.start()
    try:
        yield liar
    finally:
        liar.end()
