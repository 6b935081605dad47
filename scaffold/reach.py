"""Which containers a command means: by service, running or not. Raises what a person should type instead."""

from __future__ import annotations

from scaffold import workflow
from scaffold.errors import ScaffoldError
from scaffold.session import Session
from scaffold.stack.observed import Container


def running(session: Session, service: str | None) -> tuple[tuple[str, str], ...]:
    """Return (service, container name) of each running container; of one service when given."""
    found = tuple(item for item in _of(session, service) if item.state == "running")
    if not found:
        what = f"Service {service} is not running." if service else "Nothing of the project is running."
        raise ScaffoldError(what, "Start it with `scaffold run`.")
    return tuple((item.service, item.name) for item in found)


def alive(session: Session, service: str) -> tuple[str, ...]:
    """Return the names of a service's containers that have a process: paused and restarting ones too."""
    found = _of(session, service)
    names = tuple(item.name for item in found if item.state in ("running", "paused", "restarting"))
    if not names:
        state = f"is {found[0].state}" if found else "has no container"
        raise ScaffoldError(f"Service {service} {state}: there is nothing to kill.", "See `scaffold ps`.")
    return names


def existing(session: Session, service: str) -> str:
    """Return the name of a service's first container, whether it runs or not."""
    found = _of(session, service)
    if not found:
        raise ScaffoldError(f"Service {service} has no container yet.", "Make it with `scaffold run`.")
    return found[0].name


def _of(session: Session, service: str | None) -> tuple[Container, ...]:
    desired, observed = session.desired, workflow.observe(session)
    if service is not None:
        # One of a profile that is not active may run all the same.
        if service not in desired.inactive:
            desired.service(service)
        return observed.of_service(service)
    return tuple(item for item in observed.containers if not item.one_off)
