"""Decide what of a project's secrets may not be in an image, and what is said when it is there. Pure."""

from __future__ import annotations

from collections.abc import Collection

from scaffold.errors import ProjectError
from scaffold.stack import environment
from scaffold.stack.desired import Build


def check(build: Build, where: str, allowed: Collection[str]) -> None:
    """Raise ProjectError for a Dockerfile that asks for what no build may get, unless a person lets it."""
    if environment.FILE in allowed:
        return
    for path, line in build.exposed:
        raise ProjectError(
            f"{where}{line} puts {path}, with this checkout's passwords, into the image.",
            "Give the container its variables in compose.yaml, with `environment:` or `env_file:`; or let it "
            f"through with `--allow-secret {environment.FILE}`.",
        )
