"""What the whole engine holds, beyond one project: ports, and what a lost .env left behind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from scaffold.engine import observe
from scaffold.engine.client import Engine, engine_errors
from scaffold.stack import names
from scaffold.stack.observed import Container


def ports(engine: Engine) -> set[int]:
    """Return the host ports that any container asks for, whether it runs or not."""
    found: set[int] = set()
    with engine_errors("reading the ports in use"):
        for item in engine.api.containers(all=True):
            running = {port["PublicPort"] for port in item.get("Ports") or () if port.get("PublicPort")}
            # The list says nothing of the ports that a stopped container will ask for when it starts.
            stopped = item["State"] != "running" and names.PATH in (item.get("Labels") or {})
            found |= _requested(engine, item["Id"]) if stopped else running
    return found


def _requested(engine: Engine, container_id: str) -> set[int]:
    from docker.errors import NotFound

    try:
        document = engine.api.inspect_container(container_id)
    except NotFound:
        return set()
    return _host_ports(document)


def _host_ports(document: Mapping[str, Any]) -> set[int]:
    return {
        int(binding["HostPort"])
        for bindings in (document["HostConfig"].get("PortBindings") or {}).values()
        for binding in bindings or ()
        if str(binding.get("HostPort", "")).isdigit()
    }


def own_containers(engine: Engine, project: str, path: str) -> tuple[Container, ...]:
    """Return the project's containers, as far as they were made at `path`."""
    with engine_errors("reading the containers"):
        return tuple(item for item in observe.containers(engine, project) if item.path == path)


def own_ports(containers: Iterable[Container]) -> frozenset[int]:
    """Return the host ports that these containers ask for."""
    return frozenset(port for item in containers for port in _host_ports(item.body))


def projects_at(engine: Engine, path: str) -> tuple[str, ...]:
    """Return the names of the projects whose containers or volumes were made at `path`."""
    filters = {"label": [f"{names.PATH}={path}"]}
    with engine_errors("reading what was made here before"):
        found = engine.get("/containers/json", all=1, filters=filters)
        found += engine.get("/volumes", filters=filters)["Volumes"] or []
    return tuple(sorted({(item.get("Labels") or {}).get(names.PROJECT, "") for item in found} - {""}))
