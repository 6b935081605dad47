"""What the log of MongoDB says about why it does not start on its volume."""

from __future__ import annotations

import re

from scaffold.data.model import Database
from scaffold.diagnose.cause import Cause
from scaffold.diagnose.volume import DISK_FULL, PERMISSION, lines_of
from scaffold.errors import DataRefused

# The first that matches counts: the more special ones come first.
CAUSES = (
    Cause(
        r"too recent to start up on the existing data files|unsupported WiredTiger file version",
        "{service}: the volume was written by a version of {title} too far from the image's. The data is "
        "untouched.",
        "Put the image that wrote it back into compose.yaml and run again. An upgrade goes one major "
        "version at a time.",
    ),
    DISK_FULL,
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
        "{service}: files of the database in {volume} are damaged.",
        "Copy the volume before you try anything; then see `mongod --repair`, or restore from a dump.",
    ),
    PERMISSION,
)


def version(database: Database, text: str) -> DataRefused | None:
    """Return that the data is of another version than the server, None when the log does not say so."""
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
        evidence=lines_of(text, found),
    )


def _tag(version: str) -> str:
    """Return the image's tag for a featureCompatibilityVersion: `7` for 7.0, but `4.4` and `8.2`."""
    major, _, minor = version.partition(".")
    return major if minor == "0" and int(major) >= 5 else version
