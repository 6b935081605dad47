"""Which project a folder means, as Compose would read it, and where this user has run which. No Docker."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

from scaffold import files
from scaffold.project import checkout as checkouts
from scaffold.project import private
from scaffold.project.state import state_folder
from scaffold.stack import environment
from scaffold.stack.identity import Meaning, Record, Source

_NAME_KEY = re.compile(r"""^(?:\s*["']?name["']?\s*:|[{!&?])""", re.MULTILINE)
"""What is in a file that gives a project a name, or that is not written line by line."""
_PLAIN_NAME = re.compile("[a-z0-9][a-z0-9_-]*")
"""What Compose accepts as a project's name; a label may be anything."""
MANY = 1000
"""Entries of a folder beyond which nobody looks for neighbours in it."""


def meaning(path: str, here: Path, *, shell: bool = True) -> Meaning:
    """Return what a folder says of itself; `here` is the checkout that asks.

    A name in this `shell` is that of every folder, as Compose has it, unless it is to be left out.
    """
    folder = Path(path)
    try:
        status = folder.stat()
    except (FileNotFoundError, NotADirectoryError):
        return Meaning(path, there=False)
    except OSError:
        return Meaning(path, readable=False)
    same = is_same(folder, here)
    try:
        found = checkouts.config_files(folder)
        variables = checkouts.variables_in(folder)
        if not found and not variables.get(environment.PROJECT_NAME):
            return Meaning(path, same=same, inode=status.st_ino)
        name, source = _name(folder, found, variables, shell=shell)
    except (OSError, UnicodeDecodeError):
        return Meaning(path, same=same, readable=False, inode=status.st_ino)
    # A name that has to be interpolated may be any.
    return Meaning(path, name, source, same=same, readable="$" not in name, inode=status.st_ino)


def _name(
    folder: Path, found: tuple[Path, ...], variables: dict[str, str], *, shell: bool
) -> tuple[str, Source]:
    exported = os.environ.get(environment.PROJECT_NAME)
    if shell and exported:
        return exported, Source.SHELL
    if variables.get(environment.PROJECT_NAME):
        return variables[environment.PROJECT_NAME], Source.ENV_FILE
    for file in reversed(found):
        text = files.text(file)
        if _NAME_KEY.search(text):
            declared = _declared(text)
            if declared:
                return declared, Source.COMPOSE_FILE
    return environment.folder_name(folder.name), Source.FOLDER


def _declared(text: str) -> str:
    import yaml

    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError):
        return "$"  # not to be known
    found = document.get("name") if isinstance(document, dict) else None
    return "" if found is None else str(found)


def holds_something(path: str) -> bool:
    """Return whether a folder of this machine has anything in it, or may have: not everybody may look."""
    if not path.startswith("/"):
        return False
    try:
        return any(os.scandir(path))
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True


def is_same(one: Path, other: Path) -> bool:
    """Return whether two paths lead to one folder: a link may stand where a project was."""
    try:
        return one.samefile(other)
    except OSError:
        return False


def real(path: str) -> str | None:
    """Return the real path of something that is there; what this user may not see is taken to be there."""
    try:
        return str(Path(path).resolve(strict=True))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, RuntimeError):
        return path


def neighbours(here: Path, project: str) -> tuple[str, ...]:
    """Return the folders beside this one whose .env has a project's name: it may have been moved to there."""
    found = []
    try:
        with os.scandir(here.parent) as entries:
            for count, entry in enumerate(entries):
                if count > MANY:
                    break
                folder = Path(entry.path)
                if entry.name == here.name or not entry.is_dir():
                    continue
                try:
                    named = checkouts.variables_in(folder).get(environment.PROJECT_NAME)
                except (OSError, UnicodeDecodeError):
                    continue
                if named == project:
                    found.append(str(folder.resolve()))
    except OSError:
        return ()
    return tuple(sorted(set(found) - {str(here)}))


def record(project: str) -> Record | None:
    """Return where this user has run a project last."""
    if not _PLAIN_NAME.fullmatch(project):
        return None
    try:
        found = json.loads(files.read(_file(project)))
        return Record(str(found["path"]), int(found["inode"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def formerly(here: Path) -> tuple[str, ...]:
    """Return the projects that this user ran in this very folder while it had another name."""
    found = _of_inode(here.stat().st_ino)
    return tuple(project for project, known in found if known.path != str(here) and not _is_there(known))


def ran(here: Path) -> tuple[str, ...]:
    """Return the projects that this user ran last in this very folder, under the name that it has now."""
    return tuple(project for project, known in _of_inode(here.stat().st_ino) if known.path == str(here))


def _of_inode(inode: int) -> Iterator[tuple[str, Record]]:
    for file in sorted((state_folder() / "projects").glob("*.json")):
        known = record(file.stem)
        if known and known.inode == inode:
            yield file.stem, known


def _is_there(known: Record) -> bool:
    """Return whether the folder of a record is in its place: a new clone may be there now."""
    try:
        return Path(known.path).stat().st_ino == known.inode
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True


def remember(project: str, folder: Path) -> None:
    """Note that a project is run in a folder, unless that is known."""
    now = Record(str(folder), folder.stat().st_ino)
    if record(project) != now:
        _file(project).parent.mkdir(mode=0o700, exist_ok=True)
        private.write(_file(project), json.dumps({"path": now.path, "inode": now.inode}))


def forget(project: str) -> None:
    """Remove the note of a project of which nothing is left."""
    with contextlib.suppress(OSError):
        _file(project).unlink()


def _file(project: str) -> Path:
    return state_folder() / "projects" / f"{project}.json"
