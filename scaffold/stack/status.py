"""Say how the project stands: what is asked for beside what is there. Pure; the clock is the reader's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from scaffold.stack import desired as wish
from scaffold.stack import once
from scaffold.stack.desired import Desired, Service
from scaffold.stack.observed import Container, Observed
from scaffold.stack.plan import Plan

_EVERYWHERE = ("", "0.0.0.0", "::")
_NOT_HTTP = (1433, 1521, 3306, 5432, 5672, 6379, 9042, 9092, 11211, 27017)
"""Ports on which databases and brokers speak their own protocols."""


@dataclass(frozen=True)
class ServiceStatus:
    """One container of a service, or its place where there is none (`absent`, or `completed` for good)."""

    name: str
    container: str | None
    state: str
    """the engine's word, or `absent`, or `completed` for a one-shot that succeeded"""
    health: str | None
    image: str
    ports: tuple[str, ...] = ()
    """`127.0.0.1:8000→8000/tcp`"""
    exit_code: int | None = None
    restarts: int = 0
    created: datetime | None = None
    started: datetime | None = None


@dataclass(frozen=True)
class NetworkStatus:
    name: str
    exists: bool


@dataclass(frozen=True)
class VolumeStatus:
    name: str
    exists: bool
    size: int | None = None
    """bytes"""
    created: datetime | None = None
    declared: bool = True
    """It is in compose.yaml; data of an earlier version of the project may still be there."""


@dataclass(frozen=True)
class Status:
    """What `scaffold status` shows; the field names are the contract of `--json`."""

    project: str
    path: str
    url: str | None
    up_to_date: bool
    services: tuple[ServiceStatus, ...] = ()
    networks: tuple[NetworkStatus, ...] = ()
    volumes: tuple[VolumeStatus, ...] = ()
    orphans: tuple[str, ...] = ()
    unproven: tuple[str, ...] = ()
    """Services with a database that nobody has logged in to since it was started: it may refuse. Empty where
    something is to be changed before."""


@dataclass(frozen=True)
class Summary:
    """What a run ends with; a password in `database` is masked when it is shown."""

    project: str
    url: str | None
    database: str | None
    """The address for a client on this machine."""
    changed: bool
    """Something had to be done."""
    seconds: float
    has_data: bool = False
    """There is a volume that `down` leaves alone."""


def status(
    desired: Desired, observed: Observed, plan: Plan, volumes_size: Mapping[str, int] | None = None
) -> Status:
    """Return how each part of the project stands; `plan` leads from `observed` to `desired`."""
    services = [item for service in desired.services for item in _service(desired, service, observed)]
    services += [
        _container(item, one_shot=False) for name in desired.inactive for item in observed.of_service(name)
    ]
    unproven = tuple(
        service.name
        for service in desired.services
        if not plan.changes
        and any(item.name in observed.unproven for item in observed.of_service(service.name))
    )
    return Status(
        project=desired.project,
        path=desired.path,
        url=url(desired, observed),
        up_to_date=not plan.changes and not unproven,
        services=tuple(services),
        networks=_networks(desired, observed),
        volumes=_volumes(desired, observed, volumes_size or {}),
        orphans=_orphans(desired, observed),
        unproven=unproven,
    )


def containers(desired: Desired, observed: Observed) -> tuple[ServiceStatus, ...]:
    """Return every container of the project by service and name, one-off and leftover ones too."""
    one_shots = {service.name for service in desired.services if service.one_shot}
    found = sorted(observed.containers, key=lambda item: (item.service, item.name))
    return tuple(_container(item, one_shot=item.service in one_shots) for item in found)


def url(desired: Desired, observed: Observed) -> str | None:
    """Return where the project answers: a service that says how it is ready, or the first published port."""
    known = [service for service in desired.services if service.ready_path]
    others = [service for service in desired.services if not service.ready_path and not service.one_shot]
    for service in (*known, *others):
        for port in service.ports:
            if port.protocol != "tcp" or (service not in known and port.target in _NOT_HTTP):
                continue
            for container in observed.of_service(service.name):
                address = (
                    _published(container, f"{port.target}/tcp") if container.state == "running" else None
                )
                if address:
                    return f"http://{address}"
    return None


def _published(container: Container, target: str) -> str | None:
    """Return `127.0.0.1:8000` for a port that is published now, IPv4 first."""
    found = sorted((":" in host, host, port) for name, host, port in container.ports if name == target)
    if not found:
        return None
    _, host, port = found[0]
    return f"{_reachable(host)}:{port}"


def _reachable(host: str) -> str:
    if host in _EVERYWHERE:
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _service(desired: Desired, service: Service, observed: Observed) -> list[ServiceStatus]:
    found = {item.name: item for item in observed.of_service(service.name)}
    expected = [wish.container_name(desired, service, n) for n in range(1, service.replicas + 1)]
    state = "completed" if not found and once.is_done(desired, service, observed) else "absent"
    items = [
        _container(found.pop(name), one_shot=service.one_shot)
        if name in found
        else ServiceStatus(service.name, None, state, None, service.image)
        for name in expected
    ]
    return items + [_container(item, one_shot=service.one_shot) for item in found.values()]


def _container(container: Container, *, one_shot: bool) -> ServiceStatus:
    ended = container.state in ("exited", "dead")
    completed = one_shot and container.state == "exited" and container.exit_code == 0
    return ServiceStatus(
        name=container.service,
        container=container.name,
        state="completed" if completed else container.state,
        health=(container.health or None) if not ended else None,
        image=container.image,
        ports=tuple(_port(*port) for port in sorted(container.ports)),
        exit_code=container.exit_code if ended else None,
        restarts=container.restarts,
        created=container.created,
        started=container.started,
    )


def _port(target: str, host: str, published: int) -> str:
    address = f"[{host}]" if ":" in host else host or "0.0.0.0"
    return f"{address}:{published}→{target}"


def _networks(desired: Desired, observed: Observed) -> tuple[NetworkStatus, ...]:
    used = {name for service in desired.services for name in service.networks}
    found = {network.name for network in observed.networks}
    return tuple(
        NetworkStatus(network.name, network.name in found)
        for network in desired.networks
        if network.name in used | found
    )


def _volumes(desired: Desired, observed: Observed, sizes: Mapping[str, int]) -> tuple[VolumeStatus, ...]:
    used = {name for service in desired.services for name in service.volumes}
    found = {volume.name: volume for volume in observed.volumes}
    declared = {volume.name for volume in desired.volumes}
    wanted = [volume.name for volume in desired.volumes if volume.name in used or volume.name in found]
    left = sorted(
        volume.name
        for volume in observed.volumes
        if volume.project == desired.project and volume.name not in declared
    )
    return tuple(
        VolumeStatus(
            name=name,
            exists=name in found,
            size=sizes.get(name),
            created=found[name].created if name in found else None,
            declared=name in declared,
        )
        for name in (*wanted, *left)
    )


def _orphans(desired: Desired, observed: Observed) -> tuple[str, ...]:
    known = {service.name for service in desired.services} | set(desired.inactive)
    return tuple(
        sorted(
            container.name
            for container in observed.containers
            if container.service not in known and not container.one_off
        )
    )
