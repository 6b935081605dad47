"""What the whole engine holds, beyond one project: ports, and what a lost .env left behind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from scaffold.engine import observe
from scaffold.engine.client import Engine, engine_errors
from scaffold.engine.wire import Refused
from scaffold.numbers import whole
from scaffold.project.folders import is_same
from scaffold.stack import identity, names
from scaffold.stack.identity import Trace
from scaffold.stack.observed import Container
from scaffold.stack.plan import UP
from scaffold.stack.sharing import Mount, User


def ports(engine: Engine) -> set[int]:
    """Return the host ports that any container asks for, whether it runs or not."""
    found: set[int] = set()
    with engine_errors("reading the ports in use"):
        for item in engine.get("/containers/json", all=True):
            running = {port["PublicPort"] for port in item.get("Ports") or () if port.get("PublicPort")}
            # The list says nothing of the ports that a stopped container will ask for when it starts.
            stopped = item["State"] != "running" and names.PATH in (item.get("Labels") or {})
            found |= _requested(engine, item["Id"]) if stopped else running
    return found


def _requested(engine: Engine, container_id: str) -> set[int]:
    try:
        document = engine.get(f"/containers/{container_id}/json")
    except Refused as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
        return set()
    return _host_ports(document)


def _host_ports(document: Mapping[str, Any]) -> set[int]:
    return {
        number
        for bindings in (document["HostConfig"].get("PortBindings") or {}).values()
        for binding in bindings or ()
        if (number := whole(str(binding.get("HostPort", "")), 5)) is not None
    }


def volumes(engine: Engine) -> frozenset[str]:
    """Return the names of all volumes."""
    with engine_errors("reading the volumes"):
        return frozenset(item["Name"] for item in engine.get("/volumes").get("Volumes") or ())


def own_containers(engine: Engine, project: str, path: str) -> tuple[Container, ...]:
    """Return the project's containers, as far as they were made at `path`, or where no folder is any more."""
    with engine_errors("reading the containers"):
        found = observe.containers(engine, project)
    return tuple(item for item in found if item.path == path or _is_here(item.path, path))


def _is_here(made: str, path: str) -> bool:
    place = Path(made or "/")
    return is_same(place, Path(path)) or not place.exists()


def own_ports(containers: Iterable[Container]) -> frozenset[int]:
    """Return the host ports that these containers ask for."""
    return frozenset(port for item in containers for port in _host_ports(item.body))


def traces(engine: Engine) -> tuple[Trace, ...]:
    """Return every container and volume that carries a project's name, except one-off containers."""
    with engine_errors("reading what was made before"):
        containers = engine.get("/containers/json", all=True)
        volumes = engine.get("/volumes").get("Volumes") or ()
    found = [
        identity.trace("container", _name(item), item.get("Labels") or {}, running=item["State"] == "running")
        for item in containers
        if (item.get("Labels") or {}).get(names.ONE_OFF, "False") != "True"
    ]
    found += [identity.trace("volume", item["Name"], item.get("Labels") or {}) for item in volumes]
    return tuple(item for item in found if item.project)


def _name(item: Mapping[str, Any]) -> str:
    return str(item["Names"][0]).lstrip("/") if item["Names"] else str(item["Id"])[:12]


def users(engine: Engine) -> tuple[User, ...]:
    """Return every container of the engine with what it mounts."""
    with engine_errors("reading who uses what"):
        return tuple(_user(item) for item in engine.get("/containers/json", all=True))


def _user(item: Mapping[str, Any]) -> User:
    labels = item.get("Labels") or {}
    mounts = [
        Mount(
            str(mount.get("Name") if mount["Type"] == "volume" else mount.get("Source")),
            mount.get("Destination", ""),
            writable=bool(mount.get("RW", True)),
        )
        for mount in item.get("Mounts") or ()
        if mount.get("Type") in ("volume", "bind")
    ]
    return User(
        id=item["Id"],
        name=_name(item),
        project=names.maker(labels),
        path=labels.get(names.PATH) or labels.get(names.WORKING_DIR, ""),
        image=item.get("Image", ""),
        mounts=tuple(mounts),
        alive=item["State"] in UP,
    )


def places(engine: Engine) -> dict[str, str]:
    """Return the folder, or what a server is asked for, behind each volume that is another name of it."""
    with engine_errors("reading the volumes"):
        found = engine.get("/volumes").get("Volumes") or ()
    devices = {}
    for item in found:
        options = item.get("Options") or {}
        device, kind = str(options.get("device") or ""), str(options.get("o") or "")
        if device and device not in ("tmpfs", "none"):
            bound = "bind" in kind.split(",")
            devices[item["Name"]] = device if bound else f"{options.get('type', '')} {kind} {device}"
    return devices
