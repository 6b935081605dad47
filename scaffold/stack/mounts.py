"""What a service mounts, and which of its mounts holds a path. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scaffold.stack.desired import Service


def targets(service: Service) -> dict[str, str]:
    """Return what a service mounts, by its path in the container; `volume:part` for a part of one."""
    host = service.body.get("HostConfig")
    host = host if isinstance(host, Mapping) else {}
    found = {}
    for bind in map(str, listed(host.get("Binds"))):
        source, _, rest = bind.partition(":")
        found[rest.partition(":")[0].rstrip("/")] = source
    for mount in listed(host.get("Mounts")):
        part = (mount.get("VolumeOptions") or {}).get("Subpath", "")
        source = str(mount.get("Source") or "")
        found[str(mount["Target"]).rstrip("/")] = f"{source}:{part}" if part else source
    for target in host.get("Tmpfs") or ():
        found[str(target).rstrip("/")] = ""
    return found


def holding(mounts: Mapping[str, str], directory: str) -> str | None:
    """Return the innermost mount that a directory lies in: of those inside one another it is the one seen."""
    holding = [target for target in mounts if directory and f"{directory}/".startswith(f"{target}/")]
    return max(holding, key=len, default=None)


def listed(value: object) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []
