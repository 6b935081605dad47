"""What the engine says of a project, in a form in which two of them can be compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import docker

# What differs between any two containers: identity, time, and what the engine draws by lot.
_OWN = (
    *("Id", "Created", "State", "ResolvConfPath", "HostnamePath", "HostsPath", "LogPath", "GraphDriver"),
    "ExecIDs",  # a health check that runs just now
)
_DRAWN = (
    "SandboxID",
    "SandboxKey",
    "EndpointID",
    "Gateway",
    "IPAddress",
    "NetworkID",
    "MacAddress",
    "IPPrefixLen",
)
LABELS = {
    # Compose's digest of its own model; ours is of the engine's request.
    "com.docker.compose.config-hash": "the digest of what the container was made from",
    "com.docker.compose.image": "Compose notes the image's id; the engine has it in Image",
    "com.docker.compose.version": "the version of Compose",
    "com.docker.compose.project.environment_file": "only set by Compose when --env-file is given",
    "dev.scaffold.digest": "ours: what scaffold compares",
    "dev.scaffold.path": "ours: the checkout",
    "dev.scaffold.context": "ours: the digest of a build context, on the image",
}
"""Labels that may differ, with the reason."""
_DEPENDS_ON = "com.docker.compose.depends_on"


TYPED = {
    "HostConfig.ConsoleSize": "the docker command sends the size of its terminal",
    "Config.Healthcheck.Test": "the docker command knows only the shell form",
    "Config.Entrypoint": "the docker command takes one word of it; the rest goes before the command",
    "Config.Cmd": "compared together with the entrypoint",
    "Config.AttachStdin": "`docker create --interactive` attaches, for a later `docker start --attach`",
    "Config.StdinOnce": "the same",
}
"""Fields in which the printed commands come out otherwise, with the reason."""


def documents(engine: docker.DockerClient, name: str) -> dict[str, Any]:
    """Return what the engine says of everything in the project, without what differs between any two."""
    label = {"label": f"com.docker.compose.project={name}"}
    containers = [
        engine.api.inspect_container(c["Id"]) for c in engine.api.containers(all=True, filters=label)
    ]
    ids = {item["Id"]: item["Name"].lstrip("/") for item in containers}
    ids |= {item["Id"]: item["Name"] for item in engine.api.networks()}
    found: dict[str, Any] = {item["Name"].lstrip("/"): plain(item, ids) for item in containers}
    for network in engine.api.networks(filters=label):
        kept = ("Driver", "Options", "Internal", "Attachable", "EnableIPv6", "Scope", "Ingress")
        own = {key: network[key] for key in kept} | {"Labels": labels(network["Labels"])}
        if network["Name"].endswith("_first"):  # the others' addresses are drawn from the engine's pool
            own["IPAM"] = network["IPAM"]
        found[f"network {network['Name']}"] = own
    for volume in engine.api.volumes(filters=label)["Volumes"] or ():
        own = {key: volume[key] for key in ("Driver", "Options", "Scope")}
        found[f"volume {volume['Name']}"] = own | {"Labels": labels(volume["Labels"])}
    return found


def plain(document: Mapping[str, Any], ids: Mapping[str, str]) -> dict[str, Any]:
    """Return an inspect document as it can be compared: no identity, no time, sets in order, ids as names."""
    made = {key: value for key, value in document.items() if key not in _OWN}
    short = document["Id"][:12]
    config, host, network = dict(made["Config"]), dict(made["HostConfig"]), dict(made["NetworkSettings"])
    built = not config["Image"].startswith("debian:")
    made["Image"] = "built" if built else made["Image"]
    config["Labels"] = labels(config["Labels"])
    # A container that uses another one's network has its host name as well.
    config["Hostname"] = next(
        (name for key, name in ids.items() if key[:12] == config["Hostname"]), config["Hostname"]
    )
    config["Labels"][_DEPENDS_ON] = sorted(config["Labels"].get(_DEPENDS_ON, "").split(","))
    config["ExposedPorts"] = sorted(config.get("ExposedPorts") or ())
    config["Env"] = sorted(config["Env"] or ())
    for key in ("NetworkMode", "IpcMode", "PidMode"):
        kind, _, owner = host[key].rpartition(":")
        host[key] = f"{kind}:{ids.get(owner, owner)}"
    # Compose goes through maps of its own; the order has no meaning.
    for key in ("CapAdd", "CapDrop"):  # both spellings are the same capability
        host[key] = [capability.removeprefix("CAP_") for capability in host[key] or ()]
    for key in ("Ulimits", "ExtraHosts"):
        host[key] = sorted(host.get(key) or [], key=str)
    host["Mounts"] = sorted([*(host.get("Mounts") or ()), *map(as_mount, host.pop("Binds") or ())], key=str)
    made["Mounts"] = sorted(map(mount, made["Mounts"]), key=str)
    made["NetworkSettings"] = {
        "Networks": {
            name: {
                **{key: value for key, value in endpoint.items() if key not in _DRAWN},
                "MacAddress": endpoint["MacAddress"]
                if endpoint["MacAddress"].startswith("02:42:ac:11:00:4")
                else "",
                "Aliases": sorted(
                    "(the id)" if alias == short else alias for alias in endpoint["Aliases"] or ()
                ),
                "DNSNames": sorted(
                    "(the id)" if name == short else name for name in endpoint["DNSNames"] or ()
                ),
            }
            for name, endpoint in network["Networks"].items()
        },
        "Ports": sorted(
            f"{binding['HostIp']} {target}"
            for target, bindings in network["Ports"].items()
            for binding in bindings or ()
        ),
    }
    return made | {"Config": config, "HostConfig": host}


def as_mount(bind: str) -> dict[str, Any]:
    """Return the old notation as the new one: Compose has changed between them for volumes."""
    source, target, options = bind.split(":")
    if source.startswith("/"):
        return {"Type": "bind", "Source": source, "Target": target, "Options": options}
    return {"Type": "volume", "Source": source, "Target": target} | (
        {"ReadOnly": True} if options == "ro" else {}
    )


def mount(item: Mapping[str, Any]) -> dict[str, Any]:
    anonymous = item["Type"] == "volume" and len(item["Name"]) == 64
    # The mode repeats the notation; what counts is in RW.
    return dict(item) | {"Mode": ""} | ({"Name": "(anonymous)", "Source": "(anonymous)"} if anonymous else {})


def labels(found: Mapping[str, str] | None) -> dict[str, str]:
    return {name: value for name, value in (found or {}).items() if name not in LABELS}


def flat(value: object, path: str = "") -> dict[str, object]:
    """Return every field by its path, so that a difference names what differs.

    What is empty counts as left out: the engine shows `[]` for an empty list that was sent, else `null`.
    """
    if isinstance(value, Mapping) and value:
        pairs = [(f"{path}.{key}", item) for key, item in value.items()]
    elif isinstance(value, list) and value:
        pairs = [(f"{path}[{index}]", item) for index, item in enumerate(value)]
    else:
        return {} if value in (None, {}, []) else {path.lstrip("."): value}
    return {name: item for key, part in pairs for name, item in flat(part, key).items()}


def typed(document: Mapping[str, Any]) -> dict[str, object]:
    """Return the fields of a container that a person can make with the docker command."""
    fields = {key: value for key, value in flat(document).items() if not key.startswith(tuple(TYPED))}
    config = document["Config"]
    return fields | {"command": [*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ())]}
