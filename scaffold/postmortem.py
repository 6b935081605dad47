"""Gather what a container that did not become ready left behind, while it is still there. Changes nothing."""

from __future__ import annotations

import contextlib
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path

from scaffold.data import database as databases
from scaffold.engine.client import Engine
from scaffold.stack import verdict
from scaffold.stack.desired import Desired, Service
from scaffold.stack.observed import Container
from scaffold.stack.verdict import Evidence, Program

_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
_LISTEN = "0A"
_BEGIN = 256
"""Bytes of a program's file: enough for its first line."""


def gather(
    engine: Engine,
    desired: Desired,
    service: Service,
    container: Container,
    *,
    waiting: str,
    answer: int | None,
    exits: int,
    out_of_memory: bool,
    log: tuple[str, ...],
) -> Evidence:
    """Return the evidence on a service's container; `waiting` is what the wait for it ended with."""
    state = _state(container)
    ended = exits > 0 or container.state in ("exited", "dead")
    path = verdict.program_of(log) if ended else None
    return Evidence(
        service=service,
        waiting=waiting,
        services=tuple(item.name for item in desired.services),
        databases=tuple(item.name for item in desired.services if databases.database_of(item)),
        limits=limits(desired, service),
        ended=ended,
        exits=exits,
        exit_code=container.exit_code,
        out_of_memory=out_of_memory or bool(state.get("OOMKilled")),
        log=log,
        answer=answer,
        listening=None if ended else _listening(engine, container),
        health=None if ended or (service.ready_path and container.health != "unhealthy") else _health(state),
        program=_program(engine, service, container.id, path) if path else None,
    )


def limits(desired: Desired, service: Service) -> tuple[str, ...]:
    """Return the tmpfs mounts and volumes of a service whose size compose.yaml limits."""
    volumes = [
        (volume.key, json.dumps(dict(volume.options)))
        for volume in desired.volumes
        if volume.name in service.volumes
    ]
    return verdict.size_limits(service, volumes)


def _state(container: Container) -> Mapping[str, object]:
    state = container.body.get("State")
    return state if isinstance(state, Mapping) else {}


def _health(state: Mapping[str, object]) -> str | None:
    """Return what the health check said last; None when it has not failed."""
    health = state.get("Health")
    entries = health.get("Log") if isinstance(health, Mapping) else None
    last = entries[-1] if isinstance(entries, list) and entries else {}
    if not last.get("ExitCode"):
        return None
    return verdict.headline(str(last.get("Output", "")).strip().splitlines())


def _program(engine: Engine, service: Service, container: str, path: str) -> Program:
    """Return how the file begins that could not be executed; containers that have ended show theirs too."""
    source = verdict.source_of(service, path)
    with contextlib.suppress(OSError):
        if source:
            with Path(source).open("rb") as file:
                return Program(path, source, file.read(_BEGIN))
    return Program(path, source, _archived(engine, container, path) if path.startswith("/") else None)


def _archived(engine: Engine, container: str, path: str) -> bytes | None:
    from docker.errors import APIError

    try:
        stream, _ = engine.api.get_archive(container, path)
        with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as archive:
            entry = archive.next()
            file = archive.extractfile(entry) if entry and entry.isfile() else None
            return file.read(_BEGIN) if file else b""
    except (APIError, tarfile.TarError, OSError):
        return None


def _listening(engine: Engine, container: Container) -> tuple[tuple[str, int], ...] | None:
    """Return where the container listens, from its own tables; None when they cannot be read."""
    from docker.errors import APIError

    try:
        made = engine.api.exec_create(container.id, ["cat", *_TABLES])
        text = engine.api.exec_start(made["Id"]).decode(errors="replace")
    except (APIError, UnicodeDecodeError):
        text = ""
    if "local_address" not in text:
        # An image without `cat`; of one's own processes the host shows the same.
        pid = _state(container).get("Pid")
        with contextlib.suppress(OSError):
            text = "".join(Path(f"/proc/{pid}/net/{name}").read_text() for name in ("tcp", "tcp6"))
    return listening(text) if "local_address" in text else None


def listening(tables: str) -> tuple[tuple[str, int], ...]:
    """Return addresses and ports of /proc/net/tcp and tcp6 in state LISTEN; not Docker's own name server."""
    found = set()
    for line in tables.splitlines():
        fields = line.split()
        if len(fields) < 4 or fields[3] != _LISTEN:
            continue
        address, _, port = fields[1].partition(":")
        shown = _address(address)
        if shown != "127.0.0.11":
            found.add((shown, int(port, 16)))
    return tuple(sorted(found))


def _address(text: str) -> str:
    """Return an address that the kernel prints in words of the machine's own byte order."""
    import ipaddress
    import sys

    words = [bytes.fromhex(text[place : place + 8]) for place in range(0, len(text), 8)]
    raw = b"".join(word[::-1] if sys.byteorder == "little" else word for word in words)
    address = ipaddress.ip_address(raw)
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)
