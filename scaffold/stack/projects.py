"""All projects on one engine: what each has, and the steps that remove what gone checkouts left. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from scaffold.stack import plan as planning
from scaffold.stack.desired import Desired
from scaffold.stack.observed import Observed
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
    """Its folder no longer exists."""
    state: str
    """running, partly running, stopped, or absent when it has no container"""
    containers: tuple[str, ...] = ()
    running: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    """References, or ids of those that have lost their tags."""
    volumes: tuple[Data, ...] = ()

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


def cleaning(remains: Iterable[Remains], volumes: Collection[str] = ()) -> Plan:
    """Return the steps that remove what gone checkouts left; of their data only the volumes named."""
    steps: list[Planned] = []
    for item in remains:
        nowhere = Desired(project=item.project.name, path=item.project.path)
        reason = f"{item.project.path} no longer exists"
        part = planning.teardown(nowhere, item.observed, reason, volumes=volumes, images=item.project.images)
        offset = len(steps)
        steps += [
            Planned(planned.step, tuple(index + offset for index in planned.after)) for planned in part.steps
        ]
    return Plan(tuple(steps))
