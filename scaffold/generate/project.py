"""Create a project, whole or not at all, or tell what it would be."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from scaffold.errors import ScaffoldError, UsageError
from scaffold.generate import listing, repository, trust
from scaffold.generate.destination import Destination
from scaffold.generate.render import Answers, Rendered, render, run_tasks
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
    template: Template, destination: Destination, answers: Answers | Mapping[str, object], *, git: bool
) -> Project:
    """Render beside the destination, commit, and move the whole into place.

    A template with tasks runs them there, since what they make may contain its path; then it is committed.
    """
    code = trust.code(template)
    if code.runs_at_creation and not template.is_trusted:
        raise trust.refusal(template)
    if destination.path.is_relative_to(template.path):
        raise UsageError(
            f'"{destination.given}" is inside the template itself.', "Create the project elsewhere."
        )
    with staged(destination) as staging:
        rendered = render(template, staging.folder, answers)
        message = f"Create {destination.name} from the {template.name} template"
        made = repository.OFF
        if git and not code.tasks:
            made = repository.create(staging.folder, staging.anchor, message)
        staging.publish()
    if code.tasks:
        with _gone_on_failure(destination):
            run_tasks(template, destination.path, {**rendered.answers, **rendered.secrets})
        if (destination.path / ".git").exists():
            made = Repository("inside", "The template's tasks made the git repository.")
        elif git:
            made = repository.create(destination.path, destination.path.parent, message)
        rendered = replace(rendered, files=_files(destination.path))
    return Project(destination, template, rendered, made, written=True)


def preview(template: Template, destination: Destination, answers: Answers | Mapping[str, object]) -> Project:
    """What `create` would write, rendered in the system's temporary folder and thrown away; no task runs."""
    with writing(destination), tempfile.TemporaryDirectory(prefix="scaffold-") as scratch:
        rendered = render(template, Path(scratch, destination.path.name), answers)
    return Project(destination, template, rendered, repository.OFF, written=False)


def _files(folder: Path) -> tuple[str, ...]:
    """What is in a project after its tasks, without git's own files."""
    return tuple(
        entry.path
        for entry in listing.readable(folder, leaving_out=frozenset({".git"}))
        if entry.kind is not listing.Kind.FOLDER
    )


@contextmanager
def _gone_on_failure(destination: Destination) -> Iterator[None]:
    """Leave no project behind whose tasks did not end well, as copier does."""
    try:
        yield
    except BaseException as error:
        shutil.rmtree(destination.path, ignore_errors=True)
        if isinstance(error, ScaffoldError) and error.hint is None:
            error.hint = "Nothing was kept. Mend what it says above, or use another version of the template."
        raise
