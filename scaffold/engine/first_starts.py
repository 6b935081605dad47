"""Look at the volumes whose first start no login has followed yet: was it cut short? Changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from scaffold.data import database as databases
from scaffold.data import unfinished
from scaffold.data.model import Contents, Database, Stage
from scaffold.engine import asides, oneoff, volume_files
from scaffold.engine.client import Engine, engine_errors
from scaffold.errors import EngineUnavailable, ScaffoldError
from scaffold.project import first_starts as memory
from scaffold.project.first_starts import Pending
from scaffold.stack import desired as wish
from scaffold.stack import mounts, names
from scaffold.stack.desired import Desired, Service
from scaffold.stack.observed import FirstStart, Observed, Volume

_AT_WORK = ("running", "paused", "restarting", "removing")


def look(engine: Engine, desired: Desired, observed: Observed) -> tuple[FirstStart, ...]:
    """Return what is known of each first start that was not followed by a login.

    Costs nothing where there is none: then there is no file that says so.
    """
    found = []
    for service in desired.services:
        database = databases.database_of(service)
        for name in service.volumes if database else ():
            volume = observed.volume(name)
            pending = memory.find(name, volume.created) if volume else None
            if database and volume and pending:
                found += _looked_at(engine, desired, observed, service, database, volume, pending)
    return tuple(found)


def _looked_at(
    engine: Engine,
    desired: Desired,
    observed: Observed,
    service: Service,
    database: Database,
    volume: Volume,
    pending: Pending,
) -> list[FirstStart]:
    if any(item.state in ("running", "paused") for item in observed.of_service(service.name)):
        return []  # nobody is about to start it: its proof comes first
    image = observed.images.get(service.image)
    variables = dict(entry.partition("=")[::2] for entry in (image.environment if image else ()))
    directory = database.kind.directory(variables | dict(service.environment))
    mounted = mounts.targets(service)
    target = mounts.holding(mounted, directory)
    if target is None or mounted[target].partition(":")[0] != volume.name:
        return []  # another volume of the service's, or none
    place = directory.removeprefix(target).strip("/")
    aside = asides.name(volume.name, place, datetime.now(UTC))

    def said(*, cut_short: bool, doubt: str = "", aside: str = aside) -> list[FirstStart]:
        return [FirstStart(service.name, volume.name, volume.created, cut_short, doubt, place, aside)]

    doubt = _standing_against(desired, service, volume, mounted, target)
    if doubt:
        return said(cut_short=False, doubt=doubt)
    try:
        with engine_errors(f"volume {volume.name}"):
            doubt = _used_by_others(engine, desired, service, volume)
            if doubt:
                return said(cut_short=False, doubt=doubt)
            found = _seen(engine, desired, service, database, f"{volume.name}:{place}")
    except EngineUnavailable:
        raise
    except ScaffoldError as error:
        return said(cut_short=False, doubt=f"it cannot be looked at: {error.message.rstrip('.')}")
    if found.is_out and found.stage in (Stage.EMPTY, Stage.CUT_SHORT):
        # It was being set aside when the command before this one was killed.
        return said(cut_short=True, aside=pending.aside or aside)
    match found.stage:
        case Stage.CUT_SHORT:
            return said(cut_short=True)
        case Stage.DOUBTFUL:
            return said(cut_short=False, doubt=found.doubt)
        case Stage.EMPTY | Stage.UNDERSTOOD:
            return []


def _standing_against(
    desired: Desired, service: Service, volume: Volume, mounted: Mapping[str, str], target: str
) -> str:
    """Return why a volume is left alone whatever is in it; empty where nothing speaks against it."""
    if volume.project != desired.project:
        return "it is not the project's own"
    if ":" in mounted[target]:
        return "only a part of it is mounted"
    others = [item.name for item in desired.services if volume.name in item.volumes and item != service]
    if others:
        return f"services.{others[0]} uses it as well"
    if service.replicas != 1:
        return f"services.{service.name} has more than one container"
    words = " ".join(map(str, mounts.listed(service.body.get("Cmd"))))
    if "listen_addresses" in words or "/var/run/postgresql" in mounted:
        # Then a server that people work with may look like the one of the initialisation.
        return "its server can be reached without a network"
    return ""


def _used_by_others(engine: Engine, desired: Desired, service: Service, volume: Volume) -> str:
    own = wish.container_names(desired, service)
    own |= {names.set_aside(name): 0 for name in own}
    for item in engine.get("/containers/json", all=True, filters={"volume": [volume.name]}):
        name = item["Names"][0].lstrip("/") if item["Names"] else item["Id"][:12]
        if names.HELPER in item["Labels"]:
            continue
        if item["State"] in _AT_WORK:
            return f"container {name} works on it"
        if name not in own:
            return f"container {name} has it as well"
    return ""


@dataclass(frozen=True)
class _Seen:
    """What a look into a volume has shown."""

    stage: Stage
    doubt: str
    is_out: bool
    """A part of it waits in a folder of ours, since it was being set aside."""


def _seen(engine: Engine, desired: Desired, service: Service, database: Database, where: str) -> _Seen:
    """Look into a volume, or into a folder of it, given as `volume:folder`."""
    volume, _, place = where.partition(":")
    with oneoff.created(engine, desired, service, f"{volume}:{oneoff.ROOT}:ro") as window:
        root = f"{oneoff.ROOT}/{place}".rstrip("/")
        found = volume_files.listing(engine, window, root, database.kind.telling)
        scripts = any(target.startswith(unfinished.SCRIPTS) for target in mounts.targets(service))
        scripts = scripts or volume_files.has_files(engine, window, unfinished.SCRIPTS)
    sizes = {path: size for path, size in found.sizes.items() if path.split("/")[0] != asides.OUT}
    stage, doubt = database.kind.stage(Contents(sizes, found.files), scripts=scripts)
    return _Seen(stage, doubt, asides.OUT in found.top)
