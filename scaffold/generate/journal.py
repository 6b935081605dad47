"""Undo a change of a project's files that did not come to its end: all of it or nothing stays.

Before the change, the files it touches are set aside inside `.git`. A process that is killed in between
leaves that folder; the next command puts every file and git's index back as they were. No git is run.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from scaffold.errors import Locked

_FOLDER = "scaffold-update"
_LOCK = "scaffold-update.lock"
_RECORD = "journal.json"


@dataclass(frozen=True)
class Journal:
    """The one change of a work tree that is under way; `lock` is open while its process lives."""

    root: Path
    git_dir: Path
    lock: int

    @property
    def folder(self) -> Path:
        return self.git_dir / _FOLDER

    def begin(self, paths: Iterable[str]) -> None:
        """Set aside what stands at the paths, and the index. From here on a crash is undone by `recover`."""
        making = self.git_dir / f"{_FOLDER}.making"
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir()
        records = [_set_aside(self.root, path, making, number) for number, path in enumerate(paths)]
        folders = sorted(
            {folder for record in records for folder in _missing(self.root, str(record["path"]))}
        )
        index = self.git_dir / "index"
        if index.exists():
            shutil.copy2(index, making / "index")
        with (making / _RECORD).open("w", encoding="ascii") as stream:
            json.dump({"root": str(self.root), "files": records, "folders": folders}, stream)
        for name in (_RECORD, "index"):
            with suppress(FileNotFoundError):
                _sync(making / name)
        _sync(making)
        making.rename(self.folder)
        _sync(self.git_dir)

    def end(self) -> None:
        """Forget what was set aside: the change is whole."""
        _sync_changed(self.root, _read(self.folder))
        gone = self.git_dir / f"{_FOLDER}.making"
        shutil.rmtree(gone, ignore_errors=True)
        self.folder.rename(gone)  # one step, unlike the removal of many files
        _sync(self.git_dir)
        shutil.rmtree(gone, ignore_errors=True)

    def undo(self) -> None:
        """Put everything back; nothing happens when there is nothing to undo."""
        if self.folder.is_dir():
            _restore(self)


@contextmanager
def opened(root: Path, git_dir: Path) -> Iterator[Journal]:
    """Have the work tree to oneself; what a killed one left is undone first. Locked while one lives."""
    lock = os.open(git_dir / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Locked(
                f"Another scaffold is changing the files of {root}.", "Wait for it, then repeat the command."
            ) from error
        journal = Journal(root, git_dir, lock)
        journal.undo()
        yield journal
    finally:
        os.close(lock)


def recover(start: Path) -> Path | None:
    """Undo what a killed process left in the work tree around `start`; its root if there was something."""
    for root in (start, *start.parents):
        git_dir = _git_dir(root / ".git")
        if git_dir is None:
            continue
        if not (git_dir / _FOLDER).is_dir():
            return None
        with opened(root, git_dir):
            return root
    return None


def _git_dir(path: Path) -> Path | None:
    """Where git keeps its files of a work tree: `.git` is a folder, or a file that names one."""
    if path.is_dir():
        return path
    try:
        said = path.read_bytes()[:4096]
    except OSError:
        return None
    if not said.startswith(b"gitdir: "):
        return None
    folder = path.parent / os.fsdecode(said.removeprefix(b"gitdir: ").rstrip(b"\r\n"))
    return folder if folder.is_dir() else None


# ── setting aside ──────────────────────────────────────────────────────────────────────────────────────


def _set_aside(root: Path, path: str, folder: Path, number: int) -> dict[str, str | None]:
    """Keep the file itself, by a second name: git replaces files, it does not write into them."""
    place, kept = root / path, folder / str(number)
    if not os.path.lexists(place) or (place.is_dir() and not place.is_symlink()):
        return {"path": path, "kept": None}
    _link(place, kept)
    return {"path": path, "kept": kept.name}


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except (OSError, NotImplementedError):  # another file system, or one without links
        if source.is_symlink():
            target.symlink_to(source.readlink())
        else:
            shutil.copy2(source, target)
            _sync(target)


def _missing(root: Path, path: str) -> Iterator[str]:
    """The folders of a path that are not there yet."""
    folder = os.path.dirname(path)  # noqa: PTH120 - a text of the journal, not a place
    while folder:
        if not (root / folder).is_dir():
            yield folder
        folder = os.path.dirname(folder)  # noqa: PTH120


# ── putting back ───────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Record:
    files: tuple[tuple[str, str | None], ...]
    folders: tuple[str, ...]


def _read(folder: Path) -> _Record:
    with (folder / _RECORD).open(encoding="ascii") as stream:
        said = json.load(stream)
    return _Record(tuple((item["path"], item["kept"]) for item in said["files"]), tuple(said["folders"]))


def _restore(journal: Journal) -> None:
    """Every step can be repeated: a second crash, here, is undone by the next command."""
    record = _read(journal.folder)
    (journal.git_dir / "index.lock").unlink(missing_ok=True)  # its owner held our lock, and is dead
    for path, kept in record.files:
        place = journal.root / path
        if kept is None and os.path.lexists(place) and (place.is_symlink() or not place.is_dir()):
            place.unlink()
    for folder in sorted(record.folders, key=len, reverse=True):
        with suppress(OSError):  # not there, or somebody has put a file into it
            (journal.root / folder).rmdir()
    for path, kept in record.files:
        if kept is not None:
            _put_back(journal.folder / kept, journal.root / path, journal.git_dir / f"{_FOLDER}.file")
    saved, index = journal.folder / "index", journal.git_dir / "index"
    if saved.exists():
        shutil.copy2(saved, journal.git_dir / f"{_FOLDER}.file")
        (journal.git_dir / f"{_FOLDER}.file").replace(index)
    else:
        index.unlink(missing_ok=True)
    _sync_changed(journal.root, record)
    gone = journal.git_dir / f"{_FOLDER}.making"
    shutil.rmtree(gone, ignore_errors=True)
    journal.folder.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


def _put_back(kept: Path, place: Path, step: Path) -> None:
    with suppress(OSError):
        if os.path.samestat(kept.lstat(), place.lstat()):
            return  # git had not come that far
    place.parent.mkdir(parents=True, exist_ok=True)
    step.unlink(missing_ok=True)
    _link(kept, step)
    step.replace(place)


def _sync_changed(root: Path, record: _Record) -> None:
    """Have the files on the disk before the journal goes."""
    if len(record.files) > 200:
        os.sync()
        return
    for path, _ in record.files:
        place = root / path
        if place.is_file() and not place.is_symlink():
            _sync(place)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with suppress(OSError):  # some file systems sync no folders
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
