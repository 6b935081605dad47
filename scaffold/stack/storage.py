"""Where the directories of a container really lie. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from scaffold.stack.desired import Service
from scaffold.stack.look import Medium
from scaffold.stack.observed import Container


@dataclass(frozen=True)
class Mount:
    """One mount of a container."""

    medium: Medium
    source: str
    """The volume's name or the folder's path; empty for a volume that the engine will make."""
    target: str
    inside: str = ""
    """The folder in the volume that is mounted, when it is not all of it."""
    written: bool = True
    """It stands in compose.yaml; otherwise the image asks for it, or it was taken over."""


@dataclass(frozen=True)
class Place:
    """Where one directory of a container lies."""

    medium: Medium
    source: str
    """As in Mount."""
    path: str = ""
    """From the source's own root to the directory."""
    mount: Mount | None = None
    anonymous: bool = False
    """In a volume whose name nobody has chosen: nothing else will find it again."""

    @property
    def is_new(self) -> bool:
        """Return whether the engine makes it together with the container."""
        return not self.source

    def is_same(self, other: Place) -> bool:
        """Return whether both are one directory; what has no name yet is the same as nothing."""
        mine, theirs = (self.medium, self.source, self.path), (other.medium, other.source, other.path)
        return not self.is_new and mine == theirs

    def __str__(self) -> str:
        below = f" (folder {self.path})" if self.path else ""
        match self.medium:
            case Medium.VOLUME if self.is_new:
                return f"a new volume without a name{below}"
            case Medium.VOLUME if self.anonymous:
                return f"volume {self.source} without a name of its own{below}"
            case Medium.VOLUME:
                return f"volume {self.source}{below}"
            case Medium.BIND:
                return "/".join(part for part in (self.source.rstrip("/"), self.path) if part)
            case Medium.MEMORY:
                return "memory (tmpfs)"
            case Medium.CONTAINER:
                return "the container itself"


def wanted_mounts(
    service: Service, declared: Iterable[str], keeps: Sequence[tuple[str, str]] = ()
) -> tuple[Mount, ...]:
    """Return the mounts of a container that is to be made.

    `declared` are the paths for which the image asks for a volume, `keeps` what is taken over.
    """
    found = {target: Mount(Medium.VOLUME, name, target, written=False) for name, target in keeps}
    host = service.body.get("HostConfig")
    for mount in configured_mounts(host if isinstance(host, Mapping) else {}):
        # An anonymous volume that is kept takes the place of the one that would be made.
        if mount.target not in found or mount.source:
            found[mount.target] = mount
    for path in declared:
        target = _clean(path)
        found.setdefault(target, Mount(Medium.VOLUME, "", target, written=False))
    return tuple(found[target] for target in sorted(found))


def configured_mounts(host: Mapping[str, object]) -> tuple[Mount, ...]:
    """Return the mounts that a host configuration, as it is sent to the engine, asks for."""
    found = []
    binds, mounts, memory = host.get("Binds"), host.get("Mounts"), host.get("Tmpfs")
    for bind in binds if isinstance(binds, list | tuple) else ():
        source, _, rest = str(bind).partition(":")
        target = rest.rpartition(":")[0] or rest
        medium = Medium.BIND if source.startswith("/") else Medium.VOLUME
        found.append(Mount(medium, source, _clean(target)))
    for item in mounts if isinstance(mounts, list | tuple) else ():
        if not isinstance(item, Mapping) or item.get("Type") not in ("volume", "bind", "tmpfs"):
            continue
        options = item.get("VolumeOptions")
        inside = str(options.get("Subpath") or "") if isinstance(options, Mapping) else ""
        medium = Medium(str(item["Type"]))
        source = "" if medium is Medium.MEMORY else str(item.get("Source") or "")
        found.append(Mount(medium, source, _clean(str(item.get("Target") or "")), inside.strip("/")))
    targets = memory if isinstance(memory, Mapping) else ()
    return (*found, *(Mount(Medium.MEMORY, "", _clean(str(target))) for target in targets))


def present_mounts(container: Container) -> tuple[Mount, ...]:
    """Return the mounts of a container that is there."""
    host = container.body.get("HostConfig")
    configured = configured_mounts(host if isinstance(host, Mapping) else {})
    found = {mount.target: mount for mount in configured}
    mounts = container.body.get("Mounts")
    for item in mounts if isinstance(mounts, list | tuple) else ():
        if not isinstance(item, Mapping) or item.get("Type") not in ("volume", "bind", "tmpfs"):
            continue
        target = _clean(str(item.get("Destination") or ""))
        medium = Medium(str(item["Type"]))
        source = str(item.get("Name" if medium is Medium.VOLUME else "Source") or "")
        asked = found.get(target)
        found[target] = Mount(
            medium,
            "" if medium is Medium.MEMORY else source,
            target,
            inside=asked.inside if asked else "",
            written=bool(asked and asked.source),
        )
    return tuple(found[target] for target in sorted(found))


def place(mounts: Iterable[Mount], directory: str, anonymous: Iterable[str] = ()) -> Place:
    """Return where a directory lies: of mounts inside one another the innermost is the one that is seen."""
    wanted = _clean(directory)
    around = [mount for mount in mounts if f"{wanted}/".startswith(f"{mount.target.rstrip('/')}/")]
    if not around:
        return Place(Medium.CONTAINER, "", wanted.strip("/"))
    mount = max(around, key=lambda item: len(item.target))
    below = wanted[len(mount.target.rstrip("/")) :].strip("/")
    path = "/".join(part for part in (mount.inside, below) if part)
    nameless = mount.medium is Medium.VOLUME and (not mount.source or mount.source in set(anonymous))
    return Place(mount.medium, mount.source, path, mount, nameless)


def _clean(path: str) -> str:
    parts = [part for part in path.split("/") if part not in ("", ".")]
    return "/" + "/".join(parts)
