"""Say from a server's log why it does not start on its volume, and which commands help without losing data.

The server has no codes for this: the texts are those of the servers and of the official images' entrypoints.
What both kinds of server say is here; each kind has its own beside it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from scaffold.data.model import Database, Place
from scaffold.diagnose.cause import Cause
from scaffold.errors import DataRefused

PERMISSION = Cause(
    r"has wrong ownership|has invalid permissions|read-only directory"
    r"|Permission denied|Operation not permitted",
    "{service}: {title} may not use the files in its volume: they belong to another user than the one it "
    "runs as. The data is untouched.",
    "Check `user:` of services.{service} and, for a folder of this machine, its owner; a named volume gets "
    "the right owner by itself.",
)
DISK_FULL = Cause(
    r"No space left on device",
    "{service}: the disk is full, so {title} cannot start. What was committed stays.",
    "Make room, for example with `docker builder prune` (removes build caches only), and run again. "
    "`docker system df` shows what takes the space.",
)


def first(causes: Sequence[Cause], database: Database, text: str, place: Place) -> DataRefused | None:
    """Return the first cause that matches, with the line that shows it."""
    for cause in causes:
        found = re.search(cause.pattern, text)
        if found:
            path = database.kind.mount_path(database)
            words = {"service": database.service, "title": database.title, "path": path}
            words |= {"volume": f"volume {place.volume}" if place.volume else "the volume"}
            words |= {"ways": ways_on(place)}
            hint = cause.hint.format(**words)
            if cause is DISK_FULL and place.limits:
                hint = (
                    f"compose.yaml limits it: {', '.join(place.limits)}. Raise that; a volume keeps its old "
                    "size until it is made anew."
                )
            return DataRefused(cause.message.format(**words), hint, evidence=lines_of(text, found))
    return None


def ways_on(place: Place) -> str:
    """Return the two ways on from data that no server starts on: what may hold rows, and what never did."""
    if not place.volume:
        return (
            "If it may hold rows, copy it before you try anything, and restore from a dump. If it never held "
            "any, mount another one."
        )
    look = f"docker run --rm -it --volume {place.volume}:/data:ro --entrypoint sh {place.image}"
    return (
        f"Two ways on. If it may hold rows, look at them with `{look}`, and restore from a dump. If it never "
        f"held any: `scaffold down`, then `docker volume rm {place.volume}`, then `scaffold run`."
    )


def lines_of(text: str, found: re.Match[str]) -> tuple[str, ...]:
    """Return the lines that the match touches."""
    begin = text.rfind("\n", 0, found.start()) + 1
    end = text.find("\n", found.end())
    return tuple(line.strip() for line in text[begin : end if end >= 0 else None].splitlines())
