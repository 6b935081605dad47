"""Read the images of one project and remove those that nothing uses; pulling and building are apply's."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from scaffold.engine import observe
from scaffold.engine.client import Engine, engine_errors
from scaffold.engine.wire import Refused
from scaffold.stack import names
from scaffold.stack.desired import Desired
from scaffold.stack.everyday import ProjectImage


def of_project(engine: Engine, desired: Desired) -> tuple[ProjectImage, ...]:
    """Return what the services use and what was built for the project, the used ones first.

    An image of a service whose profile is not active counts as used, as long as it has its tag.
    """
    with engine_errors("reading the images"):
        wanted = observe.images(engine, {service.image for service in desired.services})
        listed = _listed(engine)
        in_containers = {item["ImageID"] for item in engine.get("/containers/json", all=True)}
    services: dict[str, list[str]] = {}
    asked_as: dict[str, str] = {}
    for service in desired.services:
        if service.image in wanted:
            services.setdefault(wanted[service.image].id, []).append(service.name)
            asked_as.setdefault(wanted[service.image].id, service.image)
    found = []
    for item in listed:
        labels = item.get("Labels") or {}
        built = labels.get(names.PROJECT) == desired.project
        if not built and item["Id"] not in services:
            continue
        tags = tuple(sorted(tag for tag in item.get("RepoTags") or () if tag != "<none>:<none>"))
        asleep = bool(tags) and labels.get(names.SERVICE) in desired.inactive
        found.append(
            ProjectImage(
                id=item["Id"],
                name=asked_as.get(item["Id"]) or next(iter(tags), None),
                services=(labels[names.SERVICE],) if asleep else tuple(services.get(item["Id"], ())),
                built=built,
                used=asleep or item["Id"] in services or item["Id"] in in_containers,
                size=item["Size"],
                created=datetime.fromtimestamp(item.get("Created", 0), UTC),
                tags=tags,
            )
        )
    return tuple(sorted(found, key=lambda item: (not item.used, item.name or "~", -item.created.timestamp())))


@dataclass(frozen=True)
class Removed:
    """Which images went, and how much room that made."""

    ids: tuple[str, ...]
    freed: int
    """bytes; layers that other images keep do not count"""


def remove(engine: Engine, images: Iterable[ProjectImage]) -> Removed:
    """Remove images by their tags, or by their id; one that came into use meanwhile stays."""
    ids = []
    freed = 0
    for image in images:
        with engine_errors(f"image {image.name or image.short_id}"):
            alone = _unshared(engine, image.id)
            try:
                for reference in image.tags or (image.id,):
                    engine.delete(f"/images/{quote(reference)}")
            except Refused as error:
                if error.status not in (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT):
                    raise
                continue
        ids.append(image.id)
        freed += alone
    return Removed(tuple(ids), freed)


def drop_superseded(engine: Engine, desired: Desired) -> None:
    """Remove what the project's builds have left without a name, where no container uses it.

    The engine refuses to remove one that any container has, and that is left to it.
    """
    own = [f"{names.PROJECT}={desired.project}"]
    with engine_errors("looking for images without a name"):
        found = engine.get("/images/json", filters={"dangling": ["true"], "label": own})
    for item in found:
        with contextlib.suppress(Refused):
            engine.delete(f"/images/{quote(item['Id'])}")


def _listed(engine: Engine) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = engine.get("/images/json", **{"shared-size": True})
    return listed


def _unshared(engine: Engine, image_id: str) -> int:
    """Return the bytes that no other image has now; what was removed before changes the answer."""
    for item in _listed(engine):
        if item["Id"] == image_id:
            return int(item["Size"]) - max(0, int(item.get("SharedSize", 0)))
    return 0
