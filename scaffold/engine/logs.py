"""Read what containers print: the last lines of one, or several followed at once."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from typing import Literal

from scaffold.engine.client import Engine, engine_errors


def tail(engine: Engine, container: str, lines: int) -> tuple[str, ...]:
    """Return the container's last lines; none when it is gone or its log driver cannot be read."""
    from docker.errors import APIError

    try:
        raw = engine.api.logs(container, stdout=True, stderr=True, tail=lines)
    except APIError:
        return ()
    return tuple(raw.decode(errors="replace").splitlines())


def show(
    engine: Engine,
    containers: Sequence[tuple[str, str]],
    write: Callable[[str, str], None],
    *,
    follow: bool,
    tail_lines: int | Literal["all"],
    timestamps: bool = False,
    stop: threading.Event,
) -> None:
    """Pass each line to `write(service, line)`; with `follow`, until every container ends or `stop` is set.

    `containers` are (label, container name) pairs. Raises when the engine goes away meanwhile.
    """
    streams = []
    failures: list[Exception] = []

    def read(label: str, name: str) -> None:
        with engine_errors(f"logs of {name}"):
            stream = engine.api.logs(
                name,
                stdout=True,
                stderr=True,
                stream=True,
                follow=follow,
                tail=tail_lines,
                timestamps=timestamps,
            )
            streams.append(stream)
            rest = b""
            for chunk in stream:
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    write(label, line.decode(errors="replace").rstrip("\r"))
            if rest:
                write(label, rest.decode(errors="replace"))

    def aside(label: str, name: str) -> None:
        try:
            read(label, name)
        except Exception as error:  # noqa: BLE001 - a thread's error must reach the person
            failures.append(error)

    if not follow:
        for label, name in containers:
            read(label, name)
        return
    threads = [threading.Thread(target=aside, args=pair, daemon=True) for pair in containers]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads) and not stop.wait(0.1):
        pass
    asked = stop.is_set()
    for stream in streams:
        with contextlib.suppress(Exception):
            stream.close()
    if asked:
        return
    if failures:
        raise failures[0]
    # The SDK ends a stream that breaks as if it had come to its end.
    with engine_errors("logs"):
        engine.get("/version")
