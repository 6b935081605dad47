"""Ask the engine and the folders whose a project's name is, before anything is planned. Changes nothing.

Where the labels name this folder alone, as nearly always, nobody is asked and little is imported.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scaffold.engine.client import Engine
from scaffold.errors import ProjectError, UsageError
from scaffold.project import checkout as checkouts
from scaffold.project import folders, ports
from scaffold.project.checkout import Checkout
from scaffold.stack import environment, identity
from scaffold.stack.desired import Desired, Volume
from scaffold.stack.identity import Facts, Meaning, Source, Trace
from scaffold.stack.observed import Observed
from scaffold.stack.steps import CreateContainer, Step

if TYPE_CHECKING:
    from scaffold.stack import sharing
    from scaffold.stack.naming import Candidate, Chosen


def check(
    engine: Engine, checkout: Checkout, desired: Desired, observed: Observed, consent: Collection[str] = ()
) -> tuple[str, ...]:
    """Return what is to be said of the project's name.

    Raises ProjectError when it belongs to another folder that is there, or when what was made here has
    another name; `consent` are names that a person wants to begin anew.
    """
    name, path = desired.project, str(checkout.path)
    found = identity.traces(observed, name)
    record = folders.record(name)
    elsewhere = {trace.path for trace in found} - {"", path}
    elsewhere |= {record.path} - {path} if record else set()
    if not identity.is_of(name, path):
        # Nobody knows where a name that a person chose was used as well.
        reserving = ports.reserved_by_others(checkout)
        if not found and environment.PROJECT_NAME not in checkout.variables:
            _refuse_copied(checkout, reserving)
        elsewhere |= reserving
    if elsewhere:
        others = tuple(folders.meaning(other, checkout.path) for other in sorted(elsewhere))
        facts = Facts(name, path, found, others, record)
        owner = identity.rival(facts)
        if owner is not None:
            raise _belongs(owner, desired, checkout)
        if not identity.is_of(name, path) and checkout.variables.get(environment.PROJECT_NAME) != name:
            former = identity.unproven(facts, checkout.path.stat().st_ino)
            if former:
                raise _undecided(former, found, desired, checkout)
    return () if found or name in consent else _older(engine, checkout, desired)


def _belongs(owner: Meaning, desired: Desired, checkout: Checkout) -> ProjectError:
    mine = folders.meaning(str(checkout.path), checkout.path)
    said = f"The name {desired.project} belongs to the project in {owner.path}"
    fresh = environment.unique(checkout.path.name, str(checkout.path))
    name = f"{environment.PROJECT_NAME}={fresh}"
    match mine.source:
        case Source.ENV_FILE if identity.is_of(desired.project, owner.path) or _is_copied(owner, checkout):
            copied = f"Remove {checkout.env_file}; the next `scaffold run` writes one with names of its own."
            if owner.source is Source.ENV_FILE or owner.source is Source.SHELL:
                return ProjectError(f"{said}; .env was copied from it.", copied)
            return ProjectError(
                f"{said}, which has no .env; this one's was copied, or this folder was moved.",
                f"{copied} But if the data is this folder's, put {environment.PROJECT_NAME}="
                f"{environment.numbered(desired.project)} into {owner.path}/.env.",
            )
        case Source.SHELL:
            return ProjectError(
                f"{said}; here it comes from {environment.PROJECT_NAME} in this shell.",
                f"`unset {environment.PROJECT_NAME}`, or give this folder another name with `export {name}`.",
            )
        case _:
            return ProjectError(
                f"{said}; here it comes from {mine.source}.",
                f"Put {name} into {checkout.env_file}: this folder then has a name and data of its own.",
            )


def _refuse_copied(checkout: Checkout, others: Iterable[str]) -> None:
    """Raise ProjectError before anything is begun with the ports and the password of another checkout.

    What listens at the other one's address would then be this one's database.
    """
    for path in sorted(others):
        if _is_copied(Meaning(path), checkout):
            raise ProjectError(
                f"{checkout.env_file} has the ports and the password of {path}, and no name: it was copied "
                "from there. Nothing was changed.",
                f"Remove {checkout.env_file}; the next `scaffold run` writes one of its own.",
            )


def _is_copied(owner: Meaning, checkout: Checkout) -> bool:
    """Return whether a .env has the generated values of another: then its ports are the other's, too."""
    try:
        theirs = checkouts.variables_in(Path(owner.path))
    except (OSError, UnicodeDecodeError):
        return False
    return any(
        value and theirs.get(name) == value
        for name, value in checkout.variables.items()
        if environment.is_generated(name)
    )


def _undecided(former: str, found: Iterable[Trace], desired: Desired, checkout: Checkout) -> ProjectError:
    """Return what is said of a name that leads to what a folder elsewhere has made."""
    name = desired.project
    source = folders.meaning(str(checkout.path), checkout.path).source
    fresh = f"{environment.PROJECT_NAME}={environment.unique(checkout.path.name, str(checkout.path))}"
    if source is Source.SHELL:
        own = f"`unset {environment.PROJECT_NAME}`, or `export {fresh}`, gives"
    else:
        own = f"{fresh} in {checkout.env_file} gives"
    return ProjectError(
        f"{name} is the name of what was made in {former}: {identity.listed(found)}. Here the name comes "
        f"from {source}, and nothing says that this folder is that project, moved. Nothing was changed.",
        f"{own} this folder a name and data of its own. If it is that project, "
        f"{environment.PROJECT_NAME}={name} in its .env goes on with the data.",
    )


def _older(engine: Engine, checkout: Checkout, desired: Desired) -> tuple[str, ...]:
    """Look for what was made in this folder under another name, when nothing has the present one yet."""
    name = desired.project
    history = _History.read(engine, checkout)
    source = folders.meaning(str(checkout.path), checkout.path).source
    known = history.names_here(but={name})
    if source is Source.FOLDER:
        # Whoever renames such a folder renames the project.
        known += tuple(item for item in folders.formerly(checkout.path) if item != name and history.of(item))
    older = [
        candidate
        for candidate in map(history.candidate, known)
        # Of those that another folder has made, or may have, the name of this one says that it knows.
        if not ((candidate.foreign or candidate.doubt) and identity.is_of(name, str(checkout.path)))
        and identity.rival(candidate.facts) is None
    ]
    if not older:
        return ()
    if source is Source.SHELL:
        # A name for this one command, as a build server gives it.
        return (f"Beside {name}, this folder has what was made here as {_listed(older)}.",)
    raise ProjectError(
        f"This project is called {name} now, by {source}, and what was made here before is {_listed(older)}. "
        "Nothing was changed.",
        f"Put {environment.PROJECT_NAME}={older[0].name} into {checkout.env_file} to go on with it; "
        f"`scaffold run --new-data {name}` begins anew beside it.",
    )


def rename(engine: Engine, checkout: Checkout, name: str) -> None:
    """Give the project another name in .env. Raises ProjectError where something would be left behind."""
    from scaffold.engine import inventory
    from scaffold.project import env_file

    if environment.slug(name) != name:
        raise UsageError(
            f"{name!r} cannot be a project's name: it has lower case letters, digits, `-` and `_`.",
            f"`scaffold env --rename {environment.slug(name)}`",
        )
    traces = inventory.traces(engine)
    old = checkout.variables.get(environment.PROJECT_NAME, "")
    left = [item for item in traces if item.project == old]
    if old == name:
        return
    if left:
        raise ProjectError(
            f"Under the name {old} there are {identity.listed(left)}: under another one they would be "
            "out of reach. Nothing was changed.",
            "`scaffold down` removes containers, and `scaffold destroy` also the data.",
        )
    others = [item for item in traces if item.project == name]
    if others:
        raise ProjectError(
            f"The name {name} has {identity.listed(others)} already. Nothing was changed.",
            "Choose another name.",
        )
    env_file.rename(checkout, name)


def _listed(older: Iterable[Candidate]) -> str:
    return "; ".join(f"{item.name} ({identity.listed(item.here or item.facts.traces)})" for item in older)


def _check_settled(candidate: Candidate, checkout: Checkout, default: str) -> None:
    """Raise ProjectError when what has the name was last in a folder that is gone, and may be this one."""
    name = candidate.name
    former = identity.unproven(candidate.facts, checkout.path.stat().st_ino)
    if former:
        fresh = environment.numbered(default) if name == default else default
        raise ProjectError(
            f"{name} is the name of what was last in {former}: {identity.listed(candidate.facts.traces)}. "
            "There is no .env, and nothing says whether this folder is that project. Nothing was changed.",
            f"{environment.PROJECT_NAME}={fresh} in {checkout.env_file} gives this folder a name and data of "
            f"its own; {environment.PROJECT_NAME}={name} goes on with that.",
        )


def _check_moved(history: _History, checkout: Checkout, name: str) -> None:
    """Raise ProjectError when this folder without .env has another name in the record: it was moved."""
    record = folders.record(name)
    if record and record.path == str(checkout.path) and record.inode == checkout.path.stat().st_ino:
        return
    formerly = [item for item in folders.formerly(checkout.path) if item != name and history.of(item)]
    # A clone at the old place that has not begun anything claims only what its place had.
    candidates = ((item, identity.rival(item.facts)) for item in map(history.candidate, formerly))
    older = [item for item, owner in candidates if owner is None or owner.name != item.name]
    if older:
        known = folders.record(older[0].name)
        raise ProjectError(
            f"This folder was {known.path if known else 'elsewhere'} before, with what was made there as "
            f"{_listed(older)}. It has no .env now, and would get the name {name}. Nothing was changed.",
            f"To go on with it, put its .env back, or only its name: `echo {environment.PROJECT_NAME}="
            f"{older[0].name} >{shlex.quote(str(checkout.env_file))}`, and the next `scaffold run` adds the "
            f"rest. `scaffold run --new-data {name}` begins anew beside it.",
        )


def check_sharing(engine: Engine, desired: Desired, observed: Observed, steps: Collection[Step]) -> None:
    """Raise ProjectError when what is to be started shares a data directory or a name with somebody else.

    The engine is asked only when a container is made, or a database started.
    """
    from scaffold.engine import inventory
    from scaffold.stack import sharing

    services = sharing.touched(desired, steps)
    sharing.check_within(services, observed)
    sharing.check_volumes(services, desired, observed, _maker)
    stored = [mount.source for service in services for mount in sharing.data_mounts(service, observed)]
    if not stored and not any(isinstance(step, CreateContainer) for step in steps):
        return
    users = inventory.users(engine)
    sharing.check_names(observed, steps, users)
    if stored:
        devices = inventory.places(engine)
        devices |= {volume.name: _device(volume) for volume in desired.volumes if _device(volume)}

        def key(source: str) -> str:
            place = devices.get(source, source)
            real = folders.real(place) if place.startswith("/") and engine.is_local else None
            return real or place

        sharing.check_users(desired, services, observed, users, key)


def _maker(project: str, path: str) -> sharing.Maker:
    """Return where the project that made a volume in a folder is now: it may have been moved since."""
    from scaffold.stack import sharing

    record = folders.record(project)
    here = sharing.Maker(path, _means(path, project))
    if record is None or record.path == path:
        return here
    moved = sharing.Maker(record.path, _means(record.path, project))
    return here if here.there and not moved.there else moved


def _means(path: str, project: str) -> bool:
    """Return whether a folder is there and means a project, whatever this shell calls every project."""
    if not path:
        return False
    found = [folders.meaning(path, Path(path), shell=shell) for shell in (True, False)]
    return any(item.there and (item.name == project or not item.readable) for item in found)


def _device(volume: Volume) -> str:
    options = dict(volume.options)
    return options.get("device", "") if "bind" in options.get("o", "").split(",") else ""


def choose(
    engine: Engine,
    checkout: Checkout,
    default: str,
    declared: Callable[[], Collection[str]],
    consent: Collection[str] = (),
) -> Chosen:
    """Return the name for a checkout without .env: the one that its containers and data have, or a new one.

    `declared` returns the names of the volumes in compose.yaml as Compose resolves them without .env;
    `consent` are names that a person wants to begin anew.
    """
    from scaffold.stack import naming

    history = _History.read(engine, checkout)
    composed = folders.meaning(str(checkout.path), checkout.path).name
    candidates = [history.candidate(name) for name in history.names_here()]
    if composed and composed not in {item.name for item in candidates}:
        # The volumes that Compose makes do not say where: those that this compose.yaml names are meant.
        unplaced = [item for item in history.of(composed) if item.kind == "volume" and not item.path]
        wanted = declared() if unplaced else ()
        here = tuple(item for item in unplaced if item.name in wanted)
        if here:
            candidates.append(history.candidate(composed, here))
    if default not in {item.name for item in candidates}:
        # Only this path gives the name: volumes that do not say where are this folder's. Those that do are
        # no reason to begin beside them without a word.
        volumes = tuple(item for item in history.of(default) if item.kind == "volume")
        if volumes:
            nowhere = tuple(item for item in volumes if not item.path)
            candidates.append(history.candidate(default, nowhere or volumes))
    match naming.choose(default, candidates, history.projects):
        case naming.Chosen() as chosen:
            if chosen.kept:
                _check_settled(history.candidate(chosen.name), checkout, default)
            if chosen.name not in consent:
                _check_moved(history, checkout, chosen.name)
            return chosen
        case naming.Undecided(names=(only,), doubt=other):
            raise ProjectError(
                f"{only} was made in {checkout.path}, and {other}/.env has that name too: "
                "it may have been moved to there. Nothing was changed.",
                f"If {other} is that project, put {environment.PROJECT_NAME}={environment.numbered(only)} "
                f"into {checkout.env_file}; if it is a copy, remove {other}/.env.",
            )
        case naming.Undecided(names=several):
            raise ProjectError(
                f"What was made in {checkout.path} belongs to {' and '.join(several)}, and there is no .env.",
                f"Choose one: put {environment.PROJECT_NAME}={several[0]} into {checkout.env_file}.",
            )


@dataclass(frozen=True)
class _History:
    """What the engine has of all projects, seen from one checkout."""

    checkout: Checkout
    traces: tuple[Trace, ...]
    here: frozenset[str]
    """The paths in them that lead to this folder."""
    ran: frozenset[str]
    """The projects that were run here last: a volume says only where it was begun."""
    local: bool = True
    """The engine is on this machine, and so are all those paths."""

    @classmethod
    def read(cls, engine: Engine, checkout: Checkout) -> _History:
        from scaffold.engine import inventory

        traces = inventory.traces(engine)
        paths = {trace.path for trace in traces if trace.path}
        return cls(
            checkout,
            traces,
            frozenset(path for path in paths if folders.is_same(Path(path), checkout.path)),
            frozenset(folders.ran(checkout.path)),
            engine.is_local,
        )

    @property
    def projects(self) -> frozenset[str]:
        return frozenset(trace.project for trace in self.traces)

    def names_here(self, but: Iterable[str] = ()) -> tuple[str, ...]:
        return tuple(sorted({item.project for item in self.traces if self._is_here(item)} - set(but)))

    def _is_here(self, trace: Trace) -> bool:
        if trace.path not in self.here:
            return trace.project in self.ran
        own = map(str, self.checkout.config_files)
        return not identity.is_strange(trace.files, own, folders.real, known=True)

    def of(self, name: str) -> tuple[Trace, ...]:
        return tuple(item for item in self.traces if item.project == name)

    def candidate(self, name: str, here: tuple[Trace, ...] = ()) -> Candidate:
        """Return what is known of a name under which something was made here."""
        from scaffold.stack import naming

        path = self.checkout.path
        traces = self.of(name)
        record = folders.record(name)
        used = {item.path for item in traces} | ({record.path} if record else set())
        meanings = [folders.meaning(item, path) for item in sorted(used - {"", str(path)})]
        inode = path.stat().st_ino
        at_home = record is not None and record.path == str(path)
        known = at_home and record is not None and record.inode == inode
        beside = () if known else [item for item in folders.neighbours(path, name) if item not in used]
        return naming.Candidate(
            Facts(name, str(path), traces, tuple(meanings), record),
            here or tuple(item for item in traces if self._is_here(item)),
            # On an engine for many, another machine may have a folder with the same path.
            foreign=(at_home and not known) or (record is None and not self.local),
            doubt=next(iter(beside), ""),
        )
