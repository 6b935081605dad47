"""Decide what must change. Pure: no clock, no I/O, no Docker.

Same input, same steps, same order. Each step names the earlier ones it waits for; steps that do not wait
for each other may run side by side. Nothing here ever removes a volume except `teardown`, by name.
"""

from __future__ import annotations

import graphlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from scaffold.errors import ProjectError
from scaffold.stack import desired as wish
from scaffold.stack import names, once
from scaffold.stack.desired import Desired, Network, Service
from scaffold.stack.difference import differences, environment_of
from scaffold.stack.observed import Container, Image, Observed
from scaffold.stack.requests.container import NAMESPACES
from scaffold.stack.secrets import Mask, known_secrets, values
from scaffold.stack.steps import (
    BuildImage,
    CreateContainer,
    CreateNetwork,
    CreateVolume,
    Impact,
    Prove,
    PullImage,
    RemoveContainer,
    RemoveImage,
    RemoveNetwork,
    RemoveVolume,
    SetAsideContainer,
    SetAsideData,
    StartContainer,
    Step,
    StopContainer,
    UnpauseContainer,
    words,
)

NOT_THERE = "not there yet"
"""The reason of a first start."""
UP = ("running", "paused", "restarting")
"""The states of a container that has a process."""
DEFAULT_STOP_TIMEOUT = 10
"""Seconds, the engine's own, for containers whose service is no longer known."""


@dataclass(frozen=True)
class Planned:
    """A step and the indexes of the earlier steps that must be done before it."""

    step: Step
    after: tuple[int, ...] = ()


@dataclass(frozen=True)
class Plan:
    """Steps in an order in which they can be done one by one."""

    steps: tuple[Planned, ...] = ()

    @property
    def changes(self) -> tuple[Step, ...]:
        """Return the steps that change something: all but the proofs."""
        return tuple(item.step for item in self.steps if not isinstance(item.step, Prove))

    @property
    def data_steps(self) -> tuple[Step, ...]:
        return tuple(step for step in self.changes if step.impact is Impact.DATA)

    def __str__(self) -> str:
        return "\n".join(line(item.step) for item in self.steps)


@dataclass(frozen=True)
class Wishes:
    """What a person asked for beyond the project's files."""

    build: bool = False
    recreate: bool = False
    services: tuple[str, ...] = ()
    """Only these and what they depend on; empty means all."""
    new_data: tuple[str, ...] = ()
    """Names that are to begin without data, although there is some that may be meant: the project's, or a
    database's service."""
    show_secrets: bool = False
    """Reasons give the values of secrets too."""
    made: tuple[str, ...] = ()
    """Images that were built or pulled a moment ago for this very wish."""


NOTHING_MORE = Wishes()


@dataclass
class _Draft:
    """The plan while it is being written; `add` returns the index that later steps wait for."""

    steps: list[Planned] = field(default_factory=list)
    asides: dict[str, int] = field(default_factory=dict)
    """The step that sets aside what is in a volume."""

    def add(self, step: Step, after: Iterable[int | None] = ()) -> int:
        waits = tuple(sorted({index for index in after if index is not None}))
        self.steps.append(Planned(step, waits))
        return len(self.steps) - 1


def line(step: Step) -> str:
    """Return one step as one plain line: verb, kind, name, reason and impact."""
    verb, kind, name = words(step)
    impact = "" if step.impact is Impact.NONE else f" [{step.impact}]"
    return f"{verb} {kind} {name}: {step.reason}{impact}"


def plan(desired: Desired, observed: Observed, wishes: Wishes = NOTHING_MORE) -> Plan:
    """Return the steps from what is observed to what is desired; empty when nothing has to change.

    Raises ProjectError for what no step can mend: a missing external network or volume, or a network of
    our name that belongs to somebody else.
    """
    services = _chosen(desired, wishes.services)
    _check_containers(desired, services, observed)
    draft = _Draft()
    images = _images(draft, services, observed, wishes)
    # A network cannot be recreated for some of its containers only.
    stale = {} if wishes.services else _stale_networks(desired, observed)
    states = {
        service.name: _Fate.of(desired, service, observed, images, stale, wishes) for service in services
    }
    _spread(desired, services, observed, states)
    stops = _removals(draft, desired, observed, services, states, images, stale, whole=not wishes.services)
    networks = _networks(draft, desired, services, observed, stale, stops)
    volumes = _volumes(draft, desired, services, observed)
    _asides(draft, services, observed, states, stops)
    _containers(draft, desired, services, observed, states, images, networks, volumes, stops)
    if not wishes.services:
        _unused_networks(draft, desired, observed, stops)
    return Plan(tuple(draft.steps))


def _check_containers(desired: Desired, services: tuple[Service, ...], observed: Observed) -> None:
    """Raise ProjectError where a container of another compose file has a name that a service needs."""
    taken = {item.name: item for item in observed.others}
    for service in services:
        for name in wish.container_names(desired, service):
            if name in taken:
                made = taken[name].labels.get(names.CONFIG_FILES, "")
                raise ProjectError(
                    f"services.{service.name}: container {name} was made from {made}.",
                    f"Remove it with `docker rm -f {name}`, which keeps its volumes, or give the service "
                    "another name.",
                )


def with_proofs(plan: Plan, desired: Desired, observed: Observed, *, all_services: bool = True) -> Plan:
    """Return the plan with proofs, at its end, of what it leaves alone: "up" is never only assumed.

    A service that answers HTTP is asked each time, unless `all_services` is false; a database as long as
    nobody has logged in to it since it was started.
    """
    proven = {item.step.service.name for item in plan.steps if isinstance(item.step, Prove)}
    before = tuple(range(len(plan.steps)))
    more = [
        Planned(Prove(service, names_of, "already running", left_alone=True), before)
        for service in desired.services
        if service.name not in proven
        for names_of in [tuple(wish.container_names(desired, service))]
        if (all_services and service.ready_path) or any(name in observed.unproven for name in names_of)
    ]
    return Plan((*plan.steps, *more))


def teardown(
    desired: Desired,
    observed: Observed,
    reason: str,
    *,
    volumes: Collection[str] = (),
    images: Collection[str] = (),
) -> Plan:
    """Return the steps that remove the project's containers and networks.

    Volumes and images go only when they are named; the caller has the person's consent for each volume.
    """
    draft = _Draft()
    stops: dict[str, int] = {}
    for container in _dependents_first(observed.containers):
        _remove(
            draft,
            container,
            _timeout(desired, container),
            _parting(container, observed, reason),
            _after_dependents(container, observed, stops),
            stops,
            Impact.REMOVE,
        )
    # Whoever declares something external keeps it, also when it was once made here.
    external = {network.name for network in desired.networks if network.external}
    external |= {volume.name for volume in desired.volumes if volume.external}
    external |= observed.in_use
    for network in observed.networks:
        if network.project == desired.project and network.name not in external:
            draft.add(RemoveNetwork(network.name, reason), stops.values())
    for volume in observed.volumes:
        if volume.name in volumes and volume.project == desired.project and volume.name not in external:
            draft.add(RemoveVolume(volume.name, reason), stops.values())
    for reference in sorted(images):
        draft.add(RemoveImage(reference, reason), stops.values())
    return Plan(tuple(draft.steps))


def left_alone(desired: Desired, observed: Observed) -> tuple[str, ...]:
    """Return what is to be said of containers that carry the project's name and stay as they are."""
    known = {service.name for service in desired.services} | set(desired.inactive)
    kept = (item for item in observed.containers if item.service not in known and not item.one_off)
    return (
        *others(observed),
        *(
            f"Container {item.name} stays: its service is no longer in compose.yaml, and {detached(left)}. "
            f"`docker rm {item.name}` removes it and keeps the volume."
            for item in kept
            if (left := alone(item, observed)) and item.state not in UP
        ),
    )


def others(observed: Observed) -> tuple[str, ...]:
    """Return what is to be said of containers that other compose files have made."""
    return tuple(
        f"Container {item.name} is left alone: it was made from {item.labels.get(names.CONFIG_FILES, '')}."
        for item in observed.others
    )


def strange_volumes(desired: Desired, observed: Observed) -> tuple[str, ...]:
    """Return the volumes with the project's name that may be those of another compose file.

    compose.yaml does not have them, and scaffold has not made them; or a container of such a file uses them.
    """
    declared = {volume.name for volume in desired.volumes}
    return tuple(
        volume.name
        for volume in observed.volumes
        if volume.project == desired.project
        and (
            volume.name in observed.in_use
            or (volume.name not in declared and names.PATH not in volume.labels)
        )
    )


def nameless(observed: Observed) -> tuple[tuple[str, str, str], ...]:
    """Return (service, target, volume) of the anonymous volumes that stay behind when all containers go."""
    return tuple(
        (container.service, target, volume)
        for container in observed.containers
        if not container.one_off
        for volume, target in container.anonymous
    )


def stop(desired: Desired, observed: Observed, services: Collection[str] = ()) -> Plan:
    """Return the steps that stop what runs, dependents first; everything stays where it is."""
    draft = _Draft()
    stops: dict[str, int] = {}
    for container in _dependents_first(observed.containers):
        if container.one_off or (services and container.service not in services):
            continue
        if container.state not in UP:
            continue
        after = _after_dependents(container, observed, stops)
        step = StopContainer(container.name, _timeout(desired, container), "stop")
        stops[container.name] = draft.add(step, after)
    return Plan(tuple(draft.steps))


def in_order(services: Iterable[Service]) -> tuple[Service, ...]:
    """Return the services with dependencies first, by name where nothing else decides."""
    left = {service.name: service for service in services}
    ordered: list[Service] = []
    while left:
        free = sorted(
            name for name, item in left.items() if not any(need.service in left for need in item.depends_on)
        )
        ordered += [left.pop(name) for name in free]
    return tuple(ordered)


def _chosen(desired: Desired, only: tuple[str, ...]) -> tuple[Service, ...]:
    if not only:
        return in_order(desired.services)
    wanted: set[str] = set()
    queue = list(only)
    while queue:
        name = queue.pop()
        if name in wanted:
            continue
        wanted.add(name)
        queue += [item.service for item in desired.service(name).depends_on if item.required]
    return in_order(service for service in desired.services if service.name in wanted)


def _images(
    draft: _Draft, services: tuple[Service, ...], observed: Observed, wishes: Wishes
) -> dict[str, int]:
    """Add builds and pulls; return the step that makes each image that is missing or out of date."""
    made: dict[str, int] = {}
    for service in in_build_order(services):
        if service.image in made:
            continue
        anew = {image: made[image] for image in built_upon(service, services) if image in made}
        reason = _build_reason(service, observed.images.get(service.image), anew, wishes)
        if reason:
            made[service.image] = draft.add(BuildImage(service, reason), anew.values())
    built = {service.image for service in services if service.build}
    for service in services:
        if service.image in built or service.image in made or service.image in observed.images:
            continue
        if service.pull_policy == "never":
            raise ProjectError(
                f"services.{service.name}: image {service.image} is not here, and pull_policy is never.",
                f"Get it with `docker pull {service.image}`, or change pull_policy.",
            )
        made[service.image] = draft.add(PullImage(service.image, service.platform, "not on this engine"))
    return made


def in_build_order(services: tuple[Service, ...]) -> tuple[Service, ...]:
    """Return the services that are built, each after those upon whose images it is."""
    built = {service.name: service for service in services if service.build}
    needs = {
        name: [other for other in service.build.needs if other in built] if service.build else []
        for name, service in built.items()
    }
    return tuple(built[name] for name in graphlib.TopologicalSorter(needs).static_order())


def built_upon(service: Service, services: tuple[Service, ...]) -> tuple[str, ...]:
    """Return the images of other services that the build of a service starts from or copies from."""
    needs = service.build.needs if service.build else ()
    return tuple(other.image for other in services if other.name in needs)


def _build_reason(service: Service, image: Image | None, anew: Collection[str], wishes: Wishes) -> str:
    """Return why an image is built; `anew` are those that it stands upon and that are built before it."""
    build = service.build
    assert build is not None
    if image is None:
        return "not built yet"
    if service.image in wishes.made:
        return ""
    if anew:
        return f"built upon {', '.join(sorted(anew))}, which is built anew"
    if wishes.build:
        return "asked for by --build"
    if service.pull_policy == "build":
        return "pull_policy is build"
    if image.digest == build.digest:
        return ""
    if not image.digest:
        return "it is not known what the image was built from"
    changed = changed_files(build.files, image.context)
    if not changed:
        return "build arguments, target or base image changed"
    shown = ", ".join(changed[:3]) + (", …" if len(changed) > 3 else "")
    count = f"{len(changed)} file{'s' if len(changed) > 1 else ''}"
    return f"context changed ({count}: {shown})"


def changed_files(now: Mapping[str, str], then: Mapping[str, str]) -> tuple[str, ...]:
    """Return the files that differ between two build contexts; nothing when the older one is not known."""
    if not then:
        return ()
    return tuple(sorted(path for path in now.keys() | then.keys() if now.get(path) != then.get(path)))


@dataclass
class _Fate:
    """What happens to one service: the reasons by container name."""

    missing: dict[str, str] = field(default_factory=dict)
    replace: dict[str, str] = field(default_factory=dict)
    start: dict[str, str] = field(default_factory=dict)
    restart: dict[str, str] = field(default_factory=dict)
    follows: str = ""
    """Why all of it restarts: a dependency with `restart: true` does."""
    unpause: dict[str, str] = field(default_factory=dict)
    surplus: dict[str, str] = field(default_factory=dict)
    keeps: dict[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    """The anonymous volumes that the new container of this name takes over."""
    aside: dict[str, str] = field(default_factory=dict)
    """Where an interrupted replacement left the old container."""
    done: bool = False
    """A one-shot that needs no container any more."""

    @property
    def interrupts(self) -> bool:
        """Return whether something that depends on the service with `restart: true` has to follow."""
        return bool(self.replace or self.restart or self.follows)

    @property
    def moves(self) -> bool:
        return bool(self.missing or self.start or self.unpause or self.interrupts)

    def restart_reason(self, container: str) -> str:
        return self.restart.get(container, self.follows)

    @staticmethod
    def of(
        desired: Desired,
        service: Service,
        observed: Observed,
        made: Mapping[str, int],
        stale: Mapping[str, str],
        wishes: Wishes,
    ) -> _Fate:
        fate = _Fate()
        found = wish.container_names(desired, service)
        present = {container.name: container for container in observed.of_service(service.name)}
        fresh = wishes.recreate or service.image in made
        if not present and not fresh and once.is_done(desired, service, observed):
            fate.done = True
            return fate
        for name in found:
            container = present.get(name) or observed.container(name)
            aside = present.get(names.set_aside(name))
            if container is None:
                fate.missing[name] = "its replacement was interrupted" if aside else NOT_THERE
                if aside:
                    fate.aside[name] = aside.name
                    fate.keeps[name] = _kept(service, aside)
                continue
            reason = _replace_reason(desired, service, container, observed, made, stale, wishes)
            if reason:
                fate.replace[name] = reason
                fate.keeps[name] = _kept(service, container)
            elif service.one_shot:
                continue
            elif container.state == "restarting":
                fate.restart[name] = f"restarting again and again (exit code {container.exit_code})"
            elif container.state == "paused":
                fate.unpause[name] = "paused"
            elif container.state == "created":
                fate.start[name] = "created but never started"
            elif container.state != "running":
                fate.start[name] = f"stopped (exit code {container.exit_code})"
        for name in sorted(present.keys() - found.keys() - set(fate.aside.values())):
            replaced = name in map(names.set_aside, found)
            fate.surplus[name] = "already replaced" if replaced else f"scaled down to {service.replicas}"
        return fate


def _kept(service: Service, container: Container) -> tuple[tuple[str, str], ...]:
    """Return the anonymous volumes whose place nothing else takes in the new container."""
    host = service.body.get("HostConfig")
    host = host if isinstance(host, Mapping) else {}
    taken = {str(bind).split(":")[1] for bind in host.get("Binds") or ()} | set(host.get("Tmpfs") or ())
    taken |= {
        mount["Target"]
        for mount in host.get("Mounts") or ()
        if mount["Type"] != "volume" or mount.get("Source")
    }
    return tuple((name, target) for name, target in container.anonymous if target not in taken)


def _replace_reason(
    desired: Desired,
    service: Service,
    container: Container,
    observed: Observed,
    made: Mapping[str, int],
    stale: Mapping[str, str],
    wishes: Wishes,
) -> str:
    if wishes.recreate:
        return "asked for by --recreate"
    if container.state in ("dead", "removing"):
        return "its removal was cut short"
    image = observed.images.get(service.image)
    if not container.digest:
        theirs = container.labels.get(names.CONFIG_HASH, "")
        if not theirs or theirs != desired.hashes.get(service.name):
            return "made by another tool (docker compose or run.sh), from other settings"
    elif container.digest != wish.container_digest(service):
        environments = [service.environment for service in desired.services]
        environments += map(environment_of, observed.containers)
        mask = Mask(
            (*values(desired.confidential.known), *known_secrets(environments)), off=wishes.show_secrets
        )
        return "; ".join(differences(service, container, image, mask)) or "configuration changed"
    if container.path and container.path != desired.path:
        return f"its folder was {container.path}"
    if service.image in made:
        return f"image {service.image} is built anew"
    if image and container.image_id != image.id:
        return f"image {service.image}: {_short(container.image_id)} → {_short(image.id)}"
    for name in service.networks:
        network = observed.network(name)
        if name in stale:
            return f"network {name} is recreated"
        # One that has never run is not on any network yet.
        seen = container.network_ids or container.state == "running"
        if network is None or (seen and network.id not in container.network_ids):
            return f"not connected to network {name}"
    if service.one_shot:
        return once.repeat_reason(desired, service, container, observed)
    return ""


def _spread(
    desired: Desired, services: tuple[Service, ...], observed: Observed, fates: dict[str, _Fate]
) -> None:
    """Let a service follow what it depends on.

    It is replaced with a container whose namespaces it uses, since it names it by its id, and restarted
    after one that it asks for with `depends_on: {…: {restart: true}}`.
    """
    for service in services:
        fate = fates[service.name]
        for name in wish.container_names(desired, service):
            container = observed.container(name)
            if container is None or name in fate.replace:
                continue
            for other in service.shares:
                owner = fates.get(other, _Fate())
                if owner.replace or owner.missing or not _shared(desired, other, container, observed):
                    fate.start.pop(name, None)
                    fate.replace[name] = f"it uses namespaces of {other}, which is recreated"
                    fate.keeps[name] = _kept(service, container)
        if fate.moves:
            continue
        for need in service.depends_on:
            followed = need.restart or need.service in service.shares
            if followed and need.service in fates and fates[need.service].interrupts:
                fate.follows = f"{need.service} restarts"


def _shared(desired: Desired, other: str, container: Container, observed: Observed) -> bool:
    """Return whether a container uses the namespaces of the one that another service has now."""
    owner = observed.container(wish.container_name(desired, desired.service(other), 1))
    host = container.body.get("HostConfig")
    modes = [str(host.get(key, "")) for key in NAMESPACES] if isinstance(host, Mapping) else []
    joined = [mode.partition(":")[2] for mode in modes if mode.startswith("container:")]
    return owner is not None and (not joined or any(item in (owner.id, owner.name) for item in joined))


def _removals(
    draft: _Draft,
    desired: Desired,
    observed: Observed,
    services: tuple[Service, ...],
    fates: Mapping[str, _Fate],
    images: Mapping[str, int],
    stale: Mapping[str, str],
    *,
    whole: bool,
) -> dict[str, int]:
    """Stop and remove what is replaced, scaled down or orphaned, dependents first.

    Returns the last step for each container's name. What is replaced goes only once its new image is there,
    so a build that fails leaves the old one running.
    """
    reasons: dict[str, tuple[str, int | None]] = {}
    for service in services:
        fate = fates[service.name]
        for name, reason in fate.replace.items():
            reasons[name] = (reason, images.get(service.image))
        for name, reason in fate.surplus.items():
            reasons[name] = (reason, None)
    restarts = {
        container.name: fates[service.name].restart_reason(container.name)
        for service in services
        for container in observed.of_service(service.name)
    }
    known = {service.name for service in desired.services} | set(desired.inactive)
    surplus = {name for fate in fates.values() for name in fate.surplus}
    for container in observed.containers if whole else ():
        if container.service not in known and not container.one_off:
            reasons.setdefault(container.name, ("its service is no longer in compose.yaml", None))
            surplus.add(container.name)
    for container in observed.containers:
        # Those of services whose profile is not active: they would not start again on another network.
        network = next((name for name in container.networks if name in stale), None)
        if network and container.service in desired.inactive and not container.one_off:
            reasons[container.name] = (f"network {network} is recreated", None)
    keeping = {name for fate in fates.values() for name, keeps in fate.keeps.items() if keeps}
    stops: dict[str, int] = {}
    # What an interrupted replacement has set aside has to be gone before the same name is needed again.
    asides = {names.set_aside(name) for name in keeping}
    ordered = sorted(_dependents_first(observed.containers), key=lambda item: item.name not in asides)
    for container in ordered:
        timeout = _timeout(desired, container)
        waits = _after_dependents(container, observed, stops)
        if container.name in reasons:
            reason, image = reasons[container.name]
            if container.name in keeping:
                aside = stops.get(names.set_aside(container.name))
                stopped = _stopped(draft, container, timeout, reason, [*waits, image, aside])
                stops[container.name] = draft.add(SetAsideContainer(container.name, reason), stopped)
            elif container.name in surplus and (left := alone(container, observed)):
                # Without its container nothing would find such a volume again, and a prune would take it.
                said = f"{reason}; it stays, since {detached(left)}"
                if container.state in UP:
                    step = StopContainer(container.name, timeout, said, Impact.REMOVE)
                    stops[container.name] = draft.add(step, waits)
            else:
                reason = _parting(container, observed, reason)
                impact = Impact.REMOVE if container.name in surplus else Impact.RECREATE
                _remove(draft, container, timeout, reason, [*waits, image], stops, impact)
        elif restarts.get(container.name):
            step = StopContainer(container.name, timeout, restarts[container.name])
            stops[container.name] = draft.add(step, waits)
    return stops


def _remove(
    draft: _Draft,
    container: Container,
    timeout: int,
    reason: str,
    after: Iterable[int | None],
    stops: dict[str, int],
    impact: Impact = Impact.RECREATE,
) -> None:
    waits = _stopped(draft, container, timeout, reason, after, impact)
    stops[container.name] = draft.add(RemoveContainer(container.name, reason, impact), waits)


def _parting(container: Container, observed: Observed, reason: str) -> str:
    """Add to the reason of a removal which anonymous volumes will be on their own afterwards."""
    left = alone(container, observed)
    if not left:
        return reason
    return f"{reason}; the data stays in volume {_shortly(left)}, which nothing will use again"


def alone(container: Container, observed: Observed) -> tuple[tuple[str, str], ...]:
    """Return (volume, target) of the anonymous volumes that only this container uses."""
    everybody = (*observed.containers, *observed.others)
    used = {name for other in everybody if other is not container for name in other.volumes}
    return tuple((name, target) for name, target in container.anonymous if name not in used)


def _shortly(volumes: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"{name[:12]} ({target})" for name, target in volumes)


def detached(left: Collection[tuple[str, str]]) -> str:
    """Return why such volumes keep their container."""
    several = len(left) > 1
    return (
        f"volume{'s' if several else ''} {_shortly(left)} ha{'ve' if several else 's'} no name "
        "and may hold data"
    )


def _stopped(
    draft: _Draft,
    container: Container,
    timeout: int,
    reason: str,
    after: Iterable[int | None],
    impact: Impact = Impact.RECREATE,
) -> list[int | None]:
    """Stop a container that is in the way; return what its removal waits for."""
    if container.state not in UP:
        return list(after)
    return [draft.add(StopContainer(container.name, timeout, reason, impact), after)]


def _dependents_first(containers: tuple[Container, ...]) -> tuple[Container, ...]:
    """Order by the dependencies that the containers' labels carry: the plan may not know their services."""
    left = sorted(containers, key=lambda item: item.name)
    ordered: list[Container] = []
    while left:
        needed = {need for item in left for need in _needs(item)}
        free = [item for item in left if item.service not in needed] or left
        ordered += free
        left = [item for item in left if item not in free]
    return tuple(ordered)


def _needs(container: Container) -> set[str]:
    text = container.labels.get(names.DEPENDS_ON, "")
    return {entry.split(":")[0] for entry in text.split(",") if entry} - {container.service}


def _after_dependents(container: Container, observed: Observed, stops: Mapping[str, int]) -> list[int]:
    return [
        stops[other.name]
        for other in observed.containers
        if other.name in stops and other.name != container.name and container.service in _needs(other)
    ]


def _timeout(desired: Desired, container: Container) -> int:
    known = {service.name: service.stop_timeout for service in desired.services}
    configured = container.body.get("Config")
    own = configured.get("StopTimeout") if isinstance(configured, Mapping) else None
    return known.get(container.service, own if isinstance(own, int) else DEFAULT_STOP_TIMEOUT)


def _stale_networks(desired: Desired, observed: Observed) -> dict[str, str]:
    """Return the networks that exist but differ, with the reason; raise for what is not ours to change."""
    stale = {}
    for network in desired.networks:
        found = observed.network(network.name)
        if network.external:
            if found is None:
                raise ProjectError(
                    f"networks.{network.key}: external network {network.name} does not exist.",
                    f"Create it with `docker network create {network.name}`.",
                )
            continue
        if found is None:
            continue
        if found.project != desired.project:
            owner = f"project {found.project}" if found.project else "somebody else"
            raise ProjectError(
                f"networks.{network.key}: a network named {network.name} exists and belongs to {owner}.",
                "Use it with `external: true`, or remove it with `docker network rm " + network.name + "`.",
            )
        reason = _network_difference(network, found.labels.get(names.DIGEST, ""), observed)
        holder = next((item for item in observed.others if network.name in item.networks), None)
        if reason and holder:
            raise ProjectError(
                f"networks.{network.key}: {network.name} has to be made anew ({reason}), and container "
                f"{holder.name}, made from {holder.labels.get(names.CONFIG_FILES, '')}, is on it.",
                f"Remove that container first: `docker rm -f {holder.name}` keeps its volumes.",
            )
        if reason:
            stale[network.name] = reason
    return stale


def _network_difference(network: Network, label: str, observed: Observed) -> str:
    if label == network.digest:
        return ""
    # Without a label it was made by docker compose or run.sh: then only what can be seen counts.
    found = observed.network(network.name)
    assert found is not None
    pairs = (
        ("driver", network.driver or "bridge", found.driver),
        ("internal", network.internal, found.internal),
        ("attachable", network.attachable, found.attachable),
        ("enable_ipv6", network.ipv6, found.ipv6),
    )
    seen = [f"{word}: {then} → {now}".lower() for word, now, then in pairs if now != then]
    return "; ".join(seen) or ("addresses, options or labels changed" if label else "")


def _used(services: Iterable[Service]) -> tuple[set[str], set[str]]:
    items = list(services)
    return (
        {name for item in items for name in item.networks},
        {name for item in items for name in item.volumes},
    )


def _networks(
    draft: _Draft,
    desired: Desired,
    services: tuple[Service, ...],
    observed: Observed,
    stale: Mapping[str, str],
    stops: Mapping[str, int],
) -> dict[str, int]:
    made = {}
    used, _ = _used(services)
    for network in desired.networks:
        if network.external or network.name not in used:
            continue
        if network.name in stale:
            reason = stale[network.name]
            waits = [
                stops.get(container.name)
                for container in observed.containers
                if network.name in container.networks
            ]
            gone = draft.add(RemoveNetwork(network.name, reason, Impact.RECREATE), waits)
            made[network.name] = draft.add(CreateNetwork(network, reason), [gone])
        elif observed.network(network.name) is None:
            made[network.name] = draft.add(CreateNetwork(network, NOT_THERE))
    return made


def _unused_networks(draft: _Draft, desired: Desired, observed: Observed, stops: Mapping[str, int]) -> None:
    wanted = {network.name for network in desired.networks}
    for network in observed.networks:
        if network.project != desired.project or network.name in wanted or network.name in observed.in_use:
            continue
        waits = [stops.get(item.name) for item in observed.containers if network.name in item.networks]
        draft.add(RemoveNetwork(network.name, "no longer in compose.yaml", Impact.RECREATE), waits)


def _volumes(
    draft: _Draft, desired: Desired, services: tuple[Service, ...], observed: Observed
) -> dict[str, int]:
    made = {}
    _, used = _used(services)
    for volume in desired.volumes:
        if volume.name not in used or observed.volume(volume.name):
            continue
        if volume.external:
            raise ProjectError(
                f"volumes.{volume.key}: external volume {volume.name} does not exist.",
                f"Create it with `docker volume create {volume.name}`.",
            )
        made[volume.name] = draft.add(CreateVolume(volume, NOT_THERE))
    return made


def _asides(
    draft: _Draft,
    services: tuple[Service, ...],
    observed: Observed,
    fates: Mapping[str, _Fate],
    stops: Mapping[str, int],
) -> None:
    """Set aside what cut-short first starts left of the databases that are about to start again."""
    for found in observed.first_starts:
        service = next((item for item in services if item.name == found.service), None)
        if service is None or not found.cut_short or not fates[service.name].moves:
            continue
        waits = [stops.get(item.name) for item in observed.containers if found.volume in item.volumes]
        where = f"{found.aside} in it" if found.directory else f"volume {found.aside}"
        step = SetAsideData(
            service,
            found.volume,
            found.created,
            found.directory,
            found.aside,
            f"its first start was cut short; what that left goes to {where}",
        )
        draft.asides[found.volume] = draft.add(step, waits)


def _containers(
    draft: _Draft,
    desired: Desired,
    services: tuple[Service, ...],
    observed: Observed,
    fates: Mapping[str, _Fate],
    images: Mapping[str, int],
    networks: Mapping[str, int],
    volumes: Mapping[str, int],
    stops: Mapping[str, int],
) -> None:
    running_shots = {
        service.name
        for service in services
        if service.one_shot and any(c.state == "running" for c in observed.of_service(service.name))
    }
    proven_first = _proven_first(services, fates)
    made: dict[str, int] = {}
    proofs: dict[str, list[int]] = {}
    started: dict[str, list[int]] = {}
    for service in services:
        fate = fates[service.name]
        waits: list[int] = []
        for need in service.depends_on:
            if need.condition == "service_started":
                waits += started.get(need.service, [])
            else:
                waits += proofs.get(need.service, [])
        # What was set aside of a volume has to be out of the way of whoever starts on it.
        waits += [draft.asides[item] for item in service.volumes if item in draft.asides]
        starts: list[int] = []
        numbers = wish.container_names(desired, service)
        for name, number in numbers.items():
            reason = fate.missing.get(name) or fate.replace.get(name, "")
            if reason:
                before = [
                    images.get(service.image),
                    stops.get(name),
                    *(networks.get(item) for item in service.networks),
                    *(volumes.get(item) for item in service.volumes),
                    # A container that joins another one's namespaces needs it to be there.
                    *(made.get(item) for item in service.shares),
                    # A server whose service was renamed must have ended before another one is on its data.
                    *_off(service, observed, stops),
                ]
                keeps = fate.keeps.get(name, ())
                step = CreateContainer(service, number, name, reason, keeps=keeps)
                created = draft.add(step, before)
                made.setdefault(service.name, created)
                after = [created, *waits]
                if keeps or name in fate.aside:
                    aside = fate.aside.get(name, names.set_aside(name))
                    after.append(draft.add(RemoveContainer(aside, reason), [created]))
                starts.append(draft.add(StartContainer(name, reason), after))
            elif name in fate.start:
                starts.append(draft.add(StartContainer(name, fate.start[name]), waits))
            elif name in fate.unpause:
                starts.append(draft.add(UnpauseContainer(name, fate.unpause[name]), waits))
            elif reason := fate.restart_reason(name):
                starts.append(draft.add(StartContainer(name, reason), [stops.get(name), *waits]))
        started[service.name] = starts
        if starts or service.name in proven_first | running_shots:
            reason = "started" if starts else "what depends on it starts"
            proofs[service.name] = [draft.add(Prove(service, tuple(numbers), reason), starts or waits)]
        elif fate.done:
            # It is done, but not what it needed: that has to be ready for whoever comes after it.
            proofs[service.name] = waits


def _off(service: Service, observed: Observed, stops: Mapping[str, int]) -> list[int]:
    """Return the steps after which no container of another service that goes is on the service's volumes."""
    volumes = set(service.volumes)
    return [
        stops[item.name]
        for item in observed.containers
        if item.name in stops and item.service != service.name and volumes & set(item.volumes)
    ]


def _proven_first(services: tuple[Service, ...], fates: Mapping[str, _Fate]) -> set[str]:
    """Return what has to be proven, once, although it stays as it is: something that depends on it starts.

    Behind a one-shot that is not repeated stands what that one needed.
    """
    found: set[str] = set()
    queue = [service for service in services if fates[service.name].moves]
    known = {service.name: service for service in services}
    while queue:
        for need in queue.pop().depends_on:
            if need.condition == "service_started" or need.service not in known or need.service in found:
                continue
            service = known[need.service]
            if not fates[service.name].done:
                found.add(service.name)
            if service.one_shot:
                queue.append(service)
    return found


def _short(image_id: str) -> str:
    return image_id.removeprefix("sha256:")[:12]
