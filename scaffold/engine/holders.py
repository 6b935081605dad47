"""Read who else on the engine uses what a project has: containers that are none of its own."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from scaffold.engine.client import Engine, engine_errors
from scaffold.stack import names


@dataclass(frozen=True)
class Holders:
    """Containers of others, by what they use."""

    volumes: Mapping[str, str]
    """By the volume's name."""
    images: Mapping[str, str]
    """By the image's id."""
    folders: tuple[str, ...]
    """What is mounted from the engine's machine, into any container."""


def others(engine: Engine, own: Collection[str] = ()) -> Holders:
    """Return what containers other than those with the ids `own` use; helpers do not count."""
    volumes: dict[str, str] = {}
    images: dict[str, str] = {}
    folders: set[str] = set()
    with engine_errors("reading who uses what"):
        listed = engine.get("/containers/json", all=True)
    for item in listed:
        if item["Id"] in own or names.HELPER in item["Labels"]:
            continue
        name = item["Names"][0].lstrip("/") if item["Names"] else item["Id"][:12]
        images.setdefault(item["ImageID"], name)
        for mount in item["Mounts"]:
            if mount.get("Type") == "volume" and mount.get("Name"):
                volumes.setdefault(mount["Name"], name)
            if mount.get("Type") == "bind" and isinstance(mount.get("Source"), str):
                folders.add(mount["Source"])
    return Holders(volumes, images, tuple(sorted(folders)))


def asides(engine: Engine, path: str) -> tuple[tuple[str, str], ...]:
    """Return (volume, of which) of what was set aside of the volumes of a checkout."""
    filters = {"label": [names.ASIDE, f"{names.PATH}={path}"]}
    with engine_errors("reading what was set aside"):
        found = engine.get("/volumes", filters=filters)["Volumes"]
    return tuple(sorted((item["Name"], item["Labels"].get(names.ASIDE, "")) for item in found))
