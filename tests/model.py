"""A small model of the engine: it does a plan's steps, and refuses what the real one would refuse."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from scaffold.stack import names
from scaffold.stack.desired import Desired
from scaffold.stack.observed import Container, Image, Network, Observed, Volume
from scaffold.stack.plan import Plan
from scaffold.stack.requests.labelled import container_request
from scaffold.stack.steps import (
    BuildImage,
    CreateContainer,
    CreateNetwork,
    CreateVolume,
    Prove,
    PullImage,
    RemoveContainer,
    RemoveImage,
    RemoveNetwork,
    RemoveVolume,
    SetAsideContainer,
    StartContainer,
    Step,
    StopContainer,
    UnpauseContainer,
)

UP = ("running", "paused", "restarting")


class Refused(AssertionError):
    """The real engine would not have done this."""


@dataclass
class Model:
    """The engine's state; `observed` is what a planner may see of it."""

    containers: dict[str, Container] = field(default_factory=dict)
    networks: dict[str, Network] = field(default_factory=dict)
    volumes: dict[str, Volume] = field(default_factory=dict)
    images: dict[str, Image] = field(default_factory=dict)
    clock: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    serial: int = 0

    @property
    def observed(self) -> Observed:
        return Observed(
            containers=tuple(self.containers[name] for name in sorted(self.containers)),
            networks=tuple(self.networks[name] for name in sorted(self.networks)),
            # Those without a label are not the project's.
            volumes=tuple(self.volumes[name] for name in sorted(self.volumes) if self.volumes[name].labels),
            images=dict(self.images),
        )

    def copy(self) -> Model:
        return replace(
            self,
            containers=dict(self.containers),
            networks=dict(self.networks),
            volumes=dict(self.volumes),
            images=dict(self.images),
        )

    def identity(self) -> str:
        self.serial += 1
        return hashlib.sha256(str(self.serial).encode()).hexdigest()

    def do(self, step: Step, desired: Desired) -> None:
        """Do one step as the engine would. Raises Refused where it would answer with an error."""
        self.clock += timedelta(seconds=1)
        match step:
            case PullImage(reference=reference):
                self.images[reference] = Image(reference, self.identity(), {}, self.clock)
            case BuildImage(service=service):
                assert service.build
                self.images[service.image] = Image(
                    service.image, self.identity(), {}, self.clock, digest=service.build.digest
                )
            case RemoveImage(reference=reference):
                self.images.pop(reference, None)
            case CreateNetwork(network=wanted):
                _need(wanted.name not in self.networks, f"network {wanted.name} exists")
                labels = {names.PROJECT: desired.project, names.DIGEST: wanted.digest}
                self.networks[wanted.name] = Network(
                    wanted.name, self.identity(), labels, internal=wanted.internal
                )
            case RemoveNetwork(name=name):
                attached = [c.name for c in self.containers.values() if name in c.networks and c.state in UP]
                _need(not attached, f"network {name} has active endpoints: {attached}")
                self.networks.pop(name, None)
            case CreateVolume(volume=volume):
                labels = {names.PROJECT: desired.project}
                self.volumes.setdefault(volume.name, Volume(volume.name, self.clock, labels))
            case RemoveVolume(name=name):
                users = [c.name for c in self.containers.values() if name in c.volumes]
                _need(not users, f"volume {name} is in use by {users}")
                self.volumes.pop(name, None)
            case _:
                self._do_to_containers(step, desired)

    def _do_to_containers(self, step: Step, desired: Desired) -> None:
        match step:
            case CreateContainer():
                self._create(step, desired)
            case SetAsideContainer(name=name):
                container = self._container(name)
                _need(step.aside not in self.containers, f"name {step.aside} is taken")
                del self.containers[name]
                self.containers[step.aside] = replace(container, name=step.aside)
            case StartContainer(name=name):
                self._start(name, desired)
            case UnpauseContainer(name=name):
                _need(self._container(name).state == "paused", f"{name} is not paused")
                self._change(name, state="running")
            case StopContainer(name=name):
                self._container(name)
                self._change(name, state="exited", exit_code=137)
            case RemoveContainer(name=name):
                _need(self._container(name).state not in UP, f"{name} runs: it cannot be removed")
                del self.containers[name]
            case Prove(service=service, containers=containers):
                for name in containers:
                    container = self._container(name)
                    expected = "exited" if service.one_shot else "running"
                    _need(container.state == expected, f"{name} is {container.state}, not {expected}")
                    _need(not service.one_shot or container.exit_code == 0, f"{name} failed")
            case _:
                raise AssertionError(f"not done to containers: {step}")

    def _container(self, name: str) -> Container:
        _need(name in self.containers, f"there is no container {name}")
        return self.containers[name]

    def _change(self, name: str, **fields: Any) -> None:
        self.containers[name] = replace(self.containers[name], **fields)

    def _create(self, step: CreateContainer, desired: Desired) -> None:
        service = step.service
        _need(step.name not in self.containers, f"name {step.name} is taken")
        _need(service.image in self.images, f"there is no image {service.image}")
        for name in service.networks:
            _need(name in self.networks, f"there is no network {name}")
        request: Any = container_request(desired, service, step.number, step.keeps)
        volumes = list(service.volumes)
        anonymous = []
        for mount in request["HostConfig"].get("Mounts", ()):
            if mount["Type"] != "volume" or mount.get("Source") in service.volumes:
                continue
            name = mount.get("Source") or self.identity()
            _need(not mount.get("Source") or name in self.volumes, f"the engine would make {name} anew")
            self.volumes.setdefault(name, Volume(name, self.clock, {}))
            anonymous.append((name, mount["Target"]))
        for name in service.volumes:
            _need(name in self.volumes, f"the engine would make volume {name} without labels")
        host = dict(request["HostConfig"])
        for key in ("NetworkMode", "IpcMode", "PidMode"):
            kind, _, owner = str(host.get(key, "")).partition(":")
            if kind == "container":
                host[key] = f"container:{self._container(owner).id}"
        self.containers[step.name] = Container(
            id=self.identity(),
            name=step.name,
            state="created",
            image=service.image,
            image_id=self.images[service.image].id,
            labels=request["Labels"],
            created=self.clock,
            networks=service.networks,
            network_ids=tuple(self.networks[name].id for name in service.networks),
            volumes=(*volumes, *(name for name, _ in anonymous)),
            anonymous=tuple(sorted(anonymous)),
            body={"Config": request, "HostConfig": host},
        )

    def _start(self, name: str, desired: Desired) -> None:
        container = self._container(name)
        _need(container.state not in UP, f"{name} runs already")
        known = {network.id for network in self.networks.values()}
        _need(set(container.network_ids) <= known, f"a network of {name} is gone")
        host: Any = container.body["HostConfig"]
        for key in ("NetworkMode", "IpcMode", "PidMode"):
            kind, _, owner = str(host.get(key, "")).partition(":")
            running = {item.id for item in self.containers.values() if item.state in UP}
            _need(kind != "container" or owner in running, f"{name} joins a container that does not run")
        service = desired.service(container.service)
        for need in service.depends_on:
            self._check_dependency(name, desired, need.service, need.condition)
        state = {"state": "exited", "exit_code": 0} if service.one_shot else {"state": "running"}
        self._change(name, started=self.clock, **state)

    def _check_dependency(self, name: str, desired: Desired, needed: str, condition: str) -> None:
        others = [item for item in self.containers.values() if item.service == needed]
        if condition == "service_completed_successfully":
            done = [
                item for item in others if item.state == "exited" and item.exit_code == 0 and item.started
            ]
            _need(bool(done), f"{name} starts before {needed} has completed")
        elif not desired.service(needed).one_shot:
            running = [item for item in others if item.state == "running"]
            count = desired.service(needed).replicas
            _need(len(running) >= count, f"{name} starts before {needed}")


def _need(claim: bool, otherwise: str) -> None:
    if not claim:
        raise Refused(otherwise)


def walk(model: Model, plan: Plan, desired: Desired, random: Random, steps: int | None = None) -> None:
    """Do the steps in one of the orders that the plan allows, all of them or the first few."""
    left = dict(enumerate(plan.steps))
    done: set[int] = set()
    for _ in range(len(left) if steps is None else steps):
        ready = [index for index, item in left.items() if done.issuperset(item.after)]
        assert ready, "a step waits for one that never comes"
        index = random.choice(ready)
        model.do(left.pop(index).step, desired)
        done.add(index)


def view(model: Model) -> Mapping[str, object]:
    """Return what two engines have in common when they hold the same: everything but identity and time."""
    containers = {
        item.name: (item.service, item.digest, item.state, item.image, item.networks, _targets(item))
        for item in model.containers.values()
    }
    networks = {item.name: item.labels.get(names.DIGEST) for item in model.networks.values()}
    return {"containers": containers, "networks": networks, "volumes": observed_names(model.observed.volumes)}


def observed_names(items: Collection[Volume]) -> tuple[str, ...]:
    return tuple(item.name for item in items)


def _targets(container: Container) -> tuple[str, ...]:
    return tuple(target for _, target in container.anonymous)


Mishap = Callable[[Model, Random], None]
"""Something that happens to containers while scaffold does not look."""


def _exit(model: Model, random: Random) -> None:
    for name in _some(model, random, "running"):
        model._change(name, state="exited", exit_code=1)


def _remove(model: Model, random: Random) -> None:
    for name in _some(model, random, "running", "exited"):
        del model.containers[name]


def _pause(model: Model, random: Random) -> None:
    for name in _some(model, random, "running"):
        model._change(name, state="paused")


def _crash_loop(model: Model, random: Random) -> None:
    for name in _some(model, random, "running"):
        model._change(name, state="restarting", exit_code=1)


def _new_image(model: Model, random: Random) -> None:
    if model.images:
        reference = random.choice(sorted(model.images))
        model.images[reference] = replace(model.images[reference], id=model.identity())


def _nothing(_: Model, __: Random) -> None:
    return


MISHAPS: tuple[Mishap, ...] = (_nothing, _nothing, _exit, _remove, _pause, _crash_loop, _new_image)


def _some(model: Model, random: Random, *states: str) -> list[str]:
    found = sorted(name for name, item in model.containers.items() if item.state in states)
    return random.sample(found, min(len(found), random.randint(1, 2)))
