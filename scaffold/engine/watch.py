"""Watch containers through the engine's event stream while something waits for them: exits and health."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from scaffold.engine import answers
from scaffold.engine.client import Engine
from scaffold.numbers import whole


@dataclass
class Watched:
    """What has happened to one container since the watch began."""

    ended: threading.Event = field(default_factory=threading.Event)
    """Set when it has exited for good: once, or, when the engine restarts it, for the third time."""
    news: threading.Event = field(default_factory=threading.Event)
    """Set at every event; whoever waits clears it."""
    exits: int = 0
    exit_code: int = 0
    """Of the last exit: a container that is started again shows 0 itself."""
    oom: bool = False
    blind: bool = False
    """The engine has closed the stream: it went away, or has been restarted."""

    def wake(self) -> None:
        """Let whoever waits go on, as if the container had ended."""
        self.ended.set()
        self.news.set()


@contextlib.contextmanager
def watch(engine: Engine, container: str, *, allowed_exits: int = 1) -> Iterator[Watched]:
    """Follow one container's `die`, `oom` and `health_status` events until the block ends."""
    watched = Watched()
    stream = engine.events(container=[container], type=["container"], event=["die", "oom", "health_status"])

    def read() -> None:
        with contextlib.suppress(Exception):  # the stream is closed under the reader when the block ends
            for event in stream.documents(answers.EVENT):
                _note(watched, event, allowed_exits)
        # Whoever waits would wait for an event that cannot come any more.
        watched.blind = True
        watched.wake()

    threading.Thread(target=read, name=f"watch {container}", daemon=True).start()
    try:
        yield watched
    finally:
        with contextlib.suppress(Exception):
            stream.close()


def _note(watched: Watched, event: dict[str, Any], allowed_exits: int) -> None:
    action = str(event.get("Action", ""))
    if action == "oom":
        watched.oom = True
    if action == "die":
        watched.exits += 1
        watched.exit_code = _exit_code(event)
        if watched.exits >= allowed_exits:
            watched.ended.set()
    watched.news.set()


def _exit_code(event: dict[str, Any]) -> int:
    code = str((event.get("Actor") or {}).get("Attributes", {}).get("exitCode", ""))
    return whole(code) or 0
