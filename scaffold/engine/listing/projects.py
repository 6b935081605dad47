"""Read which projects the whole engine holds, by the labels that scaffold and Compose leave."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scaffold.engine import observe
from scaffold.engine.client import Engine, engine_errors
from scaffold.engine.listing.holdings import known as measured
from scaffold.errors import EngineError
from scaffold.project import folders
from scaffold.stack import names
from scaffold.stack.observed import Observed
from scaffold.stack.plan import UP
from scaffold.stack.projects import Data, Project, Remains, state

Listed = Mapping[str, Any]
"""An entry of one of the engine's lists."""


@dataclass
class _Found:
    """One project while the lists are read."""

    paths: set[str] = field(default_factory=set)
    """Where scaffold says it is."""
    working_dirs: set[str] = field(default_factory=set)
    """Where any tool says it is."""
    containers: list[str] = field(default_factory=list)
    running: list[str] = field(default_factory=list)
    alive: bool = False
    """Some container of it has a process: its folder may be out of sight, and is not gone."""
    done: int = 0
    """Containers that ended well: a migration is no reason to call the project half running."""
    networks: list[str] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    volumes: list[str] = field(default_factory=list)

    def add_container(self, item: Listed) -> None:
        name = item["Names"][0].lstrip("/") if item.get("Names") else item["Id"][:12]
        self.containers.append(name)
        self.alive = self.alive or item["State"] in UP
        if item["State"] == "running":
            self.running.append(name)
        elif item["Status"].startswith("Exited (0)"):
            self.done += 1


def every(engine: Engine, known: Mapping[str, str]) -> tuple[Project, ...]:
    """Return every project on the engine, plain Compose ones too, by name.

    `known` are folders of projects by name: the labels of one that was moved still say where it was.
    """
    found: dict[str, _Found] = defaultdict(_Found)
    with engine_errors("reading what the engine holds"):
        listed = engine.get("/containers/json", all=True)
        for project, item in _labelled([it for it in listed if names.maker(it.get("Labels") or {})], found):
            project.add_container(item)
        for project, item in _labelled(engine.get("/networks"), found):
            project.networks.append(item["Name"])
        for project, item in _labelled(engine.get("/volumes").get("Volumes") or (), found):
            project.volumes.append(item["Name"])
        for project, item in _labelled(engine.get("/images/json"), found):
            project.images += _references(item)
    sizes = observe.volume_sizes(engine, [name for item in found.values() for name in item.volumes])
    for name, path in known.items():
        if name in found and found[name].paths:
            found[name].paths.add(path)
    return tuple(_project(name, item, sizes, local=engine.is_local) for name, item in sorted(found.items()))


def _labelled(listed: Iterable[Listed], found: dict[str, _Found]) -> Iterator[tuple[_Found, Listed]]:
    """Yield each entry that says its project, with what is known of that one."""
    for item in listed:
        labels = item.get("Labels") or {}
        if not labels.get(names.PROJECT):
            continue
        project = found[labels[names.PROJECT]]
        project.paths |= {labels[names.PATH]} if labels.get(names.PATH) else set()
        project.working_dirs |= {labels[names.WORKING_DIR]} if labels.get(names.WORKING_DIR) else set()
        yield project, item


def _references(image: Mapping[str, Any]) -> list[str]:
    tags = [tag for tag in image.get("RepoTags") or () if tag != "<none>:<none>"]
    return sorted(tags) or [image["Id"].removeprefix("sha256:")[:12]]


def _project(name: str, found: _Found, sizes: Mapping[str, int], *, local: bool) -> Project:
    paths = sorted(found.paths or found.working_dirs)
    there = [path for path in paths if exists(path)]
    away = [path for path in paths if path not in there]
    if local and not there:
        there = _found_again(name, away)
    in_sight = bool(there) or not local
    return Project(
        name=name,
        path=next(iter(there or paths), ""),
        ours=bool(found.paths),
        # A folder on another machine cannot be looked for from here.
        gone=local and bool(found.paths) and not there and not found.alive,
        moved_from=next(iter(away), "") if local and there else "",
        in_sight=in_sight,
        state=state(len(found.containers), len(found.running), found.done),
        containers=tuple(sorted(found.containers)),
        running=tuple(sorted(found.running)),
        networks=tuple(sorted(found.networks)),
        images=tuple(found.images),
        volumes=tuple(Data(volume, measured(sizes.get(volume))) for volume in sorted(found.volumes)),
    )


def _found_again(name: str, paths: Iterable[str]) -> list[str]:
    """Return the folder to which a project was moved: a record tells it, or a .env beside the old place."""
    record = folders.record(name)
    if record is not None:
        meaning = folders.meaning(record.path, Path(record.path))
        if meaning.there and (meaning.name == name or not meaning.readable):
            return [record.path]
    return [found for path in paths for found in folders.neighbours(Path(path), name)][:1]


def exists(path: str) -> bool:
    """Return whether there is something; what this user may not see counts as there."""
    try:
        Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def remains(engine: Engine, projects: Iterable[Project]) -> tuple[Remains, ...]:
    """Return all that the engine has of projects whose folder is gone."""
    with engine_errors("reading what is left of them"):
        return tuple(
            Remains(
                project,
                Observed(
                    containers=observe.containers(engine, project.name),
                    networks=observe.networks(engine, project.name),
                    volumes=observe.volumes(engine, project.name),
                ),
            )
            for project in projects
        )


def still_gone(engine: Engine, remains: Iterable[Remains]) -> None:
    """Raise EngineError when a folder came back, or a container was started, while a person was thinking."""
    for item in remains:
        if exists(item.project.path):
            raise EngineError(f"{item.project.path} is there again: nothing was removed.")
        for container in observe.containers(engine, item.project.name):
            if container.state in UP:
                raise EngineError(f"Container {container.name} runs again: nothing was removed.")
