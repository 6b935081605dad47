"""What the shell offers at TAB: services from compose.yaml, projects and volumes from the engine's labels.

Fast, and silent whatever happens: a person who presses TAB has not asked for an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import typer

from scaffold.errors import ScaffoldError
from scaffold.project import checkout as checkouts
from scaffold.stack import names

_KEY = re.compile(r"""( +)(["']?)([A-Za-z0-9._-]+)\2\s*:(\s|$)""")


def services(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the services of the project."""
    return _starting(incomplete, _services(ctx))


def places(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer `SERVICE:` for a path inside a container; the shell itself knows the files outside."""
    return _starting(incomplete, [f"{name}:" for name in _services(ctx)])


def gone_projects(incomplete: str) -> list[str]:
    """Offer the projects whose folder is gone."""
    from scaffold.engine.listing import glance, projects

    found = (labels for _, labels in glance.labelled(names.PATH) if not projects.exists(labels[names.PATH]))
    return _starting(incomplete, (labels.get(names.PROJECT, "") for labels in found))


def gone_volumes(incomplete: str) -> list[str]:
    """Offer the volumes of projects whose folder is gone."""
    from scaffold.engine.listing import glance, projects

    volumes = glance.labelled(names.PATH, kinds=("volumes",))
    return _starting(
        incomplete, (name for name, labels in volumes if not projects.exists(labels[names.PATH]))
    )


def templates(incomplete: str) -> list[str]:
    """Offer the templates that have a short name."""
    from scaffold.generate import settings, sources

    try:
        return _starting(incomplete, (*sources.names(), *settings.registered()))
    except ScaffoldError:
        return []


def _starting(incomplete: str, words: Iterable[str]) -> list[str]:
    return sorted({word for word in words if word.isprintable() and word and word.startswith(incomplete)})


def _services(ctx: typer.Context) -> list[str]:
    try:
        checkout = checkouts.find(Path(ctx.params.get("project") or "."))
        texts = [path.read_text() for path in checkout.config_files]
    except (ScaffoldError, OSError, UnicodeDecodeError):
        return []
    return [name for text in texts for name in service_names(text)]


def service_names(text: str) -> list[str]:
    """Return the keys below `services:` of a compose.yaml, read by its indentation.

    Compose itself would take longer than people wait for TAB, and refuses a file that is half written.
    """
    found = []
    depth = ""
    inside = False
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if not line.startswith(" "):
            inside = line.split("#")[0].rstrip() == "services:"
            continue
        match = _KEY.match(line) if inside else None
        if match and match[1] == (depth := depth or match[1]):
            found.append(match[3])
    return found
