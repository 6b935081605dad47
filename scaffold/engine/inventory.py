"""What the whole engine holds, beyond one project: ports, and what a lost .env left behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scaffold.engine.client import Engine, engine_errors
from scaffold.stack import names


@dataclass(frozen=True)
class Recovered:
    """What a checkout's containers still know of an .env that was deleted."""

    variables: Mapping[str, str] = field(default_factory=dict)
    ports: frozenset[int] = frozenset()
    """Host ports of its own containers: free for it, although something listens there."""


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


def recovered(engine: Engine, project: str, path: str) -> Recovered:
    """Return the variables and ports of the project's containers, as far as they were made at `path`."""
    variables: dict[str, str] = {}
    found: set[int] = set()
    with engine_errors("reading the containers"):
        for item in engine.api.containers(all=True, filters={"label": f"{names.PROJECT}={project}"}):
            labels = item.get("Labels") or {}
            if path not in (labels.get(names.PATH), labels.get(names.WORKING_DIR)):
                continue
            document = engine.api.inspect_container(item["Id"])
            entries = (entry.partition("=") for entry in document["Config"].get("Env") or ())
            variables |= {name: value for name, _, value in entries if value}
            found |= _host_ports(document)
    return Recovered(variables, frozenset(found))
