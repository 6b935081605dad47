"""The steps a plan is made of: one small type per call to the engine, each with the reason for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from scaffold.stack import names
from scaffold.stack.desired import Network, Service, Volume


class Impact(StrEnum):
    """What a step does to something that is in use."""

    NONE = "none"
    RESTART = "restart"
    RECREATE = "recreate"
    REMOVE = "remove"
    """Nothing comes in its place."""
    DATA = "data"
    """A person must have named what is removed."""


@dataclass(frozen=True)
class PullImage:
    reference: str
    platform: str | None
    reason: str
    impact: Impact = Impact.NONE


@dataclass(frozen=True)
class BuildImage:
    service: Service
    reason: str
    impact: Impact = Impact.NONE


@dataclass(frozen=True)
class CreateNetwork:
    network: Network
    reason: str
    impact: Impact = Impact.NONE


@dataclass(frozen=True)
class RemoveNetwork:
    name: str
    reason: str
    impact: Impact = Impact.NONE


@dataclass(frozen=True)
class CreateVolume:
    volume: Volume
    reason: str
    impact: Impact = Impact.NONE


@dataclass(frozen=True)
class RemoveVolume:
    name: str
    reason: str
    impact: Impact = Impact.DATA


@dataclass(frozen=True)
class RemoveImage:
    reference: str
    reason: str
    impact: Impact = Impact.NONE


@dataclass(frozen=True)
class CreateContainer:
    service: Service
    number: int
    name: str
    reason: str
    impact: Impact = Impact.NONE
    keeps: tuple[tuple[str, str], ...] = ()
    """(volume, target) of the anonymous volumes that it takes over from the container it replaces."""


@dataclass(frozen=True)
class SetAsideContainer:
    """Give a container's name to its successor; it is removed once that one has its volumes."""

    name: str
    reason: str
    impact: Impact = Impact.RECREATE

    @property
    def aside(self) -> str:
        return names.set_aside(self.name)


@dataclass(frozen=True)
class SetAsideData:
    """Set aside what a first start that was cut short has left, so that the image can begin anew."""

    service: Service
    volume: str
    created: datetime
    directory: str
    """Of the data, in the volume; empty where that is all of it."""
    aside: str
    """Where it goes: another volume, or a folder of the same one where there is a directory."""
    reason: str
    impact: Impact = Impact.DATA


@dataclass(frozen=True)
class StartContainer:
    name: str
    reason: str
    impact: Impact = Impact.NONE


@dataclass(frozen=True)
class UnpauseContainer:
    name: str
    reason: str
    impact: Impact = Impact.NONE


@dataclass(frozen=True)
class StopContainer:
    name: str
    timeout: int
    """seconds until SIGKILL"""
    reason: str
    impact: Impact = Impact.RESTART


@dataclass(frozen=True)
class RemoveContainer:
    name: str
    reason: str
    impact: Impact = Impact.RECREATE


@dataclass(frozen=True)
class Prove:
    """Wait until all of the service's containers are ready, or, for a one-shot, completed."""

    service: Service
    containers: tuple[str, ...]
    reason: str
    impact: Impact = Impact.NONE
    left_alone: bool = False
    """Nothing is done to the service: that it is well was only assumed."""


Step = (
    PullImage
    | BuildImage
    | CreateNetwork
    | RemoveNetwork
    | CreateVolume
    | RemoveVolume
    | RemoveImage
    | CreateContainer
    | SetAsideContainer
    | SetAsideData
    | StartContainer
    | UnpauseContainer
    | StopContainer
    | RemoveContainer
    | Prove
)


def words(step: Step) -> tuple[str, str, str]:
    """Return verb, kind and name, e.g. ("create", "container", "myapp-1a2b3c4d-app-1")."""
    match step:
        case PullImage(reference=name):
            return "pull", "image", name
        case BuildImage(service=service):
            return "build", "image", service.image
        case CreateNetwork(network=network):
            return "create", "network", network.name
        case RemoveNetwork(name=name):
            return "remove", "network", name
        case CreateVolume(volume=volume):
            return "create", "volume", volume.name
        case RemoveVolume(name=name):
            return "remove", "volume", name
        case RemoveImage(reference=name):
            return "remove", "image", name
        case CreateContainer(name=name):
            return "create", "container", name
        case SetAsideContainer(name=name):
            return "set aside", "container", name
        case SetAsideData(volume=volume):
            return "set aside", "data", volume
        case StartContainer(name=name):
            return "start", "container", name
        case UnpauseContainer(name=name):
            return "unpause", "container", name
        case _:
            return _container_words(step)


def _container_words(step: Step) -> tuple[str, str, str]:
    match step:
        case StopContainer(name=name):
            return "stop", "container", name
        case RemoveContainer(name=name):
            return "remove", "container", name
        case Prove(service=service):
            return ("complete" if service.one_shot else "prove"), "service", service.name
        case _:
            raise AssertionError(f"no words for {step}")
