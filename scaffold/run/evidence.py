"""Gather what a container that did not become ready left behind, while it is still there. Changes nothing."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping

from scaffold import files
from scaffold.data import database as databases
from scaffold.diagnose.container import Evidence, Program, program_of, size_limits, source_of
from scaffold.diagnose.log import headline
from scaffold.engine import remains
from scaffold.engine.client import Engine
from scaffold.stack.desired import Desired, Service
from scaffold.stack.observed import Container


def gather(
    engine: Engine,
    desired: Desired,
    service: Service,
    container: Container,
    *,
    waiting: str,
    answer: int | None,
    exits: int,
    exit_code: int,
    out_of_memory: bool,
    log: tuple[str, ...],
) -> Evidence:
    """Return the evidence on a service's container; `waiting` is what the wait for it ended with."""
    state = _state(container)
    ended = exits > 0 or container.state in ("exited", "dead")
    # What was asked directly has said more than its health check.
    asked = databases.database_of(service) or (service.ready_path and engine.is_local)
    path = program_of(log) if ended else None
    return Evidence(
        service=service,
        waiting=waiting,
        services=tuple(item.name for item in desired.services),
        databases=tuple(item.name for item in desired.services if databases.database_of(item)),
        limits=limits(desired, service),
        ended=ended,
        exits=exits,
        exit_code=exit_code,
        out_of_memory=out_of_memory or bool(state.get("OOMKilled")),
        log=log,
        answer=answer,
        listening=None if ended else remains.listening(engine, container.id, _state(container).get("Pid")),
        health=None if ended or asked else _health(state),
        program=_program(engine, service, container.id, path) if path else None,
    )


def limits(desired: Desired, service: Service) -> tuple[str, ...]:
    """Return the tmpfs mounts and volumes of a service whose size compose.yaml limits."""
    volumes = [
        (volume.key, json.dumps(dict(volume.options)))
        for volume in desired.volumes
        if volume.name in service.volumes
    ]
    return size_limits(service, volumes)


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
    return headline(str(last.get("Output", "")).strip().splitlines())


def _program(engine: Engine, service: Service, container: str, path: str) -> Program:
    """Return how the file begins that could not be executed; containers that have ended show theirs too."""
    source = source_of(service, path)
    with contextlib.suppress(OSError):
        if source:
            return Program(path, source, files.begin(source, remains.BEGIN))
    return Program(path, source, remains.begin_of(engine, container, path) if path.startswith("/") else None)
