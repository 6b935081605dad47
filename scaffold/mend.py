"""Mend a database volume whose first start was cut short; touch it only when nobody's data can be in it."""

from __future__ import annotations

import contextlib
import io
import json
import re
import tarfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scaffold.data import database as databases
from scaffold.data import unfinished
from scaffold.data.model import Database, OneOff
from scaffold.engine import inside, oneoff
from scaffold.engine.client import Engine
from scaffold.engine.wire import TIMEOUT
from scaffold.errors import NotReady, ScaffoldError
from scaffold.stack import names
from scaffold.stack.desired import Desired, Service

PATIENCE = 30.0
"""Seconds for a server without authentication to come up on an existing volume."""
POLL = 0.2
"""Seconds between two questions; each of them starts a mongosh, which takes a second itself."""

# Ends at once when it is told to, which a shell as first process does not do by itself.
_IDLE = ("sh", "-c", "trap 'exit 0' TERM INT; while :; do sleep 1 & wait; done")
_LIST = """
cd "$1" || exit 3
find . -type f -exec stat -c 'size %s %n' {} +
if [ -f postmaster.opts ]; then printf 'options '; cat postmaster.opts; fi
for script in /docker-entrypoint-initdb.d/*; do if [ -e "$script" ]; then echo scripts; fi; done
"""
# The options go last: whoever is killed meanwhile leaves what is still known to be nobody's.
_EMPTY = """
cd "$1" || exit 3
find . -mindepth 1 ! -name postmaster.opts -delete
find . -mindepth 1 -delete
"""
_COUNT = """
const admin = db.getSiblingDB("admin")
const databases = admin.adminCommand({listDatabases: 1, nameOnly: true}).databases.map(found => found.name)
print("found " + JSON.stringify({databases, users: admin.getCollection("system.users").countDocuments({})}))
"""


@dataclass(frozen=True)
class _Place:
    """A data directory and the project's own volume that holds it."""

    directory: str
    volume: str
    mount: str


@dataclass(frozen=True)
class Mending:
    """What can be mended beside one project's services."""

    engine: Engine
    desired: Desired

    def before_start(self, service: Service, container: str) -> str:
        """Empty the data directory of a PostgreSQL that was never finished; return what was done, or nothing.

        Before the server starts, since that removes the evidence. A container that ended well was finished.
        """
        database = databases.database_of(service)
        if database is None or database.kind.name != "postgres":
            return ""
        document = self.engine.get(f"/containers/{container}/json")
        state = document["State"]["Status"]
        if state == "created":
            self._refuse_another_versions_data(service, container, document)
        if state not in ("created", "exited") or (state == "exited" and document["State"]["ExitCode"] == 0):
            return ""
        place = self._place(document)
        if place is None or not self._is_doubtful(container, place, document):
            return ""
        with oneoff.container(
            self.engine, self.desired, service, _IDLE, [f"{place.volume}:{place.mount}"]
        ) as name:
            listing = inside.feed(name, ("sh", "-s", place.directory), _LIST)
            scripts = _is_mounted(document, unfinished.SCRIPTS) or "scripts" in listing.splitlines()
            if not unfinished.never_served(_sizes(listing), _options(listing), scripts=scripts):
                return ""
            inside.feed(name, ("sh", "-s", place.directory), _EMPTY)
        return (
            f"{service.name}: the first start of {database.title} had been cut short before anybody could "
            "use it. Its volume was emptied, and it began anew."
        )

    def _refuse_another_versions_data(
        self, service: Service, container: str, document: Mapping[str, Any]
    ) -> None:
        """Raise ScaffoldError when this image would begin an empty database beside the rows in a volume.

        Images look for their data in different places of it. The container, which has never run, goes.
        """
        directory = _variable(document, "PGDATA")
        if not directory or self.engine.has(container, f"{directory}/PG_VERSION"):
            return
        for mount in document.get("Mounts") or ():
            where = mount["Destination"].rstrip("/")
            volume = self._own_volume(document, where)
            for place in unfinished.other_places(where, directory) if volume else ():
                version = (self._read(container, f"{place}/PG_VERSION") or "").strip()
                if not version:
                    continue
                self.engine.delete(f"/containers/{container}")
                raise ScaffoldError(
                    f"services.{service.name}: volume {volume} holds a database of PostgreSQL {version} in "
                    f"{place}, and {service.image} would begin an empty one in {directory}.",
                    f"Put `image: {_untagged(service.image)}:{version}` back: the volume is as it was. To go "
                    "to another version, dump the data with the old one first.",
                )

    def _place(self, document: Mapping[str, Any]) -> _Place | None:
        """Return where the data is, None unless it is in a volume of this project's own."""
        directory = _variable(document, "PGDATA")
        places = (mount["Destination"].rstrip("/") for mount in document.get("Mounts") or ())
        # Of mounts inside one another the innermost is the one that is seen.
        where = max(
            (place for place in places if f"{directory}/".startswith(f"{place}/")), key=len, default=None
        )
        volume = self._own_volume(document, where) if where is not None else None
        return _Place(directory, volume, where) if where is not None and volume else None

    def _own_volume(self, document: Mapping[str, Any], path: str) -> str | None:
        for mount in document.get("Mounts") or ():
            if mount["Type"] == "volume" and mount["Destination"].rstrip("/") == path:
                labels = self.engine.get(f"/volumes/{mount['Name']}").get("Labels") or {}
                if labels.get(names.PROJECT) == self.desired.project:
                    return str(mount["Name"])
        return None

    def _is_doubtful(self, container: str, place: _Place, document: Mapping[str, Any]) -> bool:
        """Return whether it is worth a closer look; costs one call where everything is well."""
        words = " ".join(document["Config"].get("Cmd") or ())
        if "listen_addresses" in words or _is_mounted(document, "/var/run/postgresql"):
            return False  # then a real server may look like the one of the initialisation
        options = self._read(container, f"{place.directory}/{unfinished.OPTIONS}")
        if options is not None and not unfinished.is_init_server(options):
            return False
        # initdb begins with this folder: without it the directory is empty, and the image fills it.
        if options is None and not self.engine.has(container, f"{place.directory}/pg_wal"):
            return False
        return self._is_idle(place.volume)

    def _is_idle(self, volume: str) -> bool:
        return not self.engine.get("/containers/json", filters={"volume": [volume]})

    def _read(self, container: str, path: str) -> str | None:
        """Return the text of a small file of a container, None when it has no such file."""
        content = self.engine.archive(container, path)
        if content is None:
            return None
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            files = [archive.extractfile(member) for member in archive]
            return "".join(file.read().decode(errors="replace") for file in files if file)

    def after_refusal(self, service: Service, container: str) -> str:
        """Create the user of a MongoDB volume that has neither users nor databases; return what was done.

        The server is stopped meanwhile. Whatever else the volume holds, it is only looked at.
        """
        database = databases.database_of(service)
        if (
            database is None
            or database.kind.name != "mongo"
            or database.user is None
            or database.password is None
        ):
            return ""
        change = databases.set_password(database)
        assert isinstance(change, OneOff)
        volume = self._own_volume(self.engine.get(f"/containers/{container}/json"), change.mount_path)
        if volume is None:
            return ""
        seconds = service.stop_timeout
        self.engine.post(f"/containers/{container}/stop", timeout=seconds + TIMEOUT, t=seconds)
        try:
            made = self._make_user(service, database, change, f"{volume}:{change.mount_path}")
        finally:
            self.engine.post(f"/containers/{container}/start")
        return made

    def _make_user(self, service: Service, database: Database, change: OneOff, bind: str) -> str:
        with unlocked(self.engine, self.desired, service, change, [bind]) as name:
            said = inside.feed(name, change.script.argv, _COUNT)
            found = re.search(r"found (\{.*\})", said)
            counted = json.loads(found[1]) if found else None
            if not counted or not unfinished.mongo_is_new(counted["databases"], counted["users"]):
                return ""
            inside.feed(name, change.script.argv, change.script.stdin)
        return (
            f"{service.name}: the first start of {database.title} had been cut short. Its volume held "
            f'nothing yet, and user "{database.user}" was created in it.'
        )


@contextlib.contextmanager
def unlocked(
    engine: Engine, desired: Desired, service: Service, change: OneOff, binds: Sequence[str]
) -> Iterator[str]:
    """Yield the container of a server that asks for no login, once it answers; stop the service first."""
    with oneoff.container(engine, desired, service, change.command, binds) as name:
        deadline = time.monotonic() + PATIENCE
        while not inside.succeeds(name, change.probe.argv):
            if time.monotonic() > deadline:
                raise NotReady(f"{service.name} did not come up on its volume without a login.")
            time.sleep(POLL)
        yield name


def _untagged(image: str) -> str:
    """Return an image's name without tag and digest; the colon of a registry's port stays."""
    return re.sub(r"(:[^:/]+)?(@.*)?$", "", image)


def _variable(document: Mapping[str, Any], name: str) -> str:
    variables = dict(str(entry).partition("=")[::2] for entry in document["Config"].get("Env") or ())
    return variables.get(name, "")


def _is_mounted(document: Mapping[str, Any], path: str) -> bool:
    return any(mount["Destination"].rstrip("/") == path for mount in document.get("Mounts") or ())


def _sizes(listing: str) -> dict[str, int]:
    found = re.finditer(r"^size (\d+) \./(.+)$", listing, re.MULTILINE)
    return {match[2]: int(match[1]) for match in found}


def _options(listing: str) -> str | None:
    found = re.search(r"^options (.*)$", listing, re.MULTILINE)
    return found[1] if found else None
