"""Do every check, side by side: together they take as long as the slowest."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

from scaffold.doctor import machine, network, project
from scaffold.doctor.finding import Finding, wrong
from scaffold.engine.client import Engine
from scaffold.errors import ScaffoldError
from scaffold.interrupt import side_by_side
from scaffold.project.checkout import Checkout

Check = Callable[[], Finding | tuple[Finding, ...]]
WORKERS = 16


def examine(checkout: Checkout | None, folder: Path) -> tuple[Finding, ...]:
    """Return what every check found, in the order of `_order`; without a project only the machine's."""
    with contextlib.ExitStack() as stack:
        pool = stack.enter_context(side_by_side(WORKERS))
        opening = pool.submit(_engine, stack)
        reading = pool.submit(project.description, checkout) if checkout else None
        first = [pool.submit(_safely, name, check) for name, check in _without_engine(checkout)]
        opened = opening.result()
        second = [pool.submit(_safely, name, check) for name, check in _with_engine(opened, folder)]
        described = reading.result() if reading else None
        desired = described[1] if described else None
        if checkout:
            engine = opened if isinstance(opened, Engine) else None
            second.append(pool.submit(_safely, "files", lambda: project.ownership(checkout, engine, desired)))
        images = [service.image for service in desired.services if not service.build] if desired else []
        if isinstance(opened, Engine):
            asked = images[0] if images else "hello-world"
            second += [
                pool.submit(_safely, "registry", lambda: network.registry(opened, asked)),
                pool.submit(_safely, "build", lambda: network.build(opened, images)),
            ]
            if desired:
                second.append(pool.submit(_safely, "ports", lambda: project.published(opened, desired)))
        found = [*_all(first), *([described[0]] if described else []), *_all(second)]
    return tuple(sorted(found, key=lambda item: ORDER.index(item.check)))


ORDER = (
    "docker command",
    "context",
    "socket",
    "engine",
    "buildx",
    "compose",
    "clock",
    "disk of the engine",
    "disk of the project",
    "registry",
    "build",
    "proxy",
    "certificates",
    "state folder",
    "compose.yaml",
    ".env",
    "files",
    "ports",
)


def _engine(stack: contextlib.ExitStack) -> Engine | ScaffoldError:
    try:
        return stack.enter_context(Engine())
    except ScaffoldError as error:
        return error


def _without_engine(checkout: Checkout | None) -> list[tuple[str, Check]]:
    checks: list[tuple[str, Check]] = [
        ("docker command", machine.docker_command),
        ("context", machine.context),
        ("socket", machine.socket_permission),
        ("buildx", lambda: machine.plugin("buildx")),
        ("compose", lambda: machine.plugin("compose")),
        ("proxy", machine.proxy),
        ("certificates", machine.certificates),
        ("state folder", project.state),
    ]
    if checkout:
        checks += [
            (".env", lambda: project.environment(checkout)),
        ]
    return checks


def _with_engine(opened: Engine | ScaffoldError, folder: Path) -> list[tuple[str, Check]]:
    return [
        ("engine", lambda: machine.engine(opened)),
        ("clock", lambda: machine.clock(opened)),
        ("disk of the project", lambda: machine.disk(opened, folder)),
    ]


def _safely(name: str, check: Check) -> tuple[Finding, ...]:
    """Return what a check found; one that cannot be made is wrong, and does not stop the others."""
    try:
        found = check()
    except (ScaffoldError, OSError) as error:
        hint = error.hint or "" if isinstance(error, ScaffoldError) else ""
        return (wrong(name, f"It cannot be checked: {error}", hint),)
    return found if isinstance(found, tuple) else (found,)


def _all(futures: list[Future[tuple[Finding, ...]]]) -> list[Finding]:
    return [finding for future in futures for finding in future.result()]
