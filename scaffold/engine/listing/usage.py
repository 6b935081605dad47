"""Measure what containers use: two readings, a moment apart, of all containers side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from scaffold.engine.client import Engine, engine_errors
from scaffold.engine.wire import Refused
from scaffold.interrupt import Flag, side_by_side
from scaffold.stack.everyday import Usage

Reading = Mapping[str, Any]

MOMENT = 0.5
"""Seconds between two readings: enough ticks of the processor's clock for one per cent."""
_SIDE_BY_SIDE = 8
NO_FIGURES: Reading = {}


def measure(
    engine: Engine, containers: Sequence[tuple[str, str]], pause: float, stop: Flag
) -> Iterator[tuple[Usage, ...]]:
    """Yield the usage of each running container, of (service, container name), every `pause` seconds.

    The first comes after a moment. A container that has ended is left out. Ends when `stop` is set.
    """
    with side_by_side(_SIDE_BY_SIDE) as pool:
        labels = {name: service for service, name in containers}

        def read() -> dict[str, Reading]:
            readings = pool.map(lambda name: _read(engine, name), labels)
            return {name: item for name, item in zip(labels, readings, strict=True) if item is not None}

        before = read()
        wait = MOMENT
        while not stop.wait(wait):
            now = read()
            yield tuple(
                usage(labels[name], name, before[name], item) for name, item in now.items() if name in before
            )
            before = now
            wait = pause


def _read(engine: Engine, container: str) -> Reading | None:
    """Return the figures: NO_FIGURES where there are none for a container that runs, None once it ended."""
    found: Reading = _get(engine, f"/containers/{container}/stats?stream=false&one-shot=true") or {}
    if found.get("memory_stats"):
        return found
    # An engine that has heard nothing of a container's cgroup says "not found", as for one that is gone.
    state = (_get(engine, f"/containers/{container}/json") or {}).get("State") or {}
    return NO_FIGURES if state.get("Running") else None


def _get(engine: Engine, path: str) -> Any:
    with engine_errors("measuring"):
        try:
            return engine.get(path)
        except Refused as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            return None


def usage(service: str, container: str, before: Reading, now: Reading) -> Usage:
    """Return the usage between two readings, counted as `docker stats` does."""
    if not before or not now:
        return Usage(container, service, 0.0, 0, 0, 0, 0, 0, 0, 0, measured=False)
    busy = _cpu(now) - _cpu(before)
    passed = now["cpu_stats"].get("system_cpu_usage", 0) - before["cpu_stats"].get("system_cpu_usage", 0)
    cores = now["cpu_stats"].get("online_cpus", 1)
    memory = now["memory_stats"]
    details = memory.get("stats") or {}
    # File cache that nothing uses is the kernel's to take back: cgroup v1, then v2.
    idle = details.get("total_inactive_file", details.get("inactive_file", 0))
    networks = (now.get("networks") or {}).values()
    blocks = (now.get("blkio_stats") or {}).get("io_service_bytes_recursive") or ()
    return Usage(
        container=container,
        service=service,
        cpu_percent=round(max(0.0, busy / passed * cores * 100), 2) if passed > 0 else 0.0,
        memory=max(0, memory.get("usage", 0) - idle),
        memory_limit=memory.get("limit", 0),
        received=sum(item["rx_bytes"] for item in networks),
        sent=sum(item["tx_bytes"] for item in networks),
        read=sum(item["value"] for item in blocks if item["op"].lower() == "read"),
        written=sum(item["value"] for item in blocks if item["op"].lower() == "write"),
        processes=(now.get("pids_stats") or {}).get("current", 0),
    )


def _cpu(reading: Reading) -> int:
    return int(reading["cpu_stats"]["cpu_usage"]["total_usage"])
