"""Decide whether a database would share its storage, or a container its name, with somebody else. Pure.

Two servers on one data directory destroy it. What is no database's may be shared.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from scaffold.errors import DataRefused, ProjectError
from scaffold.stack import desired as wish
from scaffold.stack import names
from scaffold.stack.desired import Desired, Service
from scaffold.stack.observed import Observed
from scaffold.stack.steps import CreateContainer, StartContainer, Step, UnpauseContainer

_DATA_PATHS = (
    *("/var/lib/postgresql", "/var/lib/mysql", "/var/lib/mongodb", "/data/db", "/var/opt/mssql"),
    *(
        "/var/lib/clickhouse",
        "/var/lib/cassandra",
        "/var/lib/influxdb",
        "/var/lib/neo4j",
        "/opt/couchdb/data",
    ),
    *("/usr/share/elasticsearch/data", "/usr/share/opensearch/data", "/cockroach/cockroach-data"),
    *("/bitnami/postgresql", "/bitnami/mysql", "/bitnami/mariadb", "/bitnami/mongodb", "/opt/oracle/oradata"),
)
"""Where the images of databases keep their data: also those that scaffold does not know otherwise."""
_STORES = re.compile(r"(^|/)(redis|valkey|keydb|dragonfly|neo4j|minio|etcd|surrealdb|arangodb|rethinkdb)\b")
"""Images that keep theirs in a folder with a common name."""
_SERVERS = re.compile(
    r"(^|[/_-])(postgres(ql)?|postgis|pgvector|timescaledb|mysql|mariadb|percona|mongo(db)?|mssql|oracle|"
    r"clickhouse|cassandra|influxdb|couchdb|elasticsearch|opensearch|cockroach)\b"
)
_PLACE_VARIABLES = ("PGDATA",)


@dataclass(frozen=True)
class Mount:
    """A directory of a container that is kept outside of it."""

    source: str
    """The volume's name or the folder's path."""
    target: str
    inside: str = ""
    """The folder in the volume that is mounted, when it is not all of it."""
    writable: bool = True


@dataclass(frozen=True)
class User:
    """A container of the engine, anybody's, and what it mounts."""

    id: str
    name: str
    project: str
    path: str
    image: str
    mounts: tuple[Mount, ...] = ()
    alive: bool = False
    """It has a process."""

    @property
    def title(self) -> str:
        if not self.project:
            return f"container {self.name}"
        return f"container {self.name} of project {self.project}" + (f" ({self.path})" if self.path else "")


Key = Callable[[str], str]
"""What two sources have in common when they are one place: a volume may be a folder under another name."""


def touched(desired: Desired, steps: Iterable[Step]) -> tuple[Service, ...]:
    """Return the services of which a container is made or started."""
    started = {
        step.name for step in steps if isinstance(step, CreateContainer | StartContainer | UnpauseContainer)
    }
    return tuple(
        service for service in desired.services if started & wish.container_names(desired, service).keys()
    )


def data_mounts(service: Service, observed: Observed) -> tuple[Mount, ...]:
    """Return the mounts in which the service, if it is a database's, keeps its data."""
    image = observed.images.get(service.image)
    words = dict(entry.partition("=")[::2] for entry in image.environment) if image else {}
    variables = {**words, **dict(service.environment)}
    return _data(service.image, variables, mounts_of(service.body.get("HostConfig")))


def mounts_of(host: object) -> tuple[Mount, ...]:
    """Return what a host configuration, as it is sent to the engine, mounts; not what has no name."""
    if not isinstance(host, Mapping):
        return ()
    found = []
    for bind in host.get("Binds") or ():
        source, target, *options = str(bind).split(":")
        found.append(Mount(source, target, writable="ro" not in ",".join(options).split(",")))
    for item in host.get("Mounts") or ():
        if item.get("Type") in ("volume", "bind") and item.get("Source"):
            inside = str((item.get("VolumeOptions") or {}).get("Subpath") or "")
            found.append(Mount(str(item["Source"]), str(item["Target"]), inside, not item.get("ReadOnly")))
    return tuple(found)


def _data(image: str, variables: Mapping[str, str], mounts: Iterable[Mount]) -> tuple[Mount, ...]:
    places = [*_DATA_PATHS, *(variables[name] for name in _PLACE_VARIABLES if variables.get(name))]
    if _STORES.search(image.partition(":")[0]):
        places.append("/data")
    return tuple(
        mount for mount in mounts if mount.writable and any(_overlap(mount.target, place) for place in places)
    )


def _overlap(one: str, other: str) -> bool:
    """Return whether one path is in the other one, or the same."""
    first, second = (f"/{path.strip('/')}/" for path in (one, other))
    return first != "/" != second and (first.startswith(second) or second.startswith(first))


def check_within(services: Iterable[Service], observed: Observed) -> None:
    """Raise DataRefused when two servers of one compose.yaml would have one data directory."""
    seen: dict[tuple[str, str], str] = {}
    for service in services:
        for mount in data_mounts(service, observed) if _serves(service, observed) else ():
            first = seen.setdefault((mount.source, mount.inside), service.name)
            if service.replicas > 1:
                raise DataRefused(
                    f"services.{service.name}: {service.replicas} servers would work on {mount.source}, and "
                    "destroy it. Nothing was changed.",
                    f"Set `scale: 1` for services.{service.name} in compose.yaml.",
                )
            if first != service.name:
                raise DataRefused(
                    f"services.{first} and services.{service.name} would both work on {mount.source}, and "
                    "destroy it. Nothing was changed.",
                    f"Give services.{service.name} a volume of its own in compose.yaml.",
                )


def _serves(service: Service, observed: Observed) -> bool:
    """Return whether it is a server for good: another program may prepare or read what a server uses."""
    image = observed.images.get(service.image)
    built = image is not None and any(
        entry.partition("=")[0] in (*_PLACE_VARIABLES, "PG_MAJOR", "MONGO_MAJOR")
        for entry in image.environment
    )
    name = service.image.partition("@")[0].rpartition(":")[0] or service.image
    return not service.one_shot and bool(built or _SERVERS.search(name) or _STORES.search(name))


@dataclass(frozen=True)
class Maker:
    """The project that made a volume: where it was last, and whether it still is there."""

    path: str
    there: bool


def check_volumes(
    services: Iterable[Service], desired: Desired, observed: Observed, maker: Callable[[str, str], Maker]
) -> None:
    """Raise ProjectError for a database's volume that another project made.

    One that is declared `external` is refused as long as that project is there: `maker` is asked with its
    name and the folder in which the volume was made.
    """
    declared = {volume.name: volume for volume in desired.volumes}
    for service in services:
        for mount in data_mounts(service, observed):
            found = observed.volume(mount.source)
            volume = declared.get(mount.source)
            if found is None or volume is None or found.project in ("", desired.project):
                continue
            made = maker(found.project, found.labels.get(names.PATH, ""))
            if made.path == desired.path or (volume.external and not made.there):
                continue
            where = f" ({made.path})" if made.path else ""
            raise ProjectError(
                f"services.{service.name}: volume {volume.name} belongs to project {found.project}{where}.",
                f"Give volumes.{volume.key} another `name:` in compose.yaml, or none.",
            )


def check_users(
    desired: Desired, services: Iterable[Service], observed: Observed, users: Iterable[User], key: Key
) -> None:
    """Raise ProjectError when somebody else's container has the data directory of a database.

    One that runs always counts; one that is stopped when its project made the volume: it will run again.
    """
    own = {container.id for container in observed.containers if not container.one_off}
    everybody = [user for user in users if user.id not in own]
    for service in services:
        for mount in data_mounts(service, observed):
            volume = observed.volume(mount.source)
            maker = volume.project if volume else ""
            for user in everybody:
                theirs_to_start = user.project == maker and user.project not in ("", desired.project)
                if not user.alive and not theirs_to_start:
                    continue
                if any(_shared(mount, theirs, user, key) for theirs in user.mounts):
                    raise _in_use(service, mount, user)


def _shared(mount: Mount, theirs: Mount, user: User, key: Key) -> bool:
    if not theirs.writable:
        return False
    mine, other = key(mount.source), key(theirs.source)
    if mine.startswith("/") and other.startswith("/"):
        if not _overlap(f"{mine}/{mount.inside}", f"{other}/{theirs.inside}"):
            return False
    elif mine != other or (mount.inside and theirs.inside and not _overlap(mount.inside, theirs.inside)):
        return False
    return theirs.target == mount.target or bool(_data(user.image, {}, [theirs]))


def _in_use(service: Service, mount: Mount, user: User) -> ProjectError:
    what = mount.source if mount.source.startswith("/") else f"volume {mount.source}"
    why = "which runs" if user.alive else "whose project made it"
    return ProjectError(
        f"services.{service.name}: {what} is the data directory of {user.title}, {why}.",
        f"Two servers on one data directory destroy it. Give services.{service.name} another one in "
        f"compose.yaml, or remove the other container: `docker rm -f {user.name}` keeps its volumes.",
    )


def check_names(observed: Observed, steps: Iterable[Step], users: Iterable[User]) -> None:
    """Raise ProjectError when a container that is made needs a name that somebody else's has."""
    own = {container.id for container in observed.containers}
    taken = {user.name: user for user in users if user.id not in own}
    for step in steps:
        if isinstance(step, CreateContainer) and step.name in taken:
            raise ProjectError(
                f"services.{step.service.name}: the name {step.name} already belongs to "
                f"{taken[step.name].title}.",
                f"Change or leave out services.{step.service.name}.container_name in compose.yaml."
                if step.service.container_name
                else f"Remove or rename that container: `docker rename {step.name} {step.name}-other`.",
            )
