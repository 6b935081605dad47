"""The main line: files → desired, engine → observed, plan, apply. Commands call it; nothing here prints."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from scaffold.errors import UsageError
from scaffold.interrupt import Cancellation, side_by_side
from scaffold.project import completions, first_starts, folders, places, proofs
from scaffold.project import lock as locks
from scaffold.project.proofs import Proof
from scaffold.run.clock import Clock
from scaffold.run.session import Session
from scaffold.stack import desired as wish
from scaffold.stack import identity, names, once, status
from scaffold.stack import plan as planning
from scaffold.stack.desired import Desired, Service
from scaffold.stack.observed import FirstStart, Observed
from scaffold.stack.plan import Plan, Wishes
from scaffold.stack.progress import Report
from scaffold.stack.status import Status
from scaffold.stack.steps import (
    BuildImage,
    CreateContainer,
    Prove,
    PullImage,
    StartContainer,
)

if TYPE_CHECKING:
    from datetime import datetime

    from scaffold.data.model import Database
    from scaffold.engine.apply import Applied, VolumeMade
    from scaffold.engine.client import Engine
    from scaffold.stack.observed import Container


@dataclass(frozen=True)
class Situation:
    """What is wanted, what is there, and the way from one to the other."""

    desired: Desired
    observed: Observed
    plan: Plan
    notes: tuple[str, ...] = ()
    """What is to be said before anything is done."""
    doubts: tuple[str, ...] = ()
    """What is to be said of the data, also to who wants to hear nothing else."""


def proving(situation: Situation) -> Situation:
    """Return the situation with a plan that also proves what it leaves alone."""
    plan = planning.with_proofs(situation.plan, situation.desired, situation.observed)
    return replace(situation, plan=plan)


def telling(situation: Situation) -> Situation:
    """Return the situation with a plan that also says which databases are still to be proven."""
    plan = planning.with_proofs(situation.plan, situation.desired, situation.observed, all_services=False)
    return replace(situation, plan=plan)


def _left_as_it_is(found: FirstStart) -> str:
    """Return why what a first start left is not set aside, where it is not."""
    if not found.doubt:
        return ""
    return (
        f"{found.service}: nobody has logged in yet since volume {found.volume} was made, and its first "
        f"start may have been cut short. It is left as it is: {found.doubt}."
    )


def examine(
    session: Session, wishes: Wishes = planning.NOTHING_MORE, clock: Clock | None = None
) -> Situation:
    """Read the build contexts and the engine, and plan. Changes nothing."""
    clock = clock or Clock()
    with clock.phase("connect to the engine"):
        engine = session.engine
    with clock.phase("resolve compose.yaml"):
        desired = session.desired
    if wishes.new_data:
        _check_new_data(desired, wishes.new_data)
    with clock.phase("read the engine and the build contexts"):
        from scaffold.engine.settle import settle

        # Reading files and asking the engine do not wait for each other.
        with side_by_side(1) as pool:
            builds = pool.submit(_builds, session)
            observed = _observed(session, desired)
            if locks.is_unsettled(session.checkout) and settle(engine, observed.containers):
                observed = _observed(session, desired)
            desired = desired.with_builds(builds.result())
            if any(item.made_by_compose for item in observed.containers):
                desired = replace(desired, hashes=session.hashes)
    with clock.phase("plan"):
        notes = desired.warnings + _checked(session, desired, observed, wishes.new_data)
        notes += planning.left_alone(desired, observed)
        notes += (_remote(engine),) if engine.machine else ()
        made = planning.plan(desired, observed, wishes)
        if any(isinstance(step, CreateContainer) for step in made.changes):
            session.begin_hashing()
        check_sharing(session, desired, observed, made)
        doubts = tuple(filter(None, map(_left_as_it_is, observed.first_starts)))
        return Situation(desired, observed, made, notes, doubts)


def _check_new_data(desired: Desired, wished: Collection[str]) -> None:
    """Raise UsageError for a name that is neither the project's nor a service's."""
    known = (desired.project, *sorted(service.name for service in desired.services))
    for name in wished:
        if name not in known:
            raise UsageError(
                f"--new-data {name}: neither the project nor a service has this name.",
                f"Choose one of {', '.join(known)}.",
            )


def check_sharing(session: Session, desired: Desired, observed: Observed, plan: Plan) -> None:
    """Raise ProjectError before anything is started that would share a data directory with somebody else."""
    if plan.changes:
        from scaffold.run import claims

        claims.check_sharing(session.engine, desired, observed, plan.changes)


def check_builds(session: Session, plan: Plan) -> None:
    """Raise ProjectError before anything is built that is refused: a Dockerfile that asks for .env."""
    for item in plan.steps:
        if isinstance(item.step, BuildImage) and item.step.service.build:
            from scaffold.stack import leaks

            leaks.check(
                item.step.service.build, f"services.{item.step.service.name}.build: ", session.allowed
            )


def guarded(
    session: Session, situation: Situation, wishes: Wishes = planning.NOTHING_MORE, clock: Clock | None = None
) -> Situation:
    """Return the situation once its databases' storage is known. Raises DataRefused; changes nothing."""
    if not situation.plan.changes:
        return situation
    from scaffold.run import guard

    with (clock or Clock()).phase("look into the databases' storage"):
        steps = situation.plan.changes
        before = replace(situation.observed, formers=places.read(session.checkout, situation.desired.project))
        known = guard.check(session.engine, situation.desired, before, steps, wishes.new_data)
        observed = replace(situation.observed, stored=known.stored)
        # A migration that is done counts only for the data that it was done in.
        plan = planning.plan(situation.desired, observed, wishes) if known.stored else situation.plan
    return replace(situation, observed=observed, plan=plan, notes=(*situation.notes, *known.notes))


def images_first(situation: Situation) -> Situation | None:
    """Return the builds and pulls alone, where only their images tell what else has to be done.

    That is whether a database finds its rows, and whether a container that is there has another image: a
    build whose result is the same replaces nothing. None where that is known already.
    """
    steps = tuple(item for item in situation.plan.steps if isinstance(item.step, BuildImage | PullImage))
    if not steps:
        return None
    from scaffold.data import guards

    built = {item.step.service.image for item in steps if isinstance(item.step, BuildImage)}
    there = {situation.observed.images[name].id for name in built & situation.observed.images.keys()}
    if not any(
        container.image_id in there for container in situation.observed.containers
    ) and not guards.late(situation.desired, situation.observed, situation.plan.changes):
        return None
    # They wait for nothing but each other, and come first.
    return replace(situation, plan=Plan(steps))


def images_made(situation: Situation) -> tuple[str, ...]:
    """Return the images that the builds and pulls of a situation make."""
    steps = situation.plan.changes
    return tuple(
        step.service.image if isinstance(step, BuildImage) else step.reference
        for step in steps
        if isinstance(step, BuildImage | PullImage)
    )


def removable(session: Session, observed: Observed, steps: Plan) -> None:
    """Raise DataRefused when the steps remove a container that has the rows of a database in itself."""
    from scaffold.run import guard

    guard.check(session.engine, session.desired, observed, steps.changes)


def keeping_data(desired: Desired, observed: Observed) -> tuple[str, ...]:
    """Return the project's volumes that hold its data: not those that are mounted around it."""
    from scaffold.data import guards

    beside = {name for container in observed.containers for name in guards.unused(container)}
    return tuple(
        volume.name
        for volume in observed.volumes
        if volume.project == desired.project and volume.name not in beside
    )


def _remote(engine: Engine) -> str:
    """Return what is to be said of an engine on another machine."""
    from scaffold.engine import endpoint

    return endpoint.remote(engine.machine)


def check_ports(session: Session, situation: Situation) -> None:
    """Raise PortTaken before anything is started, naming who holds the port."""
    from scaffold.engine import ports

    ports.check(session.engine, situation.desired, situation.plan)


EMPTY = Observed()


def observe(session: Session) -> Observed:
    """Return what the engine has for the project, once it is certain that it is this checkout's."""
    observed = _observed(session, session.desired)
    _checked(session, session.desired, observed)
    return observed


def _checked(
    session: Session, desired: Desired, observed: Observed, consent: Collection[str] = ()
) -> tuple[str, ...]:
    """Return what is to be said of the project's name, once it is certain that it is this checkout's."""
    from scaffold.run import claims

    return (*session.notes, *claims.check(session.engine, session.checkout, desired, observed, consent))


def _observed(session: Session, desired: Desired) -> Observed:
    from scaffold.engine import first_starts as starts
    from scaffold.engine import observe as reader

    if session.changes:
        from scaffold.engine import oneoff

        oneoff.sweep(session.engine, desired.project)
    observed = identity.apart(reader.observe(session.engine, desired), desired, folders.real)
    return replace(
        observed,
        completions=completions.read(session.checkout),
        first_starts=starts.look(session.engine, desired, observed),
        unproven=_unproven(session, desired, observed),
    )


def _unproven(session: Session, desired: Desired, observed: Observed) -> tuple[str, ...]:
    """Return the running containers of databases that have not let the project in since they were started."""
    from scaffold.data import database as databases

    known = set(proofs.read(session.checkout))
    return tuple(
        container.name
        for service in desired.services
        for container in observed.of_service(service.name)
        for database in [databases.database_in(service, container.config)]
        if database and container.state == "running" and _proof(database, container) not in known
    )


def _proof(database: Database, container: Container) -> Proof:
    started = container.started.isoformat() if container.started else ""
    credentials = (database.user or "", database.password or "", database.name, str(database.port))
    return Proof(container.id, started, proofs.digest(*credentials))


def settle_in(session: Session) -> None:
    """Note that the project is run in this folder: a clone that comes to its place later is another one."""
    folders.remember(session.desired.project, session.checkout.path)


def move_out(session: Session) -> None:
    """Forget where the project was run: nothing of it is left."""
    folders.forget(session.desired.project)


def remember(session: Session, observed: Observed) -> None:
    """Remember which one-shots are done, before `down` removes the containers that say so."""
    completions.write(session.checkout, once.remains(session.desired, observed))


def after(session: Session, done: Situation) -> Situation:
    """Return the situation once a plan was carried out; the files are those that the plan was made from."""
    if all(isinstance(item.step, Prove) and item.step.left_alone for item in done.plan.steps):
        return replace(done, observed=replace(done.observed, unproven=()))
    observed = _observed(session, done.desired)
    return Situation(done.desired, observed, planning.plan(done.desired, observed))


def look_again(session: Session, done: Situation, cancellation: Cancellation) -> None:
    """Raise NotReady for a service that has ended since it was seen running: nobody asked it anything."""
    from scaffold.run.readiness import Waiting

    for service in done.desired.services:
        for container in () if service.one_shot else done.observed.of_service(service.name):
            if container.state in ("exited", "dead") and container.exit_code:
                waiting = Waiting(session.engine, done.desired, 1.0, cancellation)
                waiting.prove(Prove(service, (container.name,), "it has ended"))


def status_of(situation: Situation, sizes: Mapping[str, int] | None = None) -> Status:
    """Return the project's status."""
    return status.status(situation.desired, situation.observed, situation.plan, sizes)


def volume_sizes(session: Session, situation: Situation) -> Mapping[str, int]:
    """Return bytes by volume; the engine walks the files, so this takes as long as there is data."""
    from scaffold.engine import observe as reader

    own = [volume.name for volume in situation.observed.volumes]
    return reader.volume_sizes(session.engine, own) if own else {}


def summary(
    before: Situation, after: Situation, seconds: float, *, show_secrets: bool = False
) -> status.Summary:
    """Return what a run ends with."""
    from scaffold.data import database as databases

    address: str | None = None
    for service in after.desired.services:
        database = databases.database_of(service)
        for container in after.observed.of_service(service.name) if database else ():
            found = container.reachable(f"{database.port}/tcp") if database else None
            address = address or (
                databases.url(database, *found, mask=not show_secrets) if database and found else None
            )
    return status.Summary(
        project=after.desired.project,
        url=status.url(after.desired, after.observed),
        database=address,
        changed=bool(before.plan.changes),
        seconds=seconds,
        has_data=any(volume.project == after.desired.project for volume in after.observed.volumes),
    )


@dataclass(frozen=True)
class Destruction:
    """What removes a project, and what stays of it."""

    plan: Plan
    kept: tuple[str, ...]
    """In sentences: what is not the project's alone, and how it is removed."""


def destruction(session: Session, observed: Observed) -> Destruction:
    """Return the steps that remove everything of the project, its volumes and built images included.

    What containers of others use stays, and so does an image that was not built for the project.
    """
    from scaffold.engine import holders
    from scaffold.engine.listing import images

    desired = session.desired
    strange = planning.strange_volumes(desired, observed)
    used = holders.others(session.engine, {container.id for container in observed.containers})
    own, kept = [], []
    for volume in observed.volumes:
        if volume.project != desired.project or volume.name in strange:
            continue
        if volume.name in used.volumes:
            kept.append(
                f"Volume {volume.name} stays: container {used.volumes[volume.name]} uses it, which is none "
                f"of the project's. `docker volume rm {volume.name}` removes it once that is gone."
            )
        else:
            own.append(volume.name)
    # Those of services that are switched off, too, and those that newer builds have left without a name.
    built: set[str] = set()
    for image in images.of_project(session.engine, desired):
        if image.built and image.id in used.images:
            shown = image.name or image.short_id
            kept.append(f"Image {shown} stays: container {used.images[image.id]} of another project uses it.")
        elif image.built:
            built |= set(image.tags or (image.short_id,))
        elif any(service.build and service.image == image.name for service in desired.services):
            kept.append(f"Image {image.name} stays: nothing says that it was built for this project.")
    plan = planning.teardown(desired, observed, "the project is destroyed", volumes=own, images=built)
    kept += [
        f"Volume {name} stays, with what was set aside of volume {of}. `docker volume rm {name}` removes it."
        for name, of in holders.asides(session.engine, desired.path)
    ]
    return Destruction(plan, tuple(kept))


def whats_there(session: Session) -> tuple[str, str]:
    """Return what an interrupted command leaves, and how to go on."""
    from scaffold.engine import observe as reader

    states: dict[str, list[str]] = {}
    for container in reader.containers(session.engine, session.desired.project):
        states.setdefault(container.state, []).append(container.service)
    shown = "; ".join(f"{state}: {', '.join(sorted(services))}" for state, services in sorted(states.items()))
    said = f"Interrupted. Now there: {shown or 'no container'}."
    return said, "Repeat the command: it goes on from here."


def _builds(session: Session) -> Mapping[str, wish.Build]:
    from scaffold.engine import observe
    from scaffold.engine.build import context

    def base(reference: str) -> str | None:
        return observe.image_id(session.engine, reference)

    return context.read_all(
        {service.name: service.build for service in session.desired.services if service.build},
        base,
        str(session.checkout.path),
        {service.name: service.image for service in session.desired.services},
    )


def moved_from(situation: Situation) -> str | None:
    """Return where the project was before its folder was moved; None once a container says that it is here.

    Only what `claims.check` has let pass: nobody is left there who could miss the data.
    """
    containers = [item for item in situation.observed.containers if not item.one_off]
    if any(item.path == situation.desired.path for item in containers):
        return None
    return next(iter(_former_paths(situation.desired, situation.observed)), None)


def _former_paths(desired: Desired, observed: Observed) -> tuple[str, ...]:
    """Return the other folders that the labels of containers and volumes name."""
    paths = {container.path for container in observed.containers if not container.one_off}
    paths |= {
        volume.labels[names.PATH]
        for volume in observed.volumes
        if volume.project == desired.project and names.PATH in volume.labels
    }
    return tuple(sorted(paths - {desired.path, ""}))


def apply(
    session: Session,
    situation: Situation,
    report: Report,
    cancellation: Cancellation,
    timeout: float,
) -> Applied:
    """Do the plan; see engine.apply.apply for what is raised."""
    from scaffold.engine.apply import Work
    from scaffold.engine.apply import apply as walk
    from scaffold.run.readiness import Waiting

    steps = [item.step for item in situation.plan.steps]
    if any(isinstance(step, CreateContainer) for step in steps):
        situation = hashed(session, situation)

    def proven(service: Service, database: Database, container: Container) -> None:
        for volume in service.volumes:
            first_starts.forget(volume)
        proofs.remember(session.checkout, _proof(database, container))
        from scaffold.data import guards  # a run with nothing to do proves nothing, and needs no guard

        former = guards.former(container)
        if former:
            places.remember(session.checkout, former)

    waiting = Waiting(session.engine, situation.desired, timeout, cancellation, proven)
    touched = {step.name for step in steps if isinstance(step, CreateContainer | StartContainer)}
    again = [
        service.name
        for service in situation.desired.services
        if service.once and touched & wish.container_names(situation.desired, service).keys()
    ]
    if again:
        completions.forget(session.checkout, again)
    work = Work(
        situation.desired,
        session.engine,
        report,
        waiting.prove,
        cancellation,
        {**session.variables, **situation.desired.given},
        _volume_made(situation.desired),
        session.allowed,
        session.thorough,
    )
    applied = walk(situation.plan, work)
    if any(isinstance(step, BuildImage | CreateContainer) for step in situation.plan.changes):
        built = [service for service in situation.desired.services if service.build]
        if built:
            from scaffold.engine.listing import images

            images.drop_superseded(session.engine, situation.desired)
    return applied


def hashed(session: Session, situation: Situation) -> Situation:
    """Return the situation with Compose's own hashes, which the containers that are made carry."""
    return replace(situation, desired=replace(situation.desired, hashes=session.hashes))


def _volume_made(desired: Desired) -> VolumeMade:
    """Return what remembers new volumes of databases until a login has worked."""
    from scaffold.data import database as databases

    holding = {
        volume for service in desired.services if databases.database_of(service) for volume in service.volumes
    }

    def made(volume: str, created: datetime) -> None:
        if volume in holding:
            first_starts.begin(volume, created)

    return made
