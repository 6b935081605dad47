"""Read what ties a project to its template: copier's answers file, as committed and as edited since."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from scaffold.errors import ProjectError
from scaffold.generate import documents
from scaffold.generate import git as program
from scaffold.generate.apply import WorkTree
from scaffold.generate.merge.objects import Scratch, Tree

USUAL = ".copier-answers.yml"
COMMIT_HASH = "_commit_hash"
_MOST = 3
_NAME = re.compile(r".*(copier|answers).*\.ya?ml")


@dataclass(frozen=True)
class Link:
    """A project's tie to a template: where it is from, at which version, with which answers.

    `written` is the answers file as it is, `earlier` as it was in other commits since the project follows
    this version, newest first: somebody may have edited an answer in the file, without what it brings.
    """

    path: str
    source: str
    version: str | None
    commit: str | None
    written: bytes
    earlier: tuple[bytes, ...]

    @property
    def answers(self) -> dict[str, object]:
        """The answers that the file has now."""
        return answers(self.path, self.written)


def read(place: WorkTree, scratch: Scratch, tree: Tree, named: str | None = None) -> Link:
    """Return the link of a project; ProjectError if it has none, or one that cannot be read."""
    path = named or _find(place, scratch, tree)
    if path not in tree:
        raise ProjectError(
            f"{place.folder} has no committed file {path}.",
            "Name the answers file of the template: `--answers-file PATH`.",
        )
    content = scratch.contents([tree[path].object])[tree[path].object]
    now = _parsed(path, content)
    source = now.get("_src_path")
    if not isinstance(source, str) or not source:
        raise ProjectError(
            f"{path} does not say which template the project is from: it has no _src_path.",
            f"Bring it back from git (`git log -p -- {path}`), or link the project anew: `scaffold adopt`.",
        )
    known = [answers(path, content)]
    earlier = []
    for other in _earlier(place, path):
        if (found := answers(path, other)) not in known:
            known.append(found)
            earlier.append(other)
    return Link(path, source, _text(now, "_commit"), _text(now, COMMIT_HASH), content, tuple(earlier[:_MOST]))


def _find(place: WorkTree, scratch: Scratch, tree: Tree) -> str:
    if USUAL in tree:
        return USUAL
    found = [
        path
        for path, entry in tree.items()
        if _NAME.fullmatch(PurePosixPath(path).name)
        and entry.mode.startswith("100")
        and b"_src_path:" in scratch.contents([entry.object])[entry.object]
    ]
    if not found:
        raise ProjectError(
            f"{place.folder} follows no template: it has no committed {USUAL}.",
            "Link it to the template that it was made from: `scaffold adopt TEMPLATE`.",
        )
    if len(found) > 1:
        raise ProjectError(
            f"{place.folder} follows {len(found)} templates: {', '.join(sorted(found))}.",
            f"Name the one that is meant: `--answers-file {min(found)}`.",
        )
    return found[0]


def _parsed(path: str, content: bytes) -> Mapping[str, Any]:
    import yaml

    try:
        stream = io.BytesIO(content)
        documents.check(stream)
        stream.seek(0)
        found = yaml.load(stream, documents.LOADER)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ProjectError(
            f"{path} cannot be read: {reason}",
            f"Mend it, or bring it back: `git log -p -- {path}` shows what it was.",
        ) from error
    if not isinstance(found, dict):
        raise ProjectError(f"{path} is not a mapping of answers.", "Write one answer a line.")
    return {str(key): value for key, value in found.items()}


def _text(found: Mapping[str, Any], key: str) -> str | None:
    """A version that looks like a number (`2026.06`, an all-digit hash) is read as one by YAML."""
    value = found.get(key)
    return None if value is None else str(value)


def answers(path: str, content: bytes) -> dict[str, object]:
    """Return the answers of an answers file, without copier's own notes."""
    return {key: value for key, value in _parsed(path, content).items() if not key.startswith("_")}


def _earlier(place: WorkTree, path: str) -> list[bytes]:
    """The file in every commit from the one that named this version of the template on.

    A history that is cut off (`clone --depth`) or rewritten says less, and the file counts as it is.
    """
    words = ("log", "--format=%H", "--no-ext-diff", "--no-textconv")
    named = program.run(place.folder, *words, "-1", "-G^_(commit|src_path)", "HEAD", "--", path)
    start = os.fsdecode(named.stdout).strip()
    if named.returncode or not start:
        return []
    later = program.run(place.folder, *words, f"{start}..HEAD", "--", path)
    found = []
    for commit in (*os.fsdecode(later.stdout).split(), start)[1:]:
        shown = program.run(place.folder, "cat-file", "blob", f"{commit}:{place.prefix}{path}")
        if shown.returncode == 0:
            found.append(shown.stdout)
    return found
