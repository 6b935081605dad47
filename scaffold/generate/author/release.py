"""Release a template: the next version from what has changed, a changelog, a commit and a tag."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from scaffold.errors import ScaffoldError, UsageError
from scaffold.generate import git, mirror, questions, sources, versions
from scaffold.generate.questions import Question
from scaffold.generate.sources import Source

_CHANGELOG = "CHANGELOG.md"
_TITLE = "# Changelog\n"


@dataclass(frozen=True)
class Release:
    """A version to come or made: why it has this number, and what its changelog says."""

    tag: str
    before: str | None
    reason: str
    changes: tuple[str, ...]


def planned(folder: Path, version: str | None = None) -> Release:
    """The next release of the template in a repository; an error if there is nothing to release."""
    _check_clean(folder)
    source = _source(folder)
    copy = sources.repository(source)
    tags = mirror.tags(copy)
    before = versions.newest(tags)
    with sources.at(source, copy, sources.resolve(source, copy, "HEAD")) as template:
        now = questions.read(template)
    if before is None:
        first = version or "v0.1.0"
        return Release(_checked(first, None), None, "the first one", ("First release.",))
    if tags[before] == mirror.commit(copy, "HEAD"):
        raise UsageError(f"Nothing has changed since {before}.", "Commit a change first.")
    with sources.at(source, copy, sources.resolve(source, copy, before)) as template:
        then = questions.read(template)
    breaking, added = _differences(then, now)
    subjects = _lines(folder, "log", "--no-merges", "--format=%s", f"{before}..HEAD")
    level = 0 if breaking else 1 if added or _new_files(folder, before) else 2
    plain = "Files were added." if level == 1 else "Nothing new is asked, and no file is new."
    reason = next(iter((*breaking, *added, plain)))
    tag = version or _next(before, level)
    return Release(_checked(tag, before), before, reason, (*breaking, *added, *subjects))


def make(folder: Path, release: Release, bundle: Path | None = None) -> None:
    """Write the changelog, commit it, tag it, and put everything into a git bundle if that is wanted."""
    person = git.person(folder)
    if len(person) < 4:
        raise ScaffoldError(
            "git does not know your name yet.", 'Type `git config --global user.name "…"`, and user.email.'
        )
    path = folder / _CHANGELOG
    text = path.read_text(encoding="utf-8") if path.exists() else _TITLE
    path.write_text(_with_section(text, release), encoding="utf-8")
    for command in (
        ("add", "--", _CHANGELOG),
        ("commit", "--quiet", "--no-verify", f"--message=Release {release.tag}"),
        ("tag", "--annotate", f"--message={release.tag}", release.tag),
    ):
        done = git.run(folder, *command, variables=person)
        if done.returncode:
            raise ScaffoldError(f"git {command[0]} says: {git.reason(done)}")
    if bundle is not None:
        done = git.run(
            folder, "bundle", "create", "--quiet", str(bundle.absolute()), "--branches", "--tags", "HEAD"
        )
        if done.returncode:
            raise ScaffoldError(f"The bundle could not be made: {git.reason(done)}")


def _source(folder: Path) -> Source:
    source = sources.parse(str(folder)).source
    if source.kind is not sources.Kind.GIT or not (folder / ".git").exists():
        raise UsageError(
            f"{folder} is not the top of a git repository with a commit.",
            "Start one: `git init && git add --all && git commit -m Start`.",
        )
    return source


def _check_clean(folder: Path) -> None:
    done = git.run(folder, "status", "--porcelain")
    if done.returncode == 0 and done.stdout.strip():
        raise UsageError(f"{folder} has changes that are not committed.", "Commit them: `git commit -a`.")


def _differences(
    then: tuple[Question, ...], now: tuple[Question, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What may stop a project's update, and what is new in the questions."""
    before, after = ({question.name: question for question in each} for each in (then, now))
    breaking = [f"The question {name} is gone." for name in before if name not in after]
    added: list[str] = []
    for name, question in after.items():
        old = before.get(name)
        if old is None:
            text = f"New question {name}" + (f": {question.help}" if question.help else "") + "."
            (breaking if question.is_required else added).append(text)
            continue
        if old.type != question.type:
            breaking.append(f"The answers to {name} are of another type: {question.type}.")
        gone = [str(value) for value in old.choices if question.choices and value not in question.choices]
        breaking += [f"{name} can no longer be {value}." for value in gone]
        added += [
            f"{name} can be {value}."
            for value in question.choices
            if old.choices and value not in old.choices
        ]
    return tuple(breaking), tuple(added)


def _next(before: str, level: int) -> str:
    found = re.fullmatch(r"(v?)(\d+)\.(\d+)\.(\d+)", before)
    if found is None:
        raise UsageError(f"The version after {before} is yours to say.", "Name it: `--version VERSION`.")
    numbers = [int(each) for each in found.groups()[1:]]
    if numbers[0] == 0:  # before 1.0.0 a breaking change is a minor one
        level = min(level + 1, 2)
    raised = [*numbers[:level], numbers[level] + 1, *([0] * (2 - level))]
    return found[1] + ".".join(map(str, raised))


def _checked(tag: str, before: str | None) -> str:
    if versions.parsed(tag) is None:
        raise UsageError(f'"{tag}" is no version.', "For example: `--version v1.2.0`.")
    if (before is not None and versions.ordered((tag, before))[0] != tag) or tag == before:
        raise UsageError(f"{tag} does not come after {before}.", "Name a later one: `--version VERSION`.")
    return tag


def _new_files(folder: Path, before: str) -> bool:
    return bool(_lines(folder, "diff", "--name-only", "--diff-filter=A", "--no-ext-diff", before, "HEAD"))


def _lines(folder: Path, *arguments: str) -> tuple[str, ...]:
    done = git.run(folder, *arguments)
    if done.returncode:
        raise ScaffoldError(f"git {arguments[0]} says: {git.reason(done)}")
    return tuple(line for line in os.fsdecode(done.stdout).splitlines() if line)


def _with_section(text: str, release: Release) -> str:
    """A changelog with the release on top of the others."""
    day = datetime.now(UTC).date().isoformat()
    section = f"## {release.tag} - {day}\n\n" + "".join(f"- {change}\n" for change in release.changes)
    before, mark, rest = text.partition("\n## ")
    return f"{before.rstrip()}\n\n{section}" + (f"\n## {rest}" if mark else "")
