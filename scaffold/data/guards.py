"""Decide whether a database may begin on what its storage holds, before anything is stopped. Pure.

The official images begin an empty database wherever they find none. So a plan that makes, replaces or starts
one is held against what lies where it will look, and where the rows were until now. A look that is not
certain is a hint; beginning an empty database beside rows is refused.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from scaffold.data import database as databases
from scaffold.data import layout as layouts
from scaffold.data.layout import Layout
from scaffold.data.model import Database
from scaffold.errors import DataRefused
from scaffold.numbers import whole
from scaffold.stack import desired as wish
from scaffold.stack import names
from scaffold.stack.desired import Desired, Service
from scaffold.stack.look import Contents, Former, Glance, Medium, Source, Window, joined
from scaffold.stack.observed import Container, Image, Observed, Stored
from scaffold.stack.steps import (
    BuildImage,
    CreateContainer,
    PullImage,
    RemoveContainer,
    SetAsideContainer,
    StartContainer,
    Step,
)
from scaffold.stack.storage import Mount, Place, place, present_mounts, wanted_mounts

_LAYOUTS = tuple(kind.layout for kind in databases.KINDS)


@dataclass(frozen=True)
class Server:
    """What a container runs as a database, and where it keeps its files."""

    layout: Layout
    image: str
    major: int | None
    directory: str
    place: Place
    mounts: tuple[Mount, ...]


@dataclass(frozen=True)
class Subject:
    """A database that a plan is about to start."""

    service: str
    container: str
    server: Server
    before: Server | None = None
    """The one of the container that it replaces."""
    known: Container | None = None
    """That container; or the one that is started again."""
    user: str = ""

    @property
    def stays(self) -> bool:
        """Return whether a container that is there is started again."""
        return self.before is None and self.known is not None


@dataclass(frozen=True)
class Finding:
    """What one directory holds."""

    kind: str = ""
    """Of the database: postgres or mongo; empty where there is none."""
    title: str = ""
    """What it is called, also for a database of another kind, and for files that are nobody's."""
    version: str = ""
    folder: str = ""
    """Where in the source."""
    unknown: str = ""
    """Why it could not be seen."""
    unfinished: bool = False

    @property
    def is_empty(self) -> bool:
        return not (self.title or self.unknown or self.unfinished)

    @property
    def words(self) -> str:
        return f"a database of {self.title} {self.version}".strip() if self.kind else self.title


@dataclass(frozen=True)
class Looks:
    """What to look into for a plan, and what was found."""

    found: tuple[Contents, ...] = ()

    def of(self, where: Place, server: Server) -> Finding:
        """Return what a place holds. What the engine has yet to make is empty."""
        contents = self.at(where)
        return finding(server.layout, contents) if contents else Finding()

    def at(self, where: Place) -> Contents | None:
        """Return the look at a place, None where there was none: the engine has yet to make it."""
        name = source_of(where)
        for contents in self.found:
            if contents.source == name and contents.folder == where.path:
                return None if where.is_new else contents
        return None


def source_of(where: Place) -> Source:
    """Return the source that a place lies in."""
    return Source(where.medium, where.source)


# Who is about to start


def subjects(desired: Desired, observed: Observed, steps: Iterable[Step]) -> tuple[Subject, ...]:
    """Return the databases that a plan makes, replaces or starts."""
    found: dict[str, Subject] = {}
    services = {
        name: service for service in desired.services for name in wish.container_names(desired, service)
    }
    for step in steps:
        match step:
            case CreateContainer(service=service, name=name, keeps=keeps):
                server = wanted(service, observed.images.get(service.image), keeps)
                known = _predecessor(service, name, observed)
                if server:
                    before = present(known) if known else None
                    found[name] = Subject(service.name, name, server, before, known, _user(service))
            case StartContainer(name=name) if name not in found:
                known = observed.container(name)
                starting = services.get(name)
                server = present(known) if known else None
                if known and server:
                    user = _user(starting) if starting else ""
                    found[name] = Subject(known.service, name, server, None, known, user)
            case _:
                pass
    return tuple(found[name] for name in sorted(found))


def wanted(service: Service, image: Image | None, keeps: Sequence[tuple[str, str]] = ()) -> Server | None:
    """Return the database that a container of this service will be, None when it is none."""
    config: dict[str, object] = {}
    if image:
        config = {"Env": image.environment, "Entrypoint": image.entrypoint, "Cmd": image.command}
    found = _served(service, config)
    if found is None:
        return None
    database, major, directory = found
    layout = database.kind.layout
    declared = image.volumes if image else (layout.mount_path(directory),)
    mounts = wanted_mounts(service, declared, keeps)
    nameless = {name for name, _ in keeps}
    return Server(layout, service.image, major, directory, place(mounts, directory, nameless), mounts)


def present(container: Container) -> Server | None:
    """Return the database that a container that is there runs, None when it is none."""
    config = container.body.get("Config")
    config = config if isinstance(config, Mapping) else {}
    found = _served(Service(container.service, container.image, {"Cmd": config.get("Cmd")}), config)
    if found is None:
        return None
    database, major, directory = found
    mounts = present_mounts(container)
    nameless = {name for name, _ in container.anonymous}
    where = place(mounts, directory, nameless)
    return Server(database.kind.layout, container.image, major, directory, where, mounts)


def _served(service: Service, config: Mapping[str, object]) -> tuple[Database, int | None, str] | None:
    """Return a database with its major version and its data directory, as far as they are certain."""
    database = databases.database_in(service, config)
    if database is None:
        return None
    layout = database.kind.layout
    variables = config.get("Env")
    inherited = dict(
        str(entry).partition("=")[::2] for entry in (variables if isinstance(variables, list | tuple) else ())
    )
    inherits = whole(inherited.get(layout.version_variable, "").partition(".")[0])
    major = database.major if inherits is None else inherits
    command = service.body.get("Cmd") or config.get("Cmd")
    words = tuple(map(str, command)) if isinstance(command, list | tuple) else ()
    directory = layout.directory({**inherited, **dict(service.environment)}, words, major)
    return (database, major, directory) if directory else None


def _user(service: Service) -> str:
    database = databases.database_of(service)
    return (database.user if database else service.env("POSTGRES_USER")) or "postgres"


def _predecessor(service: Service, name: str, observed: Observed) -> Container | None:
    """Return the container that has the rows until now: the one replaced, or set aside, or another's."""
    found = observed.container(name) or observed.container(names.set_aside(name))
    if found:
        return found
    return next(iter(observed.of_service(service.name)), None)


def leaving(observed: Observed, steps: Iterable[Step]) -> tuple[Container, ...]:
    """Return the containers that steps remove and that keep the files of a database in themselves."""
    going = []
    for step in steps:
        match step:
            # One that is set aside is removed once its successor is there.
            case RemoveContainer(name=name) | SetAsideContainer(name=name):
                container = observed.container(name)
                going += [container] if container else []
            case _:
                pass
    return inside(going)


def inside(containers: Iterable[Container]) -> tuple[Container, ...]:
    """Return those of the containers that keep the files of a database in themselves."""
    servers = ((container, present(container)) for container in containers)
    return tuple(
        container for container, server in servers if server and server.place.medium is Medium.CONTAINER
    )


def late(desired: Desired, observed: Observed, steps: Iterable[Step]) -> tuple[Service, ...]:
    """Return the services of which only the image that the steps make tells where the rows have to be.

    Where nothing is there yet that could hold any, it does not matter.
    """
    made = set()
    for step in steps:
        match step:
            case BuildImage(service=service):
                made.add(service.image)
            case PullImage(reference=reference):
                made.add(reference)
            case _:
                pass
    return tuple(
        service for service in desired.services if service.image in made and _may_have_rows(service, observed)
    )


def _may_have_rows(service: Service, observed: Observed) -> bool:
    if any(present(container) for container in observed.of_service(service.name)):
        return True
    image = observed.images.get(service.image)
    if image and wanted(service, image) is None:
        return False
    mounts = wanted_mounts(service, ())
    return any(
        mount.medium is Medium.BIND or (mount.medium is Medium.VOLUME and _exists(mount.source, observed))
        for mount in mounts
        if mount.source
    ) and (image is not None or databases.database_of(service) is not None)


# What to look into


def glances(
    desired: Desired, observed: Observed, found: Sequence[Subject], empty: Collection[str] = ()
) -> tuple[Glance, ...]:
    """Return what has to be known of volumes and folders before these databases start."""
    made: dict[tuple[Source, str], Glance] = {}
    for subject in found:
        for where in _places(subject):
            if where.medium is Medium.MEMORY or where.is_new:
                continue
            if where.medium is Medium.VOLUME and not _exists(where.source, observed):
                continue
            made.setdefault((source_of(where), where.path), _glance(subject.server, where, observed))
        if subject.known is None and subject.service not in empty:
            for name in orphans(desired, observed):
                where = Place(Medium.VOLUME, name, _usual(subject.server))
                made.setdefault((source_of(where), where.path), _glance(subject.server, where, observed))
            for where in _formers(subject, observed):
                made.setdefault((source_of(where), where.path), _glance(subject.server, where, observed))
    return tuple(made.values())


def former(container: Container) -> Former | None:
    """Return where a database that lets somebody in has its files, None where nothing can lead back to it."""
    server = present(container)
    if server is None or server.place.medium not in (Medium.VOLUME, Medium.BIND):
        return None
    where = server.place
    project = container.labels.get(names.PROJECT, "")
    return Former(project, container.service, where.medium, where.source, where.path)


def _formers(subject: Subject, observed: Observed) -> tuple[Place, ...]:
    """Return where a database was before that is to begin elsewhere, and has no container to tell."""
    return tuple(
        Place(Medium(item.medium), item.source, item.path, anonymous=_is_nameless(item))
        for item in observed.formers
        if item.service == subject.service
        and item.medium in (Medium.VOLUME, Medium.BIND)
        and (item.medium, item.source) != (subject.server.place.medium, subject.server.place.source)
    )


def _is_nameless(item: Former) -> bool:
    return item.medium == Medium.VOLUME and re.fullmatch("[0-9a-f]{64}", item.source) is not None


def glances_at(found: Sequence[Container], observed: Observed) -> tuple[Glance, ...]:
    """Return what has to be known before these containers go."""
    asked = []
    for container in found:
        server = present(container)
        if server:
            where = Place(Medium.CONTAINER, container.id, server.place.path)
            asked.append(_glance(server, where, observed))
    return tuple(asked)


def _places(subject: Subject) -> Iterable[Place]:
    yield subject.server.place
    if subject.before and not subject.before.place.is_same(subject.server.place):
        before = subject.before.place
        if before.medium is Medium.CONTAINER and subject.known:
            before = Place(Medium.CONTAINER, subject.known.id, before.path)
        yield before
    if subject.server.place.medium is Medium.CONTAINER and subject.stays and subject.known:
        yield Place(Medium.CONTAINER, subject.known.id, subject.server.place.path)
    for mount in related(subject.server):
        yield Place(mount.medium, mount.source, mount.inside)


def related(server: Server) -> tuple[Mount, ...]:
    """Return the mounts of compose.yaml that are meant for the data and do not hold it."""
    directory = f"{server.directory}/"
    return tuple(
        mount
        for mount in server.mounts
        if mount.written
        and mount.source
        and mount.medium in (Medium.VOLUME, Medium.BIND)
        and mount != server.place.mount
        and (
            directory.startswith(f"{mount.target}/")
            or mount.target.startswith(directory)
            or mount.target == server.layout.area
            or mount.target.startswith(f"{server.layout.area}/")
        )
    )


def unused(container: Container) -> tuple[str, ...]:
    """Return the volumes that a database's container has mounted around its data, which is elsewhere."""
    server = present(container)
    if server is None or not server.place.anonymous:
        return ()
    return tuple(mount.source for mount in related(server) if mount.medium is Medium.VOLUME)


def orphans(desired: Desired, observed: Observed) -> tuple[str, ...]:
    """Return the project's volumes that no service uses any more: the rows of a renamed one are there."""
    used = {name for service in desired.services for name in service.volumes}
    if desired.inactive:
        used |= {volume.name for volume in desired.volumes}
    return tuple(
        volume.name
        for volume in observed.volumes
        if volume.project == desired.project and volume.name not in used
    )


def _exists(volume: str, observed: Observed) -> bool:
    return observed.volume(volume) is not None or any(volume in item.volumes for item in observed.containers)


def _usual(server: Server) -> str:
    """Return where in a volume the image keeps its files when it is mounted as its documentation says."""
    mount = server.layout.mount_path(server.directory)
    return server.directory.removeprefix(mount).strip("/")


def _glance(server: Server, where: Place, observed: Observed) -> Glance:
    layout = server.layout
    base = where.mount.inside if where.mount else ""
    bases = dict.fromkeys((base, ""))
    markers = [item.marker for item in _LAYOUTS]
    rest = [joined(root, folder, layout.marker) for root in bases for folder in layout.elsewhere]
    for folder in dict.fromkeys((where.path, *bases)):
        rest += [joined(folder, name) for name in (*markers, *layouts.FOREIGN)]
    return Glance(
        source_of(where),
        where.path,
        layout.marker,
        more=tuple(joined(where.path, name) for name in layout.more),
        around=tuple(dict.fromkeys((*bases, where.path))),
        rest=tuple(dict.fromkeys(rest)),
        below=(*markers, *(f"docker/{marker}" for marker in markers)),
        windows=windows(where, observed),
    )


def windows(where: Place, observed: Observed) -> tuple[Window, ...]:
    """Return the running containers of the project through which all of a source can be seen."""
    if where.medium is Medium.CONTAINER:
        return (Window(where.source, ""),)
    found = []
    for container in observed.containers:
        if container.state != "running":
            continue
        mounts = present_mounts(container)
        for mount in mounts:
            hidden = any(
                other.target.startswith(f"{mount.target.rstrip('/')}/") for other in mounts if other != mount
            )
            if (mount.medium, mount.source, mount.inside) == (where.medium, where.source, "") and not hidden:
                found.append(Window(container.id, mount.target))
    return tuple(found)


# What was found


def finding(layout: Layout, contents: Contents) -> Finding:
    """Return what a directory holds for a server of this kind."""
    if contents.failed:
        return Finding(unknown=contents.failed)
    path = contents.folder
    marker = joined(path, layout.marker)
    if contents.files.get(marker):
        return Finding(layout.kind, layout.title, layout.version(contents.files[marker]), path)
    for item in (layout, *(other for other in _LAYOUTS if other != layout)):
        for file, content in sorted(contents.files.items()):
            folder, _, name = file.rpartition("/")
            if name == item.marker and content:
                return Finding(item.kind, item.title, item.version(content), folder)
    for file in sorted(contents.files):
        folder, _, name = file.rpartition("/")
        if name in layouts.FOREIGN:
            return Finding("", f"files of {layouts.FOREIGN[name]}", "", folder)
    names = [
        name
        for name in contents.entries.get(path, ())
        if name not in layouts.HARMLESS and not name.startswith(layouts.ASIDE)
    ]
    if not names:
        return Finding()
    if all(layout.own.fullmatch(name) for name in names):
        return Finding(unfinished=True)
    shown = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
    return Finding("", f"something that is no {layout.title} ({shown})", "", path)


def stored(found: Sequence[Subject], looks: Looks) -> tuple[Stored, ...]:
    """Return what the storage of databases that are about to start tells of what was done in it before."""
    made = []
    for subject in found:
        server = subject.server
        here = looks.of(_located(server.place, subject), server)
        if here.is_empty:
            made.append(Stored(subject.service, str(server.place), empty=True))
        if here.kind != server.layout.kind or here.folder != server.place.path:
            continue
        contents = looks.at(_located(server.place, subject))
        control = contents.files.get(joined(server.place.path, layouts.CONTROL), b"") if contents else b""
        cluster = layouts.cluster(control)
        at_work = subject.known is not None and subject.known.state in ("running", "paused", "restarting")
        born = cluster.born if cluster else None
        written = cluster.written if cluster and not at_work else None
        made.append(Stored(subject.service, str(server.place), born=born, written=written))
    return tuple(made)


# What is said to it


def judge(
    desired: Desired,
    observed: Observed,
    found: Sequence[Subject],
    looks: Looks,
    empty: Collection[str] = (),
) -> tuple[str, ...]:
    """Return notes on the data of the databases that are about to start. Raises DataRefused."""
    _refuse_shared(desired, observed)
    notes: dict[str, None] = {}
    for subject in found:
        for note in _judged(desired, observed, subject, looks, consent=subject.service in empty):
            notes[note] = None
    return tuple(notes)


def _judged(
    desired: Desired, observed: Observed, subject: Subject, looks: Looks, *, consent: bool
) -> Iterable[str]:
    server, service = subject.server, subject.service
    here = looks.of(_located(server.place, subject), server)
    if here.unknown:
        yield f"services.{service}: what is in {server.place} could not be seen: {here.unknown}."
        return
    if here.kind == server.layout.kind and here.folder == server.place.path:
        _refuse_version(subject, server.place, here)
        if subject.before and not subject.before.place.is_same(server.place):
            before = _rows_before(subject, looks)
            if before:
                yield (
                    f"services.{service}: goes over from {subject.before.place} to {server.place}; "
                    f"{before.words} stays in the former."
                )
        return
    if here.title:
        _refuse_occupied(subject, here)
    _refuse_before(subject, looks, consent=consent)
    _refuse_misplaced(subject, looks)
    if subject.known is None and not consent:
        yield from _refuse_orphan(desired, observed, subject, looks)
        yield from _refuse_elsewhere(observed, subject, looks)
    former = subject.known and (subject.stays or subject.before)
    if former and here.is_empty and not server.place.is_new and server.place.medium is not Medium.MEMORY:
        same = subject.stays or (subject.before and subject.before.place.is_same(server.place))
        if same and subject.known and subject.known.started:
            yield f"services.{service}: {server.place} has become empty. An empty database begins there."
    yield from _on_the_medium(subject)


def _located(where: Place, subject: Subject) -> Place:
    if where.medium is Medium.CONTAINER and subject.stays and subject.known:
        return Place(Medium.CONTAINER, subject.known.id, where.path)
    return where


def _rows_before(subject: Subject, looks: Looks) -> Finding | None:
    """Return what the container that is replaced has, when that is a database."""
    before = subject.before
    if before is None:
        return None
    where = before.place
    if where.medium is Medium.CONTAINER and subject.known:
        where = Place(Medium.CONTAINER, subject.known.id, where.path)
    found = looks.of(where, before)
    return found if found.kind and found.folder == where.path else None


def refuse_to_remove(found: Sequence[Container], looks: Looks, empty: Collection[str] = ()) -> None:
    """Raise DataRefused when a container goes that has the files of a database in itself, or may have."""
    for container in found:
        if container.service in empty:
            continue
        rows = rows_inside(container, looks)
        where = f"the container {container.name} itself"
        delete = f"`docker rm -f {container.name}` deletes it; `scaffold stop` keeps it."
        if rows.unknown:
            raise DataRefused(
                f"services.{container.service}: what is in {where} could not be seen, and would go with it: "
                f"{rows.unknown.rstrip('.')}. Nothing was changed.",
                f"Repeat the command. {delete}",
            )
        if not rows.kind:
            continue
        dump = ""
        if rows.kind == "postgres":
            dump = (
                f"Dump it first: `scaffold exec {container.service} pg_dumpall --username "
                f"{_variable(container, 'POSTGRES_USER') or 'postgres'} > dump.sql`. "
            )
        raise DataRefused(
            f"services.{container.service}: {rows.words} is in {where} (/{rows.folder}), and goes with it. "
            "Nothing was changed.",
            f"{dump}{delete}",
        )


def rows_inside(container: Container, looks: Looks) -> Finding:
    """Return what a container has in itself where its database has its files."""
    server = present(container)
    if server is None:
        return Finding()
    return looks.of(Place(Medium.CONTAINER, container.id, server.place.path), server)


def _variable(container: Container, name: str) -> str:
    config = container.body.get("Config")
    variables = config.get("Env") if isinstance(config, Mapping) else ()
    found = dict(str(entry).partition("=")[::2] for entry in variables or ())
    return found.get(name, "")


def _refuse_shared(desired: Desired, observed: Observed) -> None:
    """Raise DataRefused when two servers of the project would work on one directory."""
    owners: dict[tuple[Medium, str, str], str] = {}
    for service in desired.services:
        server = wanted(service, observed.images.get(service.image))
        if server is None or server.place.is_new or service.replicas == 0:
            continue
        key = (server.place.medium, server.place.source, server.place.path)
        if service.replicas > 1:
            raise DataRefused(
                f"services.{service.name}: {service.replicas} servers would work on {server.place}, and "
                "destroy it. Nothing was changed.",
                f"Set `scale: 1` for services.{service.name} in compose.yaml.",
            )
        if key in owners:
            raise DataRefused(
                f"services.{owners[key]} and services.{service.name} would both work on {server.place}, and "
                "destroy it. Nothing was changed.",
                f"Give services.{service.name} a volume of its own in compose.yaml.",
            )
        owners[key] = service.name


def _refuse_version(subject: Subject, where: Place, found: Finding) -> None:
    server = subject.server
    if not found.version or server.major is None:
        return
    # Before 10 a major version had two parts.
    if int(found.version.partition(".")[0]) == server.major:
        return
    raise DataRefused(
        f"services.{subject.service}: {where} holds {found.words}, and {server.image} is "
        f"{server.layout.title} {server.major}. A server reads the files of its own major version only. "
        "Nothing was changed.",
        _back(subject, found),
    )


def _back(subject: Subject, found: Finding) -> str:
    """Return how the image that reads the rows is put back, and how they get into another version."""
    server = subject.server
    layout = server.layout
    old = layout.directory({}, (), int(found.version.partition(".")[0])) if found.version else None
    targets = {mount.target for mount in server.mounts if mount.written}
    moved = bool(old) and layout.mount_path(str(old)) not in targets
    mount = f", mounted at {layout.mount_path(str(old))}," if moved else ""
    known = subject.known.image if subject.known and subject.before else ""
    image = known if subject.before and str(subject.before.major) == found.version else ""
    image = image or f"{layout.kind}:{found.version}"
    dump = f"scaffold exec {subject.service} pg_dumpall --username {subject.user} > dump.sql"
    return (
        f"Put `image: {image}`{mount} back into compose.yaml and run again. To move to "
        f"{server.major}, dump it there (`{dump}`) and restore that into a new volume."
    )


def _refuse_occupied(subject: Subject, found: Finding) -> None:
    """Raise DataRefused when the server would begin an empty database in a place that is not empty."""
    server = subject.server
    where = server.place
    holder = Place(where.medium, where.source, found.folder, where.mount, where.anonymous)
    if found.kind == server.layout.kind:
        if found.version and server.major and int(found.version.partition(".")[0]) != server.major:
            _refuse_version(subject, holder, found)
        mount = where.mount
        wanted_there = mount and f"{mount.target.rstrip('/')}/{found.folder}".rstrip("/")
        raise DataRefused(
            f"services.{subject.service}: {holder} holds {found.words}, and {server.image} would begin an "
            f"empty one beside it, in {server.directory}. Nothing was changed.",
            f"Let the server look there: set `PGDATA: {wanted_there}` for services.{subject.service}, or "
            "mount that folder where it looks, as it was before."
            if server.layout.kind == "postgres"
            else "Mount that folder where the server looks, as it was before.",
        )
    raise DataRefused(
        f"services.{subject.service}: {holder} holds {found.words}, and {server.image} would begin an empty "
        f"database of {server.layout.title} in it. Nothing was changed.",
        f"Give services.{subject.service} another volume in compose.yaml: under `volumes:` at the end of the "
        f"file a new name, mounted at {server.layout.mount_path(server.directory)}.",
    )


def _refuse_before(subject: Subject, looks: Looks, *, consent: bool) -> None:
    """Raise DataRefused when the rows are where the container that is replaced has them, and nowhere else."""
    before = subject.before
    rows = _rows_before(subject, looks)
    if before is None or rows is None or before.place.is_same(subject.server.place):
        return
    goes = before.place.medium is Medium.CONTAINER
    if consent:
        return
    if rows.kind != subject.server.layout.kind and not goes:
        return
    if rows.version and subject.server.major and before.major != subject.server.major:
        _refuse_version(subject, before.place, rows)
    stays = "is in the container itself, and goes with it" if goes else f"is in {before.place}"
    raise DataRefused(
        f"services.{subject.service}: {rows.words} {stays}, and {subject.server.image} would begin an empty "
        f"one in {subject.server.place}. Nothing was changed.",
        _keep(subject, before, goes=goes),
    )


def _keep(subject: Subject, before: Server, *, goes: bool) -> str:
    anew = f"`scaffold run --new-data {subject.service}` begins an empty one" + (
        ", and the rows are gone." if goes else "; the rows stay where they are."
    )
    dump = f"scaffold exec {subject.service} pg_dumpall --username {subject.user} > dump.sql"
    if goes:
        return f"Dump it first: `{dump}`. {anew}" if before.layout.kind == "postgres" else anew
    mount = before.place.mount
    if before.place.medium is Medium.VOLUME and mount:
        back = f"Put `{_naming(before.place)}` back, mounted at {mount.target}, in compose.yaml."
    else:
        back = f"Put {before.place} back in compose.yaml" + (
            f", mounted at {mount.target}." if mount else "."
        )
    return f"{back} {anew}"


def _naming(where: Place) -> str:
    """Return the declaration by which compose.yaml names a volume, whatever its key was."""
    return f"volumes: {{NAME: {{external: true, name: {where.source}}}}}"


def _refuse_misplaced(subject: Subject, looks: Looks) -> None:
    """Raise DataRefused when a mount was meant for the data and does not hold it."""
    server = subject.server
    beside = related(server)
    lost = server.place.medium is Medium.CONTAINER or (
        server.place.medium is Medium.VOLUME and server.place.is_new
    )
    for mount in beside:
        there = Place(mount.medium, mount.source, mount.inside, mount)
        found = looks.of(there, server)
        if found.kind == server.layout.kind:
            holder = Place(mount.medium, mount.source, found.folder, mount)
            _refuse_version(subject, holder, found)
            raise DataRefused(
                f"services.{subject.service}: {holder} holds {found.words}, mounted at {mount.target}, and "
                f"{server.image} would begin an empty one in {server.directory}, which is {server.place}. "
                "Nothing was changed.",
                f"Mount it at {server.layout.mount_path(server.directory)} in compose.yaml and run again.",
            )
    if beside and lost and not subject.stays:
        mount = beside[0]
        raise DataRefused(
            f"services.{subject.service}: {server.image} keeps its files in {server.directory}, and the "
            f"mount at {mount.target} does not hold them: the rows would be in {server.place}. Nothing was "
            "changed.",
            f"Mount {mount.source} at {server.layout.mount_path(server.directory)} in compose.yaml and run "
            "again.",
        )


def _refuse_orphan(desired: Desired, observed: Observed, subject: Subject, looks: Looks) -> Iterable[str]:
    """Raise DataRefused when a volume of the project that no service uses any more has the rows.

    Yields what is to be said of one that could not be seen.
    """
    server = subject.server
    for name in orphans(desired, observed):
        where = Place(Medium.VOLUME, name, _usual(server))
        found = looks.of(where, server)
        if found.unknown:
            yield f"services.{subject.service}: what is in {where} could not be seen: {found.unknown}."
        if found.kind != server.layout.kind:
            continue
        raise DataRefused(
            f"services.{subject.service}: volume {name} of this project holds {found.words}, no service "
            f"uses it any more, and {server.image} would begin an empty one in {server.place}. Nothing was "
            "changed.",
            f"Use it again: `{_naming(where)}`, mounted at {server.layout.mount_path(server.directory)}, in "
            f"compose.yaml. `scaffold run --new-data {subject.service}` begins an empty one; the rows stay "
            "where they are.",
        )


def _refuse_elsewhere(observed: Observed, subject: Subject, looks: Looks) -> Iterable[str]:
    """Raise DataRefused when the rows are where the database was before, and it would begin elsewhere.

    A volume that nobody has named is only mentioned: the next container gets another one by itself.
    """
    server = subject.server
    for where in _formers(subject, observed):
        found = looks.of(where, server)
        if found.kind != server.layout.kind:
            continue
        if where.anonymous:
            yield f"services.{subject.service}: {found.words} from before stays in {where}."
            continue
        back = _naming(where) if where.medium is Medium.VOLUME else str(where.source)
        raise DataRefused(
            f"services.{subject.service}: it had its files in {where} before. {found.words} is there, and "
            f"{server.image} would begin an empty one in {server.place}. Nothing was changed.",
            f"Put it back in compose.yaml: `{back}`, mounted at "
            f"{server.layout.mount_path(server.directory)}. `scaffold run --new-data {subject.service}` "
            "begins an empty one; the rows stay where they are.",
        )


def _on_the_medium(subject: Subject) -> Iterable[str]:
    """Yield what is to be known of a place that does not keep rows as a volume with a name does."""
    server = subject.server
    name = f"services.{subject.service}"
    mount = server.layout.mount_path(server.directory)
    match server.place.medium:
        case Medium.MEMORY:
            yield f"{name}: its data is in memory (tmpfs), and is gone when it stops."
        case Medium.CONTAINER:
            yield (
                f"{name}: its data ({server.directory}) is in the container itself, and goes with it. "
                f"Mount a volume at {mount} to keep it."
            )
        case Medium.VOLUME if server.place.is_new:
            yield (
                f"{name}: its data is in a volume without a name of its own. Mount one at {mount} in "
                "compose.yaml to find it again."
            )
        case _:
            pass
