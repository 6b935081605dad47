"""Follow what happens to one project's containers, images, networks and volumes."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from scaffold.engine import answers
from scaffold.engine.client import Engine, engine_errors
from scaffold.engine.wire import Lost, Stream
from scaffold.interrupt import Flag
from scaffold.stack import names
from scaffold.stack.desired import Desired
from scaffold.stack.everyday import Event
from scaffold.stack.secrets import mask_urls

_NUMBER = re.compile("-?[0-9]{1,9}")
_KINDS = ("container", "image", "network", "volume")


def listen(engine: Engine, *, since: datetime | None = None) -> Stream:
    """Return the engine's events from now on, or from `since` as far as it remembers."""
    with engine_errors("the engine's events"):
        # It filters networks and volumes by exact names only, so all are read and the project's are kept.
        return engine.events(since=int(since.timestamp()) if since else None, type=list(_KINDS))


def follow(
    stream: Stream,
    desired: Desired,
    write: Callable[[Event], None],
    stop: Flag,
    *,
    inside: bool,
) -> None:
    """Pass each event to `write` until `stop` is set; raise when the engine goes away.

    `inside` adds what is executed inside containers, health checks among it.
    """
    failures: list[Exception] = []

    def read() -> None:
        try:
            with engine_errors("the engine's events"):
                for item in stream.documents(answers.EVENT):
                    found = event(item, desired)
                    if found and (inside or not found.action.startswith("exec_")):
                        write(found)
        except Exception as error:  # noqa: BLE001 - a thread's error must reach the person
            failures.append(error)
        finally:
            ended.set()

    ended = threading.Event()
    thread = threading.Thread(target=read, name="events", daemon=True)
    thread.start()
    while not stop.wait(0.1) and not ended.is_set():
        pass
    asked = stop.is_set()
    with contextlib.suppress(Exception):
        stream.close()
    if not asked:
        # By itself this one has no end.
        with engine_errors("the engine's events"):
            raise failures[0] if failures else Lost(ConnectionResetError())


def event(item: Mapping[str, Any], desired: Desired) -> Event | None:
    """Return an event of the project as our value, None for everybody else's."""
    kind = item.get("Type", "")
    actor = item.get("Actor") or {}
    about = actor.get("Attributes") or {}
    name = actor.get("ID", "") if kind in ("volume", "image") else about.get("name", "")
    if kind in ("container", "image"):
        ours = about.get(names.PROJECT) == desired.project
    else:
        known = {part.name for part in desired.networks} | {part.name for part in desired.volumes}
        ours = name in known or name.startswith(f"{desired.project}_")
    if not ours or kind not in _KINDS:
        return None
    code = about.get("exitCode", "")
    detail = ""
    if kind == "image":
        name = about.get("name", name)
    elif kind in ("network", "volume") and about.get("container"):
        detail = str(about["container"])[:12]
    elif about.get("signal"):
        detail = f"signal {about['signal']}"
    return Event(
        time=datetime.fromtimestamp(item.get("timeNano", 0) / 10**9, UTC),
        kind=kind,
        action=mask_urls(str(item.get("Action", ""))),
        name=name,
        service=about.get(names.SERVICE, ""),
        exit_code=int(code) if _NUMBER.fullmatch(code) else None,
        detail=detail,
    )
