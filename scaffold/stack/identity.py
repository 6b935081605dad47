"""Decide whose a project's name is: this checkout's, or another folder's. Pure: facts come in as values.

The name is the one that Compose would use, from wherever it comes. A folder has a right to it while it is
there, means that name, and something on the engine or in this user's records says that it was run there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from scaffold.stack import names
from scaffold.stack.desired import Desired
from scaffold.stack.observed import Container, Observed


class Source(StrEnum):
    """Where a project's name comes from, in Compose's order."""

    SHELL = "COMPOSE_PROJECT_NAME in the shell"
    ENV_FILE = "COMPOSE_PROJECT_NAME in .env"
    COMPOSE_FILE = "`name:` in the compose file"
    FOLDER = "the folder's name"


@dataclass(frozen=True)
class Meaning:
    """What one folder says of itself, as Compose would read it."""

    path: str
    name: str = ""
    """The project's name; empty where no project is."""
    source: Source = Source.FOLDER
    there: bool = True
    same: bool = False
    """It is this checkout by another path."""
    readable: bool = True
    inode: int = 0


@dataclass(frozen=True)
class Trace:
    """A container or volume that carries a project's name, and where it was made."""

    kind: str
    name: str
    project: str
    path: str = ""
    scaffold: bool = False
    """scaffold has made it: it had looked whose the name is."""
    running: bool = False
    files: tuple[str, ...] = ()
    """The compose files that a container was made from, as far as a label says it."""


@dataclass(frozen=True)
class Record:
    """Where this user has run a project last, as far as the state folder knows."""

    path: str
    inode: int = 0


@dataclass(frozen=True)
class Facts:
    """All that is known of one name, seen from one folder."""

    name: str
    path: str
    traces: tuple[Trace, ...] = ()
    folders: tuple[Meaning, ...] = ()
    """The other folders that a trace, the record, the table of ports or a neighbour's .env names."""
    record: Record | None = None


def is_of(name: str, path: str) -> bool:
    """Return whether scaffold gave this name to the folder: it carries the hash of its path."""
    return re.search(rf"-{names.checkout_hash(path)}(-\d+)?$", name) is not None


def rival(facts: Facts) -> Meaning | None:
    """Return the folder that has the better right to the name; None when it is this checkout's."""
    last = _last(facts)
    own = is_of(facts.name, facts.path)
    here = last & {facts.path, *(item.path for item in facts.folders if item.same)}
    trusted = {trace.path for trace in facts.traces if trace.scaffold}
    trusted |= {facts.record.path} if facts.record else set()
    for folder in sorted(facts.folders, key=lambda item: item.path):
        if folder.same or not folder.there or _within(folder.path, facts.path):
            continue
        # It is settled already: the other one began the data, or has the same name in its files.
        if here and folder.path not in last:
            continue
        # Plain Compose, run in a copy with the .env of this folder, asked nobody.
        if own and folder.path not in trusted:
            continue
        if _claims(folder, facts, last):
            return folder
    return None


def unproven(facts: Facts, inode: int) -> str:
    """Return the folder in which the project was before, when nothing says that it was moved to here.

    Any folder can come to a name; that of this one's very inode is in the record, or a tool that had looked
    whose the name is has settled it. Empty where that is so, or nothing of another folder is there.
    """
    ours = {facts.path, *(item.path for item in facts.folders if item.same)}
    elsewhere = {item.path for item in facts.traces if item.path}
    elsewhere |= {facts.record.path} if facts.record else set()
    elsewhere = {path for path in elsewhere - ours if not _within(path, facts.path)}
    if not facts.traces or not elsewhere:
        return ""
    if facts.record and (facts.record.path in ours or facts.record.inode == inode):
        return ""
    if _paths(facts, "container", scaffold=True) & ours:
        return ""
    last = _last(facts) & elsewhere
    return min(last or elsewhere)


def _claims(folder: Meaning, facts: Facts, last: frozenset[str]) -> bool:
    if not folder.readable:
        return True
    if folder.name == facts.name:
        return True
    if folder.source is not Source.ENV_FILE:
        # Without a name of its own it gets back the one that was used there last.
        return bool(folder.name) and folder.path in last
    # Its name may have come from a shell when these containers were made: they are not for somebody else.
    alive = any(trace.kind == "container" and trace.path == folder.path for trace in facts.traces)
    return alive and not is_of(facts.name, folder.path)


def _last(facts: Facts) -> frozenset[str]:
    """Return where the project was used last by a tool that had looked whose it is, or else by any.

    A volume only says where it began.
    """
    record = frozenset({facts.record.path}) if facts.record else frozenset()
    return (
        _paths(facts, "container", scaffold=True)
        or record
        or _paths(facts, "volume", scaffold=True)
        or _paths(facts, "container", scaffold=False)
    )


def _paths(facts: Facts, kind: str, *, scaffold: bool) -> frozenset[str]:
    return frozenset(
        item.path for item in facts.traces if item.kind == kind and item.scaffold == scaffold and item.path
    )


def _within(path: str, folder: str) -> bool:
    """Return whether a path lies in a folder: a compose file further down is another part of one checkout."""
    return path.startswith(f"{folder.rstrip('/')}/")


def traces(observed: Observed, project: str) -> tuple[Trace, ...]:
    """Return what is on the engine under a project's name."""
    containers = (
        trace("container", item.name, item.labels, running=item.state in ("running", "paused", "restarting"))
        for item in (*observed.containers, *observed.others)
        if not item.one_off
    )
    volumes = (trace("volume", item.name, item.labels) for item in observed.volumes)
    return tuple(item for item in (*containers, *volumes) if item.project == project)


def trace(kind: str, name: str, labels: Mapping[str, str], *, running: bool = False) -> Trace:
    """Return what the labels of a container or volume say."""
    path = labels.get(names.PATH) or labels.get(names.WORKING_DIR, "")
    project = labels.get(names.PROJECT, "")
    return Trace(kind, name, project, path, names.PATH in labels, running, files_of(labels))


def files_of(labels: Mapping[str, str]) -> tuple[str, ...]:
    """Return the compose files that a container was made from; nothing when no label says it."""
    return tuple(file for file in labels.get(names.CONFIG_FILES, "").split(",") if file)


def listed(found: Iterable[Trace]) -> str:
    """Return containers and volumes in words."""
    return ", ".join(
        f"{item.kind} {item.name}{', which is running' if item.running else ''}"
        for item in sorted(found, key=lambda item: (item.kind, item.name))
    )


def apart(observed: Observed, desired: Desired, real: Callable[[str], str | None]) -> Observed:
    """Return the same with the containers that other compose files have made set apart from ours."""
    known = {service.name for service in desired.services} | set(desired.inactive)
    others = tuple(
        item
        for item in observed.containers
        if not item.one_off
        and is_strange(_files_here(item, desired), desired.config_files, real, known=item.service in known)
    )
    if not others:
        return observed
    ours = tuple(item for item in observed.containers if item not in others)
    return replace(observed, containers=ours, others=others)


def _files_here(container: Container, desired: Desired) -> tuple[str, ...]:
    """Return what a container was made from, as it lies now that its folder was moved here."""
    former = container.labels.get(names.PATH, desired.path)
    files = files_of(container.labels)
    if former == desired.path:
        return files
    return tuple(
        f"{desired.path}{file.removeprefix(former)}" if file.startswith(f"{former}/") else file
        for file in files
    )


def is_strange(
    files: Iterable[str], own: Iterable[str], real: Callable[[str], str | None], *, known: bool
) -> bool:
    """Return whether a container was made from compose files that are none of this project's.

    `known` says that compose.yaml has its service; else any other file may be the one that has it. `real`
    returns the real path of a file that is there, else None: a file that is gone was an earlier form of ours.
    """
    made, ours = set(files), set(own)
    if not made or not ours or made <= ours or (known and made & ours):
        return False
    # Compose writes a path as it was typed: a link may lead to the same file.
    found = {real(file) if file.startswith("/") else file for file in made} - {None}
    reals = {real(file) or file for file in ours}
    return not (known and found & reals) and bool(found - reals)
