"""Check what this machine has: the docker command and its plugins, the engine, disk, clock, proxy."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from scaffold import files
from scaffold.doctor import packages
from scaffold.doctor.finding import Finding, fine, note, wrong
from scaffold.engine import children, client, endpoint, plugins
from scaffold.engine.answers import moment
from scaffold.engine.client import Engine, engine_errors
from scaffold.errors import ScaffoldError

OLDEST = {"buildx": (0, 13), "compose": (2, 20)}
ROOM = 2 * 2**30
"""Bytes without which a build or a database soon stops."""
PATIENCE = 10.0
"""Seconds for a plugin to say its version."""
DRIFT = 5.0
"""Seconds between two clocks from which certificates and tokens fail."""
CA_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "PIP_CERT")
PROXY_VARIABLES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")


def docker_command() -> Finding:
    where = shutil.which("docker")
    if where:
        return fine("docker command", where)
    installing = (*packages.refresh(), *packages.commands(packages.system(), packages.candidate))
    if not packages.commands(packages.system(), packages.candidate):
        # What apt can do, it knows after it has read its lists.
        hint = f"Install Docker: {packages.MANUAL}"
        return wrong("docker command", "Docker is not installed.", hint, packages.refresh())
    return wrong("docker command", "Docker is not installed.", commands=installing)


def context() -> Finding:
    """Say which engine is meant, and what named it; for one of another machine what that means."""
    try:
        meant = endpoint.chosen()
    except ScaffoldError as error:
        switched = "docker context use default"
        commands = (switched,) if switched in (error.hint or "") else ()
        return wrong("context", error.message, error.hint or "", commands)
    named = f"{meant.context or 'default'} ({meant.host})" if meant.named_by != "DOCKER_HOST" else meant.host
    said = f"{named}, named by {meant.named_by}" if meant.named_by else named
    if meant.machine:
        return note("context", f"{said}. {endpoint.remote(meant.machine)}")
    return fine("context", said)


def _config() -> dict[str, Any]:
    try:
        document = json.loads(files.read(endpoint.settings() / "config.json"))
    except (OSError, ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def socket_permission() -> Finding:
    path = client.socket_path()
    if path is None:
        return fine("socket", "none is used")
    if not path.exists():
        return note("socket", f"{path} does not exist, so no engine runs there.")
    if os.access(path, os.R_OK | os.W_OK):
        return fine("socket", f"{path} may be used")
    command = f"sudo usermod -aG {client.socket_group()} {_user()}"
    return wrong("socket", f"You may not use {path}.", f"`{command}`, then log in again.", (command,))


def _user() -> str:
    import getpass

    return getpass.getuser()


def engine(opened: Engine | ScaffoldError) -> Finding:
    if isinstance(opened, Engine):
        with engine_errors("version"):
            version = opened.get("/version")
        return fine("engine", f"{version.get('Version', '?')}, API {version.get('ApiVersion', '?')}")
    start = client.start_command()
    path = client.socket_path()
    # One that is named by a variable, or answers in its own way, is not to be started here.
    silent = not os.environ.get("DOCKER_HOST") and path is not None and not _listens(path)
    if start and shutil.which("docker") and silent:
        return wrong("engine", opened.message, commands=(_for_me(start),))
    return wrong("engine", opened.message, opened.hint or "")


def _listens(path: Path) -> bool:
    """Return whether something is behind a socket, be it that this user may not use it."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except PermissionError:
            return True
        except OSError:
            return False
    return True


def _for_me(command: str) -> str:
    return command.removeprefix("sudo ") if os.geteuid() == 0 else command


def plugin(name: str) -> Finding:
    """Say which version of `compose` or `buildx` there is."""
    try:
        command = plugins.command(name)
    except ScaffoldError as error:
        installing = packages.plugin_command(name, packages.candidate) if shutil.which("docker") else ()
        return wrong(name, error.message, "" if installing else error.hint or "", installing)
    try:
        done = subprocess.run(
            [*command, "version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE,
            **children.ours_alone(),
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return wrong(name, f"{command[0]} does not run: {error}"[:200])
    found = re.search(r"\bv?(\d+)\.(\d+)\S*", done.stdout)
    if not found:
        return wrong(name, f"{command[0]} does not run: {(done.stderr or done.stdout).strip()[:200]}")
    if (int(found[1]), int(found[2])) < OLDEST[name]:
        needed = ".".join(map(str, OLDEST[name]))
        return wrong(
            name, f"{found[0]} is too old: {needed} or newer is needed.", f"Install one: {packages.MANUAL}"
        )
    return fine(name, found[0])


def disk(opened: Engine | ScaffoldError, project: Path) -> tuple[Finding, ...]:
    """Say how much room the engine and the project have; they may share it."""
    places: list[tuple[str, Path, str, tuple[str, ...]]] = [
        ("disk of the project", project, "Free disk space, for example in your home folder.", ())
    ]
    if isinstance(opened, Engine):
        root = Path(str(_info(opened).get("DockerRootDir", "")))
        prune = "docker builder prune --force"
        # Inside a virtual machine, or for others than root, its folder is not to be seen from here.
        if root.is_absolute() and _free(root) is not None and opened.is_local:
            places.insert(0, ("disk of the engine", root, f"`{prune}` frees build cache only.", (prune,)))
    return tuple(_room(check, path, hint, commands) for check, path, hint, commands in places)


def _room(check: str, path: Path, hint: str, commands: tuple[str, ...]) -> Finding:
    free = _free(path)
    if free is None:
        return note(check, f"{path} cannot be looked at.")
    said = f"{free / 1e9:.0f} GB free" if free > 1e10 else f"{free / 1e9:.1f} GB free"
    return fine(check, said) if free >= ROOM else wrong(check, f"{said} in {path}.", hint, commands)


def _free(path: Path) -> int | None:
    try:
        return shutil.disk_usage(path).free
    except OSError:
        return None


def _info(opened: Engine) -> dict[str, Any]:
    with engine_errors("info"):
        document: dict[str, Any] = opened.get("/info")
    return document


def clock(opened: Engine | ScaffoldError) -> Finding:
    if not isinstance(opened, Engine):
        return note("clock", "There is no engine to compare it with.")
    asked = time.time()
    told = _info(opened).get("SystemTime")
    answered = time.time()
    if not told:
        return note("clock", "The engine does not tell its time.")
    there = moment(str(told)).timestamp()
    apart = max(asked - there, there - answered, 0.0)
    if apart <= DRIFT:
        return fine("clock", "the engine's agrees with this machine's")
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return wrong(
        "clock",
        f"The engine's clock is {apart:.0f} seconds off ({told}, and here it is {now}): certificates fail.",
        "Restart Docker Desktop, or set the engine's machine: `sudo timedatectl set-ntp true`.",
    )


def certificates() -> tuple[Finding, ...]:
    """Say whether the files of certificates that the environment names exist."""
    found = []
    for name in CA_VARIABLES:
        path = os.environ.get(name)
        if path and not os.access(path, os.R_OK):
            found.append(
                wrong("certificates", f"{name} names {path}, which cannot be read.", f"`unset {name}`")
            )
    named = [name for name in CA_VARIABLES if os.environ.get(name)]
    said = f"{', '.join(named)} can be read" if named else "the system's own"
    return tuple(found) or (fine("certificates", said),)


def proxy() -> Finding:
    """Say whether builds and containers learn of the proxy that this shell uses."""
    name = next((name for name in PROXY_VARIABLES if os.environ.get(name)), None)
    if name is None:
        return fine("proxy", "none is set")
    value = os.environ[name]
    host = urlsplit(value if "//" in value else f"//{value}").hostname or ""
    if host in ("localhost", "::1") or host.startswith("127."):
        return wrong(
            "proxy",
            f"{name} names {host}, which inside a build is the build itself.",
            "Let the proxy listen on this machine's address, and put that into `proxies` of config.json.",
        )
    if not _config().get("proxies"):
        return note(
            "proxy",
            f"{name} is set here, and not in {endpoint.settings()}/config.json: builds do not know it.",
            'Add `"proxies": {"default": {"httpsProxy": "…"}}` there.',
        )
    return fine("proxy", f"{host}, for builds too")
