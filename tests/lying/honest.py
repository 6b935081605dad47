"""What an engine would answer that holds one small project: the truth, before somebody lies about it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

PROJECT = "lied"
COMPOSE = """\
services:
  db:
    image: postgres:18
    stop_grace_period: 1s
    environment: {POSTGRES_PASSWORD: "${POSTGRES_PASSWORD}"}
    volumes: ["data:/var/lib/postgresql"]
    ports: ["127.0.0.1:${DB_PORT}:5432"]
  task:
    image: debian:trixie-slim
    command: ["true"]
    stop_grace_period: 1s
volumes:
  data: {}
"""
ENV = f"COMPOSE_PROJECT_NAME={PROJECT}\nPOSTGRES_PASSWORD=hidden-word\nDB_PORT=47321\n"
_IMAGE = f"sha256:{'1' * 64}"
_TIME = "2026-01-02T03:04:05.678901234Z"


@dataclass(frozen=True)
class Answer:
    """A status and a body."""

    status: int
    body: bytes
    kind: str = "application/json"


def _labels(folder: str, service: str) -> dict[str, str]:
    return {
        "com.docker.compose.project": PROJECT,
        "com.docker.compose.service": service,
        "com.docker.compose.container-number": "1",
        "com.docker.compose.oneoff": "False",
        "com.docker.compose.project.working_dir": folder,
        "dev.scaffold.path": folder,
        "dev.scaffold.digest": "0" * 32,
    }


def _listed(folder: str, service: str, number: str) -> dict[str, object]:
    return {
        "Id": number * 64,
        "Names": [f"/{PROJECT}-{service}-1"],
        "Image": "postgres:18",
        "ImageID": _IMAGE,
        "Created": 1767323045,
        "Ports": [{"IP": "127.0.0.1", "PrivatePort": 5432, "PublicPort": 47321, "Type": "tcp"}],
        "Labels": _labels(folder, service),
        "State": "running",
        "Status": "Up 2 hours",
        "NetworkSettings": {
            "Networks": {f"{PROJECT}_default": {"NetworkID": "9" * 64, "IPAddress": "172.30.0.2"}}
        },
        "Mounts": [
            {"Type": "volume", "Name": f"{PROJECT}_data", "Destination": "/var/lib/postgresql", "RW": True}
        ],
    }


def _inspected(folder: str, service: str, number: str) -> dict[str, object]:
    return {
        "Id": number * 64,
        "Name": f"/{PROJECT}-{service}-1",
        "Created": _TIME,
        "Image": _IMAGE,
        "RestartCount": 0,
        "State": {
            "Status": "running",
            "Running": True,
            "Paused": False,
            "Restarting": False,
            "OOMKilled": False,
            "Dead": False,
            "Pid": 4242,
            "ExitCode": 0,
            "Error": "",
            "StartedAt": _TIME,
            "FinishedAt": "0001-01-01T00:00:00Z",
            "Health": {"Status": "healthy", "FailingStreak": 0, "Log": [{"ExitCode": 0, "Output": "ok"}]},
        },
        "Config": {
            "Image": "postgres:18",
            "Labels": _labels(folder, service),
            "Env": ["POSTGRES_PASSWORD=hidden-word", "PGDATA=/var/lib/postgresql/18/docker"],
            "Cmd": ["postgres"],
            "Entrypoint": None,
            "StopSignal": "SIGINT",
            "StopTimeout": 1,
            "Tty": False,
        },
        "HostConfig": {
            "Binds": None,
            "NetworkMode": f"{PROJECT}_default",
            "PortBindings": {"5432/tcp": [{"HostIp": "127.0.0.1", "HostPort": "47321"}]},
            "Memory": 0,
        },
        "NetworkSettings": {
            "Networks": {f"{PROJECT}_default": {"NetworkID": "9" * 64, "IPAddress": "172.30.0.2"}},
            "Ports": {"5432/tcp": [{"HostIp": "127.0.0.1", "HostPort": "47321"}], "80/tcp": None},
        },
        "Mounts": [
            {"Type": "volume", "Name": f"{PROJECT}_data", "Destination": "/var/lib/postgresql", "RW": True}
        ],
    }


def _volume(folder: str) -> dict[str, object]:
    labels = {"com.docker.compose.project": PROJECT, "com.docker.compose.volume": "data"}
    return {
        "Name": f"{PROJECT}_data",
        "Driver": "local",
        "CreatedAt": "2026-01-02T03:04:05Z",
        "Labels": labels | {"dev.scaffold.path": folder},
        "Mountpoint": f"/var/lib/docker/volumes/{PROJECT}_data/_data",
        "Scope": "local",
        "Options": None,
    }


def _network() -> dict[str, object]:
    return {
        "Name": f"{PROJECT}_default",
        "Id": "9" * 64,
        "Created": _TIME,
        "Scope": "local",
        "Driver": "bridge",
        "EnableIPv6": False,
        "IPAM": {"Driver": "default", "Options": None, "Config": [{"Subnet": "172.30.0.0/16"}]},
        "Internal": False,
        "Attachable": False,
        "Labels": {"com.docker.compose.project": PROJECT, "com.docker.compose.network": "default"},
        "Containers": {},
    }


def _image() -> dict[str, object]:
    return {
        "Id": _IMAGE,
        "RepoTags": ["postgres:18"],
        "RepoDigests": [],
        "Created": _TIME,
        "Size": 152_000_000,
        "Config": {"Labels": None, "Env": ["PGDATA=/var/lib/postgresql/18/docker"]},
        "RootFS": {"Type": "layers", "Layers": [_IMAGE]},
    }


def _stats() -> dict[str, object]:
    processor = {"cpu_usage": {"total_usage": 1000}, "system_cpu_usage": 9000, "online_cpus": 2}
    return {
        "read": _TIME,
        "cpu_stats": processor,
        "precpu_stats": processor,
        "memory_stats": {"usage": 5_000_000, "limit": 9_000_000, "stats": {"inactive_file": 1000}},
        "networks": {"eth0": {"rx_bytes": 10, "tx_bytes": 20}},
        "blkio_stats": {"io_service_bytes_recursive": [{"op": "read", "value": 4096}]},
        "pids_stats": {"current": 3},
    }


def _event() -> dict[str, object]:
    return {
        "Type": "container",
        "Action": "start",
        "Actor": {
            "ID": "a" * 64,
            "Attributes": {"name": f"{PROJECT}-db-1", "com.docker.compose.project": PROJECT},
        },
        "time": 1767323045,
        "timeNano": 1767323045678901234,
    }


def answer(method: str, target: str, folder: str) -> Answer:
    """Return what an honest engine says."""
    path = re.sub(r"^/v[\d.]+", "", urlsplit(target).path)
    found = _changed(path) if method in ("POST", "PUT", "DELETE") else _found(path, folder)
    if found is None or method == "HEAD":
        return Answer(404, b'{"message": "page not found"}' if method != "HEAD" else b"")
    return found if isinstance(found, Answer) else Answer(200, json.dumps(found).encode())


def _found(path: str, folder: str) -> object:
    plain: dict[str, Callable[[], object]] = {
        "/_ping": lambda: Answer(200, b"OK", "text/plain"),
        "/version": lambda: {"Version": "28.0.0", "ApiVersion": "1.44", "MinAPIVersion": "1.24"},
        "/info": lambda: {"Name": "here", "SystemTime": _TIME, "DockerRootDir": "/var/lib/docker"},
        "/containers/json": lambda: [_listed(folder, "db", "a"), _listed(folder, "task", "b")],
        "/networks": lambda: [_network()],
        "/volumes": lambda: {"Volumes": [_volume(folder)], "Warnings": None},
        "/images/json": lambda: [_listed_image()],
        "/system/df": lambda: {"Volumes": [_volume(folder) | {"UsageData": {"Size": 4096}}]},
        "/events": _event,
    }
    if path in plain:
        return plain[path]()
    kind, _, rest = path.strip("/").partition("/")
    if kind == "containers":
        return _of_container(rest, folder)
    return {"images": _image(), "volumes": _volume(folder), "distribution": {"Descriptor": {}}}.get(kind)


def _listed_image() -> dict[str, object]:
    return {
        "Id": _IMAGE,
        "RepoTags": ["postgres:18"],
        "Created": 1767323045,
        "Size": 152_000_000,
        "Labels": None,
        "SharedSize": 12,
        "Containers": -1,
    }


def _of_container(rest: str, folder: str) -> object:
    name, _, what = rest.partition("/")
    service = "task" if name in ("b" * 64, f"{PROJECT}-task-1") else "db"
    if what == "json":
        return _inspected(folder, service, "b" if service == "task" else "a")
    if what == "stats":
        return _stats()
    if what == "logs":
        text = b"2026-01-02 ready to accept connections\n"
        framed = b"\1\0\0\0" + len(text).to_bytes(4, "big") + text
        return Answer(200, framed, "application/vnd.docker.multiplexed-stream")
    return None


def _changed(path: str) -> object:
    match path.rsplit("/", 1)[-1]:
        case "create" if path.startswith("/containers"):
            return Answer(201, json.dumps({"Id": "c" * 64, "Warnings": []}).encode())
        case "create" if path.startswith("/networks"):
            return Answer(201, json.dumps({"Id": "9" * 64, "Warning": ""}).encode())
        case "create" if path.startswith("/volumes"):
            return Answer(201, json.dumps({"Name": f"{PROJECT}_data", "Driver": "local"}).encode())
        case "create":
            return {"status": "Pulling from library/postgres"}
        case "wait":
            return {"StatusCode": 0}
        case "exec":
            return Answer(201, json.dumps({"Id": "e" * 64}).encode())
        case _:
            return Answer(204, b"")
