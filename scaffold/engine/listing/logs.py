"""Read what containers print: the last lines of one, or several followed at once."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal

from scaffold.engine.client import Engine, engine_errors
from scaffold.engine.wire import LARGEST, LONGEST, TIMEOUT, Stream, unframed
from scaffold.errors import EngineError
from scaffold.interrupt import Flag

_FRAMED = "application/vnd.docker.multiplexed-stream"


def tail(engine: Engine, container: str, lines: int) -> tuple[str, ...]:
    """Return the container's last lines; none when it is gone or its log driver cannot be read."""
    found: list[bytes] = []
    size = 0
    try:
        stream = _opened(engine, container, tail=lines)
        with contextlib.closing(stream), engine_errors(f"logs of {container}"):
            for line in _lines(_printed(container, stream, TIMEOUT)):
                found.append(line)
                size += len(line)
                if size > LARGEST:
                    break
    except EngineError:
        return ()
    return tuple(line.decode(errors="replace") for line in found)


def _opened(engine: Engine, container: str, **query: object) -> Stream:
    return engine.stream("GET", f"/containers/{container}/logs", {"stdout": True, "stderr": True, **query})


def _printed(container: str, stream: Stream, patience: float | None) -> Iterator[bytes]:
    pieces = stream.pieces(patience)
    return unframed(f"GET /containers/{container}/logs", pieces) if stream.kind == _FRAMED else pieces


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield lines without their ends; of one that is longer than any line, the parts."""
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        yield from lines
        if len(rest) > LONGEST:
            yield rest
            rest = b""
    if rest:
        yield rest


def show(
    engine: Engine,
    containers: Sequence[tuple[str, str]],
    write: Callable[[str, str], None],
    *,
    follow: bool,
    tail_lines: int | Literal["all"],
    timestamps: bool = False,
    stop: Flag,
) -> None:
    """Pass each line to `write(service, line)`; with `follow`, until every container ends or `stop` is set.

    `containers` are (label, container name) pairs. Raises when the engine goes away meanwhile.
    """
    streams: list[Stream] = []
    failures: list[Exception] = []

    def read(label: str, name: str) -> None:
        with engine_errors(f"logs of {name}"):
            stream = _opened(engine, name, follow=follow, tail=tail_lines, timestamps=timestamps)
            streams.append(stream)
            for line in _lines(_printed(name, stream, None if follow else TIMEOUT)):
                write(label, line.decode(errors="surrogateescape"))

    def aside(pairs: Sequence[tuple[str, str]]) -> None:
        try:
            for pair in pairs:
                read(*pair)
        except Exception as error:  # noqa: BLE001 - a thread's error must reach the person
            failures.append(error)

    # One after the other, or all at once; never in the thread that signals reach.
    parts = [[pair] for pair in containers] if follow else [list(containers)]
    threads = [threading.Thread(target=aside, args=(pairs,), daemon=True) for pairs in parts]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads) and not stop.is_set():
        threads[0].join(0.05) if len(threads) == 1 else stop.wait(0.1)
    asked = stop.is_set()
    for stream in streams:
        with contextlib.suppress(Exception):
            stream.close()
    if asked:
        return
    if failures:
        raise failures[0]
    # A stream that breaks may look as if it had come to its end.
    with engine_errors("logs"):
        engine.get("/version")
