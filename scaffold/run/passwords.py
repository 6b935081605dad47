"""Give an existing database volume the password that .env has now. No row is touched."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from scaffold.data import database as databases
from scaffold.data.model import Command, Database, OneOff
from scaffold.engine import inside, oneoff, volume_files
from scaffold.engine.apply import stop
from scaffold.engine.client import engine_errors
from scaffold.errors import NotReady, ScaffoldError
from scaffold.run.selection import entered
from scaffold.run.session import Session
from scaffold.run.workflow import observe
from scaffold.stack import plan as planning
from scaffold.stack.desired import Service
from scaffold.stack.steps import StopContainer

PATIENCE = 30.0
"""Seconds for a server without authentication to come up on an existing volume."""
POLL = 0.2
"""Seconds between two questions; each of them starts a mongosh, which takes a second itself."""


def put(session: Session, database: Database) -> None:
    """Set the password; the service has to be up for PostgreSQL, and is stopped meanwhile for MongoDB."""
    change = databases.set_password(database)
    if isinstance(change, Command):
        container = entered(session, database.service)
        inside.feed(container, change.argv, change.stdin)
        return
    service = session.desired.service(database.service)
    bind = next((bind for bind in _binds(service.body) if bind.split(":")[1] == change.mount_path), None)
    if bind is None:
        raise ScaffoldError(f"services.{service.name}: there is no volume at {change.mount_path}.")
    observed = observe(session)
    for step in planning.stop(session.desired, observed, [service.name]).changes:
        if isinstance(step, StopContainer):
            with engine_errors(f"stop {step.name}"):
                stop(step.name, step.timeout, session.engine)
    with _unlocked(session, service, change, bind) as name:
        inside.feed(name, change.script.argv, change.script.stdin)


@contextlib.contextmanager
def _unlocked(session: Session, service: Service, change: OneOff, bind: str) -> Iterator[str]:
    """Yield the container of a server that asks for no login, once it answers; the service is stopped.

    It is the server itself, not the image's entrypoint, as the user to whom the files belong.
    """
    engine, desired = session.engine, session.desired
    with oneoff.created(engine, desired, service, bind) as window:
        user = volume_files.owner(engine, window, change.mount_path)
    with oneoff.created(engine, desired, service, bind, change.command, user) as name:
        with engine_errors(f"{service.name} without a login"):
            engine.post(f"/containers/{name}/start")
        deadline = time.monotonic() + PATIENCE
        while not inside.succeeds(name, change.probe.argv):
            if time.monotonic() > deadline:
                raise NotReady(f"{service.name} did not come up on its volume without a login.")
            time.sleep(POLL)
        yield name
        with engine_errors(f"{service.name} without a login"):
            stop(name, service.stop_timeout, engine)


def _binds(body: object) -> list[str]:
    host = body.get("HostConfig") if isinstance(body, dict) else None
    binds = host.get("Binds") if isinstance(host, dict) else None
    return [str(item) for item in binds] if isinstance(binds, list) else []
