"""Look into volumes and folders of the engine's machine without starting anything.

A container that runs and has the source mounted is asked; otherwise one is made that mounts nothing else, is
never started and is removed again. Nothing is written into what is looked at.
"""

from __future__ import annotations

import contextlib
import io
import secrets
import tarfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from scaffold.engine import oneoff
from scaffold.engine.answers import moment
from scaffold.engine.client import Engine, engine_errors
from scaffold.engine.wire import Refused
from scaffold.errors import EngineError, ScaffoldError
from scaffold.stack import names
from scaffold.stack.look import Contents, Glance, Medium, Source, Window, joined

ROOT = "/look"
"""Where the source is mounted in a container that is made for a look."""
TIMEOUT = 10.0
"""Seconds for one file: a network file system that hangs must not hold up the plan for long."""
ENOUGH = 64 * 1024
"""Bytes of a folder's archive that are read: the first names are in them."""
DEEPER = 8
"""Folders in a folder that are looked into."""
_ABSENT = "bind source path does not exist"
"""How the engine refuses a mount of what is not there; what it may not see, it refuses otherwise."""
_NAMED = "-look-"
"""In the name of a container that is made for a look."""
LEFT_BEHIND = 60
"""Seconds after which a look is over, however it was: what it left behind is removed by the next one."""


def look(engine: Engine, project: str, image: str | None, glances: Sequence[Glance]) -> tuple[Contents, ...]:
    """Return what is in each source. `image` is any image that is there: it is not run.

    A look that fails says so in what it returns, and is no error: nothing was changed.
    """
    return tuple(_one(engine, project, image, glance) for glance in glances)


def _one(engine: Engine, project: str, image: str | None, glance: Glance) -> Contents:
    try:
        with engine_errors(f"looking into {glance.source.name}"):
            for window in glance.windows:
                return _through(engine, window, glance)
            with _opened(engine, project, image, glance.source) as made:
                return _through(engine, made, glance) if made else Contents(glance.source, glance.folder)
    except ScaffoldError as error:
        return Contents(glance.source, glance.folder, failed=error.message)


def _through(engine: Engine, window: Window, glance: Glance) -> Contents:
    begun = {glance.folder: _begun(engine, window, glance.folder)}
    files = dict(begun[glance.folder].files)
    marker = joined(glance.folder, glance.marker)
    if glance.marker in begun[glance.folder].entries and marker not in files:
        files |= _files(engine, window, (marker,))
    if marker in files:
        files |= _files(engine, window, glance.more)
        return Contents(glance.source, glance.folder, files, _entries(begun))
    for folder in glance.around:
        if folder not in begun:
            begun[folder] = _begun(engine, window, folder)
            files |= begun[folder].files
    if any(found.entries for found in begun.values()):
        below = [
            joined(folder, name, file)
            for folder, found in begun.items()
            for name in found.folders[:DEEPER]
            for file in glance.below
        ]
        files |= _files(engine, window, dict.fromkeys((marker, *glance.rest, *below)))
    return Contents(glance.source, glance.folder, files, _entries(begun))


@dataclass(frozen=True)
class _Begun:
    """The beginning of a folder."""

    entries: tuple[str, ...]
    folders: tuple[str, ...]
    """Those of the entries that are folders."""
    files: Mapping[str, bytes]
    """What is in the files among them, by their path in the source."""


def _entries(begun: Mapping[str, _Begun]) -> dict[str, tuple[str, ...]]:
    return {folder: found.entries for folder, found in begun.items()}


def _files(engine: Engine, window: Window, paths: Iterable[str]) -> dict[str, bytes]:
    """Return what is in those of the files that are there."""
    found = {}
    for path in paths:
        try:
            content = engine.beginning(window.container, f"{window.path}/{path}", ENOUGH, TIMEOUT)
        except Refused:
            # So it answers to a path that leads through a file; for a source that is out of reach as well.
            if not engine.has(window.container, window.path or "/"):
                raise
            continue
        if content is not None:
            found[path] = next((body for _, body in _members(content) if body is not None), b"")
    return found


def _begun(engine: Engine, window: Window, folder: str) -> _Begun:
    """Return the first names in a folder, and what is in the files among them that come whole.

    The engine sends them in order, each with all that is below it.
    """
    path = f"{window.path}/{folder}".rstrip("/")
    content = engine.beginning(window.container, f"{path}/.", ENOUGH, TIMEOUT)
    members = () if content is None else tuple(_members(content))
    if content is not None and not members:
        # Of an empty folder the archive has the folder itself; the engine leaves out what it cannot read.
        raise EngineError(f"{path or '/'} cannot be read")
    entries: dict[str, bool] = {}
    files: dict[str, bytes] = {}
    for name, body in members:
        top, _, below = name.removeprefix("./").strip("/").partition("/")
        if top in ("", "."):
            continue
        entries[top] = entries.get(top, False) or bool(below) or body is None
        if body is not None and not below:
            files[joined(folder, top)] = body
    return _Begun(tuple(entries), tuple(name for name, is_folder in entries.items() if is_folder), files)


def _members(content: bytes) -> Iterator[tuple[str, bytes | None]]:
    """Yield the names in the beginning of a tar, with the content of files; it ends somewhere."""
    with (
        contextlib.suppress(tarfile.ReadError),
        tarfile.open(fileobj=io.BytesIO(content), mode="r|") as archive,
    ):
        for member in archive:
            body = archive.extractfile(member) if member.isfile() else None
            yield member.name, body.read() if body else (b"" if not member.isdir() else None)


@contextlib.contextmanager
def _opened(engine: Engine, project: str, image: str | None, source: Source) -> Iterator[Window | None]:
    """Yield a container that shows the source and never runs; None where there is no such folder."""
    kind = "bind" if source.medium is Medium.BIND else "volume"
    mount = {"Type": kind, "Source": source.name, "Target": ROOT, "ReadOnly": True}
    chosen = image or _any_image(engine)
    if chosen is None:
        raise EngineError("there is no image on the engine that a container could be made of")
    request = {
        "Image": chosen,
        "Entrypoint": [],
        "Cmd": ["never-started"],
        "Labels": oneoff.labels(project),
        "HostConfig": {"Mounts": [mount], "NetworkMode": "none"},
    }
    try:
        made = engine.post("/containers/create", request, name=f"{project}{_NAMED}{secrets.token_hex(4)}")
    except Refused as error:
        # The engine does not make the folder then, unlike for a service.
        if kind == "bind" and error.status == HTTPStatus.BAD_REQUEST and _ABSENT in error.explanation:
            yield None
            return
        raise
    try:
        yield Window(made["Id"], ROOT)
    finally:
        # Together with what the image declares as volumes; the one that is looked at has a name and stays.
        was_there = oneoff.remove(engine, made["Id"])
    if not was_there:
        raise EngineError("the container for the look was removed meanwhile")


def _any_image(engine: Engine) -> str | None:
    found = engine.get("/images/json")
    return min((str(item["Id"]) for item in found), default=None)


def sweep(engine: Engine, project: str, *, older_than: int = LEFT_BEHIND) -> None:
    """Remove what was made for looks of the project that were killed; other helpers are `oneoff.sweep`'s.

    Somebody else may be looking just now, so only what is old by the engine's own clock.
    """
    with engine_errors("containers"):
        found = engine.get("/containers/json", all=True, filters={"label": [f"{names.HELPER}={project}"]})
        left = [item for item in found if any(_NAMED in name for name in item["Names"])]
        if not left:
            return
        now = _now(engine)
        for item in left:
            if now - (item.get("Created") or 0) >= older_than:
                oneoff.remove(engine, item["Id"])


def _now(engine: Engine) -> float:
    """Return the time on the engine's machine: this one's clock may differ."""
    said = engine.get("/info").get("SystemTime")
    return moment(said).timestamp() if said else time.time()
