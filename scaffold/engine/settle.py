"""Wait for what somebody who is gone has begun: the engine finishes it, and calls it running meanwhile."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from scaffold.engine.client import Engine, engine_errors
from scaffold.engine.wire import Refused
from scaffold.errors import EngineUnavailable
from scaffold.numbers import whole
from scaffold.stack.observed import Container

DEFAULT_GRACE = 10
"""Seconds, the engine's own, until SIGKILL follows."""
MARGIN = 2.0
"""Seconds more, for the engine to notice the end."""


def settle(engine: Engine, found: Iterable[Container]) -> bool:
    """Wait for containers that are about to go: whoever was killed may have begun to stop or remove them.

    The engine calls them running until they end. Returns whether there were any.
    """
    items = list(found)
    with engine_errors("reading what goes on"):
        stopping = list(_stopping(engine, items))
    going = [(item, "removed", float(DEFAULT_GRACE)) for item in items if item.state == "removing"]
    going += [(item, "not-running", left) for item, left in stopping]
    for item, condition, seconds in going:
        # One that survives its stop, or its removal, is what it is.
        with contextlib.suppress(EngineUnavailable, Refused):
            engine.post(f"/containers/{item.id}/wait", timeout=max(1.0, seconds), condition=condition)
    return bool(going)


def _stopping(engine: Engine, found: Iterable[Container]) -> Iterator[tuple[Container, float]]:
    """Yield the running containers that have got their stop signal, with the seconds until SIGKILL."""
    running = {item.id: (item, *_stop_of(item)) for item in found if item.state == "running"}
    if not running:
        return
    now = time.time()
    longest = max(grace for _, _, grace in running.values())
    last: dict[str, dict[str, Any]] = {}
    for event in engine.past_events(now - longest, container=list(running), event=["kill", "start"]):
        last[(event.get("Actor") or {}).get("ID", "")] = event
    for name in last.keys() & running.keys():
        event = last[name]
        container, number, grace = running[name]
        attributes = event["Actor"].get("Attributes") or {}
        if event.get("Action") == "kill" and attributes.get("signal") == str(number):
            yield container, event.get("time", now) + grace - now


# Of the engine's kernel, whatever machine this is: on macOS SIGUSR1 is 30.
_LINUX = {
    name: number
    for number, name in enumerate(
        [
            "HUP",
            "INT",
            "QUIT",
            "ILL",
            "TRAP",
            "ABRT",
            "BUS",
            "FPE",
            "KILL",
            "USR1",
            "SEGV",
            "USR2",
            "PIPE",
            "ALRM",
            "TERM",
            "STKFLT",
            "CHLD",
            "CONT",
            "STOP",
            "TSTP",
            "TTIN",
            "TTOU",
            "URG",
            "XCPU",
            "XFSZ",
            "VTALRM",
            "PROF",
            "WINCH",
            "IO",
            "PWR",
            "SYS",
        ],
        1,
    )
}
_LINUX |= {"IOT": 6, "CLD": 17, "POLL": 29, "RTMIN": 34, "RTMAX": 64}
_LINUX |= {f"RTMIN+{above}": 34 + above for above in range(1, 16)}
_LINUX |= {f"RTMAX-{below}": 64 - below for below in range(1, 15)}


def _stop_of(container: Container) -> tuple[int, float]:
    """Return the number of a container's stop signal, and the seconds after which it must have ended."""
    found = container.body.get("Config")
    config: Mapping[str, object] = found if isinstance(found, Mapping) else {}
    grace = config.get("StopTimeout")
    return _signal(config.get("StopSignal")), MARGIN + (grace if isinstance(grace, int) else DEFAULT_GRACE)


def _signal(name: object) -> int:
    """Return the number of a signal such as `SIGINT`, `INT` or `2`; SIGTERM where nothing is said."""
    text = str(name or "SIGTERM").upper()
    number = whole(text, 3)
    if number is not None:
        return number
    return _LINUX.get(text.removeprefix("SIG"), _LINUX["TERM"])
