"""The whole requests for containers, networks and volumes, with the labels that tie them to a checkout."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from scaffold.stack import names
from scaffold.stack.desired import Desired, Network, Service, Volume, container_digest, container_name
from scaffold.stack.requests.container import resolved_modes

_POOL = {
    "subnet": "Subnet",
    "ip_range": "IPRange",
    "gateway": "Gateway",
    "aux_addresses": "AuxiliaryAddresses",
}
"""Compose's words for what an address pool has, and the engine's."""


def container_request(
    desired: Desired,
    service: Service,
    number: int,
    keeps: Iterable[tuple[str, str]] = (),
    image_id: str = "",
) -> dict[str, object]:
    """Return the engine's create request for one container, labels and network aliases included.

    `keeps` are (volume, target) of anonymous volumes that it takes over from the container it replaces,
    `image_id` that of its image: `docker compose up` replaces a container that does not carry it.
    """
    name = container_name(desired, service, number)
    request = dict(service.body)
    own_labels = request.get("Labels")
    labels: dict[str, str] = dict(own_labels) if isinstance(own_labels, dict) else {}
    labels |= {
        names.PROJECT: desired.project,
        names.SERVICE: service.name,
        names.NUMBER: str(number),
        names.ONE_OFF: "False",
        names.CONFIG_HASH: desired.hashes.get(service.name) or container_digest(service),
        names.WORKING_DIR: desired.path,
        names.CONFIG_FILES: ",".join(desired.config_files),
        names.DEPENDS_ON: ",".join(
            f"{item.service}:{item.condition}:{str(item.restart).lower()}"
            for item in service.depends_on
            if item.service not in desired.inactive
        ),
        names.DIGEST: container_digest(service),
        names.PATH: desired.path,
    }
    labels |= {names.IMAGE: image_id} if image_id else {}
    request["Labels"] = labels
    request["Image"] = service.image
    request["HostConfig"] = _host_config(desired, service, dict(keeps))
    networking = request.get("NetworkingConfig")
    if isinstance(networking, dict):
        endpoints = {
            network: {**endpoint, "Aliases": [name, *endpoint.get("Aliases", ())]}
            for network, endpoint in networking["EndpointsConfig"].items()
        }
        request["NetworkingConfig"] = {"EndpointsConfig": endpoints}
    return request


def _host_config(desired: Desired, service: Service, keeps: Mapping[str, str]) -> dict[str, object]:
    own = service.body.get("HostConfig")
    names_of = {name: container_name(desired, desired.service(name), 1) for name in service.shares}
    host = resolved_modes(own if isinstance(own, Mapping) else {}, names_of)
    if not keeps:
        return host
    targets = set(keeps.values())
    mounts = host.get("Mounts")
    others = [mount for mount in mounts if mount["Target"] not in targets] if isinstance(mounts, list) else []
    kept = [{"Type": "volume", "Source": name, "Target": target} for name, target in sorted(keeps.items())]
    return host | {"Mounts": [*others, *kept]}


def network_request(desired: Desired, network: Network) -> dict[str, object]:
    """Return the engine's create request for a network, labels included."""
    request = {
        "Name": network.name,
        "Driver": network.driver or "bridge",
        "Options": dict(network.options),
        "Internal": network.internal,
        "Attachable": network.attachable,
        "EnableIPv6": network.ipv6,
        "Labels": dict(network.labels)
        | {
            names.PROJECT: desired.project,
            names.NETWORK: network.key,
            names.DIGEST: network.digest,
            names.PATH: desired.path,
        },
    }
    return request | ({"IPAM": _ipam(network)} if network.ipam else {})


def _ipam(network: Network) -> dict[str, object]:
    """Return Compose's ipam section in the engine's words."""
    section = json.loads(network.ipam)
    return {
        "Driver": section.get("driver") or "default",
        "Config": [
            {word: pool[key] for key, word in _POOL.items() if pool.get(key)}
            for pool in section.get("config") or ()
        ],
        "Options": section.get("options") or {},
    }


def volume_request(desired: Desired, volume: Volume) -> dict[str, object]:
    """Return the engine's create request for a volume, labels included."""
    request: dict[str, object] = {
        "Name": volume.name,
        "DriverOpts": dict(volume.options),
        "Labels": dict(volume.labels)
        | {names.PROJECT: desired.project, names.VOLUME: volume.key, names.PATH: desired.path},
    }
    return request | ({"Driver": volume.driver} if volume.driver else {})
