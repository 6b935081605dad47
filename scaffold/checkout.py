"""One checkout of a project: where it is, its .env (written once, mode 0600), its lock. No Docker."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shlex
import socket
import tempfile
import time
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from scaffold import files, journal
from scaffold.errors import Locked, ProjectError, ScaffoldError, UsageError
from scaffold.interrupt import ended_by_sigterm
from scaffold.stack import environment, names

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


def reserved_by_others(checkout: Checkout) -> frozenset[str]:
    """Return the other checkouts that have reserved a port which is in this one's .env as well."""
    ports = {number for value in checkout.variables.values() if (number := environment.port_of(value))}
    with _registry() as reserved:
        return frozenset(reserved[port] for port in ports & reserved.keys()) - {str(checkout.path)}


@dataclass(frozen=True)
class Known:
    """What the engine knows that a new .env has to fit."""

    taken: frozenset[int] = frozenset()
    """Host ports that containers ask for, the stopped ones included."""
    own: frozenset[int] = frozenset()
    """Those of them that belong to this checkout's own containers."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """The project's name, and values of an earlier .env that containers still carry, passwords among them."""


def write_env(checkout: Checkout, known: Callable[[str, Mapping[str, str]], Known]) -> None:
    """Write .env from .env.example; `known` is asked with the project's name and the example's variables."""
    with _registry() as reserved:
        text, chosen = _filled(checkout, known, reserved)
        write_private(checkout.env_file, text)
        reserved.update(dict.fromkeys(chosen, str(checkout.path)))


def preview_env(checkout: Checkout, known: Callable[[str, Mapping[str, str]], Known]) -> dict[str, str]:
    """Return the variables that `write_env` would write now, and write nothing."""
    with _registry() as reserved:
        text, _ = _filled(checkout, known, reserved)
    return environment.parse(text)


def _filled(
    checkout: Checkout, known: Callable[[str, Mapping[str, str]], Known], reserved: Mapping[int, str]
) -> tuple[str, set[int]]:
    """Return the text of a new .env and the ports chosen in it."""
    example = checkout.path / ".env.example"
    try:
        text = files.text(example)
    except FileNotFoundError:
        text = ""
    except (OSError, UnicodeDecodeError) as error:
        raise ProjectError(f"{example} cannot be read: {files.why(error)}.", "Correct it.") from error
    declared = environment.parse(text)
    prefix = declared.get(environment.PROJECT_NAME) or checkout.path.name
    project = environment.unique(prefix, str(checkout.path))
    facts = known(project, declared)
    others = facts.taken - facts.own
    others |= {port for port, owner in reserved.items() if owner != str(checkout.path)}
    kept = {value for name, value in facts.variables.items() if name.endswith("_PORT")}
    chosen = {number for value in kept if (number := environment.port_of(value))}

    def port(wanted: int) -> int:
        found = free_port(wanted, others | chosen, facts.own)
        chosen.add(found)
        return found

    choices = environment.Choices(port=port, secret=lambda: os.urandom(16).hex())
    filled = environment.fill(text, str(checkout.path), checkout.path.name, choices, facts.variables)
    return filled, chosen


def write_private(path: Path, text: str) -> None:
    """Write a file of mode 0600 in one step: it is there whole, or not at all."""
    try:
        # A killed one leaves its draft: what keeps .env out of git and builds keeps out `.env.…` too.
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.scaffold-")
        try:
            with os.fdopen(handle, "w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ScaffoldError(
            f"{path} cannot be written: {files.why(error)}.", "Nothing was changed."
        ) from error


def free_port(wanted: int, taken: Collection[int], own: Collection[int] = ()) -> int:
    """Return the first port from `wanted` on that is nobody else's: neither taken nor listened on."""
    for port in range(wanted, 65536):
        if port not in taken and (port in own or is_free(port)):
            return port
    raise ScaffoldError(f"There is no free port from {wanted} on.")


def is_free(port: int, address: str = "127.0.0.1") -> bool:
    """Return whether a server could listen there now."""
    return obstacle(port, address) == 0


def obstacle(port: int, address: str = "", protocol: str = "tcp") -> int:
    """Return the error number with which the system keeps a server from listening there, else 0."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
    try:
        with socket.socket(family, kind) as probe:
            if kind == socket.SOCK_STREAM:
                # As the engine's proxy does it: a port in TIME_WAIT is free.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address or "0.0.0.0", port))
    except OSError as error:
        return error.errno or errno.EADDRINUSE
    return 0


def state_folder() -> Path:
    """Return the folder for locks and port reservations of this user, made when missing."""
    base = os.environ.get("XDG_STATE_HOME", "")
    # One that is relative is invalid, the standard says: each folder would have locks of its own.
    base = base if base.startswith("/") else os.path.expanduser("~/.local/state")  # noqa: PTH111 - no error
    folder = Path(base) / "scaffold"
    try:
        if not folder.is_absolute():
            raise FileNotFoundError(errno.ENOENT, "this user has no home folder")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ScaffoldError(f"{folder} cannot be made: {files.why(error)}.", _OTHER_STATE) from error
    return folder


@contextlib.contextmanager
def _registry() -> Iterator[dict[int, str]]:
    """Hold the user's table of reserved ports: two first runs at once must not choose the same one.

    An entry counts as long as the checkout's .env still names the port.
    """
    file = state_folder() / "ports.json"
    guard = state_folder() / "ports.lock"
    with _state_errors(guard), files.kept(guard) as held:
        _hold(held, guard)
        saved = _reserved(file)
        table = {port: owner for port, owner in saved.items() if _names_port(Path(owner) / ".env", port)}
        yield table
        if table != saved:
            write_private(file, json.dumps(table, indent=1))


def _hold(file: IO[bytes], path: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
        else:
            return
        if time.monotonic() > deadline:
            raise Locked(
                f"Another process has held {path} for {_PATIENCE:g} seconds.",
                f"`fuser {path}` names it; end it, or wait for it.",
            )
        time.sleep(0.02)


def _reserved(file: Path) -> dict[int, str]:
    """Return the table as it was saved; what is no table, or no entry of one, is not there."""
    try:
        saved = json.loads(files.read(file)).items()
    except (OSError, ValueError, AttributeError, RecursionError):
        return {}
    found = ((environment.port_of(port), owner) for port, owner in saved)
    return {port: owner for port, owner in found if port and isinstance(owner, str) and owner.startswith("/")}


def _names_port(env_file: Path, port: int) -> bool:
    try:
        return str(port) in environment.parse(files.text(env_file)).values()
    except (OSError, ValueError):
        return False


@contextlib.contextmanager
def _state_errors(path: Path) -> Iterator[None]:
    """Say of what goes wrong with a file of the state folder which one it is, and whose disk is full."""
    try:
        yield
    except OSError as error:
        raise ScaffoldError(f"{path} cannot be used: {files.why(error)}.", _OTHER_STATE) from error


@contextlib.contextmanager
def lock(checkout: Checkout, command: str, *, wait: bool, waiting: Callable[[str], None]) -> Iterator[None]:
    """Hold the project while its state changes; the kernel drops the lock when its owner dies.

    Raises Locked when somebody else holds it and `wait` is False; otherwise tells `waiting` who, once.
    """
    path = _lock_file(checkout)
    with contextlib.ExitStack() as stack:
        with _state_errors(path):
            file = stack.enter_context(files.kept(path))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in (errno.EAGAIN, errno.EACCES):
                    raise
                holder = _holder(file)
                if not wait:
                    said = f"{checkout.path} is in use by {holder}."
                    raise Locked(said, "Wait for it, or stop it.") from error
                with ended_by_sigterm():
                    waiting(holder)
                    fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            left = file.read(_LINE).strip()
            file.truncate(0)
            file.seek(0)
            since = time.strftime("%H:%M:%S")
            said = f"`scaffold {command}` (pid {os.getpid()}, since {since})\n{UNSETTLED if left else ''}"
            file.write(said.encode())
        yield
        # Whoever fails or is killed leaves its line: the next one looks more closely at what goes on.
        with _state_errors(path):
            file.truncate(0)


def _holder(file: IO[bytes]) -> str:
    """Return who holds a lock, as its file says; whatever stands there, one short line."""
    file.seek(0)
    line = file.read(_LINE).partition(b"\n")[0].decode(errors="replace").strip()
    return line if line.isprintable() and line.startswith("`scaffold ") else "another scaffold"


def is_unsettled(checkout: Checkout) -> bool:
    """Return whether the command before this one did not come to its end; for whoever holds the lock."""
    try:
        return UNSETTLED.encode() in files.begin(_lock_file(checkout), _LINE)
    except OSError:
        return False


def _lock_file(checkout: Checkout) -> Path:
    return state_folder() / f"{names.checkout_hash(str(checkout.path))}.lock"
