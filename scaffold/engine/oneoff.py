"""A container for one task beside a service: its image and volume, no network, none of its environment."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from http import HTTPStatus

from scaffold.engine.client import Engine, engine_errors
from scaffold.engine.wire import TIMEOUT, Refused
from scaffold.stack import names
from scaffold.stack.desired import Desired, Service

TASK = "task"
"""The last part of its name, where a service's containers have their number."""


@contextlib.contextmanager
def container(
    engine: Engine, desired: Desired, service: Service, command: Sequence[str], binds: Sequence[str]
) -> Iterator[str]:
    """Yield the name of a started container that is removed at the end, however that comes."""
    name = f"{desired.project}-{service.name}-{TASK}"
    request = {
        "Image": service.image,
        "Cmd": list(command),
        "HostConfig": {"Binds": list(binds), "NetworkMode": "none"},
        "Labels": {
            names.PROJECT: desired.project,
            names.SERVICE: service.name,
            names.ONE_OFF: "True",
            names.WORKING_DIR: desired.path,
            names.PATH: desired.path,
        },
    }
    with engine_errors(f"container {name}"):
        # One that a killed process left behind holds the name.
        _remove(engine, name)
        engine.post("/containers/create", request, name=name, platform=service.platform)
        try:
            engine.post(f"/containers/{name}/start")
            yield name
            seconds = service.stop_timeout
            engine.post(f"/containers/{name}/stop", timeout=seconds + TIMEOUT, t=seconds)
        finally:
            _remove(engine, name)


def _remove(engine: Engine, name: str) -> None:
    """Remove it with its anonymous volumes: an image may declare more than is bound; named ones stay."""
    try:
        engine.delete(f"/containers/{name}", v=True, force=True)
    except Refused as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
