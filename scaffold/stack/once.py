"""Decide whether a one-shot, such as a migration, has to run again. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

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
    return _gone(desired, service, container.started, observed)


def _gone(desired: Desired, service: Service, begun: datetime | None, observed: Observed) -> str:
    """Return why what a run at that time did is no longer in the databases behind it; or nothing.

    Somebody may have emptied a volume since, or put older files into it.
    """
    behind = {item.name for item in _behind(desired, service)}
    for stored in observed.stored:
        if stored.service not in behind:
            continue
        if stored.empty:
            return f"{stored.place} is empty"
        if begun and stored.born and stored.born > begun:
            return f"the database in {stored.place} is newer than its last run"
        # Files give whole seconds.
        if begun and stored.written and stored.written < begun.replace(microsecond=0):
            return f"the database in {stored.place} was written last before its last run"
    return ""


def is_done(desired: Desired, service: Service, observed: Observed) -> bool:
    """Return whether one without a container is done, and all that it did is where it was."""
    if not service.once:
        return False
    parts = []
    for item in _behind(desired, service):
        image = observed.images.get(item.image)
        if image is None:
            return False
        parts.append((item.name, wish.container_digest(item), image.id))
    done = _completion(desired, service, observed, parts)
    known = next((item for item in observed.completions if replace(item, begun="") == done), None)
    if known is None:
        return False
    begun = datetime.fromisoformat(known.begun) if known.begun else None
    return not _gone(desired, service, begun, observed)


def remains(desired: Desired, observed: Observed) -> tuple[Completion, ...]:
    """Return what is to be remembered of the one-shots when their containers go."""
    kept = []
    for service in desired.services:
        if not service.once:
            continue
        if observed.of_service(service.name):
            done = _came_to_its_end(desired, service, observed)
        else:
            done = next((item for item in observed.completions if item.service == service.name), None)
        kept += [done] if done else []
    return tuple(kept)


def _came_to_its_end(desired: Desired, service: Service, observed: Observed) -> Completion | None:
    """Return what containers say of a one-shot that is done; None where it is not, or its work may go too."""
    parts = []
    for item in _behind(desired, service):
        found = observed.of_service(item.name)
        if len({(container.digest, container.image_id) for container in found}) != 1:
            return None
        if item is not service and any(container.anonymous for container in found):
            return None  # rows may be in a volume that the next container does not get
        parts.append((item.name, found[0].digest, found[0].image_id))
    if any(
        container.state != "exited" or repeat_reason(desired, service, container, observed)
        for container in observed.of_service(service.name)
    ):
        return None
    done = _completion(desired, service, observed, parts)
    begun = [item.started for item in observed.of_service(service.name) if item.started]
    return replace(done, begun=min(begun).isoformat()) if done and begun else done


def _completion(
    desired: Desired, service: Service, observed: Observed, parts: list[tuple[str, str, str]]
) -> Completion | None:
    """Return the record of one that is done; None where its work cannot be told by its volumes."""
    volumes = _created(desired, service, observed)
    if not volumes or _reads_files(service):
        return None
    return Completion(service.name, tuple(sorted(parts)), volumes)


def _reads_files(service: Service) -> bool:
    """Return whether files of this machine are mounted, whose content may change: a folder of migrations."""
    host = service.body.get("HostConfig")
    host = host if isinstance(host, Mapping) else {}
    bound = any(str(item).startswith(("/", ".", "~")) for item in host.get("Binds") or ())
    return bound or any(item.get("Type") == "bind" for item in host.get("Mounts") or ())


def _created(desired: Desired, service: Service, observed: Observed) -> tuple[tuple[str, str], ...]:
    """Return the volumes behind a service with the time of their creation; nothing when one is missing."""
    found = [(name, observed.volume(name)) for name in sorted(_volumes_behind(desired, service))]
    there = tuple((name, volume.created.isoformat()) for name, volume in found if volume)
    return there if len(there) == len(found) else ()


def _volumes_behind(desired: Desired, service: Service) -> set[str]:
    return {name for item in _behind(desired, service) for name in item.volumes}


def _behind(desired: Desired, service: Service) -> list[Service]:
    """Return a service and all that it depends on."""
    found: list[Service] = []
    queue = [service]
    known = {item.name: item for item in desired.services}
    while queue:
        item = queue.pop()
        if item not in found:
            found.append(item)
            queue += [known[need.service] for need in item.depends_on if need.service in known]
    return found
