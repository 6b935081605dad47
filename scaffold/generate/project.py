"""Create a project, whole or not at all, or tell what it would be."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from scaffold.errors import UsageError
from scaffold.generate import repository
from scaffold.generate.destination import Destination
from scaffold.generate.render import Rendered, render
from scaffold.generate.repository import Repository
from scaffold.generate.sources import Template
from scaffold.generate.staging import staged, writing


@dataclass(frozen=True)
class Project:
    """A project that was made, or (`written` false) would be."""

    destination: Destination
    template: Template
    rendered: Rendered
    repository: Repository
    written: bool


def create(
    template: Template, destination: Destination, answers: Mapping[str, object], *, git: bool
) -> Project:
    """Render beside the destination, commit, and move the whole into place."""
    if destination.path.is_relative_to(template.path):
        raise UsageError(
            f'"{destination.given}" is inside the template itself.', "Create the project elsewhere."
        )
    with staged(destination) as staging:
        rendered = render(template, staging.folder, answers)
        made = repository.OFF
        if git:
            message = f"Create {destination.name} from the {template.name} template"
            made = repository.create(staging.folder, staging.anchor, message)
        staging.publish()
    return Project(destination, template, rendered, made, written=True)


def preview(template: Template, destination: Destination, answers: Mapping[str, object]) -> Project:
    """What `create` would write, rendered in the system's temporary folder and thrown away."""
    with writing(destination), tempfile.TemporaryDirectory(prefix="scaffold-") as scratch:
        rendered = render(template, Path(scratch, destination.path.name), answers)
    return Project(destination, template, rendered, repository.OFF, written=False)
