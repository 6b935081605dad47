"""Read what the engine has for one project; changes nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from scaffold.engine.answers import moment
from scaffold.engine.build import context
from scaffold.engine.client import Engine, engine_errors
from scaffold.engine.wire import Refused
from scaffold.interrupt import side_by_side
from scaffold.stack import names
from scaffold.stack.desired import Desired
from scaffold.stack.observed import Container, Image, Network, Observed, Volume

_EPOCH = "1970-01-01T00:00:00Z"
"""For what has no time: a plugin's volume, an image that was made reproducibly."""
_ANONYMOUS = re.compile("[0-9a-f]{64}")
"""The names that the engine gives to volumes."""


def observe(engine: Engine, desired: Desired) -> Observed:
    """Return the project's containers, networks, volumes and images, and the external ones it uses."""
    with engine_errors("reading the state"):
        return Observed(
            containers=containers(engine, desired.project),
            networks=networks(engine, desired.project, [item.name for item in desired.networks]),
            volumes=volumes(engine, desired.project, [item.name for item in desired.volumes]),
            images=images(engine, {service.image for service in desired.services}),
        )


def containers(engine: Engine, project: str) -> tuple[Container, ...]:
    """Return the project's containers by name; one that vanishes meanwhile is left out."""
    made = [f"{names.PROJECT}={project}", names.ONE_OFF]  # see names.maker
    with engine_errors("containers"):
        found = engine.get("/containers/json", all=True, filters={"label": made})
        return tuple(sorted(_inspected(engine, [item["Id"] for item in found]), key=lambda item: item.name))


def _inspected(engine: Engine, ids: Sequence[str]) -> list[Container]:
    def one(container_id: str) -> Container | None:
        try:
            return inspect(engine, container_id)
        except Refused as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            return None

    if len(ids) < 8:
        made = [one(item) for item in ids]
    else:
        with side_by_side(4) as pool:
            made = list(pool.map(one, ids))
    return [item for item in made if item]


def inspect(engine: Engine, name: str) -> Container:
    """Return one container, by its name or id."""
    return container(engine.get(f"/containers/{name}/json"))


def container(document: Mapping[str, Any]) -> Container:
    """Return the engine's inspect document as our value."""
    state, config = document["State"], document["Config"]
    attached = document["NetworkSettings"].get("Networks") or {}
    bindings = document["NetworkSettings"].get("Ports") or {}
    mounts = document.get("Mounts") or ()
    return Container(
        id=document["Id"],
        name=document["Name"].lstrip("/"),
        state=state["Status"],
        image=config["Image"],
        image_id=document["Image"],
        labels=config.get("Labels") or {},
        created=moment(document["Created"]),
        exit_code=state.get("ExitCode", 0),
        health=(state.get("Health") or {}).get("Status", "").replace("none", ""),
        started=None if state["StartedAt"].startswith("0001") else moment(state["StartedAt"]),
        networks=tuple(sorted(attached)),
        network_ids=tuple(sorted(item["NetworkID"] for item in attached.values() if item.get("NetworkID"))),
        address=next(
            (item["IPAddress"] for _, item in sorted(attached.items()) if item.get("IPAddress")), ""
        ),
        ports=tuple(
            sorted(
                {
                    (target, item.get("HostIp", ""), int(item["HostPort"]))
                    for target, published in bindings.items()
                    for item in published or ()
                    if item.get("HostPort")
                }
            )
        ),
        volumes=tuple(item.get("Name", "") for item in mounts if item["Type"] == "volume"),
        anonymous=tuple(
            sorted(
                (item["Name"], item["Destination"])
                for item in mounts
                if item["Type"] == "volume" and _ANONYMOUS.fullmatch(item.get("Name", ""))
            )
        ),
        restarts=document.get("RestartCount", 0),
        body=document,
    )


def networks(engine: Engine, project: str, also: Iterable[str] = ()) -> tuple[Network, ...]:
    """Return the networks with the project's label, and those with the other names given."""
    wanted = set(also)
    found = [
        Network(
            name=item["Name"],
            id=item["Id"],
            labels=item.get("Labels") or {},
            driver=item.get("Driver", ""),
            internal=item.get("Internal", False),
            attachable=item.get("Attachable", False),
            ipv6=item.get("EnableIPv6", False),
        )
        for item in engine.get("/networks")
        if item["Name"] in wanted or (item.get("Labels") or {}).get(names.PROJECT) == project
    ]
    return tuple(sorted(found, key=lambda item: (item.name, item.id)))


def volumes(engine: Engine, project: str, also: Iterable[str] = ()) -> tuple[Volume, ...]:
    """Return the volumes with the project's label, and those with the other names given."""
    wanted = set(also)
    found = [
        Volume(
            name=item["Name"],
            created=moment(item.get("CreatedAt") or _EPOCH),
            labels=item.get("Labels") or {},
            driver=item.get("Driver", ""),
        )
        for item in engine.get("/volumes").get("Volumes") or ()
        if item["Name"] in wanted or (item.get("Labels") or {}).get(names.PROJECT) == project
    ]
    return tuple(sorted(found, key=lambda item: item.name))


def images(engine: Engine, references: Iterable[str]) -> dict[str, Image]:
    """Return the images that are on the engine, by the reference they were asked with."""
    found = {}
    for reference in sorted(references):
        with engine_errors(f"image {reference}"):
            document = _image(engine, reference)
        if document is None:
            continue
        config = document.get("Config") or {}
        labels = config.get("Labels") or {}
        digest = labels.get(names.CONTEXT) or context.made_from(document["Id"])
        found[reference] = Image(
            reference=reference,
            id=document["Id"],
            labels=labels,
            created=moment(document.get("Created") or _EPOCH),
            size=document.get("Size", 0),
            environment=tuple(config.get("Env") or ()),
            volumes=tuple(sorted(config.get("Volumes") or ())),
            entrypoint=tuple(config.get("Entrypoint") or ()),
            command=tuple(config.get("Cmd") or ()),
            digest=digest,
            context=context.manifest(digest) if digest else {},
        )
    return found


def _image(engine: Engine, reference: str) -> dict[str, Any] | None:
    try:
        document: dict[str, Any] = engine.get(f"/images/{quote(reference)}/json")
    except Refused as error:
        # Not valid as a reference is not there either: the pull says so with more words.
        if error.status in (HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST):
            return None
        raise
    return document


def image_id(engine: Engine, reference: str) -> str | None:
    """Return the id of a local image, None when it is not here."""
    with engine_errors(f"image {reference}"):
        document = _image(engine, reference)
    return str(document["Id"]) if document else None


def volume_sizes(engine: Engine, wanted: Iterable[str]) -> dict[str, int]:
    """Return bytes by volume; the engine walks the files, so this takes as long as the data is large."""
    keep = set(wanted)
    with engine_errors("measuring volumes"):
        # Without a type the engine measures images and caches as well.
        usage = engine.get("/system/df", type="volume").get("Volumes") or ()
    return {
        item["Name"]: item["UsageData"]["Size"]
        for item in usage
        if item["Name"] in keep and item.get("UsageData")
    }
