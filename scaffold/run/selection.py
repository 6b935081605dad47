"""Which containers a command means: by service, running or not. Raises what a person should type instead."""

from __future__ import annotations

from collections.abc import Mapping

from scaffold.data.model import Database
from scaffold.errors import ProjectError, ScaffoldError, UsageError
from scaffold.run import workflow
from scaffold.run.session import Session
from scaffold.stack import once
from scaffold.stack.desired import Desired
from scaffold.stack.observed import Container, Observed


def running(session: Session, service: str | None) -> tuple[tuple[str, str], ...]:
    """Return (service, container name) of each running container; of one service when given."""
    found = _of(session, service)
    up = tuple((item.service, item.name) for item in found if item.state == "running")
    if up:
        return up
    if not found:
        raise absent(session.desired, workflow.observe(session), service)
    what = f"Service {service} is {found[0].state}." if service else "Nothing of the project is running."
    raise ScaffoldError(what, "Start it with `scaffold run`.")


def entered(session: Session, service: str) -> str:
    """Return the name of the service's first running container."""
    return running(session, service)[0][1]


def database(session: Session, wanted: str | None) -> Database:
    """Return the database of a project; of several, the one of the service that is wanted, or that is chosen.

    Raises ProjectError where there is none, and UsageError where nobody can be asked which one is meant.
    """
    from scaffold.data import database as databases

    found = {item.service: item for item in map(databases.database_of, session.desired.services) if item}
    if wanted is not None:
        service = session.desired.service(wanted)
        if service.name not in found:
            known = ", ".join(found) or "none"
            raise UsageError(f"Service {wanted} is no database.", f"Databases: {known}.")
        return found[wanted]
    if not found:
        raise ProjectError(
            "This project has no database container.",
            "An external database is reached with its own client and the DATABASE_URL in .env.",
        )
    if len(found) == 1:
        return next(iter(found.values()))
    raise UsageError(
        f"This project has {len(found)} databases: {', '.join(found)}.",
        f"Say which one: `scaffold db --service {next(iter(found))}`.",
    )


def alive(session: Session, service: str) -> tuple[str, ...]:
    """Return the names of a service's containers that have a process: paused and restarting ones too."""
    found = _of(session, service)
    names = tuple(item.name for item in found if item.state in ("running", "paused", "restarting"))
    if not names:
        state = f"is {found[0].state}" if found else "has no container"
        raise ScaffoldError(f"Service {service} {state}: there is nothing to kill.", "See `scaffold ps`.")
    return names


def existing(session: Session, service: str | None) -> tuple[Container, ...]:
    """Return the containers, whether they run or not; of one service when given."""
    found = _of(session, service)
    if not found:
        raise absent(session.desired, workflow.observe(session), service)
    return found


def absent(desired: Desired, observed: Observed, service: str | None) -> ScaffoldError:
    """Return the error for a service, or a project, without a container."""
    if service is None:
        return ScaffoldError("The project has no container.", "Start it with `scaffold run`.")
    known = next((item for item in desired.services if item.name == service), None)
    if known and once.is_done(desired, known, observed):
        return ScaffoldError(
            f"Service {service} is done, and its container went with `scaffold down`.",
            "`scaffold run --recreate` runs it again.",
        )
    profile = next(iter(dict(desired.dormant).get(service, ())), "")
    way = f"`scaffold run --profile {profile}` starts it" if profile else "Start it with `scaffold run`"
    return ScaffoldError(f"Service {service} has no container.", f"{way}.")


def log_sources(session: Session, service: str | None) -> tuple[tuple[str, str], ...]:
    """Return (label, container name) of each container whose log can be read; of one service when given."""
    found = tuple(item for item in existing(session, service) if _keeps_log(item))
    if not found:
        what = f"Service {service}" if service else "Every service"
        raise ScaffoldError(
            f"{what} keeps no log: compose.yaml says `logging: {{driver: none}}`.",
            "Remove that line, and run again; `docker attach` shows what is printed from now on.",
        )
    several = {item.service for item in found if sum(item.service == other.service for other in found) > 1}
    return tuple(
        (f"{item.service}-{item.number}" if item.service in several else item.service, item.name)
        for item in found
    )


def _keeps_log(container: Container) -> bool:
    """Return whether the engine can read the log back: the driver `none` throws it away."""
    host = container.body.get("HostConfig")
    logging = host.get("LogConfig") if isinstance(host, Mapping) else None
    return not (isinstance(logging, Mapping) and logging.get("Type") == "none")


def _of(session: Session, service: str | None) -> tuple[Container, ...]:
    desired, observed = session.desired, workflow.observe(session)
    if service is not None:
        # One of a profile that is not active may run all the same.
        if service not in desired.inactive:
            desired.service(service)
        return observed.of_service(service)
    return tuple(item for item in observed.containers if not item.one_off)
