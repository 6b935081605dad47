"""Merge the old and the new version of a template into a project, as trees, and list what is left to do."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Literal

from scaffold.generate.merge import lines, locks, structured
from scaffold.generate.merge.formats import format_of
from scaffold.generate.merge.objects import LINK, SUBMODULE, Conflicted, Entry, Scratch, Tree, git
from scaffold.generate.merge.structured import LineMerge, Texts
from scaffold.generate.merge.values import Open

Style = Literal["inline", "rej"]
_Contents = tuple[bytes, bytes, bytes]


class Kind(Enum):
    """Why a person has to look at a file."""

    MARKERS = "both sides changed the same lines: the file holds conflict markers"
    REJECTED = "both sides changed the same lines: what the template wanted is in the .rej file"
    OPEN = "both sides changed the same value: the project's was kept"
    LOCK = "the lock file was changed on both sides: the project's was kept"
    BINARY = "both sides changed a file that is no text: the project's was kept"
    GONE = "the template no longer has this file, and the project changed it: it was kept"
    INVALID = "both sides' changes together are not valid in this format"
    CLASH = "the two sides do not fit together here"


@dataclass(frozen=True)
class Conflict:
    """A file that needs a person; `open` are the values to decide where the kind is OPEN."""

    path: str
    kind: Kind
    open: tuple[Open, ...] = field(default=())


@dataclass(frozen=True)
class Sides:
    """Three trees: the template's old version, the project, the template's new version."""

    base: Tree
    ours: Tree
    theirs: Tree


@dataclass(frozen=True)
class Merge:
    """What an update makes of a project: its files, the stages of those that conflict, and remarks."""

    tree: Tree
    conflicts: tuple[Conflict, ...]
    stages: Mapping[str, Conflicted]
    notes: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class Labels:
    """The names of the two versions, as conflict markers show them."""

    old: str
    new: str


def aligned(sides: Sides, *, always_new: Iterable[str], once: Callable[[str], bool]) -> Sides:
    """Return the sides with the files that are never merged taken out of the question.

    `always_new` (the answers file) is the new version's on every side. A file that is written only `once`
    stays as the project has it, and comes new where the project has none.
    """
    base, ours, theirs = dict(sides.base), dict(sides.ours), dict(sides.theirs)
    for path in always_new:
        for side in (base, ours):
            side.pop(path, None)
            if path in theirs:
                side[path] = theirs[path]
    for path in {*base, *theirs}:
        if once(path):
            base.pop(path, None)
            theirs.pop(path, None)
            if path in ours:
                base[path] = theirs[path] = ours[path]
            elif path in sides.theirs:
                theirs[path] = sides.theirs[path]
    return Sides(base, ours, theirs)


def merge(scratch: Scratch, sides: Sides, labels: Labels, style: Style) -> Merge:
    """Merge the three trees."""
    sides, kept = _without_locks(sides)
    sides = _line_ends(scratch, sides)
    merged = scratch.merge(sides.base, sides.ours, sides.theirs)
    work = _Work(scratch, labels, style, dict(merged.tree))
    for path, stages in sorted(merged.conflicts.items()):
        work.decide(path, stages)
    work.mend_clean(sides, merged.conflicts)
    for path, stages in kept.items():
        work.leave(path, Kind.LOCK, stages)
    return Merge(work.tree, tuple(work.conflicts), work.stages, tuple(work.notes))


def _without_locks(sides: Sides) -> tuple[Sides, dict[str, Conflicted]]:
    """Keep the project's lock file where both sides changed it: what a tool writes is not merged."""
    base, theirs = dict(sides.base), dict(sides.theirs)
    kept: dict[str, Conflicted] = {}
    for path, ours in sides.ours.items():
        old, new = base.get(path), theirs.get(path)
        if locks.is_lock(path) and old and new and old != new and ours not in (old, new):
            kept[path] = Conflicted(old, ours, new)
            base[path] = theirs[path] = ours
    return Sides(base, sides.ours, theirs), kept


def _line_ends(scratch: Scratch, sides: Sides) -> Sides:
    """Give the template's versions the line ends of the project's file, where all have one kind."""
    changed = [
        path
        for path, ours in sides.ours.items()
        if (base := sides.base.get(path))
        and (theirs := sides.theirs.get(path))
        and ours.object != base.object
        and LINK not in (ours.mode, base.mode, theirs.mode)
        and SUBMODULE not in (ours.mode, base.mode, theirs.mode)
    ]
    texts = scratch.contents(
        side[path].object for path in changed for side in (sides.ours, sides.base, sides.theirs)
    )
    old, new = dict(sides.base), dict(sides.theirs)
    for path in changed:
        mine, was = texts[sides.ours[path].object], texts[sides.base[path].object]
        if _is_crlf(mine) and b"\r" not in was:
            before, after = b"\n", b"\r\n"
        elif _is_crlf(was) and b"\r" not in mine:
            before, after = b"\r\n", b"\n"
        else:
            continue
        for side in (old, new):
            content = texts[side[path].object]
            is_uniform = _is_crlf(content) if before == b"\r\n" else b"\r" not in content
            if is_uniform and b"\0" not in content:
                side[path] = Entry(side[path].mode, scratch.store(content.replace(before, after)))
    return Sides(old, sides.ours, new)


def _is_crlf(content: bytes) -> bool:
    return b"\r\n" in content and content.count(b"\r\n") == content.count(b"\n")


class _Work:
    """The merged tree while its conflicts are decided."""

    def __init__(self, scratch: Scratch, labels: Labels, style: Style, tree: dict[str, Entry]) -> None:
        self.tree = tree
        self.conflicts: list[Conflict] = []
        self.stages: dict[str, Conflicted] = {}
        self.notes: list[str] = []
        self._scratch = scratch
        self._labels = labels
        self._style = style

    def decide(self, path: str, stages: Conflicted) -> None:
        match stages:
            case Conflicted(ours=Entry() as ours, theirs=Entry() as theirs):
                if {ours.mode, theirs.mode} & {LINK, SUBMODULE}:
                    self._clash(path, stages)
                else:
                    self._both(path, stages, ours, theirs)
            case Conflicted(ours=Entry() as ours, theirs=None, base=Entry()):
                self.tree[path] = ours
                self.leave(path, Kind.GONE, stages)
            case Conflicted(ours=None, theirs=Entry(), base=Entry()):
                self.tree.pop(path, None)
                self.notes.append(
                    f"{path} was deleted in the project and stays so; the template has changed it."
                )
            case _:
                self._clash(path, stages)

    def mend_clean(self, sides: Sides, conflicts: Mapping[str, Conflicted]) -> None:
        """Merge by key what git merged cleanly into something that is no longer what its name says."""
        for path, entry in sorted(self.tree.items()):
            trio = (sides.base.get(path), sides.ours.get(path), sides.theirs.get(path))
            if path in conflicts or None in trio or entry in trio or format_of(path) is None:
                continue
            content = self._scratch.contents([entry.object])[entry.object]
            text = _text(content)
            if text is None or structured.is_valid(path, text):
                continue
            base, ours, theirs = trio
            assert base is not None
            assert ours is not None
            assert theirs is not None
            was = _text(self._scratch.contents([ours.object])[ours.object])
            if was is None or not structured.is_valid(path, was):
                continue
            self._both(path, Conflicted(base, ours, theirs), ours, theirs)

    def _clash(self, path: str, stages: Conflicted) -> None:
        # git has put the sides side by side, under names that say whose they are.
        self.leave(path, Kind.CLASH, stages)

    def leave(self, path: str, kind: Kind, stages: Conflicted, open_: tuple[Open, ...] = ()) -> None:
        self.conflicts.append(Conflict(path, kind, open_))
        self.stages[path] = stages

    def _both(self, path: str, stages: Conflicted, ours: Entry, theirs: Entry) -> None:
        mode = _mode(stages.base, ours, theirs)
        oids = [entry.object for entry in (stages.base, ours, theirs) if entry]
        contents = self._scratch.contents(oids)
        texts = [_text(contents[oid]) for oid in oids]
        if None in texts:
            self._bytes(path, stages, mode, contents)
            return
        found = Texts(
            base=_text(contents[stages.base.object]) if stages.base else None,
            ours=contents[ours.object].decode(),
            theirs=contents[theirs.object].decode(),
        )
        sides = (
            contents[stages.base.object] if stages.base else b"",
            contents[ours.object],
            contents[theirs.object],
        )
        marked, count = self._merge_file(sides, "--diff3")
        kept = marked if not count else self._merge_file(sides, "--ours")[0]
        resolved = structured.resolve(
            path, found, LineMerge(None if count else marked.decode(), kept.decode())
        )
        if resolved is not None:
            self._put(path, mode, resolved.text.encode())
            if resolved.open:
                self.leave(path, Kind.OPEN, stages, resolved.open)
            return
        self._unresolved(path, stages, mode, sides)

    def _bytes(self, path: str, stages: Conflicted, mode: str, contents: Mapping[str, bytes]) -> None:
        """A file that is not UTF-8: merged by line unless it is binary."""
        assert stages.ours is not None
        assert stages.theirs is not None
        sides = (
            contents[stages.base.object] if stages.base else b"",
            contents[stages.ours.object],
            contents[stages.theirs.object],
        )
        if any(b"\0" in side for side in sides):
            self.tree[path] = Entry(mode, stages.ours.object)
            self.leave(path, Kind.BINARY, stages)
            return
        self._unresolved(path, stages, mode, sides)

    def _unresolved(
        self, path: str, stages: Conflicted, mode: str, sides: tuple[bytes, bytes, bytes]
    ) -> None:
        marked, count = self._merge_file(sides, "--diff3")
        if not count:
            self._put(path, mode, marked)
            text = _text(marked)
            if text is not None and not structured.is_valid(path, text):
                self.leave(path, Kind.INVALID, stages)
            return
        if self._style == "inline":
            self._put(path, mode, marked)
            self.leave(path, Kind.MARKERS, stages)
            return
        size = 23  # no text has a line of so many signs
        wide, _ = self._merge_file(sides, "--diff3", f"--marker-size={size}")
        blocks = lines.blocks(wide.decode("utf-8", "surrogateescape"), size)
        self._put(path, mode, self._merge_file(sides, "--ours")[0])
        patch = lines.rejected(path, blocks).encode("utf-8", "surrogateescape")
        self._put(f"{path}.rej", "100644", patch)
        self.leave(path, Kind.REJECTED, stages)

    def _put(self, path: str, mode: str, content: bytes) -> None:
        self.tree[path] = Entry(mode, self._scratch.store(content))

    def _merge_file(self, sides: _Contents, *options: str) -> tuple[bytes, int]:
        """Merge three texts by line; the number of conflicts beside the text."""
        with tempfile.TemporaryDirectory(dir=self._scratch.folder) as folder:
            for name, content in zip(("base", "ours", "theirs"), sides, strict=True):
                Path(folder, name).write_bytes(content)
            names = ("-L", "yours", "-L", self._labels.old, "-L", self._labels.new)
            words = ("merge-file", "-p", *options, *names, "ours", "base", "theirs")
            count, text = git(Path(folder), *words, accepted=127)
        return text, count


def _mode(base: Entry | None, ours: Entry, theirs: Entry) -> str:
    """The mode that one side has changed; the project's where both did."""
    return theirs.mode if base and base.mode == ours.mode else ours.mode


def _text(content: bytes) -> str | None:
    try:
        return None if b"\0" in content else content.decode()
    except UnicodeDecodeError:
        return None
