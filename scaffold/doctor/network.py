"""Check the network from where it is needed: the engine for images, the inside of a build for packages."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterable
from urllib.parse import urlsplit

from scaffold.diagnose.engine import bare, unpulled
from scaffold.doctor.finding import Finding, fine, note, wrong
from scaffold.engine import children, observe, plugins
from scaffold.engine.client import Engine, engine_errors
from scaffold.engine.endpoint import chosen
from scaffold.engine.wire import Refused
from scaffold.errors import EngineUnavailable

PATIENCE = 8
"""Seconds that a registry, and a build, may take to answer."""
_INDEXES = ("UV_DEFAULT_INDEX", "PIP_INDEX_URL", "NPM_CONFIG_REGISTRY")
"""Where this machine's builds get their packages from, if it is said: that name has to resolve."""
_MIRROR = (
    "That is fine while the images are here. A mirror: `REGISTRY=mirror.example/` in .env, or "
    "`registry-mirrors` in the engine's daemon.json; behind a proxy, see `docker info`."
)
# Any of these has a shell and `getent`; whatever is here already costs nothing.
_BASES = ("debian", "python", "node", "postgres", "alpine", "ubuntu", "buildpack-deps", "mongo")


def registry(engine: Engine, reference: str) -> Finding:
    """Say whether the engine reaches the registry of an image; only its manifest is asked for."""
    from urllib.parse import quote

    try:
        engine.get(f"/distribution/{quote(reference, safe='/:@')}/json", timeout=PATIENCE)
    except Refused as error:
        said = error.explanation
    except EngineUnavailable:
        return note("registry", f"No registry reachable: no answer in {PATIENCE} seconds.", _MIRROR)
    else:
        return fine("registry", f"the engine can pull {reference}")
    found = unpulled(reference, said)
    if "cannot be reached" in found.message:
        return note("registry", f"No registry reachable from the engine ({bare(said)}).", _MIRROR)
    if observe.image_id(engine, reference):
        return fine("registry", f"it answers; {reference} is here already")
    return wrong("registry", f"{reference} cannot be pulled: {found.message}.", found.hint)


def build(engine: Engine, wanted: Iterable[str] = ()) -> Finding:
    """Say whether a build can run, and whether names resolve inside it; leaves no image behind."""
    base = _base(engine, wanted)
    if base is None:
        return note("build", "Not tried: there is no image here to build from.")
    # The words that are looked for do not stand in the command, which the output repeats.
    host = _host()
    script = f"getent hosts {shlex.quote(host)} >/dev/null; printf 'resolve%s' \"d=$?\"; echo"
    command = (*plugins.command("buildx"), "build", "--no-cache", "--output", "type=cacheonly")
    try:
        done = subprocess.run(
            [*command, "--progress", "plain", "-"],
            input=f"FROM {base}\nRUN {script}\n",
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE,
            env=chosen().environment(os.environ),
            **children.ours_alone(),
        )
    except subprocess.TimeoutExpired:
        return wrong(
            "build", f"A build of one line did not end in {PATIENCE} seconds.", "Look at `docker info`."
        )
    if done.returncode != 0:
        last = next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "no reason given")
        return wrong(
            "build", f"A build of one line fails: {last.removeprefix('ERROR: ')}.", "See `docker info`."
        )
    if "resolved=0" in done.stderr:
        return fine("build", f"works, and resolves {host}")
    if not _resolves_here(host):
        return note("build", f"Works; {host} resolves neither here nor inside a build, as without a network.")
    return wrong(
        "build",
        f"Inside a build {host} does not resolve, and here it does.",
        'Give the engine a name server that containers reach: `{"dns": ["…"]}` in /etc/docker/daemon.json, '
        "then restart it.",
    )


def _host() -> str:
    urls = (os.environ.get(name, "") for name in _INDEXES)
    return next((host for url in urls if (host := urlsplit(url).hostname)), "python.org")


def _resolves_here(host: str) -> bool:
    code = f"import socket; socket.getaddrinfo({host!r}, 443)"
    try:
        return subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=3).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def _base(engine: Engine, wanted: Iterable[str]) -> str | None:
    with engine_errors("images"):
        here = {tag for image in engine.get("/images/json") for tag in image.get("RepoTags") or ()}
    for reference in wanted:
        if reference in here:
            return reference
    known = sorted(tag for tag in here if tag.rpartition(":")[0].rpartition("/")[2] in _BASES)
    return min(
        known, key=lambda tag: (_BASES.index(tag.rpartition(":")[0].rpartition("/")[2]), tag), default=None
    )
