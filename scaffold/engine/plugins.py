"""Find the docker command's plugins: calling the binary itself saves what the docker command adds, 50 ms."""

from __future__ import annotations

import os
import shutil
from functools import cache
from pathlib import Path

from scaffold.engine.endpoint import settings
from scaffold.errors import EngineUnavailable

# Where the docker command looks (cli/cli-plugins/manager), the user's own folder first.
_FOLDERS = (
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
    "/Applications/Docker.app/Contents/Resources/cli-plugins",
)


@cache
def command(plugin: str) -> tuple[str, ...]:
    """Return the start of the command line for `compose` or `buildx`.

    Raises EngineUnavailable when neither the plugin nor the docker command is there.
    """
    for folder in (settings() / "cli-plugins", *map(Path, _FOLDERS)):
        binary = folder / f"docker-{plugin}"
        if os.access(binary, os.X_OK):
            return (str(binary),)
    standalone = shutil.which(f"docker-{plugin}")
    if standalone:
        return (standalone,)
    if shutil.which("docker"):
        raise EngineUnavailable(
            f"The docker command has no `{plugin}` plugin.",
            f"Install it with `scaffold doctor --fix`, or `apt-get install docker-{plugin}-plugin` (Docker's "
            f"own packages; Debian calls it docker-{plugin}).",
        )
    raise EngineUnavailable(
        "Docker is not installed: there is no docker command.",
        "Install it with `scaffold doctor --fix`, or see https://docs.docker.com/engine/install/.",
    )
