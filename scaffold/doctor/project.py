"""Check one project: its files, who owns them, and the ports that it wants."""

from __future__ import annotations

import os
import re
import shlex
import stat
from collections.abc import Collection
from pathlib import Path

from scaffold.doctor.finding import Finding, fine, note, wrong
from scaffold.doctor.packages import sudo
from scaffold.engine import holders, ports
from scaffold.engine.client import Engine
from scaffold.errors import ScaffoldError
from scaffold.project import unignored as git_state
from scaffold.project.checkout import Checkout
from scaffold.project.state import state_folder
from scaffold.run.session import opened
from scaffold.stack import mounts
from scaffold.stack.desired import Desired

MOST = 20_000
"""Files that are looked at; more would take longer than a look may take."""
SKIPPED = {".git", "node_modules", ".venv", "__pycache__"}


def description(checkout: Checkout) -> tuple[Finding, Desired | None]:
    """Say whether compose.yaml can be used, and return what it describes."""
    try:
        with opened(checkout) as session:
            desired = session.desired
    except ScaffoldError as error:
        return wrong("compose.yaml", error.message, error.hint or ""), None
    count = len(desired.services)
    return fine("compose.yaml", f"{count} service{'' if count == 1 else 's'}"), desired


def environment(checkout: Checkout) -> tuple[Finding, ...]:
    """Say whether .env is there, is private, and names files that exist."""
    path = checkout.env_file
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return (note(".env", "It is not there yet; `scaffold run` or `scaffold env` writes it."),)
    except OSError as error:
        return (wrong(".env", f"{path} cannot be looked at: {error.strerror}."),)
    try:
        variables = checkout.variables
    except ScaffoldError as error:
        if not isinstance(error.__cause__, PermissionError):
            return (wrong(".env", error.message, error.hint or ""),)
        return (wrong(".env", error.message, commands=(f"{sudo()}chown $(id -u) {shlex.quote(str(path))}",)),)
    found = []
    if mode & 0o077:
        said = f"Others on this machine may read {path} (mode {mode:04o}); it holds passwords."
        found.append(wrong(".env", said, commands=(f"chmod 600 {shlex.quote(str(path))}",)))
    if unignored := git_state.state(checkout):
        said = git_state.sentence(unignored)
        found.append(wrong(".env", said, commands=(git_state.mending(checkout, unignored),)))
    bundle = variables.get("CA_BUNDLE")
    if bundle and not os.access(checkout.path / bundle, os.R_OK):
        hint = f"Correct or remove CA_BUNDLE in {path}."
        found.append(wrong(".env", f"CA_BUNDLE names {bundle}, which cannot be read.", hint))
    registry = variables.get("REGISTRY")
    if registry and not registry.endswith("/"):
        hint = f"Write `REGISTRY={registry}/` in {path}."
        found.append(wrong(".env", f"REGISTRY={registry} does not end in a slash.", hint))
    return tuple(found) or (fine(".env", "private, and read"),)


def ownership(checkout: Checkout, engine: Engine | None, desired: Desired | None) -> Finding:
    """Say whether files here belong to somebody else: what containers wrote as root, mostly.

    What is mounted into a container may have to belong to whom it does: a database's files, above all. No
    command that changes an owner reaches it; without the engine nobody knows what is mounted.
    """
    me = os.geteuid()
    if me == 0:
        return fine("files", "you are root")
    foreign = []
    seen = 0
    for folder, folders, files in os.walk(checkout.path):
        folders[:] = sorted(set(folders) - SKIPPED)
        for name in (*folders, *files):
            seen += 1
            path = Path(folder, name)
            try:
                if path.lstat().st_uid != me:
                    foreign.append(path)
            except OSError:
                continue
        if seen > MOST:
            break
    if not foreign:
        return fine("files", "all are yours")
    more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
    said = f"{foreign[0].relative_to(checkout.path)}{more}: owned by another user."
    if engine is None:
        return wrong("files", said, "Start the engine: it knows which of them are mounted into a container.")
    mounted = _mounted(checkout.path, engine, desired)
    ours = [path for path in foreign if not any(path.is_relative_to(folder) for folder in mounted)]
    if not ours:
        return note(
            "files", f"{said[:-1]}, and mounted into a container, which may need that: left as they are."
        )
    return wrong("files", said, commands=(taking_over(checkout.path, mounted),))


def taking_over(folder: Path, mounted: Collection[Path]) -> str:
    """Return the command that makes files of a folder one's own, but none below what is mounted."""
    left_out = " -o ".join(f"-path {shlex.quote(_literal(path))}" for path in mounted)
    prune = rf"\( {left_out} \) -prune -o " if left_out else ""
    return (
        f"{sudo()}find {shlex.quote(str(folder))} -xdev {prune}"
        "! -user $(id -u) -exec chown -h $(id -u):$(id -g) {} +"
    )


def _mounted(checkout: Path, engine: Engine, desired: Desired | None) -> tuple[Path, ...]:
    """Return what is mounted of a checkout, into any container or by its compose.yaml; all of it, perhaps."""
    sources = set(holders.others(engine).folders)
    for service in desired.services if desired else ():
        sources |= {source for source in mounts.targets(service).values() if source.startswith("/")}
    found = {Path(os.path.realpath(source)) for source in sources}
    if any(checkout.is_relative_to(path) for path in found):
        return (checkout,)
    return tuple(sorted(path for path in found if path.is_relative_to(checkout)))


def _literal(path: Path) -> str:
    """Return a pattern of find's that means just this path."""
    return re.sub(r"([\\*?\[\]])", r"\\\1", str(path))


def state() -> Finding:
    """Say whether locks and port reservations can be kept."""
    try:
        folder = state_folder()
    except ScaffoldError as error:
        return wrong("state folder", error.message, error.hint or "")
    if os.access(folder, os.W_OK):
        return fine("state folder", str(folder))
    return wrong(
        "state folder",
        f"{folder} cannot be written.",
        commands=(f"{sudo()}chown -R $(id -u) {shlex.quote(str(folder))}",),
    )


def published(engine: Engine, desired: Desired) -> tuple[Finding, ...]:
    """Say of each published port whether it is free, the project's own, or somebody else's."""
    try:
        held = ports.holders(engine, desired)
    except ScaffoldError as error:
        return (wrong("ports", error.message, error.hint or ""),)
    if not held.trouble:
        numbers = ", ".join(held.own + held.free)
        said = (
            f"{numbers}: {'in use by this project' if held.own else 'free'}"
            if numbers
            else "chosen from a range when the project starts"
            if any(port.published for service in desired.services for port in service.ports)
            else "none is published"
        )
        return (fine("ports", said),)
    return tuple(wrong("ports", trouble.message, trouble.hint or "") for trouble in held.trouble)
