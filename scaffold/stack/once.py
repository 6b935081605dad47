"""Decide whether a one-shot, such as a migration, has to run again. Pure."""

from __future__ import annotations

from scaffold.stack import desired as wish
from scaffold.stack.desired import Desired, Service
from scaffold.stack.observed import Completion, Container, Observed


def repeat_reason(desired: Desired, service: Service, container: Container, observed: Observed) -> str:
    """Return why a one-shot has to run again, or nothing: its success counts for the volumes behind it."""
    if container.state == "running":
        return ""
    if container.state == "created":
        return "created but never started"
    if container.exit_code != 0:
        return f"its last run failed (exit code {container.exit_code})"
    for name in sorted(_volumes_behind(desired, service)):
        volume = observed.volume(name)
        if volume is None:
            return f"volume {name} is new"
        # The engine gives whole seconds for volumes.
        if container.started and volume.created > container.started:
            return f"volume {name} is newer than its last run"
    return ""


def is_done(desired: Desired, service: Service, observed: Observed) -> bool:
    """Return whether one without a container is done: its image, configuration and volumes are the same."""
    image = observed.images.get(service.image)
    volumes = _created(desired, service, observed)
    if not (service.once and service.one_shot and image and volumes):
        return False
    done = Completion(service.name, wish.container_digest(service), image.id, volumes)
    return done in observed.completions


def remains(desired: Desired, observed: Observed) -> tuple[Completion, ...]:
    """Return what is to be remembered of the one-shots when their containers go."""
    found = {item.service: item for item in observed.completions}
    kept = []
    for service in desired.services:
        if not (service.once and service.one_shot):
            continue
        containers = observed.of_service(service.name)
        if not containers:
            kept += [found[service.name]] if service.name in found else []
        elif all(
            item.state == "exited" and not repeat_reason(desired, service, item, observed)
            for item in containers
        ):
            last, volumes = containers[-1], _created(desired, service, observed)
            kept += [Completion(service.name, last.digest, last.image_id, volumes)] if volumes else []
    return tuple(kept)


def _created(desired: Desired, service: Service, observed: Observed) -> tuple[tuple[str, str], ...]:
    """Return the volumes behind a service with the time of their creation; nothing when one is missing."""
    found = [(name, observed.volume(name)) for name in sorted(_volumes_behind(desired, service))]
    there = tuple((name, volume.created.isoformat()) for name, volume in found if volume)
    return there if len(there) == len(found) else ()


def _volumes_behind(desired: Desired, service: Service) -> set[str]:
    """Return the named volumes of a service and of all that it depends on."""
    seen: set[str] = set()
    queue = [service]
    volumes: set[str] = set()
    known = {item.name: item for item in desired.services}
    while queue:
        item = queue.pop()
        if item.name in seen:
            continue
        seen.add(item.name)
        volumes |= set(item.volumes)
        queue += [known[need.service] for need in item.depends_on if need.service in known]
    return volumes
