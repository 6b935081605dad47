"""All projects on one engine: what each has, and the steps that remove what gone checkouts left. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from scaffold.stack import plan as planning
from scaffold.stack.desired import Desired
from scaffold.stack.observed import Container, Observed
from scaffold.stack.plan import Plan, Planned


@dataclass(frozen=True)
class Data:
    """One volume of a project."""

    name: str
    size: int | None = None
    """bytes"""


@dataclass(frozen=True)
class Project:
    """What one project has on the engine; field names are the contract of `scaffold list --json`."""

    name: str
    path: str
    """The folder of its checkout, empty when nothing says it."""
    ours: bool
    """scaffold made a part of it; others are left alone."""
    gone: bool
    """Its folder no longer exists, and nothing of it runs."""
    state: str
    """running, partly running, stopped, or absent when it has no container"""
    containers: tuple[str, ...] = ()
    running: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    """References, or ids of those that have lost their tags."""
    volumes: tuple[Data, ...] = ()
    moved_from: str = ""
    """Where it was made, when that folder is gone and another one has it now."""
    in_sight: bool = True
    """Its folder is there, as far as that can be seen from here."""

    @property
    def data_size(self) -> int | None:
        """Return the bytes of all its volumes, None when the engine does not say."""
        sizes = [volume.size for volume in self.volumes]
        return sum(size for size in sizes if size is not None) if None not in sizes else None


def state(containers: int, running: int, done: int) -> str:
    """Return the state of a project in words; `done` are containers that ended well."""
    if not containers:
        return "absent"
    if not running:
        return "stopped"
    return "running" if running + done >= containers else "partly running"


NOWHERE = Desired(project="", path="")
"""What steps that only remove are planned and carried out against."""


@dataclass(frozen=True)
class Remains:
    """A project whose folder is gone, and all that the engine has of it."""

    project: Project
    observed: Observed
    holding: tuple[str, ...] = ()
    """The containers that have the rows of a database in themselves, or may have."""

    @property
    def apart(self) -> Observed:
        """Return the same with the containers set apart without which data would be gone, or not found."""
        kept = tuple(
            item
            for item in self.observed.containers
            if item.name in self.holding or planning.alone(item, self.observed)
        )
        others = tuple(item for item in self.observed.containers if item not in kept)
        return replace(self.observed, containers=others, others=kept)


def cleaning(remains: Iterable[Remains], volumes: Collection[str] = ()) -> Plan:
    """Return the steps that remove what gone checkouts left; of their data only the volumes named."""
    steps: list[Planned] = []
    for item in remains:
        nowhere = Desired(project=item.project.name, path=item.project.path)
        reason = f"{item.project.path} no longer exists"
        observed = item.apart
        images = [reference for reference in item.project.images if not _is_used(reference, observed.others)]
        part = planning.teardown(nowhere, observed, reason, volumes=volumes, images=images)
        offset = len(steps)
        steps += [
            Planned(planned.step, tuple(index + offset for index in planned.after)) for planned in part.steps
        ]
    return Plan(tuple(steps))


def _is_used(reference: str, containers: Iterable[Container]) -> bool:
    """Return whether a container is of this image, given by a name or the begin of its id."""
    return any(
        reference in (item.image, f"{item.image}:latest")
        or item.image_id.removeprefix("sha256:").startswith(reference)
        for item in containers
    )


def staying(remains: Iterable[Remains]) -> tuple[str, ...]:
    """Return what is to be said of the containers that are not removed."""
    return tuple(
        f"Container {kept.name} stays: a database is in the container itself, and goes with it. "
        f"`docker rm {kept.name}` deletes both."
        if kept.name in item.holding
        else f"Container {kept.name} stays: {planning.detached(planning.alone(kept, item.observed))}. "
        f"`docker rm {kept.name}` removes it and keeps the volume."
        for item in remains
        for kept in item.apart.others
    )
