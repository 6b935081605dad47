"""What the log of PostgreSQL says about why it does not start on its volume."""

from __future__ import annotations

import re

from scaffold.data.model import Database
from scaffold.diagnose.cause import Cause
from scaffold.diagnose.volume import DISK_FULL, PERMISSION, lines_of
from scaffold.errors import DataRefused

# The first that matches counts: the more special ones come first.
CAUSES = (
    Cause(
        r"/docker-entrypoint-initdb\.d/\S+: cannot execute: required file not found"
        r"|/docker-entrypoint-initdb\.d/[^\n]*(?:\n[^\n]*){0,3}?(?:\^M|\$'\\r'|\r|bad interpreter|\n: )",
        "{service}: a script of /docker-entrypoint-initdb.d has Windows line ends, or names a program that "
        "the image has not. The first start stopped there.",
        "Give the script Unix line ends (`sed -i 's/\\r$//' FILE`), and begin anew with `scaffold run`.",
    ),
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
    DISK_FULL,
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
        "{service}: {volume} holds files, but no finished database: it has another use, or its first start "
        "was cut short. Nothing in it was changed.",
        "{ways}",
    ),
    Cause(
        r"could not locate a valid checkpoint record|invalid checkpoint record"
        r"|could not find the database system"
        r"|is not a database cluster directory|could not access the server configuration file"
        r'|could not open directory "pg_|could not open file "(?:global|base)/'
        r"|incorrect checksum in control file",
        "{service}: files of the database in {volume} are missing or damaged; a first start that was cut "
        "short looks the same. Nothing in it was changed.",
        "{ways}",
    ),
    PERMISSION,
)


def version(database: Database, text: str) -> DataRefused | None:
    """Return that the data is of another version than the server, None when the log does not say so."""
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
        evidence=lines_of(text, found),
    )
