"""Decide which engine is meant, once for the whole process: for our own calls, builds, and docker's commands.

The docker command is the reference: DOCKER_HOST, then DOCKER_CONTEXT, then the context of config.json. What
it names and cannot be read is an error; falling back to another engine would split a project between two.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from scaffold import files
from scaffold.errors import EngineUnavailable

DEFAULT_SOCKET = "/var/run/docker.sock"
_VARIABLES = (
    "DOCKER_HOST",
    "DOCKER_CONTEXT",
    "DOCKER_CONFIG",
    "DOCKER_CERT_PATH",
    "DOCKER_TLS",
    "DOCKER_TLS_VERIFY",
    "DOCKER_API_VERSION",
)
"""What tells docker's own programs where to go."""


@dataclass(frozen=True)
class Tls:
    """How an engine behind TLS is known, and knows us: ca.pem, cert.pem and key.pem, as far as they exist."""

    folder: Path
    verifies: bool


@dataclass(frozen=True)
class Endpoint:
    """One engine's address, with what named it."""

    host: str
    """`unix:///…`, `tcp://host:port` or `ssh://…`"""
    named_by: str = ""
    """DOCKER_HOST, DOCKER_CONTEXT or a file; empty where nothing was said."""
    context: str = ""
    """A docker context's name; empty for the default one."""
    tls: Tls | None = None

    @property
    def socket(self) -> str | None:
        """Return the path of a socket of this machine, None where there is none."""
        return self.host.removeprefix("unix://") if self.host.startswith("unix://") else None

    @property
    def machine(self) -> str:
        """Return the machine that a remote engine is on; empty for this one."""
        if self.socket:
            return ""
        name = urlsplit(self.host).hostname or ""
        return "" if _is_loopback(name) and not self.host.startswith("ssh:") else name

    def environment(self, base: Mapping[str, str]) -> dict[str, str]:
        """Return the variables for one of docker's programs, which then goes to this very engine.

        What `base` says of engines does not count: it may hold a project's .env.
        """
        made = {name: value for name, value in base.items() if name not in _VARIABLES}
        # A program may have another working directory than this one.
        for name in ("DOCKER_CONFIG", "DOCKER_CERT_PATH"):
            if os.environ.get(name):
                made[name] = os.path.abspath(os.environ[name])  # noqa: PTH100 - keeps links as they are
        for name in ("DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_API_VERSION"):
            if name in os.environ:
                made[name] = os.environ[name]
        if self.context:
            return made | {"DOCKER_CONTEXT": self.context}
        return made | {"DOCKER_HOST": self.host}


def chosen() -> Endpoint:
    """Return the engine that is meant. Raises EngineUnavailable when what names it cannot be used."""
    # A context that is switched in another terminal meanwhile must not split what one command does.
    return _chosen(tuple(os.environ.get(name) for name in (*_VARIABLES, "HOME")))


def remote(machine: str) -> str:
    """Return what it means that the engine is on another machine."""
    return (
        f"The engine is on {machine}. Ports, URLs and bind mounts are those of that machine: nothing listens "
        "here, and a folder of this machine is in no container."
    )


def settings() -> Path:
    """Return the folder of the docker command's settings."""
    named = os.environ.get("DOCKER_CONFIG")
    return Path(named).absolute() if named else Path(os.path.expanduser("~")) / ".docker"  # noqa: PTH111 - no error


@functools.cache
def _chosen(_variables: tuple[str | None, ...]) -> Endpoint:
    _check_settings()
    host = os.environ.get("DOCKER_HOST")
    if host:
        tls = _tls_of_variables()
        return Endpoint(_address(host, "DOCKER_HOST", tls), "DOCKER_HOST", tls=tls)
    name = os.environ.get("DOCKER_CONTEXT")
    source = "DOCKER_CONTEXT"
    if not name:
        name, source = _current(), f"currentContext in {settings() / 'config.json'}"
    if not name or name == "default":
        tls = _tls_of_variables()
        return Endpoint(f"tcp://localhost:{_port(tls)}" if tls else f"unix://{DEFAULT_SOCKET}", tls=tls)
    return _context(name, source)


def _check_settings() -> None:
    """Raise EngineUnavailable for a config.json that docker's own programs would wait for without an end."""
    path = settings() / "config.json"
    try:
        files.refuse(path.stat(), path)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return
    except OSError as error:
        raise EngineUnavailable(
            f"{path} cannot be used: {files.why(error)}.", "Put the file in its place, or remove it."
        ) from error


def _tls_of_variables() -> Tls | None:
    """Return what DOCKER_TLS_VERIFY and DOCKER_TLS ask for; any value counts, as for the docker command."""
    verifies = bool(os.environ.get("DOCKER_TLS_VERIFY"))
    if not verifies and not os.environ.get("DOCKER_TLS"):
        return None
    named = os.environ.get("DOCKER_CERT_PATH")
    return Tls(Path(named).absolute() if named else settings(), verifies)


def _current() -> str:
    """Return the context that config.json names, nothing without one."""
    path = settings() / "config.json"
    try:
        document = json.loads(files.read(path))
        name = document.get("currentContext") or ""
        if not isinstance(name, str):
            raise TypeError("currentContext is no text")  # noqa: TRY301 - one place says what is wrong with it
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise EngineUnavailable(
            f"{path} cannot be used, so it is not known which engine is meant: {files.why(error)}.",
            "Correct it, or name the engine: `export DOCKER_HOST=unix:///var/run/docker.sock`.",
        ) from error
    return name


def _context(name: str, source: str) -> Endpoint:
    digest = hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest()
    path = settings() / "contexts" / "meta" / digest / "meta.json"
    own = "unset DOCKER_CONTEXT" if source == "DOCKER_CONTEXT" else "docker context use default"
    way_on = f"Use this machine's own engine with `{own}`; `docker context ls` lists the others."
    try:
        found = json.loads(files.read(path))["Endpoints"]["docker"]
        host, skips = found["Host"], found.get("SkipTLSVerify", False)
        if not isinstance(host, str) or not host:
            raise TypeError("it names no host")  # noqa: TRY301 - one place says what is wrong with it
    except (FileNotFoundError, NotADirectoryError):
        raise EngineUnavailable(f"There is no docker context {name}.", way_on) from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        said = f"it has no {error}" if isinstance(error, KeyError) else files.why(error)
        raise EngineUnavailable(
            f"The docker context {name} ({source}) cannot be used: {path}: {said}.", way_on
        ) from error
    folder = settings() / "contexts" / "tls" / digest / "docker"
    tls = Tls(folder, not skips) if folder.is_dir() or skips else None
    if not host.startswith("tcp://"):
        tls = None
    return Endpoint(_address(host, f"context {name}", tls), source, name, tls)


def _address(host: str, source: str, tls: Tls | None) -> str:
    """Return an address in the one form that the rest reads. Raises EngineUnavailable for what is none."""
    scheme, separator, rest = host.strip().partition("://")
    if not separator:
        scheme, rest = "tcp", scheme
    known = f"{source}={host}" if source.isupper() else f"{source}, {host}"
    if scheme == "unix":
        return f"unix://{os.path.abspath(rest or DEFAULT_SOCKET)}"  # noqa: PTH100 - keeps links as they are
    try:
        parts = urlsplit(f"//{rest}")
        name, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise _no_address(known, str(error)) from None
    # A name that begins with a dash would be an option for ssh.
    if not re.fullmatch(r"[\w.:%-]*", name) or name.startswith("-") or (parts.username or "").startswith("-"):
        raise _no_address(known, "the name of the machine has other characters")
    if scheme == "tcp" and parts.path in ("", "/") and not parts.username:
        shown = f"[{name}]" if ":" in name else name or "127.0.0.1"
        return f"tcp://{shown}:{port or _port(tls)}"
    if scheme == "ssh" and name and not parts.password:
        return f"ssh://{rest}"
    raise _no_address(known, "it has to be unix:///path, tcp://host:port or ssh://user@host")


def _no_address(known: str, why: str) -> EngineUnavailable:
    return EngineUnavailable(
        f"{known} is no address of an engine that scaffold can use: {why}.",
        "`docker context ls` lists addresses.",
    )


def _port(tls: Tls | None) -> int:
    return 2376 if tls else 2375


def _is_loopback(name: str) -> bool:
    import ipaddress

    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
