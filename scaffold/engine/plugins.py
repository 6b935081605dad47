"""Find the docker command's plugins: calling the binary itself saves what the docker command adds, 50 ms."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

from scaffold import files
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
def compose_version() -> str:
    """Return what Compose calls itself on images that it builds, as 2.26.1; asked once for each binary."""
    binary = Path(command("compose")[0])
    try:
        found = binary.stat()
    except OSError:
        return ""
    key = f"{binary}:{found.st_mtime_ns}:{found.st_size}"
    known = files.cache("plugins") / "compose"
    with contextlib.suppress(OSError, ValueError):
        path, _, version = files.text(known).strip().rpartition(" ")
        if path == key:
            return version
    done = subprocess.run(
        [*command("compose"), "version", "--short"], capture_output=True, text=True, check=False, timeout=30
    )
    numbers = re.search(r"\d+\.\d+\.\d+", done.stdout)
    if numbers is None:
        return ""
    with contextlib.suppress(OSError):
        known.parent.mkdir(parents=True, exist_ok=True)
        known.write_text(f"{key} {numbers[0]}\n")
    return numbers[0]


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
