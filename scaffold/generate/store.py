"""Read and change the user's own TOML files, in the folder that XDG gives to settings. Comments stay."""

from __future__ import annotations

import fcntl
import os
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from scaffold.errors import ScaffoldError


def folder() -> Path:
    """Where the settings are."""
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "scaffold"


def read(name: str) -> Mapping[str, Any]:
    """A file of settings; a missing one is empty."""
    path = folder() / name
    try:
        with path.open("rb") as stream:
            return tomllib.load(stream)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise ScaffoldError(f"{path} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ScaffoldError(f"{path} is not TOML: {error}.", "Mend it, or move it away.") from error


@contextmanager
def changing(name: str) -> Iterator[MutableMapping[str, Any]]:
    """A file of settings to change; it is written whole at the end, unless the block fails."""
    import tomlkit

    read(name)  # its errors are in our words
    path = folder() / name
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (path.parent / f".{name}.lock").open("w")
    except OSError as error:
        raise ScaffoldError(
            f"{path} cannot be written: {error.strerror}.", "Set XDG_CONFIG_HOME to a folder of your own."
        ) from error
    with lock:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(lock, fcntl.LOCK_EX)
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        document = tomlkit.parse(before)
        yield document
        after = tomlkit.dumps(document)
        if after != before:
            _write(path, after)


def _write(path: Path, text: str) -> None:
    target = Path(os.path.realpath(path))  # a link into somebody's collection of settings stays one
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
