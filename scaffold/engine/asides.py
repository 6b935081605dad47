"""Set aside what a first start that was cut short has left in a volume. Nothing of it is lost.

Where the data is a folder of the volume that is one rename. Where it is the volume itself, an image starts
only on an empty one: all of it is moved into a folder of its own, copied from there to another volume and
compared, and only then removed. At every moment it is whole in one of the places, and whoever is killed in
between is followed by a run that goes on from what it finds.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from http import HTTPStatus

from scaffold.data import database as databases
from scaffold.engine import oneoff, volume_files
from scaffold.engine.client import Engine
from scaffold.engine.volume_files import Entry
from scaffold.engine.wire import Refused
from scaffold.errors import DataRefused, EngineError
from scaffold.project import first_starts as memory
from scaffold.stack import names
from scaffold.stack.desired import Desired
from scaffold.stack.steps import SetAsideData

OUT = ".scaffold-out"
"""The folder in which the content of a volume waits until its copy has been compared."""
FOLDER = ".scaffold-aside"
"""The folder in which a directory of a volume is set aside; the images do not look into it."""

# What tells an image that there is a database goes first: from then on it starts nothing on the rest.
_MOVE_OUT = """
set -e
cd "$1"
if [ -e "$2" ] && [ -e PG_VERSION ]; then echo "both $2 and PG_VERSION are there"; exit 3; fi
mkdir -p "$2"
chown "$(stat -c %u:%g .)" "$2"
chmod "$(stat -c %a .)" "$2"
if [ -e PG_VERSION ]; then mv PG_VERSION "$2/"; fi
for entry in * .[!.]* ..?*; do
  if [ "$entry" != "$2" ] && { [ -e "$entry" ] || [ -L "$entry" ]; }; then mv "$entry" "$2/"; fi
done
sync
"""
_MOVE_BACK = """
set -e
cd "$1/$2"
for entry in * .[!.]* ..?*; do
  if [ "$entry" != PG_VERSION ] && { [ -e "$entry" ] || [ -L "$entry" ]; }; then mv -n "$entry" ..; fi
done
if [ -e PG_VERSION ]; then mv -n PG_VERSION ..; fi
cd ..
rmdir "$2"
"""
_RENAME = """
set -e
cd "$1"
if [ ! -e "$2" ] || [ -e "$3" ]; then exit 0; fi
mkdir -p "$(dirname "$3")"
mv "$2" "$3"
sync
"""
# The engine leaves out what it cannot read, in the copy as in what that is compared with: the kernel counts.
_REMOVE_OUT = """
set -e
cd "$1"
find "$2" > /dev/null
count=$(( $(find "$2" -print0 | tr -dc '\\000' | wc -c) ))
if [ "$count" -ne "$3" ]; then echo "$2 has $count files and folders, and the copy has $3"; exit 3; fi
rm -rf "$2"
sync
"""


def name(volume: str, place: str, now: datetime) -> str:
    """Return where the content of a volume, or of a folder in it, is set aside to."""
    moment = f"{now:%Y%m%dT%H%M%SZ}"
    return f"{FOLDER}/{moment}/{place.replace('/', '-')}" if place else f"{volume}-aside-{moment}"


def set_aside(step: SetAsideData, desired: Desired, engine: Engine) -> str:
    """Do it, or go on where it was interrupted; return where everything is now."""
    pending = memory.find(step.volume, step.created)
    if pending is None:
        raise DataRefused(
            f"volume {step.volume} was made anew, or used, since it was looked at: it is left as it is.",
            "See `scaffold plan`.",
        )
    _check_idle(engine, step)
    memory.keep(replace(pending, aside=step.aside))
    if step.directory:
        _rename(step, desired, engine)
    else:
        _to_volume(step, desired, engine)
    memory.keep(replace(pending, aside=""))
    title = _title(step)
    return (
        f"{step.service.name}: the first start of {title} had been cut short before anybody could log in, so "
        f"it begins anew. What it had left is in {place(step)}."
    )


def place(step: SetAsideData) -> str:
    return f"{step.aside} of volume {step.volume}" if step.directory else f"volume {step.aside}"


def _title(step: SetAsideData) -> str:
    database = databases.database_of(step.service)
    return database.title if database else "the database"


def _rename(step: SetAsideData, desired: Desired, engine: Engine) -> None:
    _run(step, desired, engine, _RENAME, step.directory, step.aside)
    if _at_work(engine, step):
        # It has been started in the same moment, and goes on in the folder that has another name now.
        _run(step, desired, engine, _RENAME, step.aside, step.directory)
        _check_idle(engine, step)


def _to_volume(step: SetAsideData, desired: Desired, engine: Engine) -> None:
    _run(step, desired, engine, _MOVE_OUT, OUT)
    if _at_work(engine, step):
        _run(step, desired, engine, _MOVE_BACK, OUT)
        _check_idle(engine, step)
    _make(step, desired, engine)
    with (
        oneoff.created(engine, desired, step.service, f"{step.volume}:{oneoff.ROOT}:ro") as old,
        oneoff.created(engine, desired, step.service, f"{step.aside}:{oneoff.ROOT}") as new,
    ):
        out = f"{oneoff.ROOT}/{OUT}"
        volume_files.copy(engine, (old, out), (new, oneoff.ROOT))
        source = volume_files.listing(engine, old, out).entries
        _give(step, desired, engine, source[volume_files.ROOT])
        target = volume_files.listing(engine, new, oneoff.ROOT).entries
    lost = sorted(path for path, entry in source.items() if target.get(path) != entry)
    if lost:
        raise EngineError(
            f"{step.volume}: the copy in volume {step.aside} differs in {lost[0]}. Nothing was removed.",
            f"All of it is in the folder {OUT} of volume {step.volume}.",
        )
    _run(step, desired, engine, _REMOVE_OUT, OUT, str(len(source)))


def _make(step: SetAsideData, desired: Desired, engine: Engine) -> None:
    """Make the other volume. Without Compose's labels: its `down -v` removes what has them."""
    labels = {names.ASIDE: step.volume, names.PATH: desired.path}
    engine.post("/volumes/create", {"Name": step.aside, "Labels": labels})


def _give(step: SetAsideData, desired: Desired, engine: Engine, like: Entry) -> None:
    """Give the other volume's root its owner and mode, which a copy into it does not."""
    words = ("{}:{}".format(*like.owner), f"{like.mode & 0o7777:o}", oneoff.ROOT)
    command = ("sh", "-c", 'chown "$1" "$3" && chmod "$2" "$3"', "sh", *words)
    oneoff.run(engine, desired, step.service, f"{step.aside}:{oneoff.ROOT}", command)


def _run(step: SetAsideData, desired: Desired, engine: Engine, script: str, *words: str) -> None:
    command = ("sh", "-c", script, "sh", oneoff.ROOT, *words)
    oneoff.run(engine, desired, step.service, f"{step.volume}:{oneoff.ROOT}", command)


def _check_idle(engine: Engine, step: SetAsideData) -> None:
    found = _at_work(engine, step)
    if found:
        raise DataRefused(
            f"{step.service.name}: container {found} works on volume {step.volume}, so it is left as it is.",
            f"Stop it with `docker stop {found}`, then repeat the command.",
        )


def _at_work(engine: Engine, step: SetAsideData) -> str:
    """Return a container that runs on the volume; the engine lists paused and restarting ones, too."""
    try:
        found = engine.get("/containers/json", filters={"volume": [step.volume]})
    except Refused as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
        return ""
    return next(
        (
            item["Names"][0].lstrip("/") if item["Names"] else item["Id"][:12]
            for item in found
            if names.HELPER not in item["Labels"]
        ),
        "",
    )
