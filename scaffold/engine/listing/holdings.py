"""Read the project's volumes and networks as a person looks at them: how large, how old, who is attached."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from scaffold.engine import observe
from scaffold.engine.answers import moment
from scaffold.engine.client import Engine, engine_errors
from scaffold.stack import names
from scaffold.stack.desired import Desired
from scaffold.stack.everyday import Attachment, ProjectNetwork, ProjectVolume

Listed = Mapping[str, Any]
"""An entry of one of the engine's lists."""


def volumes(engine: Engine, desired: Desired) -> tuple[ProjectVolume, ...]:
    """Return the volumes of compose.yaml, there or not, and those that an earlier version of it left."""
    with engine_errors("reading the volumes"):
        found = {item.name: item for item in observe.volumes(engine, desired.project)}
        declared = {item.name: item for item in desired.volumes}
        found |= {item.name: item for item in observe.volumes(engine, desired.project, declared)}
        attached = _at_volumes(engine.get("/containers/json", all=True))
    sizes = observe.volume_sizes(engine, found) if found else {}
    used = {name for service in desired.services for name in service.volumes}
    return tuple(
        ProjectVolume(
            name=name,
            exists=name in found,
            declared=name in declared,
            external=name in declared and declared[name].external,
            driver=found[name].driver if name in found else declared[name].driver or "local",
            size=known(sizes.get(name)),
            created=found[name].created if name in found else None,
            attached=attached.get(name, ()),
        )
        for name in sorted(found.keys() | (declared.keys() & used))
    )


def networks(engine: Engine, desired: Desired) -> tuple[ProjectNetwork, ...]:
    """Return the networks of compose.yaml, there or not, and those that an earlier version of it left."""
    declared = {item.name: item for item in desired.networks}
    with engine_errors("reading the networks"):
        found = {
            item["Name"]: item
            for item in engine.get("/networks")
            if item["Name"] in declared or (item.get("Labels") or {}).get(names.PROJECT) == desired.project
        }
        attached = _at_networks(engine.get("/containers/json", all=True))
    used = {name for service in desired.services for name in service.networks}
    return tuple(
        ProjectNetwork(
            name=name,
            exists=name in found,
            declared=name in declared,
            external=name in declared and declared[name].external,
            driver=found[name].get("Driver", "") if name in found else declared[name].driver or "bridge",
            subnets=_subnets(found[name]) if name in found else (),
            created=_created(found.get(name, {})),
            attached=attached.get(name, ()),
        )
        for name in sorted(found.keys() | (declared.keys() & used))
    )


def known(size: int | None) -> int | None:
    """Return the size as far as the engine knows it: -1 is its word for a driver that does not tell."""
    return None if size is None or size < 0 else size


def _created(network: Listed) -> datetime | None:
    return moment(network["Created"]) if "Created" in network else None


def _subnets(network: Listed) -> tuple[str, ...]:
    pools = (network.get("IPAM") or {}).get("Config") or ()
    return tuple(pool["Subnet"] for pool in pools if pool.get("Subnet"))


def _attachment(container: Listed, at: str) -> Attachment:
    return Attachment(
        container=container["Names"][0].lstrip("/"),
        service=(container.get("Labels") or {}).get(names.SERVICE, ""),
        running=container["State"] == "running",
        at=at,
    )


def _at_volumes(containers: list[Any]) -> dict[str, tuple[Attachment, ...]]:
    found: dict[str, tuple[Attachment, ...]] = {}
    for item in containers:
        for mount in item.get("Mounts") or ():
            if mount.get("Type") == "volume" and item.get("Names"):
                name = mount.get("Name", "")
                found[name] = (*found.get(name, ()), _attachment(item, mount.get("Destination", "")))
    return {name: _sorted(items) for name, items in found.items()}


def _at_networks(containers: list[Any]) -> dict[str, tuple[Attachment, ...]]:
    found: dict[str, tuple[Attachment, ...]] = {}
    for item in containers:
        for name, endpoint in ((item.get("NetworkSettings") or {}).get("Networks") or {}).items():
            if item.get("Names"):
                found[name] = (*found.get(name, ()), _attachment(item, endpoint.get("IPAddress", "")))
    return {name: _sorted(items) for name, items in found.items()}


def _sorted(items: tuple[Attachment, ...]) -> tuple[Attachment, ...]:
    return tuple(sorted(items, key=lambda item: item.container))
