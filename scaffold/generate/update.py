"""Bring a project to another version of its template: prepared out of sight, then shown or applied.

The template is rendered as it was and as it will be, and what has changed between the two is merged into the
project. Nothing is written into the project before all of it is known.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from scaffold.errors import ProjectError, ScaffoldError, UsageError
from scaffold.generate import (
    apply,
    decisions,
    installation,
    link,
    mirror,
    questions,
    remembered,
    render,
    sources,
    trust,
    versions,
)
from scaffold.generate.apply import WorkTree
from scaffold.generate.decisions import Decision
from scaffold.generate.link import Link
from scaffold.generate.merge import formats, threeway
from scaffold.generate.merge.objects import Entry, Scratch, Tree
from scaffold.generate.merge.threeway import Kind, Labels, Merge, Sides, Style
from scaffold.generate.mirror import Mirror
from scaffold.generate.questions import Question
from scaffold.generate.render import Again, Migrating, Rendered
from scaffold.generate.sources import Source, Template
from scaffold.generate.trust import Code
from scaffold.generate.versions import Version
from scaffold.numbers import whole

_DEV = "-dev"


Consent = Callable[[Template], Template]
"""Asks whether a version of the template may run its code; an error if it may not."""


def untrusted(template: Template) -> Template:
    """Trust nothing: a version that cannot be rendered without its own code is refused by the rendering."""
    return template


@dataclass(frozen=True)
class Wishes:
    """What somebody wants of an update; `data` are KEY=VALUE as typed."""

    to: str | None = None
    data: tuple[str, ...] = ()
    answers_file: str | None = None
    style: Style = "inline"
    asking: bool = False
    skip_tasks: bool = False
    consent: Consent = untrusted


@dataclass(frozen=True)
class Followed:
    """A project and the template that it follows, both open; `old` is the version that it is from."""

    place: WorkTree
    scratch: Scratch
    folder: Path
    tree: Tree
    link: Link
    source: Source
    copy: Mirror
    old: Version
    notes: tuple[str, ...] = field(default=())
    consent: Consent = untrusted


@dataclass(frozen=True)
class Update:
    """A finished merge, not applied: the sides, the result, and what a person should know."""

    followed: Followed
    new: Version
    merge: Merge
    decisions: tuple[Decision, ...]
    notes: tuple[str, ...]
    message: str = ""
    """What the template says to the person who updates."""

    @property
    def is_nothing(self) -> bool:
        """Nothing of the project would change."""
        return self.merge.tree == self.followed.tree and not self.merge.conflicts

    @property
    def changed(self) -> tuple[str, ...]:
        """The files that the update changes, adds or removes."""
        return changed(self.followed.tree, self.merge.tree)

    @property
    def has_lock_task(self) -> bool:
        """The project has a task of its own that makes its lock files: a service `lock` in compose.yaml."""
        text = text_of(self.followed.scratch, self.followed.tree, "compose.yaml")
        if text is None:
            return False
        try:
            found = formats.parse("yaml", text)
        except formats.Unreadable:
            return False
        services = found.get("services") if isinstance(found, dict) else None
        return isinstance(services, dict) and "lock" in services

    def diff(self) -> str:
        """What the update changes, as a patch that people read."""
        return diff(self.followed.scratch, self.followed.tree, self.merge.tree)

    def apply(self) -> None:
        """Change the project."""
        apply.apply(self.followed.place, self.followed.scratch, self.merge)


def diff(scratch: Scratch, before: Tree, after: Tree) -> str:
    """Return the changes between two trees as a patch."""
    words = ("diff-tree", "-p", "-M", "--no-ext-diff", "--no-textconv", "--no-color")
    found = scratch.git(*words, scratch.write(before), scratch.write(after))
    return found.decode("utf-8", "replace")


# ── what a project follows ─────────────────────────────────────────────────────────────────────────────


@contextmanager
def followed(
    folder: Path,
    answers_file: str | None = None,
    *,
    committed: bool = True,
    consent: Consent = untrusted,
) -> Iterator[Followed]:
    """Open a project, as committed or as it stands, and the repository of its template."""
    place = apply.locate(folder)
    with tempfile.TemporaryDirectory(prefix="scaffold-update-") as name:
        within = Path(name)
        (within / "objects").mkdir()
        scratch = Scratch(within / "objects", place.root)
        tree = apply.project_tree(scratch, place) if committed else apply.standing_tree(scratch, place)
        tie = link.read(place, scratch, tree, answers_file)
        source = _source(tie)
        copy = _copy(source, tie)
        old, notes = _old(source, copy, tie)
        stale = (f"{copy.stale} Its copy on this machine is used.",) if copy.stale else ()
        yield Followed(place, scratch, within, tree, tie, source, copy, old, (*stale, *notes), consent)


def _source(tie: Link) -> Source:
    try:
        source = sources.remembered(tie.source)
    except ScaffoldError as error:
        raise _unreachable(tie, error) from error
    if source.kind is sources.Kind.FOLDER:
        raise ProjectError(
            f"{tie.path} names the folder {source.place} as the template, which is no git repository: "
            "it has no versions to follow.",
            f"Put it under git and tag a version: `git -C {source.place} init`, then link the project anew: "
            f"`scaffold adopt {source.place}`.",
        )
    return source


def _copy(source: Source, tie: Link) -> Mirror:
    try:
        return sources.repository(source)
    except mirror.Unreachable as error:
        raise _unreachable(tie, error) from error


def _unreachable(tie: Link, error: ScaffoldError) -> ScaffoldError:
    return ScaffoldError(
        f"The template of this project cannot be reached: {error.message}",
        f"If it has moved, put its new address into {tie.path} as _src_path, commit, and repeat.",
    )


def _old(source: Source, copy: Mirror, tie: Link) -> tuple[Version, tuple[str, ...]]:
    """The version that the project was made from, by its hash where that is known."""
    named = tie.version
    if named is None and tie.commit is None:
        raise ProjectError(
            f"{tie.path} does not say which version of the template the project is from: it has no _commit.",
            f"Bring it back (`git log -p -- {tie.path}`), or link the project anew: `scaffold adopt`.",
        )
    if tie.commit and mirror.is_hash(tie.commit):
        return _by_hash(source, copy, tie, tie.commit)
    assert named is not None
    wanted = named.removesuffix(_DEV) if source.kind is sources.Kind.BUNDLED else named
    try:
        found = sources.resolve(source, copy, _described(wanted))
    except mirror.NoSuchVersion as error:
        raise _gone(source, tie, error) from error
    if wanted == named:
        return Version(named, found.commit), ()
    note = (
        f"The project was made between {wanted} and the next release of the template; it is compared with "
        f"{wanted}. What the template had changed until then counts as your own."
    )
    return found, (note,)


def _by_hash(source: Source, copy: Mirror, tie: Link, commit: str) -> tuple[Version, tuple[str, ...]]:
    named = tie.version or commit[:12]
    tags = mirror.tags(copy)
    if mirror.commit(copy, commit) is None and not mirror.fetch_commit(copy, source.place, commit):
        if named not in tags:
            raise _gone(source, tie, None)
        note = (
            f"The tag {named} of the template was moved since this project was made from it, and the commit "
            f"{commit[:12]} that it named is gone. The update starts from what the tag names now."
        )
        return Version(named, tags[named]), (note,)
    if named in tags and tags[named] != commit:
        note = (
            f"The tag {named} of the template was moved since this project was made from it: it named "
            f"{commit[:12]}, and now names {tags[named][:12]}. The update starts from {commit[:12]}."
        )
        return Version(named, commit), (note,)
    return Version(named, commit), ()


def _described(named: str) -> str:
    """The commit inside what `git describe` says, v1.2.0-3-gabc1234, of a commit after a tag."""
    before, mark, short = named.rpartition("-g")
    is_described = mark and whole(before.rpartition("-")[2]) is not None and short.isalnum()
    return short if is_described else named


def _gone(source: Source, tie: Link, error: ScaffoldError | None) -> ScaffoldError:
    if source.kind is sources.Kind.BUNDLED:
        return ProjectError(
            f"This project was made from {source.name} {tie.version}, which this scaffold does not know: "
            "a newer one made it.",
            f"Upgrade scaffold: `{installation.upgrading()}`.",
        )
    hint = error.hint if error else None
    return ScaffoldError(
        f"The template {tie.source} no longer has the version that this project is from: {tie.version}.",
        hint or f"Link the project to a version that is there: `scaffold adopt {tie.source}`.",
    )


# ── the update ─────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def prepared(folder: Path, wishes: Wishes) -> Iterator[Update]:
    """Render, merge, and yield what the project would be; nothing is written into it."""
    with followed(folder, wishes.answers_file, consent=wishes.consent) as project:
        new = _new(project, wishes)
        if _is_there(project, new, wishes):
            yield Update(project, new, Merge(project.tree, (), {}), (), project.notes)
            return
        yield _merged(project, new, wishes)


def _new(project: Followed, wishes: Wishes) -> Version:
    new = sources.resolve(project.source, project.copy, wishes.to)
    if is_older(project, new):
        hint = "To take an update back, use git: `git revert COMMIT`."
        if wishes.to is None:
            hint = f"The newest version tag is {new.ref}. Name another version: `--to REF`."
        raise UsageError(
            f"{new.ref} of the template is older than {project.old.ref}, which this project follows.", hint
        )
    return new


def is_older(project: Followed, new: Version) -> bool:
    """Tell whether a version comes before the project's: by its number, else by the history."""
    if new.commit == project.old.commit:
        return False
    one, other = versions.parsed(new.ref), versions.parsed(project.old.ref)
    if one is not None and other is not None and one != other:
        return one < other
    return mirror.is_ancestor(project.copy, new.commit, project.old.commit)


def _is_there(project: Followed, new: Version, wishes: Wishes) -> bool:
    """Whether the project is at the version already, as its answers file says, and no answer has changed."""
    tie = project.link
    is_same = tie.commit == new.commit == project.old.commit and tie.version == new.ref
    return is_same and tie.source == project.source.address and not wishes.data and not tie.earlier


def _merged(project: Followed, new: Version, wishes: Wishes) -> Update:
    base = _base(project, tasks=not wishes.skip_tasks)
    tie = project.link
    with sources.at(project.source, project.copy, new) as opened:
        template = wishes.consent(opened)
        code = trust.code(template)
        runs = template.is_trusted and not wishes.skip_tasks
        asked = questions.read(template)
        edited = _edited(tie, base)
        given = _given(edited, template, asked, wishes)
        fresh = tuple(
            question.name
            for question in asked
            if question.name not in tie.answers
            and question.name not in given
            and (question.name not in base.questions or not question.is_secret)
        )
        ours, again = project.tree, _again(project, base.answers_file)
        if runs and code.migrations:
            ours, again = _migrated_before(project, template, ours, again)
        again = replace(again, asked=fresh if wishes.asking else ())
        place = _place(project, "new")
        if wishes.asking and fresh:
            given |= render.ask_again(template, place, given, again)
        rendered = remembered.again(template, place, given, again)
        notes = _changes(tie, edited, asked, rendered, template)
        theirs = project.scratch.add(place, "new")
        if runs and code.tasks:
            theirs = _with_tasks(project, template, place, theirs, rendered.answers)
        merge = _merge(project, new, wishes, Sides(base.tree, ours, theirs), {*base.once, *rendered.once})
        if runs and (code.tasks or code.migrations):
            merge = replace(merge, tree=_after(project, template, merge.tree, rendered.answers, code))
    merge, opened_decisions = _with_decisions(project, new, merge)
    notes = [*project.notes, *notes, *merge.notes]
    message = "\n".join(part for part in (rendered.messages.before, rendered.messages.after) if part)
    return Update(project, new, merge, opened_decisions, tuple(notes), message)


def _merge(project: Followed, new: Version, wishes: Wishes, sides: Sides, once: set[str]) -> Merge:
    sides = threeway.aligned(sides, always_new=(project.link.path,), once=once.__contains__)
    labels = Labels(f"template {project.old.ref}", f"template {new.ref}")
    return threeway.merge(project.scratch, sides, labels, wishes.style)


# ── code of the template, in copies of the project ─────────────────────────────────────────────────────


def _with_tasks(
    project: Followed, template: Template, place: Path, tree: Tree, answers: Mapping[str, object]
) -> Tree:
    """What a rendering becomes by the template's tasks; what the project ignores is left out."""
    render.run_tasks_again(template, place, answers, _as_there(project, place))
    return project.scratch.update(place, tree)


def _migrated_before(project: Followed, template: Template, tree: Tree, again: Again) -> tuple[Tree, Again]:
    """The project after the migrations that come before the update; they may change its answers."""
    place = project.scratch.check_out(tree, _place(project, "before"))
    migrating = Migrating("before", project.old.ref)
    render.run_tasks_again(template, place, {}, _as_there(project, place), migrating)
    after = project.scratch.update(place, tree)
    path = project.link.path
    if after.get(path) != tree.get(path) and path in after:
        content = project.scratch.contents([after[path].object])[after[path].object]
        again = replace(again, files={**again.files, path: content})
    return after, again


def _after(
    project: Followed, template: Template, tree: Tree, answers: Mapping[str, object], code: Code
) -> Tree:
    """The merged project after the template's tasks and its last migrations."""
    place = project.scratch.check_out(tree, _place(project, "after"))
    there = _as_there(project, place)
    if code.tasks:
        render.run_tasks_again(template, place, answers, there)
    if code.migrations:
        render.run_tasks_again(template, place, answers, there, Migrating("after", project.old.ref))
    return project.scratch.update(place, tree)


def _as_there(project: Followed, place: Path) -> Again:
    """The answers file as it lies in a copy of the project."""
    path = project.link.path
    return Again(path, {path: (place / path).read_bytes()})


@dataclass(frozen=True)
class Drift:
    """What a project has changed of the files that its template wrote."""

    version: str
    edited: tuple[str, ...]
    gone: tuple[str, ...]
    diff: str


def drift(project: Followed) -> tuple[Drift, tuple[str, ...]]:
    """Compare the project with what its version of the template writes; and the files of that."""
    base = _base(project)
    own = {project.link.path, *base.once}
    written = {path: entry for path, entry in base.tree.items() if path not in own}
    here = {path: project.tree[path] for path in written if path in project.tree}
    differing = changed(written, here)
    found = Drift(
        project.old.ref,
        edited=tuple(path for path in differing if path in here),
        gone=tuple(path for path in differing if path not in here),
        diff=diff(project.scratch, written, here),
    )
    return found, tuple(sorted(written))


@dataclass(frozen=True)
class _Base:
    """The version that a project is from, rendered again; with the answers file that explains it best."""

    tree: Tree
    once: tuple[str, ...]
    questions: frozenset[str]
    answers_file: bytes


def _base(project: Followed, *, tasks: bool = False) -> _Base:
    """Of several answers files, the one whose rendering is most like the project."""
    tie = project.link
    found: list[tuple[tuple[int, bool], _Base]] = []
    with sources.at(project.source, project.copy, project.old) as opened:
        template = project.consent(opened)
        runs = tasks and template.is_trusted and bool(trust.code(template).tasks)
        names = frozenset(question.name for question in questions.read(template))
        for number, content in enumerate((tie.written, *tie.earlier)):
            place = _place(project, f"old-{number}")
            rendered = remembered.again(template, place, {}, _again(project, content))
            tree = project.scratch.add(place, f"old-{number}")
            if runs:
                tree = _with_tasks(project, template, place, tree, rendered.answers)
            others = [path for path in tree if path != tie.path]
            same = sum(project.tree.get(path) == tree[path] for path in others)
            # copier passes over an answer that the template does not allow.
            answers = link.answers(tie.path, content)
            taken = all(rendered.answers.get(name, value) == value for name, value in answers.items())
            found.append(((2 * same - len(others), taken), _Base(tree, rendered.once, names, content)))
    return max(found, key=lambda item: item[0])[1]  # the first of equals: the file as it is


def _again(project: Followed, content: bytes) -> Again:
    return Again(project.link.path, {**_kept(project), project.link.path: content})


def _edited(tie: Link, base: _Base) -> dict[str, object]:
    """The answers that somebody has changed in the file, without what they bring."""
    before = link.answers(tie.path, base.answers_file)
    return {key: value for key, value in tie.answers.items() if key not in before or before[key] != value}


def _place(project: Followed, side: str) -> Path:
    """A folder for a rendering, with the name that the project's folder has: templates may ask for it."""
    place = project.folder / side / project.place.folder.name
    place.mkdir(parents=True, exist_ok=True)
    return place


def _kept(project: Followed) -> dict[str, bytes]:
    """The answers files of other templates in the project, which `_external_data` may read."""
    found = {
        path: entry.object
        for path, entry in project.tree.items()
        if path.endswith((".yml", ".yaml")) and "answers" in Path(path).name and entry.mode.startswith("100")
    }
    contents = project.scratch.contents(found.values())
    return {path: contents[oid] for path, oid in found.items()}


def _given(
    edited: Mapping[str, object], template: Template, asked: Sequence[Question], wishes: Wishes
) -> dict[str, object]:
    """Answers for the new version: from `-d`, and those that somebody has edited in the answers file."""
    names = {question.name for question in asked}
    typed = questions.parse(questions.from_options(wishes.data), tuple(asked), template)
    return {**{key: value for key, value in edited.items() if key in names}, **typed}


def _changes(
    tie: Link,
    edited: Mapping[str, object],
    asked: Sequence[Question],
    rendered: Rendered,
    template: Template,
) -> list[str]:
    names = {question.name for question in asked}
    notes = []
    if edited:
        notes.append(f"Edited by hand in {tie.path}, and taken as new answers: {', '.join(sorted(edited))}.")
    dropped = sorted(set(tie.answers) - names)
    if dropped:
        notes.append(f"No longer a question of {template.name}, and dropped: {', '.join(dropped)}.")
    secret = {question.name for question in asked if question.is_secret}
    added = sorted(set(rendered.answers) - set(tie.answers) - secret)
    if added:
        shown = ", ".join(f"{name}={questions.yaml_text(rendered.answers[name])}" for name in added)
        notes.append(f"New answers: {shown}.")
    return notes


def _with_decisions(project: Followed, new: Version, merge: Merge) -> tuple[Merge, tuple[Decision, ...]]:
    """Write down what is left open, beside what earlier updates have left open and nobody has decided."""
    scratch = project.scratch
    fresh = [
        decision
        for conflict in merge.conflicts
        if conflict.kind is Kind.OPEN
        for decision in decisions.of(conflict.path, conflict.open, new.ref)
    ]
    entry = project.tree.get(decisions.FILE)
    before = decisions.read(scratch.contents([entry.object])[entry.object] if entry else None)
    still = [item for item in before if decisions.is_open(item, text_of(scratch, project.tree, item.file))]
    every = decisions.joined(still, fresh)
    if not fresh and entry is None:
        return merge, ()
    tree = dict(merge.tree)
    content = decisions.text(every)
    if content is None:
        tree.pop(decisions.FILE, None)
    else:
        tree[decisions.FILE] = Entry("100644", scratch.store(content))
    return Merge(tree, merge.conflicts, merge.stages, merge.notes), every


def text_of(scratch: Scratch, tree: Mapping[str, Entry], path: str) -> str | None:
    """Return a file of a tree as text, or None if it is not there or no text."""
    entry = tree.get(path)
    if entry is None or not entry.mode.startswith("100"):
        return None
    try:
        return scratch.contents([entry.object])[entry.object].decode()
    except UnicodeDecodeError:
        return None


def changed(before: Tree, after: Tree) -> tuple[str, ...]:
    """Return the paths that differ."""
    return tuple(sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path)))
