"""Decide whether the first start of a database was cut short before anybody could use it. Pure.

The official images initialise a volume only while it is empty, so what a killed first start leaves is neither
empty nor a database. It may be emptied only when it is certain that no client ever wrote into it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import PurePosixPath

OPTIONS = "postmaster.opts"
"""In a PostgreSQL data directory: the command line of the server that was started last."""
SCRIPTS = "/docker-entrypoint-initdb.d"
"""Where the image looks for what it runs while it initialises."""
_FIRST_OWN = 16384
"""The lowest number that PostgreSQL gives to what people create; its own files have lower ones."""
_LARGE_OBJECTS = "2613"
"""The one file with people's data that has a number of PostgreSQL's own."""
# What the images' docker-entrypoint.sh adds last; pg_upgrade, and people who let nobody in, do it otherwise.
_INIT_SERVER = re.compile(r'"-c" "listen_addresses=" "-p" "\d+"\s*$')
# What a restored backup or a standby has; a backup comes without postmaster.opts.
_RESTORED = ("backup_label", "backup_manifest", "standby.signal", "recovery.signal", "recovery.conf")
_MONGO_OWN = frozenset({"admin", "config", "local"})


def never_served(sizes: Mapping[str, int], options: str | None, *, scripts: bool) -> bool:
    """Return whether it is certain that no client has ever written into this data directory.

    `sizes` has all of its files, `options` is what its postmaster.opts says, None when it has none; `scripts`
    says whether the image runs any while it initialises, which may have made tables.
    """
    if options is not None and not is_init_server(options):
        # The real server writes its own options there before it lets anybody in.
        return False
    if any(path.split("/")[0].startswith(_RESTORED) for path in sizes):
        return False
    own = any(_somebodys(PurePosixPath(path), size) for path, size in sizes.items())
    return not own or (scripts and options is not None)


def is_init_server(options: str) -> bool:
    """Return whether these are the options of the server that the image runs while it initialises.

    It listens on no address, only on a socket inside the container.
    """
    return _INIT_SERVER.search(options) is not None


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


def other_places(mount: str, directory: str) -> tuple[str, ...]:
    """Return where in a volume PostgreSQL images of other versions keep their data.

    Until 17 that is the mount itself, or `data` below it; since 18 it is `<version>/docker`.
    """
    found = (mount, f"{mount}/data", *(f"{mount}/{version}/docker" for version in range(18, 31)))
    return tuple(place for place in found if place != directory)


def mongo_is_new(databases: Collection[str], users: int) -> bool:
    """Return whether a MongoDB volume has neither a user nor a database of anybody's."""
    return users == 0 and set(databases) <= _MONGO_OWN
