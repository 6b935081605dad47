"""A container for one task beside a service: its image, one volume, no network, none of its environment.

It carries a label of its own and none of Compose's, so that it never counts as one of the project's. What a
killed process leaves of it is removed by the next command that changes something.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Any

from scaffold.engine.client import Engine, engine_errors
from scaffold.engine.wire import Refused
from scaffold.errors import EngineError
from scaffold.stack import names
from scaffold.stack.desired import Desired, Service

ROOT = "/volume"
"""Where a task finds its volume, unless it needs it elsewhere."""
SECONDS = 600.0
"""How long a task may take."""


def labels(project: str) -> dict[str, str]:
    """Return the labels of a helper. An image that was built for a project would pass that one's on."""
    return {names.HELPER: project, names.PROJECT: "", names.SERVICE: ""}


@contextlib.contextmanager
def created(
    engine: Engine,
    desired: Desired,
    service: Service,
    bind: str,
    command: Sequence[str] = ("never-started",),
    user: str = "0",
) -> Iterator[str]:
    """Yield the id of a container that runs nothing until it is started, and is removed at the end.

    The program is given in place of the image's entrypoint, which may do anything. `bind` is all it mounts.
    """
    request: dict[str, Any] = {
        "Image": service.image,
        "Entrypoint": [command[0]],
        "Cmd": list(command[1:]),
        "User": user,
        "WorkingDir": "/",
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": {"Binds": [bind], "NetworkMode": "none"},
        "Labels": labels(desired.project) | {names.PATH: desired.path},
    }
    with engine_errors(f"a helper container beside {service.name}"):
        name = f"{desired.project}-{service.name}-task-{secrets.token_hex(4)}"
        made = str(engine.post("/containers/create", request, name=name, platform=service.platform)["Id"])
        try:
            yield made
        finally:
            was_there = remove(engine, made)
        if not was_there:
            # What it was asked meanwhile may have had no answer but that there is no such path.
            raise EngineError("it was removed while it was needed")


def run(engine: Engine, desired: Desired, service: Service, bind: str, command: Sequence[str]) -> str:
    """Return what a command prints that has run as root beside a service. Raises EngineError if it fails."""
    with created(engine, desired, service, bind, command) as name:
        engine.post(f"/containers/{name}/start")
        code = engine.post(f"/containers/{name}/wait", timeout=SECONDS)["StatusCode"]
        from scaffold.engine.listing import logs

        said = logs.tail(engine, name, 10)
        if code != 0:
            raise EngineError(
                f"`{command[0]}` failed beside {service.name} with exit code {code}.", evidence=said
            )
    return "\n".join(said)


def sweep(engine: Engine, project: str) -> None:
    """Remove the helpers that killed commands of this project left; for whoever holds its lock."""
    with engine_errors("containers"):
        label = f"{names.HELPER}={project}"
        for item in engine.get("/containers/json", all=True, filters={"label": [label]}):
            remove(engine, item["Id"])


def remove(engine: Engine, name: str) -> bool:
    """Remove a helper with its anonymous volumes: an image may declare some. What has a name stays.

    Returns whether it was there until now.
    """
    try:
        engine.delete(f"/containers/{name}", v=True, force=True)
    except Refused as error:
        if error.status not in (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT):
            raise
        return False
    return True
