"""Decide whether the first start of a PostgreSQL was cut short before anybody could use it. Pure.

The official image initialises a directory only while it is empty, so what a killed first start leaves is
neither empty nor a database. Even where the project knows that nobody has logged in yet, every doubt leaves
the directory as it is.
"""

from __future__ import annotations

import re
import struct
from pathlib import PurePosixPath

from scaffold.data.model import Contents, Stage

OPTIONS = "postmaster.opts"
"""In a PostgreSQL data directory: the command line of the server that was started last."""
CONTROL = "global/pg_control"
"""In it: among others, whether the last server was shut down in order."""
SCRIPTS = "/docker-entrypoint-initdb.d"
"""Where the image looks for what it runs while it initialises."""
_SHUT_DOWN = 1
_FIRST_OWN = 16384
"""The lowest number that PostgreSQL gives to what people create; its own files have lower ones."""
_LARGE_OBJECTS = "2613"
"""The one file with people's data that has a number of PostgreSQL's own."""
# What the images' docker-entrypoint.sh adds last; pg_upgrade, and people who let nobody in, do it otherwise.
_INIT_SERVER = re.compile(r'"-c" "listen_addresses=" "-p" "\d+"\s*$')
# What initdb and the first servers make; a restored backup, a standby and anybody else bring more.
_OWN = re.compile(
    r"PG_VERSION|base|global|pg_[a-z_]+(\.conf)?|postgresql(\.auto)?\.conf(\.tmp)?"
    r"|postmaster\.(opts|pid)|current_logfiles"
)


def stage(contents: Contents, *, scripts: bool) -> tuple[Stage, str]:
    """Return how far the first start on a data directory came, and, where that is doubtful, why."""
    if not contents.sizes:
        return Stage.EMPTY, ""
    options = _text(contents, OPTIONS)
    if options is not None and not is_init_server(options):
        # The real server writes its own options there before it lets anybody in.
        return Stage.UNDERSTOOD, ""
    if options is not None and _is_shut_down(contents):
        return Stage.UNDERSTOOD, ""  # the image stops its server once it has done everything
    foreign = sorted(path for path in contents.sizes if not _OWN.fullmatch(path.split("/")[0]))
    if foreign:
        return Stage.DOUBTFUL, f"it holds {foreign[0]}, which no first start makes"
    rows = sorted(path for path, size in contents.sizes.items() if _somebodys(PurePosixPath(path), size))
    if rows and not (scripts and options is not None):
        return Stage.DOUBTFUL, f"somebody may have made the table in {rows[0]}"
    elsewhere = [path for path in rows if path.startswith("pg_tblspc/")]
    if elsewhere:
        return Stage.DOUBTFUL, f"it has a tablespace, {elsewhere[0]}"
    return Stage.CUT_SHORT, ""


def is_init_server(options: str) -> bool:
    """Return whether these are the options of the server that the image runs while it initialises.

    It listens on no address, only on a socket inside the container.
    """
    return _INIT_SERVER.search(options) is not None


def _text(contents: Contents, path: str) -> str | None:
    found = contents.files.get(path)
    return found.decode(errors="replace") if found is not None else None


def _is_shut_down(contents: Contents) -> bool:
    control = contents.files.get(CONTROL, b"")
    return len(control) >= 20 and struct.unpack_from("<I", control, 16)[0] == _SHUT_DOWN


def _somebodys(path: PurePosixPath, size: int) -> bool:
    """Return whether a file belongs to a table that somebody made, or holds somebody's large objects."""
    if path.parts[0] == "pg_tblspc":
        return True
    if path.parts[0] not in ("base", "global") or len(path.parts) < 2:
        return False
    number = re.match(r"(?:t\d+_)?(\d+)", path.name)
    if number is None:
        return False
    return int(number[1]) >= _FIRST_OWN or (number[1] == _LARGE_OBJECTS and size > 0)
