"""Say from a server's log why it does not start on its volume, and which commands help without losing data.

The server has no codes for this: the texts are those of the servers and of the official images' entrypoints.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from scaffold.data.database import Database, mount_path
from scaffold.errors import DataRefused
from scaffold.stack.verdict import Cause

_PERMISSION = Cause(
    r"has wrong ownership|has invalid permissions|read-only directory"
    r"|Permission denied|Operation not permitted",
    "{service}: {title} may not use the files in its volume: they belong to another user than the one it "
    "runs as. The data is untouched.",
    "Check `user:` of services.{service} and, for a folder of this machine, its owner; a named volume gets "
    "the right owner by itself.",
)
_DISK_FULL = Cause(
    r"No space left on device",
    "{service}: the disk is full, so {title} cannot start. What was committed stays.",
    "Make room, for example with `docker builder prune` (removes build caches only), and run again. "
    "`docker system df` shows what takes the space.",
)

# The first that matches counts: the more special ones come first.
_POSTGRES = (
    Cause(
        r"there appears to be PostgreSQL data in:\s+/var/lib/postgresql/data \(unused mount/volume\)",
        "{service}: PostgreSQL 18 and later keep their files below /var/lib/postgresql, and the volume is "
        "mounted at /var/lib/postgresql/data, where they would be lost. The volume is untouched.",
        "Mount it at /var/lib/postgresql in compose.yaml and run again. If it holds a database of an older "
        "version, put that image back instead.",
    ),
    Cause(
        r"in 18\+,",
        "{service}: the volume was filled, or is mounted, as PostgreSQL 17 and older do it; 18 and later "
        "keep their files in a folder per version below /var/lib/postgresql. The data is untouched.",
        "If it holds a database of an older version, put that image back into compose.yaml (such as "
        "`image: postgres:17`, mounted at /var/lib/postgresql/data) and run again. If it is new, mount it at "
        "/var/lib/postgresql.",
    ),
    Cause(
        r"could not resize shared memory segment",
        "{service}: {title} ran out of shared memory; a container has 64 MB of it. The data is untouched.",
        "Set `shm_size: 256m` for services.{service} in compose.yaml and run again.",
    ),
    _DISK_FULL,
    Cause(
        r"superuser password is not specified",
        "{service}: {title} does not initialise an empty volume without a password for its superuser.",
        "Set POSTGRES_PASSWORD for services.{service}, from .env, and run again.",
    ),
    Cause(
        r'lock file "postmaster\.pid" already exists',
        "{service}: another PostgreSQL server already works on the same volume.",
        "Stop the other container (`docker ps` lists it) and run again. Two servers on one volume destroy "
        "it.",
    ),
    Cause(
        r"exists but is not empty",
        "{service}: the volume holds files, but no finished database: it has another use, or its first "
        "start was cut short. Nothing in it was changed.",
        "Mount another volume at {path}, or, if this one never held data, remove it with `scaffold "
        "destroy`, and run again.",
    ),
    Cause(
        r"could not locate a valid checkpoint record|invalid checkpoint record"
        r"|could not find the database system"
        r"|is not a database cluster directory|could not access the server configuration file"
        r'|could not open directory "pg_|could not open file "(?:global|base)/'
        r"|incorrect checksum in control file",
        "{service}: files of the database are missing or damaged; a first start that was cut short looks the "
        "same.",
        "If the volume never held data, remove it with `scaffold destroy` and run again. Otherwise copy it "
        "before you try anything, and restore from a dump.",
    ),
    _PERMISSION,
)

_MONGO = (
    Cause(
        r"too recent to start up on the existing data files|unsupported WiredTiger file version",
        "{service}: the volume was written by a version of {title} too far from the image's. The data is "
        "untouched.",
        "Put the image that wrote it back into compose.yaml and run again. An upgrade goes one major "
        "version at a time.",
    ),
    _DISK_FULL,
    Cause(
        r"requires a CPU with AVX support",
        "{service}: MongoDB 5 and later need a processor with AVX, and this machine, or the virtual one that "
        "Docker runs in, has none.",
        "Give the virtual machine the processor type of its host, or, with an empty volume, use "
        "`image: mongo:4.4`.",
    ),
    Cause(
        r"both must be specified for a user to be created",
        "{service}: MongoDB needs both MONGO_INITDB_ROOT_USERNAME and MONGO_INITDB_ROOT_PASSWORD, or "
        "neither.",
        "Set both for services.{service}, the password from .env, and run again.",
    ),
    Cause(
        r"DBPathInUse|Unable to lock the lock file|mongod instance is already running",
        "{service}: another MongoDB server already works on the same volume.",
        "Stop the other container (`docker ps` lists it) and run again.",
    ),
    Cause(
        r"WT_TRY_SALVAGE|WT_PANIC",
        "{service}: files of the database are damaged.",
        "Copy the volume before you try anything; then see `mongod --repair`, or restore from a dump.",
    ),
    _PERMISSION,
)


def explain(database: Database, log: Sequence[str], limits: Sequence[str] = ()) -> DataRefused | None:
    """Return the cause with the line that shows it, None when the log holds none that we know."""
    text = "\n".join(log)
    version = _postgres_version if database.kind == "postgres" else _mongo_version
    refused = version(database, text)
    if refused:
        return refused
    for cause in _POSTGRES if database.kind == "postgres" else _MONGO:
        found = re.search(cause.pattern, text)
        if found:
            words = {"service": database.service, "title": database.title, "path": mount_path(database)}
            hint = cause.hint.format(**words)
            if cause is _DISK_FULL and limits:
                hint = (
                    f"compose.yaml limits it: {', '.join(limits)}. Raise that; a volume keeps its old size "
                    "until it is made anew."
                )
            return DataRefused(cause.message.format(**words), hint, evidence=_lines(text, found))
    return None


def _lines(text: str, found: re.Match[str]) -> tuple[str, ...]:
    """Return the lines that the match touches."""
    begin = text.rfind("\n", 0, found.start()) + 1
    end = text.find("\n", found.end())
    return tuple(line.strip() for line in text[begin : end if end >= 0 else None].splitlines())


def _postgres_version(database: Database, text: str) -> DataRefused | None:
    found = re.search(r"initialized by PostgreSQL version (\d+), .*this version (\d+)", text)
    if found is None:
        return None
    old, new = int(found[1]), int(found[2])
    mount = ", mounted at /var/lib/postgresql/data," if old < 18 <= new else ""
    return DataRefused(
        f"{database.service}: the volume holds a database of PostgreSQL {old}, and the image is PostgreSQL "
        f"{new}. A server reads the files of its own major version only. The data is untouched.",
        f"Put `image: postgres:{old}`{mount} back into compose.yaml and run again. To move to {new}, dump "
        f"it there (`scaffold exec {database.service} pg_dumpall --username {database.user} > dump.sql`) "
        "and restore that into a new volume.",
        evidence=_lines(text, found),
    )


def _mongo_version(database: Database, text: str) -> DataRefused | None:
    found = re.search(r"invalid featureCompatibilityVersion document.*", text)
    if found is None:
        return None
    version = re.search(r"version: \W*(\d+\.\d+)|(?:found|value) '?(\d+\.\d+)", found[0])
    # "expected '7.0' or '7.3' or '8.0'"; older servers forget the last quote.
    readable = [float(item) for item in re.findall(r"'(\d+\.\d+)", found[0].partition("expected")[2])]
    if version is None or not readable:
        return None
    old = version[1] or version[2]
    newer = float(old) > max(readable)
    advice = (
        "MongoDB does not go back to an older version."
        if newer
        else "To upgrade, go one major version at a time, and in each run "
        f'`db.adminCommand({{setFeatureCompatibilityVersion: "{readable[0]}", confirm: true}})`, with its '
        "own "
        "version, before the next."
    )
    return DataRefused(
        f"{database.service}: the volume holds a database of MongoDB {old}, and the image reads only "
        f"{', '.join(str(item) for item in readable)}. The data is untouched.",
        f"Put `image: mongo:{_tag(old)}` back into compose.yaml and run again. {advice}",
        evidence=_lines(text, found),
    )


def _tag(version: str) -> str:
    """Return the image's tag for a featureCompatibilityVersion: `7` for 7.0, but `4.4` and `8.2`."""
    major, _, minor = version.partition(".")
    return major if minor == "0" and int(major) >= 5 else version
