"""Read what is left of a container, or going on inside it: files, and where it listens."""

from __future__ import annotations

import contextlib
import io
import ipaddress
import sys
import tarfile
from pathlib import Path

from scaffold.engine.client import Engine
from scaffold.engine.wire import TIMEOUT
from scaffold.errors import EngineError

BEGIN = 256
"""Bytes of a program's file: enough for its first line."""
_ENOUGH = 2**16
"""Bytes of an archive in which that is."""
_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
_LISTEN = "0A"


def begin_of(engine: Engine, container: str, path: str) -> bytes | None:
    """Return how a file of a container begins, also of one that has ended; None when there is none."""
    try:
        begin = engine.beginning(container, path, _ENOUGH, TIMEOUT) or b""
        with tarfile.open(fileobj=io.BytesIO(begin)) as archive:
            entry = archive.next()
            file = archive.extractfile(entry) if entry and entry.isfile() else None
            return file.read(BEGIN) if file else b""
    except (EngineError, tarfile.TarError, OSError, EOFError):
        return None


def listening(engine: Engine, container: str, pid: object) -> tuple[tuple[str, int], ...] | None:
    """Return where the container listens, from its own tables; None when they cannot be read."""
    try:
        text = engine.printed(container, ["cat", *_TABLES]).decode(errors="replace")
    except EngineError:
        text = ""
    if "local_address" not in text:
        # An image without `cat`; of one's own processes the host shows the same.
        with contextlib.suppress(OSError):
            text = "".join(Path(f"/proc/{pid}/net/{name}").read_text() for name in ("tcp", "tcp6"))
    return parsed(text) if "local_address" in text else None


def parsed(tables: str) -> tuple[tuple[str, int], ...]:
    """Return addresses and ports of /proc/net/tcp and tcp6 in state LISTEN; not Docker's own name server."""
    found = set()
    for line in tables.splitlines():
        fields = line.split()
        if len(fields) < 4 or fields[3] != _LISTEN:
            continue
        address, _, port = fields[1].partition(":")
        shown = _address(address)
        if shown != "127.0.0.11":
            found.add((shown, int(port, 16)))
    return tuple(sorted(found))


def _address(text: str) -> str:
    """Return an address that the kernel prints in words of the machine's own byte order."""
    words = [bytes.fromhex(text[place : place + 8]) for place in range(0, len(text), 8)]
    raw = b"".join(word[::-1] if sys.byteorder == "little" else word for word in words)
    address = ipaddress.ip_address(raw)
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)
