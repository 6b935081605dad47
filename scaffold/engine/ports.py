"""Find out, before anything is started, whether a published port is taken, and by whom."""

from __future__ import annotations

from dataclasses import dataclass

from scaffold.checkout import is_free
from scaffold.engine.client import Engine, engine_errors
from scaffold.errors import PortTaken
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
        if port.published.isdigit() and port.protocol == "tcp"
    ]
    taken = [(service, port) for service, port in wanted if not is_free(int(port.published), port.host_ip)]
    if not taken or not engine.is_local:
        return
    leaving = {
        item.step.name for item in plan.steps if isinstance(item.step, StopContainer | RemoveContainer)
    }
    publishers = _publishers(engine)
    for service, port in taken:
        holder = publishers.get(int(port.published))
        if holder is None or holder.container not in leaving:
            raise _taken(service, port, holder)


def _starting(desired: Desired, plan: Plan) -> set[str]:
    """Return the services of which a container is created or started."""
    started = {item.step.name for item in plan.steps if isinstance(item.step, StartContainer)}
    return {
        service.name
        for service in desired.services
        if started & {container_name(desired, service, n + 1) for n in range(service.replicas)}
    }


def _publishers(engine: Engine) -> dict[int, _Publisher]:
    found = {}
    with engine_errors("reading the ports in use"):
        for item in engine.get("/containers/json"):
            labels = item.get("Labels") or {}
            path = labels.get(names.PATH) or labels.get(names.WORKING_DIR, "")
            publisher = _Publisher(item["Names"][0].lstrip("/"), labels.get(names.PROJECT, ""), path)
            for port in item.get("Ports") or ():
                if port.get("PublicPort"):
                    found[port["PublicPort"]] = publisher
    return found


def _taken(service: Service, port: Port, holder: _Publisher | None) -> PortTaken:
    number = int(port.published)
    needed = f'Port {number}, which "{service.name}" needs, is taken by'
    way_on = f"or put another port into .env; inside the container it stays {port.target}"
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
    process = listener(number)
    if process:
        name, pid = process
        return PortTaken(f"{needed} {name} (pid {pid}).", f"Stop it with `kill {pid}`, {way_on}.")
    return PortTaken(
        f"{needed} another process.", f"Find it with `sudo ss -ltnp 'sport = :{number}'`, {way_on}."
    )


def listener(port: int) -> tuple[str, int] | None:
    """Return name and pid of the process that listens on a port, None when this user may not know."""
    import psutil

    try:
        connections = psutil.net_connections("tcp")
    except (psutil.AccessDenied, OSError):  # macOS shows other people's connections to root only
        return None
    for connection in connections:
        here = connection.laddr[1] if connection.laddr else None
        if connection.status == psutil.CONN_LISTEN and here == port and connection.pid:
            try:
                return psutil.Process(connection.pid).name(), connection.pid
            except psutil.Error:
                return None
    return None
