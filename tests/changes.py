"""Random small projects and chains of changes to them, for the property tests.

A project is a compose.yaml that Compose resolves to itself, so that the same document goes to the planner
as it is and to the engine through `scaffold run`.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random
from typing import Any

Document = dict[str, Any]

SERVICES = ("api", "cache", "db", "worker", "zoo")
NETWORKS = ("back", "front")
VOLUMES = ("data", "more")
IMAGE = "debian:trixie-slim"


@dataclass(frozen=True)
class Change:
    """One edit of compose.yaml, in words, and the document after it."""

    words: str
    document: Document


def project(random: Random, name: str, ports: Iterable[int] = ()) -> Document:
    """Return a valid project of one to four services."""
    document: Document = {"name": name, "services": {}, "networks": {}, "volumes": {}}
    document["x-ports"] = list(ports)
    for key in random.sample(NETWORKS, random.randint(1, 2)):
        document["networks"][key] = {"name": f"{name}_{key}"}
    for key in random.sample(VOLUMES, random.randint(0, 2)):
        document["volumes"][key] = {"name": f"{name}_{key}"}
    for key in sorted(random.sample(SERVICES, random.randint(1, 4))):
        document["services"][key] = _service(random, document, key)
    return mended(document)


def chain(random: Random, first: Document, length: int) -> list[Change]:
    """Return edits one after the other, each of which changes something."""
    found: list[Change] = []
    document = first
    while len(found) < length:
        words, after = _edit(random, document)
        if after != document:
            found.append(Change(words, after))
            document = after
    return found


def text(document: Document) -> str:
    """Return the document as a compose.yaml; JSON is YAML."""
    return json.dumps(document, indent=1)


def _service(random: Random, document: Document, key: str) -> Document:
    # The container ends at once when it is told to, and needs no real work to be healthy.
    service: Document = {"image": IMAGE, "command": ["sleep", "infinity"], "stop_signal": "SIGKILL"}
    service["networks"] = {random.choice(sorted(document["networks"])): None}
    for name in random.sample(sorted(_FIELDS), 3):
        service[name] = _FIELDS[name](random, document, key)
    return service


def _edit(random: Random, before: Document) -> tuple[str, Document]:
    document = copy.deepcopy(before)
    services = document["services"]
    kind = random.randrange(20)
    if kind == 0 and len(services) < len(SERVICES):
        key = random.choice([name for name in SERVICES if name not in services])
        services[key] = _service(random, document, key)
        return f"add service {key}", mended(document)
    if kind == 1 and len(services) > 1:
        key = random.choice(sorted(services))
        del services[key]
        return f"remove service {key}", mended(document)
    if kind == 2:
        key = random.choice(sorted(document["networks"]))
        option = random.choice(["internal", "attachable", "labels", "ipam"])
        values: Document = {
            "internal": not document["networks"][key].get("internal", False),
            "attachable": not document["networks"][key].get("attachable", False),
            "labels": {"org.example.rank": str(random.randint(1, 9))},
            "ipam": {"config": [{"subnet": f"10.231.{NETWORKS.index(key) + random.choice([10, 20])}.0/24"}]},
        }
        document["networks"][key][option] = values[option]
        return f"network {key}: {option}", mended(document)
    if kind == 3:
        key = random.choice(NETWORKS)
        if key not in document["networks"]:
            document["networks"][key] = {"name": f"{document['name']}_{key}"}
            return f"add network {key}", mended(document)
        if len(document["networks"]) > 1:
            del document["networks"][key]
            return f"remove network {key}", mended(document)
    if kind == 4:
        key = random.choice(VOLUMES)
        if key not in document["volumes"]:
            document["volumes"][key] = {"name": f"{document['name']}_{key}"}
            return f"add volume {key}", mended(document)
        if random.random() < 0.5:
            document["volumes"][key]["labels"] = {"org.example.rank": str(random.randint(1, 9))}
            return f"volume {key}: labels", mended(document)
        del document["volumes"][key]
        return f"remove volume {key}", mended(document)
    key = random.choice(sorted(services))
    field = random.choice(sorted(_FIELDS))
    if field in services[key] and field not in ("image", "command") and random.random() < 0.3:
        del services[key][field]
        return f"{key}: no {field}", mended(document)
    services[key][field] = _FIELDS[field](random, document, key)
    return f"{key}: {field}", mended(document)


def _environment(random: Random, _: Document, __: str) -> Document:
    return {
        name: f"value-{random.randint(1, 9)}"
        for name in random.sample(["LOG_LEVEL", "MODE", "TEXT", "API_TOKEN"], random.randint(1, 3))
    }


def _networks(random: Random, document: Document, _: str) -> Document:
    known = sorted(document["networks"])
    chosen = random.sample(known, random.randint(1, len(known)))
    return {key: {"aliases": [f"also-{key}"]} if random.random() < 0.4 else None for key in sorted(chosen)}


def _volumes(random: Random, document: Document, _: str) -> list[Document]:
    mounts: list[Document] = [
        {"type": "volume", "source": key, "target": f"/{key}", "volume": {}}
        for key in sorted(document["volumes"])
        if random.random() < 0.6
    ]
    if random.random() < 0.3:
        mounts.append({"type": "tmpfs", "target": "/scratch", "tmpfs": {"size": "1048576"}})
    if random.random() < 0.3:
        mounts.append({"type": "volume", "target": "/unnamed", "volume": {}})
    return mounts


def _ports(random: Random, document: Document, key: str) -> list[Document]:
    port: Document = {"target": random.choice([80, 8000]), "protocol": random.choice(["tcp", "tcp", "udp"])}
    fixed = document["x-ports"]
    if fixed and random.random() < 0.6:
        port |= {"host_ip": "127.0.0.1", "published": str(fixed[SERVICES.index(key) % len(fixed)])}
    return [port]


def _healthcheck(random: Random, _: Document, __: str) -> Document:
    if random.random() < 0.2:
        return {"disable": True}
    return {
        "test": ["CMD", "true"],
        "interval": f"{random.randint(20, 60)}s",
        "start_period": "20s",
        "start_interval": "100ms",
    }


def _depends_on(random: Random, document: Document, key: str) -> Document:
    # On earlier ones only, so that there is no circle.
    earlier = [name for name in document["services"] if name < key]
    conditions = ["service_started", "service_healthy", "service_completed_successfully"]
    return {
        name: {"condition": random.choice(conditions), "required": True, "restart": random.random() < 0.3}
        for name in random.sample(earlier, min(len(earlier), random.randint(0, 2)))
    }


_FIELDS: dict[str, Callable[[Random, Document, str], Any]] = {
    "image": lambda random, document, _: random.choice([IMAGE, f"{document['name']}-other:v1"]),
    "environment": _environment,
    "command": lambda random, _, __: ["sleep", random.choice(["infinity", "100000", "200000"])],
    "entrypoint": lambda random, _, __: random.choice([["/usr/bin/env"], ["/usr/bin/env", "A=b"]]),
    "user": lambda random, _, __: random.choice(["0:0", "1000:1000", "nobody"]),
    "labels": lambda random, _, __: {"org.example.color": random.choice(["red", "green", "blue"])},
    "working_dir": lambda random, _, __: random.choice(["/srv", "/opt"]),
    "hostname": lambda random, _, __: random.choice(["one", "two"]),
    "mem_limit": lambda random, _, __: str(random.choice([64, 96]) * 2**20),
    "cpus": lambda random, _, __: random.choice([0.5, 0.75]),
    "pids_limit": lambda random, _, __: random.choice([50, 100]),
    "tty": lambda _, __, ___: True,
    "read_only": lambda _, __, ___: True,
    "init": lambda random, _, __: random.choice([True, False]),
    "restart": lambda random, _, __: random.choice(["no", "always", "unless-stopped", "on-failure"]),
    "stop_grace_period": lambda random, _, __: random.choice(["1s", "5s"]),
    "cap_add": lambda random, _, __: [random.choice(["NET_ADMIN", "SYS_PTRACE"])],
    "extra_hosts": lambda random, _, __: [f"elsewhere=192.0.2.{random.randint(1, 9)}"],
    "ulimits": lambda random, _, __: {"nofile": {"soft": 1024, "hard": random.choice([2048, 4096])}},
    "scale": lambda random, _, __: random.randint(1, 3),
    "networks": _networks,
    "volumes": _volumes,
    "ports": _ports,
    "healthcheck": _healthcheck,
    "depends_on": _depends_on,
    "network_mode": lambda random, document, key: random.choice(
        ["none", *(f"service:{name}" for name in document["services"] if name < key)]
    ),
}


def mended(document: Document) -> Document:
    """Return the document with what an edit has broken put in order, as a person would."""
    services: Document = document["services"]
    for service in services.values():
        mode = service.get("network_mode", "")
        if mode.removeprefix("service:") not in (*services, "none"):
            service.pop("network_mode", None)
        service["networks"] = {
            key: value
            for key, value in (service.get("networks") or {}).items()
            if key in document["networks"]
        } or {min(document["networks"]): None}
        service["volumes"] = [
            mount
            for mount in service.get("volumes", ())
            if mount.get("source", "") in ("", *document["volumes"])
        ]
        needs = {key: value for key, value in service.get("depends_on", {}).items() if key in services}
        service["depends_on"] = needs
    for service in services.values():
        _mend_network_mode(service)
        for name, need in service["depends_on"].items():
            if need["condition"] == "service_healthy":
                services[name]["healthcheck"] = {
                    "test": ["CMD", "true"],
                    "start_period": "20s",
                    "start_interval": "100ms",
                }
    _mend_one_shots(services)
    for service in services.values():
        if "network_mode" not in service and not service.get("networks"):
            service["networks"] = {min(document["networks"]): None}
        if service.get("scale", 1) > 1:
            for port in service.get("ports", ()):
                port.pop("published", None)
    _spread_ports(services)
    return document


def _mend_network_mode(service: Document) -> None:
    mode = service.get("network_mode")
    if not mode:
        return
    for key in ("networks", "ports", "hostname", "extra_hosts"):
        service.pop(key, None)
    if mode.startswith("service:"):
        # As Compose adds it.
        need = {"condition": "service_started", "required": True, "restart": True}
        service["depends_on"].setdefault(mode.removeprefix("service:"), need)


def _mend_one_shots(services: Document) -> None:
    """A service that somebody waits for to complete does so, and is nothing else to anybody."""
    waited = {
        name
        for service in services.values()
        for name, need in service["depends_on"].items()
        if need["condition"] == "service_completed_successfully"
    }
    for name in waited:
        services[name]["command"] = ["true"]
        for key in ("entrypoint", "restart", "healthcheck", "scale", "user"):
            services[name].pop(key, None)
    for service in services.values():
        if service.get("command") == ["true"] and service not in [services[name] for name in waited]:
            service["command"] = ["sleep", "infinity"]
        if service.get("network_mode", "").removeprefix("service:") in waited:
            del service["network_mode"]
        for name, need in service["depends_on"].items():
            if name in waited:
                need["condition"] = "service_completed_successfully"


def _spread_ports(services: Document) -> None:
    taken: set[str] = set()
    for service in services.values():
        for port in service.get("ports", ()):
            if port.get("published") in taken:
                del port["published"]
            if "published" in port:
                taken.add(port["published"])
            else:
                port.pop("host_ip", None)
