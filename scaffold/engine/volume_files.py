"""Read, copy and compare what is in a volume through containers that never run.

The engine reads and writes the files of a container that was only created, so none of its image's programs
is needed, and nothing happens to the data but what is asked for.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import tarfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import IO

from scaffold.engine.client import Engine, engine_errors
from scaffold.engine.wire import TIMEOUT, Refused
from scaffold.errors import EngineError

LARGEST = 1 << 30
"""Bytes: what a first start leaves is a twentieth of it; more than that somebody has put there."""
ROOT = "."
"""The path that is listed, in its own listing."""
PATIENCE = 600.0
"""Seconds for a copy."""
SMALL = 65536
"""Bytes of a file that is read for what stands in it."""
_BLOCK = 1 << 20
_END = 1024
"""Zeros that an archive ends with."""


@dataclass(frozen=True)
class Entry:
    """One file, folder or link; two that are equal hold the same, and belong to the same."""

    kind: bytes
    mode: int
    owner: tuple[int, int]
    size: int
    link: str
    digest: str


@dataclass(frozen=True)
class Listing:
    """What is at and below a path, by its path from there on; folders included."""

    entries: dict[str, Entry] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    """What stands in the small files that were asked for."""

    @property
    def sizes(self) -> dict[str, int]:
        """Return the bytes of everything that is no folder."""
        return {path: item.size for path, item in self.entries.items() if item.kind != tarfile.DIRTYPE}

    @property
    def top(self) -> tuple[str, ...]:
        return tuple(sorted({path.split("/")[0] for path in self.entries} - {ROOT}))


def listing(engine: Engine, container: str, path: str, wanted: Collection[str] = ()) -> Listing:
    """Return everything below a path in a container; nothing where there is no such path.

    Raises EngineError where it cannot all be read, and where it is more than a first start leaves.
    """
    found = Listing()
    for member, body in _members(engine, container, path):
        name = _name(member) or ROOT
        if member.islnk():  # two names of one file; the archive has its content once
            raise EngineError(f"{path}/{name} is a hard link")
        digest = hashlib.sha256()
        if body:
            content = body.read(SMALL)
            if name in wanted:
                found.files[name] = content
            while content:
                digest.update(content)
                content = body.read(_BLOCK)
        found.entries[name] = Entry(
            member.type,
            member.mode,
            (member.uid, member.gid),
            member.size,
            member.linkname,
            digest.hexdigest(),
        )
    return found


def owner(engine: Engine, container: str, path: str) -> str:
    """Return whose a folder of a container is, as `uid:gid`."""
    for member, _ in _members(engine, container, path):
        return f"{member.uid}:{member.gid}"
    raise EngineError(f"{path} is not there")


def has_files(engine: Engine, container: str, path: str) -> bool:
    """Return whether there is anything in a folder of a container."""
    return any(_name(member) for member, _ in _members(engine, container, path))


def copy(engine: Engine, source: tuple[str, str], target: tuple[str, str]) -> None:
    """Copy what is below a path of one container to a path of another, with owners, modes and times."""
    with _read(engine, *source) as content, engine_errors(f"copying to {target[1]}"):
        engine.unpack_into(*target, content, PATIENCE)


def _name(member: tarfile.TarInfo) -> str:
    """Return the path from the folder that was asked for on; empty for that folder itself."""
    name = member.name.removeprefix("./").strip("/")
    return "" if name == "." else name


def _members(engine: Engine, container: str, path: str) -> Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]:
    """Yield what an archive has; nothing where there is no such path.

    tarfile takes what is no header for the end, and the engine begins with the folder itself, also an empty
    one: less than that is no answer.
    """
    with _read(engine, container, path) as content:
        if not content.there:
            return
        file = _File(content)
        count = 0
        try:
            with tarfile.open(fileobj=file, mode="r|") as archive:
                for member in archive:
                    count += 1
                    yield member, archive.extractfile(member) if member.isreg() else None
        except tarfile.ReadError as error:
            raise EngineError(f"{path} cannot be read whole") from error
        while file.read(_BLOCK):
            pass
        if not count or not content.is_whole:
            raise EngineError(f"{path} cannot be read whole")


class _Bytes:
    """The bytes of an archive as they come, and no more of them than is sensible."""

    def __init__(self, pieces: Iterator[bytes], *, there: bool = True) -> None:
        self._pieces = pieces
        self._count = 0
        self._end = b""
        self.there = there

    @property
    def is_whole(self) -> bool:
        """Return whether all of an archive has come: it ends in zeros, and not in the engine's excuse."""
        return self._end == bytes(_END)

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self._count += len(piece)
            self._end = (self._end + piece[-_END:])[-_END:]
            if self._count > LARGEST:
                raise EngineError("it holds more than a first start leaves")
            yield piece


@contextlib.contextmanager
def _read(engine: Engine, container: str, path: str) -> Iterator[_Bytes]:
    """Yield the archive of what is below a path; an empty one where there is no such path."""
    try:
        stream = engine.stream("GET", f"/containers/{container}/archive", {"path": f"{path.rstrip('/')}/."})
    except Refused as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
        yield _Bytes(iter(()), there=False)
        return
    with contextlib.closing(stream), engine_errors(f"reading {path}"):
        yield _Bytes(stream.pieces(TIMEOUT))


class _File(io.RawIOBase):
    """A file that tarfile can read from front to back."""

    def __init__(self, chunks: _Bytes) -> None:
        self._chunks = iter(chunks)
        self._rest = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while len(self._rest) < size:
            chunk = next(self._chunks, b"")
            if not chunk:
                break
            self._rest += chunk
        found, self._rest = self._rest[:size], self._rest[size:]
        return found
