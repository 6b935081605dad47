"""Remember what a version of a template rendered to, so that an update renders each version once.

The version that a project is from is what its last update brought, or `check` has just looked at. What is
remembered is kept apart by all that a rendering depends on; it lies in the user's cache, and can be deleted
at any time. What is trusted to run code, is no commit, or asks for secrets is not remembered.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path

from scaffold import __version__
from scaffold.generate import mirror, questions, render
from scaffold.generate.render import Again, Messages, Rendered
from scaffold.generate.sources import Template

MOST = 64
"""Renderings that are kept: those used last."""
LARGEST = 32 * 2**20
"""Bytes of one that is kept."""
_ABOUT = "rendered.json"
_FILES = "files/"


def again(template: Template, folder: Path, given: Mapping[str, object], asked: Again) -> Rendered:
    """Do what `render.again` does, or recall what it did before."""
    key = _key(template, folder, given, asked)
    if key is None:
        return render.again(template, folder, given, asked)
    known = _recall(key, folder)
    if known is not None:
        return known
    rendered = render.again(template, folder, given, asked)
    # The next update finds in the project what this one writes, and asks with nothing besides.
    written = (folder / asked.answers_file).read_bytes()
    after = replace(asked, files={**asked.files, asked.answers_file: written})
    other = _key(template, folder, {}, after)
    _remember(tuple({key: None, str(other): None}), folder, rendered)
    return rendered


def _key(template: Template, folder: Path, given: Mapping[str, object], asked: Again) -> str | None:
    """Return the name of this rendering; None for one that is not remembered."""
    if template.repository is None or template.commit is None or template.is_trusted or asked.asked:
        return None
    if any(question.is_secret for question in questions.read(template)):
        return None
    known = hashlib.sha256()
    parts: list[object] = [
        *(__version__, version("copier"), version("jinja2")),
        *(template.source, template.version, template.commit, folder.name, asked.answers_file),
        json.dumps(given, sort_keys=True, default=repr),
    ]
    for name, content in sorted(asked.files.items()):
        parts += [name, hashlib.sha256(content).hexdigest()]
    for part in parts:
        known.update(f"{part}\0".encode(errors="surrogateescape"))
    return known.hexdigest()


def _recall(key: str, folder: Path) -> Rendered | None:
    """Write a remembered rendering into a folder and return it; None where there is none."""
    path = _place() / f"{key}.tar"
    try:
        content = path.read_bytes()
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            about = json.load(archive.extractfile(_ABOUT) or io.BytesIO())
            for entry in archive:
                if entry.name.startswith(_FILES):
                    entry.name = entry.name.removeprefix(_FILES)
                    archive.extract(entry, folder, filter="tar")
        os.utime(path)
        return Rendered(
            about["answers"], tuple(about["files"]), tuple(about["once"]), Messages(**about["messages"])
        )
    except (OSError, ValueError, KeyError, TypeError, tarfile.TarError):
        return None  # it is rendered again


def _remember(names: tuple[str, ...], folder: Path, rendered: Rendered) -> None:
    """Keep a rendering under each name. What cannot be kept is rendered again the next time."""
    with contextlib.suppress(OSError, TypeError, ValueError):
        about = {
            "answers": dict(rendered.answers),
            "files": rendered.files,
            "once": rendered.once,
            "messages": asdict(rendered.messages),
        }
        text = json.dumps(about).encode()
        if json.loads(text)["answers"] != about["answers"]:
            return  # an answer that JSON has no form for
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            entry = tarfile.TarInfo(_ABOUT)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text))
            for below in sorted(folder.iterdir()):
                archive.add(below, f"{_FILES}{below.name}")
        if buffer.tell() > LARGEST:
            return
        place = _place()
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        first = place / f"{names[0]}.tar"
        handle, draft = tempfile.mkstemp(dir=place, prefix=".draft-")
        with os.fdopen(handle, "wb") as file:
            file.write(buffer.getvalue())
        Path(draft).replace(first)
        for other in names[1:]:
            with contextlib.suppress(FileExistsError):
                (place / f"{other}.tar").hardlink_to(first)
        _prune(place)


def _prune(place: Path) -> None:
    kept = sorted(place.glob("*.tar"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in kept[MOST:]:
        path.unlink(missing_ok=True)


def _place() -> Path:
    return mirror.folder().parent / "renderings"
