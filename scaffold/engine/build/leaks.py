"""Search what a build is sent, says and makes for the secrets of the project. Changes nothing.

The context, the output, the history and the configuration are looked at in every build, the layers when
something could have put a secret there that is in none of these. Nothing is written to disk.
"""

from __future__ import annotations

import bisect
import bz2
import contextlib
import hashlib
import io
import lzma
import queue
import threading
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from scaffold import files
from scaffold.dockercli.buildx import is_local
from scaffold.engine.build import context
from scaffold.engine.client import Engine
from scaffold.engine.wire import Refused
from scaffold.stack import environment
from scaffold.stack.desired import Build
from scaffold.stack.leaks import Finding, Needle, is_sent, needles
from scaffold.stack.secrets import Known

if TYPE_CHECKING:
    from ahocorasick_rs import BytesAhoCorasick

CHUNK = 1 << 20
_UNPACKED = 64 << 20
"""Bytes of one packed file that are looked at: what grows without end is no secret."""
_SLOW = 8 << 20
"""Bytes that are searched before it pays to make the search faster."""
_LARGE = 64 << 10
"""Bytes of all patterns from which on a faster search costs more than it saves."""
_BLOCK = 512
"""Of a tar archive."""
_MAGIC_LENGTH = 262
"""Bytes of a file that say what it is."""
_DEEPEST = 3
"""Packed files in packed files that are looked into."""
_PACK_HEADER = 12
"""Bytes before the first object of a pack of git."""


class Searcher:
    """Looks for all needles at once, in one pass over the bytes."""

    def __init__(self, found: Collection[Needle]) -> None:
        self.needles = tuple(found)
        self.overlap = max((len(needle.pattern) for needle in self.needles), default=1) - 1
        self._patterns = [needle.pattern for needle in self.needles]
        self._automaton = _automaton(self._patterns, fast=False)
        self._left = _SLOW if sum(map(len, self._patterns)) <= _LARGE else -1
        """Bytes until the search is made faster; below zero it is, or cannot be."""

    def __bool__(self) -> bool:
        return bool(self.needles)

    @property
    def key(self) -> str:
        """Return a digest of what is looked for, for remembering what was looked at."""
        total = hashlib.sha256()
        for needle in self.needles:
            total.update(hashlib.sha256(needle.pattern).digest())
        return total.hexdigest()[:16]

    def find(self, data: bytes) -> Iterator[tuple[int, Needle]]:
        """Yield where needles begin in the bytes, the first of each place."""
        if self._left >= 0:
            self._left -= len(data)
            if self._left < 0:
                self._automaton = _automaton(self._patterns, fast=True)
        for index, start, _ in self._automaton.find_matches_as_indexes(data):
            yield start, self.needles[index]

    def in_text(self, text: str) -> set[Needle]:
        return {needle for _, needle in self.find(text.encode(errors="surrogateescape"))}


def _automaton(patterns: list[bytes], *, fast: bool) -> BytesAhoCorasick:
    """Return what finds the patterns: made in a moment, or in more time and three times as fast in use."""
    from ahocorasick_rs import BytesAhoCorasick, Implementation

    kind = Implementation.DFA if fast else Implementation.ContiguousNFA
    return BytesAhoCorasick(patterns, implementation=kind)


def searcher(known: Iterable[Known], home: str, allowed: Collection[str]) -> Searcher:
    """Return what looks for the secrets of a project in the folder `home`."""
    try:
        example = environment.parse(files.text(Path(home) / ".env.example"))
    except (OSError, UnicodeDecodeError):
        example = {}
    return Searcher(needles(known, frozenset(example.values()), allowed))


# --- the context


def in_context(build: Build, search: Searcher) -> Iterator[Finding]:
    """Yield the secrets in files that the build is sent; what has not changed since is not read again."""
    roots = {"": build.context} | {name: source for name, source in build.contexts if is_local(source)}
    for name, root in roots.items():
        if not is_local(root):
            continue
        prefix = f"{name}:" if name else ""
        others = [f"{other}:" for other in roots if other and not name]
        sent = {
            path.removeprefix(prefix): digest
            for path, digest in build.files.items()
            if path.startswith(prefix) and not any(map(path.startswith, others))
        }
        yield from _in_folder(root, {p: d for p, d in sent.items() if is_sent(build, name, p)}, search)


def _in_folder(root: str, files: Mapping[str, str], search: Searcher) -> Iterator[Finding]:
    memory = context.Searched(root, search.key)
    clean: dict[str, str] = {}
    for path, digest in files.items():
        if memory.files.get(path) == digest:
            clean[path] = digest
            continue
        found = {(needle.name, needle.form) for needle in search.in_text(path)}
        if not digest.startswith(("link-", "special-")):
            found |= _in_file(f"{root}/{path}", search)
        yield from (Finding(name, path, form) for name, form in found)
        if not found:
            clean[path] = digest
    memory.keep(clean)


def _in_file(path: str, search: Searcher) -> set[tuple[str, str]]:
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - ten thousand times
            looking = _Looking(search)
            while chunk := file.read(CHUNK):
                looking.feed(chunk)
            return looking.end()
    except OSError:
        return set()


class _Looking:
    """Looks into the bytes of one file as they come, and into what is packed in it."""

    def __init__(self, search: Searcher, depth: int = 0) -> None:
        self.found: set[tuple[str, str]] = set()
        self._search = search
        self._tail = b""
        self._packed = _Packed(search, depth)

    def feed(self, chunk: bytes) -> None:
        data = self._tail + chunk
        self.found |= {(needle.name, needle.form) for _, needle in self._search.find(data)}
        self._tail = data[-self._search.overlap :] if self._search.overlap else b""
        self._packed.feed(chunk)

    def end(self) -> set[tuple[str, str]]:
        self.found |= {(name, form) for name, form in self._packed.end() if (name, "") not in self.found}
        return self.found


class _Packed:
    """Looks into a file when it is one that packs others."""

    def __init__(self, search: Searcher, depth: int = 0) -> None:
        self._search = search
        self._depth = depth
        self._head = b""
        self._begun = False
        self._inside: _Inside | None = None

    def feed(self, chunk: bytes) -> None:
        if not self._begun:
            self._head += chunk
            if len(self._head) >= _MAGIC_LENGTH:
                self._begin()
        elif self._inside:
            self._inside.feed(chunk)

    def _begin(self) -> None:
        self._begun = True
        self._inside = _inside(self._head, self._search, self._depth)
        if self._inside:
            self._inside.feed(self._head)
        self._head = b""

    def end(self) -> set[tuple[str, str]]:
        if not self._begun:
            self._begin()
        return {(name, form or "packed") for name, form in self._inside.end()} if self._inside else set()


class _Decompressor(Protocol):
    def decompress(self, data: bytes, /) -> bytes: ...
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...


class _Inside(Protocol):
    """What looks into a packed file."""

    def feed(self, chunk: bytes, /) -> None: ...
    def end(self) -> set[tuple[str, str]]: ...


_MAGIC: tuple[tuple[bytes, Callable[[], _Decompressor]], ...] = (
    (b"\x1f\x8b\x08", lambda: zlib.decompressobj(31)),
    (b"BZh", bz2.BZ2Decompressor),
    (b"\xfd7zXZ\x00", lzma.LZMADecompressor),
    # Objects of git.
    (b"x\x01", lambda: zlib.decompressobj(15)),
    (b"x\x9c", lambda: zlib.decompressobj(15)),
)
_BROKEN = (zlib.error, OSError, EOFError, lzma.LZMAError)


def _inside(begin: bytes, search: Searcher, depth: int) -> _Inside | None:
    """Return what looks into a file that begins with these bytes; nothing when it packs no others."""
    if depth > _DEEPEST:
        return None
    if begin.startswith(b"PK\x03\x04"):
        return _Zip(search, depth)
    if begin.startswith(b"PACK\0\0\0"):
        return _GitPack(search, depth)
    if begin[257:262] == b"ustar":
        return _Members(search, depth)
    make = next((make for magic, make in _MAGIC if begin.startswith(magic)), None)
    return _Unpacked(make, search, depth) if make else None


class _Unpacked:
    """Looks into a packed stream, and into those that follow it: logs are packed one by one."""

    def __init__(self, make: Callable[[], _Decompressor], search: Searcher, depth: int) -> None:
        self._inner = _Looking(search, depth + 1)
        self._make = make
        self._stream: _Decompressor | None = make()
        self._left = _UNPACKED

    def feed(self, chunk: bytes) -> None:
        for start in range(0, len(chunk), 1 << 16):
            waiting = chunk[start : start + (1 << 16)]
            while waiting and self._stream is not None:
                try:
                    made = self._stream.decompress(waiting)
                except _BROKEN:
                    self._stream = None
                    return
                if made:
                    self._inner.feed(made)
                self._left -= len(made)
                waiting = self._stream.unused_data if self._stream.eof else b""
                if self._left <= 0:
                    self._stream = None
                elif self._stream.eof:
                    self._stream = self._make()

    def end(self) -> set[tuple[str, str]]:
        return self._inner.end()


class _Zip:
    """Looks into the members of a zip archive: what says where they are stands at its end."""

    def __init__(self, search: Searcher, depth: int) -> None:
        self._search = search
        self._depth = depth
        self._data = bytearray()

    def feed(self, chunk: bytes) -> None:
        if len(self._data) < _UNPACKED:
            self._data += chunk

    def end(self) -> set[tuple[str, str]]:
        return _in_zip(bytes(self._data), self._search, self._depth + 1)


class _Members:
    """Looks into the packed members of a tar archive; the others are looked at with the archive itself."""

    def __init__(self, search: Searcher, depth: int) -> None:
        self._search = search
        self._depth = depth
        self._found: set[tuple[str, str]] = set()
        self._archive = _Archive(self._begin)

    def _begin(self, _name: str, _start: int) -> _Member:
        return _PackedMember(_Packed(self._search, self._depth + 1), self._found.update)

    def feed(self, chunk: bytes) -> None:
        self._archive.feed(chunk)

    def end(self) -> set[tuple[str, str]]:
        self._archive.end()
        return self._found


class _PackedMember:
    """One file of an archive, which is looked into once more when it is packed."""

    def __init__(self, packed: _Packed, take: Callable[[set[tuple[str, str]]], object]) -> None:
        self._packed = packed
        self._take = take
        self.feed = packed.feed

    def end(self) -> None:
        if found := self._packed.end():
            self._take(found)


class _GitPack:
    """Looks into the objects of a pack of git: each is some bytes about it, and a zlib stream."""

    _ABOUT = 48
    """Bytes that say all that there is to say about an object."""
    _STEP = 1 << 14

    def __init__(self, search: Searcher, depth: int) -> None:
        self._inner = _Looking(search, depth + 1)
        self._inner.feed(b"\0")  # many objects as one file, which is none of the packed ones
        self._data = b""
        self._place = _PACK_HEADER
        self._stream: Any = None
        self._made: list[bytes] = []
        self._size = 0
        self._left = _UNPACKED

    def feed(self, chunk: bytes, *, last: bool = False) -> None:
        if self._left <= 0:
            return
        self._data += chunk
        length = len(self._data)
        while self._left > 0 and self._place < length:
            if self._stream is None:
                if length - self._place < self._ABOUT and not last:
                    break
                self._place += _about(self._data[self._place : self._place + self._ABOUT])
                self._stream = zlib.decompressobj()
            step = self._data[self._place : self._place + self._STEP]
            try:
                made = self._stream.decompress(step)
            except zlib.error:
                self._left = 0  # the digest at the end, or no pack
                break
            self._place += len(step) - len(self._stream.unused_data)
            self._made.append(made)
            self._size += len(made)
            self._left -= len(made)
            if self._stream.eof:
                self._stream = None
            if self._size >= CHUNK:
                self._pass_on()
        self._data, self._place = self._data[self._place :], 0

    def _pass_on(self) -> None:
        self._inner.feed(b"".join(self._made))
        self._made, self._size = [], 0

    def end(self) -> set[tuple[str, str]]:
        self.feed(b"", last=True)
        self._pass_on()
        return self._inner.end()


def _about(data: bytes) -> int:
    """Return the length of what stands before an object: its kind, its size, and what it is a change of."""
    place = next((at for at, byte in enumerate(data) if byte < 128), 0) + 1
    match data[0] >> 4 & 7:
        case 6:  # at a distance in the pack
            place += next((at for at, byte in enumerate(data[place:]) if byte < 128), 0) + 1
        case 7:  # with a digest
            place += 20
        case _:
            pass
    return place


def _in_zip(data: bytes, search: Searcher, depth: int) -> set[tuple[str, str]]:
    import zipfile

    found: set[tuple[str, str]] = set()
    left = _UNPACKED
    broken = (zipfile.BadZipFile, RuntimeError, NotImplementedError, OSError, zlib.error, ValueError)
    with contextlib.suppress(*broken), zipfile.ZipFile(io.BytesIO(data)) as archive:
        for item in archive.infolist():
            with archive.open(item) as file:
                looking = _Looking(search, depth)
                while left > 0 and (chunk := file.read(CHUNK)):
                    left -= len(chunk)
                    looking.feed(chunk)
                found |= looking.end()
    return found


# --- the image


def in_configuration(engine: Engine, image: str, search: Searcher) -> set[Finding]:
    """Return the secrets in the environment, the labels, the commands and the history of an image."""
    reference = quote(image)
    config = engine.get(f"/images/{reference}/json")
    history = engine.get(f"/images/{reference}/history")
    found: set[Finding] = set()
    for place, value in (*dict(config.get("Config") or {}).items(), ("history", history)):
        where = _PLACES.get(str(place), str(place))
        for text in _texts(value):
            found |= {Finding(needle.name, where, needle.form) for needle in search.in_text(text)}
    for key in ("Comment", "Author"):
        found |= {Finding(needle.name, key.lower()) for needle in search.in_text(str(config.get(key) or ""))}
    return found


_PLACES = {"Env": "its environment", "Labels": "its labels", "history": "its history", "Cmd": "its command"}


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            # Words are looked for together with their names.
            yield from (f"{key}={text}" for text in _texts(item))
            yield str(key)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def base_layers(engine: Engine, build: Build) -> frozenset[str]:
    """Return the layers of the images that a build stands on, as far as the engine has these."""
    found: set[str] = set()
    for reference in context.bases(build):
        with contextlib.suppress(Refused):
            document = engine.get(f"/images/{quote(reference)}/json")
            layers = (document.get("RootFS") or {}).get("Layers") or ()
            found |= {layer.removeprefix("sha256:") for layer in layers}
    return frozenset(found)


def in_layers(chunks: Iterable[bytes], search: Searcher, left_out: Collection[str] = ()) -> set[Finding]:
    """Return the secrets in the files of an image, those of deleted files too; `chunks` are its archive."""
    image = _Image(search, left_out)
    archive = _Archive(image.begin)
    for chunk in _ahead(_gathered(chunks)):
        archive.feed(chunk)
    archive.end()
    return image.found


def _ahead(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same while the next ones are read already: the engine is not kept waiting by the search."""
    waiting: queue.Queue[bytes | BaseException | None] = queue.Queue(16)
    gone = threading.Event()

    def put(item: bytes | BaseException | None) -> None:
        while not gone.is_set():
            with contextlib.suppress(queue.Full):
                waiting.put(item, timeout=0.1)
                return

    def read() -> None:
        try:
            for chunk in chunks:
                put(chunk)
                if gone.is_set():
                    return
            put(None)
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits
            put(error)

    threading.Thread(target=read, name="image", daemon=True).start()
    try:
        while (item := waiting.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        gone.set()


def _gathered(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same bytes in larger pieces: each costs a call to the search."""
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= CHUNK:
            yield b"".join(waiting)
            waiting, size = [], 0
    yield b"".join(waiting)


class _Member(Protocol):
    """What takes the content of one file of an archive."""

    def feed(self, chunk: bytes, /) -> None: ...
    def end(self) -> object: ...


class _Archive:
    """Cuts a tar archive into its files as it comes: 512 bytes that say the size, then the content."""

    def __init__(self, begin: Callable[[str, int], _Member | None]) -> None:
        self._begin = begin
        self._before = 0
        """Bytes of the chunks before this one."""
        self._header = b""
        self._left = 0
        self._padding = 0
        self._member: _Member | None = None
        self._long: bytearray | None = None
        self._name = ""

    def feed(self, chunk: bytes) -> None:
        place, length = 0, len(chunk)
        while place < length:
            if self._left:
                stop = min(length, place + self._left)
                self._left -= stop - place
                if self._long is not None:
                    self._long += chunk[place:stop]
                elif self._member is not None:
                    self._member.feed(chunk if stop - place == length else chunk[place:stop])
                place = stop
                if not self._left:
                    self._finish()
            elif self._padding:
                skipped = min(self._padding, length - place)
                self._padding -= skipped
                place += skipped
            else:
                stop = min(length, place + _BLOCK - len(self._header))
                self._header += chunk[place:stop]
                place = stop
                if len(self._header) == _BLOCK:
                    self._open(self._header, self._before + place - _BLOCK)
                    self._header = b""
        self._before += length

    def end(self) -> None:
        if self._left:
            self._finish()

    def _finish(self) -> None:
        if self._long is not None:
            self._name = _long_name(bytes(self._long)) or self._name
            self._long = None
        elif self._member is not None:
            self._member.end()
            self._member = None

    def _open(self, header: bytes, start: int) -> None:
        if not header.rstrip(b"\0"):
            return
        size = _size(header[124:136])
        kind = header[156:157]
        self._left, self._padding = size, -size % _BLOCK
        if kind in (b"L", b"x"):
            self._long = bytearray()
            return
        name, self._name = self._name, ""
        if not name:
            fields = (header[345:500], header[:100])
            before, own = (part.split(b"\0", 1)[0].decode(errors="replace") for part in fields)
            # GNU's own format has times where the other one has the folders.
            name = f"{before}/{own}" if before and header[257:263] == b"ustar\0" else own
        self._member = self._begin(name, start)
        if self._member is not None and not size:
            self._member.end()
            self._member = None


def _size(field: bytes) -> int:
    if field[:1] == b"\x80":
        return int.from_bytes(field[1:], "big")
    try:
        return int(field.strip(b"\0 ") or b"0", 8)
    except ValueError:
        return 0


def _long_name(data: bytes) -> str:
    """Return the name from a GNU or a pax header; nothing when it says something else."""
    if not data[:1].isdigit() or b" " not in data[:12]:
        return data.rstrip(b"\0").decode(errors="replace")
    while data:
        length, _, rest = data.partition(b" ")
        if not length.isdigit() or len(length) > 9:
            break
        key, _, value = rest[: int(length) - len(length) - 1].rstrip(b"\n").partition(b"=")
        if key == b"path":
            return value.decode(errors="replace")
        data = data[int(length) :]
    return ""


class _Image:
    """The archive of an image: its layers, and what describes them."""

    def __init__(self, search: Searcher, left_out: Collection[str]) -> None:
        self._search = search
        self._left_out = frozenset(left_out)
        self.found: set[Finding] = set()

    def begin(self, name: str, _start: int) -> _Member | None:
        if name.rpartition("/")[2] in self._left_out:
            return None
        return _Blob(self)

    def files(self) -> _Layer:
        return _Layer(self._search, self.found)


class _Blob:
    """One member of the archive: a layer, packed or not, or a document."""

    def __init__(self, image: _Image) -> None:
        self._begun = False
        self._packed: Any = None
        self._layer = image.files()
        self._left = True

    def feed(self, chunk: bytes) -> None:
        if not self._begun:
            self._begun = True
            self._packed = zlib.decompressobj(31) if chunk[:2] == b"\x1f\x8b" else None
            if self._packed is None and chunk[257:262] != b"ustar" and chunk[:1] in b"{[":
                self._left = False  # a document: it has been looked at
        if not self._left:
            return
        if self._packed is None:
            self._layer.feed(chunk)
            return
        try:
            self._layer.feed(self._packed.decompress(chunk))
        except zlib.error:
            self._left = False

    def end(self) -> None:
        self._layer.end()


class _Layer:
    """The files of one layer: searched as they come, and each that is packed once more inside."""

    def __init__(self, search: Searcher, found: set[Finding]) -> None:
        self._search = search
        self._found = found
        self._archive = _Archive(self._begin)
        self._tail = b""
        self._place = 0
        self._starts: list[int] = []
        self._names: list[str] = []
        self._hits: list[tuple[int, Needle]] = []

    def feed(self, chunk: bytes) -> None:
        data = self._tail + chunk
        base = self._place - len(self._tail)
        self._hits += [(base + start, needle) for start, needle in self._search.find(data)]
        self._tail = data[-self._search.overlap :] if self._search.overlap else b""
        self._archive.feed(chunk)
        self._place += len(chunk)

    def end(self) -> None:
        self._archive.end()
        for place, needle in self._hits:
            at = bisect.bisect_right(self._starts, place) - 1
            name = self._names[at] if at >= 0 else "?"
            self._found.add(Finding(needle.name, f"/{name.lstrip('./')}", needle.form))

    def _begin(self, name: str, start: int) -> _Member:
        self._starts.append(start)
        self._names.append(name)

        def take(found: set[tuple[str, str]]) -> None:
            place = f"/{name.lstrip('./')}"
            self._found |= {Finding(secret, place, form) for secret, form in found}

        return _PackedMember(_Packed(self._search), take)
