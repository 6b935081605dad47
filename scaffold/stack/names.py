"""The names and labels that tie a checkout to its containers, network, volumes and images."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

# Compose's own labels: Docker Desktop and `docker compose ps` list what carries them.
PROJECT = "com.docker.compose.project"
SERVICE = "com.docker.compose.service"
NUMBER = "com.docker.compose.container-number"
ONE_OFF = "com.docker.compose.oneoff"
CONFIG_HASH = "com.docker.compose.config-hash"
WORKING_DIR = "com.docker.compose.project.working_dir"
CONFIG_FILES = "com.docker.compose.project.config_files"
DEPENDS_ON = "com.docker.compose.depends_on"
NETWORK = "com.docker.compose.network"
VOLUME = "com.docker.compose.volume"
IMAGE = "com.docker.compose.image"
"""On a container: the id of its image. With it and its own hash, Compose finds nothing to replace."""
VERSION = "com.docker.compose.version"
"""On an image: the Compose that built it, or would have."""

DIGEST = "dev.scaffold.digest"
"""On a container or network: digest of what it was created from; another value means recreate."""
CONTEXT = "dev.scaffold.context"
"""On an image that an earlier version has built: digest of what it was built from. Now a label would make it
another image than Compose's; which image came of what is remembered, see engine.build.context."""
PATH = "dev.scaffold.path"
"""On everything: the checkout that made it."""
READY = "dev.scaffold.ready"
"""In compose.yaml, on a service: the HTTP path that answers 2xx once the service is ready."""
ONCE = "dev.scaffold.once"
"""In compose.yaml, on a one-shot: `volume` says that all it does is in the volumes behind it."""
HELPER = "dev.scaffold.helper"
"""On a container that is made for one task and removed again: the project that it is made for."""
ASIDE = "dev.scaffold.aside"
"""On a volume with what was set aside: the volume in which it was."""


def maker(labels: Mapping[str, str]) -> str:
    """Return the project that made a container, empty for none.

    An image hands its own project label on to every container that is made from it, also to one that a person
    starts by hand; what Compose, run.sh and this program make says besides whether it is a one-off.
    """
    return labels.get(PROJECT, "") if ONE_OFF in labels else ""


def checkout_hash(real_path: str) -> str:
    """Return the 8 hex digits that keep two checkouts of one project apart."""
    return hashlib.sha256(real_path.encode()).hexdigest()[:8]


def container(project: str, service: str, number: int) -> str:
    """Return the container's name as Compose gives it."""
    return f"{project}-{service}-{number}"


def set_aside(container: str) -> str:
    """Return the name of a container while its successor takes over its anonymous volumes."""
    return f"{container}-replaced"


def unproven(image: str) -> str:
    """Return what an image is called until it is certain that no secret is in it."""
    repository, tag = split_image(image)
    return f"{repository}:unproven-{tag[:100]}"


def split_image(image: str) -> tuple[str, str]:
    """Return repository and tag of an image's name; a port of the registry is part of the first."""
    folder, slash, last = image.rpartition("/")
    name, _, tag = last.partition(":")
    return f"{folder}{slash}{name}", tag or "latest"


def image(project: str, service: str) -> str:
    """Return the name Compose gives to an image that is built without an `image:` key."""
    return f"{project}-{service}"
