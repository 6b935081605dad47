"""One checkout of a project: where it is, its .env (written once, mode 0600), its lock. No Docker."""

from __future__ import annotations

import contextlib
import os
import shlex
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from scaffold import files
from scaffold.errors import ProjectError, UsageError
from scaffold.generate import journal
from scaffold.stack import environment

COMPOSE_FILES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
_OTHER_STATE = "Set XDG_STATE_HOME to a folder that you may write to, or `scaffold doctor --fix`."
_PATIENCE = 60.0
"""Seconds to wait for another first run that chooses its ports."""
_LINE = 400
"""Bytes of a lock file that are read."""
UNSETTLED = "after a command that did not come to its end"
_OVERRIDES = tuple(name.replace(".y", ".override.y") for name in COMPOSE_FILES)


@dataclass(frozen=True)
class Checkout:
    """A folder with a compose.yaml; `path` is real, so that two ways to one folder are one checkout."""

    path: Path
    config_files: tuple[Path, ...]

    @property
    def env_file(self) -> Path:
        return self.path / environment.FILE

    @property
    def variables(self) -> dict[str, str]:
        """Return what .env says; empty when it is not there yet."""
        try:
            return variables_in(self.path)
        except (OSError, UnicodeDecodeError) as error:
            raise ProjectError(
                f"{self.env_file} cannot be read: {files.why(error)}.",
                f"Make it your own with `sudo chown $USER {shlex.quote(str(self.env_file))}`."
                if isinstance(error, PermissionError)
                else "Correct it, or move it away: the next `scaffold run` writes one.",
            ) from error

    @property
    def readable(self) -> bool:
        """Return whether .env says anything. Raises ProjectError when it cannot be read."""
        return self.variables is not None

    @property
    def profiles(self) -> tuple[str, ...]:
        """Return the profiles that are active without a flag, as Compose finds them."""
        text = os.environ.get("COMPOSE_PROFILES") or self.variables.get("COMPOSE_PROFILES", "")
        return tuple(name.strip() for name in text.split(",") if name.strip())


def find(start: Path) -> Checkout:
    """Return the checkout at `start` or around it. Raises UsageError when there is none."""
    if not start.is_dir():
        raise UsageError(f"{start} is not a folder.", "Give the path of a project.")
    real = spelled(start.resolve())
    journal.recover(real)  # a killed update must not be taken for the project's own files
    for folder in (real, *real.parents):
        found = config_files(folder)
        if found:
            return Checkout(folder, found)
    named = _setting(real, "COMPOSE_FILE")
    if named:
        raise UsageError(
            f"COMPOSE_FILE names {named}, and nothing of that is in {real}.",
            f"Correct it in {real / environment.FILE} or in this shell.",
        )
    _refuse_other_kinds(real)
    raise UsageError(
        f"There is no project here: no compose.yaml in {real} or above it.",
        "Make one with `scaffold new myapp`, or go to its folder.",
    )


def _refuse_other_kinds(folder: Path) -> None:
    """Raise ProjectError for a compose.yaml that is there and no file."""
    for name in COMPOSE_FILES:
        try:
            files.refuse((folder / name).stat(), folder / name)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise ProjectError(
                f"{folder / name} cannot be read: {files.why(error)}.", "Put the file in its place."
            ) from error


def spelled(path: Path) -> Path:
    """Return a path as its folders are written, where a file system takes other letters for the same."""
    found = Path(path.anchor)
    for part in path.parts[1:]:
        entries: tuple[str, ...] = ()
        if part != part.swapcase() and _is_one(found / part, found / part.swapcase()):
            with contextlib.suppress(OSError):
                entries = tuple(entry.name for entry in found.iterdir())
        found /= as_written(part, entries)
    return found


def as_written(part: str, entries: Collection[str]) -> str:
    """Return the entry of a folder that a name means, in whatever letters; the name itself without one."""
    if part in entries:
        return part
    return next((entry for entry in entries if _folded(entry) == _folded(part)), part)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _is_one(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def variables_in(folder: Path) -> dict[str, str]:
    """Return what the .env in a folder says; empty when there is none. Raises OSError, UnicodeDecodeError."""
    try:
        return environment.parse(files.text(folder / ".env"))
    except (FileNotFoundError, NotADirectoryError):
        return {}


def config_files(folder: Path) -> tuple[Path, ...]:
    """Return the compose files of a folder, as Compose chooses them; none where no project is."""
    named = _setting(folder, "COMPOSE_FILE")
    if named:
        separator = _setting(folder, "COMPOSE_PATH_SEPARATOR") or os.pathsep
        return tuple(
            (folder / name).resolve() for name in named.split(separator) if (folder / name).is_file()
        )
    main = next((folder / name for name in COMPOSE_FILES if (folder / name).is_file()), None)
    if main is None:
        return ()
    override = next((folder / name for name in _OVERRIDES if (folder / name).is_file()), None)
    return (main, override) if override else (main,)


def _setting(folder: Path, name: str) -> str:
    """Return a variable of the shell, else of the folder's .env; a .env that cannot be read has none."""
    try:
        return os.environ.get(name) or variables_in(folder).get(name, "")
    except (OSError, UnicodeDecodeError):
        return ""
