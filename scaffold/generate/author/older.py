"""Update a project from each older version of a template to what its repository has now."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from scaffold.errors import ScaffoldError
from scaffold.generate import destination, git, mirror, project, questions, sources, update, versions
from scaffold.generate.author.problem import Problem
from scaffold.generate.author.trial import planned
from scaffold.generate.render import Answers
from scaffold.generate.sources import Kind, Template

_MOST = 10  # versions, the newest of them
_PERSON = {
    f"GIT_{role}_{what}": "scaffold@localhost"
    for role in ("AUTHOR", "COMMITTER")
    for what in ("NAME", "EMAIL")
}


def updates(template: Template) -> list[tuple[str, float, tuple[Problem, ...]]]:
    """What happens to a project that nobody has edited: for each version a name, seconds and problems."""
    source = sources.parse(str(template.path)).source
    if source.kind is not Kind.GIT:
        return []
    copy = sources.repository(source)
    tags = mirror.tags(copy)
    found = []
    for tag in versions.ordered(tags, prereleases=False)[:_MOST]:
        if tags[tag] == mirror.commit(copy, "HEAD"):
            continue
        started = time.monotonic()
        name = f"update from {tag}"
        try:
            problems = _update(template, str(template.path), tag, name)
        except ScaffoldError as error:
            problems = (Problem("copier.yml", 0, error.message, name),)
        found.append((name, time.monotonic() - started, problems))
    return found


def _update(template: Template, place: str, tag: str, name: str) -> tuple[Problem, ...]:
    with tempfile.TemporaryDirectory(prefix="scaffold-older-") as scratch:
        folder = Path(scratch, "sample-project")
        with sources.opened(f"{place}@{tag}") as old:
            names = {question.name for question in questions.read(old)}
            base = planned(template)[0].answers
            given = {key: value for key, value in base.items() if key in names}
            made = project.create(
                old, destination.check(str(folder)), Answers(given, reused=frozenset(given)), git=False
            )
        if not any("_src_path" in _text(folder / file) for file in made.rendered.files):
            return ()  # without an answers file there is nothing to follow
        for command in (("init", "--quiet"), ("add", "--all"), ("commit", "--quiet", "--message=made")):
            done = git.run(folder, *command, variables=_PERSON)
            if done.returncode:
                raise ScaffoldError(f"git {command[0]} says: {git.reason(done)}")
        with update.prepared(folder, update.Wishes(to="HEAD")) as prepared:
            conflicts = prepared.merge.conflicts
            return tuple(
                Problem(conflict.path, 0, "An update conflicts, though nobody edited the project.", name)
                for conflict in conflicts
            )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
