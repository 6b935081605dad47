"""Say from a database's log whether a script of its first start failed, which never runs again. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

FOLDER = "/docker-entrypoint-initdb.d"
"""Where the images look for what they run while they initialise an empty data directory."""
_BEGUN = re.compile(r"The files belonging to this database system will be owned by user")
_DONE = re.compile(r"init process complete; ready for start up")
_SCRIPT = re.compile(rf"(?:running |psql:)({FOLDER}/[^\s:]+)")


@dataclass(frozen=True)
class HalfWay:
    """A script after which the initialisation did not go on."""

    script: str
    lines: tuple[str, ...]
    """What the log says from there on, until the server started once more."""


def half_way(log: Sequence[str]) -> HalfWay | None:
    """Return the script that was run last when an initialisation did not come to its end.

    Only for the log of a server that lets people in: then none is under way any more.
    """
    found: HalfWay | None = None
    script, since = "", 0
    for index, line in enumerate(log):
        named = _SCRIPT.search(line)
        if _BEGUN.search(line) or _DONE.search(line):
            script, found = "", None
        elif named:
            since = since if named[1] == script else index
            script = named[1]
            found = HalfWay(script, tuple(log[since : since + 5]))
    return found
