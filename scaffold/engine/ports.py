"""Find out, before anything is started, whether a published port is taken, and by whom."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import dataclass

from scaffold.engine.client import Engine, engine_errors
from scaffold.errors import EngineError, PortTaken, ProjectError
from scaffold.project.ports import obstacle
from scaffold.stack import names
from scaffold.stack.desired import Desired, Port, Service, container_name
from scaffold.stack.plan import Plan
from scaffold.stack.steps import RemoveContainer, StartContainer, StopContainer


@dataclass(frozen=True)
class _Publisher:
    container: str
    project: str
    path: str


def check(engine: Engine, desired: Desired, plan: Plan) -> None:
    """Raise PortTaken for the first port that a step of the plan needs and somebody else holds."""
    starting = _starting(desired, plan)
    wanted = [
        (service, port)
        for service in desired.services
        if service.name in starting
        for port in service.ports
        if port.number and port.protocol in ("tcp", "udp")
    ]
    _check_each_once(desired)
    if not engine.is_local:
        return
    refused = [
        (service, port, number)
        for service, port in wanted
        # A low port that only root may try: the engine may have it.
        if (number := obstacle(port.number, port.host_ip, port.protocol)) not in (0, errno.EACCES)
    ]
    if not refused:
        return
    leaving = {
        item.step.name for item in plan.steps if isinstance(item.step, StopContainer | RemoveContainer)
    }
    publishers = _publishers(engine)
    for service, port, number in refused:
        holder = _holder(publishers, port)
        if holder is None or holder.container not in leaving:
            raise _refused(service, port, holder, number)


@dataclass(frozen=True)
class Holders:
    """How the project's published ports stand, the numbers as text."""

    free: list[str]
    own: list[str]
    trouble: list[EngineError]
    """One for each that somebody else holds, as a run would say it."""


def holders(engine: Engine, desired: Desired) -> Holders:
    """Return how the published ports stand. Raises ProjectError when two services want the same one."""
    _check_each_once(desired)
    publishers = _publishers(engine)
    found = Holders([], [], [])
    for service in desired.services:
        for port in service.ports:
            if not port.number or not engine.is_local:
                continue
            number = obstacle(port.number, port.host_ip, port.protocol)
            holder = _holder(publishers, port)
            if number in (0, errno.EACCES):
                found.free.append(port.published)
            elif holder and holder.project == desired.project:
                found.own.append(port.published)
            else:
                found.trouble.append(_refused(service, port, holder, number))
    return found


def _check_each_once(desired: Desired) -> None:
    """Raise ProjectError when two services publish the same port at the same address."""
    seen: list[tuple[Service, Port]] = []
    for service in desired.services:
        for port in service.ports:
            if not port.number:
                continue
            for other, theirs in seen:
                if other is not service and _meet(port, theirs):
                    raise ProjectError(
                        f"Services {other.name} and {service.name} publish the same port, {port.published}.",
                        "Give one of them another port in `ports:` of compose.yaml, or in .env.",
                    )
            seen.append((service, port))


def _meet(one: Port, other: Port) -> bool:
    same = (one.published, one.protocol) == (other.published, other.protocol)
    return same and _is_same_place(one.host_ip, other.host_ip)


def _is_same_place(one: str, other: str) -> bool:
    """Return whether two host addresses cannot be listened on side by side."""
    return one == other or bool({"", "0.0.0.0", "::"} & {one, other})


def _starting(desired: Desired, plan: Plan) -> set[str]:
    """Return the services of which a container is created or started."""
    started = {item.step.name for item in plan.steps if isinstance(item.step, StartContainer)}
    return {
        service.name
        for service in desired.services
        if started & {container_name(desired, service, n + 1) for n in range(service.replicas)}
    }


def _holder(
    publishers: Mapping[tuple[int, str], list[tuple[str, _Publisher]]], port: Port
) -> _Publisher | None:
    """Return the container that publishes a port at an address which meets the wanted one."""
    for address, publisher in publishers.get((port.number, port.protocol), ()):
        if _is_same_place(address, port.host_ip):
            return publisher
    return None


def _publishers(engine: Engine) -> dict[tuple[int, str], list[tuple[str, _Publisher]]]:
    found: dict[tuple[int, str], list[tuple[str, _Publisher]]] = {}
    with engine_errors("reading the ports in use"):
        for item in engine.get("/containers/json"):
            labels = item.get("Labels") or {}
            path = labels.get(names.PATH) or labels.get(names.WORKING_DIR, "")
            name = item["Names"][0].lstrip("/") if item.get("Names") else item["Id"][:12]
            publisher = _Publisher(name, labels.get(names.PROJECT, ""), path)
            for port in item.get("Ports") or ():
                if port.get("PublicPort"):
                    key = (port["PublicPort"], port.get("Type", "tcp"))
                    found.setdefault(key, []).append((port.get("IP", ""), publisher))
    return found


def _refused(service: Service, port: Port, holder: _Publisher | None, error: int) -> EngineError:
    if error == errno.EADDRNOTAVAIL:
        return EngineError(
            f'"{service.name}" publishes a port on {port.host_ip}, which is no address of this machine.',
            "Use `127.0.0.1` (this machine only) or `0.0.0.0` (every address) in `ports:` of compose.yaml.",
        )
    return _taken(service, port, holder)


def _taken(service: Service, port: Port, holder: _Publisher | None) -> PortTaken:
    number = port.number
    kind = "UDP port" if port.protocol == "udp" else "Port"
    needed = f'{kind} {number}, which "{service.name}" needs, is taken by'
    way_on = (
        "or choose free ports with `scaffold env --renew` (one in compose.yaml is changed there); "
        f"inside the container it stays {port.target}"
    )
    if holder and holder.path:
        return PortTaken(
            f"{needed} container {holder.container} of the project in {holder.path}.",
            f"Stop that one with `scaffold stop {holder.path}`, {way_on}.",
        )
    if holder:
        return PortTaken(
            f"{needed} container {holder.container}.",
            f"Stop it with `docker stop {holder.container}`, {way_on}.",
        )
    process = listener(number, port.protocol)
    if process:
        name, pid = process
        return PortTaken(f"{needed} {name} (pid {pid}).", f"Stop it with `kill {pid}`, {way_on}.")
    flags = "-lunp" if port.protocol == "udp" else "-ltnp"
    return PortTaken(
        f"{needed} another process.", f"Find it with `sudo ss {flags} 'sport = :{number}'`, {way_on}."
    )


def listener(port: int, protocol: str = "tcp") -> tuple[str, int] | None:
    """Return name and pid of the process that listens on a port, None when this user may not know."""
    import psutil

    # UDP knows no listening: a socket that has the port has it.
    state = psutil.CONN_NONE if protocol == "udp" else psutil.CONN_LISTEN
    try:
        connections = psutil.net_connections("udp" if protocol == "udp" else "tcp")
    except (psutil.AccessDenied, OSError):  # macOS shows other people's connections to root only
        return None
    for connection in connections:
        here = connection.laddr[1] if connection.laddr else None
        if connection.status == state and here == port and connection.pid:
            try:
                return psutil.Process(connection.pid).name(), connection.pid
            except psutil.Error:
                return None
    return None
