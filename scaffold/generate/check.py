"""Tell how a project stands to its template: newest version, what was edited, what is left to decide."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from scaffold.errors import ScaffoldError
from scaffold.generate import apply, decisions, lockfiles, sources, update
from scaffold.generate.decisions import Decision
from scaffold.generate.merge import lines, locks
from scaffold.generate.merge.objects import Tree
from scaffold.generate.update import Consent, Drift, Followed, untrusted


@dataclass(frozen=True)
class Problem:
    """Something that has to be put in order; `line` of the file at `path`, where there is one."""

    kind: str
    path: str
    message: str
    do: str
    line: int | None = None


@dataclass(frozen=True)
class Standing:
    """How a project stands to its template."""

    path: str
    template: str
    version: str
    newest: str | None
    answers_file: str
    drift: Drift
    written: int
    problems: tuple[Problem, ...]
    notes: tuple[str, ...] = field(default=())

    @property
    def is_fine(self) -> bool:
        return not self.problems


def examine(
    folder: Path, answers_file: str | None = None, *, pinned: bool = False, consent: Consent = untrusted
) -> Standing:
    """Look at a project as it stands, committed or not. `pinned`: an older version is no problem."""
    with update.followed(folder, answers_file, committed=False, consent=consent) as project:
        tree = project.tree
        drift, written = update.drift(project)
        newest = _newest(project)
        problems = [] if pinned else list(_version(project, newest))
        problems += _conflicts(project, tree, set(written))
        problems += _decisions(project, tree)
        problems += _locks(project, tree)
        return Standing(
            str(project.place.folder),
            project.source.address,
            project.old.ref,
            newest,
            project.link.path,
            drift,
            len(written),
            tuple(problems),
            project.notes,
        )


def _newest(project: Followed) -> str | None:
    """The newest version's name, which may be the project's own; None where the template has no version."""
    try:
        found = sources.resolve(project.source, project.copy)
    except ScaffoldError:
        return None
    is_same = found.commit == project.old.commit or update.is_older(project, found)
    return project.old.ref if is_same else found.ref


def _version(project: Followed, newest: str | None) -> Iterator[Problem]:
    if newest is not None and newest != project.old.ref:
        yield Problem(
            "version",
            project.link.path,
            f"The template has a newer version: {newest}. This project follows {project.old.ref}.",
            "`scaffold diff` shows what it changes, `scaffold update` merges it.",
        )


def _conflicts(project: Followed, tree: Tree, written: set[str]) -> Iterator[Problem]:
    waiting = set(apply.unmerged(project.place))
    for path in sorted(written | waiting):
        text = update.text_of(project.scratch, tree, path)
        number = lines.marker(text) if text is not None else None
        if number is not None:
            do = f"Edit it, then `git add {path}`."
            yield Problem("conflict", path, "It holds conflict markers of an update.", do, number)
        elif path in waiting:
            do = f"Look at it, then `git add {path}`."
            yield Problem("conflict", path, "git has it down as a conflict.", do)
    for path in sorted(written | waiting):
        if f"{path}.rej" in tree:
            do = f"Take over what you need, then `git rm -qf {path}.rej`."
            yield Problem("conflict", path, f"What an update could not change is in {path}.rej.", do)


def _decisions(project: Followed, tree: Tree) -> Iterator[Problem]:
    for item in _entries(project, tree):
        text = update.text_of(project.scratch, tree, item.file)
        if decisions.is_open(item, text):
            yield Problem(
                "decision",
                item.file,
                f"{'.'.join(item.at)}: yours is {decisions.shown(item.yours)}, the template's "
                f"{decisions.shown(item.template)} ({item.version}).",
                f"Put the right value there, then remove the entry from {decisions.FILE}.",
            )


def _entries(project: Followed, tree: Tree) -> tuple[Decision, ...]:
    entry = tree.get(decisions.FILE)
    return decisions.read(project.scratch.contents([entry.object])[entry.object] if entry else None)


def _locks(project: Followed, tree: Tree) -> Iterator[Problem]:
    def text(path: str) -> str | None:
        return update.text_of(project.scratch, tree, path)

    for path in sorted(tree):
        if locks.is_lock(path) and (reason := lockfiles.stale(path, text)):
            command = locks.command(path)
            do = f"Make it anew: `{command}`." if command else "Make it anew."
            yield Problem("lock", path, f"The lock file is out of date: {reason}.", do)
