"""Give an existing database volume the password that .env has now. No row is touched."""

from __future__ import annotations

from scaffold import mend
from scaffold.data import database as databases
from scaffold.data.model import Command, Database
from scaffold.engine import inside
from scaffold.engine.apply import stop
from scaffold.engine.client import engine_errors
from scaffold.errors import ScaffoldError
from scaffold.reach import entered
from scaffold.session import Session
from scaffold.stack import plan as planning
from scaffold.stack.steps import StopContainer
from scaffold.workflow import observe


def put(session: Session, database: Database) -> None:
    """Set the password; the service has to be up for PostgreSQL, and is stopped meanwhile for MongoDB."""
    change = databases.set_password(database)
    if isinstance(change, Command):
        container = entered(session, database.service)
        inside.feed(container, change.argv, change.stdin)
        return
    service = session.desired.service(database.service)
    binds = [bind for bind in _binds(service.body) if bind.split(":")[1] == change.mount_path]
    if not binds:
        raise ScaffoldError(f"services.{service.name}: there is no volume at {change.mount_path}.")
    observed = observe(session)
    for step in planning.stop(session.desired, observed, [service.name]).changes:
        if isinstance(step, StopContainer):
            with engine_errors(f"stop {step.name}"):
                stop(step.name, step.timeout, session.engine)
    with mend.unlocked(session.engine, session.desired, service, change, binds) as name:
        inside.feed(name, change.script.argv, change.script.stdin)


def _binds(body: object) -> list[str]:
    host = body.get("HostConfig") if isinstance(body, dict) else None
    binds = host.get("Binds") if isinstance(host, dict) else None
    return [str(item) for item in binds] if isinstance(binds, list) else []
